/** Where gateways and devices stand. */
import { cellCentre, check, distance, type Position } from '@cairn/protocol'
import { latLngToCell } from 'h3-js'
import { Prng } from '../sim/prng.ts'

/** Oulu, Finland: where the default propagation model was measured. Degrees. */
const CENTRE = { lat: 65.01, lng: 25.47 }
/** A gateway may register a cell this fine. */
const RESOLUTION = 12
/** Above the 300 m below which witnesses do not count. */
const APART_M = 500
/** A disc across which everyone mostly hears everyone; it grows when it is full. */
const RADIUS_M = 1_500
const TRIES_BEFORE_GROWTH = 100
export const CELLS_MAX = 4_096

const METRES_PER_DEGREE = 111_195
/** A town's homes lie about this many centres, with this deviation, m; some lie anywhere. */
const CENTRES = 6
const SPREAD_M = 2_500
const CENTRAL_SHARE = 0.7

/** `n` distinct cells around Oulu, at least 500 m apart, within 3 km of each other for n to 10. */
export function testnetCells(n: number, seed: Uint8Array): bigint[] {
  check(
    Number.isInteger(n) && n >= 0 && n <= CELLS_MAX,
    'badField',
    'a field has up to 4,096 cells',
    {
      facts: { n },
    },
  )
  const prng = new Prng(seed, 'cells')
  const cells: bigint[] = []
  const taken: Position[] = []
  let radius = RADIUS_M
  for (let tries = 0; cells.length < n; tries++) {
    if (tries % TRIES_BEFORE_GROWTH === TRIES_BEFORE_GROWTH - 1) radius *= 1.05
    const cell = cellAt(somewhere(prng, { least: 0, most: radius }))
    const centre = cellCentre(cell)
    if (taken.some(other => near(other, centre))) continue
    cells.push(cell)
    taken.push(centre)
  }
  return cells
}

/** A square around Oulu in which people live about six centres, and some anywhere. */
export class Region {
  readonly #prng: Prng
  readonly #side: number
  readonly #centres: readonly Offset[]

  /** `km`: side of the square. */
  constructor(seed: Uint8Array, km: number) {
    this.#prng = new Prng(seed, 'region')
    this.#side = km * 1_000
    this.#centres = Array.from({ length: CENTRES }, () => this.#offset())
  }

  anywhere(): Position {
    return displaced(CENTRE_POSITION, this.#offset())
  }

  home(): Position {
    const centre = this.#centres[this.#prng.below(CENTRES)] as Offset
    if (!this.#prng.chance(CENTRAL_SHARE)) return this.anywhere()
    const spread = Math.min(SPREAD_M, this.#side / CENTRES)
    const [east, north] = [gaussian(this.#prng) * spread, gaussian(this.#prng) * spread]
    return displaced(CENTRE_POSITION, { east: centre.east + east, north: centre.north + north })
  }

  /** A home at least so far away. */
  homeBeyond(from: Position, metres: number): Position {
    for (;;) {
      const home = this.home()
      if (distance(home, from) >= metres) return home
    }
  }

  #offset(): Offset {
    const along = () => (this.#prng.u32() / 2 ** 32 - 0.5) * this.#side
    return { east: along(), north: along() }
  }
}

/** A place between so many metres of another, in any direction. */
export function somewhere(
  prng: Prng,
  { from = CENTRE_POSITION, least, most }: { from?: Position; least: number; most: number },
): Position {
  const angle = (prng.u32() / 2 ** 32) * 2 * Math.PI
  const share = prng.u32() / 2 ** 32
  const away = Math.sqrt(least ** 2 + share * (most ** 2 - least ** 2))
  return displaced(from, { east: away * Math.cos(angle), north: away * Math.sin(angle) })
}

/** The cell of resolution 12 that holds a place. */
export function cellAt({ lat, lng }: Position): bigint {
  return BigInt(`0x${latLngToCell(lat / 1e7, lng / 1e7, RESOLUTION)}`)
}

/** Metres. */
interface Offset {
  readonly east: number
  readonly north: number
}

const CENTRE_POSITION: Position = {
  lat: Math.round(CENTRE.lat * 1e7),
  lng: Math.round(CENTRE.lng * 1e7),
}

/** On a flat map: good to a metre over a town. */
function displaced({ lat, lng }: Position, { east, north }: Offset): Position {
  const scale = METRES_PER_DEGREE * Math.cos((lat / 1e7 / 180) * Math.PI)
  return {
    lat: lat + Math.round((north / METRES_PER_DEGREE) * 1e7),
    lng: lng + Math.round((east / scale) * 1e7),
  }
}

/** Of mean 0 and deviation 1 (Box and Muller). */
function gaussian(prng: Prng): number {
  const [a, b] = [prng.u32(), prng.u32()]
  return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32)
}

/** A coarse box first: the exact distance costs more than all else here. */
function near(a: Position, b: Position): boolean {
  if (Math.abs(a.lat - b.lat) > (APART_M / METRES_PER_DEGREE) * 1.1e7) return false
  return distance(a, b) < APART_M
}
