/**
 * Ranges of a piece with proof. A range is a row of whole subtrees of 64 KiB, 65,024 bytes of payload
 * each; beside its bytes stand the roots that lead from the row to the piece's root. On each level
 * that is the neighbour to the left, where the row begins with a right child, and the neighbour to
 * the right, where it ends with a left one: at most two for a level, the lowest level first. A
 * neighbour under which there is no payload is known to everybody and is not sent, so a range has
 * one proof. Whoever receives a range knows at once that it is the piece's, and needs no other.
 */
import { ListCompositeType } from '@chainsafe/ssz'
import { CairnError, invariant } from '../errors.ts'
import {
  ByteListType,
  Bytes32,
  ContainerType,
  concatBytes,
  equalBytes,
  Uint32,
  type ValueOf,
} from '../ssz.ts'
import { fr32Leaves } from './fr32.ts'
import {
  HEIGHT_MAX,
  NODE_BYTES,
  PIECE_PAYLOAD_MAX,
  Piece,
  SUBTREE_HEIGHT,
  SUBTREE_PAYLOAD,
  subtreeCount,
  subtreeHeight,
  treeHeight,
} from './piece.ts'
import { nodeAt, topOf, type UpperTree } from './tree.ts'

/** Subtrees of one answer: 1 MiB of padded data, which fits in a frame with its proof. */
export const RANGE_SUBTREES_MAX = 16
/** Payload bytes of one answer at most: 1,040,384. */
export const RANGE_BYTES = RANGE_SUBTREES_MAX * SUBTREE_PAYLOAD
/** A neighbour on either side of each level above the subtrees. */
const NEIGHBOURS_MAX = 2 * (HEIGHT_MAX - SUBTREE_HEIGHT)

/** What is asked for: bytes `offset` to `offset + length` of the payload. */
export const PieceRange = new ContainerType(
  { piece: Piece, offset: Uint32, length: Uint32 },
  { typeName: 'PieceRange' },
)
export type PieceRange = ValueOf<typeof PieceRange>

/** The answer: the payload of the enclosing range, and its proof. */
export const RangeProof = new ContainerType(
  {
    payload: new ByteListType(RANGE_BYTES),
    neighbours: new ListCompositeType(Bytes32, NEIGHBOURS_MAX),
  },
  { typeName: 'RangeProof' },
)
export type RangeProof = ValueOf<typeof RangeProof>

/** Offsets of the two lists, u32 each. */
const HEAD_BYTES = 8

/**
 * What `decode` gives, without its two copies of the payload: the parts are views of the bytes, and
 * both offsets are the only ones that they can have, so there is one encoding. Throws `badLength` and
 * `badEncoding`.
 */
export function decodeRangeProof(bytes: Uint8Array): RangeProof {
  const { minSize: min, maxSize: max } = RangeProof
  if (bytes.length < min || bytes.length > max) {
    throw new CairnError('badLength', `RangeProof: expected ${min} to ${max} bytes`, {
      facts: { min, max, found: bytes.length },
    })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES)
  const middle = view.getUint32(4, true)
  const rest = bytes.length - middle
  const count = rest / NODE_BYTES
  const valid =
    view.getUint32(0, true) === HEAD_BYTES &&
    middle >= HEAD_BYTES &&
    middle <= HEAD_BYTES + RANGE_BYTES &&
    Number.isInteger(count) &&
    count >= 0 &&
    count <= NEIGHBOURS_MAX
  if (!valid) throw new CairnError('badEncoding', 'RangeProof: not a valid encoding')
  // Never a Buffer, whose `slice` is a view.
  const part = (at: number, length: number) =>
    new Uint8Array(bytes.buffer, bytes.byteOffset + at, length)
  return {
    payload: part(HEAD_BYTES, middle - HEAD_BYTES),
    neighbours: Array.from({ length: count }, (_, i) => part(middle + i * NODE_BYTES, NODE_BYTES)),
  }
}

/**
 * The least row of whole subtrees around a range, which is what is served. Throws `badRange` for one
 * that is empty, not within the piece, or longer than an answer may be.
 */
