/**
 * Levels in integers: everything is 0.1 dB, 0.1 dBm or 0.1 dBi, so that a verdict is the same on
 * every engine (`Math.log10` is not: it only tells where no rounding is near).
 *
 * A ratio becomes a level by a base-2 logarithm of 32 fractional bits, found bit by bit: square the
 * mantissa, and when it passes 2 the bit is set. The mantissa carries 63 fractional bits; each of
 * the 32 squarings loses less than 2^-63, halved by every step before it, so the result lies in
 * (log2 - 2^-32 - 2^-61, log2]. In 0.1 dB that is an error below 1e-8 before the one rounding.
 */
import { check, invariant } from '../errors.ts'

/** floor(log10(2) * 2^64). */
const LOG10_2_Q64 = 5_553_023_288_523_357_132n

const LOG_BITS = 32
const MANTISSA_BITS = 63n
const TWO_Q63 = 1n << (MANTISSA_BITS + 1n)

/** floor(10^(2^k / 100) * 2^64): factors of a level of 2^k tenths of a dB. */
const POWERS_Q64 = [
  18_876_423_941_023_515_213n,
  19_316_112_338_170_018_424n,
  20_226_452_666_656_037_476n,
  22_177_864_334_310_526_215n,
  26_663_657_524_911_531_244n,
  38_540_711_020_056_048_709n,
  80_522_958_414_566_743_870n,
  351_495_462_067_748_773_307n,
  6_697_607_955_124_358_937_265n,
  2_431_754_467_959_308_448_501_310n,
] as const

const ONE_Q64 = 1n << 64n

/** How near to the boundary between two levels a double does not tell which it is, 0.1 dB. */
const NEAR_HALF = 1e-4

/** Beyond this difference the weaker of two levels adds less than 1e-8 dB. */
const NEGLIGIBLE = 1_000

/** 4 pi, times 10^30. */
const FOUR_PI_E30 = 12_566_370_614_359_172_953_850_573_533_118n
/** m/s, exact by definition of the metre. */
const SPEED_OF_LIGHT = 299_792_458n
const E30 = 10n ** 30n

/** k * T in mW/Hz is 1,380,649 * 290 * 10^-26: Boltzmann's constant (exact) at 290 K (IEEE). */
const KT_NUMERATOR = 1_380_649n * 290n
const KT_DENOMINATOR = 10n ** 26n

/** Noise figure of a gateway's receiver, 0.1 dB: what sensitivities are reckoned with. */
export const NOISE_FIGURE = 60

/** floor(log2(n) * 2^32), or one less; for n >= 1. */
export function log2Q32(n: bigint): bigint {
  invariant(n > 0n, 'a logarithm is taken of a positive number')
  const whole = BigInt(bitLength(n) - 1)
  let mantissa = whole > MANTISSA_BITS ? n >> (whole - MANTISSA_BITS) : n << (MANTISSA_BITS - whole)
  let result = whole
  for (let i = 0; i < LOG_BITS; i++) {
    mantissa = (mantissa * mantissa) >> MANTISSA_BITS
    result <<= 1n
    if (mantissa >= TWO_Q63) {
      mantissa >>= 1n
      result |= 1n
    }
  }
  return result
}

/** 10 log10(numerator / denominator) in 0.1 dB, to the nearest, halves up; both at least 1. */
export function ratioLevel(numerator: bigint, denominator: bigint): number {
  return levelOf(numerator, denominator, 100)
}

/** 10^(tenths / 100) * 2^64, for 0 <= tenths <= 1,000; relative error below 1e-17. */
export function powerQ64(tenths: number): bigint {
  invariant(tenths >= 0 && tenths <= NEGLIGIBLE, 'a power is taken of a level up to 100 dB')
  let product = ONE_Q64
  POWERS_Q64.forEach((factor, k) => {
    if (((tenths >> k) & 1) === 1) product = (product * factor) >> 64n
  })
  return product
}

/** Sum of the powers of two levels, in the unit of both (0.1 dB, 0.1 dBm). */
export function addLevels(a: number, b: number): number {
  const [high, low] = a >= b ? [a, b] : [b, a]
  const apart = high - low
  if (apart > NEGLIGIBLE) return high
  const ratio = powerQ64(apart)
  return high + ratioLevel(ratio + ONE_Q64, ratio)
}

/**
 * Free-space path loss in 0.1 dB to the nearest: 20 log10(4 pi d f / c).
 *
 * `distance` in whole metres, below 1 counted as 1 (the near field has no such law); `frequency` in
 * Hz. Source: ITU-R P.525.
 */
