/**
 * Whether what was heard of a gateway, and what it heard, fits where it says it is. No single
 * reception shows it: shadowing moves each by 8 to 10 dB. Many together do.
 *
 * - fit: over an honest gateway's links the measured loss grows with the registered distance. Over
 *   a spoofed cell's it does not. Pearson's coefficient of loss and distance in dB.
 * - level: the median of loss above that of the distance, against that of everybody. An attenuator, or a room
 *   full of gateways that claim a city, lies far off.
 * - asymmetry: air is the same both ways. Who is heard louder than it hears the same peers radiates
 *   more than it says.
 * - oneSided: frames that were told, not heard, come from gateways that never heard the teller. (A
 *   gateway that hears hardly anybody says nothing by that.)
 * - silence: gateways near the registered cell that in the same epoch heard others at an equal or
 *   higher expected loss, but not this one.
 *
 * Peers that do not fit themselves say nothing of others: three passes, each over the peers that
 * the pass before found to fit. So hostile neighbours cannot drag a gateway down with them.
 */
import { integerSqrt } from '../../../radio/geo.ts'
import { lossOf, median, type Tie, wayLoss } from './links.ts'
import { judgePlacement, type Placement, type Sighting } from './placement.ts'
import type { Places } from './places.ts'
import { type Ramp, ramp } from './ramp.ts'
import { type Chances, type Silence, silenceOf } from './silence.ts'

/**
 * What chance does to few numbers is not held against anybody, so in a village each rule waits for as
 * many as keep about 99 of 100 honest gateways in full: links for the place, level and fit, ...
 */
const DOUBT_LINKS_MIN = 12
const LEVEL_LINKS_MIN = 24
const FIT_LINKS_MIN = 32
/** ... and of who hears it and whom it hears several, since frames of one pair share its shadow. */
const PEERS_MIN = 8
const PASSES = 3
/** Thousandths of Pearson's coefficient. Of honest gateways 99 in 100 have 230 and more. */
const FIT: Ramp = { none: 100, full: 200 }
/** 0.1 dB off the median of all. Of honest gateways 98 in 100 lie within 35. */
const LEVEL: Ramp = { none: 80, full: 50 }
/** 0.1 dB. Honest: below 4; a wrong gain of 3 dB is forgiven. */
const ASYMMETRY: Ramp = { none: 90, full: 50 }
/** Thousandths of the frames of peers that were heard at least twice. Honest: below 80. */
const ONE_SIDED: Ramp = { none: 250, full: 120 }
/** Thousandths of the chances. Of honest gateways 99 in 100 have 260 and more. */
const HEARD: Ramp = { none: 100, full: 200 }
/** Pairs that were measured both ways. */
const ASYMMETRY_MIN = 12
/** Frames that were heard. */
const FRAMES_MIN = 48
/** Chances to be heard: three of each neighbour. */
const CHANCES_MIN = 24

/** Hundredths of the scatter squared. Of honest gateways 98 in 100 have 900 and less. */
const DOUBT: Ramp = { none: 1_600, full: 1_100 }

/** The parts by the names of their facts; `eitherWay`: the size of the number counts. */
export const CONSISTENCY_PARTS = {
  fit: { ramp: FIT, eitherWay: false },
  excess: { ramp: LEVEL, eitherWay: true },
  asymmetry: { ramp: ASYMMETRY, eitherWay: true },
  oneSided: { ramp: ONE_SIDED, eitherWay: false },
  heardShare: { ramp: HEARD, eitherWay: false },
  doubt: { ramp: DOUBT, eitherWay: false },
} as const

export interface Consistency extends Partial<Placement> {
  /** Parts per million. */
  readonly factor: number
  /** What was compared; a number that could not be had is absent. */
  readonly links: number
  readonly fit?: number
  readonly level?: number
  readonly asymmetry?: number
  readonly oneSided?: number
  readonly heard?: number
}

type Measured = Omit<Consistency, 'factor'>

export interface ConsistencyInput {
  readonly ties: ReadonlyMap<number, readonly Tie[]>
  readonly places: Places
  readonly chances: ReadonlyMap<number, Chances>
}

export function judgeConsistency(input: ConsistencyInput): Map<number, Consistency> {
  const deaf = deafOf(input.ties)
  const listens = (node: number) => !deaf.has(node)
  let fits: (node: number) => boolean = () => true
  let found = new Map<number, Consistency>()
  for (let pass = 0; pass < PASSES; pass++) {
    found = judgePass(input, { fits, listens })
    const before = found
    fits = node => (before.get(node)?.factor ?? 0) > 0
  }
  return placed(found, input)
}

/** The last fact: where the antenna stands by the links to all gateways that fit. */
function placed(
  found: ReadonlyMap<number, Consistency>,
  { ties, places }: ConsistencyInput,
): Map<number, Consistency> {
  const sightings = new Map<number, Sighting[]>()
  for (const [node, list] of ties) {
    const own = places.of(node)
    if (own === undefined) continue
    sightings.set(
      own,
      list.flatMap(tie => {
        const loss = lossOf(tie)
        const place = places.of(tie.peer)
        if (loss === undefined || place === undefined) return []
        if ((found.get(tie.peer)?.factor ?? 0) === 0) return []
        return { place, spreading: tie.spreading, loss }
      }),
    )
  }
  const placements = judgePlacement(sightings, places, DOUBT_LINKS_MIN)
  const all = new Map<number, Consistency>()
  for (const [node, numbers] of found) {
    const placement = placements.get(places.of(node) ?? -1)
    const factor = Math.min(numbers.factor, ramp(placement?.doubt, DOUBT))
    all.set(node, { ...numbers, ...placement, factor })
  }
  return all
}

