/**
 * A deal: a client's and a provider's agreement to keep one piece. Both sign the same root; the
 * provider only after it has hashed the piece itself.
 */
import { type Envelope, MessageType, messageId, messageSigningRoot } from '../../messages.ts'
import { PIECE_PAYLOAD_MAX, Piece } from '../../piece/piece.ts'
import type { RegistryEntry } from '../../registry.ts'
import { Bytes32, ContainerType, Uint32, Uint64, Uint128, type ValueOf } from '../../ssz.ts'

/** Kind code of storage on the wire and in the registry's bits. */
export const STORAGE = 1

const SIGNATURE_BYTES = 64
/** The client's Ed25519 signature, then the provider's. */
export const DEAL_SIGNATURE_BYTES = 2 * SIGNATURE_BYTES

export const Deal = new ContainerType(
  {
    /** Ed25519 deal key, whose deposit pays. */
    client: Bytes32,
    /** Node index. */
    provider: Uint32,
    piece: Piece,
    /** Groups the pieces of one upload; random, so that it tells nothing of the client. */
    group: Bytes32,
    place: Uint32,
    /** Live from `startEpoch` up to, not including, `endEpoch`. */
    startEpoch: Uint32,
    endEpoch: Uint32,
    /** Base units. */
    pricePerEpoch: Uint128,
    nonce: Uint64,
  },
  { typeName: 'Deal' },
)
export type Deal = ValueOf<typeof Deal>

/** The id of the deal's message: a hash of the deal without signatures. */
export function dealId(deal: Deal): Uint8Array {
  return messageId(unsigned(deal))
}

/** The 32 bytes that the client's and the provider's key sign. */
export function dealSigningRoot(deal: Deal, network: Uint8Array): Uint8Array {
  return messageSigningRoot(unsigned(deal), network)
}

export interface DealSignatures {
  /** 64 bytes each. */
  client: Uint8Array
  provider: Uint8Array
}

export function dealEnvelope(deal: Deal, signatures: DealSignatures): Envelope {
  return { ...unsigned(deal), signature: joinSignatures(signatures) }
}

export function joinSignatures({ client, provider }: DealSignatures): Uint8Array {
  const signature = new Uint8Array(DEAL_SIGNATURE_BYTES)
  signature.set(client)
  signature.set(provider, SIGNATURE_BYTES)
  return signature
}

/** Of a deal or its end; undefined unless both are there. */
export function dealSignatures(signature: Uint8Array): DealSignatures | undefined {
  if (signature.length !== DEAL_SIGNATURE_BYTES) return undefined
  return {
    client: signature.slice(0, SIGNATURE_BYTES),
    provider: signature.slice(SIGNATURE_BYTES),
  }
}

export function isLive({ startEpoch, endEpoch }: Deal, epoch: number): boolean {
  return startEpoch <= epoch && epoch < endEpoch
}

/** What holds of a deal at every base: a size, a price, and at least `minDealEpochs`. */
export function isWellFormed(deal: Deal, { minDealEpochs }: { minDealEpochs: number }): boolean {
  const { payload } = deal.piece
  return (
    payload > 0 &&
    payload <= PIECE_PAYLOAD_MAX &&
    deal.pricePerEpoch > 0n &&
    deal.endEpoch - deal.startEpoch >= minDealEpochs
  )
}

export function offersStorage({ kinds }: Pick<RegistryEntry, 'kinds'>): boolean {
  return ((kinds >>> STORAGE) & 1) === 1
}

function unsigned(deal: Deal): Pick<Envelope, 'type' | 'body'> {
  return { type: MessageType.deal, body: Deal.serialize(deal) }
}
