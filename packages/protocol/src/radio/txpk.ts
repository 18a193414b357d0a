/** One packet for a concentrator to send (`txpk`). */
import {
  bad,
  dataRateOf,
  encodePayload,
  type Fields,
  frequencyOf,
  megahertz,
  optionalBoolean,
  optionalInteger,
  optionalNumber,
  optionalText,
  payloadOf,
  required,
  withoutUndefined,
} from './gwmp-json.ts'
import type { Modulation } from './rxpk.ts'

const U32_MAX = 0xffff_ffff

export interface Txpk {
  payload: Uint8Array
  /** Hz. */
  frequency: number
  modulation: Modulation
  /** When: at once, at a concentrator count (microseconds), or at GPS ms. */
  when: 'now' | { tmst: number } | { tmms: bigint }
  /** EIRP, whole dBm: the forwarder takes its antenna gain off. */
  power: number
  /** `4/5` to `4/8`, always there for LoRa. */
  codingRate?: string
  /** RF chain; 0 unless given. */
  chain?: number
  /** LoRa polarisation as of a downlink; false unless given. */
  inverted?: boolean
  /** Symbols. */
  preamble?: number
  /** Send without CRC; false unless given. */
  noCrc?: boolean
  /** FSK deviation, Hz. */
  deviation?: number
}

/** Refuses what forwarders drop without a word: no `size`, or no `codr` for LoRa. */
export function decodeTxpk(fields: Fields): Txpk {
  const name = optionalText(fields, 'modu', 16) ?? 'LORA'
  if (name !== 'LORA' && name !== 'FSK') throw bad('modu', 'modu is LORA or FSK')
  const modulation: Modulation =
    name === 'LORA'
      ? { name, ...dataRateOf(fields) }
      : { name, bitrate: required(optionalNumber(fields, 'datr', 1, 1_000_000), 'datr') }
  required(optionalInteger(fields, 'size', 0, 255), 'size')
  const codingRate = optionalText(fields, 'codr', 8)
  if (name === 'LORA') required(codingRate, 'codr')
  const optional = {
    codingRate,
    chain: optionalInteger(fields, 'rfch', 0, 15),
    inverted: optionalBoolean(fields, 'ipol'),
    preamble: optionalInteger(fields, 'prea', 0, 65_535),
    noCrc: optionalBoolean(fields, 'ncrc'),
    deviation: optionalInteger(fields, 'fdev', 0, 250_000),
  }
  return {
    payload: payloadOf(fields),
    frequency: frequencyOf(fields),
    modulation,
    when: whenOf(fields),
    power: required(optionalInteger(fields, 'powe', -128, 127), 'powe'),
    ...withoutUndefined(optional),
  }
}

export function encodeTxpk(packet: Txpk, padding: boolean): Record<string, unknown> {
  const { when, modulation, chain = 0, inverted = false } = packet
  return {
    imme: when === 'now',
    ...(when !== 'now' && ('tmst' in when ? when : { tmms: Number(when.tmms) })),
    freq: megahertz(packet.frequency),
    rfch: chain,
    powe: packet.power,
    modu: modulation.name,
    datr:
      modulation.name === 'LORA'
        ? `SF${modulation.spreadingFactor}BW${modulation.bandwidth}`
        : modulation.bitrate,
    codr: packet.codingRate,
    fdev: packet.deviation,
    ipol: inverted,
    prea: packet.preamble,
    ncrc: packet.noCrc,
    size: packet.payload.length,
    data: encodePayload(packet.payload, padding),
  }
}

function whenOf(fields: Fields): Txpk['when'] {
  if (optionalBoolean(fields, 'imme') === true) return 'now'
  const tmst = optionalInteger(fields, 'tmst', 0, U32_MAX)
  if (tmst !== undefined) return { tmst }
  const tmms = optionalInteger(fields, 'tmms', 0, Number.MAX_SAFE_INTEGER)
  return { tmms: BigInt(required(tmms, 'tmst')) }
}
