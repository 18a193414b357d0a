/**
 * The kernel in WebAssembly SIMD (kernel.wat). Shards pass through its memory in blocks: copying
 * them in and out takes about a sixth of the time, and what it holds is the same for any length.
 */
import { invariant } from '../errors.ts'
import { instantiate } from '../web-assembly.ts'
import { multiply as multiplyBytes } from './field.ts'
import type { Kernel } from './kernel.ts'

/** The memory that kernel.wat declares, bytes; it does not grow. */
export const KERNEL_MEMORY_BYTES = 2 ** 20
/** Tables of the shape with most coefficients (131 inputs, 125 rows) take 524 KiB. */
const TABLES_BYTES = 528 * 1024
/** Blocks of all shards together: they lie in a second-level cache. */
const SLOTS_BYTES = 384 * 1024
/** Longer ones gain nothing where there are few shards. */
const BLOCK_MAX_BYTES = 16 * 1024

const ROWS_PER_GROUP = 4
/** 16 products of the lower, 16 of the upper four bits. */
const TABLE_BYTES = 32
const CACHE_LINE_BYTES = 64

interface Exports {
  memory: { buffer: ArrayBuffer }
  multiply(
    tables: number,
    groups: number,
    inputs: number,
    count: number,
    outputs: number,
    stride: number,
    bytes: number,
  ): void
}

export class SimdKernel implements Kernel {
  readonly name: 'relaxedSimd' | 'simd'
  readonly #multiply: Exports['multiply']
  readonly #memory: Uint8Array
  /** For each coefficient the table of its products. */
  readonly #products = productTables()

  /** `code` is a module that the platform runs. */
  constructor(name: 'relaxedSimd' | 'simd', code: Uint8Array) {
    const { memory, multiply } = instantiate(code) as Exports
    this.name = name
    this.#multiply = multiply
    this.#memory = new Uint8Array(memory.buffer)
    invariant(this.#memory.length === KERNEL_MEMORY_BYTES, 'the kernel has the memory it declares')
  }

  multiply(
    rows: readonly Uint8Array[],
    inputs: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
  ): void {
    const length = outputs[0]?.length ?? 0
    if (length === 0) return
    const groups = Math.ceil(rows.length / ROWS_PER_GROUP)
    const stride = strideOf(inputs.length + groups * ROWS_PER_GROUP)
    const inputSlots = TABLES_BYTES
    const outputSlots = inputSlots + inputs.length * stride
    this.#fillTables(rows, groups, inputs.length)
    for (let at = 0; at < length; at += stride) {
      const bytes = Math.min(stride, length - at)
      for (const [i, input] of inputs.entries()) {
        this.#memory.set(input.subarray(at, at + bytes), inputSlots + i * stride)
      }
      this.#multiply(0, groups, inputSlots, inputs.length, outputSlots, stride, bytes)
      for (const [r, output] of outputs.entries()) {
        const slot = outputSlots + r * stride
        output.set(this.#memory.subarray(slot, slot + bytes), at)
      }
    }
  }

  /** In the order that kernel.wat reads them; rows that fill up the last group are zero. */
  #fillTables(rows: readonly Uint8Array[], groups: number, inputs: number): void {
    invariant(groups * ROWS_PER_GROUP * inputs * TABLE_BYTES <= TABLES_BYTES, 'the tables fit')
    let at = 0
    for (let group = 0; group < groups; group++) {
      for (let i = 0; i < inputs; i++) {
        for (let r = 0; r < ROWS_PER_GROUP; r++) {
          const coefficient = rows[group * ROWS_PER_GROUP + r]?.[i] ?? 0
          const table = coefficient * TABLE_BYTES
          this.#memory.set(this.#products.subarray(table, table + TABLE_BYTES), at)
          at += TABLE_BYTES
        }
      }
    }
  }
}

/** Bytes from slot to slot: an odd number of cache lines, so that slots do not share cache sets. */
function strideOf(slots: number): number {
  const room = Math.min(BLOCK_MAX_BYTES, SLOTS_BYTES / slots)
  const lines = Math.floor(room / CACHE_LINE_BYTES)
  invariant(lines > 0, 'every shard has a slot')
  return CACHE_LINE_BYTES * (lines - (1 - (lines % 2)))
}

function productTables(): Uint8Array {
  const tables = new Uint8Array(256 * TABLE_BYTES)
  for (let coefficient = 0; coefficient < 256; coefficient++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      const at = coefficient * TABLE_BYTES + nibble
      tables[at] = multiplyBytes(coefficient, nibble)
      tables[at + 16] = multiplyBytes(coefficient, nibble << 4)
    }
  }
  return tables
}
