/**
 * How much of a signal the air loses, in dB. Floating point: nothing here decides a verdict.
 *
 * The default is the log-distance model measured in Oulu with LoRa at 868 MHz: 128.95 dB at 1 km,
 * exponent 2.32, shadowing of 7.8 dB (Petäjäjärvi et al., ITST 2015).
 */

const SPEED_OF_LIGHT = 299_792_458

export type PropagationModel =
  | {
      name: 'logDistance'
      /** Loss at 1 km, dB. */
      referenceLoss?: number
      exponent?: number
      /** Standard deviation of the shadowing of a link, dB. */
      sigma?: number
    }
  | { name: 'freeSpace' }
  | { name: 'okumuraHata'; environment: HataEnvironment; sigma?: number }

/** A small or medium city, a large one, a suburb, open country. */
export type HataEnvironment = 'city' | 'largeCity' | 'suburb' | 'open'

export const OULU: PropagationModel = { name: 'logDistance' }

/** Every model by the name that commands know it by. */
export const MODELS: Readonly<Record<string, PropagationModel>> = {
  oulu: OULU,
  free: { name: 'freeSpace' },
  'hata-city': { name: 'okumuraHata', environment: 'city' },
  'hata-large-city': { name: 'okumuraHata', environment: 'largeCity' },
  'hata-suburb': { name: 'okumuraHata', environment: 'suburb' },
  'hata-open': { name: 'okumuraHata', environment: 'open' },
}

/** Where Hata's formula was fitted: MHz, km, and m above ground of the higher and lower antenna. */
export const HATA_RANGE = {
  frequency: [150, 1_500],
  distance: [1, 20],
  base: [30, 200],
  mobile: [1, 10],
} as const

export interface Path {
  /** m. */
  distance: number
  /** Hz. */
  frequency: number
  /** Antenna heights above ground, m. */
  heights: readonly [number, number]
}

/** Loss of the model without shadowing, never less than that of free space. */
export function meanPathLoss(model: PropagationModel, path: Path): number {
  const free = freeSpacePathLoss(path)
  switch (model.name) {
    case 'freeSpace':
      return free
    case 'logDistance': {
      const { referenceLoss = 128.95, exponent = 2.32 } = model
      const kilometres = Math.max(path.distance, 1) / 1_000
      return Math.max(free, referenceLoss + 10 * exponent * Math.log10(kilometres))
    }
    case 'okumuraHata':
      return Math.max(free, okumuraHata(model.environment, path))
  }
}

/** Standard deviation of the shadowing of a link, dB. */
export function shadowingSigma(model: PropagationModel): number {
  if (model.name === 'freeSpace') return 0
  return model.sigma ?? 7.8
}

export function freeSpacePathLoss({ distance, frequency }: Omit<Path, 'heights'>): number {
  return 20 * Math.log10((4 * Math.PI * Math.max(distance, 1) * frequency) / SPEED_OF_LIGHT)
}

/**
 * What of a path lies outside of the range that a model was fitted in. There Hata's formula is used
 * with the antennas brought into their range, and with distance and frequency as they are.
 */
export function outsideOf(model: PropagationModel, path: Path): (keyof typeof HATA_RANGE)[] {
  if (model.name !== 'okumuraHata') return []
  const values = {
    frequency: path.frequency / 1e6,
    distance: path.distance / 1_000,
    base: Math.max(...path.heights),
    mobile: Math.min(...path.heights),
  }
  const names = Object.keys(HATA_RANGE) as (keyof typeof HATA_RANGE)[]
  return names.filter(name => values[name] !== clamp(values[name], HATA_RANGE[name]))
}

/**
 * Hata's formula (IEEE Transactions VT-29, 1980). The higher antenna is the base, the lower one the
 * mobile, which makes it symmetric.
 */
function okumuraHata(environment: HataEnvironment, path: Path): number {
  const { distance, frequency, heights } = path
  const mhz = frequency / 1e6
  const log = Math.log10(mhz)
  const base = Math.log10(clamp(Math.max(...heights), HATA_RANGE.base))
  const mobile = clamp(Math.min(...heights), HATA_RANGE.mobile)
  const kilometres = Math.log10(Math.max(distance, 1) / 1_000)
  const slope = 44.9 - 6.55 * base
  const common = 69.55 + 26.16 * log - 13.82 * base + slope * kilometres
  if (environment === 'largeCity') return common - largeCityCorrection(mhz, mobile)
  const city = common - ((1.1 * log - 0.7) * mobile - (1.56 * log - 0.8))
  if (environment === 'suburb') return city - 2 * Math.log10(mhz / 28) ** 2 - 5.4
  if (environment === 'open') return city - 4.78 * log ** 2 + 18.33 * log - 40.94
  return city
}

/** Of the mobile antenna's height; two formulas, which Hata gives up to 200 and from 400 MHz. */
function largeCityCorrection(mhz: number, mobile: number): number {
  if (mhz < 300) return 8.29 * Math.log10(1.54 * mobile) ** 2 - 1.1
  return 3.2 * Math.log10(11.75 * mobile) ** 2 - 4.97
}

function clamp(value: number, [low, high]: readonly [number, number]): number {
  return Math.min(Math.max(value, low), high)
}
