import { sha256Pairs } from '@cairn/protocol'

const BATCH_BYTES = 2 ** 20

/** Nothing but the pair hashes under a tree of 2^n x 32 bytes, one level of 1 MiB or less at a time. */
export function barePairs(bytes: Uint8Array): Uint8Array {
  const parts = Math.max(1, bytes.length / BATCH_BYTES)
  const roots = new Uint8Array(32 * parts)
  for (let part = 0; part < parts; part++) {
    let level = bytes.subarray(part * BATCH_BYTES, (part + 1) * BATCH_BYTES)
    while (level.length > 32) level = sha256Pairs(level)
    roots.set(level, 32 * part)
  }
  return parts > 1 ? barePairs(roots) : roots
}
