/**
 * The trees a checkpoint names: SSZ lists of 32-byte roots with room for 2^24 or 2^32 leaves, and
 * the path from one leaf to the checkpoint's root.
 *
 * A path lists siblings from the leaf upwards. The bits of its index, lowest first, tell on which
 * side the climbing node stands: 1 means right. A leaf at `position` of the list in `field` climbs
 *
 *     depth siblings of the list | the list's length, 32 bytes little-endian | 4 field siblings
 *
 * so its index is position + 0 * 2^depth + field * 2^(depth + 1): the list's node stands left of
 * its length. `Checkpoints.verify` takes the same path with the position and the field apart.
 *
 * Padding is never hashed: the part of a level beyond its last leaf is one known hash.
 */

import type { Type } from '@chainsafe/ssz'
import { bytesToNumberLE } from '@noble/curves/utils.js'
import { sha256Pairs } from '#crypto'
import { Checkpoint, CheckpointField } from './checkpoint.ts'
import { check, invariant } from './errors.ts'
import { concatBytes, equalBytes } from './ssz.ts'

/** Levels of the list under each field that is one: log2 of its limit. */
export const ListDepth = { messages: 32, payouts: 32, penalties: 24, deals: 24 } as const
export type ListField = keyof typeof ListDepth

/** 13 fields, padded to 16. */
export const CHECKPOINT_DEPTH = 4
/** Longest path that is looked at: no tree of the project is higher. */
export const PATH_MAX = 64

const ROOT_BYTES = 32

/** `ZERO_HASHES[d]`: root of a tree of 2^d zero leaves. */
const ZERO_HASHES = zeroHashes(Math.max(...Object.values(ListDepth)))

export interface Branch {
  /** 32 bytes. */
  leaf: Uint8Array
  /** Below 2^path.length. */
  index: bigint
  /** Siblings from the leaf upwards, 32 bytes each. */
  path: readonly Uint8Array[]
  root: Uint8Array
}

export interface InclusionInit {
  checkpoint: Checkpoint
  field: ListField
  /** Every leaf of the field's list, in order. */
  leaves: readonly Uint8Array[]
  position: number
}

/** A leaf's way into a checkpoint; holds for `verifyPath` with the checkpoint's root. */
export interface Inclusion {
  field: ListField
  leaf: Uint8Array
  /** Place in the list: the contract's `index`. */
  position: number
  /** Side bits of the whole path: `verifyPath`'s `index`. */
  index: bigint
  path: Uint8Array[]
}

/** A list hashed once, for any number of proofs. */
export class ListTree {
  readonly root: Uint8Array
  readonly length: number
  readonly #depth: number
  readonly #levels: Uint8Array[]

