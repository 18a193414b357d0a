import { strict as assert } from 'node:assert'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkStoreModel, openLevelStore, type StoreWorld, storeCases } from '@cairn/node'
import fc from 'fast-check'

const directory = () => mkdtemp(join(tmpdir(), 'cairn-level-'))

async function open(): Promise<StoreWorld> {
  const path = await directory()
  let store = await openLevelStore(path)
  return {
    store,
    async reopen() {
      await store.close()
      store = await openLevelStore(path)
      return store
    },
    async remove() {
      await store.close()
      await rm(path, { recursive: true })
    },
  }
}

describe('LevelDB store', () => {
  for (const { title, run } of storeCases(open)) it(title, run)

  it('answers like a sorted map', () => checkStoreModel(fc, open))

  it('names the directory that another one holds', async () => {
    const path = await directory()
    const store = await openLevelStore(path)
    await assert.rejects(openLevelStore(path), error => {
      const { code, facts, message } = error as { code: string; facts: object; message: string }
      assert.equal(code, 'dataDirLocked')
      assert.deepEqual(facts, { directory: path })
      assert.ok(message.includes(path))
      return true
    })
    await store.close()
    await (await openLevelStore(path)).close()
    await rm(path, { recursive: true })
  })

  it('says storeUnavailable where a file is in the way', async () => {
    const path = await directory()
    const file = join(path, 'file')
    await writeFile(file, '')
    await assert.rejects(openLevelStore(join(file, 'db')), { code: 'storeUnavailable' })
    await rm(path, { recursive: true })
  })

  it('says storeCorrupt when the manifest is damaged', async () => {
    const path = await directory()
    await (await openLevelStore(path)).close()
    await writeFile(join(path, 'CURRENT'), 'nonsense')
    await assert.rejects(openLevelStore(path), { code: 'storeCorrupt' })
    await rm(path, { recursive: true })
  })
})
