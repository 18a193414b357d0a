import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { sha256 } from '#crypto'
import { ReedSolomon, type Shape } from '../../src/erasure/reed-solomon.ts'
import { CairnError } from '../../src/errors.ts'
import { hex } from '../../src/ssz.ts'
import { pattern } from '../piece/vectors.ts'
import { KERNELS } from './kernels.ts'
import { libraryEncode, libraryReconstruct } from './library.ts'

/** More than one block of a kernel, and no multiple of anything. */
const LONG = 200_003

/** klauspost/reedsolomon, TestOneEncode: five data shards of two bytes, then five of parity. */
const PUBLISHED = '0001 0405 0203 0607 0809 0c0d 0a0b 0e0f 5a5b 5e5f'

/** SHA-256 of all shards, one after the other, of `pattern(k * length)` as the data shards. */
const GOLDEN: readonly [Shape, number, string][] = [
  [{ data: 1, total: 3 }, 5, '86874d5673edf5bc924b61adf0ce0f4a7d35cd47225b5e678c0c848c8cc5629f'],
  [
    { data: 10, total: 30 },
    1_000,
    '850063868e6c4299cd97f2e4e8b53c24c33f6b08a929bdcfb1683f6517f5a26b',
  ],
  [
    { data: 10, total: 30 },
    70_001,
    'd5cee9c85061e97e875899cda065485d09d4abc8e16340dedb8063ec3abbd3ec',
  ],
  [
    { data: 29, total: 80 },
    127,
    'af92774c482f95502e632a7d56d47b3fc6b67825f8fff34bb07829f7d628eccb',
  ],
  [
    { data: 128, total: 256 },
    64,
    'eead2e1e2587360e41ded5c707b6356233309a13392abc2ee22524f0155e7c00',
  ],
  [
    { data: 200, total: 256 },
    17,
    '50bf9bbcb17d10819b16ee19e574b4c7ccd2251acc25ffec3aee0d4b71dbdbd4',
  ],
]

const EDGES: readonly Shape[] = [
  { data: 1, total: 1 },
  { data: 1, total: 2 },
  { data: 1, total: 256 },
  { data: 7, total: 7 },
  { data: 10, total: 30 },
  { data: 128, total: 256 },
  { data: 255, total: 256 },
  { data: 256, total: 256 },
]

const anyShape = fc.oneof(
  fc.constantFrom(...EDGES),
  fc
    .tuple(fc.integer({ min: 1, max: 256 }), fc.integer({ min: 1, max: 256 }))
    .map(([a, b]) => ({ data: Math.min(a, b), total: Math.max(a, b) })),
  fc
    .tuple(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 0, max: 24 }))
    .map(([data, parity]) => ({ data, total: data + parity })),
)

const anyCase = fc.record({
  shape: anyShape,
  length: fc.integer({ min: 0, max: 150 }),
  seed: fc.integer({ min: 1 }),
})

