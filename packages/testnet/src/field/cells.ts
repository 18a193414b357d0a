/** Where a testnet's gateways stand. */
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
    const cell = cellWithin(radius, prng)
    const centre = cellCentre(cell)
    if (taken.some(other => near(other, centre))) continue
    cells.push(cell)
    taken.push(centre)
  }
  return cells
}

function cellWithin(radius: number, prng: Prng): bigint {
  const angle = (prng.u32() / 2 ** 32) * 2 * Math.PI
  const away = Math.sqrt(prng.u32() / 2 ** 32) * radius
  const lat = CENTRE.lat + (away * Math.sin(angle)) / METRES_PER_DEGREE
  const scale = METRES_PER_DEGREE * Math.cos((CENTRE.lat / 180) * Math.PI)
  const lng = CENTRE.lng + (away * Math.cos(angle)) / scale
  return BigInt(`0x${latLngToCell(lat, lng, RESOLUTION)}`)
}

/** A coarse box first: the exact distance costs more than all else here. */
function near(a: Position, b: Position): boolean {
  if (Math.abs(a.lat - b.lat) > (APART_M / METRES_PER_DEGREE) * 1.1e7) return false
  return distance(a, b) < APART_M
}
