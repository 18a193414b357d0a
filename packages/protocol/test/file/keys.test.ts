import { strict as assert } from 'node:assert'
import { hkdfSync } from 'node:crypto'
import {
  contentKey,
  entryKey,
  groupId,
  groupKey,
  hex,
  manifestGroupId,
  mapKey,
  maskKey,
  recordKey,
  shardKey,
} from '@cairn/protocol'

const file = Uint8Array.from({ length: 32 }, (_, i) => i)

describe('file keys', () => {
  it('are HKDF-SHA256 over the use and the number', () => {
    const expected = (key: Uint8Array, use: number, number: number) => {
      const info = Buffer.alloc(6)
      info.writeUInt16LE(use)
      info.writeUInt32LE(number, 2)
      return hex(new Uint8Array(hkdfSync('sha256', key, new Uint8Array(0), info, 32)))
    }
    const mask = maskKey(file)
    const entry = entryKey(file, 7)
    assert.equal(hex(mapKey(file)), expected(file, 1, 0))
    assert.equal(hex(mask), expected(file, 2, 0))
    assert.equal(hex(entry), expected(file, 3, 7))
    assert.equal(hex(recordKey(entry)), expected(entry, 4, 0))
    assert.equal(hex(contentKey(entry)), expected(entry, 5, 0))
    assert.equal(hex(groupKey(mask, 300)), expected(mask, 6, 300))
    assert.equal(hex(shardKey(mask, 29)), expected(mask, 7, 29))
    assert.equal(hex(groupId(mask, 300)), expected(mask, 8, 300))
    assert.equal(hex(manifestGroupId(mask)), expected(mask, 9, 0))
  })

  it('have known values', () => {
    assert.equal(
      hex(shardKey(groupKey(maskKey(file), 1), 2)),
      '8b097ea6e44c3d01afa8ca0228841254b9b4c8bfbbf17099b9347f5a8502bebb',
    )
    assert.equal(
      hex(contentKey(entryKey(file, 0))),
      '3039309ac9f1aff8577aa90a075c851301056382ab535cf7f22a98c76fd41f08',
    )
  })
})
