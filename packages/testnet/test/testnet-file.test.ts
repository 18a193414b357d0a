import { strict as assert } from 'node:assert'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTestnetFile, testnetFilePath, writeTestnetFile } from '@cairn/testnet'
import { fileOf } from './testnet-file.ts'

describe('testnet.json', () => {
  let dataDir = ''
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'cairn-file-'))
  })
  afterEach(() => rm(dataDir, { recursive: true, force: true }))

  it('is read as it was written, and appears whole', async () => {
    const file = fileOf({ pid: 4_711 })
    assert.equal(await writeTestnetFile(dataDir, file), testnetFilePath(dataDir))
    assert.deepEqual(await readTestnetFile(dataDir), file)
    await writeTestnetFile(dataDir, fileOf())
    assert.deepEqual(await readTestnetFile(dataDir), fileOf())
    assert.deepEqual(await readdir(dataDir), ['testnet.json'], 'nothing half-written stays')
  })

  it('is missing where no testnet runs', async () => {
    await assert.rejects(readTestnetFile(dataDir), {
      code: 'noTestnet',
      facts: { path: testnetFilePath(dataDir) },
    })
  })

  it('is refused with the path of what is wrong', async () => {
    const good = fileOf()
    const wrong: [unknown, RegExp][] = [
      ['', /testnet\.json/],
      [{ ...good, schema: 2 }, /schema/],
      [{ ...good, pid: 0 }, /pid/],
      [{ ...good, network: 'ab' }, /network/],
      [{ ...good, extra: true }, /extra/],
      [{ ...good, chain: { ...good.chain, rpc: 'nowhere' } }, /chain\.rpc/],
      [{ ...good, nodes: [{ ...good.nodes[0], index: -1 }] }, /nodes\[0\]\.index/],
    ]
    for (const [content, message] of wrong) {
      await writeFile(testnetFilePath(dataDir), JSON.stringify(content))
      await assert.rejects(readTestnetFile(dataDir), { code: 'badTestnetFile', message })
    }
  })

  it('is not written wrong', async () => {
    await assert.rejects(writeTestnetFile(dataDir, fileOf({ pid: -1 })))
    assert.deepEqual(await readdir(dataDir), [])
  })
})
