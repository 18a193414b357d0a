/**
 * What a client gives a delegate: the pieces of a group, how many suffice, and the key that unmasks them. With
 * it a piece is made again for its own place; what lies beneath the mask is the sealed stream, which it
 * does not open.
 */
import {
  Bytes32,
  Bytes64,
  ContainerType,
  DomainType,
  Piece,
  PLACES_MAX,
  signingRoot,
  Uint8,
  Uint16,
  type ValueOf,
} from '@cairn/protocol'
import { ListCompositeType } from '@chainsafe/ssz'

export const ENTRUST_PROTOCOL = 'entrust'

export const Entrusting = new ContainerType(
  {
    /** The deals' Ed25519 key. */
    client: Bytes32,
    group: Bytes32,
    /** By place. */
    pieces: new ListCompositeType(Piece, PLACES_MAX),
    /** k: pieces that suffice. */
    data: Uint16,
    /** 0: the same piece at every place, as it is; the key is zero. */
    masked: Uint8,
    /** `groupKey`. */
    key: Bytes32,
  },
  { typeName: 'Entrusting' },
)
export type Entrusting = ValueOf<typeof Entrusting>

export const SignedEntrusting = new ContainerType(
  { value: Entrusting, signature: Bytes64 },
  { typeName: 'SignedEntrusting' },
)

/** The whole answer: taken. */
export const TAKEN = Uint8Array.of(1)

/** The 32 bytes that the client's key signs. */
export function entrustingRoot(value: Entrusting, network: Uint8Array): Uint8Array {
  return signingRoot(DomainType.entrusting, network, Entrusting.hashTreeRoot(value))
}
