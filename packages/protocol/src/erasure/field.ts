/**
 * GF(2^8): bytes as polynomials over GF(2), modulo x^8 + x^4 + x^3 + x^2 + 1. Addition and
 * subtraction are both `^`. The polynomial is the one that Backblaze's JavaReedSolomon,
 * klauspost/reedsolomon and rust-rse/reed-solomon-erasure use; x generates all but zero.
 */
import { invariant } from '../errors.ts'

const POLYNOMIAL = 0x11d
/** Elements but zero. */
const ORDER = 255

const { logs, powers } = tables()

/** The exponent of x that gives this element; there is none for zero. */
export function log(element: number): number {
  invariant(element > 0 && element <= ORDER, 'zero has no logarithm')
  return logs[element] as number
}

/** x to this power, which may be negative. */
export function power(exponent: number): number {
  const reduced = exponent % ORDER
  return powers[reduced < 0 ? reduced + ORDER : reduced] as number
}

export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : power(log(a) + log(b))
}

function tables() {
  const logs = new Uint8Array(ORDER + 1)
  const powers = new Uint8Array(ORDER)
  let element = 1
  for (let exponent = 0; exponent < ORDER; exponent++) {
    powers[exponent] = element
    logs[element] = exponent
    element <<= 1
    if (element > ORDER) element ^= POLYNOMIAL
  }
  return { logs, powers }
}
