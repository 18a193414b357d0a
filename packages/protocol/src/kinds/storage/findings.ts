/** What an epoch of storage found of providers beside its verdicts, with the numbers. */
import type { SettledFinding } from '../../kind.ts'
import { hex } from '../../ssz.ts'
import type { AuditChanges } from './audits.ts'
import type { ContainmentChanges } from './containment.ts'
import type { DebtChanges } from './debts.ts'
import type { EndedDeal } from './endings.ts'
import type { Counts } from './quotients.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { type Debt, dealIndex, type KnownDeal, type PendingAudit } from './state.ts'
import type { StrangersOf } from './strangers.ts'

export interface FindingsInit {
  input: StorageSettleInput
  counts: Counts
  debts: DebtChanges
  audits: AuditChanges
  /** That begin to wait. */
  audited: readonly PendingAudit[]
  containment: ContainmentChanges
  /** Deals that go on, by id in hexadecimal. */
  going: ReadonlySet<string>
  ended: readonly EndedDeal[]
  strangers: readonly StrangersOf[]
  /** Fees of receipts by node, base units. */
  delivered: ReadonlyMap<number, bigint>
}

/**
 * By node, then by code. `debts`: leaves owed after the epoch. `audits`: leaves that clients want
 * asked, and what came of those asked now. `withholding`: asked again before,
 * while others were answered. `contained`: a first wrong leaf of a deal. `ended`: a deal that is not
 * carried on. `strangers`: what strangers got; `notServing`: so little that `served` is 0.
 */
export function storageFindings(init: FindingsInit): SettledFinding[] {
  const { ended, containment } = init
  const findings = [
    ...debtFindings(init),
    ...auditFindings(init),
    ...withholdingFindings(init),
    ...strangerFindings(init),
    ...containment.began.map(({ deal, key }) => finding(deal.provider, 'contained', { deal: key })),
    ...ended.map(({ id, deal: { provider, client }, reason }) =>
      finding(provider, 'ended', { deal: hex(id), client: hex(client), reason }),
    ),
  ]
  return findings.sort((a, b) => a.node - b.node || compare(a.code, b.code))
}

function debtFindings({ input, debts, going }: FindingsInit): SettledFinding[] {
  const { byId } = dealIndex(input.state)
  const owed = new Map<number, Debt[]>()
  for (const [key, debt] of debts.open) {
    const item = byId.get(key)
    if (item === undefined || !going.has(key)) continue
    const { provider } = item.deal
    owed.set(provider, [...(owed.get(provider) ?? []), debt])
  }
  const opened = countByProvider(debts.opened)
  const answered = countByProvider(debts.answered)
  const nodes = new Set([...owed.keys(), ...opened.keys(), ...answered.keys()])
  return [...nodes].map(node => {
    const open = owed.get(node) ?? []
    return finding(node, 'debts', {
      open: open.length,
      opened: opened.get(node) ?? 0,
      answered: answered.get(node) ?? 0,
      ...(open.length === 0 ? {} : { oldest: Math.min(...open.map(({ since }) => since)) }),
    })
  })
}

function auditFindings({ input, audits, audited }: FindingsInit): SettledFinding[] {
  const { byId } = dealIndex(input.state)
  const taken = countByProvider(audited.map(({ deal }) => byId.get(hex(deal)) as KnownDeal))
  const answered = countByProvider(audits.answered)
  const confirmed = countByProvider(audits.confirmed.map(({ deal }) => deal))
  const nodes = new Set([...taken.keys(), ...answered.keys(), ...confirmed.keys()])
  return [...nodes].map(node =>
    finding(node, 'audits', {
      taken: taken.get(node) ?? 0,
      answered: answered.get(node) ?? 0,
      confirmed: confirmed.get(node) ?? 0,
    }),
  )
}

function withholdingFindings({ input, counts, debts }: FindingsInit): SettledFinding[] {
  const { withheldWeight } = input.base.profile
  return [...debts.withheld].map(([node, deals]) => {
    const count = counts.get(node)
    const prices = deals.reduce((sum, { deal }) => sum + deal.pricePerEpoch, 0n)
    return finding(node, 'withholding', {
      withheld: deals.length,
      answered: (count?.answered ?? 0) + (count?.answeredAgain ?? 0),
      asked: (count?.asked ?? 0) + (count?.askedAgain ?? 0),
      scoreLost: String(prices * BigInt(withheldWeight)),
    })
  })
}

function strangerFindings({ strangers, delivered }: FindingsInit): SettledFinding[] {
  return strangers.map(({ node, fetches, failed, operators, reason, refusing }) => {
    const fees = delivered.get(node) ?? 0n
    return finding(node, refusing ? 'notServing' : 'strangers', {
      fetches,
      failed,
      operators,
      ...(reason === undefined ? {} : { reason }),
      delivered: String(fees),
      served: String(refusing ? 0n : fees),
    })
  })
}

function finding(node: number, code: string, facts: SettledFinding['facts']): SettledFinding {
  return { node, code, facts }
}

function countByProvider(deals: readonly KnownDeal[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const { deal } of deals) counts.set(deal.provider, (counts.get(deal.provider) ?? 0) + 1)
  return counts
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
