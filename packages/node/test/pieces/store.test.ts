import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createVolume, type Log, openPieceStore, type PieceStore, piecesCases } from '@cairn/node'
import { type Piece, pieceCid } from '@cairn/protocol'

const lines: { level: string; text: string }[] = []
const level = (name: string) => (_: object, text: string) => lines.push({ level: name, text })
const log: Log = {
  error: level('error'),
  warn: level('warn'),
  info: level('info'),
  debug: level('debug'),
  child: () => log,
}

const QUOTA = 16 * 1024 * 1024
const bytes = (length: number, fill = 3) => new Uint8Array(length).fill(fill)

async function* one(part: Uint8Array) {
  yield part
}

async function files(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  return found.filter(entry => entry.isFile()).map(({ name }) => name)
}

describe('piece store', () => {
  let directory: string

  beforeEach(async () => {
    lines.length = 0
    directory = await mkdtemp(join(tmpdir(), 'cairn-pieces-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  async function open(quota = QUOTA): Promise<PieceStore> {
    return await openPieceStore({ log }, { directory, volume: 'one', quota })
  }

  async function create(quota = QUOTA): Promise<PieceStore> {
    await createVolume({ directory, volume: 'one' })
    return await open(quota)
  }

  const path = (piece: Piece) =>
    join(directory, 'pieces', pieceCid(piece).slice(-3, -1), pieceCid(piece))

  for (const { title, run } of piecesCases(async quota => ({
    pieces: await create(quota),
    remove: async () => {},
  }))) {
    it(title, run)
  }

  it('finds everything again after a restart', async () => {
    const store = await create()
    const kept = [await store.put(one(bytes(100_000))), await store.put(one(bytes(5, 4)))]
    const again = await open()
    assert.deepEqual(again.usage(), store.usage())
    for (const piece of kept) {
      assert.ok(again.has(piece))
      assert.deepEqual(await again.prove(piece, 0), await store.prove(piece, 0))
    }
  })

  it('refuses a directory that is not the volume it was told', async () => {
    await assert.rejects(open(), { code: 'volumeMissing' })
    await createVolume({ directory, volume: 'two' })
    await assert.rejects(open(), error => {
      const { code, facts } = error as { code: string; facts: object }
      assert.equal(code, 'otherVolume')
      assert.deepEqual(facts, { location: directory, volume: 'one', found: 'two' })
      return true
    })
    await assert.rejects(createVolume({ directory, volume: 'one' }), { code: 'volumeExists' })
  })

  it('refuses a volume file that a newer version or nobody wrote', async () => {
    const file = join(directory, 'volume.json')
    await writeFile(file, JSON.stringify({ layout: 2, volume: 'one' }))
    await assert.rejects(open(), { code: 'newerVolume' })
    for (const text of ['', '{', 'null', '[]', '{"layout":"1","volume":"one"}']) {
      await writeFile(file, text)
      await assert.rejects(open(), error => {
        const { code, next } = error as { code: string; next?: string }
        assert.equal(code, 'badVolume')
        assert.match(next ?? '', /remove volume.json if no node keeps anything here/)
        return true
      })
    }
  })

  it('becomes a volume although a crash cut its label short before', async () => {
    await writeFile(join(directory, 'volume.json.new'), '{"lay')
    await create()
    assert.deepEqual(await files(directory), ['volume.json'])
  })

  it('cleans up what a crash left half written', async () => {
    const store = await create()
    const piece = await store.put(one(bytes(100_000)))
    const before = store.usage()
    await writeFile(join(directory, 'incoming', '7'), bytes(5_000))
    const other = join(directory, 'pieces', 'zz')
    await mkdir(other)
    // The crash came between the two renames.
    await writeFile(join(other, `${pieceCid({ ...piece, payload: 9 })}.tree`), bytes(32))
    const again = await open()
    assert.deepEqual(again.usage(), before)
    assert.deepEqual(
      (await files(directory)).sort(),
      [pieceCid(piece), `${pieceCid(piece)}.tree`, 'volume.json'].sort(),
    )
  })

  it('makes a lost tree again from the payload', async () => {
    const store = await create()
    const piece = await store.put(one(bytes(100_000)))
    const tree = `${path(piece)}.tree`
    const before = await readFile(tree)
    for (const spoil of [() => rm(tree), () => writeFile(tree, bytes(1))]) {
      await spoil()
      assert.ok((await open()).has(piece))
      assert.deepEqual(await readFile(tree), before)
    }
  })

  it('moves a payload apart that is not what its name says', async () => {
    const store = await create()
    const short = await store.put(one(bytes(100_000)))
    const changed = await store.put(one(bytes(100_000, 5)))
    await writeFile(path(short), bytes(99_999))
    await writeFile(path(changed), bytes(100_000, 6))
    await rm(`${path(changed)}.tree`)
    const again = await open()
    assert.deepEqual(again.list(), [])
    // What was moved apart is still on the disk.
    assert.equal(again.usage().used, 199_999)
    assert.equal(again.lost().length, 2)
    assert.equal(lines.filter(line => line.level === 'error').length, 2)
    assert.equal((await stat(join(directory, 'damaged', pieceCid(short)))).size, 99_999)
    await again.put(one(bytes(100_000)))
    await again.delete(changed)
    assert.deepEqual(again.lost(), [])
    assert.deepEqual((await files(directory)).length, 3, 'label, payload and tree')
  })

  it('proves nothing from damaged files', async () => {
    const store = await create()
    const piece = await store.put(one(bytes(100_000)))
    const payload = await readFile(path(piece))
    payload[70_000] = 9
    await writeFile(path(piece), payload)
    await assert.rejects(store.prove(piece, 3_000), { code: 'pieceDamaged' })
    assert.ok(await store.prove(piece, 0))
    const again = await open()
    await writeFile(`${path(piece)}.tree`, bytes(64))
    await assert.rejects(again.prove(piece, 0), { code: 'pieceDamaged' })
    const range = { piece, offset: 0, length: 1 }
    await assert.rejects(again.readProven(range), { code: 'pieceDamaged' })
    await rm(path(piece))
    await assert.rejects(store.read(piece, 0, 1), { code: 'pieceDamaged' })
  })

  it('leaves nothing behind when a put fails', async () => {
    const store = await create()
    async function* broken() {
      yield bytes(5_000)
      throw new Error('the line is dead')
    }
    await assert.rejects(store.put(broken()), /the line is dead/)
    assert.deepEqual(await files(directory), ['volume.json'])
  })

  it('does not let puts at the same time overrun the quota together', async () => {
    const store = await create(150_000)
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map(fill => store.put(one(bytes(60_000, fill)))),
    )
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 2)
    assert.ok(store.usage().used <= 150_000)
    assert.equal(store.list().length, 2)
  })
})
