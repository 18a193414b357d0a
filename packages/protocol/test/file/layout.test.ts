import { strict as assert } from 'node:assert'
import {
  chunkBytes,
  type FileLayout,
  groupCount,
  groupPieceBytes,
  isLayout,
  PIECE_PAYLOAD_MAX,
  SHARD_BYTES,
  sealedLength,
  segmentBytes,
  segmentCount,
  segmentPlace,
} from '@cairn/protocol'
import fc from 'fast-check'

const layout: FileLayout = {
  sealed: 0,
  data: 10,
  total: 30,
  shardBytes: SHARD_BYTES,
  segmentsPerGroup: 256,
}

const anyLayout = fc
  .record({
    sealed: fc.nat({ max: 100_000 }),
    data: fc.integer({ min: 1, max: 20 }),
    more: fc.nat({ max: 20 }),
    shardBytes: fc.integer({ min: 32, max: 200 }),
    segmentsPerGroup: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ more, ...rest }): FileLayout => ({ ...rest, total: rest.data + more }))
  .filter(isLayout)

describe('file layout', () => {
  it('makes a few hundred pieces of a GiB', () => {
    const gib = { ...layout, sealed: sealedLength(2 ** 30, layout) }
    assert.equal(segmentBytes(gib), 650_240)
    assert.equal(chunkBytes(gib), 650_224)
    assert.equal(gib.sealed, 2 ** 30 + 16 * 1_652)
    assert.equal(segmentCount(gib), 1_652)
    assert.equal(groupCount(gib), 7)
    assert.equal(groupPieceBytes(gib, 0), 256 * 65_024)
    assert.ok(30 * groupCount(gib) < 300)
  })

  it('has no piece for nothing, and tiny ones for a byte', () => {
    assert.equal(sealedLength(0, layout), 0)
    assert.equal(groupCount(layout), 0)
    const byte = { ...layout, sealed: sealedLength(1, layout) }
    assert.equal(byte.sealed, 17)
    assert.deepEqual(segmentPlace(byte, 0), { group: 0, offset: 0, length: 2 })
    assert.equal(groupPieceBytes(byte, 0), 2)
  })

  it('costs n / k times the file and at most a byte per place more', () => {
    fc.assert(
      fc.property(anyLayout, of => {
        let stored = 0
        for (let group = 0; group < groupCount(of); group++) {
          stored += of.data * groupPieceBytes(of, group)
        }
        assert.ok(stored >= of.sealed && stored < of.sealed + of.data)
      }),
    )
  })

  it('puts each segment behind the one before it', () => {
    fc.assert(
      fc.property(anyLayout, of => {
        let expected = { group: 0, offset: 0 }
        for (let segment = 0; segment < segmentCount(of); segment++) {
          const { group, offset, length } = segmentPlace(of, segment)
          assert.deepEqual({ group, offset }, expected)
          assert.ok(length > 0 && length <= of.shardBytes)
          const last = (segment + 1) % of.segmentsPerGroup === 0
          expected = last ? { group: group + 1, offset: 0 } : { group, offset: offset + length }
        }
      }),
    )
  })

  it('is refused when no file can have it', () => {
    assert.ok(isLayout(layout))
    const refused: Partial<FileLayout>[] = [
      { data: 0 },
      { data: 31 },
      { total: 257 },
      { shardBytes: 31 },
      // A segment of more memory than a file of ours ever takes.
      { shardBytes: SHARD_BYTES + 1 },
      { shardBytes: 2 ** 30 - 1, segmentsPerGroup: 1, data: 255, total: 256 },
      { segmentsPerGroup: 0 },
      { segmentsPerGroup: Math.floor(PIECE_PAYLOAD_MAX / SHARD_BYTES) + 1 },
      { sealed: -1 },
      { sealed: 0.5 },
      { sealed: 2 ** 53 },
      // One group more than a manifest can name.
      { sealed: segmentBytes(layout) * 256 * 34_952 + 1 },
    ]
    for (const change of refused) assert.ok(!isLayout({ ...layout, ...change }), `${change}`)
    assert.ok(isLayout({ ...layout, sealed: segmentBytes(layout) * 256 * 34_952 }))
  })
})
