import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { sha256Pairs } from '../../src/crypto/native.ts'
import { pairHasher } from '../../src/crypto/pairs.ts'
import { sha256Pairs as portable } from '../../src/crypto/portable.ts'

const noBinary = () => Promise.reject(new Error('Cannot find native binding'))

describe('pairHasher', () => {
  it('uses the native module where there is one', async () => {
    const hash = await pairHasher(async () => ({ hashInto: (_, parents) => parents.fill(1) }))
    assert.deepEqual(hash(new Uint8Array(64)), new Uint8Array(32).fill(1))
  })

  it('hashes the same levels where the platform has no binary', async () => {
    const hash = await pairHasher(noBinary)
    fc.assert(
      fc.property(
        fc.nat({ max: 20 }).chain(n => fc.uint8Array({ minLength: n * 64, maxLength: n * 64 })),
        level => assert.deepEqual(hash(level), portable(level)),
      ),
    )
  })

  it('keeps no memory of long levels, also before the event loop turns', () => {
    const level = new Uint8Array(1024 * 1024)
    const before = process.memoryUsage().rss
    for (let i = 0; i < 300; i++) sha256Pairs(level)
    assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024)
  })

  it('refuses half a node where the platform has no binary', async () => {
    const hash = await pairHasher(noBinary)
    assert.throws(() => hash(new Uint8Array(32)), /64-byte nodes/)
  })
})
