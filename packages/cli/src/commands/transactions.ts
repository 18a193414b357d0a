import type { Json, TransactionsView, TransactionView } from '@cairn/node'
import { unitsText } from '@cairn/protocol'
import type { Output } from '../output.ts'
import type { Commands } from '../run.ts'

/** Lines of what is at rest, unless all are asked for. */
const SETTLED_SHOWN = 10
/** Digits of ether that are shown: a transaction costs some millionths. */
const SHOWN_DECIMALS = 6

interface Options {
  all?: true
}

export function transactionsCommand({ program, action }: Commands): void {
  program
    .command('transactions')
    .description('show what the node sends to the chain, what it cost and how long the ether lasts')
    .option('--all', 'every transaction that the node remembers')
    .action(
      action(async (session, { all }: Options) => {
        const api = await session.api()
        const view = await api.json<Json<TransactionsView>>('/v1/transactions')
        session.output.result(view, transactionsText(session.output, view, all === true))
        return undefined
      }),
    )
}

function transactionsText(output: Output, view: Json<TransactionsView>, all: boolean): string {
  const { account, balance, spentToday, budgetPerDay, ratePerDay, daysLeft, waiting } = view
  const lasts =
    daysLeft === undefined ? '' : `, lasts ${daysText(daysLeft)} at ${ether(ratePerDay)} a day`
  const budget = budgetPerDay === undefined ? 'no limit is set' : `of ${ether(budgetPerDay)} a day`
  const unsettled = view.transactions.filter(({ state }) => state !== 'final')
  const settled = view.transactions.filter(({ state }) => state === 'final')
  const shown = [...unsettled, ...(all ? settled : settled.slice(0, SETTLED_SHOWN))]
  const hidden = view.transactions.length - shown.length
  return [
    `account ${account}`,
    `  balance ${balance === undefined ? 'not known yet' : ether(balance)}${lasts}`,
    `  spent today ${ether(spentToday)}, ${budget}`,
    ...(view.budgetSpent
      ? ['  not all is sent today: wait until 0:00 UTC, or raise chain.budgetPerDay']
      : []),
    ...(waiting > 0 ? [`  ${waiting} waiting for their turn`] : []),
    ...(shown.length === 0
      ? ['  nothing was sent yet']
      : shown.flatMap(one => linesOf(output, one))),
    ...(hidden > 0 ? [`  and ${hidden} more: cairn transactions --all`] : []),
  ].join('\n')
}

/** When it was ordered and what it was for, then what became of it, then its hash. */
function linesOf(output: Output, one: Json<TransactionView>): string[] {
  const { nonce, about, transaction, orderedAt, sentAt, minedAt = 0, cost, block } = one
  const again = sentAt === orderedAt ? '' : `, sent again at ${time(sentAt)}`
  const taken =
    block === undefined ? '' : ` in block ${block} at ${time(minedAt)}, fee ${ether(cost ?? '0')}`
  return [
    `  ${time(orderedAt)}  ${about}`,
    `    ${stateText(output, one)}${again}${taken}`,
    `    nonce ${nonce}  ${transaction}`,
  ]
}

function time(ms: number): string {
  return new Date(ms).toISOString().replace(/\.[0-9]+Z$/, 'Z')
}

function stateText(output: Output, { state, succeeded }: Json<TransactionView>): string {
  if (state === 'open') return output.style('yellow', 'in no block yet')
  if (state === 'givenUp') return 'given up'
  if (succeeded !== true) return output.style('red', 'refused')
  return output.style('green', state === 'final' ? 'done' : 'done, not final yet')
}

function daysText(days: number): string {
  if (days < 1) return 'less than a day'
  return days === 1 ? '1 day' : `${days} days`
}

function ether(units: string): string {
  const [whole, part = ''] = unitsText(BigInt(units)).split('.')
  const shown = part.slice(0, SHOWN_DECIMALS).replace(/0+$/, '')
  if (whole === '0' && shown === '') return units === '0' ? '0 ether' : '<0.000001 ether'
  return `${whole}${shown === '' ? '' : `.${shown}`} ether`
}
