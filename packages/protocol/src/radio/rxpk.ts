/** One packet as a concentrator heard it (`rxpk`): fields of version 1, and `rsig` of version 2. */
import {
  asFields,
  bad,
  dataRateOf,
  encodePayload,
  type Fields,
  frequencyOf,
  megahertz,
  optionalInteger,
  optionalNumber,
  optionalText,
  payloadOf,
  required,
  tenthsOf,
} from './gwmp-json.ts'

/** Packets in one PUSH_DATA: what the sx1302 forwarder fetches at a time. */
export const RXPK_MAX = 255

/** Antennas of one gateway in `rsig`. */
const ANTENNAS_MAX = 16

const U32_MAX = 0xffff_ffff

export type Modulation =
  | { name: 'LORA'; spreadingFactor: number /** kHz. */; bandwidth: number }
  | { name: 'FSK' /** Bit/s. */; bitrate: number }

export interface Rxpk {
  payload: Uint8Array
  /** Hz. */
  frequency: number
  modulation: Modulation
  /** Signal and noise, 0.1 dBm. */
  rssi: number
  /** Signal alone, 0.1 dBm. */
  rssis?: number
  /** 0.1 dB; LoRa only. */
  snr?: number
  /** Concentrator counter at the end of the packet, microseconds, wraps at 2^32. */
  tmst: number
  /** GPS time, ms since 1980-01-06. */
  tmms?: bigint
  /** Nanoseconds within the second. */
  ftime?: number
  crc: 'ok' | 'bad' | 'none'
  codingRate?: string
}

const CRC = { ok: 1, none: 0, bad: -1 } as const

/** Undefined for a modulation that is neither LoRa nor FSK. Errors: `badDatagram`. */
export function decodeRxpk(value: unknown): Rxpk | undefined {
  const fields = asFields(value, 'rxpk')
  const name = optionalText(fields, 'modu', 16) ?? 'LORA'
  if (name !== 'LORA' && name !== 'FSK') return undefined
  const modulation: Modulation =
    name === 'LORA' ? { name, ...dataRateOf(fields) } : { name, bitrate: bitrateOf(fields) }
  const signal = signalOf(fields)
  const snr = name === 'LORA' ? required(signal.snr, 'lsnr') : undefined
  const tmms = optionalInteger(fields, 'tmms', 0, Number.MAX_SAFE_INTEGER)
  const ftime = optionalInteger(fields, 'ftime', 0, 999_999_999) ?? signal.ftime
  const codingRate = optionalText(fields, 'codr', 8)
  return {
    payload: payloadOf(fields),
    frequency: frequencyOf(fields),
    modulation,
    rssi: signal.rssi,
    ...(signal.rssis !== undefined && { rssis: signal.rssis }),
    ...(snr !== undefined && { snr }),
    tmst: required(optionalInteger(fields, 'tmst', 0, U32_MAX), 'tmst'),
    ...(tmms !== undefined && { tmms: BigInt(tmms) }),
    ...(ftime !== undefined && { ftime }),
    crc: crcOf(fields),
    ...(codingRate !== undefined && { codingRate }),
  }
}

export function encodeRxpk(packet: Rxpk, padding: boolean): Record<string, unknown> {
  const { modulation, rssis, snr, tmms, ftime } = packet
  return {
    tmst: packet.tmst,
    tmms: tmms === undefined ? undefined : Number(tmms),
    ftime,
    freq: megahertz(packet.frequency),
    stat: CRC[packet.crc],
    modu: modulation.name,
    datr:
      modulation.name === 'LORA'
        ? `SF${modulation.spreadingFactor}BW${modulation.bandwidth}`
        : modulation.bitrate,
    codr: packet.codingRate,
    rssi: packet.rssi / 10,
    rssis: rssis === undefined ? undefined : rssis / 10,
    lsnr: snr === undefined ? undefined : snr / 10,
    size: packet.payload.length,
    data: encodePayload(packet.payload, padding),
  }
}

interface Signal {
  rssi: number
  rssis?: number | undefined
  snr?: number | undefined
  ftime?: number | undefined
}

/** Of several antennas the one that heard loudest, the first of equals. */
function signalOf(fields: Fields): Signal {
  if (fields.rsig === undefined) return readSignal(fields, 'rssi')
  const list = fields.rsig
  if (!Array.isArray(list) || list.length === 0 || list.length > ANTENNAS_MAX) {
    throw bad('rsig', `rsig is a list of 1 to ${ANTENNAS_MAX} antennas`)
  }
  const antennas = list.map(item => readSignal(asFields(item, 'rsig'), 'rssic'))
  return antennas.reduce((best, next) => (next.rssi > best.rssi ? next : best))
}

function readSignal(fields: Fields, level: string): Signal {
  return {
    rssi: required(tenthsOf(fields, level, -250, 50), level),
    rssis: tenthsOf(fields, 'rssis', -250, 50),
    snr: tenthsOf(fields, 'lsnr', -100, 100),
    ftime: optionalInteger(fields, 'ftime', 0, 999_999_999),
  }
}

function bitrateOf(fields: Fields): number {
  return required(optionalNumber(fields, 'datr', 1, 1_000_000), 'datr')
}

/** A forwarder that does not say whether the CRC held forwards only what held. */
function crcOf(fields: Fields): Rxpk['crc'] {
  const stat = optionalInteger(fields, 'stat', -1, 1) ?? CRC.ok
  return stat === CRC.ok ? 'ok' : stat === CRC.none ? 'none' : 'bad'
}