  /** `leaves` are 32 bytes each, at most 2^depth: throws `listLength`. */
  constructor(leaves: readonly Uint8Array[], depth: number) {
    check(leaves.length <= 2 ** depth, 'listLength', `expected at most 2^${depth} leaves`, {
      facts: { found: leaves.length, depth },
    })
    invariant(
      leaves.every(leaf => leaf.length === ROOT_BYTES),
      'a leaf has 32 bytes',
    )
    this.length = leaves.length
    this.#depth = depth
    this.#levels = hashLevels(concatBytes([...leaves]), depth)
    this.root = hashPair(nodeAt(this.#levels, depth, 0), lengthNode(leaves.length))
  }

  /** The node at a place of a level, leaves being level 0; empty subtrees are nodes too. */
  node(height: number, place: number): Uint8Array {
    return nodeAt(this.#levels, height, place)
  }

  /** `depth` siblings and the length; throws `leafPosition` for a place past the end. */
  proof(position: number): Uint8Array[] {
    check(
      Number.isInteger(position) && position >= 0 && position < this.length,
      'leafPosition',
      `expected a position below ${this.length}, found ${position}`,
      { facts: { position, length: this.length } },
    )
    return [...siblings(this.#levels, this.#depth, position), lengthNode(this.length)]
  }
}

/** SSZ root of a list of 32-byte roots with limit 2^depth. Throws `listLength`. */
export function listRoot(leaves: readonly Uint8Array[], depth: number): Uint8Array {
  return new ListTree(leaves, depth).root
}

/** Path of one leaf to `listRoot`: depth + 1 nodes, the length last. Throws `leafPosition`. */
export function listProof(
  leaves: readonly Uint8Array[],
  position: number,
  depth: number,
): Uint8Array[] {
  return new ListTree(leaves, depth).proof(position)
}

/**
 * True iff the leaf climbs to the root. Says nothing of how high the leaf stands: the caller knows
 * the length the path must have (`verifyInclusion` does). Never throws.
 */
export function verifyPath({ leaf, index, path, root }: Branch): boolean {
  if (path.length > PATH_MAX || index < 0n || index >> BigInt(path.length) !== 0n) return false
  if ([leaf, ...path].some(node => node.length !== ROOT_BYTES)) return false
  const top = path.reduce(
    (node, sibling, height) =>
      (index >> BigInt(height)) & 1n ? hashPair(sibling, node) : hashPair(node, sibling),
    leaf,
  )
  return equalBytes(top, root)
}

/** The 4 siblings of a field's root in the checkpoint; its index is `CheckpointField[field]`. */
export function checkpointFieldProof(checkpoint: Checkpoint, field: CheckpointField): Uint8Array[] {
  const fields: [string, Type<unknown>][] = Object.entries(Checkpoint.fields)
  const values: Readonly<Record<string, unknown>> = checkpoint
  const roots = fields.map(([name, type]) => type.hashTreeRoot(values[name]))
  const levels = hashLevels(concatBytes(roots), CHECKPOINT_DEPTH)
  return siblings(levels, CHECKPOINT_DEPTH, CheckpointField[field])
}

/** Side bits of a leaf's path to the checkpoint's root. */
export function inclusionIndex(field: ListField, position: number): bigint {
  return BigInt(position) + (BigInt(CheckpointField[field]) << BigInt(ListDepth[field] + 1))
}

/**
 * The whole path of a leaf to the checkpoint's root. Throws `leafPosition`, and `listRoot` when
 * the leaves are not those the checkpoint names.
 */
export function inclusionProof(init: InclusionInit): Inclusion {
  const { checkpoint, field, leaves, position } = init
  const tree = new ListTree(leaves, ListDepth[field])
  check(
    equalBytes(tree.root, checkpoint[field]),
    'listRoot',
    `the ${leaves.length} leaves are not the ${field} of the checkpoint`,
    { facts: { field, leaves: leaves.length }, next: 'fetch the messages of the epoch again' },
  )
  const path = [...tree.proof(position), ...checkpointFieldProof(checkpoint, field)]
  const leaf = leaves[position]
  invariant(leaf !== undefined, 'a position with a proof has a leaf')
  return { field, leaf, position, index: inclusionIndex(field, position), path }
}

/**
 * What `Checkpoints.verify` answers: the path has the field's length, its length node covers the
 * position, and the leaf climbs to the checkpoint's root. Never throws.
 */
export function verifyInclusion(
  root: Uint8Array,
  { field, leaf, position, path }: Omit<Inclusion, 'index'>,
): boolean {
  const depth = ListDepth[field]
  const length = path[depth]
  if (path.length !== depth + 1 + CHECKPOINT_DEPTH || length === undefined) return false
  if (!Number.isInteger(position) || position < 0 || position >= 2 ** depth) return false
  if (length.length !== ROOT_BYTES || bytesToNumberLE(length) <= BigInt(position)) return false
  return verifyPath({ leaf, index: inclusionIndex(field, position), path, root })
}

/** Levels from the leaves up to the first that has one node; shorter where there are no leaves. */
function hashLevels(leaves: Uint8Array, depth: number): Uint8Array[] {
  const levels = [leaves]
  for (let level = leaves; level.length > ROOT_BYTES; ) {
    const height = levels.length - 1
    invariant(height < depth, 'a tree has no more leaves than its depth allows')
    level = sha256Pairs(evenLevel(level, height))
    levels.push(level)
  }
  return levels
}

function evenLevel(level: Uint8Array, height: number): Uint8Array {
  if (level.length % (2 * ROOT_BYTES) === 0) return level
  return concatBytes([level, zeroHash(height)])
}

/** The node at a place of a level, known or padding, or above the levels that were hashed. */
function nodeAt(levels: readonly Uint8Array[], height: number, position: number): Uint8Array {
  const level = levels[height]
  if (level !== undefined) {
    const start = position * ROOT_BYTES
    return start < level.length ? level.slice(start, start + ROOT_BYTES) : zeroHash(height)
  }
  if (position > 0 || levels[0]?.length === 0) return zeroHash(height)
  return hashPair(nodeAt(levels, height - 1, 0), zeroHash(height - 1))
}

function siblings(levels: readonly Uint8Array[], depth: number, position: number): Uint8Array[] {
  return Array.from({ length: depth }, (_, height) => {
    const node = Math.floor(position / 2 ** height)
    return nodeAt(levels, height, node % 2 === 0 ? node + 1 : node - 1)
  })
}

/** The length as SSZ mixes it in: 32 bytes little-endian. */
function lengthNode(length: number): Uint8Array {
  const node = new Uint8Array(ROOT_BYTES)
  new DataView(node.buffer).setBigUint64(0, BigInt(length), true)
  return node
}

function zeroHashes(depth: number): Uint8Array[] {
  const hashes: Uint8Array[] = [new Uint8Array(ROOT_BYTES)]
  for (let height = 0; height < depth; height++) {
    const below = hashes[height] as Uint8Array
    hashes.push(hashPair(below, below))
  }
  return hashes
}

function zeroHash(height: number): Uint8Array {
  const hash = ZERO_HASHES[height]
  invariant(hash !== undefined, `no tree is ${height} levels high`)
  return hash
}

function hashPair(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256Pairs(concatBytes([left, right]))
}
