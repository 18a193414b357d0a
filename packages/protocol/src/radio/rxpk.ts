/**
 * One packet as a concentrator heard it (`rxpk`): the fields of version 1, and of version 2 what
 * each antenna heard (`rsig`). A field that does not matter to a rule is for whoever listens.
 */
import {
  asFields,
  bad,
  bytesOf,
  dataRateOf,
  encodePayload,
  type Fields,
  frequencyOf,
  megahertz,
  optional,
  optionalInteger,
  optionalNumber,
  optionalText,
  payloadOf,
  required,
  tenthsOf,
  timeOf,
  withoutUndefined,
  writeTime,
} from './gwmp-json.ts'

/** Packets in one PUSH_DATA: what the sx1302 forwarder fetches at a time. */
export const RXPK_MAX = 255

/** Antennas of one gateway in `rsig`. */
const ANTENNAS_MAX = 16
/** Bytes of one AES block and some: an encrypted time. */
const ENCRYPTED_TIME_MAX = 64

/** Longer numbers of channels, chains, modems, boards and keys are no concentrator's. */
const PART_MAX = 255
/** No receiver is tuned further off than this, Hz. */
const OFFSET_MAX = 1_000_000
const U32_MAX = 0xffff_ffff
const NANOSECONDS_MAX = 999_999_999

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
  /** 0.1 dB; LoRa only, where the forwarder tells it. */
  snr?: number
  /** Concentrator counter at the end of the packet, microseconds, wraps at 2^32. */
  tmst: number
  /** GPS time, ms since 1980-01-06. */
  tmms?: bigint
  /** Nanoseconds within the second. */
  ftime?: number
  crc: 'ok' | 'bad' | 'none'
  codingRate?: string
  /** UTC by the gateway's clock, microseconds since 1970; absent where it is no RFC 3339 time. */
  time?: bigint
  /** Which part of the concentrator heard it: IF channel, RF chain, modem, board. */
  channel?: number
  chain?: number
  modem?: number
  board?: number
  /** Hz off the centre of the channel. */
  frequencyOffset?: number
  /** Version 2: each antenna, in the order told. `rssi`, `rssis`, `snr` are the loudest one's. */
  antennas?: readonly Antenna[]
  /** Which key the antennas' `encryptedTime` is encrypted with. */
  timeKey?: number
}

/** What one antenna of a gateway of version 2 heard. */
export interface Antenna {
  antenna?: number
  channel?: number
  /** Signal and noise, 0.1 dBm. */
  rssi: number
  /** Signal alone, 0.1 dBm. */
  rssis?: number
  /** Standard deviation of the signal during the preamble, 0.1 dB. */
  rssiDeviation?: number
  /** 0.1 dB. */
  snr?: number
  /** Nanoseconds within the second. */
  ftime?: number
  /** The same, encrypted by the gateway's vendor. */
  encryptedTime?: Uint8Array
  /** Hz. */
  frequencyOffset?: number
}

const CRC = { ok: 1, none: 0, bad: -1 } as const

/** Undefined for a modulation that is neither LoRa nor FSK. Errors: `badDatagram`. */
export function decodeRxpk(value: unknown): Rxpk | undefined {
  const fields = asFields(value, 'rxpk')
  const name = optionalText(fields, 'modu', 16) ?? 'LORA'
  if (name !== 'LORA' && name !== 'FSK') return undefined
  const modulation: Modulation =
    name === 'LORA' ? { name, ...dataRateOf(fields) } : { name, bitrate: bitrateOf(fields) }
  const antennas = antennasOf(fields)
  const { rssi, rssis, snr, ftime } = antennas === undefined ? levelsOf(fields) : loudest(antennas)
  const tmms = optionalInteger(fields, 'tmms', 0, Number.MAX_SAFE_INTEGER)
  return {
    payload: payloadOf(fields),
    frequency: frequencyOf(fields),
    modulation,
    rssi,
    tmst: required(optionalInteger(fields, 'tmst', 0, U32_MAX), 'tmst'),
    crc: crcOf(fields),
    ...withoutUndefined({
      rssis,
      snr: name === 'LORA' ? snr : undefined,
      tmms: tmms === undefined ? undefined : BigInt(tmms),
      ftime: optionalInteger(fields, 'ftime', 0, NANOSECONDS_MAX) ?? ftime,
      codingRate: optionalText(fields, 'codr', 8),
      time: timeOf(optionalText(fields, 'time', 64)),
      channel: optionalInteger(fields, 'chan', 0, PART_MAX),
      chain: optionalInteger(fields, 'rfch', 0, PART_MAX),
      modem: optionalInteger(fields, 'mid', 0, PART_MAX),
      board: optionalInteger(fields, 'brd', 0, PART_MAX),
      frequencyOffset: optionalInteger(fields, 'foff', -OFFSET_MAX, OFFSET_MAX),
      antennas,
      timeKey: optionalInteger(fields, 'aesk', 0, PART_MAX),
    }),
  }
}

