/**
 * The hasher behind SSZ roots, by default one in JavaScript: a sixth of its time is what native code
 * needs, and WebAssembly a third where the platform has no binary of it.
 *
 * The library has one for the whole process, so a composition chooses it, and nobody else.
 */
import { setHasher } from '@chainsafe/persistent-merkle-tree'

export async function chooseFastHasher(): Promise<void> {
  const { hasher } = await import('@chainsafe/persistent-merkle-tree/hasher/hashtree').catch(
    () => import('@chainsafe/persistent-merkle-tree/hasher/as-sha256'),
  )
  setHasher(hasher)
}
