import { strict as assert } from 'node:assert'
import { checkStoreModel, type StoreWorld, storeCases } from '@cairn/node'
import { MemoryStore } from '@cairn/testnet'
import fc from 'fast-check'

async function open(): Promise<StoreWorld> {
  const store = new MemoryStore()
  return {
    store,
    async reopen() {
      await store.close()
      store.reopen()
      return store
    },
    remove: () => store.close(),
  }
}

describe('store in memory', () => {
  for (const { title, run } of storeCases(open)) it(title, run)

  it('answers like a sorted map', () => checkStoreModel(fc, open))

  it('keeps the order of thousands of keys that come and go', async () => {
    const store = new MemoryStore()
    const key = (n: number) => {
      const bytes = new Uint8Array(4)
      new DataView(bytes.buffer).setUint32(0, n)
      return bytes
    }
    const count = 5_000
    // 7919 is prime to the count: every number once, far from sorted.
    const shuffled = Array.from({ length: count }, (_, i) => (i * 7_919) % count)
    for (const n of shuffled) await store.batch([{ key: key(n), value: key(n) }])
    for (const n of shuffled) if (n % 3 !== 0) await store.batch([{ key: key(n) }])
    const found: number[] = []
    for await (const [bytes] of store.range({ gte: key(0), lt: key(count) })) {
      found.push(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0))
    }
    assert.deepEqual(
      found,
      Array.from({ length: Math.ceil(count / 3) }, (_, i) => 3 * i),
    )
  })
})