export function enclosingRange({ piece, offset, length }: PieceRange): PieceRange {
  const end = offset + length
  const whole = Number.isInteger(offset) && Number.isInteger(length)
  if (!whole || offset < 0 || length < 1 || end > piece.payload) {
    throw new CairnError('badRange', 'the range is empty or not within the piece', {
      facts: { offset, length, payload: piece.payload },
    })
  }
  const start = SUBTREE_PAYLOAD * Math.floor(offset / SUBTREE_PAYLOAD)
  const stop = Math.min(piece.payload, SUBTREE_PAYLOAD * Math.ceil(end / SUBTREE_PAYLOAD))
  if (stop - start > RANGE_BYTES) {
    throw new CairnError('badRange', 'the range touches more subtrees than an answer holds', {
      facts: { offset, length, bytes: stop - start, max: RANGE_BYTES },
      next: 'ask for shorter ranges',
    })
  }
  return { piece, offset: start, length: stop - start }
}

/**
 * The next range to ask for on the way from `offset` to `end`: whole subtrees, cut where the tree
 * has its larger nodes, so that proofs stay short.
 */
export function rangeFrom(piece: Piece, offset: number, end: number): PieceRange {
  const stop = Math.min(end, RANGE_BYTES * (Math.floor(offset / RANGE_BYTES) + 1))
  return enclosingRange({ piece, offset, length: stop - offset })
}

/** The nodes that prove an enclosing range. */
export function rangeNeighbours(tree: UpperTree, range: PieceRange): Uint8Array[] {
  const neighbours: Uint8Array[] = []
  for (const { height, left, right } of steps(range)) {
    const level = tree.levels[height - subtreeHeight(range.piece)]
    invariant(level !== undefined, 'the tree is that of the piece')
    for (const place of [left, right]) {
      if (place !== undefined) neighbours.push(nodeAt(level, height, place))
    }
  }
  return neighbours
}

/** True iff the proof's bytes are those of the piece at an enclosing range. Never throws. */
export function verifyRange(range: PieceRange, { payload, neighbours }: RangeProof): boolean {
  if (!isEnclosing(range) || payload.length !== range.length) return false
  const { piece } = range
  const below = subtreeHeight(piece)
  let row = topOf(fr32Leaves(payload), 0, below)
  let used = 0
  const given = (place: number | undefined) =>
    place === undefined ? new Uint8Array(0) : (neighbours[used++] ?? new Uint8Array(0))
  for (const { height, left, right } of steps(range)) {
    row = concatBytes([given(left), row, given(right)])
    if (row.length % NODE_BYTES !== 0) return false
    row = topOf(row, height, height + 1)
  }
  return used === neighbours.length && equalBytes(row, piece.root)
}

interface Step {
  /** Levels above the leaves. */
  height: number
  /** Places of the row's neighbours that are needed to go one level up. */
  left: number | undefined
  right: number | undefined
}

function* steps({ piece, offset, length }: PieceRange): Generator<Step> {
  let first = offset / SUBTREE_PAYLOAD
  let last = Math.ceil((offset + length) / SUBTREE_PAYLOAD) - 1
  let nodes = subtreeCount(piece)
  for (let height = subtreeHeight(piece); height < treeHeight(piece); height++) {
    yield {
      height,
      left: first % 2 === 1 ? first - 1 : undefined,
      right: last % 2 === 0 && last + 1 < nodes ? last + 1 : undefined,
    }
    first = Math.floor(first / 2)
    last = Math.floor(last / 2)
    nodes = Math.ceil(nodes / 2)
  }
}

function isEnclosing({ piece, offset, length }: PieceRange): boolean {
  const end = offset + length
  return (
    piece.payload <= PIECE_PAYLOAD_MAX &&
    Number.isInteger(offset) &&
    Number.isInteger(length) &&
    offset >= 0 &&
    offset % SUBTREE_PAYLOAD === 0 &&
    length >= 1 &&
    length <= RANGE_BYTES &&
    (end === piece.payload || (end < piece.payload && end % SUBTREE_PAYLOAD === 0))
  )
}
