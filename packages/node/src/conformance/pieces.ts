import { strict as assert } from 'node:assert'
import {
  dataLeaves,
  enclosingRange,
  hashPiece,
  RANGE_BYTES,
  SUBTREE_PAYLOAD,
  verifyLeaf,
  verifyRange,
} from '@cairn/protocol'
import type { Pieces } from '../pieces/pieces.ts'
import type { ConformanceCase } from './case.ts'

export interface PiecesWorld {
  pieces: Pieces
  remove(): Promise<void>
}

/** What every place for pieces must do; `open` gives an empty one of that quota. */
export function piecesCases(open: (quota: number) => Promise<PiecesWorld>): ConformanceCase[] {
  const rule = (
    title: string,
    run: (pieces: Pieces) => Promise<void>,
    quota = 16 * 1024 * 1024,
  ): ConformanceCase => ({
    title,
    async run() {
      const world = await open(quota)
      try {
        await run(world.pieces)
      } finally {
        await world.remove()
      }
    },
  })
  return [
    rule('names what it is given, and gives back any range of it', async pieces => {
      const payload = sample(200_000)
      const piece = await pieces.put(stream(payload, 7_000))
      assert.deepEqual(piece, hashPiece(payload).piece)
      assert.ok(pieces.has(piece))
      for (const [offset, length] of [
        [0, 200_000],
        [0, 0],
        [200_000, 0],
        [65_000, 70_001],
        [199_999, 1],
      ] as const) {
        const bytes = await pieces.read(piece, offset, length)
        assert.deepEqual(Buffer.from(bytes), Buffer.from(payload.slice(offset, offset + length)))
      }
    }),
    rule('keeps an empty piece', async pieces => {
      const piece = await pieces.put(stream(new Uint8Array(0), 1))
      assert.equal(piece.payload, 0)
      assert.equal((await pieces.read(piece, 0, 0)).length, 0)
    }),
    rule('refuses ranges that are not within the piece', async pieces => {
      const piece = await pieces.put(stream(sample(100), 100))
      for (const [offset, length] of [
        [0, 101],
        [101, 0],
        [-1, 5],
        [50, -1],
        [0.5, 1],
        [0, Number.NaN],
      ] as const) {
        await assert.rejects(pieces.read(piece, offset, length), { code: 'badRange' })
      }
    }),
    rule('says that it does not have what it does not have', async pieces => {
      const { piece } = hashPiece(sample(100))
      assert.ok(!pieces.has(piece))
      await assert.rejects(pieces.read(piece, 0, 1), { code: 'pieceMissing' })
      await assert.rejects(pieces.prove(piece, 0), { code: 'pieceMissing' })
      const range = { piece, offset: 0, length: 1 }
      await assert.rejects(pieces.readProven(range), { code: 'pieceMissing' })
      await pieces.delete(piece)
      const kept = await pieces.put(stream(sample(100), 100))
      // The same root over another length is another piece.
      await assert.rejects(pieces.read({ ...kept, payload: 99 }, 0, 1), { code: 'pieceMissing' })
    }),
    rule('proves every kind of leaf', async pieces => {
      const piece = await pieces.put(stream(sample(2 * SUBTREE_PAYLOAD + 500), 30_000))
      for (const index of [0, 2_047, 2_048, 4_096, dataLeaves(piece) - 1]) {
        assert.ok(verifyLeaf({ ...(await pieces.prove(piece, index)), index, piece }))
      }
    }),
    rule('gives ranges with their proof, whole subtrees around what is asked', async pieces => {
      const payload = sample(20 * SUBTREE_PAYLOAD + 500)
      const piece = await pieces.put(stream(payload, 100_000))
      for (const [offset, length] of [
        [0, 1],
        [3 * SUBTREE_PAYLOAD - 1, 2],
        [4 * SUBTREE_PAYLOAD, RANGE_BYTES],
        [payload.length - 1, 1],
      ] as const) {
        const range = enclosingRange({ piece, offset, length })
        const proof = await pieces.readProven({ piece, offset, length })
        assert.ok(verifyRange(range, proof))
        const expected = payload.slice(range.offset, range.offset + range.length)
        assert.deepEqual(Buffer.from(proof.payload), Buffer.from(expected))
      }
      for (const [offset, length] of [
        [0, 0],
        [1, RANGE_BYTES],
        [payload.length, 1],
      ] as const) {
        await assert.rejects(pieces.readProven({ piece, offset, length }), { code: 'badRange' })
      }
    }),
    rule('lists and deletes', async pieces => {
      const first = await pieces.put(stream(sample(1_000), 100))
      const second = await pieces.put(stream(sample(2_000), 100))
      assert.deepEqual(
        pieces.list().sort((a, b) => a.payload - b.payload),
        [first, second],
      )
      await pieces.delete(first)
      assert.ok(!pieces.has(first))
      assert.deepEqual(pieces.list(), [second])
      await assert.rejects(pieces.read(first, 0, 1), { code: 'pieceMissing' })
      assert.equal((await pieces.read(second, 0, 2_000)).length, 2_000)
    }),
    rule('takes nothing but the piece that is expected', async pieces => {
      const { piece: expected } = hashPiece(sample(1_000))
      const other = sample(1_000).fill(1, 999)
      for (const bytes of [other, sample(999), sample(1_001), new Uint8Array(0)]) {
        const put = pieces.put(stream(bytes, 100), { expected })
        await assert.rejects(put, { code: 'pieceMismatch' })
      }
      assert.deepEqual(pieces.list(), [])
      assert.equal(pieces.usage().used, 0)
      assert.deepEqual(await pieces.put(stream(sample(1_000), 99), { expected }), expected)
    }),
    rule('stops an endless source at the length that is expected', async pieces => {
      const { piece: expected } = hashPiece(sample(1_000))
      let given = 0
      async function* endless() {
        for (;;) {
          given++
          yield sample(100)
        }
      }
      await assert.rejects(pieces.put(endless(), { expected }), { code: 'pieceMismatch' })
      assert.ok(given <= 12)
    }),
    rule('is as before when the source fails or the caller gives up', async pieces => {
      async function* broken() {
        yield sample(5_000)
        throw new Error('the line is dead')
      }
      await assert.rejects(pieces.put(broken()), /the line is dead/)
      const controller = new AbortController()
      async function* slow() {
        yield sample(5_000)
        controller.abort(new Error('given up'))
        yield sample(5_000)
      }
      await assert.rejects(pieces.put(slow(), { signal: controller.signal }), /given up/)
      assert.deepEqual(pieces.list(), [])
      assert.equal(pieces.usage().used, 0)
    }),
    rule('counts a piece once, however often and at the same time it is put', async pieces => {
      const put = () => pieces.put(stream(sample(50_000), 1_000))
      const [piece, ...others] = await Promise.all([put(), put(), put()])
      for (const other of others) assert.deepEqual(other, piece)
      const { used } = pieces.usage()
      assert.ok(used >= 50_000 && used < 51_000)
      await put()
      assert.equal(pieces.usage().used, used)
      await pieces.delete(piece)
      assert.equal(pieces.usage().used, 0)
    }),
    rule(
      'refuses with the numbers what exceeds the quota, with and without a known length',
      async pieces => {
        const kept = await pieces.put(stream(sample(60_000), 1_000))
        const large = sample(50_000)
        const { piece: expected } = hashPiece(large)
        for (const options of [{}, { expected }]) {
          await assert.rejects(pieces.put(stream(large, 1_000), options), error => {
            const { code, facts } = error as { code: string; facts: Record<string, number> }
            assert.equal(code, 'volumeFull')
            assert.equal(facts.quota, 100_000)
            assert.ok((facts.used as number) >= 60_000)
            assert.ok((facts.needed as number) > 0)
            return true
          })
        }
        assert.deepEqual(pieces.list(), [kept])
        await pieces.delete(kept)
        assert.deepEqual(await pieces.put(stream(large, 1_000)), expected)
      },
      100_000,
    ),
  ]
}

/** Bytes that are the same in every run. */
function sample(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 2_654_435_761) >>> 13)
}

async function* stream(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size)
}
