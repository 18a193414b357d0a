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
import { REGIONAL_PLANS } from './plans.ts'

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
  /** Longest single transmission, microseconds; undefined where the rules have none. */
  dwell?: number
  bands: readonly DutyBand[]
  /** Levels a beacon may use: `maxEirp - k * step` for k below `count`, 0.1 dB. */
  powerSteps: { step: number; count: number }
  boxes: readonly Box[]
}

/** Errors: `unknownRegion`. */
export function regionalPlan(name: string): RegionalPlan {
  const plan = REGIONAL_PLANS.find(p => p.name === name)
  if (plan !== undefined) return plan
  throw new CairnError('unknownRegion', `no regional plan is called ${name}`, {
    facts: { name, known: REGIONAL_PLANS.map(p => p.name).join(', ') },
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
