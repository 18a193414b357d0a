/**
 * The kernel in JavaScript, for platforms whose WebAssembly has no SIMD. Four rows at a time share
 * one table per input: it gives the four products of a byte as one word.
 */
import { multiply } from './field.ts'
import type { Kernel } from './kernel.ts'

const ROWS_AT_ONCE = 4
/** Bytes of each shard per pass: their sums take 128 KiB, and lie in a second-level cache. */
const BLOCK_BYTES = 32 * 1024

export const scalarKernel: Kernel = {
  name: 'scalar',

  multiply(rows, inputs, outputs) {
    const table = new Uint32Array(256)
    const sums = new Uint32Array(BLOCK_BYTES)
    for (let first = 0; first < rows.length; first += ROWS_AT_ONCE) {
      const group = rows.slice(first, first + ROWS_AT_ONCE)
      const length = outputs[first]?.length ?? 0
      for (let from = 0; from < length; from += BLOCK_BYTES) {
        const bytes = Math.min(BLOCK_BYTES, length - from)
        sums.fill(0, 0, bytes)
        for (const [i, input] of inputs.entries()) {
          fillTable(table, group, i)
          addProducts({ sums, table, input, from, bytes })
        }
        for (let r = 0; r < group.length; r++) {
          const output = outputs[first + r] as Uint8Array
          for (let at = 0; at < bytes; at++) output[from + at] = (sums[at] as number) >>> (8 * r)
        }
      }
    }
  },
}

/** Byte r of `table[value]` is `value` times the coefficient of input `i` in row r. */
function fillTable(table: Uint32Array, rows: readonly Uint8Array[], i: number): void {
  // Of a single bit at a time; the product of a sum is the sum of the products.
  for (let bit = 1; bit < 256; bit <<= 1) {
    let products = 0
    for (const [r, row] of rows.entries()) products |= multiply(row[i] as number, bit) << (8 * r)
    for (let value = 0; value < bit; value++) {
      table[bit + value] = (table[value] as number) ^ products
    }
  }
}

interface AddProductsInit {
  sums: Uint32Array
  table: Uint32Array
  input: Uint8Array
  from: number
  bytes: number
}

function addProducts({ sums, table, input, from, bytes }: AddProductsInit): void {
  for (let at = 0; at < bytes; at++) {
    sums[at] = (sums[at] as number) ^ (table[input[from + at] as number] as number)
  }
}
