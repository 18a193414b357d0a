/**
 * The protocol between a packet forwarder and its server: Semtech UDP (GWMP), versions 1 and 2.
 *
 * Byte 0 is the version, 1-2 a token that the answer repeats, 3 the id, 4-11 the gateway's EUI in
 * what the gateway sends; then JSON. Source: Lora-net/packet_forwarder PROTOCOL.TXT and the sx1302
 * forwarder. What is read is checked field by field; every fault is one coded error.
 */
import { CairnError, check } from '../errors.ts'
import {
  bad,
  type Fields,
  fieldsOf,
  optional,
  optionalNumber,
  optionalText,
  parseJson,
  timeOf,
  writeTime,
} from './gwmp-json.ts'
import { decodeRxpk, encodeRxpk, RXPK_MAX, type Rxpk } from './rxpk.ts'
import { decodeTxpk, encodeTxpk, type Txpk } from './txpk.ts'

/** The longest payload of a UDP datagram over IPv4. */
export const DATAGRAM_MAX_BYTES = 65_507

const HEADER_BYTES = 4
const EUI_BYTES = 8

const PUSH_DATA = 0
const PULL_DATA = 2
const TX_ACK = 5

export interface GwmpHeader {
  version: 1 | 2
  /** 0 to 65,535. */
  token: number
}

interface FromGateway extends GwmpHeader {
  /** 16 hexadecimal digits, lower case. */
  eui: string
}

/** A forwarder's own counters since its last report, and what it knows of the gateway. */
export interface ForwarderStat {
  /** Of the gateway's clock, ms since 1970; absent where it is no time. */
  time?: number
  received?: number
  receivedOk?: number
  forwarded?: number
  /** Share of PUSH_DATA that were acknowledged, percent. */
  acknowledged?: number
  downlinks?: number
  transmitted?: number
  /** Degrees, as its configuration or GPS says. */
  latitude?: number
  longitude?: number
  /** Metres. */
  altitude?: number
  /** Of the concentrator, degrees Celsius. */
  temperature?: number
}

export interface PushData extends FromGateway {
  id: 'pushData'
  rxpk: readonly Rxpk[]
  /** Packets of a modulation that is neither LoRa nor FSK. */
  foreign: number
  /** Of each packet that could not be read the field that is wrong; the others are not harmed. */
  malformed?: readonly string[]
  stat?: ForwarderStat
}

export interface TxAck extends FromGateway {
  id: 'txAck'
  /** Why the forwarder will not send, in its own words; absent: it queued the packet. */
  error?: string
  /** It sends, but not as asked; `value` is what it does instead (for TX_POWER: dBm). */
  warn?: string
  value?: number
}

export type Datagram =
  | PushData
  | (GwmpHeader & { id: 'pushAck' })
  | (FromGateway & { id: 'pullData' })
  | (GwmpHeader & { id: 'pullResp'; txpk: Txpk })
  | (GwmpHeader & { id: 'pullAck' })
  | TxAck

export interface DatagramHead extends GwmpHeader {
  id: Datagram['id']
  /** Of what a gateway sends. */
  eui?: string
}

export interface EncodeOptions {
  /** False: base64 without `=`, as some forwarders send it. */
  padding?: boolean
}

const IDS = ['pushData', 'pushAck', 'pullData', 'pullResp', 'pullAck', 'txAck'] as const

/**
 * The head of a datagram alone: all that an acknowledgement needs. Errors: `badDatagram`, with
 * `facts.reason` `length`, `version` or `id`.
 */
export function decodeHead(bytes: Uint8Array): DatagramHead {
  const { length } = bytes
  if (length < HEADER_BYTES || length > DATAGRAM_MAX_BYTES) {
    throw bad('length', `a datagram has 4 to ${DATAGRAM_MAX_BYTES} bytes, found ${length}`)
  }
  const [version, high, low, code] = bytes as unknown as [number, number, number, number]
  if (version !== 1 && version !== 2) {
    throw bad('version', `expected version 1 or 2, found ${version}`)
  }
  const id = IDS[code]
  if (id === undefined) throw bad('id', `expected an id of 0 to 5, found ${code}`)
  const head: DatagramHead = { version, token: high * 256 + low, id }
  if (!fromGateway(code)) return head
  if (length < HEADER_BYTES + EUI_BYTES) throw bad('length', `${id} has no room for an EUI`)
  head.eui = hexOf(bytes.subarray(HEADER_BYTES, HEADER_BYTES + EUI_BYTES))
  return head
}

/**
 * Reads one datagram. Throws nothing but `badDatagram`, whose `facts.reason` is `length`,
 * `version`, `id`, `utf8`, `json`, `shape`, `packets`, or the name of the field that is wrong.
 */
export function decodeDatagram(bytes: Uint8Array): Datagram {
  const { version, token, id, eui = '' } = decodeHead(bytes)
  const body = bytes.subarray(HEADER_BYTES + (eui === '' ? 0 : EUI_BYTES))
  switch (id) {
    case 'pushData':
      return { version, token, id, eui, ...pushBody(parseJson(body)) }
    case 'pullResp':
      return { version, token, id, txpk: decodeTxpk(fieldsOf(parseJson(body), 'txpk')) }
    case 'txAck':
      return { version, token, id, eui, ...ackBody(body) }
    case 'pullData':
      if (body.length > 0) throw bad('length', 'a PULL_DATA has 12 bytes')
      return { version, token, id, eui }
    default:
      if (body.length > 0) throw bad('length', 'an acknowledgement has 4 bytes')
      return { version, token, id }
  }
}

