/**
 * Audits in settlement. A client's audit puts one leaf of its deal among what challenges ask behind
 * the new leaves and the debts. Answered, it is over; asked in vain, it becomes a debt. Until then it
 * costs nobody anything but the answer: at most one waits per deal, and at most `debtsPerChallenge`
 * per provider.
 */
import { MessageType } from '../../messages.ts'
import { hex } from '../../ssz.ts'
import type { Audit } from './audit.ts'
import { LEAVES_PER_CHALLENGE } from './limits.ts'
import type { AskedLeaf } from './question.ts'
import type { StorageSettleInput } from './settle-input.ts'
import {
  auditIndex,
  type Debt,
  dealIndex,
  type KnownDeal,
  type PendingAudit,
  type StorageState,
} from './state.ts'
import type { Judged } from './verdicts.ts'

export interface AuditChanges {
  /** Waiting after this epoch, by the deal's id in hexadecimal; those of ended deals are among them. */
  readonly pending: ReadonlyMap<string, PendingAudit>
  readonly answered: readonly KnownDeal[]
  /** Asked in vain: debts from now on. */
  readonly confirmed: readonly AskedLeaf[]
}

/** What the on-time challenges found of the audits that they asked. */
export function settleAudits(
  { state }: StorageSettleInput,
  onTime: readonly Judged[],
): AuditChanges {
  const pending = new Map(auditIndex(state))
  const answered: KnownDeal[] = []
  const vain = new Map<string, AskedLeaf>()
  for (const judged of onTime) {
    for (const [place, { deal, leaf }] of judged.question.entries()) {
      if (pending.get(deal.key)?.leaf !== leaf) continue
      if (judged.answered[place] === true) {
        pending.delete(deal.key)
        vain.delete(deal.key)
        answered.push(deal)
      } else if (place >= LEAVES_PER_CHALLENGE) vain.set(deal.key, { deal, leaf })
    }
  }
  for (const key of vain.keys()) pending.delete(key)
  return { pending, answered, confirmed: [...vain.values()] }
}

/**
 * The audits of the epoch's set that begin to wait, by ascending deal. A deal that owes an answer
 * already needs none. Where there are more than a provider has room for, each of its clients comes
 * first once, then each a second time, so that no client can crowd out another.
 */
export function newAudits(
  { state, messages, base }: StorageSettleInput,
  pending: ReadonlyMap<string, PendingAudit>,
  debts: ReadonlyMap<string, Debt>,
): PendingAudit[] {
  const deals = dealIndex(state).byId
  const wanted = new Map<string, PendingAudit>()
  for (const { value } of messages.standing<Audit>(MessageType.audit)) {
    const key = hex(value.deal)
    // The set is in order of id: of two audits of one deal the lower id counts.
    if (!deals.has(key) || pending.has(key) || debts.has(key) || wanted.has(key)) continue
    wanted.set(key, { deal: value.deal, leaf: value.leaf, since: base.epoch })
  }
  const queues = new Map<number, Ranked[]>()
  const ranks = new Map<string, number>()
  for (const [key, audit] of wanted) {
    const { provider, client } = (deals.get(key) as KnownDeal).deal
    const account = `${provider}/${hex(client)}`
    const rank = ranks.get(account) ?? 0
    ranks.set(account, rank + 1)
    queues.set(provider, [...(queues.get(provider) ?? []), { audit, rank }])
  }
  const waiting = countByProvider(state, pending)
  return [...queues].flatMap(([provider, queue]) => {
    const room = base.profile.debtsPerChallenge - (waiting.get(provider) ?? 0)
    return queue
      .toSorted((a, b) => a.rank - b.rank)
      .slice(0, Math.max(0, room))
      .map(({ audit }) => audit)
  })
}

interface Ranked {
  readonly audit: PendingAudit
  /** How many of the same client's audits of this provider stand before it. */
  readonly rank: number
}

function countByProvider(
  state: StorageState,
  pending: ReadonlyMap<string, PendingAudit>,
): Map<number, number> {
  const deals = dealIndex(state).byId
  const counts = new Map<number, number>()
  for (const key of pending.keys()) {
    const provider = deals.get(key)?.deal.provider
    if (provider !== undefined) counts.set(provider, (counts.get(provider) ?? 0) + 1)
  }
  return counts
}
