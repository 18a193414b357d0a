import { log, power } from './field.ts'

/**
 * How the values of a polynomial at `points`, of which there are more than its degree, make up its
 * value at each of `places`: the value at `places[r]` is the sum of `rows[r][i]` times the value at
 * `points[i]` (Lagrange). The points are distinct.
 */
export function interpolation(points: Uint8Array, places: Uint8Array): Uint8Array[] {
  // Logarithms of prod (x_i - x_j) over j != i.
  const divisors = Array.from(points, point => logOfProduct(points, point))
  return Array.from(places, place => {
    const known = points.indexOf(place)
    const row = new Uint8Array(points.length)
    if (known >= 0) {
      row[known] = 1
      return row
    }
    const product = logOfProduct(points, place)
    return row.map((_, i) =>
      power(product - log((points[i] as number) ^ place) - (divisors[i] as number)),
    )
  })
}

/** Of the distances from `place` to all points but itself. */
function logOfProduct(points: Uint8Array, place: number): number {
  let sum = 0
  for (const point of points) if (point !== place) sum += log(point ^ place)
  return sum
}
