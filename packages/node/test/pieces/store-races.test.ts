/** What happens to a piece while something else happens to it. */
import { strict as assert } from 'node:assert'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Catalog,
  DirectoryVolume,
  type Hashing,
  type Log,
  openLevelStore,
  ownThread,
  PieceStore,
  type Store,
  systemClock,
  Volumes,
} from '@cairn/node'
import { hashPiece } from '@cairn/protocol'

const QUOTA = 16 * 1024 * 1024
const log: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => log }
const BYTES = new Uint8Array(100_000).fill(3)
const { piece: PIECE } = hashPiece(BYTES)

async function* one(part: Uint8Array) {
  yield part
}

/** A volume of which a test is told before it does something, and may fail it. */
class WatchedVolume extends DirectoryVolume {
  placing = async () => {}
  listing = async () => {}
  reading = async () => {}

  override async stage(source: AsyncIterable<Uint8Array>) {
    const staged = await super.stage(source)
    return {
      ...staged,
      place: async (name: string) => {
        await this.placing()
        await staged.place(name)
      },
    }
  }

  override async *list(prefix: string) {
    await this.listing()
    yield* super.list(prefix)
  }

  override async read(name: string, offset: number, length: number) {
    if (name.startsWith('pieces/')) await this.reading()
    return await super.read(name, offset, length)
  }
}

describe('a piece', () => {
  let directory: string
  let space: Store
  let volume: WatchedVolume

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-races-'))
    space = await openLevelStore(join(directory, 'store'))
    volume = new WatchedVolume(join(directory, 'a'))
    await volume.create({ volume: 'one', owner: '' })
  })
  afterEach(async () => {
    await space.close()
    await rm(directory, { recursive: true })
  })

  async function open({ store = space, hashing = ownThread } = {}): Promise<PieceStore> {
    const catalog = new Catalog({ store })
    const init = { name: 'one', owner: '', quota: QUOTA }
    return await PieceStore.open({ volume, catalog, hashing, log }, init)
  }

  async function files(): Promise<string[]> {
    const found = await readdir(join(directory, 'a', 'pieces'), { recursive: true })
    return found.filter(name => name.includes('/'))
  }

  for (const times of [1, 2]) {
    it(`stays that comes in while it is removed, the ${times}. time`, async () => {
      const store = await open()
      for (let before = 1; before < times; before++) await store.put(one(BYTES))
      let removed: Promise<void> | undefined
      volume.placing = async () => {
        removed ??= store.delete(PIECE)
      }
      await store.put(one(BYTES))
      assert.ok(store.has(PIECE))
      await removed
      assert.deepEqual(await store.read(PIECE, 0, BYTES.length), BYTES)
      const { used } = store.usage()
      const again = await open()
      assert.ok(again.has(PIECE))
      assert.equal(again.usage().used, used)
      await again.delete(PIECE)
      assert.deepEqual([again.has(PIECE), again.usage().used, await files()], [false, 0, []])
    })
  }

  /** The same space, of which a test is told before it is written to. */
  const watched = (writing: () => Promise<void>): Store => ({
    get: key => space.get(key),
    range: range => space.range(range),
    sublevel: name => space.sublevel(name),
    close: () => space.close(),
    batch: async (writes, options) => {
      await writing()
      await space.batch(writes, options)
    },
  })

  it('takes its space at every moment of coming in', async () => {
    let watching: PieceStore | undefined
    const used: number[] = []
    watching = await open({
      store: watched(async () => {
        if (watching !== undefined) used.push(watching.usage().used)
      }),
    })
    await watching.put(one(BYTES), { expected: PIECE })
    const { used: whole } = watching.usage()
    assert.deepEqual(used, [whole, whole], 'while it is announced, and while it is kept')
  })

  for (const moment of ['reads the volume', 'writes the catalogue']) {
    it(`is removed although a rebuild ${moment} meanwhile`, async () => {
      let pause = async () => {}
      const store = await open({ store: watched(() => pause()) })
      await store.put(one(BYTES))
      const begun = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      const wait = async () => {
        begun.resolve()
        await goOn.promise
      }
      if (moment === 'reads the volume') volume.listing = wait
      else pause = wait
      const rebuilt = store.rebuild()
      await begun.promise
      const removed = store.delete(PIECE)
      goOn.resolve()
      await rebuilt
      assert.equal(store.has(PIECE), false)
      await removed
      assert.deepEqual([store.has(PIECE), store.usage().used, await files()], [false, 0, []])
    })
  }

  it('is not taken for damaged when nobody could look at it', async () => {
    const fault = (code: string) => Object.assign(new Error(code), { code })
    const failing: Hashing = {
      ...ownThread,
      hasher: () => ({
        ...ownThread.hasher(),
        update: async () => {
          throw fault('ERR_WORKER_OUT_OF_MEMORY')
        },
      }),
    }
    const store = await open()
    await store.put(one(BYTES))
    const without = await open({ hashing: failing })
    await assert.rejects(without.verify(PIECE), { code: 'ERR_WORKER_OUT_OF_MEMORY' })
    assert.ok(without.has(PIECE))
    for (const code of ['EMFILE', 'EACCES']) {
      volume.reading = async () => {
        throw fault(code)
      }
      await assert.rejects(store.verify(PIECE), { code })
      assert.ok(store.has(PIECE))
    }
    volume.reading = async () => {
      throw fault('EIO')
    }
    assert.equal(await store.verify(PIECE), false)
    assert.deepEqual([store.has(PIECE), store.lost().length], [false, 1])
  })

  it('leaves no tree behind that is removed while it is verified', async () => {
    let store: PieceStore | undefined
    const removing: Hashing = {
      ...ownThread,
      hasher: () => {
        const hasher = ownThread.hasher()
        return {
          payload: 0,
          update: part => hasher.update(part),
          digest: async () => {
            await store?.delete(PIECE)
            return await hasher.digest()
          },
        }
      },
    }
    await (await open()).put(one(BYTES))
    store = await open({ hashing: removing })
    await store.verify(PIECE)
    assert.deepEqual(await files(), [])
  })

  it('is gone from all volumes as soon as its removal begins', async () => {
    const offered = ['b', 'c'].map(name => ({
      volume: new DirectoryVolume(join(directory, name)),
      quota: QUOTA,
    }))
    let named = 0
    const volumes = await Volumes.open(
      {
        store: space.sublevel('volumes'),
        clock: systemClock(),
        hashing: ownThread,
        log,
        newName: () => `volume-${named++}`,
      },
      { owner: 'somebody', offered, scrubDays: 14 },
    )
    const pieces = [await volumes.put(one(BYTES)), await volumes.put(one(BYTES.map(() => 4)))]
    assert.deepEqual(
      volumes.report().map(report => report.pieces),
      [1, 1],
    )
    for (const piece of pieces) {
      const removed = volumes.delete(piece)
      assert.equal(volumes.has(piece), false)
      await removed
    }
    await volumes.stop()
  })
})
