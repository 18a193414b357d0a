/**
 * Distance in dB: 20 log10 of metres, the loss of free space but for a constant. The graph rules ask
 * for it millions of times an epoch, so it is tabled: the least metres of every tenth of a dB, and
 * the answers themselves for near places.
 */
import { ratioLevel } from '../../../radio/levels.ts'

/** Half the earth's circumference, metres: 20,015 km lie below. */
const METRES_MAX = 20_100_000
/** Answers that are kept one by one: 64 KiB, for metres up to the reach of any gateway. */
const NEAR_METRES = 32_768

/** Of metres, at least 1 and whole, in 0.1 dB. */
export function spreadingOf(metres: number): number {
  if (metres < NEAR_METRES) return near()[Math.max(metres, 1)] as number
  return bisected(Math.min(metres, METRES_MAX))
}

let nearTable: Uint16Array | undefined
let leastTable: readonly number[] | undefined

function near(): Uint16Array {
  nearTable ??= Uint16Array.from({ length: NEAR_METRES }, (_, at) => bisected(Math.max(at, 1)))
  return nearTable
}

/** The place of the last entry that is not above. */
function bisected(metres: number): number {
  const table = leastMetres()
  let low = 0
  let high = table.length
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if ((table[middle] as number) <= metres) low = middle
    else high = middle
  }
  return low
}

/** Least metres of 0, 1, 2, ... tenths of a dB. */
function leastMetres(): readonly number[] {
  leastTable ??= madeTable()
  return leastTable
}

function madeTable(): number[] {
  const table: number[] = []
  const most = exact(METRES_MAX)
  for (let tenths = 0; tenths <= most; tenths++) {
    let metres = Math.max(1, Math.ceil(10 ** ((tenths - 0.5) / 200)))
    while (exact(metres) < tenths) metres++
    while (metres > 1 && exact(metres - 1) >= tenths) metres--
    table.push(metres)
  }
  return table
}

function exact(metres: number): number {
  const whole = BigInt(metres)
  return ratioLevel(whole * whole, 1n)
}
