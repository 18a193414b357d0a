/**
 * Receipts for bytes delivered. What a client's deal key signs is cumulative: all bytes that one
 * provider has delivered to it so far, so that only the latest counts and none counts twice. The
 * provider says it in the epoch in which it wants to be paid: at most once per client and epoch.
 */
import { ed25519, sha256 } from '#crypto'
import { DomainType, signingRoot } from '../../domain.ts'
import type { EpochBase, MessageRule } from '../../kind.ts'
import { epochFields, MessageType } from '../../messages.ts'
import type { Profile } from '../../profile.ts'
import { feeOf, type Tariff } from '../../settle/claims.ts'
import {
  ByteListType,
  Bytes32,
  Bytes64,
  ContainerType,
  hex,
  Uint32,
  Uint64,
  type ValueOf,
} from '../../ssz.ts'
import type { Verifier } from '../../verifier.ts'
import { offersStorage } from './deal.ts'
import { type StorageState, servedBytes } from './state.ts'

const GIB = 2n ** 30n

/** What the client signs. */
export const Delivered = new ContainerType(
  {
    /** Ed25519 deal key, whose deposit pays. */
    client: Bytes32,
    /** Node index. */
    provider: Uint32,
    /** Delivered by this provider under this key since the beginning. */
    bytes: Uint64,
  },
  { typeName: 'Delivered' },
)
export type Delivered = ValueOf<typeof Delivered>

/** The author is the provider. */
export const Receipt = new ContainerType(
  {
    ...epochFields,
    client: Bytes32,
    bytes: Uint64,
    /** The client's, of `Delivered`. */
    signature: Bytes64,
  },
  { typeName: 'Receipt' },
)
export type Receipt = ValueOf<typeof Receipt>

/** The 32 bytes that the client's key signs. */
export function deliveredSigningRoot(delivered: Delivered, network: Uint8Array): Uint8Array {
  return signingRoot(DomainType.delivered, network, sha256(Delivered.serialize(delivered)))
}

export function isDeliveredSigned(
  delivered: Delivered,
  signature: Uint8Array,
  network: Uint8Array,
  verifier: Verifier,
): boolean {
  const root = deliveredSigningRoot(delivered, network)
  const { client } = delivered
  return verifier.ed25519(root, client, signature) && ed25519.isValidKey(client)
}

/** A peer's id is a text of at most so many bytes. */
const PEER_ID_MAX_BYTES = 128

const Introduction = new ContainerType(
  { client: Bytes32, provider: Uint32, peer: new ByteListType(PEER_ID_MAX_BYTES) },
  { typeName: 'Introduction' },
)
export interface Introduction {
  client: Uint8Array
  /** Node index. */
  provider: number
  /** Peer id in its text form. */
  peer: string
}

/**
 * The 32 bytes that the client's key signs to say that a peer fetches on its account. Receipts are
 * public: without this anybody could fetch in another's name.
 */
export function introductionSigningRoot(
  { peer, ...rest }: Introduction,
  network: Uint8Array,
): Uint8Array {
  const bytes = Introduction.serialize({ ...rest, peer: new TextEncoder().encode(peer) })
  return signingRoot(DomainType.introduction, network, sha256(bytes))
}

/** What bytes delivered cost. */
export function servedTariff({ servedPrice }: Pick<Profile, 'servedPrice'>): Tariff {
  return { price: servedPrice, per: GIB }
}

/** Base units. */
export function servedFee(bytes: bigint, profile: Pick<Profile, 'servedPrice'>): bigint {
  return feeOf(bytes, servedTariff(profile))
}

/** What a receipt claims beyond what the base has counted, in bytes; not positive: nothing. */
export function claimedBytes(
  { author, client, bytes }: Pick<Receipt, 'author' | 'client' | 'bytes'>,
  state: StorageState,
): bigint {
  return bytes - servedBytes(state, client, author)
}

/** `stateAt`: the carried state at the base, where the bytes stand that were paid. */
export function receiptRule(stateAt: (base: EpochBase) => StorageState): MessageRule<Receipt> {
  return {
    type: MessageType.receipt,
    codec: Receipt,
    subject: ({ client }) => hex(client),
    duty: (receipt, base) => (isClaimable(receipt, base, stateAt(base)) ? 'yes' : 'no'),
    window: (_, { profile }) => [0, profile.slotsPerEpoch - 1],
    verify: ({ author, client, bytes, signature }, base, verifier) =>
      isDeliveredSigned({ client, provider: author, bytes }, signature, base.network, verifier),
  }
}

/**
 * Worth a message to everybody, and covered by what the client's deposit has left at the base.
 */
export function isClaimable(
  receipt: Pick<Receipt, 'author' | 'client' | 'bytes'>,
  base: EpochBase,
  state: StorageState,
): boolean {
  const provider = base.node(receipt.author)
  if (provider === undefined || !offersStorage(provider)) return false
  const claimed = claimedBytes(receipt, state)
  if (claimed < BigInt(base.profile.receiptBytes)) return false
  return servedFee(claimed, base.profile) <= base.available(hex(receipt.client))
}
