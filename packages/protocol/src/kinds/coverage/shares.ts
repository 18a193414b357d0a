/**
 * What one antenna may have of an epoch. Identities that the graph of witnesses finds on one antenna
 * are one place in density and one among the fourteen, and part what the place earns by beacons.
 */
import { densityScales, SCALE_ONE } from '../../radio/density.ts'
import type { GraphScore } from './graph/graph.ts'
import { FULL } from './graph/ramp.ts'

export type Scores = ReadonlyMap<number, Pick<GraphScore, 'antenna' | 'beaconing' | 'witnessing'>>

/** The lowest node on the antenna of a node: itself, where the graph says nothing of it. */
export function antennaOf(node: number, scores: Scores): number {
  return scores.get(node)?.antenna.first ?? node
}

/** The first of each antenna, in the order given, but none on the beaconer's own. */
export function onePerAntenna<T extends { readonly node: number }>(
  ordered: readonly T[],
  beaconer: number,
  scores: Scores,
): T[] {
  const seen = new Set([antennaOf(beaconer, scores)])
  return ordered.filter(({ node }) => {
    const antenna = antennaOf(node, scores)
    if (seen.has(antenna)) return false
    seen.add(antenna)
    return true
  })
}

/**
 * Density scale of each node of `cells` (2^32 is 1): an antenna counts once, in the cell of the lowest
 * node of `cells` on it.
 */
export function antennaScales(
  cells: ReadonlyMap<number, bigint>,
  scores: Scores,
): Map<number, bigint> {
  const places = new Map<number, bigint>()
  for (const node of [...cells.keys()].sort((a, b) => a - b)) {
    const antenna = antennaOf(node, scores)
    if (!places.has(antenna)) places.set(antenna, cells.get(node) as bigint)
  }
  const scales = densityScales(places)
  return new Map(
    [...cells.keys()].map(node => [node, scales.get(antennaOf(node, scores)) as bigint]),
  )
}

export interface EarnedInit {
  readonly node: number
  readonly as: 'beaconing' | 'witnessing'
  /** Units before scale and score; 2^32 is 1. */
  readonly full: bigint
  readonly scale: bigint
  readonly scores: Scores
}

/**
 * Floor at each step. Beacons of an antenna are as many as its nodes, so each has its part; among
 * the fourteen of a beacon it is once, so that is not parted again.
 */
export function earnedUnits({ node, as, full, scale, scores }: EarnedInit): bigint {
  const score = scores.get(node)
  const scaled = (full * scale) / SCALE_ONE
  const scored = (scaled * BigInt(score?.[as] ?? FULL)) / BigInt(FULL)
  return as === 'beaconing' ? scored / BigInt(score?.antenna.shared ?? 1) : scored
}
