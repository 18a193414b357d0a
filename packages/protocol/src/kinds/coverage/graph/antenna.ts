/**
 * Identities on one antenna. What two of them radiate takes the same ways: at every receiver their
 * losses differ by the same number, whatever they say of power and gain. Antennas on different roofs
 * have shadows of their own, which differ by 10 dB and more from receiver to receiver.
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
  readonly common: number
}

/** Every node of `ties` by its antenna; `fits`: whose receptions are believed. */
export function judgeAntennas(
  ties: ReadonlyMap<number, readonly Tie[]>,
  fits: (node: number) => boolean,
): Map<number, Antenna> {
  const firsts = new Map<number, Heard[]>()
  const found = new Map<number, { first: number; likeness?: Likeness }>()
  for (const node of [...ties.keys()].sort((a, b) => a - b)) {
    const own = heardOf(node, ties.get(node) as readonly Tie[], fits)
    const near = loudestOf(own)
    let best: { first: number; likeness: Likeness } | undefined
    for (const other of candidates(near, firsts)) {
      const likeness = likenessOf(own, other)
      if (likeness === undefined || likeness.spread > SPREAD_MAX) continue
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
}

function heardOf(node: number, ties: readonly Tie[], fits: (node: number) => boolean): Heard {
  const receivers: number[] = []
  const losses: number[] = []
  for (const { peer, heardBy } of ties) {
    const loss = wayLoss(heardBy)
    if (loss === undefined || !fits(peer)) continue
    receivers.push(peer)
    losses.push(loss)
  }
  return { node, receivers, losses }
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
  let i = 0
  let j = 0
  while (i < a.receivers.length && j < b.receivers.length) {
    const [x, y] = [a.receivers[i] as number, b.receivers[j] as number]
    if (x === y) differences.push((a.losses[i++] as number) - (b.losses[j++] as number))
    else if (x < y) i++
    else j++
  }
  const common = differences.length
  const most = Math.max(a.receivers.length, b.receivers.length)
  if (common < COMMON_MIN || 2 * common < most) return undefined
  const middle = median(differences) as number
  const spread = median(differences.map(value => Math.abs(value - middle))) as number
  return { median: middle, spread, common }
}
