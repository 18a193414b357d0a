/**
 * The tree above a piece's leaves. A node is SHA-256 of its two children with the upper two bits of
 * the last byte cleared, on every level.
 */
import { sha256Pairs } from '#crypto'
import { CairnError, invariant } from '../errors.ts'
import { equalBytes } from '../ssz.ts'
import { fr32Pad } from './fr32.ts'
import {
  dataLeaves,
  HEIGHT_MAX,
  NODE_BYTES,
  type Piece,
  SUBTREE_HEIGHT,
  subtreeCount,
  subtreeHeight,
  subtreeRange,
  treeHeight,
} from './piece.ts'

const TRUNCATION_MASK = 0x3f
/** The highest tree of zeros that is known; Filecoin's largest sectors have one of 31 levels. */
const ZERO_HEIGHT_MAX = 31

/** Parents of the leaves of 16 subtrees, which are hashed at once. */
const SCRATCH_BYTES = 512 * 1024
const scratches: Uint8Array[] = []

const ZERO_ROOTS = zeroRoots()

/** What stands above a piece's subtrees of 64 KiB: with it any part of the piece can be proven. */
export interface UpperTree {
  readonly piece: Piece
  /** From the subtrees' roots up to the piece's, 32 bytes each. */
  readonly levels: readonly Uint8Array[]
}

export interface LeafProofInit {
  tree: UpperTree
  /** Below `dataLeaves(piece)`. */
  index: number
  /** The payload bytes of `subtreeRange(piece, index)`. */
  payload: Uint8Array
}

export interface LeafProof {
  /** 32 bytes. */
  leaf: Uint8Array
  /** Siblings from the leaf upwards, 32 bytes each: `treeHeight(piece)` of them. */
  path: Uint8Array[]
}

/** Root of a tree of this height over zeros alone. */
export function zeroRoot(height: number): Uint8Array {
  const root = ZERO_ROOTS[height]
  invariant(root !== undefined, `no piece is ${height} levels high`)
  return root
}

/** One level up: n x 64 bytes to n x 32 bytes. */
function parents(level: Uint8Array, into?: Uint8Array): Uint8Array {
  const above = sha256Pairs(level, into)
  for (let last = NODE_BYTES - 1; last < above.length; last += NODE_BYTES) {
    above[last] = (above[last] as number) & TRUNCATION_MASK
  }
  return above
}

/** All levels from nodes that stand at height `from` up to `to`; short levels end in zeros. */
export function levelsAbove(nodes: Uint8Array, from: number, to: number): Uint8Array[] {
  const levels = [nodes]
  let level = nodes
  for (let height = from; height < to; height++) {
    level = parents(evenLevel(level, height))
    levels.push(level)
  }
  return levels
}

/** The topmost node of `levelsAbove`. */
export function topOf(nodes: Uint8Array, from: number, to: number): Uint8Array {
  let level = nodes
  for (let height = from; height < to; height++) {
    const below = evenLevel(level, height)
    level = parents(below, scratch(height % 2, below.length / 2))
  }
  return level === nodes ? nodes : level.slice()
}

/**
 * Memory for one of two levels that take turns, used again each time: as many bytes as are hashed
 * would be let go otherwise, and what lies outside of the heap is not noticed before it is much.
 */
function scratch(turn: number, length: number): Uint8Array | undefined {
  if (length > SCRATCH_BYTES) return undefined
  const memory = scratches[turn] ?? new Uint8Array(SCRATCH_BYTES)
  scratches[turn] = memory
  return memory.subarray(0, length)
}

/**
 * `subtrees` are the roots as `CommpHasher` gives them, 32 bytes each. Throws `pieceDamaged` when
 * they do not lead to the piece's root.
 */
