/**
 * Places and distances in integers.
 *
 * A position is two int32 in 1e-7 degrees (about 1 cm); a cell becomes one by rounding its centre
 * once. The distance is the great circle's by the haversine formula, in fixed point:
 * h = sin^2(dlat / 2) + cos(lat1) cos(lat2) sin^2(dlng / 2), angle = 2 atan(sqrt(h / (1 - h))).
 *
 * Angles, sines and cosines have 62 fractional bits, h and its quotient 124. Sines are Taylor
 * series over a quarter turn, cut off below 2^-62; arctangents are a table at sixteenths and a
 * series over the rest. Rounding costs a few units of 2^-62 in the sine: against the exact formula
 * the result is within 1 m everywhere, within 0.1 % plus the rounding to whole metres from 1 m on.
 * (The sphere itself differs from the ellipsoid by up to 0.56 %.)
 */
import { cellToBoundary, cellToLatLng, isValidCell, latLngToCell } from 'h3-js'
import { check, invariant } from '../errors.ts'

const BITS = 62n
const ONE = 1n << BITS
const PI = 14_488_038_916_154_245_685n
const HALF_PI = PI / 2n
/** 1e-7 degrees in half a turn. */
const HALF_TURN = 1_800_000_000n

/** Millimetres: the sphere that H3 uses (WGS84 authalic radius). */
const EARTH_RADIUS_MM = 6_371_007_181n

/** round(atan(k / 16) * 2^62). */
const ATAN_SIXTEENTHS = [
  0n,
  287_855_953_345_232_185n,
  573_486_189_672_913_778n,
  854_766_549_539_324_179n,
  1_129_764_675_555_192_497n,
  1_396_809_912_678_075_341n,
  1_654_537_683_908_620_430n,
  1_901_907_467_368_135_863n,
  2_138_197_195_906_305_897n,
  2_362_979_310_104_584_075n,
  2_576_084_652_473_018_343n,
  2_777_560_133_246_350_984n,
  2_967_625_066_264_511_049n,
  3_146_629_716_257_419_296n,
  3_315_018_258_881_210_269n,
  3_473_297_232_174_029_200n,
  3_622_009_729_038_561_421n,
] as const

/** 1e-7 degrees, north and east positive. */
export interface Position {
  lat: number
  lng: number
}

export function isCell(cell: bigint): boolean {
  return cell > 0n && cell < 1n << 64n && isValidCell(cell.toString(16))
}

/** The H3 cell of a resolution that a place in degrees is in. Errors: `badPlace`. */
export function cellAt(lat: number, lng: number, resolution: number): bigint {
  check(Math.abs(lat) <= 90 && Math.abs(lng) <= 180, 'badPlace', 'expected degrees on the earth', {
    facts: { lat, lng },
    next: 'give the latitude first, as in 64.9916,25.4320',
  })
  return BigInt(`0x${latLngToCell(lat, lng, resolution)}`)
}

/** Centre of an H3 cell. Errors: `badCell`. */
export function cellCentre(cell: bigint): Position {
  check(isCell(cell), 'badCell', 'expected the index of an H3 cell', { facts: { cell } })
  const [lat, lng] = cellToLatLng(cell.toString(16))
  return { lat: Math.round(lat * 1e7), lng: Math.round(lng * 1e7) }
}

/** Corners of an H3 cell, counterclockwise, the first not repeated. Errors: `badCell`. */
export function cellBoundary(cell: bigint): Position[] {
  check(isCell(cell), 'badCell', 'expected the index of an H3 cell', { facts: { cell } })
  return cellToBoundary(cell.toString(16)).map(([lat, lng]) => ({
    lat: Math.round(lat * 1e7),
    lng: Math.round(lng * 1e7),
  }))
}

/** Resolution (0 to 15) of an H3 index. */
export function cellResolution(cell: bigint): number {
  return Number((cell >> 52n) & 0xfn)
}

/** Great-circle distance in metres, to the nearest. Errors: `badPosition`. */
export function distance(a: Position, b: Position): number {
  return siteDistance(siteAt(a), siteAt(b))
}

/** A position with the cosine of its latitude: most of what a distance costs, found once. */
export interface Site {
  readonly position: Position
  readonly cosine: bigint
}

/** Of the centre of a cell. Errors: `badCell`. */
export function siteOf(cell: bigint): Site {
  return siteAt(cellCentre(cell))
}

