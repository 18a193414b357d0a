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
  | { name: 'okumuraHata'; environment: 'city' | 'suburb' | 'open'; sigma?: number }

export const OULU: PropagationModel = { name: 'logDistance' }

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
 * Hata's formula for a medium city (IEEE VT-29, 1980): the higher antenna is the base, brought into
 * its 30 to 200 m; the lower one the mobile, brought into 1 to 10 m.
 */
function okumuraHata(environment: 'city' | 'suburb' | 'open', path: Path): number {
  const { distance, frequency, heights } = path
  const mhz = frequency / 1e6
  const log = Math.log10(mhz)
  const base = Math.log10(clamp(Math.max(...heights), 30, 200))
  const mobile = clamp(Math.min(...heights), 1, 10)
  const correction = (1.1 * log - 0.7) * mobile - (1.56 * log - 0.8)
  const kilometres = Math.log10(Math.max(distance, 1) / 1_000)
  const slope = 44.9 - 6.55 * base
  const city = 69.55 + 26.16 * log - 13.82 * base - correction + slope * kilometres
  if (environment === 'suburb') return city - 2 * Math.log10(mhz / 28) ** 2 - 5.4
  if (environment === 'open') return city - 4.78 * log ** 2 + 18.33 * log - 40.94
  return city
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}
