/**
 * Who delivered to strangers. A provider that did not, for more than half of the epoch's fetches by at
 * least two operators, has served nobody: a share of what serving earns is for those who serve anyone.
 */
import type { EpochBase, KnownMessages } from '../../kind.ts'
import { MessageType } from '../../messages.ts'
import { hex } from '../../ssz.ts'
import { STORAGE } from './deal.ts'
import {
  type StrangerFetch,
  StrangerOutcome,
  type StrangerOutcomeName,
  strangerOutcomeName,
} from './stranger.ts'

/** One operator alone, whatever it says, costs nobody anything. */
const OPERATORS_MIN = 2

/** What strangers got of one provider. */
export interface StrangersOf {
  readonly node: number
  readonly fetches: number
  readonly failed: number
  /** Operators whose verifiers' fetches failed. */
  readonly operators: number
  /** What most of the failed ones came to, the lowest code among equals; undefined: none failed. */
  readonly reason: StrangerOutcomeName | undefined
  /** Counts as one that served nobody. */
  readonly refusing: boolean
}

/** By ascending node; only those of whom anything was said. */
export function settleStrangers({
  base,
  messages,
}: {
  base: EpochBase
  messages: KnownMessages
}): StrangersOf[] {
  const byTarget = new Map<number, StrangerFetch[]>()
  for (const { value } of messages.ofType<StrangerFetch>(MessageType.strangerFetch, STORAGE)) {
    byTarget.set(value.target, [...(byTarget.get(value.target) ?? []), value])
  }
  return [...byTarget]
    .sort(([a], [b]) => a - b)
    .map(([node, fetches]) => {
      const failed = fetches.filter(({ outcome }) => outcome !== StrangerOutcome.given)
      const operators = new Set(failed.map(({ author }) => operatorOf(author, base))).size
      const refusing = 2 * failed.length > fetches.length && operators >= OPERATORS_MIN
      const counts = { fetches: fetches.length, failed: failed.length, operators }
      return { node, ...counts, reason: mostOf(failed), refusing }
    })
}

function operatorOf(author: number, base: EpochBase): string {
  const entry = base.node(author)
  return entry === undefined ? '' : hex(entry.operator)
}

function mostOf(fetches: readonly StrangerFetch[]): StrangerOutcomeName | undefined {
  const counts = new Map<number, number>()
  for (const { outcome } of fetches) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  const [most] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])
  return most && strangerOutcomeName(most[0])
}
