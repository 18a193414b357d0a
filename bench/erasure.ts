/** Reed-Solomon on 10 MiB of data, as a client's segment is. */
import { ReedSolomon } from '@cairn/protocol'
import { libraryEncode, libraryReconstruct } from '../packages/protocol/test/erasure/library.ts'
import { pattern } from '../packages/protocol/test/piece/vectors.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'

const SHAPE = { data: 10, total: 30 }
const SHARD_BYTES = 2 ** 20
const DATA_BYTES = SHAPE.data * SHARD_BYTES
const LIBRARY = '@digitaldefiance/reed-solomon-erasure.wasm'

export async function* erasure(): AsyncGenerator<Line> {
  const code = new ReedSolomon(SHAPE)
  // The library's shards lie one after the other; it writes where they are, and so do ours.
  const theirs = new Uint8Array(SHAPE.total * SHARD_BYTES)
  theirs.set(pattern(DATA_BYTES))
  const data = Array.from({ length: SHAPE.data }, (_, place) => shardOf(theirs, place).slice())
  const parity = code.encode(data)
  yield line({
    name: 'rs.encode.10of30',
    ...(await compare({
      ours: () => code.encode(data, parity),
      other: () => libraryEncode(theirs, SHAPE),
    })),
  })

  const lost = SHAPE.total - SHAPE.data
  const shards = [...data, ...parity].map((shard, place) => (place < lost ? undefined : shard))
  const known = shards.map(shard => shard !== undefined)
  const wanted = Array.from(data.keys())
  let found: Uint8Array[] = []
  yield line({
    name: 'rs.reconstruct.10of30',
    ...(await compare({
      ours: () => {
        found = code.reconstruct(shards, wanted)
      },
      other: () => libraryReconstruct(theirs, SHAPE, known),
    })),
  })

  const same = [...data.keys()].every(place => {
    const expected = Buffer.from(data[place] as Uint8Array)
    return expected.equals(found[place] as Uint8Array) && expected.equals(shardOf(theirs, place))
  })
  if (!same) throw new Error('the data was not reconstructed')
}

function shardOf(shards: Uint8Array, place: number): Uint8Array {
  return shards.subarray(place * SHARD_BYTES, (place + 1) * SHARD_BYTES)
}

function line(init: { name: string; ours: number; other: number; ratio: number }): Line {
  const { name, ours, other, ratio } = init
  const speed = (ms: number) => perSecond(DATA_BYTES / 1e6, ms)
  const against = `${LIBRARY}: ${rounded(speed(other))} MB/s`
  return { name, value: speed(ours), unit: 'MB/s', ratio, against }
}
