/**
 * How well a gateway is connected to those that are known to be of use. Trust starts at anchors and
 * walks along links that were heard both ways; a group that works together has few of them to the
 * rest, and little trust crosses. (SybilRank, NSDI 2012: as many steps as an honest graph needs to
 * mix, then trust by degree.)
 */
import { type Anchors, anchorWeights } from '../anchors.ts'
import type { Tie } from './links.ts'
import { FULL, ramp } from './ramp.ts'

/** A quarter of the score: a ring and a remote village look alike, and the village must live. */
const ISOLATED_SHARE = 250_000
/** Beacons of a pair that count at most: many frames between two make no better witness. */
const WEIGHT_MAX = 4
/** Trust by degree as thousandths of the component's mean. Honest: 500 and more. */
const TRUST = { none: 50, full: 300 } as const
/** Trust in the beginning: shares of it stay whole numbers over the longest walk. */
const MASS = 2 ** 48

export interface Independence {
  /** Parts per million. */
  readonly factor: number
  /** Weight of the links heard both ways. */
  readonly degree: number
  /** Trust by degree, thousandths of the mean; absent without anchors, or where no link is. */
  readonly trust?: number
}

/** Without an anchor that has links nothing is judged, and everybody counts in full. */
export function judgeIndependence(
  ties: ReadonlyMap<number, readonly Tie[]>,
  anchors: Anchors,
): Map<number, Independence> {
  const nodes = [...ties.keys()].sort((a, b) => a - b)
  const degrees = new Map(nodes.map(node => [node, degreeOf(ties.get(node) ?? [])]))
  const roots = anchorWeights(anchors, node => (degrees.get(node) ?? 0) > 0)
  const found = new Map<number, Independence>()
  if (roots.size === 0) {
    for (const node of nodes) found.set(node, { factor: FULL, degree: degrees.get(node) ?? 0 })
    return found
  }
  const trust = walk({ nodes, ties, degrees, roots })
  const reached = reachable([...roots.keys()], ties)
  let mass = 0
  let weight = 0
  for (const node of reached) {
    mass += trust.get(node) ?? 0
    weight += degrees.get(node) ?? 0
  }
  for (const node of nodes) {
    const degree = degrees.get(node) ?? 0
    if (!reached.has(node)) {
      found.set(node, { factor: ISOLATED_SHARE, degree })
      continue
    }
    const own = BigInt(trust.get(node) ?? 0)
    const relative = Number((1_000n * own * BigInt(weight)) / (BigInt(degree) * BigInt(mass)))
    found.set(node, { factor: ramp(relative, TRUST), degree, trust: relative })
  }
  return found
}

interface WalkInput {
  readonly nodes: readonly number[]
  readonly ties: ReadonlyMap<number, readonly Tie[]>
  readonly degrees: ReadonlyMap<number, number>
  /** Weight by node. */
  readonly roots: ReadonlyMap<number, bigint>
}

function walk({ nodes, ties, degrees, roots }: WalkInput): Map<number, number> {
  const total = [...roots.values()].reduce((sum, weight) => sum + weight, 0n)
  let trust = new Map(
    [...roots].map(([node, weight]) => [node, Number((BigInt(MASS) * weight) / total)]),
  )
  const steps = 32 - Math.clz32(nodes.length - 1) + 2
  for (let step = 0; step < steps; step++) {
    const next = new Map<number, number>()
    for (const node of nodes) {
      const own = trust.get(node)
      if (own === undefined) continue
      const share = Math.floor(own / (degrees.get(node) as number))
      for (const tie of ties.get(node) ?? []) {
        const weight = weightOf(tie)
        if (weight > 0) next.set(tie.peer, (next.get(tie.peer) ?? 0) + share * weight)
      }
    }
    trust = next
  }
  return trust
}

function reachable(
  roots: readonly number[],
  ties: ReadonlyMap<number, readonly Tie[]>,
): Set<number> {
  const reached = new Set(roots)
  for (const node of reached) {
    for (const tie of ties.get(node) ?? []) if (weightOf(tie) > 0) reached.add(tie.peer)
  }
  return reached
}

function degreeOf(ties: readonly Tie[]): number {
  return ties.reduce((sum, tie) => sum + weightOf(tie), 0)
}

/** Beacons heard in the direction in which fewer were. */
function weightOf({ hears, heardBy }: Tie): number {
  return Math.min(hears.heard, heardBy.heard, WEIGHT_MAX)
}
