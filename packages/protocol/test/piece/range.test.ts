import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import type { CairnError } from '../../src/errors.ts'
import { hashPiece } from '../../src/piece/hasher.ts'
import {
  HEIGHT_MAX,
  PIECE_PAYLOAD_MAX,
  SUBTREE_HEIGHT,
  SUBTREE_PAYLOAD,
} from '../../src/piece/piece.ts'
import {
  decodeRangeProof,
  enclosingRange,
  PieceRange,
  RANGE_BYTES,
  RANGE_SUBTREES_MAX,
  RangeProof,
  rangeFrom,
  rangeNeighbours,
  verifyRange,
} from '../../src/piece/range.ts'
import { topOf, upperTree } from '../../src/piece/tree.ts'
import { decode, hex } from '../../src/ssz.ts'
import { pattern } from './vectors.ts'

const payload = pattern(21 * SUBTREE_PAYLOAD + 1_000)
const { piece, subtrees } = hashPiece(payload)
const tree = upperTree(piece, subtrees)

function prove(range: PieceRange): RangeProof {
  const { offset, length } = range
  return {
    payload: payload.slice(offset, offset + length),
    neighbours: rangeNeighbours(tree, range),
  }
}

const part = fc
  .tuple(fc.nat(payload.length - 1), fc.integer({ min: 1, max: 15 * SUBTREE_PAYLOAD }))
  .map(([offset, length]) => ({ piece, offset, length: Math.min(length, payload.length - offset) }))

const subtreesOf = (first: number, count: number) => ({
  piece,
  offset: first * SUBTREE_PAYLOAD,
  length: Math.min(count * SUBTREE_PAYLOAD, payload.length - first * SUBTREE_PAYLOAD),
})

