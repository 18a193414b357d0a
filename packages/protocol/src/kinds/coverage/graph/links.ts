/** What the window says of each pair of gateways, both ways taken together. */
import { decodeLevel } from '../messages.ts'
import { ABSENT_LOSS, type HeardBeacon } from './window.ts'

/** One way of a pair: beacons of the one that the other heard. */
export interface Way {
  heard: number
  /** Of those whose level is known. */
  measured: number
  /** Sum of their losses, 0.1 dB. */
  loss: number
}

export interface Link {
  /** The lower node index, and the higher one. */
  readonly a: number
  readonly b: number
  /** 20 log10 of the metres between the registered cells, 0.1 dB. */
  readonly spreading: number
  /** Beacons of a heard by b, and of b heard by a. */
  readonly there: Way
  readonly back: Way
}

/** A link as one of its ends sees it. */
export interface Tie {
  readonly peer: number
  readonly spreading: number
  /** Beacons of the peer that were heard here. */
  readonly hears: Way
  /** Own beacons that the peer heard. */
  readonly heardBy: Way
}

/** Ties of every gateway, by ascending peer. */
export function tiesOf(window: readonly HeardBeacon[]): Map<number, Tie[]> {
  const all: Link[] = []
  const links = new Map<number, Map<number, Link>>()
  const from = (a: number) => {
    const before = links.get(a)
    if (before !== undefined) return before
    const own = new Map<number, Link>()
    links.set(a, own)
    return own
  }
  for (const { beaconer, hearings } of window) {
    for (const { witness, loss, spreading } of hearings) {
      const a = Math.min(beaconer, witness)
      const b = Math.max(beaconer, witness)
      const own = from(a)
      let link = own.get(b)
      if (link === undefined) {
        link = { a, b, spreading, there: silent(), back: silent() }
        own.set(b, link)
        all.push(link)
      }
      const way = beaconer === a ? link.there : link.back
      way.heard++
      if (loss === ABSENT_LOSS) continue
      way.measured++
      way.loss += loss
    }
  }
  const ties = new Map<number, Tie[]>()
  for (const { a, b, spreading, there, back } of all) {
    push(ties, a, { peer: b, spreading, hears: back, heardBy: there })
    push(ties, b, { peer: a, spreading, hears: there, heardBy: back })
  }
  for (const list of ties.values()) list.sort((x, y) => x.peer - y.peer)
  return ties
}

/** Mean loss of both ways, 0.1 dB, floor; undefined where no level is known. */
export function lossOf({ hears, heardBy }: Tie): number | undefined {
  const measured = hears.measured + heardBy.measured
  return measured === 0 ? undefined : Math.floor((hears.loss + heardBy.loss) / measured)
}

/** Mean loss of one way, 0.1 dB, floor; undefined where no level is known. */
export function wayLoss({ measured, loss }: Way): number | undefined {
  return measured === 0 ? undefined : Math.floor(loss / measured)
}

/** The middle one, of two the lower; undefined of nothing. */
export function median(values: readonly number[]): number | undefined {
  const sorted = Int32Array.from(values).sort()
  return sorted[(sorted.length - 1) >> 1]
}

/** With fewer samples a gateway has no usual noise. */
const NOISES_MIN = 20

/** Median noise in 125 kHz of each witness that has samples enough, 0.1 dBm. */
export function usualNoise(window: readonly HeardBeacon[]): Map<number, number> {
  const samples = new Map<number, number[]>()
  for (const { hearings } of window) {
    for (const { witness, noise } of hearings) {
      const level = decodeLevel(noise)
      if (level === undefined) continue
      const list = samples.get(witness)
      if (list === undefined) samples.set(witness, [level])
      else list.push(level)
    }
  }
  const usual = new Map<number, number>()
  for (const [witness, list] of samples) {
    if (list.length >= NOISES_MIN) usual.set(witness, median(list) as number)
  }
  return usual
}

function silent(): Way {
  return { heard: 0, measured: 0, loss: 0 }
}

function push(ties: Map<number, Tie[]>, node: number, tie: Tie): void {
  const list = ties.get(node)
  if (list === undefined) ties.set(node, [tie])
  else list.push(tie)
}
