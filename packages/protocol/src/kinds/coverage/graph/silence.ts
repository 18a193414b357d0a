/**
 * Who should have heard a beacon and did not. A witness had a chance to hear a beacon if in the same
 * epoch it heard others, half of which at an equal or higher expected loss: it was awake, and its
 * radio reached so far.
 */
import { median } from './links.ts'
import { type HeardBeacon, UNREVEALED } from './window.ts'

export interface Silence {
  chances: number
  heard: number
}

export interface SilenceInit {
  readonly window: readonly HeardBeacon[]
  /** Gateways that may have heard a beaconer: node and spreading loss, 0.1 dB. */
  neighbours(node: number): readonly Neighbour[]
}

export interface Neighbour {
  readonly node: number
  readonly spreading: number
}

/** What a witness heard in one epoch. */
interface Ear {
  readonly from: number[]
  /** Spreading loss less the power radiated: the larger, the harder to hear. */
  readonly hardness: number[]
}

export function silences(
  { window, neighbours }: SilenceInit,
  fits: (node: number) => boolean,
): Map<number, Silence> {
  const found = new Map<number, Silence>()
  for (let begin = 0; begin < window.length; ) {
    let end = begin + 1
    while (window[end]?.epoch === window[begin]?.epoch) end++
    const epoch = window.slice(begin, end)
    const ears = earsOf(epoch)
    for (const beacon of epoch) {
      if (beacon.power === UNREVEALED) continue
      count(beacon, ears, neighbours(beacon.beaconer), fits, found)
    }
    begin = end
  }
  return found
}

function earsOf(epoch: readonly HeardBeacon[]): Map<number, Ear> {
  const ears = new Map<number, Ear>()
  for (const { beaconer, power, hearings } of epoch) {
    for (const { witness, spreading } of hearings) {
      let ear = ears.get(witness)
      if (ear === undefined) {
        ear = { from: [], hardness: [] }
        ears.set(witness, ear)
      }
      ear.from.push(beaconer)
      ear.hardness.push(spreading - power)
    }
  }
  return ears
}

function count(
  { beaconer, power, hearings }: HeardBeacon,
  ears: ReadonlyMap<number, Ear>,
  neighbours: readonly Neighbour[],
  fits: (node: number) => boolean,
  found: Map<number, Silence>,
): void {
  const heard = new Set(hearings.map(({ witness }) => witness))
  let silence = found.get(beaconer)
  for (const { node, spreading } of neighbours) {
    const ear = ears.get(node)
    if (ear === undefined || !fits(node)) continue
    const reach = median(ear.hardness.filter((_, at) => ear.from[at] !== beaconer))
    if (reach === undefined || spreading - power > reach) continue
    silence ??= { chances: 0, heard: 0 }
    silence.chances++
    if (heard.has(node)) silence.heard++
  }
  if (silence !== undefined) found.set(beaconer, silence)
}
