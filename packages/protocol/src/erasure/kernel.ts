import { base64pad } from 'multiformats/bases/base64'
import { type Runs, runsHere } from '../web-assembly.ts'
import { RELAXED_SIMD, SIMD } from './generated/kernel.ts'
import { scalarKernel } from './scalar.ts'
import { SimdKernel } from './simd.ts'

/**
 * What all the time of Reed-Solomon goes into: a matrix over GF(2^8) times the shards, byte by byte.
 * All kernels give the same bytes.
 */
export interface Kernel {
  readonly name: 'relaxedSimd' | 'simd' | 'scalar'
  /**
   * `outputs[r][at]` becomes the sum of `rows[r][i]` times `inputs[i][at]`. Inputs and outputs, 256
   * at most, have one length, each row as many coefficients as there are inputs, and no output
   * shares memory with an input.
   */
  multiply(
    rows: readonly Uint8Array[],
    inputs: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
  ): void
}

/**
 * The fastest kernel that the platform has. Relaxed swizzles are plain ones without the
 * instruction that clears what indices beyond 15 find, and take two thirds of the time.
 */
export function fastestKernel(runs: Runs = runsHere): Kernel {
  const relaxed = base64pad.baseDecode(RELAXED_SIMD)
  if (runs(relaxed)) return new SimdKernel('relaxedSimd', relaxed)
  const plain = base64pad.baseDecode(SIMD)
  return runs(plain) ? new SimdKernel('simd', plain) : scalarKernel
}
