/** The root over an epoch's message ids, against the SSZ library with each of its hashers. */
import { ListDepth, listRoot, sha256 } from '@cairn/protocol'
import { hasher as presentHasher, setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as nativeHasher } from '@chainsafe/persistent-merkle-tree/hasher/hashtree'
import { ByteVectorType, ListCompositeType } from '@chainsafe/ssz'
import { bytes32 } from '../packages/protocol/test/kinds/storage/world.ts'
import { compare, type Line, rounded } from './measure.ts'

export async function* tree(): AsyncGenerator<Line> {
  const ids = Array.from({ length: 100_000 }, (_, i) => sha256(bytes32(i)))
  const list = new ListCompositeType(new ByteVectorType(32), 2 ** ListDepth.messages)
  // The import follows `setHasher`.
  const installed = presentHasher
  for (const hasher of [installed, nativeHasher]) {
    setHasher(hasher)
    const { ours, other, ratio } = await compare({
      ours: () => listRoot(ids, ListDepth.messages),
      other: () => list.hashTreeRoot(ids),
    })
    const against = `@chainsafe/ssz hashTreeRoot with its ${hasher.name} hasher: ${rounded(other)} ms`
    const name = hasher === installed ? 'tree.100000' : 'tree.100000.native'
    yield { name, value: ours, unit: 'ms', ratio, against }
  }
  setHasher(installed)
}
