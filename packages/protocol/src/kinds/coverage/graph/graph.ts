/**
 * The rules that look at all beacons of the window together. A gateway's units are multiplied by
 * what they come to; nobody is banned, and every number stands in the verdict.
 */
import type { VerdictFacts } from '../../../kind.ts'
import type { RegistryEntry } from '../../../registry.ts'
import type { Anchors } from '../anchors.ts'
import { type Antenna, judgeAntennas } from './antenna.ts'
import { type Consistency, judgeConsistency } from './consistency.ts'
import { type Independence, judgeIndependence } from './independence.ts'
import { tiesOf } from './links.ts'
import { judgeMutuality, type Mutuality } from './mutuality.ts'
import { SCATTER_MIN } from './placement.ts'
import { placesOf } from './places.ts'
import { FULL } from './ramp.ts'
import { chancesOf } from './silence.ts'
import type { HeardBeacon } from './window.ts'

export interface GraphInput {
  /** Of `graphEpochs`, by epoch, then beaconer; all gateways in it are among `gateways`. */
  readonly window: readonly HeardBeacon[]
  /** With a cell of resolution 10 or finer. */
  readonly gateways: readonly Pick<RegistryEntry, 'index' | 'cell'>[]
  readonly anchors: Anchors
}

export interface GraphScore {
  readonly antenna: Antenna
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
  const places = placesOf(gateways)
  const chances = chancesOf(window, places)
  const consistency = judgeConsistency({ ties, places, chances })
  const antennas = judgeAntennas({
    ties,
    fits: node => (consistency.get(node)?.factor ?? 0) > 0,
    scatters: node => (consistency.get(node)?.scatter ?? FULL) > SCATTER_MIN,
  })
  const weight = (node: number) =>
    product(independence.get(node)?.factor ?? FULL, consistency.get(node)?.factor ?? FULL)
  const beacons = new Map<number, number>()
  for (const { beaconer } of window) beacons.set(beaconer, (beacons.get(beaconer) ?? 0) + 1)
  const scores = new Map<number, GraphScore>()
  for (const [node, list] of ties) {
    const antenna = antennas.get(node) as Antenna
    const parts = {
      antenna,
      consistency: consistency.get(node) as Consistency,
      independence: independence.get(node) as Independence,
      mutuality: judgeMutuality(list, beacons.get(node) ?? 0, weight),
    }
    const both = weight(node)
    scores.set(node, {
      antenna,
      beaconing: product(both, parts.mutuality.beaconing),
      witnessing: product(both, parts.mutuality.witnessing),
      facts: factsOf(parts),
    })
  }
  return scores
}

interface Parts {
  readonly antenna: Antenna
  readonly consistency: Consistency
  readonly independence: Independence
  readonly mutuality: Mutuality
}

function factsOf({ antenna, consistency, independence, mutuality }: Parts): VerdictFacts {
  const known = {
    consistency: consistency.factor,
    links: consistency.links,
    fit: consistency.fit,
    excess: consistency.level,
    asymmetry: consistency.asymmetry,
    oneSided: consistency.oneSided,
    heardShare: consistency.heard,
    doubt: consistency.doubt,
    likelierAt: consistency.likelierAt,
    slope: consistency.slope,
    scatter: consistency.scatter,
    independence: independence.factor,
    degree: independence.degree,
    trust: independence.trust,
    witnessing: mutuality.witnessing,
    beaconing: mutuality.beaconing,
    hears: mutuality.hears,
    heardBy: mutuality.heardBy,
    antenna: antenna.first,
    antennaShared: antenna.shared,
    antennaMedian: antenna.likeness?.median,
    antennaSpread: antenna.likeness?.spread,
    antennaApart: antenna.likeness?.apart,
    antennaReceivers: antenna.likeness?.common,
  }
  const entries = Object.entries(known).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as VerdictFacts
}

/** Of two factors, parts per million, floor. */
function product(a: number, b: number): number {
  return Math.floor((a * b) / FULL)
}