export function freeSpaceLoss(distance: number, frequency: number): number {
  check(
    Number.isSafeInteger(distance) && distance >= 0 && Number.isSafeInteger(frequency),
    'badLevel',
    'distance and frequency are whole metres and Hz',
    { facts: { distance, frequency } },
  )
  check(frequency > 0, 'badLevel', 'a frequency is above 0 Hz', { facts: { frequency } })
  const path = BigInt(Math.max(distance, 1)) * BigInt(frequency) * FOUR_PI_E30
  return levelOf(path, SPEED_OF_LIGHT * E30, 200)
}

/** Thermal noise kTB at 290 K, in 0.1 dBm, without a noise figure; `bandwidth` in kHz. */
export function noiseFloor(bandwidth: number): number {
  return ratioLevel(KT_NUMERATOR * BigInt(bandwidth) * 1_000n, KT_DENOMINATOR)
}

/** Lowest SNR at which a spreading factor is decoded, 0.1 dB. Source: Semtech SX1302 datasheet. */
export function demodulationLimit(spreadingFactor: number): number {
  check(
    Number.isInteger(spreadingFactor) && spreadingFactor >= 7 && spreadingFactor <= 12,
    'badSpreadingFactor',
    'a spreading factor is 7 to 12',
    { facts: { spreadingFactor } },
  )
  return -75 - 25 * (spreadingFactor - 7)
}

export interface SensitivityInit {
  spreadingFactor: number
  /** kHz. */
  bandwidth: number
  /** 0.1 dB; `NOISE_FIGURE` unless given. */
  noiseFigure?: number
}

/** Weakest signal that is decoded, 0.1 dBm: noise floor, noise figure and demodulation limit. */
export function sensitivity(init: SensitivityInit): number {
  const { spreadingFactor, bandwidth, noiseFigure = NOISE_FIGURE } = init
  return noiseFloor(bandwidth) + noiseFigure + demodulationLimit(spreadingFactor)
}

export interface LinkInit extends SensitivityInit {
  /** Of the sender, 0.1 dBm. */
  eirp: number
  /** Of the receiver's antenna less cable loss, 0.1 dBi. */
  gain: number
}

/** The path loss at which a frame is only just decoded, 0.1 dB. */
export function linkBudget(init: LinkInit): number {
  return init.eirp + init.gain - sensitivity(init)
}

export interface FreeSpaceInit {
  /** 0.1 dBm. */
  eirp: number
  /** 0.1 dBi. */
  gain: number
  /** m. */
  distance: number
  /** Hz. */
  frequency: number
}

/** Level at the receiver over a free path, 0.1 dBm: what no antenna at that place exceeds. */
export function freeSpaceLevel({ eirp, gain, distance, frequency }: FreeSpaceInit): number {
  return eirp + gain - freeSpaceLoss(distance, frequency)
}

/** A reception's levels: `rssi` of signal and noise, `rssis` of the signal alone, 0.1 dB(m). */
export interface HeardLevels {
  rssi: number
  rssis?: number | undefined
  snr: number
}

/** Signal without noise, 0.1 dBm: `rssis`, or rssi - 10 log10(1 + 10^(-snr/10)). */
export function signalLevel({ rssi, rssis, snr }: HeardLevels): number {
  return rssis ?? rssi - addLevels(0, -snr)
}

/** Noise in 125 kHz, 0.1 dBm: rssis - snr or rssi - 10 log10(1 + 10^(snr/10)), by bandwidth. */
export function noiseLevel(heard: HeardLevels & { /** kHz. */ bandwidth: number }): number {
  const { rssi, rssis, snr, bandwidth } = heard
  const noise = rssis === undefined ? rssi - addLevels(0, snr) : rssis - snr
  return noise - ratioLevel(BigInt(bandwidth), 125n)
}

/**
 * `factor` log10(numerator / denominator) to the nearest, halves up. An engine's logarithm is good
 * to a millionth of what keeps it clear of the halves; only within that distance of one are the bits
 * needed, which take a hundred times as long.
 */
function levelOf(numerator: bigint, denominator: bigint, factor: number): number {
  const rough = factor * Math.log10(Number(numerator) / Number(denominator))
  const nearest = Math.round(rough)
  // Plus nothing: a ratio just below 1 would round to negative zero.
  if (Math.abs(rough - nearest) < 0.5 - NEAR_HALF) return nearest + 0
  const log2 = log2Q32(numerator) - log2Q32(denominator)
  return Number((log2 * BigInt(factor) * LOG10_2_Q64 + (1n << 95n)) >> 96n)
}

function bitLength(n: bigint): number {
  const hex = n.toString(16)
  return hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 28
}
