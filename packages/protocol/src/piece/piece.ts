/**
 * A piece: up to 127/128 GiB of payload under a Filecoin piece commitment (FRC-0069). The payload
 * is spread by fr32 over 32-byte leaves of 254 bits, the leaves are padded with zeros to a power of
 * two, and a binary SHA-256 tree stands above them in which every node is truncated to 254 bits.
 */
import { check } from '../errors.ts'
import { Bytes32, ContainerType, hex, Uint32, type ValueOf } from '../ssz.ts'

/** Bytes of a node and of a leaf, padding bits included. */
export const NODE_BYTES = 32
/** Payload bits that a leaf carries. */
const LEAF_BITS = 254
/** fr32 turns 127 bytes of payload into 128. */
export const QUAD_PAYLOAD = 127
export const QUAD_BYTES = 128
const QUAD_HEIGHT = 2

/** Levels above the leaves of the largest piece: 2^25 leaves are 1 GiB. */
export const HEIGHT_MAX = 25
export const PIECE_PAYLOAD_MAX = payloadCapacity(HEIGHT_MAX)

/** Height of the subtrees whose roots are kept beside a piece: 64 KiB of padded data each. */
export const SUBTREE_HEIGHT = 11
export const SUBTREE_PAYLOAD = payloadCapacity(SUBTREE_HEIGHT)

/** `payload` is its length in bytes; together with the root it is what a piece CID v2 says. */
export const Piece = new ContainerType({ root: Bytes32, payload: Uint32 }, { typeName: 'Piece' })
export type Piece = ValueOf<typeof Piece>

/** Payload bytes that fit under a tree of this height (at least 2). */
export function payloadCapacity(height: number): number {
  return QUAD_PAYLOAD * 2 ** (height - QUAD_HEIGHT)
}

/** Throws `pieceSize` for a length no piece has. */
export function checkPayload(payload: number): void {
  check(
    Number.isInteger(payload) && payload >= 0 && payload <= PIECE_PAYLOAD_MAX,
    'pieceSize',
    `a piece has 0 to ${PIECE_PAYLOAD_MAX} bytes, found ${payload}`,
    { facts: { payload, max: PIECE_PAYLOAD_MAX }, next: 'split the data into smaller pieces' },
  )
}

/** Levels above the leaves: of the smallest tree that holds the payload, at least 127 bytes. */
export function treeHeight({ payload }: Pick<Piece, 'payload'>): number {
  let height = QUAD_HEIGHT
  while (payloadCapacity(height) < payload) height++
  return height
}

/** Leaves that carry payload; those of padding alone are not counted, nor ever asked for. */
export function dataLeaves({ payload }: Pick<Piece, 'payload'>): number {
  return Math.ceil((8 * payload) / LEAF_BITS)
}

export function subtreeHeight(piece: Pick<Piece, 'payload'>): number {
  return Math.min(SUBTREE_HEIGHT, treeHeight(piece))
}

/** Subtrees with payload in them: at least one, also for an empty piece. */
export function subtreeCount({ payload }: Pick<Piece, 'payload'>): number {
  return Math.max(1, Math.ceil(payload / SUBTREE_PAYLOAD))
}

/** The payload bytes under the subtree that a leaf stands in. */
export function subtreeRange(
  { payload }: Pick<Piece, 'payload'>,
  leaf: number,
): { offset: number; length: number } {
  const offset = Math.floor(leaf / 2 ** SUBTREE_HEIGHT) * SUBTREE_PAYLOAD
  return { offset, length: Math.max(0, Math.min(SUBTREE_PAYLOAD, payload - offset)) }
}

/** Names a piece in maps: equal for equal pieces. */
export function pieceKey(piece: Piece): string {
  return `${hex(piece.root)}/${piece.payload}`
}