export function upperTree(piece: Piece, subtrees: Uint8Array): UpperTree {
  const expected = NODE_BYTES * subtreeCount(piece)
  if (subtrees.length === expected) {
    const levels = levelsAbove(subtrees, subtreeHeight(piece), treeHeight(piece))
    if (equalBytes(levels.at(-1) as Uint8Array, piece.root)) return { piece, levels }
  }
  throw new CairnError('pieceDamaged', 'the stored tree is not that of the piece', {
    facts: { bytes: subtrees.length, expected },
    next: 'fetch the piece again from another holder',
  })
}

/**
 * A leaf and its path. Throws `pieceDamaged` when the bytes are not those that the piece was hashed
 * from: whoever stores a piece must say that a leaf is missing rather than seal a wrong one.
 */
export function leafProof({ tree, index, payload }: LeafProofInit): LeafProof {
  const { piece, levels: upper } = tree
  invariant(index >= 0 && index < dataLeaves(piece), 'a leaf is one of the payload')
  const height = subtreeHeight(piece)
  const place = Math.floor(index / 2 ** SUBTREE_HEIGHT)
  const lower = levelsAbove(fr32Pad(payload), 0, height)
  const whole =
    payload.length === subtreeRange(piece, index).length &&
    equalBytes(lower.at(-1) as Uint8Array, nodeAt(upper[0] as Uint8Array, height, place))
  if (!whole) {
    throw new CairnError('pieceDamaged', 'the stored bytes are not those of the piece', {
      facts: { leaf: index, subtree: place },
      next: 'fetch the piece again from another holder',
    })
  }
  const within = index % 2 ** SUBTREE_HEIGHT
  return {
    leaf: nodeAt(lower[0] as Uint8Array, 0, within),
    path: [...siblings(lower, 0, within), ...siblings(upper, height, place)],
  }
}

export interface VerifyLeafInit extends LeafProof {
  piece: Piece
  index: number
}

/** True iff the leaf is the one at this place of the piece. Never throws. */
export function verifyLeaf({ leaf, index, path, piece }: VerifyLeafInit): boolean {
  if (!Number.isInteger(index) || index < 0 || index >= dataLeaves(piece)) return false
  const height = treeHeight(piece)
  if (height > HEIGHT_MAX || path.length !== height) return false
  if ([leaf, ...path].some(node => node.length !== NODE_BYTES)) return false
  const pair = new Uint8Array(2 * NODE_BYTES)
  let node = leaf
  let place = index
  for (const sibling of path) {
    const right = place % 2
    pair.set(node, right * NODE_BYTES)
    pair.set(sibling, (1 - right) * NODE_BYTES)
    node = parents(pair)
    place = Math.floor(place / 2)
  }
  return equalBytes(node, piece.root)
}

function siblings(levels: readonly Uint8Array[], from: number, position: number): Uint8Array[] {
  return levels.slice(0, -1).map((level, step) => {
    const place = Math.floor(position / 2 ** step)
    return nodeAt(level, from + step, place % 2 === 0 ? place + 1 : place - 1)
  })
}

/** Node at a place of a level; beyond the level's end stand zeros. */
export function nodeAt(level: Uint8Array, height: number, place: number): Uint8Array {
  const start = place * NODE_BYTES
  return start < level.length ? level.slice(start, start + NODE_BYTES) : zeroRoot(height)
}

function evenLevel(level: Uint8Array, height: number): Uint8Array {
  const nodes = level.length / NODE_BYTES
  if (nodes > 0 && nodes % 2 === 0) return level
  const even = new Uint8Array(level.length + (nodes === 0 ? 2 : 1) * NODE_BYTES)
  even.set(level)
  for (let at = level.length; at < even.length; at += NODE_BYTES) even.set(zeroRoot(height), at)
  return even
}

function zeroRoots(): Uint8Array[] {
  const roots: Uint8Array[] = [new Uint8Array(NODE_BYTES)]
  const pair = new Uint8Array(2 * NODE_BYTES)
  for (let height = 0; height < ZERO_HEIGHT_MAX; height++) {
    const below = roots[height] as Uint8Array
    pair.set(below)
    pair.set(below, NODE_BYTES)
    roots.push(parents(pair))
  }
  return roots
}
