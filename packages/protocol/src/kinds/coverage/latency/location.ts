/**
 * Whether a gateway answers from farther off its cell than light could. A round trip that is shorter
 * than light takes to the claimed cell and back shows that the key is not there; one that is longer
 * shows nothing. So one false time proves a false cell, and no number of slow ones proves a true one.
 */
import { ListCompositeType } from '@chainsafe/ssz'
import { CarriedContainerType } from '../../../carried.ts'
import { isMajority } from '../../../duties.ts'
import type { EpochBase, Known, VerdictFacts } from '../../../kind.ts'
import { cellDistance } from '../../../radio/geo.ts'
import { ContainerType, hex, Uint32, type ValueOf } from '../../../ssz.ts'
import { FULL } from '../graph/ramp.ts'
import { slackOf } from '../place.ts'
import type { Measurement } from './measurement.ts'

/**
 * Metres that light covers there and back in a microsecond of round trip, rounded up from 149.9;
 * glass fibre makes 100 of them.
 */
export const METRES_PER_MICRO = 150
/** With measurements by fewer operators nothing is judged. */
export const OPERATORS_MIN = 5
/** Measurements that are remembered of a gateway: three rounds of them, one of each operator. */
export const TIMINGS_MAX = 24

/** Registered nodes at most, as in the list of gateways. */
const TARGETS_MAX = 2 ** 24

export const Timing = new CarriedContainerType(
  {
    epoch: Uint32,
    measurer: Uint32,
    /** Least round trip, microseconds. */
    micros: Uint32,
    /** Between the two registered cells, less the slack of both. */
    metres: Uint32,
  },
  { typeName: 'Timing' },
)
export type Timing = ValueOf<typeof Timing>

export const TargetTimings = new ContainerType(
  {
    target: Uint32,
    /** By epoch, then measurer; one of each operator, the newest. */
    timings: new ListCompositeType(Timing, TIMINGS_MAX),
  },
  { typeName: 'TargetTimings' },
)
export type TargetTimings = ValueOf<typeof TargetTimings>

/** By ascending target. */
export const Timings = new ListCompositeType(TargetTimings, TARGETS_MAX, { typeName: 'Timings' })
export type Timings = ValueOf<typeof Timings>

/** What is carried, without what is older than `graphEpochs` and without nodes that are gone. */
export function standingTimings(base: EpochBase, carried: Timings): TargetTimings[] {
  const { epoch: now, profile } = base
  const standing: TargetTimings[] = []
  for (const { target, timings } of carried) {
    if (base.node(target) === undefined) continue
    const left = timings.filter(
      ({ epoch, measurer }) =>
        epoch + profile.graphEpochs > now && base.node(measurer) !== undefined,
    )
    if (left.length > 0) standing.push({ target, timings: left })
  }
  return standing
}

/** What stands with this epoch's measurements, each of which its operator's last one gives way to. */
export function nextTimings(
  base: EpochBase,
  standing: readonly TargetTimings[],
  measurements: readonly Known<Measurement>[],
): TargetTimings[] {
  const next = new Map(standing.map(item => [item.target, item]))
  const added = Map.groupBy(measurements, ({ value }) => value.target)
  for (const [target, list] of added) {
    const fresh = list.flatMap(({ value }) => timingOf(base, value) ?? [])
    const operators = new Set(fresh.map(({ measurer }) => operatorOf(base, measurer)))
    const before = next.get(target)?.timings ?? []
    const kept = before.filter(({ measurer }) => !operators.has(operatorOf(base, measurer)))
    const timings = [...kept, ...fresh.sort((a, b) => a.measurer - b.measurer)]
    if (timings.length > 0) next.set(target, { target, timings: timings.slice(-TIMINGS_MAX) })
  }
  return [...next.values()].sort((a, b) => a.target - b.target)
}

export interface Location {
  /** Of all units, parts per million: nothing or everything. */
  readonly factor: number
  /** Every number that it was judged by. */
  readonly facts: VerdictFacts
}

/**
 * Nothing iff more than half of the measurements, and those by at least `OPERATORS_MIN` operators,
 * are of round trips too short for the claimed cell. The facts name the shortest for its distance.
 */
export function judgeLocation(timings: readonly Timing[]): Location {
  const [first] = timings
  if (first === undefined) return { factor: FULL, facts: {} }
  const tooFast = timings.filter(timing => surplus(timing) > 0).length
  const elsewhere = timings.length >= OPERATORS_MIN && isMajority(tooFast, timings.length)
  const worst = timings.reduce((a, b) => (surplus(b) > surplus(a) ? b : a), first)
  const factor = elsewhere ? 0 : FULL
  return {
    factor,
    facts: {
      location: factor,
      measurements: timings.length,
      measuredTooFast: tooFast,
      roundTripFrom: worst.measurer,
      roundTripMicros: worst.micros,
      roundTripMetres: worst.metres,
      roundTripLimit: METRES_PER_MICRO * worst.micros,
    },
  }
}

/** Metres beyond what light allows; not above 0 for what proves nothing. */
function surplus({ micros, metres }: Timing): number {
  return metres - METRES_PER_MICRO * micros
}

/** Both had a cell when the message was let in. */
function timingOf(
  base: EpochBase,
  { epoch, author: measurer, target, micros }: Measurement,
): Timing | undefined {
  const [a, b] = [base.node(measurer), base.node(target)]
  if (a === undefined || b === undefined) return undefined
  const metres = Math.max(0, cellDistance(a.cell, b.cell) - slackOf(a) - slackOf(b))
  return { epoch, measurer, micros, metres }
}

function operatorOf(base: EpochBase, node: number): string {
  return hex(base.node(node)?.operator ?? new Uint8Array())
}
