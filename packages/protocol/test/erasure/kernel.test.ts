import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { multiply } from '../../src/erasure/field.ts'
import { fastestKernel, type Kernel } from '../../src/erasure/kernel.ts'
import { KERNEL_MEMORY_BYTES } from '../../src/erasure/simd.ts'
import { hex } from '../../src/ssz.ts'
import { pattern } from '../piece/vectors.ts'
import { KERNELS } from './kernels.ts'

describe('the kernels of the erasure code', () => {
  it('go by what the platform runs', () => {
    const accepting = (...answers: boolean[]) => fastestKernel(() => answers.shift() as boolean)
    assert.deepEqual(
      [accepting(true), accepting(false, true), accepting(false, false)].map(({ name }) => name),
      ['relaxedSimd', 'simd', 'scalar'],
    )
  })

  for (const kernel of KERNELS) {
    describe(kernel.name, () => {
      it('multiplies every byte by every coefficient', () => {
        const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
        for (let first = 0; first < 256; first += 128) {
          const coefficients = Uint8Array.from({ length: 128 }, (_, i) => first + i)
          const rows = Array.from(coefficients, coefficient => Uint8Array.of(coefficient))
          product(kernel, rows, [bytes]).forEach((output, r) => {
            const coefficient = coefficients[r] as number
            assert.equal(hex(output), hex(bytes.map(byte => multiply(coefficient, byte))))
          })
        }
      })

      it('adds up the products of all inputs, whatever their number and length', () => {
        const shapes = fc
          .tuple(fc.integer({ min: 1, max: 255 }), fc.integer({ min: 1, max: 255 }))
          .map(([inputs, rows]) => ({ inputs, rows: Math.min(rows, 256 - inputs) }))
        fc.assert(
          fc.property(shapes, fc.integer({ min: 1, max: 70 }), (shape, length) => {
            const init = randomProduct({ ...shape, length })
            assert.deepEqual(product(kernel, ...init).map(hex), slowly(...init).map(hex))
          }),
          { numRuns: 40 },
        )
      })

      it('multiplies what is longer than a block of its memory, in every shape', () => {
        for (const shape of [
          { inputs: 1, rows: 1 },
          { inputs: 128, rows: 128 },
          { inputs: 131, rows: 125 },
          { inputs: 255, rows: 1 },
          { inputs: 1, rows: 255 },
        ]) {
          const length = Math.ceil((2.2 * KERNEL_MEMORY_BYTES) / (shape.inputs + shape.rows)) + 1
          const [rows, inputs] = randomProduct({ ...shape, length })
          const found = product(kernel, rows, inputs)
          for (const from of [0, Math.floor(length / 2), length - 40]) {
            const part = (bytes: Uint8Array) => bytes.subarray(from, from + 40)
            assert.deepEqual(found.map(part).map(hex), slowly(rows, inputs.map(part)).map(hex))
          }
        }
      })

      it('leaves what lies around the outputs as it is', () => {
        const [rows, inputs] = randomProduct({ inputs: 3, rows: 5, length: 33 })
        const room = rows.map(() => new Uint8Array(100).fill(0xee))
        kernel.multiply(
          rows,
          inputs,
          room.map(bytes => bytes.subarray(7, 40)),
        )
        for (const bytes of room) {
          assert.ok([...bytes.subarray(0, 7), ...bytes.subarray(40)].every(byte => byte === 0xee))
        }
      })
    })
  }
})

type Product = [rows: Uint8Array[], inputs: Uint8Array[]]

function randomProduct(init: { inputs: number; rows: number; length: number }): Product {
  const { inputs, rows, length } = init
  return [
    Array.from({ length: rows }, (_, r) => pattern(inputs, r + 1)),
    Array.from({ length: inputs }, (_, i) => pattern(length, 1_000 + i)),
  ]
}

function product(kernel: Kernel, ...[rows, inputs]: Product): Uint8Array[] {
  const outputs = rows.map(() => new Uint8Array(inputs[0]?.length ?? 0))
  kernel.multiply(rows, inputs, outputs)
  return outputs
}

/** The definition. */
function slowly(...[rows, inputs]: Product): Uint8Array[] {
  return rows.map(row => {
    const output = new Uint8Array(inputs[0]?.length ?? 0)
    inputs.forEach((input, i) => {
      input.forEach((byte, at) => {
        output[at] = (output[at] as number) ^ multiply(row[i] as number, byte)
      })
    })
    return output
  })
}
