import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  BucketVolume,
  Catalog,
  DirectoryVolume,
  type Log,
  openLevelStore,
  ownThread,
  PieceStore,
  piecesCases,
  SCRUB_RATE_MIN,
  Scrub,
  type Store,
  SUSPECTS_MAX,
  systemClock,
  VOLUMES_MAX,
  type Volume,
  Volumes,
} from '@cairn/node'
import { hashPiece, type Piece, pieceCid } from '@cairn/protocol'
import { EagerClock } from './eager-clock.ts'
import { type Bucket, startBucket } from './s3rver.ts'

const QUOTA = 16 * 1024 * 1024
const OWNER = 'somebody'
const lines: { level: string; text: string }[] = []
const level = (name: string) => (_: object, text: string) => lines.push({ level: name, text })
const log: Log = {
  error: level('error'),
  warn: level('warn'),
  info: level('info'),
  debug: level('debug'),
  child: () => log,
}
const bytes = (length: number, fill = 3) => new Uint8Array(length).fill(fill)
const codeOf = (code: string) => ({ code })

async function* one(part: Uint8Array) {
  yield part
}

describe('volumes', () => {
  let directory: string
  let store: Store
  let opened: Volumes[]
  let named: number

  beforeEach(async () => {
    lines.length = 0
    named = 0
    opened = []
    directory = await mkdtemp(join(tmpdir(), 'cairn-volumes-'))
    store = await openLevelStore(join(directory, 'store'))
  })
  afterEach(async () => {
    for (const volumes of opened) await volumes.stop()
    await store.close()
    await rm(directory, { recursive: true })
  })

  const at = (name: string) => join(directory, name)
  const path = (name: string, piece: Piece) =>
    join(at(name), 'pieces', pieceCid(piece).slice(-3, -1), pieceCid(piece))

  interface OpenInit {
    owner?: string
    quota?: number
    scrubDays?: number
    clock?: EagerClock
    space?: Store
  }

  async function open(
    places: readonly (string | Volume)[],
    { owner = OWNER, quota = QUOTA, scrubDays = 14, clock, space = store }: OpenInit = {},
  ): Promise<Volumes> {
    const volumes = await Volumes.open(
      {
        store: space,
        clock: clock ?? systemClock(),
        hashing: ownThread,
        log,
        newName: () => `volume-${named++}`,
      },
      {
        owner,
        offered: places.map(place => ({
          volume: typeof place === 'string' ? new DirectoryVolume(at(place)) : place,
          quota,
        })),
        scrubDays,
      },
    )
    opened.push(volumes)
    return volumes
  }

  const states = (volumes: Volumes) => volumes.report().map(({ state }) => state)
  /** As the timer does every half minute. */
  const look = async (volumes: Volumes) => {
    for (const part of volumes.stores) await part.check()
  }

  for (const { title, run } of piecesCases(async quota => ({
    pieces: await open(['a'], { quota }),
    remove: async () => {},
  }))) {
    it(title, run)
  }

  it('puts each piece where most room is, and finds all of them', async () => {
    const volumes = await open(['a', 'b'])
    const pieces = []
    for (let fill = 0; fill < 4; fill++) pieces.push(await volumes.put(one(bytes(100_000, fill))))
    const held = volumes.report().map(report => report.pieces)
    assert.deepEqual(held, [2, 2])
    for (const piece of pieces) assert.equal((await volumes.read(piece, 0, 100)).length, 100)
    assert.equal(volumes.list().length, 4)
    const again = await open(['a', 'b'])
    assert.deepEqual(again.report(), volumes.report())
  })

  it('goes on with the others while one is away, and serves it again when it is back', async () => {
    const volumes = await open(['a', 'b'])
    const first = await volumes.put(one(bytes(100_000, 1)))
    const second = await volumes.put(one(bytes(100_000, 2)))
    await rename(at('a'), at('elsewhere'))
    await assert.rejects(volumes.prove(first, 0), codeOf('volumeMissing'))
    assert.deepEqual(states(volumes), ['volumeMissing', 'present'])
    assert.deepEqual([volumes.has(first), volumes.has(second)], [false, true])
    assert.deepEqual(volumes.report()[0]?.damaged, [], 'being away is no damage')
    assert.equal(volumes.report()[0]?.pieces, 1, 'it is not forgotten')
    await volumes.put(one(bytes(200_000, 4)))
    await assert.rejects(readdir(at('a')), { code: 'ENOENT' })

    const again = await open(['a', 'b'])
    assert.deepEqual(states(again), ['volumeMissing', 'present'])
    assert.equal(again.usage().quota, again.usage().used + (again.report()[1]?.room ?? 0))
    await rename(at('elsewhere'), at('a'))
    await look(again)
    assert.deepEqual(states(again), ['present', 'present'])
    assert.ok(await again.prove(first, 0))
  })

  it('neither fills nor takes for damaged what lies on a place without its disk', async () => {
    const volumes = await open(['a'])
    const piece = await volumes.put(one(bytes(100_000)))
    await rename(at('a'), at('elsewhere'))
    await mkdir(at('a'))
    await assert.rejects(volumes.put(one(bytes(5))), codeOf('volumeMissing'))
    await assert.rejects(volumes.read(piece, 0, 1), codeOf('volumeMissing'))
    await assert.rejects(
      volumes.stores[0]?.verify(piece) as Promise<boolean>,
      codeOf('volumeMissing'),
    )
    await assert.rejects(volumes.rebuild(), codeOf('volumeMissing'))
    const again = await open(['a'])
    assert.deepEqual(states(again), ['volumeMissing'])
    assert.deepEqual(await readdir(at('a')), [])
  })

  it('takes no piece for damaged when it is the first to find that the disk is gone', async () => {
    const volumes = await open(['a'])
    const piece = await volumes.put(one(bytes(100_000)))
    const [part] = volumes.stores as [PieceStore]
    for (const attempt of [
      () => part.verify(piece),
      () => part.read(piece, 0, 1),
      () => part.prove(piece, 0),
      () => part.rebuild(),
      () => part.put(one(bytes(5))),
    ]) {
      await rename(at('a'), at('elsewhere'))
      await mkdir(at('a'))
      await assert.rejects(attempt(), codeOf('volumeMissing'))
      await rm(at('a'), { recursive: true })
      await rename(at('elsewhere'), at('a'))
      await look(volumes)
      assert.deepEqual([part.count, part.lost(), part.suspects()], [1, [], []])
    }
  })

  it('takes no disk for another one that was there before', async () => {
    const volumes = await open(['a', 'b'])
    const piece = await volumes.put(one(bytes(100_000)))
    await rename(at('a'), at('c'))
    await rename(at('b'), at('a'))
    await rename(at('c'), at('b'))
    await assert.rejects(volumes.prove(piece, 0), codeOf('otherVolume'))
    await assert.rejects(volumes.put(one(bytes(5))), codeOf('volumeMissing'))
    const again = await open(['a', 'b'])
    assert.deepEqual(states(again), ['otherVolume', 'otherVolume'])
    assert.deepEqual(again.list(), [])
    assert.match(again.report()[0]?.next ?? '', /mount the disk/)
  })

  it('does not touch the volume of another node, nor a label that it cannot read', async () => {
    await open(['a'])
    const space = store.sublevel('other')
    await assert.rejects(open(['a'], { owner: 'another', space }), codeOf('otherVolume'))
    for (const [text, code] of [
      ['{"layout":2,"volume":"x","owner":"somebody"}', 'newerVolume'],
      ['{', 'badVolume'],
    ] as const) {
      await writeFile(join(at('a'), 'volume.json'), text)
      assert.deepEqual(states(await open(['a'])), [code])
      await assert.rejects(open(['a'], { space }), codeOf(code))
    }
  })

  it('finds a disk that moved to a new place, and refuses two places for one', async () => {
    const piece = await (await open(['a'])).put(one(bytes(100_000)))
    await rename(at('a'), at('b'))
    const moved = await open(['b'])
    assert.ok(await moved.prove(piece, 0))
    assert.deepEqual(
      lines.filter(({ level }) => level === 'warn'),
      [],
    )
    await assert.rejects(open(['b', `./b`.slice(2)]), codeOf('sameVolume'))
  })

  it('warns of a volume that is not offered any more', async () => {
    const volumes = await open(['a', 'b'])
    await volumes.put(one(bytes(100_000)))
    await open(['b'])
    const warnings = lines.filter(({ level }) => level === 'warn')
    assert.deepEqual(
      warnings.map(({ text }) => text),
      ['a volume with pieces is not offered any more'],
    )
  })

  it('offers so many volumes and no more', async () => {
    const places = Array.from({ length: VOLUMES_MAX + 1 }, (_, i) => String(i))
    await assert.rejects(open(places), codeOf('badConfig'))
  })

  it('is full when the roomiest is, and warns on the way', async () => {
    const volumes = await open(['a', 'b'], { quota: 100_000 })
    const warnings = () => lines.filter(({ level }) => level === 'warn').map(({ text }) => text)
    for (const fill of [1, 2]) await volumes.put(one(bytes(89_900, fill)))
    assert.deepEqual(warnings(), [])
    await volumes.put(one(bytes(1_000, 5)))
    assert.deepEqual(warnings(), ['a volume is 90 % full'])
    await volumes.put(one(bytes(5_000, 6)))
    await volumes.put(one(bytes(4_500, 7)))
    assert.deepEqual(warnings(), [
      'a volume is 90 % full',
      'a volume is 94 % full',
      'a volume is 95 % full',
    ])
    const { piece: expected } = hashPiece(bytes(6_000))
    for (const options of [{}, { expected }]) {
      await assert.rejects(volumes.put(one(bytes(6_000)), options), error => {
        const { code, facts } = error as { code: string; facts: Record<string, number> }
        assert.equal(code, 'volumeFull')
        assert.equal(facts.quota, 100_000)
        assert.ok((facts.used as number) > 94_000 && (facts.needed as number) >= 6_000)
        return true
      })
    }
    lines.length = 0
    await open(['a', 'b'], { quota: 100_000 })
    assert.equal(warnings().length, 2, 'again at each start')
  })

  it('gives up a volume that is away, and takes another one in its place', async () => {
    const volumes = await open(['a'])
    const piece = await volumes.put(one(bytes(100_000)))
    const lost: Piece[] = []
    volumes.onQuarantined(found => lost.push(found))
    await assert.rejects(volumes.forget(at('a')), codeOf('volumePresent'))
    await assert.rejects(volumes.forget('/nowhere'), codeOf('unknownVolume'))
    await rm(at('a'), { recursive: true })
    assert.deepEqual(await volumes.forget(at('a')), { lost: [piece] })
    assert.deepEqual(lost, [piece])
    assert.deepEqual(volumes.lost(), [piece], 'its client is to be told')
    assert.equal(volumes.usage().used, 0)
    const again = await open(['a'])
    assert.deepEqual(states(again), ['present'])
    assert.deepEqual(again.list(), [])
    await again.put(one(bytes(100)))
    assert.deepEqual(again.lost(), [piece], 'also by a node that was started anew')
    assert.ok(again.held().some(held => pieceCid(held) === pieceCid(piece)))
    await again.put(one(bytes(100_000)))
    assert.deepEqual([again.lost(), (await open(['a'])).lost()], [[], []])
  })

  it('has nothing to tell of a given up piece that no deal needs', async () => {
    const volumes = await open(['a'])
    const piece = await volumes.put(one(bytes(100_000)))
    await rm(at('a'), { recursive: true })
    await volumes.forget(at('a'))
    const again = await open(['a'])
    await again.delete(piece)
    assert.deepEqual([again.lost(), again.held()], [[], []])
    assert.deepEqual((await open(['a'])).lost(), [])
  })

  it('gives up a volume whose label alone was in the way, and finds its pieces again', async () => {
    const volumes = await open(['a', 'b'])
    const piece = await volumes.put(one(bytes(100_000)))
    await rename(at('a'), at('c'))
    await rename(at('b'), at('a'))
    await rename(at('c'), at('b'))
    await volumes.forget(at('a'))
    await volumes.forget(at('b'))
    const again = await open(['a', 'b'])
    assert.deepEqual(states(again), ['present', 'present'])
    assert.ok(await again.prove(piece, 0))
    assert.deepEqual(again.lost(), [])
  })

  it('deletes what is on a volume that is away when that is back', async () => {
    const volumes = await open(['a'])
    const piece = await volumes.put(one(bytes(100_000)))
    await rename(at('a'), at('elsewhere'))
    await look(volumes)
    await volumes.delete(piece)
    assert.deepEqual(volumes.held(), [])
    await rename(at('elsewhere'), at('a'))
    const again = await open(['a'])
    assert.equal(again.usage().used, 0)
    await assert.rejects(readFile(path('a', piece)), { code: 'ENOENT' })
  })

  it('puts a piece that was damaged on one volume on another, once', async () => {
    const volumes = await open(['a', 'b'])
    const piece = await volumes.put(one(bytes(100_000)))
    await writeFile(path('a', piece), bytes(100_000, 9))
    assert.equal(await volumes.stores[0]?.verify(piece), false)
    assert.equal(volumes.has(piece), false)
    await volumes.put(one(bytes(100_000)))
    assert.ok(volumes.has(piece))
    assert.deepEqual(
      volumes.report().map(({ pieces, damaged }) => [pieces, damaged.length]),
      [
        [0, 0],
        [1, 0],
      ],
    )
  })

  it('keeps one copy of a piece that comes twice at once', async () => {
    const volumes = await open(['a', 'b'])
    const release = Promise.withResolvers<void>()
    const put = async (reserved: () => void) => {
      async function* slow() {
        yield bytes(50_000)
        reserved()
        await release.promise
        yield bytes(50_000)
      }
      return await volumes.put(slow())
    }
    const puts: Promise<Piece>[] = []
    for (let i = 0; i < 4; i++) {
      // What is reserved makes the other volume the roomier one.
      await new Promise<void>(reserved => puts.push(put(reserved)))
    }
    release.resolve()
    const [piece] = (await Promise.all(puts)) as [Piece]
    assert.ok(await volumes.prove(piece, 0))
    const counts = volumes.report().map(({ pieces }) => pieces)
    assert.deepEqual(counts.toSorted(), [0, 1])
  })

  describe('scrub', () => {
    /** Resolves when so many pieces were quarantined. */
    function quarantined(volumes: Volumes, count: number): Promise<Piece[]> {
      const found: Piece[] = []
      return new Promise(resolve => {
        volumes.onQuarantined(piece => {
          found.push(piece)
          if (found.length === count) resolve(found)
        })
      })
    }

    it('moves apart what rotted, says so, and leaves the rest alone', async () => {
      const clock = new EagerClock()
      const volumes = await open(['a', 'b'], { clock })
      const pieces = []
      for (let fill = 1; fill < 7; fill++) pieces.push(await volumes.put(one(bytes(90_000, fill))))
      const [rotten, whole, gone, treeless] = pieces as [Piece, Piece, Piece, Piece]
      const payload = await readFile(path('a', rotten))
      payload[77_777] = 255
      await writeFile(path('a', rotten), payload)
      await rm(path('a', gone))
      await writeFile(`${path('b', treeless)}.tree`, bytes(64))
      const found = quarantined(volumes, 2)
      volumes.start()
      const names = (await found).map(pieceCid).sort()
      assert.deepEqual(names, [pieceCid(rotten), pieceCid(gone)].sort())
      // Through on both volumes: the tree of the last one is mended too.
      while (volumes.report().some(({ scrub }) => scrub.finished === undefined)) {
        await clock.until(0)
      }
      assert.ok(await volumes.prove(treeless, 0))
      assert.ok(await volumes.prove(whole, 0))
      await assert.rejects(volumes.prove(rotten, 0), codeOf('pieceMissing'))
      const errors = lines.filter(({ level }) => level === 'error').map(({ text }) => text)
      assert.deepEqual(
        errors,
        Array(2).fill('a piece is damaged; it was moved apart and must be fetched again'),
      )
      const [a] = volumes.report()
      assert.deepEqual(a?.damaged.map(pieceCid).sort(), names)
      assert.deepEqual(await readdir(join(at('a'), 'damaged')), [pieceCid(rotten)])
    })

    it('looks at a piece of which a leaf was found wrong before the next round', async () => {
      const clock = new EagerClock({ delayMs: 1 })
      const volumes = await open(['a'], { clock })
      const piece = await volumes.put(one(bytes(90_000)))
      volumes.start()
      const finished = () => volumes.report()[0]?.scrub.finished
      while (finished() === undefined) await clock.until(clock.now())
      const before = finished()
      const found = quarantined(volumes, 1)
      await writeFile(path('a', piece), bytes(90_000, 4))
      await assert.rejects(volumes.prove(piece, 0), codeOf('pieceDamaged'))
      await found
      assert.equal(finished(), before)
    })

    it('reads no faster than its rate', async () => {
      const clock = new EagerClock()
      const catalog = new Catalog({ store })
      const volume = new DirectoryVolume(at('a'))
      await volume.create({ volume: 'one', owner: OWNER })
      const part = await PieceStore.open(
        { volume, catalog, log },
        { name: 'one', owner: OWNER, quota: QUOTA },
      )
      for (let fill = 0; fill < 4; fill++) await part.put(one(bytes(SCRUB_RATE_MIN, fill)))
      const scrub = new Scrub({ clock, store: part, catalog, log }, { days: 14 })
      const before = clock.now()
      scrub.start()
      while (scrub.report.finished === undefined) await new Promise(setImmediate)
      await scrub.stop()
      // The first is read at once, each other one a second after the one before.
      const took = (scrub.report.finished as number) - before
      assert.ok(took >= 3_000 && took < 5_000, `${took} ms`)
    })

    it('takes its time, goes on where it was after a restart, and begins anew when it is due', async () => {
      const clock = new EagerClock()
      const first = await open(['a'], { clock, scrubDays: 1 })
      for (let fill = 0; fill < 20; fill++) await first.put(one(bytes(300_000, fill)))
      const before = clock.now()
      first.start()
      while ((first.report()[0]?.scrub.left ?? 6_000_000) > 3_000_000) await clock.until(0)
      await first.stop()
      const second = await open(['a'], { clock, scrubDays: 1 })
      second.start()
      const scrub = () => second.report()[0]?.scrub
      while (scrub()?.left === undefined) await clock.until(0)
      assert.ok((scrub()?.left as number) <= 3_000_000, 'half is done')
      while (scrub()?.finished === undefined) await clock.until(0)
      const finished = scrub()?.finished as number
      // 6 MB at the least rate.
      assert.ok(finished - before >= 5_000, `${finished - before} ms`)
      while (scrub()?.finished === finished) await clock.until(0)
      const apart = (scrub()?.finished as number) - finished
      assert.ok(apart >= 0.9 * 86_400_000, `${apart} ms between rounds`)
    })

    it('says nothing of suspects while their volume is away', async () => {
      const clock = new EagerClock()
      const volumes = await open(['a'], { clock })
      const piece = await volumes.put(one(bytes(90_000)))
      await writeFile(path('a', piece), bytes(90_000, 4))
      await assert.rejects(volumes.prove(piece, 0), codeOf('pieceDamaged'))
      await rename(at('a'), at('elsewhere'))
      await look(volumes)
      lines.length = 0
      volumes.start()
      const end = clock.now() + 60_000
      while (clock.now() < end) await clock.until(0)
      assert.deepEqual(lines, [])
      await rename(at('elsewhere'), at('a'))
      while (volumes.lost().length === 0) await clock.until(0)
    })

    it('does not take an absent volume for a damaged one, and goes on when it is back', async () => {
      const clock = new EagerClock()
      const volumes = await open(['a'], { clock })
      await volumes.put(one(bytes(90_000)))
      await rename(at('a'), at('elsewhere'))
      volumes.start()
      while (states(volumes)[0] === 'present') await clock.until(0)
      await rename(at('elsewhere'), at('a'))
      while (volumes.report()[0]?.scrub.finished === undefined) {
        await clock.until(0)
      }
      assert.deepEqual(volumes.report()[0]?.damaged, [])
    })
  })

  describe('rebuild', () => {
    it('finds everything on the volumes when the catalogue is lost', async () => {
      const volumes = await open(['a', 'b'])
      const pieces = []
      for (let fill = 1; fill < 5; fill++) pieces.push(await volumes.put(one(bytes(90_000, fill))))
      const [treeless, damaged] = pieces as [Piece, Piece]
      await rm(`${path('a', treeless)}.tree`)
      await writeFile(path('b', damaged), bytes(7))
      const again = await open(['a', 'b'], { space: store.sublevel('empty') })
      assert.deepEqual(states(again), ['present', 'present'])
      for (const piece of pieces) assert.equal(again.has(piece), piece !== damaged)
      assert.ok(await again.prove(treeless, 0))
      const counts = again.report().map(({ pieces: kept, damaged: apart }) => [kept, apart.length])
      assert.deepEqual(counts, [
        [2, 0],
        [1, 1],
      ])
    })

    it('finds as many as there are, and remembers as many suspects as it may', async () => {
      const count = SUSPECTS_MAX + 1
      const volumes = await open(['a'])
      const some = (from: number) =>
        Array.from({ length: Math.min(100, count - from) }, (_, i) =>
          volumes.put(
            one(new Uint8Array(2).fill((from + i) % 256, 0, 1).fill((from + i) >>> 8, 1)),
          ),
        )
      const pieces: Piece[] = []
      while (pieces.length < count) pieces.push(...(await Promise.all(some(pieces.length))))
      const [again] = (await open(['a'], { space: store.sublevel('empty') })).stores
      assert.equal(again?.count, count)
      await rm(join(at('a'), 'pieces'), { recursive: true })
      for (const piece of pieces) {
        await assert.rejects(again?.read(piece, 0, 1) as Promise<unknown>, codeOf('pieceDamaged'))
      }
      assert.equal(again?.suspects().length, SUSPECTS_MAX)
    }).timeout(120_000)

    it('counts anew, and says what is lost', async () => {
      const volumes = await open(['a'])
      const gone = await volumes.put(one(bytes(90_000, 1)))
      const kept = await volumes.put(one(bytes(90_000, 2)))
      const before = volumes.usage().used
      const { piece: found } = hashPiece(bytes(50_000, 7))
      const copy = await open(['other'], { space: store.sublevel('other') })
      await copy.put(one(bytes(50_000, 7)))
      await mkdir(join(path('a', found), '..'), { recursive: true })
      await rename(path('other', found), path('a', found))
      await rm(path('a', gone))
      const lost: Piece[] = []
      volumes.onQuarantined(piece => lost.push(piece))
      const [done] = await volumes.rebuild(at('a'))
      assert.deepEqual(done?.rebuilt.lost, [gone])
      assert.deepEqual(lost, [gone])
      assert.equal(done?.rebuilt.pieces, 2)
      assert.equal(volumes.usage().used, done?.rebuilt.bytes)
      assert.notEqual(volumes.usage().used, before)
      assert.ok(await volumes.prove(found, 0))
      assert.ok(await volumes.prove(kept, 0))
      await assert.rejects(volumes.rebuild('/nowhere'), codeOf('unknownVolume'))
      const again = await open(['a'])
      assert.deepEqual(again.report(), volumes.report())
      assert.deepEqual(again.lost(), [gone], 'its client is still to be told')
      await again.put(one(bytes(90_000, 1)))
      assert.deepEqual(again.lost(), [])
    })
  })

  describe('on a bucket', () => {
    let bucket: Bucket

    beforeEach(async () => {
      bucket = await startBucket(at('bucket'))
    })
    afterEach(() => bucket.stop())

    const inBucket = () => new BucketVolume({ clock: new EagerClock() }, bucket)

    for (const { title, run } of piecesCases(async quota => ({
      pieces: await open([inBucket()], { quota }),
      remove: async () => {},
    }))) {
      it(title, run)
    }

    it('keeps pieces beside a directory, rebuilds, and moves apart what rotted', async () => {
      const volumes = await open([inBucket()])
      const pieces = []
      for (let fill = 1; fill < 4; fill++) pieces.push(await volumes.put(one(bytes(90_000, fill))))
      const again = await open([inBucket()], { space: store.sublevel('empty') })
      assert.deepEqual(again.usage(), volumes.usage())
      const [rotten] = pieces as [Piece]
      const name = `pieces/${pieceCid(rotten).slice(-3, -1)}/${pieceCid(rotten)}`
      const staged = await inBucket().stage(one(bytes(90_000, 9)))
      await staged.place(name)
      assert.equal(await again.stores[0]?.verify(rotten), false)
      assert.deepEqual(again.report()[0]?.damaged, [rotten])
      await assert.rejects(again.prove(rotten, 0), codeOf('pieceMissing'))
    })

    it('is away while its service is, and back with it', async () => {
      const volumes = await open([inBucket(), 'a'])
      const piece = await volumes.put(one(bytes(90_000)))
      await bucket.stop()
      await assert.rejects(volumes.prove(piece, 0), codeOf('volumeUnreachable'))
      assert.deepEqual(states(volumes), ['volumeUnreachable', 'present'])
      await volumes.put(one(bytes(90_000, 5)))
      bucket = await startBucket(at('bucket'), Number(new URL(bucket.url).port))
      await look(volumes)
      assert.ok(await volumes.prove(piece, 0))
    })
  })
})
