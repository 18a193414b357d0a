import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { CairnError } from '../../src/errors.ts'
import { parsePieceCid, parsePieceCidV1, pieceCid, pieceCidV1 } from '../../src/piece/cid.ts'
import { hashPiece } from '../../src/piece/hasher.ts'
import { PIECE_PAYLOAD_MAX } from '../../src/piece/piece.ts'
import { pieces } from './vectors.ts'

const root = new Uint8Array(32).fill(7)
/** A version 2 CID around any digest. */
const wrap = (digest: Uint8Array, codec = 0x55, hash = 0x1011) =>
  CID.createV1(codec, create(hash, digest)).toString(base32)

describe('piece CID', () => {
  for (const { name, payload, v1, v2 } of pieces) {
    it(`is FRC-0069's for ${name}`, () => {
      const { piece } = hashPiece(payload)
      assert.equal(pieceCid(piece), v2)
      assert.deepEqual(parsePieceCid(v2), piece)
      if (v1 === null) return
      assert.equal(pieceCidV1(piece.root), v1)
      assert.deepEqual(parsePieceCidV1(v1), piece.root)
    })
  }

  it('gives back the piece it was made of', () => {
    const anyPiece = fc.record(
      {
        root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
        payload: fc.integer({ min: 0, max: PIECE_PAYLOAD_MAX }),
      },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(anyPiece, piece => assert.deepEqual(parsePieceCid(pieceCid(piece)), piece)),
    )
  })

  it('has a known text for a full piece of 1 GiB', () => {
    const text = pieceCid({ root, payload: PIECE_PAYLOAD_MAX })
    assert.equal(text, 'bafkzcibcaamqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqoby')
  })

  it('refuses what names a piece in a second way, or none', () => {
    const good = pieceCid({ root, payload: 100 })
    const cases: Record<string, string> = {
      'upper case': good.toUpperCase(),
      'another multibase': `z${good.slice(1)}`,
      'a tree higher than needed': wrap(Uint8Array.of(0xff, 0x01, 3, ...root)),
      'more padding than payload': wrap(Uint8Array.of(0x80, 0x01, 2, ...root)),
      'a padding that is not minimal': wrap(Uint8Array.of(0x9b, 0x00, 2, ...root)),
      'a height below 2': wrap(Uint8Array.of(0, 1, ...root)),
      'a height above 25': wrap(Uint8Array.of(0, 26, ...root)),
      'a root of 31 bytes': wrap(Uint8Array.of(0, 2, ...root.slice(1))),
      'a root of 33 bytes': wrap(Uint8Array.of(0, 2, 1, ...root)),
      'an empty digest': wrap(new Uint8Array(0)),
      'an endless varint': wrap(new Uint8Array(20).fill(0xff)),
      'another codec': wrap(Uint8Array.of(0, 2, ...root), 0x70),
      'another hash': wrap(Uint8Array.of(0, 2, ...root), 0x55, 0x12),
      'a version 1 name': pieceCidV1(root),
      'no text': '',
      'a very long text': good.repeat(50),
    }
    for (const [what, text] of Object.entries(cases)) {
      assert.throws(() => parsePieceCid(text), { code: 'badPieceCid' }, what)
    }
    assert.throws(() => parsePieceCidV1(good), { code: 'badPieceCid' })
  })

  it('throws nothing but its own error for any text', () => {
    const hostile = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 60 }).map(digest => wrap(digest)),
      fc.uint8Array({ maxLength: 60 }).map(bytes => base32.encode(bytes)),
    )
    fc.assert(
      fc.property(hostile, text => {
        for (const parse of [parsePieceCid, parsePieceCidV1]) {
          try {
            parse(text)
          } catch (error) {
            assert.ok(error instanceof CairnError && error.code === 'badPieceCid')
          }
        }
      }),
    )
  })
})