/** Errors: `badDatagram` when it would not fit one datagram. */
export function encodeDatagram(datagram: Datagram, options: EncodeOptions = {}): Uint8Array {
  const { padding = true } = options
  const text = bodyText(datagram, padding)
  const body = new TextEncoder().encode(text)
  const code = IDS.indexOf(datagram.id)
  const start = HEADER_BYTES + ('eui' in datagram ? EUI_BYTES : 0)
  const bytes = new Uint8Array(start + body.length)
  check(bytes.length <= DATAGRAM_MAX_BYTES, 'badDatagram', 'a datagram has at most 65,507 bytes', {
    facts: { reason: 'length', bytes: bytes.length },
  })
  bytes.set([datagram.version, datagram.token >> 8, datagram.token & 0xff, code])
  if ('eui' in datagram) {
    for (let i = 0; i < EUI_BYTES; i++) {
      bytes[HEADER_BYTES + i] = Number.parseInt(datagram.eui.slice(2 * i, 2 * i + 2), 16)
    }
  }
  bytes.set(body, start)
  return bytes
}

function fromGateway(code: number): boolean {
  return code === PUSH_DATA || code === PULL_DATA || code === TX_ACK
}

function pushBody(json: Fields): Pick<PushData, 'rxpk' | 'foreign' | 'malformed' | 'stat'> {
  const list = optional(json, 'rxpk') ?? []
  if (!Array.isArray(list)) throw bad('shape', 'rxpk is a list')
  if (list.length > RXPK_MAX) {
    throw bad('packets', `a PUSH_DATA has at most ${RXPK_MAX} packets, found ${list.length}`)
  }
  const rxpk: Rxpk[] = []
  const malformed: string[] = []
  for (const item of list) {
    const packet = readPacket(item)
    if (typeof packet === 'string') malformed.push(packet)
    else if (packet !== undefined) rxpk.push(packet)
  }
  return {
    rxpk,
    foreign: list.length - rxpk.length - malformed.length,
    ...(malformed.length > 0 && { malformed }),
    ...(optional(json, 'stat') !== undefined && { stat: statOf(fieldsOf(json, 'stat')) }),
  }
}

/** The packet; undefined for a foreign modulation; the name of the field that is wrong. */
function readPacket(item: unknown): Rxpk | string | undefined {
  try {
    return decodeRxpk(item)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    return String(error.facts.reason)
  }
}

const STAT_NUMBERS = {
  received: 'rxnb',
  receivedOk: 'rxok',
  forwarded: 'rxfw',
  acknowledged: 'ackr',
  downlinks: 'dwnb',
  transmitted: 'txnb',
  latitude: 'lati',
  longitude: 'long',
  altitude: 'alti',
  temperature: 'temp',
} as const

function statOf(fields: Fields): ForwarderStat {
  const stat: ForwarderStat = {}
  for (const [name, field] of Object.entries(STAT_NUMBERS)) {
    const value = optionalNumber(fields, field, -1e9, 1e9)
    if (value !== undefined) stat[name as keyof ForwarderStat] = value
  }
  const time = timeOf(optionalText(fields, 'time', 64)?.replace(/ (GMT|UTC)$/, 'Z'))
  return time === undefined ? stat : { ...stat, time: Number(time / 1_000n) }
}

/** An acknowledgement without a body, or with the error NONE, is a plain yes. */
function ackBody(body: Uint8Array): Pick<TxAck, 'error' | 'warn' | 'value'> {
  if (body.length === 0) return {}
  const json = parseJson(body)
  if (json.txpk_ack === undefined) return {}
  const fields = fieldsOf(json, 'txpk_ack')
  const error = optionalText(fields, 'error', 64)
  const warn = optionalText(fields, 'warn', 64)
  const value = limitOf(fields)
  return {
    ...(error !== undefined && error !== 'NONE' && error !== '' && { error }),
    ...(warn !== undefined && warn !== '' && { warn }),
    ...(value !== undefined && { value }),
  }
}

/** PROTOCOL.md of the sx1302 forwarder allows a number and a text. */
function limitOf(fields: Fields): number | undefined {
  const value = optional(fields, 'value')
  if (typeof value !== 'string') return optionalNumber(fields, 'value', -1e9, 1e9)
  return /^-?\d{1,9}(\.\d{1,6})?$/.test(value) ? Number(value) : undefined
}

function bodyText(datagram: Datagram, padding: boolean): string {
  switch (datagram.id) {
    case 'pushData': {
      const { rxpk, stat } = datagram
      const json = {
        ...((rxpk.length > 0 || stat === undefined) && {
          rxpk: rxpk.map(p => encodeRxpk(p, padding)),
        }),
        ...(stat && { stat: encodeStat(stat) }),
      }
      return JSON.stringify(json)
    }
    case 'pullResp':
      return JSON.stringify({ txpk: encodeTxpk(datagram.txpk, padding) })
    case 'txAck': {
      const { error, warn, value } = datagram
      if (error === undefined && warn === undefined) return ''
      return JSON.stringify({ txpk_ack: { error, warn, value } })
    }
    default:
      return ''
  }
}

function encodeStat({ time, ...stat }: ForwarderStat): Record<string, number | string | undefined> {
  const named = Object.entries(STAT_NUMBERS) as [keyof typeof STAT_NUMBERS, string][]
  return {
    ...(time !== undefined && {
      time: `${writeTime(BigInt(time) * 1_000n)
        .slice(0, 19)
        .replace('T', ' ')} GMT`,
    }),
    ...Object.fromEntries(named.map(([name, field]) => [field, stat[name]])),
  }
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, b => b.toString(16).padStart(2, '0')).join('')
}
