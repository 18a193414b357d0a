/** Reading a forwarder's JSON: what it may hold, field by field. */
import { CairnError } from '../errors.ts'

export type Fields = Readonly<Record<string, unknown>>

const MHZ_MAX = 10_000
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const RFC3339 = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/
const DATARATE = /^SF(\d{1,2})BW(\d{2,4})$/

/** Bytes of a LoRa payload. */
const PAYLOAD_MAX = 255

const utf8 = new TextDecoder('utf-8', { fatal: true })

interface DataRate {
  spreadingFactor: number
  /** kHz. */
  bandwidth: number
}

/** The error of everything malformed; the text never quotes what came in. */
export function bad(reason: string, message: string, cause?: unknown): CairnError {
  return new CairnError('badDatagram', message, { facts: { reason }, cause })
}

/** The object in a datagram's body. Some forwarders end their strings with a zero byte. */
export function parseJson(body: Uint8Array): Fields {
  let end = body.length
  while (end > 0 && body[end - 1] === 0) end--
  let text: string
  try {
    text = utf8.decode(body.subarray(0, end))
  } catch (cause) {
    throw bad('utf8', 'the body of a datagram is UTF-8', cause)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw bad('json', 'the body of a datagram is JSON', cause)
  }
  return asFields(value, 'shape')
}

export function asFields(value: unknown, reason: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw bad(reason, 'expected a JSON object')
}

export function fieldsOf(parent: Fields, name: string): Fields {
  return asFields(own(parent, name), name)
}

/** A field of any shape; absent and null are the same. */
export function optional(fields: Fields, name: string): unknown {
  return own(fields, name) ?? undefined
}

export function optionalNumber(
  fields: Fields,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const value = optional(fields, name)
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw bad(name, `${name} is a number from ${min} to ${max}`)
  }
  return value
}

export function optionalInteger(
  fields: Fields,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const value = optionalNumber(fields, name, min, max)
  if (value !== undefined && !Number.isInteger(value)) throw bad(name, `${name} is a whole number`)
  return value
}

export function optionalText(fields: Fields, name: string, max: number): string | undefined {
  const value = optional(fields, name)
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value.length > max) {
    throw bad(name, `${name} is a text of at most ${max} characters`)
  }
  return value
}

export function optionalBoolean(fields: Fields, name: string): boolean | undefined {
  const value = optional(fields, name)
  if (value === undefined) return undefined
  if (typeof value !== 'boolean') throw bad(name, `${name} is true or false`)
  return value
}

export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw bad(name, `${name} is missing`)
  return value
}

/** Hz, from MHz. */
export function frequencyOf(fields: Fields): number {
  return Math.round(required(optionalNumber(fields, 'freq', 1, MHZ_MAX), 'freq') * 1e6)
}

/** MHz, from Hz: the shortest text that reads back as the same Hz. */
export function megahertz(frequency: number): number {
  return frequency / 1e6
}

/** 0.1 dB, from dB. */
export function tenthsOf(
  fields: Fields,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const value = optionalNumber(fields, name, min, max)
  // Adding 0 turns -0, which JSON and comparison know as different from 0, into 0.
  return value === undefined ? undefined : Math.round(value * 10) + 0
}

/** `SF7BW125` as numbers. */
export function dataRateOf(fields: Fields): DataRate {
  const found = DATARATE.exec(required(optionalText(fields, 'datr', 16), 'datr'))
  const spreadingFactor = Number(found?.[1])
  const bandwidth = Number(found?.[2])
  if (!(spreadingFactor >= 5 && spreadingFactor <= 12 && bandwidth >= 1)) {
    throw bad('datr', 'a LoRa data rate is written like SF7BW125')
  }
  return { spreadingFactor, bandwidth }
}

/** Base64 with or without padding; `size`, where present, must agree. */
export function payloadOf(fields: Fields): Uint8Array {
  const bytes = required(bytesOf(fields, 'data', PAYLOAD_MAX), 'data')
  const size = optionalInteger(fields, 'size', 0, PAYLOAD_MAX)
  if (size !== undefined && size !== bytes.length) throw bad('size', 'size is the length of data')
  return bytes
}

/** At most `max` bytes in base64 with or without padding. */
export function bytesOf(fields: Fields, name: string, max: number): Uint8Array | undefined {
  const text = optionalText(fields, name, Math.ceil(max / 3) * 4 + 4)
  if (text === undefined) return undefined
  const bare = text.replace(/=+$/, '')
  const padded = text.length !== bare.length
  if (!BASE64.test(text) || bare.length % 4 === 1 || (padded && text.length % 4 !== 0)) {
    throw bad(name, `${name} is base64`)
  }
  const bytes = Uint8Array.from(atob(bare), c => c.charCodeAt(0))
  if (bytes.length > max) throw bad(name, `${name} has at most ${max} bytes`)
  return bytes
}

export function encodePayload(payload: Uint8Array, padding: boolean): string {
  const text = btoa(String.fromCharCode(...payload))
  return padding ? text : text.replace(/=+$/, '')
}

/** Microseconds since 1970, from RFC 3339; undefined for what is none. */
export function timeOf(text: string | undefined): bigint | undefined {
  const found = RFC3339.exec(text ?? '')
  if (found === null) return undefined
  const [, date, time, fraction = '', zone = 'Z'] = found
  const ms = Date.parse(`${date}T${time}${zone}`)
  if (Number.isNaN(ms)) return undefined
  return BigInt(ms) * 1_000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'))
}

/** RFC 3339 with microseconds, in UTC. */
export function writeTime(us: bigint): string {
  const within = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((us - within) / 1_000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(within).padStart(6, '0')}Z`
}

export function withoutUndefined<T extends object>(
  record: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/** Fields are looked up as own ones: a body may be named `__proto__`, but inherits nothing. */
function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}
