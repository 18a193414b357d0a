import type { DepositMove, DepositView, Json } from '@cairn/node'
import { tokenText, unitsText } from '@cairn/protocol'
import { tokenAmount } from '../amounts.ts'
import { payOnce, REFERENCE } from '../payment.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

export function depositCommands({ program, action }: Commands): void {
  const deposit = program
    .command('deposit')
    .description('what this node’s account has put down for its deals and packets')
  deposit
    .command('show')
    .description('how much is there, spent, asked back, and what it still pays for')
    .action(action(show))
  deposit
    .command('add')
    .description('pay tokens of the account in; the first time this names the node’s key')
    .argument('<tokens>', 'as in 12.5', tokenAmount)
    .option(...REFERENCE)
    .action(action(add))
  deposit
    .command('request')
    .description('ask for tokens back; deals are paid from the rest, or end')
    .argument('<tokens>', 'as in 12.5, or `all`; 0 takes a request back', wanted)
    .action(action(request))
  deposit
    .command('withdraw')
    .description('take out what was asked for, once a checkpoint has seen the request')
    .action(action(withdraw))
}

async function show(session: Session) {
  const api = await session.api()
  const found = await api.json<Json<DepositView>>('/v1/deposit')
  const { account, key, dealKey, deposited, spent, requested, requestedAt, tokens } = found
  const lines = [
    `account     0x${account}, with ${exact(tokens)} outside of the deposit`,
    `deposited   ${exact(deposited)}${spent === undefined ? '' : `, ${exact(spent)} of it spent`}`,
    `can pay     ${exact(found.available)} for deals and packets in this epoch`,
    ...(requested === '0' ? [] : [`asked back  ${exact(requested)}, in block ${requestedAt}`]),
  ]
  session.output.result(found, lines.join('\n'))
  if (key === undefined) {
    session.output.note('it pays for no key yet: `cairn deposit add` names the one of this node')
  } else if (key !== dealKey) {
    session.output.note(`it pays for the deals of the key ${key}, not for this node’s`)
  }
  if (requested !== '0') session.output.note(whenPaid(found))
  const why = found.available === '0' ? unavailable(found) : undefined
  if (why !== undefined) session.output.note(why)
  return undefined
}

/** Why nothing can be paid, where no other note says it. */
function unavailable(found: Json<DepositView>): string | undefined {
  const { deposited, spent, requested, key, dealKey } = found
  if (key !== dealKey) return undefined
  if (deposited === '0') return 'nothing is put down: pay in with `cairn deposit add`'
  if (spent === undefined) return 'what is spent of it is not known yet: see `cairn status`'
  const left = BigInt(deposited) - BigInt(spent) - BigInt(requested)
  return left > 0n
    ? 'what was paid in counts from the first epoch on whose base has its block: look again in an epoch or two'
    : 'all of it is spent or asked back: pay in more with `cairn deposit add`'
}

async function add(session: Session, amount: bigint, { reference }: { reference?: string }) {
  const { signal } = session
  const api = await session.api()
  const moved = await payOnce({ reference, signal }, async under => {
    const query = { amount: String(amount), reference: under }
    return await api.json<Json<DepositMove>>('/v1/deposit/add', { method: 'POST', query })
  })
  const { amount: paid, orderedAt, fee = '0' } = moved
  const text =
    orderedAt === undefined
      ? `paid in ${exact(paid)}`
      : `paid in ${exact(paid)} before under this reference, at ${new Date(orderedAt).toISOString()} for a fee of ${unitsText(BigInt(fee))} ether, and nothing now`
  session.output.result(moved, `${text}; the deposit is ${exact(moved.standing.deposited)}`)
  session.output.note('it can be spent from the first epoch on whose base has it')
  return undefined
}

async function request(session: Session, amount: bigint | 'all') {
  const api = await session.api()
  const query: Record<string, string> = amount === 'all' ? {} : { amount: String(amount) }
  const path = '/v1/deposit/request'
  const moved = await api.json<Json<DepositMove>>(path, { method: 'POST', query })
  if (moved.amount === '0') {
    session.output.result(moved, 'nothing is asked back any more')
    return undefined
  }
  session.output.result(moved, `asked for ${exact(moved.amount)} back`)
  session.output.note(whenPaid(await api.json<Json<DepositView>>('/v1/deposit')))
  return undefined
}

async function withdraw(session: Session) {
  const api = await session.api()
  const path = '/v1/deposit/withdraw'
  const moved = await api.json<Json<DepositMove>>(path, { method: 'POST' })
  const { deposited } = moved.standing
  const text = `took out ${exact(moved.amount)}; the deposit is ${exact(deposited)}, spent or not`
  session.output.result(moved, text)
  return undefined
}

function whenPaid({ paidFrom }: Json<DepositView>): string {
  const when = paidFrom === undefined ? 'a checkpoint has it' : `epoch ${paidFrom} has a checkpoint`
  return `take it out with \`cairn deposit withdraw\` once ${when} that is acted upon`
}

/** Tokens, or all of them. */
function wanted(text: string): bigint | 'all' {
  return text === 'all' ? text : tokenAmount(text)
}

function exact(amount: string): string {
  return tokenText(BigInt(amount))
}