for (const kernel of KERNELS) {
  describe(`Reed-Solomon, ${kernel.name}`, () => {
    const encodeAll = (shape: Shape, data: readonly Uint8Array[]) => [
      ...data,
      ...new ReedSolomon(shape, kernel).encode(data),
    ]

    it('gives the parity that klauspost/reedsolomon publishes', () => {
      const shards = PUBLISHED.split(' ').map(bytes => Uint8Array.from(Buffer.from(bytes, 'hex')))
      const found = encodeAll({ data: 5, total: 10 }, shards.slice(0, 5))
      assert.equal(found.map(hex).join(' '), PUBLISHED)
    })

    for (const [shape, length, digest] of GOLDEN) {
      it(`gives the golden bytes of ${shape.data} of ${shape.total}, ${length} bytes each`, () => {
        const found = encodeAll(shape, dataShards(shape, length))
        assert.equal(hex(sha256(joined(found))), digest)
      })
    }

    it('gives the bytes of rust-rse/reed-solomon-erasure in any shape', () => {
      fc.assert(
        fc.property(anyCase, ({ shape, length, seed }) => {
          // The library refuses shapes without parity and shards without bytes.
          fc.pre(shape.data < shape.total && length > 0)
          const data = dataShards(shape, length, seed)
          const expected = new Uint8Array(shape.total * length)
          expected.set(joined(data))
          libraryEncode(expected, shape)
          assert.equal(hex(joined(encodeAll(shape, data))), hex(expected))
        }),
      )
    })

    it('gives the bytes of the library for shards of many blocks', () => {
      const shape = { data: 5, total: 12 }
      const data = dataShards(shape, LONG)
      const expected = new Uint8Array(shape.total * LONG)
      expected.set(joined(data))
      libraryEncode(expected, shape)
      const shards = encodeAll(shape, data)
      assert.ok(Buffer.from(joined(shards)).equals(expected))

      const lost = [0, 3, 4, 11]
      const known = shards.map((shard, place) => (lost.includes(place) ? undefined : shard))
      const found = new ReedSolomon(shape, kernel).reconstruct(known, lost)
      found.forEach((shard, i) => {
        assert.ok(Buffer.from(shard).equals(shards[lost[i] as number] as Uint8Array))
      })
    })

    it('reconstructs every shard from any k of n', () => {
      const losses = anyCase.chain(init =>
        fc
          .shuffledSubarray(places(init.shape.total), {
            minLength: init.shape.data,
            maxLength: init.shape.total,
          })
          .map(kept => ({ ...init, kept: new Set(kept) })),
      )
      fc.assert(
        fc.property(losses, ({ shape, length, seed, kept }) => {
          const shards = encodeAll(shape, dataShards(shape, length, seed))
          const known = shards.map((shard, place) => (kept.has(place) ? shard : undefined))
          const wanted = places(shape.total)
          equalShards(new ReedSolomon(shape, kernel).reconstruct(known, wanted), shards)
        }),
        { numRuns: 60 },
      )
    })

    it('reconstructs with every choice of 3 shards of 7', () => {
      const shape = { data: 3, total: 7 }
      const code = new ReedSolomon(shape, kernel)
      const shards = encodeAll(shape, dataShards(shape, 33))
      for (let kept = 0; kept < 2 ** shape.total; kept++) {
        const known = shards.map((shard, place) => ((kept >> place) & 1 ? shard : undefined))
        if (known.filter(Boolean).length !== shape.data) continue
        equalShards(code.reconstruct(known, places(shape.total)), shards)
      }
    })

    it('reconstructs what the library does', () => {
      const [shape, length] = [{ data: 10, total: 30 }, 999]
      const shards = encodeAll(shape, dataShards(shape, length))
      const kept = [1, 5, 9, 12, 14, 15, 20, 27, 28, 29]
      const known = shards.map((shard, place) => (kept.includes(place) ? shard : undefined))
      const expected = joined(known.map(shard => shard ?? new Uint8Array(length)))
      libraryReconstruct(
        expected,
        shape,
        known.map(shard => shard !== undefined),
      )
      // It leaves missing parity as it is.
      const found = new ReedSolomon(shape, kernel).reconstruct(known, places(shape.data))
      assert.equal(hex(joined(found)), hex(expected.subarray(0, shape.data * length)))
    })

    it('takes and gives bytes that begin anywhere in their buffer', () => {
      const shape = { data: 3, total: 5 }
      const data = dataShards(shape, 100)
      const shifted = data.map((shard, i) => {
        const room = new Uint8Array(shard.length + 9)
        room.set(shard, i + 1)
        return room.subarray(i + 1, i + 1 + shard.length)
      })
      equalShards(encodeAll(shape, shifted), encodeAll(shape, data))
    })

    it('writes the parity into buffers that it is given', () => {
      const shape = { data: 4, total: 7 }
      const code = new ReedSolomon(shape, kernel)
      const into = dataShards({ data: 3, total: 3 }, 5_000, 3)
      const data = dataShards(shape, 5_000)
      const expected = code.encode(data)
      assert.equal(code.encode(data, into), into)
      equalShards(into, expected)
    })

    it('leaves its input as it was, and what it gave earlier', () => {
      const shape = { data: 4, total: 6 }
      const code = new ReedSolomon(shape, kernel)
      const data = dataShards(shape, 5_000)
      const before = data.map(shard => shard.slice())
      const parity = code.encode(data)
      const given = parity.map(shard => shard.slice())
      code.encode(dataShards(shape, 5_000, 2))
      equalShards([...data, ...parity], [...before, ...given])
    })
  })
}

