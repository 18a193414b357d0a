/** The one JSON form of values: big integers as decimal strings, bytes as lower-case hexadecimal. */
import { hex, invariant } from '@cairn/protocol'

export type Json<T> = T extends bigint | Uint8Array
  ? string
  : T extends readonly (infer E)[]
    ? Json<E>[]
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T

/** Nested deeper than any shape of the API. */
const DEPTH_MAX = 16

export function toJson<T>(value: T): Json<T> {
  return encode(value, 0) as Json<T>
}

function encode(value: unknown, depth: number): unknown {
  invariant(depth <= DEPTH_MAX, 'no value of the API is nested so deep')
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return hex(value)
  if (Array.isArray(value)) return value.map(item => encode(item, depth + 1))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, field]) => field !== undefined)
        .map(([name, field]) => [name, encode(field, depth + 1)]),
    )
  }
  return value
}
