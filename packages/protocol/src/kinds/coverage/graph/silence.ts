/**
 * Who should have heard a beacon and did not. A witness had a chance to hear a beacon if in the same
 * epoch it heard others, half of which at an equal or higher expected loss: it was awake, and its
 * radio reached so far.
 */
import type { Neighbours, Places } from './places.ts'
import { type HeardBeacon, UNREVEALED } from './window.ts'

/** A gateway's beacons as its neighbours could have heard them; one count per neighbour. */
export interface Chances {
  readonly neighbours: Neighbours
  readonly had: Int32Array
  readonly taken: Int32Array
}

export interface Silence {
  /** Neighbours that had a chance. */
  readonly neighbours: number
  readonly chances: number
  readonly heard: number
}

/** Reach of a witness that heard nothing in the epoch, or nothing else. */
const DEAF = -(2 ** 30)

/** By beaconer; those without a neighbour that heard anything have no chances. */
export function chancesOf(window: readonly HeardBeacon[], places: Places): Map<number, Chances> {
  const found = new Map<number, Chances>()
  const reach = new Int32Array(places.nodes.length)
  const beside = new Int32Array(places.nodes.length)
  const heard = new Uint8Array(places.nodes.length)
  for (let begin = 0; begin < window.length; ) {
    let end = begin + 1
    while (window[end]?.epoch === window[begin]?.epoch) end++
    const epoch = window.slice(begin, end)
    const ears = earsOf(epoch, places)
    reach.fill(DEAF)
    for (const [place, ear] of ears) reach[place] = middle(ear)
    for (const beacon of epoch) {
      if (beacon.power !== UNREVEALED) count(beacon, { ears, reach, beside, heard, places, found })
    }
    begin = end
  }
  return found
}

/** What the neighbours that fit say of a gateway; `fits` by place. */
export function silenceOf(
  { neighbours, had, taken }: Chances,
  fits: (place: number) => boolean,
): Silence {
  let count = 0
  let chances = 0
  let heard = 0
  neighbours.places.forEach((place, at) => {
    if (had[at] === 0 || !fits(place)) return
    count++
    chances += had[at] as number
    heard += taken[at] as number
  })
  return { neighbours: count, chances, heard }
}

/**
 * By place of the witness: spreading loss less the power radiated of all that it heard, the larger the
 * harder to hear, ascending.
 */
function earsOf(epoch: readonly HeardBeacon[], places: Places): Map<number, Int32Array> {
  const lists = new Map<number, number[]>()
  for (const { power, hearings } of epoch) {
    for (const { witness, spreading } of hearings) {
      const place = places.of(witness)
      if (place === undefined) continue
      const list = lists.get(place)
      if (list === undefined) lists.set(place, [spreading - power])
      else list.push(spreading - power)
    }
  }
  const ears = new Map<number, Int32Array>()
  for (const [place, list] of lists) ears.set(place, Int32Array.from(list).sort())
  return ears
}

/** Of two in the middle the lower; without one value that is in it, where one is given. */
function middle(sorted: Int32Array, without?: number): number {
  if (without === undefined) return sorted[(sorted.length - 1) >> 1] as number
  if (sorted.length === 1) return DEAF
  const at = (sorted.length - 2) >> 1
  const value = sorted[at] as number
  return value >= without ? (sorted[at + 1] as number) : value
}

interface CountInput {
  readonly ears: ReadonlyMap<number, Int32Array>
  /** By place: median hardness of what was heard there. */
  readonly reach: Int32Array
  /** Room by place: of those that heard the beacon the median of the rest, and that they did. */
  readonly beside: Int32Array
  readonly heard: Uint8Array
  readonly places: Places
  readonly found: Map<number, Chances>
}

function count({ beaconer, power, hearings }: HeardBeacon, input: CountInput): void {
  const { ears, reach, beside, heard, places, found } = input
  const own = places.of(beaconer)
  if (own === undefined) return
  const neighbours = places.neighbours(own)
  let chances = found.get(beaconer)
  if (chances === undefined) {
    const length = neighbours.places.length
    chances = { neighbours, had: new Int32Array(length), taken: new Int32Array(length) }
    found.set(beaconer, chances)
  }
  const marked: number[] = []
  for (const { witness, spreading } of hearings) {
    const place = places.of(witness)
    if (place === undefined) continue
    marked.push(place)
    heard[place] = 1
    beside[place] = middle(ears.get(place) as Int32Array, spreading - power)
  }
  const { had, taken } = chances
  for (let at = 0; at < had.length; at++) {
    const place = neighbours.places[at] as number
    const reached = (heard[place] === 1 ? beside[place] : reach[place]) as number
    if (reached === DEAF || (neighbours.spreading[at] as number) - power > reached) continue
    had[at] = (had[at] as number) + 1
    taken[at] = (taken[at] as number) + (heard[place] as number)
  }
  for (const place of marked) heard[place] = 0
}
