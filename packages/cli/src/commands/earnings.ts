import type { AccountEarnings, EarningsView, Json, ServiceView } from '@cairn/node'
import { TOKEN, unitsText } from '@cairn/protocol'
import { accountGiven } from '../amounts.ts'
import { size } from '../progress.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { totals } from './claim.ts'
import { whole } from './numbers.ts'

export function earningsCommand({ program, action }: Commands): void {
  program
    .command('earnings')
    .description(
      'what this node earned, spent and claimed in all; of an epoch, what each account earned, by what, and what its nodes proved and served',
    )
    .argument('[epoch]', '', whole)
    .option('--account <account...>', 'these accounts instead of the own; of an epoch, of all')
    .action(action(earnings))
}

export function serviceCommand({ program, action }: Commands): void {
  program
    .command('service')
    .description('bytes and packets delivered and got on account, and what is paid of them')
    .action(action(service))
}

async function earnings(
  session: Session,
  epoch: number | undefined,
  { account = [] }: { account?: string[] },
) {
  if (epoch === undefined) return await totals(session, account.map(accountGiven))
  const api = await session.api()
  const path = `/v1/earnings/${epoch}`
  const found = await api.json<Json<EarningsView>>(path)
  const only = account.map(accountGiven)
  const accounts = found.accounts.filter(one => only.length === 0 || only.includes(one.account))
  const none = only.length === 0 ? 'nobody earned anything' : 'none of these earned anything'
  session.output.result(
    { ...found, accounts },
    accounts.length === 0 ? `${none} in epoch ${epoch}` : accounts.flatMap(accountLines).join('\n'),
  )
  return undefined
}

/** Every digit, so that who adds the lines up gets the sum. */
export function accountLines({ account, earned, parts, since }: Json<AccountEarnings>): string[] {
  return [
    `0x${account}  earned ${exact(earned)}, since genesis ${exact(since.earned)}`,
    ...parts.map(({ source, node, earned: part, proven, served }) => {
      const whose = node === undefined ? '' : `node ${node}`
      const by =
        proven === undefined || served === undefined
          ? ''
          : `  proven ${provenText(source, proven)}, served ${tokens(BigInt(served))}${proven === '0' && served === '0' ? ': all of it for checking others' : ''}`
      return `  ${source.padEnd(8)}  ${whose.padEnd(9)}  ${exact(part)}${by}`
    }),
  ]
}

function exact(amount: string): string {
  return unitsText(BigInt(amount))
}

async function service(session: Session) {
  const api = await session.api()
  const found = await api.json<Json<ServiceView>>('/v1/service')
  const { clients, providers, free, sold, bought } = found
  const bytes = (count: string) => size(Number(count))
  const lines = [
    ...clients.map(
      ({ client, receipted, paid, unpaid }) =>
        `to client ${client}  ${bytes(receipted)} receipted, ${bytes(paid)} paid, ${size(unpaid)} without a receipt`,
    ),
    ...providers.map(
      ({ provider, received, signed }) =>
        `from provider ${provider}  ${bytes(received)} fetched, ${bytes(signed)} signed for`,
    ),
    ...(free === undefined
      ? []
      : [`free in this epoch: ${size(free.used)} of ${size(free.quota)}`]),
    ...sold.map(
      ({ server, receipted, paid, unpaid }) =>
        `to server ${server}  ${receipted} packets receipted, ${paid} paid, ${unpaid} without a receipt`,
    ),
    ...bought.map(
      ({ gateway, packets, paid }) =>
        `from gateway ${gateway}  ${packets} packets signed for, ${paid} paid`,
    ),
  ]
  session.output.result(found, lines.length === 0 ? 'nothing yet' : lines.join('\n'))
  return undefined
}

/** What the base pot is shared by: units of coverage have 32 fractional bits; fees are tokens. */
export function provenText(kind: string, proven: string): string {
  if (kind !== 'coverage') return tokens(BigInt(proven))
  return `${(Number(proven) / 2 ** 32).toFixed(3)} units`
}

/** An amount of base units in tokens, as `12.500000`: six digits, the rest cut off. */
export function tokens(amount: bigint): string {
  const whole = amount / TOKEN
  const part = (amount % TOKEN) / (TOKEN / 1_000_000n)
  return `${whole}.${String(part).padStart(6, '0')}`
}
