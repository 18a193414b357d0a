/**
 * The hasher of Merkle levels under Node: native code where it has a binary for the platform,
 * WebAssembly elsewhere.
 *
 * Both write into a buffer of ours. What the native `hash` returns instead is memory outside of the
 * heap that is given back on a later turn of the event loop: hashing a gigabyte in one turn would
 * hold a gigabyte.
 */
import { invariant } from '../errors.ts'

export type HashPairs = (level: Uint8Array, into?: Uint8Array) => Uint8Array

/** Hashes each 64 bytes of the level into 32 bytes of `parents`, which has half its length. */
export type HashInto = (level: Uint8Array, parents: Uint8Array) => void

/** `load` gives the native module; when it rejects, the platform has no binary of it. */
export async function pairHasher(load: () => Promise<{ hashInto: HashInto }>): Promise<HashPairs> {
  const { hashInto } = await load().catch(() => import('@chainsafe/as-sha256'))
  return (level, parents = new Uint8Array(level.length / 2)) => {
    invariant(level.length % 64 === 0, 'a Merkle level consists of 64-byte nodes')
    invariant(parents.length === level.length / 2, 'a level has half the nodes of the one below')
    if (level.length > 0) hashInto(level, parents)
    return parents
  }
}
