/**
 * The genesis checkpoint: committee and initial deals, empty otherwise. It is posted with
 * `Checkpoints.start`; nodes read its state from the file that comes with the manifest.
 */
import { type Checkpoint, COUNTED_KINDS, COUNTED_TYPES, GENESIS_EPOCH } from './checkpoint.ts'
import type { Kind } from './kind.ts'
import { payoutLeaves } from './settle/settle.ts'
import type { State } from './settle/state.ts'
import { ListDepth, listRoot } from './tree.ts'

export interface GenesisInit {
  state: State
  kinds: readonly Kind<unknown>[]
  /** Word of the committee of epoch 0. */
  committee: Uint8Array
  rulesVersion: number
  /**
   * The block that the first epochs rest on: the committee of epoch 0 are its nodes, whoever comes
   * later. Absent: that of the start.
   */
  base?: Checkpoint['base']
}

export function genesisCheckpoint({
  state,
  kinds,
  committee,
  rulesVersion,
  base = { number: 0n, hash: new Uint8Array(32) },
}: GenesisInit): Checkpoint {
  const withDeals = kinds.find(kind => kind.dealsRoot !== undefined)
  return {
    epoch: GENESIS_EPOCH,
    base,
    parent: new Uint8Array(32),
    messages: listRoot([], ListDepth.messages),
    state: state.root(),
    payouts: listRoot(payoutLeaves(state), ListDepth.payouts),
    penalties: listRoot([], ListDepth.penalties),
    deals: withDeals?.dealsRoot?.(state.of(withDeals)) ?? listRoot([], ListDepth.deals),
    counts: {
      messages: new Array<number>(COUNTED_TYPES).fill(0),
      verdicts: new Array<number>(3 * COUNTED_KINDS).fill(0),
    },
    earnedTotal: 0n,
    spentTotal: 0n,
    nextCommittee: committee,
    rulesVersion,
  }
}
