import { log, power } from './field.ts'

/**
 * How the values of a polynomial at `points`, of which there are more than its degree, make up its
 * value at each of `places`: the value at `places[r]` is the sum of `rows[r][i]` times the value at
 * `points[i]` (Lagrange). All points and places are distinct.
 */
export function interpolation(points: Uint8Array, places: Uint8Array): Uint8Array[] {
  const divisors = Array.from(points, point => logOfDistances(points, point))
  return Array.from(places, place => {
    const product = logOfDistances(points, place)
    return points.map((point, i) => power(product - log(place ^ point) - (divisors[i] as number)))
  })
}

/** The logarithm of the product of the distances from `place` to all points but itself. */
function logOfDistances(points: Uint8Array, place: number): number {
  let sum = 0
  for (const point of points) if (point !== place) sum += log(place ^ point)
  return sum
}
