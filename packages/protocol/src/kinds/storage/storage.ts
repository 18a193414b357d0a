/**
 * The proof kind `storage`: providers prove, leaf by leaf, that they can produce the pieces of their
 * deals.
 */
import { ed25519 } from '#crypto'
import { drawnSlot } from '../../challenge.ts'
import type { EpochBase, Kind, SettleInput, StandingRule } from '../../kind.ts'
import { type Challenge, MessageType } from '../../messages.ts'
import { hex } from '../../ssz.ts'
import {
  Deal,
  dealSignatures,
  dealSigningRoot,
  isWellFormed,
  offersStorage,
  STORAGE,
} from './deal.ts'
import { checkStorageEvidence } from './evidence.ts'
import { type AskedLeaf, askedLeaves, type Inventory, inventoryOf } from './question.ts'
import { type StorageSettlement, settleStorage } from './settle.ts'
import { dealIndex, dealsRoot, emptyStorageState, StorageState } from './state.ts'

export interface StorageKind extends Kind<StorageState> {
  settle(input: SettleInput<StorageState>): StorageSettlement
}

const dealRule: StandingRule<Deal> = {
  type: MessageType.deal,
  codec: Deal,
  verify({ value: deal }, signature, base, verifier) {
    const signatures = dealSignatures(signature)
    if (signatures === undefined || !isWellFormed(deal, base.profile)) return 'no'
    const provider = base.node(deal.provider)
    if (provider === undefined || !offersStorage(provider)) return 'unknown'
    const root = dealSigningRoot(deal, base.network)
    const signed =
      verifier.ed25519(root, provider.identity, signatures.provider) &&
      verifier.ed25519(root, deal.client, signatures.client) &&
      ed25519.isValidKey(deal.client)
    return signed ? 'yes' : 'no'
  },
  pending({ id, value: deal }, base) {
    const known = dealIndex(base.state(storageKind)).byId.has(hex(id))
    return !known && isTimely(deal, base) && isCovered(deal, base)
  },
}

export const storageKind: StorageKind = {
  code: STORAGE,
  name: 'storage',
  stateCodec: StorageState,
  emptyState: emptyStorageState,
  targets: base =>
    base.nodes.map(({ index }) => index).filter(index => storageInventory(base, index).leaves > 0),
  revealSlot: (base, _, output) => drawnSlot(output, base.profile.storageReveal),
  needless: () => false,
  messages: [],
  standing: [dealRule as StandingRule<unknown>],
  checkEvidence: checkStorageEvidence,
  settle: input => settleStorage({ ...input, baseState: input.base.state(storageKind) }),
  dealsRoot,
}

/** What a provider is asked about in the epoch of this base. */
export function storageInventory(base: EpochBase, provider: number): Inventory {
  return inventoryOf(base.state(storageKind), provider, base.epoch)
}

/** The leaves that a valid challenge asks its target for. */
export function storageQuestion(
  { target, output }: Pick<Challenge, 'target' | 'output'>,
  base: EpochBase,
): AskedLeaf[] {
  return askedLeaves(storageInventory(base, target), output)
}

/**
 * A deal is taken in before it begins, so that one that ended is never taken in again, and not long
 * before, so that nobody keeps a place in the state for nothing.
 */
export function isTimely({ startEpoch }: Deal, { epoch, profile }: EpochBase): boolean {
  return startEpoch >= epoch && startEpoch <= epoch + profile.minDealEpochs
}

/** The deposit at the base pays all of the client's deals and this one for `minDealEpochs`. */
export function isCovered({ client, pricePerEpoch }: Deal, base: EpochBase): boolean {
  const key = hex(client)
  const committed = dealIndex(base.state(storageKind)).committed.get(key) ?? 0n
  const needed = (committed + pricePerEpoch) * BigInt(base.profile.minDealEpochs)
  return needed <= (base.deposits.get(key)?.amount ?? 0n)
}
