/**
 * What all the time of Reed-Solomon goes into: a matrix over GF(2^8) times the shards, byte by byte.
 */
export interface Kernel {
  readonly name: 'scalar' | 'simd'
  /**
   * `outputs[r][at]` becomes the sum of `rows[r][i]` times `inputs[i][at]`. All inputs and outputs
   * have one length, each row as many coefficients as there are inputs, and no output shares memory
   * with an input.
   */
  multiply(rows: readonly Uint8Array[], inputs: readonly Uint8Array[], outputs: Uint8Array[]): void
}
