/**
 * The rules that look at all beacons of the window together. A gateway's units are multiplied by
 * what they come to; nobody is banned, and every number stands in the verdict.
 */
import { cellToParent, gridDisk } from 'h3-js'
import type { VerdictFacts } from '../../../kind.ts'
import { chord, type Vector, vectorOf } from '../../../radio/geo.ts'
import { ratioLevel } from '../../../radio/levels.ts'
import type { RegistryEntry } from '../../../registry.ts'
import type { Anchors } from '../anchors.ts'
import { type Consistency, judgeConsistency } from './consistency.ts'
import { type Independence, judgeIndependence } from './independence.ts'
import { tiesOf } from './links.ts'
import { judgeMutuality, type Mutuality } from './mutuality.ts'
import { FULL } from './ramp.ts'
import { type Neighbour, silences } from './silence.ts'
import type { HeardBeacon } from './window.ts'

/** Neighbours are looked for in a cell of this resolution and those around it: about 10 km. */
const NEIGHBOURS_RESOLUTION = 6

export interface GraphInput {
  /** Of `graphEpochs`, by epoch, then beaconer; all gateways in it are among `gateways`. */
  readonly window: readonly HeardBeacon[]
  /** With a cell of resolution 10 or finer. */
  readonly gateways: readonly Pick<RegistryEntry, 'index' | 'cell'>[]
  readonly anchors: Anchors
}

export interface GraphScore {
  /** Of beacon units and of witness units, parts per million. */
  readonly beaconing: number
  readonly witnessing: number
  /** Every number that went into them. */
  readonly facts: VerdictFacts
}

/** Score of every gateway of the window. Who is not in it has shown nothing, for or against. */
export function judgeGraph({ window, gateways, anchors }: GraphInput): Map<number, GraphScore> {
  const ties = tiesOf(window)
  const independence = judgeIndependence(ties, anchors)
  const neighbours = neighbourhood(gateways)
  const consistency = judgeConsistency(ties, fits => silences({ window, neighbours }, fits))
  const weight = (node: number) =>
    product(independence.get(node)?.factor ?? FULL, consistency.get(node)?.factor ?? FULL)
  const beacons = new Map<number, number>()
  for (const { beaconer } of window) beacons.set(beaconer, (beacons.get(beaconer) ?? 0) + 1)
  const scores = new Map<number, GraphScore>()
  for (const [node, list] of ties) {
    const parts = {
      consistency: consistency.get(node) as Consistency,
      independence: independence.get(node) as Independence,
      mutuality: judgeMutuality(list, beacons.get(node) ?? 0, weight),
    }
    const both = weight(node)
    scores.set(node, {
      beaconing: product(both, parts.mutuality.beaconing),
      witnessing: product(both, parts.mutuality.witnessing),
      facts: factsOf(parts),
    })
  }
  return scores
}

/** 20 log10 of metres, at least 1, in 0.1 dB. */
export function spreadingOf(metres: number): number {
  const whole = BigInt(Math.max(metres, 1))
  return ratioLevel(whole * whole, 1n)
}

interface Parts {
  readonly consistency: Consistency
  readonly independence: Independence
  readonly mutuality: Mutuality
}

function factsOf({ consistency, independence, mutuality }: Parts): VerdictFacts {
  const known = {
    consistency: consistency.factor,
    links: consistency.links,
    fit: consistency.fit,
    excess: consistency.level,
    asymmetry: consistency.asymmetry,
    oneSided: consistency.oneSided,
    heardShare: consistency.heard,
    independence: independence.factor,
    degree: independence.degree,
    trust: independence.trust,
    witnessing: mutuality.witnessing,
    beaconing: mutuality.beaconing,
    hears: mutuality.hears,
    heardBy: mutuality.heardBy,
  }
  const entries = Object.entries(known).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as VerdictFacts
}

/** Of two factors, parts per million, floor. */
function product(a: number, b: number): number {
  return Math.floor((a * b) / FULL)
}

interface Place {
  readonly node: number
  readonly at: Vector
  readonly home: string
}

function neighbourhood(gateways: GraphInput['gateways']): (node: number) => readonly Neighbour[] {
  const places = new Map<number, Place>()
  const homes = new Map<string, Place[]>()
  for (const { index: node, cell } of gateways) {
    const home = cellToParent(cell.toString(16), NEIGHBOURS_RESOLUTION)
    const place = { node, at: vectorOf(cell), home }
    places.set(node, place)
    const list = homes.get(home)
    if (list === undefined) homes.set(home, [place])
    else list.push(place)
  }
  const known = new Map<number, readonly Neighbour[]>()
  return node => {
    const before = known.get(node)
    if (before !== undefined) return before
    const own = places.get(node)
    const around = own === undefined ? [] : gridDisk(own.home, 1)
    const list = around
      .flatMap(home => homes.get(home) ?? [])
      .filter(place => place !== own)
      .map(place => ({
        node: place.node,
        spreading: spreadingOf(chord((own as Place).at, place.at)),
      }))
    known.set(node, list)
    return list
  }
}