describe('range of a piece', () => {
  it('is the least row of whole subtrees around the bytes', () => {
    const enclosing = (offset: number, length: number) => {
      const range = enclosingRange({ piece, offset, length })
      return [range.offset / SUBTREE_PAYLOAD, range.length]
    }
    assert.deepEqual(enclosing(0, 1), [0, SUBTREE_PAYLOAD])
    assert.deepEqual(enclosing(SUBTREE_PAYLOAD - 1, 1), [0, SUBTREE_PAYLOAD])
    assert.deepEqual(enclosing(SUBTREE_PAYLOAD - 1, 2), [0, 2 * SUBTREE_PAYLOAD])
    assert.deepEqual(enclosing(SUBTREE_PAYLOAD, RANGE_BYTES), [1, RANGE_BYTES])
    assert.deepEqual(enclosing(payload.length - 1, 1), [21, 1_000])
    for (const [offset, length] of [
      [1, RANGE_BYTES],
      [0, 0],
      [-1, 5],
      [0.5, 1],
      [0, Number.NaN],
      [payload.length, 1],
      [payload.length - 1, 2],
    ] as const) {
      assert.throws(() => enclosingRange({ piece, offset, length }), { code: 'badRange' })
    }
  })

  it('leads over a piece from any offset, each range within the bound', () => {
    fc.assert(
      fc.property(fc.nat(payload.length), fc.nat(payload.length), (one, other) => {
        const end = Math.max(one, other)
        let at = Math.min(one, other)
        for (let asked = 0; at < end; asked++) {
          const range = rangeFrom(piece, at, end)
          assert.ok(asked <= 2 && range.offset <= at && range.length <= RANGE_BYTES)
          at = range.offset + range.length
        }
      }),
    )
  })

  it('is proven wherever it lies', () => {
    for (let first = 0; first < 22; first++) {
      for (let count = 1; count <= Math.min(RANGE_SUBTREES_MAX, 22 - first); count++) {
        const range = subtreesOf(first, count)
        assert.ok(verifyRange(range, prove(range)), `${count} from ${first}`)
      }
    }
  })

  it('is proven for pieces of every size', () => {
    for (const length of [1, 127, 128, 5_000, SUBTREE_PAYLOAD, SUBTREE_PAYLOAD + 1, RANGE_BYTES]) {
      const bytes = pattern(length, length)
      const hashed = hashPiece(bytes)
      const range = { piece: hashed.piece, offset: 0, length }
      const neighbours = rangeNeighbours(upperTree(hashed.piece, hashed.subtrees), range)
      // Zeros beside the payload are known: a whole piece needs no proof.
      assert.deepEqual(neighbours, [])
      assert.ok(verifyRange(range, { payload: bytes, neighbours }))
    }
  })

  it('of the largest piece has at most two neighbours for each of its 14 levels', () => {
    const largest = { root: new Uint8Array(32), payload: PIECE_PAYLOAD_MAX }
    const roots = new Uint8Array(32 * 2 ** 14)
    const { levels } = upperTree({ ...largest, root: hashRoots(roots) }, roots)
    const count = (first: number, row: number) =>
      rangeNeighbours(
        { piece: largest, levels },
        { piece: largest, offset: first * SUBTREE_PAYLOAD, length: row * SUBTREE_PAYLOAD },
      ).length
    assert.equal(count(2 ** 13 - 1, 2), 26)
    assert.equal(count(0, 16), 10)
    assert.ok(count(2 ** 13 - 1, 2) <= RangeProof.fields.neighbours.limit)
  })

  it('holds no more when a bit of bytes or proof is flipped', () => {
    fc.assert(
      fc.property(part, fc.nat(), fc.nat(7), fc.boolean(), (wanted, at, bit, inPayload) => {
        const range = enclosingRange(wanted)
        const proof = prove(range)
        assert.ok(verifyRange(range, proof))
        const targets = inPayload ? [proof.payload] : proof.neighbours.map(node => node.slice())
        const target = targets[at % targets.length] as Uint8Array
        const place = at % target.length
        target[place] = (target[place] as number) ^ (1 << bit)
        const changed = inPayload ? proof : { ...proof, neighbours: targets }
        assert.ok(!verifyRange(range, changed))
      }),
      { numRuns: 30 },
    )
  })

  it('holds for no other place, piece, length or proof', () => {
    const range = subtreesOf(5, 3)
    const proof = prove(range)
    assert.ok(verifyRange(range, proof))
    const { neighbours } = proof
    const swapped = [neighbours[1], neighbours[0], ...neighbours.slice(2)] as Uint8Array[]
    const cases: [PieceRange, RangeProof][] = [
      [subtreesOf(6, 3), proof],
      [subtreesOf(4, 3), proof],
      [subtreesOf(5, 2), proof],
      [{ ...range, offset: range.offset + 1 }, proof],
      [{ ...range, offset: -SUBTREE_PAYLOAD }, proof],
      [{ ...range, length: Number.NaN }, proof],
      [
        { ...range, length: range.length - 1 },
        { ...proof, payload: proof.payload.slice(1) },
      ],
      [{ ...range, piece: { ...piece, payload: piece.payload + 1 } }, prove(subtreesOf(20, 2))],
      [{ ...range, piece: { ...piece, root: new Uint8Array(32) } }, proof],
      [{ ...range, piece: { ...piece, payload: 2 ** 32 - 1 } }, proof],
      [range, { ...proof, neighbours: neighbours.slice(1) }],
      [range, { ...proof, neighbours: neighbours.slice(0, -1) }],
      [range, { ...proof, neighbours: [...neighbours, new Uint8Array(32)] }],
      [range, { ...proof, neighbours: [...neighbours, new Uint8Array(0)] }],
      [range, { ...proof, neighbours: [new Uint8Array(64), ...neighbours.slice(1)] }],
      [range, { ...proof, neighbours: neighbours.map(node => node.slice(1)) }],
      [range, { ...proof, neighbours: swapped }],
      [range, { ...proof, payload: new Uint8Array(0) }],
    ]
    for (const [place, [asked, given]] of cases.entries()) {
      assert.ok(!verifyRange(asked, given), `case ${place}`)
    }
  })

  it('of an empty piece does not exist', () => {
    const empty = hashPiece(new Uint8Array(0)).piece
    const range = { piece: empty, offset: 0, length: 0 }
    assert.throws(() => enclosingRange(range), { code: 'badRange' })
    assert.ok(!verifyRange(range, { payload: new Uint8Array(0), neighbours: [] }))
  })
})

