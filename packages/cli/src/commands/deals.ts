import type { DealView, Json } from '@cairn/node'
import { check } from '@cairn/protocol'
import { size } from '../progress.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

export function dealsCommand({ program, action }: Commands): void {
  const deals = program.command('deals').description('deals of this node, and how they go on')
  deals
    .command('list', { isDefault: true })
    .description('list live and coming deals of this node')
    .option('--all', "everybody's deals")
    .action(action(list))
  deals
    .command('end <id>')
    .description('ask the other side to end a deal before its time')
    .action(action(end))
}

async function list(session: Session, { all }: { all?: boolean }) {
  const api = await session.api()
  const { deals } = await api.json<{ deals: Json<DealView>[] }>('/v1/deals')
  const shown = deals.filter(({ role }) => all === true || role !== undefined)
  session.output.result(
    { deals: shown },
    shown.length === 0 ? 'no deals' : shown.map(line).join('\n'),
  )
  return undefined
}

function line(deal: Json<DealView>) {
  const { id, role, provider, bytes, lastEpoch, lasts, renewal, audit, ending } = deal
  const remarks = [
    ...(lasts === undefined ? [] : [`deposit lasts ${lasts}`]),
    ...(renewal === undefined ? [] : [`renewal ${renewal}`]),
    ...(audit === undefined || audit === 'given' ? [] : [`gave no leaf: ${audit}`]),
    ...owing(deal),
    ...(deal.contained ? ['contained: a wrong leaf was sealed'] : []),
    ...(ending ? ['ending by agreement'] : []),
  ]
  const to = `to epoch ${lastEpoch}`
  return `${id}  ${(role ?? '-').padEnd(8)}  provider ${String(provider).padEnd(5)}  ${size(bytes).padStart(9)}  ${to}  ${remarks.join(', ')}`.trimEnd()
}

function owing({ owed, lostFrom, withheld }: Json<DealView>): string[] {
  if (owed === undefined) return []
  return [
    `owes an answer since epoch ${owed}`,
    ...(withheld ? ['withheld'] : []),
    ...(lostFrom === undefined ? [] : [`lost from epoch ${lostFrom} on`]),
  ]
}

async function end(session: Session, id: string) {
  check(/^[0-9a-f]{64}$/i.test(id), 'usage', 'expected the id of a deal: 64 hexadecimal digits')
  const api = await session.api()
  const ended = await api.json<{ id: string; ending: boolean }>(`/v1/deals/${id}/end`, {
    method: 'POST',
  })
  session.output.result(ended, `both sides agreed: the deal ends with the next checkpoint`)
  return undefined
}
