/**
 * The keys of a file, all derived from its 32 secret bytes by HKDF-SHA256 (RFC 5869, no salt: the
 * secret is random and used for one file). None leads back to the one above it:
 *
 *     file -> map                          opens the list of pieces
 *          -> mask -> group -> shard       unmasks pieces: what a repair needs, and no more
 *                  -> ids of groups
 *          -> entry -> record              opens name, place and length of one file of a pack
 *                   -> content             opens its bytes
 *
 * A link carries an entry's key, so whoever gets the link to one file of a pack learns nothing of the
 * others. Each key seals one thing: nonces are 0 but for content, where they count chunks.
 */
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { ContainerType, Uint16, Uint32 } from '../ssz.ts'

const KEY_BYTES = 32

const Use = {
  map: 1,
  mask: 2,
  entry: 3,
  record: 4,
  content: 5,
  group: 6,
  shard: 7,
  groupId: 8,
  manifestId: 9,
} as const

const KeyInfo = new ContainerType({ use: Uint16, number: Uint32 })

/** Opens the map. */
export function mapKey(file: Uint8Array): Uint8Array {
  return derive(file, Use.map)
}

export function maskKey(file: Uint8Array): Uint8Array {
  return derive(file, Use.mask)
}

/** What a link carries. */
export function entryKey(file: Uint8Array, entry: number): Uint8Array {
  return derive(file, Use.entry, entry)
}

export function recordKey(entry: Uint8Array): Uint8Array {
  return derive(entry, Use.record)
}

export function contentKey(entry: Uint8Array): Uint8Array {
  return derive(entry, Use.content)
}

/** Unmasks every piece of a group. */
export function groupKey(mask: Uint8Array, group: number): Uint8Array {
  return derive(mask, Use.group, group)
}

/** AES-256-CTR key of the piece at a place of a group. */
export function shardKey(group: Uint8Array, place: number): Uint8Array {
  return derive(group, Use.shard, place)
}

/** The group that a deal for a piece of this group names: random to everybody else. */
export function groupId(mask: Uint8Array, group: number): Uint8Array {
  return derive(mask, Use.groupId, group)
}

/** The group that the manifest's own deals name. */
export function manifestGroupId(mask: Uint8Array): Uint8Array {
  return derive(mask, Use.manifestId)
}

function derive(key: Uint8Array, use: (typeof Use)[keyof typeof Use], number = 0): Uint8Array {
  return hkdf(sha256, key, undefined, KeyInfo.serialize({ use, number }), KEY_BYTES)
}
