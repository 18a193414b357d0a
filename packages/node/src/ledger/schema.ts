/** Keys of the ledger. Numbers are big-endian, so that an epoch is one range. */
import { invariant } from '@cairn/protocol'

/** Version of the layout below; a newer one on disk is refused, an older one migrated. */
export const SCHEMA_VERSION = 1

export const Sublevel = {
  /** Everything about messages of epochs, by `Table`: one space, so that one batch is atomic. */
  messages: 'messages',
  /** id of a message that belongs to no epoch yet -> envelope. */
  standing: 'standing',
  /** state root -> encoded state. */
  states: 'states',
  /** epoch -> accepted checkpoint and the ids of its set. */
  finals: 'finals',
  /** epoch -> number of the block in which its accepted checkpoint landed. */
  landings: 'landings',
  /** (epoch, root) -> checkpoint that this node voted for, and the ids of its set. */
  voted: 'voted',
  /** (epoch, id) -> vote of the epoch's quorum, where its round was too late for a set. */
  quorums: 'quorums',
  /** epoch -> 48-byte randomness signature. */
  seeds: 'seeds',
  /** subject -> id: what this node said, so that it never says two things. */
  own: 'own',
  meta: 'meta',
} as const

/** First byte of a key among the messages. */
export const Table = {
  /** (epoch, id) -> envelope. */
  envelope: Uint8Array.of(1),
  /** id -> epoch. */
  epochOf: Uint8Array.of(2),
  /** (author, epoch, id) -> empty. */
  byAuthor: Uint8Array.of(3),
} as const

export function u32(value: number): Uint8Array {
  invariant(Number.isInteger(value) && value >= 0 && value < 2 ** 32, 'a key part is a uint32')
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

export function readU32(bytes: Uint8Array, offset = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset)
}

export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value)
  return bytes
}

export function readU64(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0)
}

export function key(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/** Range of all keys that begin with `prefix`. */
export function withPrefix(prefix: Uint8Array): { gte: Uint8Array; lt: Uint8Array } {
  return { gte: prefix, lt: key(prefix, new Uint8Array(64).fill(0xff)) }
}