interface Peers {
  /** Whose word of others counts. */
  readonly fits: (node: number) => boolean
  /** Whose never having heard somebody means anything. */
  readonly listens: (node: number) => boolean
}

/** Who hears less than half as many frames as are heard of it. */
function deafOf(ties: ReadonlyMap<number, readonly Tie[]>): Set<number> {
  const deaf = new Set<number>()
  for (const [node, list] of ties) {
    let [hears, heardBy] = [0, 0]
    for (const tie of list) {
      hears += tie.hears.heard
      heardBy += tie.heardBy.heard
    }
    if (2 * hears < heardBy) deaf.add(node)
  }
  return deaf
}

function judgePass(
  { ties, places, chances }: ConsistencyInput,
  { fits, listens }: Peers,
): Map<number, Consistency> {
  const believed = places.nodes.map(fits)
  const measured = new Map<number, Measured>()
  for (const [node, all] of ties) {
    measured.set(
      node,
      measure(
        all.filter(({ peer }) => fits(peer)),
        listens,
        silenceBy(chances.get(node), believed),
      ),
    )
  }
  const levels = [...measured.values()].flatMap(({ level }) => (level === undefined ? [] : level))
  const usual = median(levels) ?? 0
  const found = new Map<number, Consistency>()
  for (const [node, numbers] of measured) {
    const { level, ...rest } = numbers
    const shown = level === undefined ? rest : { ...rest, level: level - usual }
    found.set(node, { ...shown, factor: factorOf(shown) })
  }
  return found
}

function silenceBy(
  chances: Chances | undefined,
  believed: readonly boolean[],
): Silence | undefined {
  return chances && silenceOf(chances, place => believed[place] === true)
}

function factorOf({ fit, level, asymmetry, oneSided, heard }: Measured): number {
  return Math.min(
    ramp(fit, FIT),
    ramp(level === undefined ? undefined : Math.abs(level), LEVEL),
    ramp(asymmetry === undefined ? undefined : Math.abs(asymmetry), ASYMMETRY),
    ramp(oneSided, ONE_SIDED),
    ramp(heard, HEARD),
  )
}

function measure(
  ties: readonly Tie[],
  listens: Peers['listens'],
  silence: Silence | undefined,
): Measured {
  const points: Point[] = []
  const differences: number[] = []
  let frames = 0
  let alone = 0
  let peers = 0
  for (const tie of ties) {
    const loss = lossOf(tie)
    if (loss !== undefined) points.push({ free: tie.spreading, loss })
    const own = wayLoss(tie.heardBy)
    const theirs = wayLoss(tie.hears)
    if (own !== undefined && theirs !== undefined) differences.push(own - theirs)
    if (tie.hears.heard < 2 || !listens(tie.peer)) continue
    peers++
    frames += tie.hears.heard
    if (tie.heardBy.heard === 0) alone += tie.hears.heard
  }
  return {
    links: points.length,
    ...(points.length >= FIT_LINKS_MIN ? { fit: correlation(points) } : {}),
    ...(points.length >= LEVEL_LINKS_MIN ? { level: levelOf(points) } : {}),
    ...(differences.length >= ASYMMETRY_MIN ? { asymmetry: median(differences) as number } : {}),
    ...(peers >= PEERS_MIN && frames >= FRAMES_MIN
      ? { oneSided: Math.floor((1_000 * alone) / frames) }
      : {}),
    ...(silence !== undefined && silence.neighbours >= PEERS_MIN && silence.chances >= CHANCES_MIN
      ? { heard: Math.floor((1_000 * silence.heard) / silence.chances) }
      : {}),
  }
}

interface Point {
  readonly free: number
  readonly loss: number
}

function levelOf(points: readonly Point[]): number {
  return median(points.map(({ free, loss }) => loss - free)) as number
}

/** Pearson's coefficient in thousandths, toward zero; 0 where one of the two does not vary. */
function correlation(points: readonly Point[]): number {
  const n = points.length
  let x = 0
  let y = 0
  let xx = 0
  let yy = 0
  let xy = 0
  for (const { free, loss } of points) {
    x += free
    y += loss
    xx += free * free
    yy += loss * loss
    xy += free * loss
  }
  // Losses are below 2^16 and gateways below 2^24: the sums of squares may pass 2^53 only in products.
  const big = BigInt(n)
  const covariance = big * BigInt(xy) - BigInt(x) * BigInt(y)
  const variances =
    (big * BigInt(xx) - BigInt(x) * BigInt(x)) * (big * BigInt(yy) - BigInt(y) * BigInt(y))
  if (variances === 0n) return 0
  const size = covariance < 0n ? -covariance : covariance
  const thousandths = Number(integerSqrt((1_000_000n * size * size) / variances))
  return covariance < 0n ? -thousandths : thousandths
}
