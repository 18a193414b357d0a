/**
 * What a place and a crowd do to a gateway's units, by Helium's published rules.
 *
 * Density (HIP-17, targets of HIP-104): a cell counts at most `limit` gateways, so that a crowd
 * shares what few would earn. Counts roll up resolution by resolution, from 10 to 4, the clipped
 * count of the children being the unclipped one of the parent. A cell is occupied with `target` or
 * more; for every occupied cell among it and its six neighbours beyond the `neighbours`-th minus
 * one the limit rises by `target`, up to `max`. A gateway's scale is the product over its ancestors
 * of clipped / unclipped.
 *
 * Units (HIP-15, N = 4, decay 0.8): a beacon heard by n witnesses is worth n / 4 up to four, then
 * 2 - 0.8^(n - 4); each witness 1 up to four, then (5 - beacon) / n.
 */
import { cellToParent, gridDisk } from 'h3-js'
import { check, invariant } from '../errors.ts'
import { cellResolution, isCell } from './geo.ts'

/** 1 in the fixed point of scales and units. */
export const SCALE_ONE = 1n << 32n

export interface DensityRule {
  resolution: number
  /** Occupied cells (itself included) at which the limit begins to rise. */
  neighbours: number
  target: number
  max: number
}

/** Resolutions ascending: the order in which the scale is multiplied. */
export const DENSITY_RULES: readonly DensityRule[] = [
  { resolution: 4, neighbours: 2, target: 500, max: 1_000 },
  { resolution: 5, neighbours: 4, target: 100, max: 200 },
  { resolution: 6, neighbours: 4, target: 25, max: 50 },
  { resolution: 7, neighbours: 4, target: 5, max: 10 },
  { resolution: 8, neighbours: 2, target: 1, max: 1 },
  { resolution: 9, neighbours: 2, target: 1, max: 1 },
  { resolution: 10, neighbours: 2, target: 1, max: 1 },
]

/** More witnesses of one beacon than this do not count. */
export const WITNESSES_MAX = 14

const HIP15_FULL = 4

type Counts = Map<string, number>

/**
 * Scale of each gateway, 2^32 = 1, floor at each step.
 *
 * `cells` maps a gateway's index to its cell of resolution 10 or finer. Errors: `badCell`.
 */
export function densityScales(cells: ReadonlyMap<number, bigint>): Map<number, bigint> {
  const finest = (DENSITY_RULES.at(-1) as DensityRule).resolution
  const homes = new Map<number, string>()
  for (const [gateway, cell] of cells) {
    const fits = isCell(cell) && cellResolution(cell) >= finest
    check(fits, 'badCell', `expected an H3 cell of resolution ${finest} or finer`, {
      facts: { gateway, cell },
    })
    homes.set(gateway, cellToParent(cell.toString(16), finest))
  }
  const factors = factorsByResolution(homes.values())
  const scales = new Map<string, bigint>()
  const result = new Map<number, bigint>()
  for (const [gateway, home] of homes) {
    const known = scales.get(home) ?? scaleOf(home, factors)
    scales.set(home, known)
    result.set(gateway, known)
  }
  return result
}

/** Units of a beacon with n counted witnesses, and of each of them; 2^32 = 1, floor. */
export function witnessUnits(n: number): { beacon: bigint; witness: bigint } {
  invariant(Number.isInteger(n) && n >= 0 && n <= WITNESSES_MAX, 'at most 14 witnesses count')
  if (n === 0) return { beacon: 0n, witness: 0n }
  if (n <= HIP15_FULL) {
    return { beacon: (SCALE_ONE * BigInt(n)) / BigInt(HIP15_FULL), witness: SCALE_ONE }
  }
  const power = BigInt(n - HIP15_FULL)
  const five = 5n ** power
  const decay = 4n ** power
  return {
    beacon: (SCALE_ONE * (2n * five - decay)) / five,
    witness: (SCALE_ONE * (3n * five + decay)) / (five * BigInt(n)),
  }
}

interface Factor {
  clipped: bigint
  unclipped: bigint
}

/** Clipped and unclipped count of every occupied cell, by resolution ascending. */
function factorsByResolution(homes: Iterable<string>): Map<string, Factor>[] {
  let unclipped: Counts = new Map()
  for (const home of homes) add(unclipped, home, 1)
  const factors: Map<string, Factor>[] = []
  for (const rule of DENSITY_RULES.toReversed()) {
    const here: Counts = new Map()
    for (const [cell, count] of unclipped) add(here, cellToParent(cell, rule.resolution), count)
    const clipped: Counts = new Map()
    const level = new Map<string, Factor>()
    for (const [cell, count] of here) {
      const kept = Math.min(count, limit(rule, here, cell))
      clipped.set(cell, kept)
      level.set(cell, { clipped: BigInt(kept), unclipped: BigInt(count) })
    }
    factors.unshift(level)
    unclipped = clipped
  }
  return factors
}

/** A limit is never below the target, so clipping never empties a cell of its occupied mark. */
function limit(rule: DensityRule, counts: Counts, cell: string): number {
  const occupied = gridDisk(cell, 1).filter(c => (counts.get(c) ?? 0) >= rule.target).length
  return Math.min(rule.max, rule.target * Math.max(occupied - rule.neighbours + 1, 1))
}

function scaleOf(home: string, factors: readonly Map<string, Factor>[]): bigint {
  return factors.reduce((scale, level, i) => {
    const { resolution } = DENSITY_RULES[i] as DensityRule
    const { clipped, unclipped } = level.get(cellToParent(home, resolution)) as Factor
    return (scale * clipped) / unclipped
  }, SCALE_ONE)
}

function add(counts: Counts, cell: string, count: number): void {
  counts.set(cell, (counts.get(cell) ?? 0) + count)
}
