/** How the messages of storage that belong to no epoch of their own are judged. */
import { ed25519 } from '#crypto'
import type { EpochBase, StandingRule } from '../../kind.ts'
import { MessageType } from '../../messages.ts'
import { dataLeaves } from '../../piece/piece.ts'
import { equalBytes, hex } from '../../ssz.ts'
import type { Verifier } from '../../verifier.ts'
import { Audit, auditSigningRoot } from './audit.ts'
import {
  Deal,
  dealSignatures,
  dealSigningRoot,
  isLive,
  isWellFormed,
  offersStorage,
} from './deal.ts'
import { canEnd, DealEnd, dealEndSigningRoot } from './deal-end.ts'
import { delegatedKeys, groupDeals } from './delegates.ts'
import { Delegation, delegationSigningRoot } from './delegation.ts'
import { isCovered } from './funds.ts'
import { dealIndex, delegationOf, type StorageState, struckIndex } from './state.ts'

/** The state of storage that is carried at a base. */
export type StateAt = (base: EpochBase) => StorageState

export function storageStanding(stateAt: StateAt): readonly StandingRule<unknown>[] {
  return [
    dealRule(stateAt),
    dealEndRule(stateAt),
    auditRule(stateAt),
    delegationRule(stateAt),
  ] as readonly StandingRule<unknown>[]
}

/**
 * A deal is taken in before it begins, so that one that ended is never taken in again, and not long
 * before, so that nobody keeps a place in the state for nothing.
 */
export function isTimely({ startEpoch }: Deal, { epoch, profile }: EpochBase): boolean {
  return startEpoch >= epoch && startEpoch <= epoch + profile.minDealEpochs
}

function dealRule(stateAt: StateAt): StandingRule<Deal> {
  return {
    type: MessageType.deal,
    codec: Deal,
    verify({ value: deal }, signature, base, verifier) {
      const signatures = dealSignatures(signature)
      if (signatures === undefined || !isWellFormed(deal, base.profile)) return 'no'
      const provider = base.node(deal.provider)
      if (provider === undefined || !offersStorage(provider)) return 'unknown'
      const root = dealSigningRoot(deal, base.network)
      if (!verifier.ed25519(root, provider.identity, signatures.provider)) return 'no'
      // A delegation may stand at another base than this one.
      return isDealSigned(deal, signatures.client, { base, state: stateAt(base), verifier })
        ? 'yes'
        : 'unknown'
    },
    pending({ id, value: deal }, base) {
      const state = stateAt(base)
      const key = hex(id)
      if (dealIndex(state).byId.has(key) || struckIndex(state).has(key)) return false
      return isTimely(deal, base) && isCovered(deal, base, { state })
    },
    account: ({ client }) => hex(client),
    fits({ value: deal }, others, base) {
      const state = stateAt(base)
      const carried = dealIndex(state).byId
      const waiting = others.filter(({ id }) => !carried.has(hex(id))).map(({ value }) => value)
      return isCovered(deal, base, { state, waiting })
    },
  }
}

function dealEndRule(stateAt: StateAt): StandingRule<DealEnd> {
  const dealOf = ({ deal: id }: DealEnd, base: EpochBase) =>
    dealIndex(stateAt(base)).byId.get(hex(id))?.deal
  return {
    type: MessageType.dealEnd,
    codec: DealEnd,
    verify({ value }, signature, base, verifier) {
      const deal = dealOf(value, base)
      const provider = deal && base.node(deal.provider)
      if (deal === undefined || provider === undefined) return 'unknown'
      const signatures = dealSignatures(signature)
      if (signatures === undefined) return 'no'
      const root = dealEndSigningRoot(value, base.network)
      const signed =
        verifier.ed25519(root, provider.identity, signatures.provider) &&
        isClient(deal, root, signatures.client, verifier)
      return signed ? 'yes' : 'no'
    },
    pending({ value }, base) {
      const deal = dealOf(value, base)
      return deal !== undefined && canEnd(deal, base.epoch)
    },
    // There is at most one of each deal, and that was paid for.
    account: () => '',
  }
}

function auditRule(stateAt: StateAt): StandingRule<Audit> {
  const dealOf = ({ deal: id }: Audit, base: EpochBase) =>
    dealIndex(stateAt(base)).byId.get(hex(id))?.deal
  return {
    type: MessageType.audit,
    codec: Audit,
    verify({ value }, signature, base, verifier) {
      const deal = dealOf(value, base)
      if (deal === undefined) return 'unknown'
      if (!equalBytes(value.client, deal.client) || value.leaf >= dataLeaves(deal.piece))
        return 'no'
      return isClient(deal, auditSigningRoot(value, base.network), signature, verifier)
        ? 'yes'
        : 'no'
    },
    pending({ value }, base) {
      const deal = dealOf(value, base)
      return value.epoch === base.epoch && deal !== undefined && isLive(deal, base.epoch)
    },
    account: ({ client }) => hex(client),
    // One for a deal and epoch: a client that signs many has one of them kept by each node.
    fits: ({ value: { deal, epoch } }, waiting) =>
      waiting.every(({ value }) => value.epoch !== epoch || !equalBytes(value.deal, deal)),
  }
}

function delegationRule(stateAt: StateAt): StandingRule<Delegation> {
  return {
    type: MessageType.delegation,
    codec: Delegation,
    verify({ value }, signature, base, verifier) {
      const { delegates } = value
      if (new Set(delegates).size !== delegates.length) return 'no'
      if (delegates.some(index => base.node(index) === undefined)) return 'unknown'
      const root = delegationSigningRoot(value, base.network)
      return isClient(value, root, signature, verifier) ? 'yes' : 'no'
    },
    pending({ value }, base) {
      const state = stateAt(base)
      const before = delegationOf(state, value)?.sequence ?? 0
      return value.sequence > before && groupDeals(state, value).length > 0
    },
    account: ({ client }) => hex(client),
    // One for a group at a time: the next when a checkpoint holds it.
    fits: ({ value: { group } }, waiting) =>
      waiting.every(({ value }) => !equalBytes(value.group, group)),
  }
}

/** True iff the client, or a delegate of its group at the base, signed the deal on the client's side. */
export function isDealSigned(
  deal: Deal,
  signature: Uint8Array,
  { base, state, verifier }: { base: EpochBase; state: StorageState; verifier: Verifier },
): boolean {
  const root = dealSigningRoot(deal, base.network)
  if (isClient(deal, root, signature, verifier)) return true
  const keys = delegatedKeys(deal, base, state)
  return keys.some(key => verifier.ed25519(root, key, signature))
}

function isClient(
  { client }: Pick<Deal, 'client'>,
  root: Uint8Array,
  signature: Uint8Array,
  verifier: Verifier,
): boolean {
  return verifier.ed25519(root, client, signature) && ed25519.isValidKey(client)
}
