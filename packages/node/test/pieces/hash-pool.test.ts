import { strict as assert } from 'node:assert'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HASH_THREADS_MAX, type Hashing, HashPool, ownThread } from '@cairn/node'
import { BATCH_PAYLOAD, hashPiece, PIECE_PAYLOAD_MAX, SUBTREE_PAYLOAD } from '@cairn/protocol'
import { pattern } from '../../../protocol/test/piece/vectors.ts'

const LENGTHS = [
  0,
  1,
  127,
  128,
  SUBTREE_PAYLOAD,
  SUBTREE_PAYLOAD + 1,
  BATCH_PAYLOAD,
  BATCH_PAYLOAD + 1,
  18 * BATCH_PAYLOAD + 4_321,
]

async function hashStream(hashing: Hashing, payload: Uint8Array, chunk: number) {
  const hasher = hashing.hasher()
  for (let at = 0; at < payload.length; at += chunk) {
    // The bytes belong to the caller again once they were taken.
    const part = payload.slice(at, at + chunk)
    await hasher.update(part)
    part.fill(0)
  }
  assert.equal(hasher.payload, payload.length)
  return await hasher.digest()
}

describe('hashing of pieces', () => {
  let directory: string
  let pool: HashPool

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-hash-'))
    pool = new HashPool({ threads: 2 })
  })
  after(async () => {
    await pool.close()
    await rm(directory, { recursive: true })
  })

  for (const name of ['own thread', 'threads'] as const) {
    const hashing = () => (name === 'threads' ? pool : ownThread)

    describe(`on ${name}`, () => {
      it('gives what the pure code gives, for streams and files of every size', async () => {
        for (const length of LENGTHS) {
          const payload = pattern(length, length)
          const expected = hashPiece(payload)
          assert.deepEqual(await hashStream(hashing(), payload, 100_001), expected, `${length}`)
          const path = join(directory, 'file')
          await writeFile(path, payload)
          assert.deepEqual(await hashing().file(path), expected, `file of ${length}`)
        }
      })

      it('hashes several pieces at once', async () => {
        const payloads = Array.from({ length: 6 }, (_, i) => pattern(3 * BATCH_PAYLOAD + i, i))
        const hashed = await Promise.all(payloads.map(p => hashStream(hashing(), p, 70_000)))
        assert.deepEqual(hashed, payloads.map(hashPiece))
      })

      it('takes no more bytes than the largest piece has', async () => {
        const hasher = hashing().hasher()
        await hasher.update(pattern(1))
        // Refused by its length: the bytes are never touched, so they take no memory.
        const tooMany = new Uint8Array(PIECE_PAYLOAD_MAX)
        await assert.rejects(hasher.update(tooMany), { code: 'pieceSize' })
        assert.equal(hasher.payload, 1)
        assert.deepEqual((await hasher.digest()).piece, hashPiece(pattern(1)).piece)
      })

      it('says why a file cannot be read', async () => {
        await assert.rejects(hashing().file(join(directory, 'nothing')), { code: 'ENOENT' })
        await assert.rejects(hashing().file(directory), { code: 'EISDIR' })
      })

      it('stops when its caller does', async () => {
        const path = join(directory, 'large')
        await writeFile(path, pattern(40 * BATCH_PAYLOAD))
        const aborted = AbortSignal.abort(new Error('given up'))
        await assert.rejects(hashing().file(path, aborted), /given up/)
      })
    })
  }

  it('starts no more threads than it may, and none before there is work', async () => {
    const many = new HashPool({ threads: 1_000 })
    const few = new HashPool({ threads: 2 })
    try {
      assert.equal(few.threads, 0)
      await hashStream(few, pattern(10), 10)
      assert.equal(few.threads, 0)
      await hashStream(few, pattern(8 * BATCH_PAYLOAD), BATCH_PAYLOAD)
      assert.equal(few.threads, 2)
      await hashStream(many, pattern(20 * BATCH_PAYLOAD), BATCH_PAYLOAD)
      assert.equal(many.threads, HASH_THREADS_MAX)
    } finally {
      await Promise.all([many.close(), few.close()])
    }
    assert.equal(few.threads, 0)
  })

  it('makes its caller wait while the threads are behind', async () => {
    const slow = new HashPool({ threads: 1 })
    try {
      const hasher = slow.hasher()
      const chunk = pattern(BATCH_PAYLOAD)
      await hasher.update(chunk)
      let taken = false
      const second = hasher.update(chunk).then(() => {
        taken = true
      })
      // The thread takes longer to start than a microtask.
      await Promise.resolve()
      assert.ok(!taken)
      await second
      await hasher.digest()
    } finally {
      await slow.close()
    }
  })

  it('refuses work once it is closed, and ends what is under way', async () => {
    const closing = new HashPool({ threads: 1 })
    const hasher = closing.hasher()
    await hasher.update(pattern(BATCH_PAYLOAD))
    const pending = hasher.update(pattern(BATCH_PAYLOAD))
    const rejected = assert.rejects(pending, { code: 'stopped' })
    await closing.close()
    await rejected
    await assert.rejects(hasher.digest())
    await assert.rejects(hashStream(closing, pattern(2 * BATCH_PAYLOAD), BATCH_PAYLOAD), {
      code: 'stopped',
    })
  })
})
