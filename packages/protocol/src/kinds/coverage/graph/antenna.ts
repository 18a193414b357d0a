/**
 * Identities on one antenna. What two of them radiate takes the same ways: at every receiver their
 * losses differ by the same number, whatever they say of power and gain. Antennas on different roofs
 * have shadows of their own, which differ by 10 dB and more from receiver to receiver; and where
 * nothing casts shadows, what their losses differ by follows from the places that they registered.
 *
 * Only what others heard of them is compared: what they say they heard they may make up. Two are
 * compared if they are loudest at the same receivers; so the cost grows with the gateways, not with
 * the pairs of them.
 */
import { median, type Tie, wayLoss } from './links.ts'

/** Receivers that heard both, at least; a receiver heard one beacon of each or more. */
export const COMMON_MIN = 8
/** Median distance from the median difference, 0.1 dB: fading leaves 10, other roofs 19 and more. */
export const SPREAD_MAX = 15
/**
 * Of few differences half may be alike by chance. So with fewer receivers than this also seven in
 * eight have to lie within the following, 0.1 dB: twice the spread that one antenna may have.
 */
const MANY = 32
export const OUTER_MAX = 30
/** What the registered places may explain of the spread, 0.1 dB: chance explains as much. */
const EXPLAINED_MAX = 2
/** Two gateways are compared if one receiver is among so many that each is loudest at. */
const LOUDEST = 8
/** Antennas compared at one receiver at most: a crowd there costs no more than that. */
const ANTENNAS_MAX = 64

export interface Antenna {
  /** Lowest node on it. */
  readonly first: number
  /** Nodes that share it. */
  readonly shared: number
  /** Against the first, absent of the first itself: 0.1 dB, and receivers that heard both. */
  readonly likeness?: Likeness
}

export interface Likeness {
  readonly median: number
  readonly spread: number
  /** Distance from the median difference that seven in eight do not exceed. */
  readonly outer: number
  /** Spread of what is left of the differences if both stand where they registered. */
  readonly apart: number
  readonly common: number
}

export interface AntennaInput {
  readonly ties: ReadonlyMap<number, readonly Tie[]>
  /** Whose receptions are believed. */
  fits(node: number): boolean
  /**
   * Whether losses about a node scatter as they do where there are shadows. In plain view of each
   * other whole villages are alike, and nobody is taken for his neighbour.
   */
  scatters(node: number): boolean
}

/** Every node of `ties` by its antenna. */
export function judgeAntennas({ ties, fits, scatters }: AntennaInput): Map<number, Antenna> {
  const firsts = new Map<number, Heard[]>()
  const found = new Map<number, { first: number; likeness?: Likeness }>()
  for (const node of [...ties.keys()].sort((a, b) => a - b)) {
    const own = heardOf(node, ties.get(node) as readonly Tie[], fits)
    const near = scatters(node) ? loudestOf(own) : []
    let best: { first: number; likeness: Likeness } | undefined
    for (const other of candidates(near, firsts)) {
      const likeness = likenessOf(own, other)
      if (likeness === undefined || !isOne(likeness)) continue
      if (best !== undefined && best.likeness.spread <= likeness.spread) continue
      best = { first: other.node, likeness }
    }
    found.set(node, best ?? { first: node })
    if (best === undefined) for (const receiver of near) keep(firsts, receiver, own)
  }
  const counts = new Map<number, number>()
  for (const { first } of found.values()) counts.set(first, (counts.get(first) ?? 0) + 1)
  return new Map(
    [...found].map(([node, one]) => [node, { ...one, shared: counts.get(one.first) as number }]),
  )
}

/** A node as its receivers heard it, by ascending receiver. */
interface Heard {
  readonly node: number
  readonly receivers: readonly number[]
  readonly losses: readonly number[]
  /** 20 log10 of the metres to them as registered, 0.1 dB. */
  readonly distances: readonly number[]
}

/** Alike, and not because two places at such distances from the receivers would be. */
function isOne({ spread, outer, apart, common }: Likeness): boolean {
  const enough = common >= MANY || outer <= OUTER_MAX
  return enough && spread <= SPREAD_MAX && spread <= apart + EXPLAINED_MAX
}

function heardOf(node: number, ties: readonly Tie[], fits: (node: number) => boolean): Heard {
  const receivers: number[] = []
  const losses: number[] = []
  const distances: number[] = []
  for (const { peer, spreading, heardBy } of ties) {
    const loss = wayLoss(heardBy)
    if (loss === undefined || !fits(peer)) continue
    receivers.push(peer)
    losses.push(loss)
    distances.push(spreading)
  }
  return { node, receivers, losses, distances }
}

/** Of equal losses the lower receiver. None for a node with too few receivers to be compared. */
function loudestOf({ receivers, losses }: Heard): number[] {
  if (receivers.length < COMMON_MIN) return []
  const order = receivers.map((receiver, at) => ({ receiver, loss: losses[at] as number }))
  order.sort((a, b) => a.loss - b.loss || a.receiver - b.receiver)
  return order.slice(0, LOUDEST).map(({ receiver }) => receiver)
}

/** By ascending node, each once. */
function candidates(
  near: readonly number[],
  firsts: ReadonlyMap<number, readonly Heard[]>,
): readonly Heard[] {
  const all = new Set(near.flatMap(receiver => firsts.get(receiver) ?? []))
  return [...all].sort((a, b) => a.node - b.node)
}

function keep(firsts: Map<number, Heard[]>, receiver: number, own: Heard): void {
  const list = firsts.get(receiver)
  if (list === undefined) firsts.set(receiver, [own])
  else if (list.length < ANTENNAS_MAX) list.push(own)
}

/**
 * Undefined where fewer than `COMMON_MIN` receivers, or less than half of those of either, heard
 * both: a group that reports one of its own as loud as its victim cannot stand for all the others.
 */
function likenessOf(a: Heard, b: Heard): Likeness | undefined {
  const differences: number[] = []
  const rest: number[] = []
  let i = 0
  let j = 0
  while (i < a.receivers.length && j < b.receivers.length) {
    const [x, y] = [a.receivers[i] as number, b.receivers[j] as number]
    if (x === y) {
      const difference = (a.losses[i] as number) - (b.losses[j] as number)
      differences.push(difference)
      rest.push(difference - (a.distances[i] as number) + (b.distances[j] as number))
    }
    if (x <= y) i++
    if (y <= x) j++
  }
  const common = differences.length
  const most = Math.max(a.receivers.length, b.receivers.length)
  if (common < COMMON_MIN || 2 * common < most) return undefined
  return {
    median: median(differences) as number,
    spread: middleOf(distancesOf(differences)),
    outer: outerOf(distancesOf(differences)),
    apart: middleOf(distancesOf(rest)),
    common,
  }
}

/** From the median of at least one value, ascending. */
function distancesOf(values: readonly number[]): Int32Array {
  const middle = median(values) as number
  return Int32Array.from(values, value => Math.abs(value - middle)).sort()
}

function middleOf(sorted: Int32Array): number {
  return sorted[(sorted.length - 1) >> 1] as number
}

function outerOf(sorted: Int32Array): number {
  return sorted[Math.floor((7 * (sorted.length - 1)) / 8)] as number
}
