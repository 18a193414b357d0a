/** Who earned what by what in one epoch: every base unit that a settlement pays, once. */
import type { EpochBase } from '../kind.ts'
import { hex } from '../ssz.ts'
import type { Settlement } from './settle.ts'

export const VOTES = 'votes'
export const LANDING = 'landing'

/** What a node earned by a kind (by its name) or by `votes`, or an account by `landing`. */
export interface EarnedPart {
  readonly source: string
  /** Absent: nobody's node, but the account itself. */
  readonly node?: number
  /** Account that it is paid to, in hexadecimal. */
  readonly account: string
  /** Base units. */
  readonly amount: bigint
}

export type Paid = Pick<Settlement, 'kinds' | 'votes' | 'landings'>

/** In order of kind, then votes, then landing. The parts of an account are what its leaf grew by. */
export function earnedParts({ kinds, votes, landings }: Paid, base: EpochBase): EarnedPart[] {
  const ofNodes = (source: string, amounts: ReadonlyMap<number, bigint>) =>
    [...amounts].map(([node, amount]) => {
      const account = hex(base.node(node)?.payout ?? new Uint8Array())
      return { source, node, account, amount }
    })
  return [
    ...kinds.flatMap(({ name, earnings }) => ofNodes(name, earnings)),
    ...ofNodes(VOTES, votes),
    ...[...landings].map(([account, amount]) => ({ source: LANDING, account, amount })),
  ]
}
