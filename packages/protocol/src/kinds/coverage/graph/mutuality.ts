/**
 * Hearing and being heard in proportion. A radio that hears its neighbours is heard by them, for the
 * air is the same both ways; who only claims to hear, or never listens, is neither.
 */
import type { Tie } from './links.ts'
import { FULL } from './ramp.ts'

/** What may be taken of one for each of the other: honest gateways lie between 0.6 and 1.6. */
const TOLERANCE = 2
/** Frames of independent gateways, in thousandths, that ask for none in return: chance has them. */
const FREE = 12_000
/** With fewer own beacons nothing is judged: a newcomer has had no chance to hear or be heard. */
const BEACONS_MIN = 3

export interface Mutuality {
  /** Parts per million of what is earned by witnessing. */
  readonly witnessing: number
  /** Parts per million of what is earned by beacons. */
  readonly beaconing: number
  /** Frames heard from independent gateways, and own frames heard by them, in thousandths. */
  readonly hears: number
  readonly heardBy: number
}

/** `beacons`: own ones, heard or not. `weight`: independence of a peer, parts per million. */
export function judgeMutuality(
  ties: readonly Tie[],
  beacons: number,
  weight: (peer: number) => number,
): Mutuality {
  let hears = 0
  let heardBy = 0
  for (const tie of ties) {
    const thousandths = Math.floor(weight(tie.peer) / 1_000)
    hears += tie.hears.heard * thousandths
    heardBy += tie.heardBy.heard * thousandths
  }
  return {
    witnessing: beacons < BEACONS_MIN ? FULL : proportion(heardBy, hears),
    beaconing: beacons < BEACONS_MIN ? FULL : proportion(hears, heardBy),
    hears,
    heardBy,
  }
}

function proportion(has: number, takes: number): number {
  if (takes <= FREE) return FULL
  return Math.min(FULL, Math.floor((FULL * TOLERANCE * has) / (takes - FREE)))
}