describe('range codecs', () => {
  it('have known bytes', () => {
    const root = new Uint8Array(32).fill(1)
    const range = PieceRange.serialize({ piece: { root, payload: 258 }, offset: 3, length: 255 })
    assert.equal(hex(range), `${'01'.repeat(32)}0201000003000000ff000000`)
    const proof = { payload: Uint8Array.of(7, 8), neighbours: [root] }
    assert.equal(hex(RangeProof.serialize(proof)), `080000000a0000000708${'01'.repeat(32)}`)
  })

  it('have known proofs', () => {
    const range = { piece, offset: 21 * SUBTREE_PAYLOAD, length: 1_000 }
    assert.deepEqual(rangeNeighbours(tree, range).map(hex), [
      'aec689f531786f85fca7167c6e5dbcfa71b26d14bd623a611b1434cf1137f61e',
      'c88d92302bf3815229d8535c47f40ba25a7491fcacaa57b78687e362aade651f',
      '365e01019fbd6b7771cf2d4bd40ab14413128d4c0734d7dbc9af99fa46391d0b',
    ])
  })

  it('refuse hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        for (const codec of [PieceRange, RangeProof]) {
          try {
            const value = decode<PieceRange | RangeProof>(codec as never, bytes)
            assert.deepEqual(codec.serialize(value as never), bytes)
          } catch (error) {
            assert.match(String((error as { code: string }).code), /^bad(Length|Encoding)$/)
          }
        }
      }),
    )
    const long = new Uint8Array(RangeProof.maxSize + 1)
    assert.throws(() => decode(RangeProof, long), { code: 'badLength' })
    const payloadTooLong = RangeProof.serialize({
      payload: new Uint8Array(RANGE_BYTES),
      neighbours: [],
    })
    assert.ok(decode(RangeProof, payloadTooLong))
    const oneMore = new Uint8Array(payloadTooLong.length + 1)
    oneMore.set(payloadTooLong)
    new DataView(oneMore.buffer).setUint32(4, oneMore.length, true)
    assert.throws(() => decode(RangeProof, oneMore), { code: 'badEncoding' })
  })
})

function hashRoots(roots: Uint8Array): Uint8Array {
  return topOf(roots, SUBTREE_HEIGHT, HEIGHT_MAX)
}

describe('decoding a range with its proof', () => {
  const outcome = (decoded: () => RangeProof) => {
    try {
      const { payload: bytes, neighbours } = decoded()
      return [hex(bytes), ...neighbours.map(hex)]
    } catch (error) {
      return (error as CairnError).code
    }
  }
  const same = (bytes: Uint8Array) => {
    const codec = outcome(() => decode(RangeProof, bytes))
    assert.deepEqual(
      outcome(() => decodeRangeProof(bytes)),
      codec,
    )
  }

  it('gives what the codec gives, for whatever bytes', () => {
    const anyProof = fc.record({
      payload: fc.uint8Array({ maxLength: 100 }),
      neighbours: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 5 }),
    })
    fc.assert(
      fc.property(anyProof, fc.nat(200), fc.nat(255), fc.nat(200), (proof, at, byte, cut) => {
        const bytes = RangeProof.serialize(proof)
        same(bytes)
        same(Buffer.from(bytes))
        same(bytes.subarray(0, cut))
        const changed = bytes.slice()
        changed[at % 8] = byte
        same(changed)
      }),
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), same))
  })

  it('does so at every bound', () => {
    const { limit } = RangeProof.fields.neighbours
    const nodes = (count: number) => new Uint8Array(32 * count)
    const framed = (length: number, count: number) => {
      const bytes = new Uint8Array(8 + length + 32 * count)
      const view = new DataView(bytes.buffer)
      view.setUint32(0, 8, true)
      view.setUint32(4, 8 + length, true)
      bytes.set(nodes(count), 8 + length)
      return bytes
    }
    for (const length of [0, RANGE_BYTES, RANGE_BYTES + 1]) {
      for (const count of [0, limit, limit + 1]) same(framed(length, count))
    }
  })
})
