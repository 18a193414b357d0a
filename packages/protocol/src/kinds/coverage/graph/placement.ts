/**
 * Where the antenna stands, as the losses of all its links tell. Shadowing moves each by 8 to 10 dB,
 * but a place that is some kilometres off makes many of them wrong in the same way: the registered
 * cell is compared with places around it, and doubted when one of them explains the losses much
 * better. (Least squares over one slope, with a free constant: a gain that is wrong moves nothing.)
 *
 * Slope and scatter are those of the gateway and its peers together, so that a city and a plain are
 * each measured by their own.
 */
import { cellToParent, gridDisk } from 'h3-js'
import { chord, integerSqrt, type Vector, vectorOf } from '../../../radio/geo.ts'
import type { Places } from './places.ts'
import { spreadingOf } from './spreading.ts'

/** Places that are compared: centres of the cells of this resolution, 2 km apart, ... */
const GRID_RESOLUTION = 7
/** ... in so many rings around the registered one: 37 places up to 7 km away. */
const GRID_RINGS = 3
/** What one link can add at most, 0.1 dB: a peer that lies moves a gateway no further. */
const CLIP = 250
/** Scatter below this is not believed, 0.1 dB. */
export const SCATTER_MIN = 40

/** A link of which both the loss and the other end are believed. */
export interface Sighting {
  /** The peer, by its place. */
  readonly place: number
  /** 20 log10 of the metres between the registered cells, 0.1 dB. */
  readonly spreading: number
  /** Mean of both ways, 0.1 dB. */
  readonly loss: number
}

export interface Placement {
  /** By how much the best other place explains the losses better, hundredths of the scatter squared. */
  readonly doubt: number
  /** Metres from the registered cell to it. */
  readonly likelierAt: number
  /** Loss by distance in dB, thousandths. */
  readonly slope: number
  /** Standard deviation of a loss from it, 0.1 dB. */
  readonly scatter: number
}

/** By place. Judged are those with at least `least` sightings. */
export function judgePlacement(
  sightings: ReadonlyMap<number, readonly Sighting[]>,
  places: Places,
  least: number,
): Map<number, Placement> {
  const sums = new Map([...sightings].map(([place, list]) => [place, sumsOf(list)]))
  const centres = new Map<string, Vector>()
  const centreOf = (cell: string): Vector => {
    let centre = centres.get(cell)
    if (centre === undefined) {
      centre = vectorOf(BigInt(`0x${cell}`))
      centres.set(cell, centre)
    }
    return centre
  }
  const found = new Map<number, Placement>()
  for (const [place, list] of sightings) {
    if (list.length < least) continue
    const air = airOf([place, ...list.map(sighting => sighting.place)], sums)
    if (air === undefined) continue
    const home = cellToParent(places.cells[place] as string, GRID_RESOLUTION)
    const grid = gridDisk(home, GRID_RINGS).sort().map(centreOf)
    found.set(place, compare({ own: places.at[place] as Vector, list, grid, air, places }))
  }
  return found
}

/** How loss grows with distance, and how far it scatters. */
interface Air {
  readonly slope: number
  /** Scatter squared, (0.1 dB)^2. */
  readonly variance: number
}

interface CompareInput {
  readonly own: Vector
  readonly list: readonly Sighting[]
  readonly grid: readonly Vector[]
  readonly air: Air
  readonly places: Places
}

function compare({ own, list, grid, air, places }: CompareInput): Placement {
  const losses = Int32Array.from(list, ({ loss }) => loss)
  const peers = list.map(({ place }) => places.at[place] as Vector)
  const distances = Int32Array.from(list, ({ spreading }) => spreading)
  const rest = new Int32Array(list.length)
  const registered = misfit({ losses, distances, rest }, air.slope)
  let best = registered
  let where = own
  for (const at of grid) {
    for (let i = 0; i < peers.length; i++) distances[i] = spreadingOf(chord(at, peers[i] as Vector))
    const here = misfit({ losses, distances, rest }, air.slope)
    if (here >= best) continue
    best = here
    where = at
  }
  return {
    doubt: Math.floor((100 * (registered - best)) / air.variance),
    likelierAt: chord(own, where),
    slope: air.slope,
    scatter: Number(integerSqrt(BigInt(air.variance))),
  }
}

interface Residuals {
  readonly losses: Int32Array
  readonly distances: Int32Array
  /** Room for what is left of each. */
  readonly rest: Int32Array
}

/** Sum of squares of what slope and a constant do not explain, each residual at most `CLIP`. */
function misfit({ losses, distances, rest }: Residuals, slope: number): number {
  const n = losses.length
  let sum = 0
  for (let i = 0; i < n; i++) {
    const left = (losses[i] as number) - Math.floor((slope * (distances[i] as number)) / 1_000)
    rest[i] = left
    sum += left
  }
  const mean = Math.floor(sum / n)
  let squares = 0
  for (let i = 0; i < n; i++) {
    const off = Math.min(Math.abs((rest[i] as number) - mean), CLIP)
    squares += off * off
  }
  return squares
}

/** Of the links of one gateway, about their own means. */
interface Sums {
  readonly links: number
  readonly distances: bigint
  readonly losses: bigint
  readonly both: bigint
}

function sumsOf(list: readonly Sighting[]): Sums {
  let [x, y, xx, yy, xy] = [0, 0, 0, 0, 0]
  for (const { spreading, loss } of list) {
    x += spreading
    y += loss
    xx += spreading * spreading
    yy += loss * loss
    xy += spreading * loss
  }
  const n = BigInt(Math.max(list.length, 1))
  const about = (product: number, a: number, b: number) =>
    BigInt(product) - (BigInt(a) * BigInt(b)) / n
  return {
    links: list.length,
    distances: about(xx, x, x),
    losses: about(yy, y, y),
    both: about(xy, x, y),
  }
}

/** Undefined where the distances do not vary, or there are too few links. */
function airOf(places: readonly number[], sums: ReadonlyMap<number, Sums>): Air | undefined {
  let [free, distances, losses, both] = [-1, 0n, 0n, 0n]
  for (const place of places) {
    const own = sums.get(place)
    if (own === undefined || own.links === 0) continue
    free += own.links - 1
    distances += own.distances
    losses += own.losses
    both += own.both
  }
  if (free < 1 || distances <= 0n) return undefined
  const slope = both <= 0n ? 0n : (1_000n * both) / distances
  const rest = losses - (both <= 0n ? 0n : (both * both) / distances)
  const variance = Number(rest / BigInt(free))
  return { slope: Number(slope), variance: Math.max(variance, SCATTER_MIN * SCATTER_MIN) }
}
