/**
 * How long a LoRa frame is on the air, in integer microseconds.
 *
 * Source: Semtech, SX1261/2 datasheet 6.1.4 (the same formula as AN1200.13 for SF7 to SF12).
 */
import { check } from '../errors.ts'

/** Symbols of the preamble that LoRaWAN sends, and the 4.25 of synchronisation after them. */
const PREAMBLE_SYMBOLS = 8
const SYNC_QUARTERS = 17

/** Low data rate optimisation is on from this symbol time, us. */
const SLOW_SYMBOL = 16_000

export interface FrameShape {
  /** Bytes of payload, 0 to 255. */
  bytes: number
  spreadingFactor: number
  /** kHz: 125, 250 or 500, so that a quarter of a symbol is whole microseconds. */
  bandwidth: number
  /** n of the coding rate 4/n; 5 unless given. */
  codingRate?: number
  /** True unless given. */
  crc?: boolean
  /** Symbols; 8 unless given. */
  preamble?: number
}

/** Microseconds. Errors: `badFrame`. */
export function airtime(shape: FrameShape): number {
  const { bytes, spreadingFactor: sf, bandwidth, codingRate = 5, crc = true } = shape
  const { preamble = PREAMBLE_SYMBOLS } = shape
  const fits =
    inRange(bytes, 0, 255) &&
    inRange(sf, 7, 12) &&
    (bandwidth === 125 || bandwidth === 250 || bandwidth === 500) &&
    inRange(codingRate, 5, 8) &&
    inRange(preamble, 6, 65_535)
  check(fits, 'badFrame', 'a frame has 0 to 255 bytes, SF7 to SF12 and 125, 250 or 500 kHz', {
    facts: { bytes, spreadingFactor: sf, bandwidth, codingRate, preamble },
  })
  const symbol = (2 ** sf * 1_000) / bandwidth
  const bitsPerBlock = 4 * (sf - (symbol >= SLOW_SYMBOL ? 2 : 0))
  const bits = 8 * bytes - 4 * sf + 28 + (crc ? 16 : 0)
  const blocks = Math.max(Math.ceil(bits / bitsPerBlock), 0)
  const quarters = preamble * 4 + SYNC_QUARTERS + (8 + blocks * codingRate) * 4
  return quarters * (symbol / 4)
}

function inRange(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high
}
