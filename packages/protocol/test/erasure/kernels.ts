import { fastestKernel } from '../../src/erasure/kernel.ts'
import { scalarKernel } from '../../src/erasure/scalar.ts'

/** All that there are. The platform that runs the tests has SIMD of both kinds. */
export const KERNELS = [
  fastestKernel(),
  // Relaxed first, so the second question is about plain SIMD.
  fastestKernel(
    (
      asked => () =>
        asked++ > 0
    )(0),
  ),
  scalarKernel,
]
