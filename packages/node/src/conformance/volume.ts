import { strict as assert } from 'node:assert'
import type { Volume } from '../pieces/volume.ts'
import type { ConformanceCase } from './case.ts'

export interface VolumeWorld {
  volume: Volume
  /** The same place, as another process finds it. */
  reopen(): Volume
  remove(): Promise<void>
}

const LABEL = { volume: 'one', owner: 'somebody' }
/** More than a bucket takes in one request. */
const LONG = 20 * 1024 * 1024 + 77

/** What every volume must do; `open` gives an empty place. */
export function volumeCases(open: () => Promise<VolumeWorld>): ConformanceCase[] {
  const rule = (
    title: string,
    run: (volume: Volume, world: VolumeWorld) => Promise<void>,
  ): ConformanceCase => ({
    title,
    async run() {
      const world = await open()
      try {
        await run(world.volume, world)
      } finally {
        await world.remove()
      }
    },
  })
  return [
    rule('has the label that it was given, once', async (volume, { reopen }) => {
      assert.equal(await volume.label(), undefined)
      await volume.create(LABEL)
      assert.deepEqual(await volume.label(), LABEL)
      assert.deepEqual(await reopen().label(), LABEL)
      await assert.rejects(volume.create({ ...LABEL, volume: 'two' }), { code: 'volumeExists' })
      assert.deepEqual(await volume.label(), LABEL)
    }),
    rule('gives any range of what was placed', async volume => {
      const bytes = sample(100_000)
      await keep(volume, 'a/b/c', bytes)
      assert.equal(await volume.size('a/b/c'), bytes.length)
      for (const [offset, length, expected] of [
        [0, 100_000, 100_000],
        [99_999, 1, 1],
        [99_990, 100, 10],
        [100_000, 5, 0],
        [200_000, 5, 0],
        [5, 0, 0],
      ] as const) {
        const found = await volume.read('a/b/c', offset, length)
        assert.deepEqual(found, bytes.slice(offset, offset + expected), `${length} at ${offset}`)
      }
    }),
    rule('takes in bytes of every length, with and without knowing their name', async volume => {
      for (const length of [0, 1, LONG]) {
        for (const known of [true, false]) {
          const name = `x/${length}-${known}`
          const bytes = sample(length)
          const staged = await volume.stage(parts(bytes), known ? { name } : {})
          assert.equal(await volume.size(name), undefined)
          await staged.place(name)
          await volume.settle([name])
          await staged.discard()
          assert.equal(await volume.size(name), length)
          const tail = Math.min(99, length)
          const end = (await volume.read(name, length - tail, tail)) as Uint8Array
          assert.deepEqual(Buffer.from(end), Buffer.from(bytes.slice(length - tail)))
        }
      }
    }),
    rule('places bytes under another name than was expected', async volume => {
      for (const length of [10, LONG]) {
        const staged = await volume.stage(parts(sample(length)), { name: 'expected' })
        await staged.place('other')
        await staged.discard()
        assert.equal(await volume.size('expected'), undefined)
        assert.equal(await volume.size('other'), length)
      }
    }),
    rule('replaces what has the name', async volume => {
      await keep(volume, 'a', sample(100))
      await keep(volume, 'a', sample(50))
      assert.equal(await volume.size('a'), 50)
    }),
    rule('is as before when a source fails or what was staged is discarded', async volume => {
      async function* broken() {
        yield sample(LONG)
        throw new Error('the line is dead')
      }
      await assert.rejects(volume.stage(broken(), { name: 'x/a' }), /the line is dead/)
      for (const length of [10, LONG]) {
        const staged = await volume.stage(parts(sample(length)), { name: 'x/a' })
        await staged.discard()
        await staged.discard()
      }
      assert.deepEqual(await names(volume, ''), [])
    }),
    rule('sweeps away what another process was taking in', async (volume, { reopen }) => {
      await keep(volume, 'a', sample(5))
      await volume.stage(parts(sample(10)))
      await volume.stage(parts(sample(LONG)))
      const later = reopen()
      await later.sweep()
      assert.deepEqual(await names(later, ''), ['a'])
    }),
    rule('says that it does not have what it does not have', async volume => {
      assert.equal(await volume.size('a/b'), undefined)
      assert.equal(await volume.read('a/b', 0, 5), undefined)
      assert.equal(await volume.read('a/b', 0, 0), undefined)
      assert.equal(await volume.move('a/b', 'c'), false)
      await volume.remove(['a/b', 'c'])
      assert.deepEqual(await names(volume, 'a/'), [])
    }),
    rule('removes and moves', async volume => {
      for (const name of ['x/a', 'x/b', 'x/c']) await keep(volume, name, sample(name.length))
      await keep(volume, 'y/c', sample(9))
      await volume.remove(['x/a', 'x/nothing'])
      assert.ok(await volume.move('x/b', 'z/b'))
      assert.ok(await volume.move('x/c', 'y/c'))
      assert.deepEqual(await names(volume, ''), ['y/c', 'z/b'])
      assert.equal(await volume.size('y/c'), 3)
    }),
    rule('lists everything under a prefix, with its size', async volume => {
      for (const name of ['x/a/1', 'x/a/2', 'x/b/1', 'y']) await keep(volume, name, sample(7))
      assert.deepEqual(await names(volume, 'x/'), ['x/a/1', 'x/a/2', 'x/b/1'])
      assert.deepEqual(await names(volume, 'x/a/'), ['x/a/1', 'x/a/2'])
      for await (const { bytes } of volume.list('x/')) assert.equal(bytes, 7)
    }),
    rule('keeps what it has when it is opened again', async (volume, { reopen }) => {
      await keep(volume, 'a/b', sample(1_000))
      assert.deepEqual(await reopen().read('a/b', 0, 1_000), sample(1_000))
    }),
  ]
}

async function keep(volume: Volume, name: string, bytes: Uint8Array): Promise<void> {
  const staged = await volume.stage(parts(bytes), { name })
  await staged.place(name)
  await volume.settle([name])
  await staged.discard()
}

async function names(volume: Volume, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of volume.list(prefix)) found.push(name)
  return found.sort()
}

/** Bytes that are the same in every run. */
function sample(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 2_654_435_761) >>> 13)
}

async function* parts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700_000) yield bytes.slice(at, at + 700_000)
}
