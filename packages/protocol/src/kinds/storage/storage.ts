/**
 * The proof kind `storage`: providers prove, leaf by leaf, that they can produce the pieces of their
 * deals.
 */
import { drawnSlot } from '../../challenge.ts'
import type { EpochBase, Kind, MessageRule, SettleInput } from '../../kind.ts'
import type { Challenge, EpochMessage } from '../../messages.ts'
import { STORAGE } from './deal.ts'
import { checkStorageEvidence } from './evidence.ts'
import { type AskedLeaf, askedOf, type Inventory, inventoryOf } from './question.ts'
import { receiptRule } from './receipt.ts'
import { type StorageSettlement, settleStorage } from './settle.ts'
import { type StateAt, storageStanding } from './standing.ts'
import { dealsRoot, emptyStorageState, StorageState } from './state.ts'
import { strangerRule } from './stranger.ts'

export interface StorageKind extends Kind<StorageState> {
  settle(input: SettleInput<StorageState>): StorageSettlement
}

const stateAt: StateAt = base => base.state(storageKind)

export const storageKind: StorageKind = {
  code: STORAGE,
  name: 'storage',
  stateCodec: StorageState,
  emptyState: emptyStorageState,
  targets: base =>
    base.nodes.map(({ index }) => index).filter(index => storageInventory(base, index).leaves > 0),
  revealSlot: (base, _, output) => drawnSlot(output, base.profile.storageReveal),
  needless: () => false,
  messages: [
    receiptRule(stateAt) as unknown as MessageRule<EpochMessage>,
    strangerRule((base, node) =>
      base.isTarget(storageKind, node),
    ) as unknown as MessageRule<EpochMessage>,
  ],
  standing: storageStanding(stateAt),
  checkEvidence: checkStorageEvidence,
  settle: input => settleStorage({ ...input, baseState: stateAt(input.base) }),
  dealsRoot,
}

/** What a provider is asked about in the epoch of this base. */
export function storageInventory(base: EpochBase, provider: number): Inventory {
  return inventoryOf(stateAt(base), provider, base.epoch)
}

/** The leaves that a valid challenge asks its target for: twenty new ones, then debts. */
export function storageQuestion(
  { author, target, output }: Pick<Challenge, 'author' | 'target' | 'output'>,
  base: EpochBase,
): AskedLeaf[] {
  const { challengers } = base.duty(STORAGE, target)
  return askedOf(base.state(storageKind), storageInventory(base, target), {
    output,
    order: challengers.indexOf(author),
    challengers: challengers.length,
    most: base.profile.debtsPerChallenge,
  })
}
