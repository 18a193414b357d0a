/**
 * Regional plans as data: where a gateway may transmit, how loud and how long.
 *
 * A plan is named by the code in the registry, a set of its channels by the registry's sub-band.
 * Which plans hold at a place is a table of boxes, a coarse stand-in for national borders: it tells
 * Finland from Florida, not one side of a border river from the other. A place may lie in boxes of
 * several plans, or of none; it agrees with a plan when any box of that plan holds it.
 */
import { CairnError } from '../errors.ts'
import type { Position } from './geo.ts'

/** A span of spectrum with its own limits. Sub-band of a rule, not of the registry. */
export interface DutyBand {
  name: string
  /** Hz, from inclusive, to exclusive. */
  from: number
  to: number
  /** Share of any hour a transmitter may be on the air, parts per million. */
  duty: number
  /** 0.1 dBm. */
  maxEirp: number
}

/** Whole degrees: south, west, north, east. */
export type Box = readonly [south: number, west: number, north: number, east: number]

export interface RegionalPlan {
  /** As in the registry; never used again for another plan. */
  code: number
  name: string
  /** Channels of 125 kHz by the registry's sub-band, Hz. */
  channelSets: readonly (readonly number[])[]
  /** Lowest and highest spreading factor at 125 kHz. */
  spreadingFactors: readonly [number, number]
  /** Longest single transmission, microseconds, where the rules have one. */
  dwell?: number
  bands: readonly DutyBand[]
  /** Levels a beacon may use: `maxEirp - k * step` for k below `count`, 0.1 dB. */
  powerSteps: { step: number; count: number }
  boxes: readonly Box[]
}

/**
 * Bands and limits: ETSI EN 300 220-2 V3.2.1, annex B, bands K to Q, 25 mW ERP (14 dBm, 16.15 dBm
 * EIRP; 16 as LoRaWAN RP002-1.0.4 has it), P 500 mW ERP (29.15 dBm EIRP). Channels: RP002's three
 * default ones, then the five that every network in the band adds.
 */
export const EU868: RegionalPlan = {
  code: 1,
  name: 'EU868',
  channelSets: [
    [
      868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000,
      867_900_000,
    ],
  ],
  spreadingFactors: [7, 12],
  bands: [
    { name: 'K', from: 863_000_000, to: 865_000_000, duty: 1_000, maxEirp: 160 },
    { name: 'L', from: 865_000_000, to: 868_000_000, duty: 10_000, maxEirp: 160 },
    { name: 'M', from: 868_000_000, to: 868_600_000, duty: 10_000, maxEirp: 160 },
    { name: 'N', from: 868_700_000, to: 869_200_000, duty: 1_000, maxEirp: 160 },
    { name: 'P', from: 869_400_000, to: 869_650_000, duty: 100_000, maxEirp: 291 },
    { name: 'Q', from: 869_700_000, to: 870_000_000, duty: 10_000, maxEirp: 160 },
  ],
  powerSteps: { step: 20, count: 8 },
  boxes: [
    [63, -25, 67, -13], // Iceland
    [49, -11, 61, 2], // British Isles
    [36, -32, 40, -24], // Azores
    [27, -19, 34, -13], // Madeira, Canary Islands
    [35, -10, 44, 4], // Iberia
    [36, -6, 56, 19], // France to Poland's west, Italy, Malta
    [54, 4, 72, 21], // Denmark, Norway, Sweden
    [59, 19, 70, 28], // Finland, northern Norway
    [61, 28, 71, 32], // eastern Finland and Norway
    [55, 21, 60, 28], // Estonia, Latvia, Lithuania's north
    [53, 23, 56, 27], // Lithuania's south
    [48, 12, 55, 24], // Czechia, Poland, Slovakia
    [34, 13, 49, 30], // Hungary and Romania to Greece
    [44, 22, 52, 40], // Ukraine, Moldova
    [34, 25, 43, 45], // Turkey, Cyprus
  ],
}

export const REGIONAL_PLANS: readonly RegionalPlan[] = [EU868]

/** Errors: `unknownRegion`. */
export function regionalPlan(code: number): RegionalPlan {
  const plan = REGIONAL_PLANS.find(p => p.code === code)
  if (plan !== undefined) return plan
  throw new CairnError('unknownRegion', `no regional plan has the code ${code}`, {
    facts: { code, known: REGIONAL_PLANS.map(p => p.code).join(', ') },
  })
}

/** Channels of the registered sub-band, Hz; undefined when the plan has no such sub-band. */
export function channelsOf(plan: RegionalPlan, subBand: number): readonly number[] | undefined {
  return plan.channelSets[subBand]
}

/** The band whose limits hold for a frequency; undefined where the plan allows none. */
export function bandOf(plan: RegionalPlan, frequency: number): DutyBand | undefined {
  return plan.bands.find(band => frequency >= band.from && frequency < band.to)
}

/** True iff a box of the plan holds the place. */
export function planHolds(plan: RegionalPlan, { lat, lng }: Position): boolean {
  return plan.boxes.some(
    ([south, west, north, east]) =>
      lat >= south * 1e7 && lat <= north * 1e7 && lng >= west * 1e7 && lng <= east * 1e7,
  )
}
