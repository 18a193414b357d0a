import type { EarningsView, Json, ServiceView } from '@cairn/node'
import { TOKEN } from '@cairn/protocol'
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
      'what this node earned, spent and claimed in all; of an epoch, what each node proved, served and earned',
    )
    .argument('[epoch]', '', whole)
    .option('--account <account...>', 'totals of these accounts instead of the own')
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
  const lines = found.kinds.flatMap(({ kind, nodes }) =>
    nodes.map(
      ({ node, earned, proven, served }) =>
        `${kind.padEnd(8)}  node ${String(node).padEnd(5)}  earned ${tokens(BigInt(earned)).padStart(14)}  proven ${provenText(kind, proven)}  served ${tokens(BigInt(served))}`,
    ),
  )
  session.output.result(found, lines.length === 0 ? 'nobody earned anything' : lines.join('\n'))
  return undefined
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
