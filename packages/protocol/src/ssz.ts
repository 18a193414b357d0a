/**
 * The SSZ vocabulary of the project and the one way in from bytes: `decode`.
 *
 * Counts, epochs, slots and indices are uint32: a JavaScript number holds each exactly and no two
 * byte strings decode to the same value. Amounts are uint128 bigints in base units (1e-18 token).
 */
import './page-buffer.ts'
import {
  ByteListType,
  ByteVectorType,
  type CompositeType,
  ContainerType,
  type Type,
  UintBigintType,
  UintNumberType,
} from '@chainsafe/ssz'
import { equals as equalBytes } from 'uint8arrays/equals'
import { CairnError } from './errors.ts'

export const Uint8 = new UintNumberType(1)
export const Uint16 = new UintNumberType(2)
export const Uint32 = new UintNumberType(4)
export const Uint64 = new UintBigintType(8)
export const Uint128 = new UintBigintType(16)
export const Bytes8 = new ByteVectorType(8)
export const Bytes20 = new ByteVectorType(20)
export const Bytes32 = new ByteVectorType(32)
export const Bytes48 = new ByteVectorType(48)
export const Bytes64 = new ByteVectorType(64)
export const Bytes96 = new ByteVectorType(96)

/** Items a list on the wire may hold; longer sequences are pages or trees. */
export const WIRE_LIST_MAX = 1024

export type ValueOf<T> = T extends Type<infer V> ? V : never

// biome-ignore lint/suspicious/noExplicitAny: any composite SSZ type whatever its views
export type Codec<V> = CompositeType<V, any, any>

export interface DecodeOptions {
  /** The channel's own limit in bytes; the type's maximum always applies. */
  limit?: number
}

/**
 * Decodes untrusted bytes. The length is compared before anything is allocated, every exception
 * of the library becomes `badEncoding`, and bytes that do not re-encode to themselves are refused,
 * so one value has one encoding.
 */
export function decode<V>(type: Codec<V>, bytes: Uint8Array, options: DecodeOptions = {}): V {
  const limit = Math.min(type.maxSize, options.limit ?? Number.POSITIVE_INFINITY)
  if (bytes.length > limit || bytes.length < type.minSize) {
    throw new CairnError(
      'badLength',
      `${type.typeName}: expected ${type.minSize} to ${limit} bytes, found ${bytes.length}`,
      { facts: { type: type.typeName, min: type.minSize, max: limit, found: bytes.length } },
    )
  }
  // The library cuts parts out by `slice`, which for a Buffer are views into memory that is not ours.
  const own = Object.getPrototypeOf(bytes) === Uint8Array.prototype ? bytes : new Uint8Array(bytes)
  let value: V
  let again: Uint8Array
  try {
    value = type.deserialize(own)
    again = type.serialize(value)
  } catch (cause) {
    throw new CairnError('badEncoding', `${type.typeName}: not a valid encoding`, {
      cause,
      facts: { type: type.typeName },
    })
  }
  if (!equalBytes(again, bytes)) {
    throw new CairnError('badEncoding', `${type.typeName}: not the canonical encoding`, {
      facts: { type: type.typeName },
    })
  }
  return value
}

/** Character codes of the two digits of each byte. */
const DIGITS = Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, '0')
  return [digits.charCodeAt(0), digits.charCodeAt(1)] as const
})

/** Bytes turned into text by one call: engines bound the arguments of a function. */
const TEXT_BYTES = 1024

/** Lower-case hexadecimal without prefix. */
export function hex(bytes: Uint8Array): string {
  let text = ''
  for (let from = 0; from < bytes.length; from += TEXT_BYTES) {
    const to = Math.min(from + TEXT_BYTES, bytes.length)
    const codes = new Uint8Array(2 * (to - from))
    let at = 0
    for (let i = from; i < to; i++) {
      const [high, low] = DIGITS[bytes[i] as number] as readonly [number, number]
      codes[at++] = high
      codes[at++] = low
    }
    text += Reflect.apply(String.fromCharCode, null, codes)
  }
  return text
}

/** A key for maps that are looked into for every message, one character per byte; not for reading. */
export function byteKey(bytes: Uint8Array): string {
  if (bytes.length <= TEXT_BYTES) return Reflect.apply(String.fromCharCode, null, bytes)
  return hex(bytes)
}

/** Throws `badHex` for anything but pairs of hexadecimal digits, with or without 0x. */
export function unhex(text: string): Uint8Array {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new CairnError('badHex', 'expected pairs of hexadecimal digits', {
      facts: { length: text.length },
    })
  }
  const bytes = new Uint8Array(digits.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
  }
  return bytes
}

/** The first eight bytes as a big-endian number: how a draw reads a hash. */
export function u64(hash: Uint8Array): bigint {
  return new DataView(hash.buffer, hash.byteOffset, 8).getBigUint64(0)
}

/** `compareBytes` is bytewise order, shorter first where one is a prefix of the other. */
export { compare as compareBytes } from 'uint8arrays/compare'
export { concat as concatBytes } from 'uint8arrays/concat'
export { ByteListType, ContainerType, equalBytes }
