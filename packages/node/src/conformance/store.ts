import { strict as assert } from 'node:assert'
import { compareBytes } from '@cairn/protocol'
import type fastCheck from 'fast-check'
import type { Store } from '../ports.ts'
import type { ConformanceCase } from './case.ts'

export interface StoreWorld {
  store: Store
  /** Closes the store and opens it again over what it kept. */
  reopen(): Promise<Store>
  /** Closes and removes everything. */
  remove(): Promise<void>
}

const bytes = (...values: number[]) => Uint8Array.from(values)
const put = (key: Uint8Array, value: Uint8Array = key) => ({ key, value })
/** Every key of the tests but the empty one and those of 0xff alone lies between these. */
const ALL = { gte: bytes(), lt: bytes(0xff, 0xff, 0xff, 0xff) }

type Range = Parameters<Store['range']>[0]

async function keys(store: Store, range: Range): Promise<number[][]> {
  const found: number[][] = []
  for await (const [key] of store.range(range)) found.push([...key])
  return found
}

/** What every store must do. */
export function storeCases(open: () => Promise<StoreWorld>): ConformanceCase[] {
  const rule = (
    title: string,
    run: (store: Store, world: StoreWorld) => Promise<void>,
  ): ConformanceCase => ({
    title,
    async run() {
      const world = await open()
      try {
        await run(world.store, world)
      } finally {
        await world.remove()
      }
    },
  })
  return [
    rule('gives back the bytes that were put, and undefined for what was not', async store => {
      await store.batch([put(bytes(1), bytes(9, 8)), put(bytes(0, 0xff), bytes())])
      assert.deepEqual(await store.get(bytes(1)), bytes(9, 8))
      assert.deepEqual(await store.get(bytes(0, 0xff)), bytes())
      assert.equal(await store.get(bytes(2)), undefined)
    }),
    rule('takes later writes of a batch over earlier ones', async store => {
      await store.batch([put(bytes(1)), { key: bytes(1) }, put(bytes(2)), put(bytes(2), bytes(5))])
      assert.equal(await store.get(bytes(1)), undefined)
      assert.deepEqual(await store.get(bytes(2)), bytes(5))
    }),
    rule('keeps its own copy of keys and values', async store => {
      const key = bytes(1, 2)
      const value = bytes(3, 4)
      await store.batch([{ key, value }])
      key.fill(0)
      value.fill(0)
      const read = (await store.get(bytes(1, 2))) as Uint8Array
      assert.deepEqual(read, bytes(3, 4))
      read.fill(0)
      assert.deepEqual(await store.get(bytes(1, 2)), bytes(3, 4))
    }),
    rule('orders keys bytewise, a prefix before what it begins', async store => {
      const unordered = [bytes(0x80), bytes(1, 0), bytes(0xff), bytes(0x7f), bytes(1), bytes(0)]
      await store.batch(unordered.map(key => put(key)))
      const expected = [[0], [1], [1, 0], [0x7f], [0x80], [0xff]]
      assert.deepEqual(await keys(store, ALL), expected)
      assert.deepEqual(await keys(store, { ...ALL, reverse: true }), expected.toReversed())
    }),
    rule('reads gte <= key < lt, with a limit from either end', async store => {
      await store.batch([1, 2, 3, 4, 5].map(key => put(bytes(key))))
      const range = { gte: bytes(2), lt: bytes(5) }
      assert.deepEqual(await keys(store, range), [[2], [3], [4]])
      assert.deepEqual(await keys(store, { ...range, limit: 2 }), [[2], [3]])
      assert.deepEqual(await keys(store, { ...range, limit: 2, reverse: true }), [[4], [3]])
      assert.deepEqual(await keys(store, { ...range, limit: 0 }), [])
      assert.deepEqual(await keys(store, { gte: bytes(5), lt: bytes(2) }), [])
      assert.deepEqual(await keys(store, { gte: bytes(3), lt: bytes(3) }), [])
    }),
    rule('reads a range as of the moment it was asked for', async store => {
      await store.batch([put(bytes(1)), put(bytes(2)), put(bytes(3))])
      const range = store.range(ALL)
      await store.batch([{ key: bytes(2) }, put(bytes(3), bytes(0)), put(bytes(4))])
      const found: (readonly [Uint8Array, Uint8Array])[] = []
      for await (const entry of range) found.push(entry)
      assert.deepEqual(
        found.map(([, value]) => value),
        [bytes(1), bytes(2), bytes(3)],
      )
    }),
    rule('lets a reader leave a range early', async store => {
      await store.batch(Array.from({ length: 100 }, (_, i) => put(bytes(i))))
      for await (const [key] of store.range(ALL)) if (key[0] === 3) break
      assert.equal((await keys(store, ALL)).length, 100)
    }),
    rule('keeps sublevels apart from each other and from the rest', async store => {
      const a = store.sublevel('a')
      const b = store.sublevel('b')
      const nested = a.sublevel('b')
      await a.batch([put(bytes(1), bytes(0xa))])
      await b.batch([put(bytes(1), bytes(0xb))])
      await nested.batch([put(bytes(1), bytes(0xab))])
      await store.batch([put(bytes(1), bytes(0))])
      assert.deepEqual(await a.get(bytes(1)), bytes(0xa))
      assert.deepEqual(await b.get(bytes(1)), bytes(0xb))
      assert.deepEqual(await nested.get(bytes(1)), bytes(0xab))
      assert.deepEqual(await keys(a, ALL), [[1]])
      assert.deepEqual(await keys(store, ALL), [[1]])
      await b.batch([{ key: bytes(1) }])
      assert.deepEqual(await a.get(bytes(1)), bytes(0xa))
      assert.deepEqual(await store.sublevel('a').get(bytes(1)), bytes(0xa))
    }),
    rule('keeps keys of any bytes inside a sublevel', async store => {
      const space = store.sublevel('any')
      await store.sublevel('anz').batch([put(bytes(1))])
      await space.batch([bytes(0), bytes(0x21), bytes(0xff, 0xff, 0xff)].map(key => put(key)))
      assert.deepEqual(await keys(space, ALL), [[0], [0x21], [0xff, 0xff, 0xff]])
    }),
    rule('still holds everything after it was closed and opened again', async (store, world) => {
      await store.batch([put(bytes(1))], { sync: true })
      await store.sublevel('a').batch([put(bytes(2))])
      const again = await world.reopen()
      assert.deepEqual(await again.get(bytes(1)), bytes(1))
      assert.deepEqual(await again.sublevel('a').get(bytes(2)), bytes(2))
    }),
    rule('refuses everything with storeClosed once it is closed', async store => {
      const space = store.sublevel('a')
      await store.close()
      const closed = { code: 'storeClosed' }
      await assert.rejects(store.get(bytes(1)), closed)
      await assert.rejects(space.get(bytes(1)), closed)
      await assert.rejects(store.batch([put(bytes(1))]), closed)
      await assert.rejects(keys(store, ALL), closed)
    }),
  ]
}