describe('Reed-Solomon', () => {
  const shape = { data: 2, total: 4 }
  const code = new ReedSolomon(shape)
  const shards = [...dataShards(shape, 8), ...code.encode(dataShards(shape, 8))]
  const [first, second, third] = shards as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]

  it('takes every shape up to 256 shards and refuses all others', () => {
    for (const shape of EDGES) assert.deepEqual(new ReedSolomon(shape).shape, shape)
    const refused = [
      [0, 0],
      [0, 1],
      [2, 1],
      [1, 257],
      [257, 257],
      [-1, 3],
      [1.5, 3],
      [1, 2.5],
      [Number.NaN, 3],
      [1, Number.NaN],
      [1, Number.POSITIVE_INFINITY],
    ] as const
    for (const [data, total] of refused) {
      refuses('badShape', () => new ReedSolomon({ data, total }))
    }
  })

  it('refuses shards of different lengths', () => {
    refuses('shardLength', () => code.encode([first, second.subarray(1)]))
    refuses('shardLength', () => code.encode([first.subarray(0, 0), second]))
    refuses('shardLength', () => code.reconstruct([first, undefined, third.subarray(1)], [1]))
    refuses('shardLength', () => code.reconstruct([first, second, third.subarray(1)], [3]))
  })

  it('refuses buffers for other parity than it has', () => {
    refuses('shardPlace', () => code.encode([first, second], [first.slice()]))
    refuses('shardLength', () => code.encode([first, second], [first.slice(), first.slice(1)]))
  })

  it('refuses fewer than k shards, and none at all', () => {
    refuses('tooFewShards', () => code.reconstruct([first], [1]))
    refuses('tooFewShards', () => code.reconstruct([undefined, undefined, third, undefined], [0]))
    refuses('tooFewShards', () => code.reconstruct([], []))
  })

  it('refuses other places than it has', () => {
    for (const data of [[], [first], [first, second, third]]) {
      refuses('shardPlace', () => code.encode(data))
    }
    refuses('shardPlace', () => code.reconstruct([...shards, first], [0]))
    for (const place of [-1, 4, 0.5, Number.NaN, 2 ** 32]) {
      refuses('shardPlace', () => code.reconstruct(shards, [place]))
    }
  })

  it('gives known shards back as they are, each wanted one once per mention', () => {
    const known = [undefined, second, third]
    const [a, b, c] = code.reconstruct(known, [0, 2, 0])
    assert.deepEqual(a, first)
    assert.equal(b, third)
    assert.equal(c, a)
    assert.deepEqual(code.reconstruct(known, []), [])
  })

  it('gives shards without bytes for shards without bytes', () => {
    const empty = new Uint8Array()
    assert.deepEqual(code.encode([empty, empty]), [empty, empty])
    assert.deepEqual(code.reconstruct([undefined, empty, empty], [0]), [empty])
  })

  it('takes a list that ends before its last place', () => {
    assert.deepEqual(code.reconstruct([first, second], [3]), [shards[3]])
  })
})

function refuses(expected: string, action: () => unknown): void {
  assert.throws(action, (error: unknown) => {
    assert.ok(error instanceof CairnError)
    assert.equal(error.code, expected)
    return true
  })
}

function dataShards({ data }: Shape, length: number, seed = 1): Uint8Array[] {
  const bytes = pattern(data * length, seed)
  return places(data).map(i => bytes.subarray(i * length, (i + 1) * length))
}

function equalShards(found: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  assert.deepEqual(found.map(hex), expected.map(hex))
}

function joined(shards: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(shards))
}

function places(count: number): number[] {
  return Array.from({ length: count }, (_, place) => place)
}
