/** What becomes of a piece that rots on the disk of a running provider. */
import { strict as assert } from 'node:assert'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adopted, quickTestnet, type Running, until } from './network.ts'

const PROVIDER = 'node1'
const CLIENT = 'node4'
/** An epoch or two until a challenge meets it, and ten seconds until it is looked at, ms. */
const SOON_MS = 120_000
const TEST_MS = 300_000

describe('a piece that rots on a disk', function () {
  this.timeout(TEST_MS)
  let running: Running

  before(async () => {
    running = await quickTestnet({ seed: 5 })
  })
  after(() => running.end())

  it('is moved apart, told to its client, and its deal ends', async () => {
    const { testnet, file } = running
    const provider = testnet.daemon(PROVIDER)
    const client = testnet.daemon(CLIENT)
    const { dataDir, index } = file.nodes.find(({ name }) => name === PROVIDER) ?? assert.fail()
    await adopted(provider.node, 0)
    const own = (await client.view.deals()).filter(deal => deal.provider === index)
    const [{ piece: cid, id }] = own.filter(({ role }) => role === 'client') as [(typeof own)[0]]
    const path = join(dataDir, 'pieces', 'pieces', cid.slice(-3, -1), cid)
    await writeFile(path, (await readFile(path)).fill(1))

    const damaged = async () => (await provider.view.volumes()).flatMap(volume => volume.damaged)
    await until(SOON_MS, damaged, found => found.includes(cid))
    const { reasons } = await provider.view.status()
    assert.ok(reasons.some(({ code }) => code === 'damaged'))
    assert.ok(!(await provider.view.pieces()).some(piece => piece.cid === cid))

    const deal = async () => {
      const all = await client.view.deals()
      return all.find(found => Buffer.compare(found.id, id) === 0)
    }
    await until(SOON_MS, deal, found => found?.ending === true)
    await until(SOON_MS, deal, found => found === undefined)
    assert.deepEqual(testnet.monitor.violations, [])
  })
})
