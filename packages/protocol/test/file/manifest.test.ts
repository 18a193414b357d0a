import { strict as assert } from 'node:assert'
import {
  type CairnError,
  checkEntry,
  decodeFileEntry,
  decodeFileManifest,
  decodeFileMap,
  ENTRIES_MAX,
  encodeFileEntry,
  encodeFileManifest,
  encodeFileMap,
  type FileMap,
  hex,
} from '@cairn/protocol'
import fc from 'fast-check'

const bytes32 = (value: number) => new Uint8Array(32).fill(value)
const piece = (value: number, payload: number) => ({ root: bytes32(value), payload })

/** Two groups of two places: segments of 64 bytes, of which the last has 10. */
const map: FileMap = {
  layout: { sealed: 138, data: 1, total: 2, shardBytes: 64, segmentsPerGroup: 2 },
  mask: bytes32(1),
  groups: [
    [piece(2, 128), piece(3, 128)],
    [piece(4, 10), piece(5, 10)],
  ],
}
const MAP = [
  '8a00000000000000',
  '0100',
  '0200',
  '40000000',
  '02000000',
  '01'.repeat(32),
  '38000000',
  ...['02', '03', '04', '05'].map(digits => digits.repeat(32)),
].join('')

const entry = { offset: 5, bytes: 100, name: 'größe.txt', map: bytes32(6) }
const ENTRY = `05000000000000006400000000000000${'34000000'}${'06'.repeat(32)}6772c3b6c39f652e747874`

const manifest = { map: Uint8Array.of(1, 2, 3), entries: [Uint8Array.of(4), Uint8Array.of(5, 6)] }
const MANIFEST = '0109000000' + '0c000000' + '010203' + '08000000' + '09000000' + '04' + '0506'

function hostile(decoder: (bytes: Uint8Array) => unknown, good: Uint8Array): void {
  const attempt = (bytes: Uint8Array) => {
    try {
      decoder(bytes)
    } catch (error) {
      const { code } = error as CairnError
      assert.ok(code === 'badFileManifest' || code === 'newerFileManifest', String(error))
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), attempt))
  fc.assert(
    fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
      const changed = good.slice()
      changed[at] = value
      attempt(changed)
      attempt(good.subarray(0, at))
    }),
  )
}

describe('file manifest', () => {
  it('has known bytes', () => {
    assert.equal(hex(encodeFileManifest(manifest)), MANIFEST)
    assert.deepEqual(decodeFileManifest(Buffer.from(MANIFEST, 'hex')), { version: 1, ...manifest })
  })

  it('refuses a later version by name', () => {
    const later = Buffer.from(MANIFEST, 'hex')
    later[0] = 2
    assert.throws(() => decodeFileManifest(later), { code: 'newerFileManifest' })
  })

  it('refuses hostile bytes with a code', () => {
    hostile(decodeFileManifest, Buffer.from(MANIFEST, 'hex'))
  })

  it('holds as many entries as a pack may have', () => {
    const entries = Array.from({ length: ENTRIES_MAX }, () => Uint8Array.of(7))
    const bytes = encodeFileManifest({ ...manifest, entries })
    assert.equal(decodeFileManifest(bytes).entries.length, ENTRIES_MAX)
    const more = [...entries, Uint8Array.of(7)]
    assert.throws(() => decodeFileManifest(encodeFileManifest({ ...manifest, entries: more })))
  })
})

describe('file map', () => {
  it('has known bytes, and knows the length of each piece', () => {
    assert.equal(hex(encodeFileMap(map)), MAP)
    assert.deepEqual(decodeFileMap(Buffer.from(MAP, 'hex')), map)
  })

  it('of an empty file names no piece', () => {
    const empty = { ...map, layout: { ...map.layout, sealed: 0 }, groups: [] }
    assert.deepEqual(decodeFileMap(encodeFileMap(empty)), empty)
  })

  it('refuses a layout that no file has, and pieces too many or too few', () => {
    const refused = { code: 'badFileManifest' }
    for (const change of [{ data: 0 }, { total: 300 }, { sealed: 2 ** 40 }, { sealed: 257 }]) {
      const bytes = encodeFileMap({ ...map, layout: { ...map.layout, ...change } })
      assert.throws(() => decodeFileMap(bytes), refused, JSON.stringify(change))
    }
    const fewer = encodeFileMap({ ...map, groups: map.groups.slice(1) })
    assert.throws(() => decodeFileMap(fewer), refused)
  })

  it('refuses hostile bytes with a code', () => {
    hostile(decodeFileMap, Buffer.from(MAP, 'hex'))
  })
})

describe('file entry', () => {
  it('has known bytes', () => {
    assert.equal(hex(encodeFileEntry(entry)), ENTRY)
    assert.deepEqual(decodeFileEntry(Buffer.from(ENTRY, 'hex')), entry)
  })

  it('lies within the stream', () => {
    // 64-byte segments hold 48 bytes each: 100 bytes take 148.
    assert.throws(() => checkEntry(entry, map), { code: 'badFileManifest' })
    checkEntry({ ...entry, offset: 10, bytes: 96 }, map)
    assert.throws(() => checkEntry({ ...entry, offset: 11, bytes: 96 }, map), {
      code: 'badFileManifest',
    })
  })

  it('refuses a name that is too long or not in UTF-8', () => {
    assert.throws(() => encodeFileEntry({ ...entry, name: 'ü'.repeat(128) }), { code: 'badName' })
    const spoilt = Buffer.from(ENTRY, 'hex')
    spoilt[spoilt.length - 1] = 0xff
    assert.throws(() => decodeFileEntry(spoilt), { code: 'badFileManifest' })
  })

  it('refuses hostile bytes with a code', () => {
    hostile(decodeFileEntry, Buffer.from(ENTRY, 'hex'))
  })
})