/** Great-circle distance in metres, to the nearest. */
export function siteDistance(a: Site, b: Site): number {
  const north = sine(angle(a.position.lat - b.position.lat) / 2n)
  const east = sine(angle(a.position.lng - b.position.lng) / 2n)
  const cosines = (a.cosine * b.cosine) >> BITS
  const h = north * north + ((cosines * east * east) >> BITS)
  return metres(halfAngle(h))
}

/** Distance between the centres of two cells, metres. */
export function cellDistance(a: bigint, b: bigint): number {
  return distance(cellCentre(a), cellCentre(b))
}

/** Metres from the centre of the sphere; a straight line is short of the arc by 1 m in 100 km. */
export type Vector = readonly [x: number, y: number, z: number]

/** Of the centre of a cell. Errors: `badCell`. */
export function vectorOf(cell: bigint): Vector {
  const { lat, lng } = cellCentre(cell)
  const up = sine(angle(lat))
  const out = cosine(angle(lat))
  const east = sine(angle(lng))
  const toZero = sine(HALF_PI - (lng < 0 ? -angle(lng) : angle(lng)))
  return [radial((out * toZero) >> BITS), radial((out * east) >> BITS), radial(up)]
}

/** Straight between two places, whole metres. Squares stay below 2^53, and their root is exact. */
export function chord(a: Vector, b: Vector): number {
  const x = a[0] - b[0]
  const y = a[1] - b[1]
  const z = a[2] - b[2]
  return Math.round(Math.sqrt(x * x + y * y + z * z))
}

/** floor(sqrt(n)), by Newton's iteration from above. */
export function integerSqrt(n: bigint): bigint {
  invariant(n >= 0n, 'a square root is taken of a number that is not negative')
  if (n < 2n) return n
  let root = 1n << BigInt(n.toString(16).length * 2)
  for (;;) {
    const next = (root + n / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

function siteAt(position: Position): Site {
  checkPosition(position)
  return { position, cosine: cosine(angle(position.lat)) }
}

function checkPosition({ lat, lng }: Position): void {
  const fits =
    Number.isInteger(lat) &&
    Number.isInteger(lng) &&
    Math.abs(lat) <= 900_000_000 &&
    Math.abs(lng) <= 1_800_000_000
  check(fits, 'badPosition', 'a position is whole 1e-7 degrees', { facts: { lat, lng } })
}

function metres(half: bigint): number {
  return metresOf((2n * half * EARTH_RADIUS_MM) >> BITS)
}

/** To the nearest; halves away from zero. */
function metresOf(millimetres: bigint): number {
  const half = millimetres < 0n ? -500n : 500n
  return Number((millimetres + half) / 1_000n)
}

/** A part of the sphere's radius in whole metres. */
function radial(part: bigint): number {
  return metresOf((part * EARTH_RADIUS_MM) >> BITS)
}

function angle(tenMillionths: number): bigint {
  return (BigInt(tenMillionths) * PI) / HALF_TURN
}

/** Of an angle in [-pi, pi]. */
function sine(x: bigint): bigint {
  if (x < 0n) return -sine(-x)
  if (x > HALF_PI) return sine(PI - x)
  const square = (x * x) >> BITS
  let term = x
  let sum = x
  for (let k = 2n; term !== 0n; k += 2n) {
    term = -((term * square) >> BITS) / (k * (k + 1n))
    sum += term
  }
  return sum > ONE ? ONE : sum
}

/** Of a latitude, in [-pi/2, pi/2]. */
function cosine(x: bigint): bigint {
  return sine(HALF_PI - (x < 0n ? -x : x))
}

/** asin(sqrt(h)) for h with 124 bits: by the smaller of tangent and cotangent. */
function halfAngle(h: bigint): bigint {
  const whole = 1n << (2n * BITS)
  const rest = h > whole ? 0n : whole - h
  if (h <= rest) return arctangent(integerSqrt((h << (2n * BITS)) / rest))
  return HALF_PI - arctangent(integerSqrt((rest << (2n * BITS)) / h))
}

/** Of a tangent in [0, 1]. */
function arctangent(t: bigint): bigint {
  const k = (t * 16n + (ONE >> 1n)) >> BITS
  const knot = (k << BITS) >> 4n
  const rest = ((t - knot) << BITS) / (ONE + ((t * knot) >> BITS))
  const square = (rest * rest) >> BITS
  let power = rest
  let sum = ATAN_SIXTEENTHS[Number(k)] as bigint
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += n % 4n === 1n ? power / n : -power / n
    power = (power * square) >> BITS
  }
  return sum
}
