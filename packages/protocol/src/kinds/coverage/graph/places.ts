/** Where the gateways are registered, by number: what the rules that look at pairs of them read. */
import { cellToParent, gridDisk } from 'h3-js'
import { chord, type Vector, vectorOf } from '../../../radio/geo.ts'
import type { RegistryEntry } from '../../../registry.ts'
import { spreadingOf } from './spreading.ts'

/** Neighbours are looked for in a cell of this resolution and those around it: about 10 km. */
const NEIGHBOURS_RESOLUTION = 6

/** Gateways near another: their numbers, and the spreading loss between the two, 0.1 dB. */
export interface Neighbours {
  readonly places: Int32Array
  readonly spreading: Int32Array
}

export interface Places {
  readonly nodes: readonly number[]
  readonly cells: readonly string[]
  readonly at: readonly Vector[]
  /** Undefined for a node that is not registered. */
  of(node: number): number | undefined
  neighbours(place: number): Neighbours
}

/** By ascending node. */
export function placesOf(gateways: readonly Pick<RegistryEntry, 'index' | 'cell'>[]): Places {
  const sorted = gateways.toSorted((a, b) => a.index - b.index)
  const nodes = sorted.map(({ index }) => index)
  const numbers = new Map(nodes.map((node, place) => [node, place]))
  const cells = sorted.map(({ cell }) => cell.toString(16))
  const at = sorted.map(({ cell }) => vectorOf(cell))
  const homes = cells.map(cell => cellToParent(cell, NEIGHBOURS_RESOLUTION))
  const residents = Map.groupBy(cells.keys(), place => homes[place] as string)
  const around = new Map<string, number[]>()
  const known = new Map<number, Neighbours>()
  const near = (home: string): number[] => {
    const before = around.get(home)
    if (before !== undefined) return before
    const list = gridDisk(home, 1).flatMap(cell => residents.get(cell) ?? [])
    around.set(home, list)
    return list
  }
  const neighbours = (place: number): Neighbours => {
    const before = known.get(place)
    if (before !== undefined) return before
    const others = near(homes[place] as string).filter(other => other !== place)
    const own = at[place] as Vector
    const found = {
      places: Int32Array.from(others),
      spreading: Int32Array.from(others, other => spreadingOf(chord(own, at[other] as Vector))),
    }
    known.set(place, found)
    return found
  }
  return { nodes, cells, at, of: node => numbers.get(node), neighbours }
}