export function encodeRxpk(packet: Rxpk, padding: boolean): Record<string, unknown> {
  const { modulation, antennas, tmms, time } = packet
  return {
    time: time === undefined ? undefined : writeTime(time),
    tmst: packet.tmst,
    tmms: tmms === undefined ? undefined : Number(tmms),
    ftime: antennas === undefined ? packet.ftime : undefined,
    chan: packet.channel,
    rfch: packet.chain,
    mid: packet.modem,
    brd: packet.board,
    freq: megahertz(packet.frequency),
    stat: CRC[packet.crc],
    modu: modulation.name,
    datr:
      modulation.name === 'LORA'
        ? `SF${modulation.spreadingFactor}BW${modulation.bandwidth}`
        : modulation.bitrate,
    codr: packet.codingRate,
    ...(antennas === undefined && {
      rssi: packet.rssi / 10,
      rssis: decibels(packet.rssis),
      lsnr: decibels(packet.snr),
    }),
    foff: packet.frequencyOffset,
    rsig: antennas?.map(encodeAntenna),
    aesk: packet.timeKey,
    size: packet.payload.length,
    data: encodePayload(packet.payload, padding),
  }
}

function antennasOf(fields: Fields): Antenna[] | undefined {
  const list = optional(fields, 'rsig')
  if (list === undefined) return undefined
  if (!Array.isArray(list) || list.length === 0 || list.length > ANTENNAS_MAX) {
    throw bad('rsig', `rsig is a list of 1 to ${ANTENNAS_MAX} antennas`)
  }
  return list.map(item => readAntenna(asFields(item, 'rsig')))
}

/** The antenna that heard loudest, the first of equals. */
function loudest(antennas: readonly Antenna[]): Antenna {
  return antennas.reduce((best, next) => (next.rssi > best.rssi ? next : best))
}

function levelsOf(fields: Fields): Partial<Rxpk> & Pick<Rxpk, 'rssi'> {
  return {
    rssi: required(tenthsOf(fields, 'rssi', -250, 50), 'rssi'),
    ...withoutUndefined({
      rssis: tenthsOf(fields, 'rssis', -250, 50),
      snr: tenthsOf(fields, 'lsnr', -100, 100),
    }),
  }
}

function readAntenna(fields: Fields): Antenna {
  return {
    rssi: required(tenthsOf(fields, 'rssic', -250, 50), 'rssic'),
    ...withoutUndefined({
      antenna: optionalInteger(fields, 'ant', 0, PART_MAX),
      channel: optionalInteger(fields, 'chan', 0, PART_MAX),
      rssis: tenthsOf(fields, 'rssis', -250, 50),
      rssiDeviation: tenthsOf(fields, 'rssisd', 0, 250),
      snr: tenthsOf(fields, 'lsnr', -100, 100),
      ftime: optionalInteger(fields, 'ftime', 0, NANOSECONDS_MAX),
      encryptedTime: bytesOf(fields, 'etime', ENCRYPTED_TIME_MAX),
      frequencyOffset: optionalInteger(fields, 'foff', -OFFSET_MAX, OFFSET_MAX),
    }),
  }
}

function encodeAntenna(antenna: Antenna): Record<string, unknown> {
  const { encryptedTime } = antenna
  return {
    ant: antenna.antenna,
    chan: antenna.channel,
    rssic: antenna.rssi / 10,
    rssis: decibels(antenna.rssis),
    rssisd: decibels(antenna.rssiDeviation),
    lsnr: decibels(antenna.snr),
    ftime: antenna.ftime,
    etime: encryptedTime && encodePayload(encryptedTime, true),
    foff: antenna.frequencyOffset,
  }
}

/** dB, from 0.1 dB. */
function decibels(tenths: number | undefined): number | undefined {
  return tenths === undefined ? undefined : tenths / 10
}

function bitrateOf(fields: Fields): number {
  return required(optionalNumber(fields, 'datr', 1, 1_000_000), 'datr')
}

/** A forwarder that does not say whether the CRC held forwards only what held. */
function crcOf(fields: Fields): Rxpk['crc'] {
  const stat = optionalInteger(fields, 'stat', -1, 1) ?? CRC.ok
  return stat === CRC.ok ? 'ok' : stat === CRC.none ? 'none' : 'bad'
}
