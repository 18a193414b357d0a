import { strict as assert } from 'node:assert'
import { FileIndex, type Stored } from '@cairn/node'
import { encodeLink, entryKey } from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'

const bytes32 = (value: number) => new Uint8Array(32).fill(value)

function stored(value: number, names: readonly string[]): Stored {
  const key = bytes32(value)
  const manifest = { root: bytes32(value + 100), payload: 50 }
  const entries = names.map((name, i) => ({ name, offset: 20 * i, bytes: i }))
  return {
    key,
    manifest,
    entries,
    sealed: Uint8Array.of(value),
    shape: { data: 2, total: 4 },
    map: {
      layout: { sealed: 0, data: 2, total: 4, shardBytes: 64, segmentsPerGroup: 1 },
      mask: bytes32(0),
      groups: [],
    },
    refusals: [],
    files: entries.map(({ name, bytes }, entry) => ({
      name,
      bytes,
      link: encodeLink({ manifest, entry, key: entryKey(key, entry) }),
    })),
  }
}

describe('file index', () => {
  it('lists what was stored with the same links, oldest first', async () => {
    const store = new MemoryStore()
    const index = new FileIndex({ store })
    const [pack, file] = [stored(1, ['a', 'größe']), stored(2, ['b'])]
    await index.add(pack, 2_000)
    await index.add(file, 1_000)
    const listed = await new FileIndex({ store }).list()
    assert.deepEqual(
      listed.map(({ createdAt, files }) => [createdAt, files.map(({ name }) => name)]),
      [
        [1_000, ['b']],
        [2_000, ['a', 'größe']],
      ],
    )
    assert.deepEqual(
      listed[1]?.files.map(({ link }) => link),
      pack.files.map(({ link }) => link),
    )
    assert.deepEqual(listed[0]?.shape, { data: 2, total: 4 })
  })

  it('forgets a pack with its last file', async () => {
    const store = new MemoryStore()
    const index = new FileIndex({ store })
    const pack = stored(1, ['a', 'b'])
    await index.add(pack, 0)
    const [a, b] = pack.files.map(({ link }) => link) as [string, string]
    const { file, upload } = await index.remove(a)
    assert.deepEqual([file.name, upload.files.map(({ name }) => name)], ['a', ['b']])
    await assert.rejects(index.remove(a), { code: 'notListed' })
    assert.deepEqual(
      (await index.list())[0]?.files.map(({ link }) => link),
      [b],
    )
    assert.deepEqual((await index.remove(b)).upload.files, [])
    assert.deepEqual(await index.list(), [])
    const left = store.range({ gte: Uint8Array.of(), lt: Uint8Array.of(255) })
    for await (const [key] of left) assert.fail(`left: ${key}`)
    await assert.rejects(index.remove('cairn:'), { code: 'badLink' })
  })
})