/**
 * A property: whatever is written and read, the store answers like a sorted Map. The runner's
 * fast-check is passed in, so that nothing a daemon loads depends on it.
 */
export async function checkStoreModel(
  fc: typeof fastCheck,
  open: () => Promise<StoreWorld>,
): Promise<void> {
  const key = fc
    .array(fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe), { minLength: 1, maxLength: 3 })
    .map(list => Uint8Array.from(list))
  const write = fc
    .record({ key, value: fc.option(fc.uint8Array({ maxLength: 4 }), { nil: undefined }) })
    .map(({ key, value }) => (value === undefined ? { key } : { key, value }))
  const step = fc.record({
    writes: fc.array(write, { maxLength: 20 }),
    gte: key,
    lt: key,
    reverse: fc.boolean(),
    limit: fc.option(fc.nat(10), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async steps => {
      const world = await open()
      try {
        const model = new Map<string, readonly [Uint8Array, Uint8Array]>()
        for (const { writes, gte, lt, reverse, limit } of steps) {
          await world.store.batch(writes)
          for (const { key, value } of writes) {
            if (value === undefined) model.delete(key.toString())
            else model.set(key.toString(), [key, value])
          }
          const expected = [...model.values()]
            .filter(([key]) => compareBytes(key, gte) >= 0 && compareBytes(key, lt) < 0)
            .sort(([a], [b]) => (reverse ? compareBytes(b, a) : compareBytes(a, b)))
            .slice(0, limit)
          const range = { gte, lt, reverse, ...(limit === undefined ? {} : { limit }) }
          const found: (readonly [Uint8Array, Uint8Array])[] = []
          for await (const entry of world.store.range(range)) found.push(entry)
          assert.deepEqual(found, expected)
          const held = model.get(gte.toString())?.[1]
          assert.deepEqual(await world.store.get(gte), held)
        }
      } finally {
        await world.remove()
      }
    }),
    { numRuns: 40 },
  )
}
