/** fr32 in WebAssembly SIMD (fr32.wat). The payload is copied in by parts, which a cache holds. */
import { invariant } from '../errors.ts'
import { instantiate } from '../web-assembly.ts'
import type { Fr32 } from './fr32.ts'
import { QUAD_BYTES, QUAD_PAYLOAD, SUBTREE_PAYLOAD } from './piece.ts'

/** The memory that fr32.wat declares, bytes; it does not grow. */
const FR32_MEMORY_BYTES = 18 * 2 ** 16
/** Where the leaves begin: behind the part of the payload and the byte that is read beyond it. */
const LEAVES = 2 ** 16

interface Exports {
  memory: { buffer: ArrayBuffer }
  pad(payload: number, leaves: number, quads: number): void
}

/** `code` is a module that the platform runs. */
export function simdFr32(code: Uint8Array, payloadMax: number): Fr32 {
  const { memory, pad } = instantiate(code) as Exports
  const bytes = new Uint8Array(memory.buffer)
  const leavesMax = Math.ceil(payloadMax / QUAD_PAYLOAD) * QUAD_BYTES
  invariant(bytes.length === FR32_MEMORY_BYTES, 'it has the memory it declares')
  invariant(LEAVES + leavesMax <= FR32_MEMORY_BYTES, 'the leaves fit')
  return payload => {
    invariant(payload.length <= payloadMax, 'the payload fits')
    let end = LEAVES
    for (let at = 0; at < payload.length; at += SUBTREE_PAYLOAD) {
      const part = payload.subarray(at, at + SUBTREE_PAYLOAD)
      const quads = Math.ceil(part.length / QUAD_PAYLOAD)
      bytes.set(part)
      bytes.fill(0, part.length, quads * QUAD_PAYLOAD)
      pad(0, end, quads)
      end += quads * QUAD_BYTES
    }
    return bytes.subarray(LEAVES, end)
  }
}
