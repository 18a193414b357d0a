import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CairnError, TESTNET_PROFILE } from '@cairn/protocol'
import { silentLog, TESTNET_FILE, Testnet, testnetUp } from '@cairn/testnet'

describe('testnetUp', () => {
  let directory = ''
  let written: string[]
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-up-'))
    written = []
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  const dataDir = () => join(directory, 'testnet')
  const base = () => ({ dataDir: dataDir(), nodes: 2, seed: 1, json: true })
  const world = (signal: AbortSignal = new AbortController().signal) => ({
    screen: { write: (text: string) => written.push(text) },
    log: silentLog,
    signal,
  })

  it('refuses a network that cannot be', async () => {
    const wrong = [
      { nodes: 0 },
      { nodes: 65 },
      { providers: 3 },
      { gateways: 3 },
      { providers: 0 },
      { nodes: 1 },
    ]
    for (const change of wrong) {
      const started = testnetUp({ ...base(), ...change }, world())
      await assert.rejects(started, { code: 'badTestnet' }, JSON.stringify(change))
    }
    assert.deepEqual(written, [])
    assert.ok(!existsSync(join(dataDir(), TESTNET_FILE)))
  })

  it('refuses a profile that its chain did not begin with', async () => {
    const profile = { ...TESTNET_PROFILE, feeBurn: 1n }
    const init = { nodes: 2, providers: 1, gateways: 1, seed: 1, log: silentLog, profile }
    await assert.rejects(Testnet.start({ ...init, dataDir: dataDir() }), {
      code: 'otherParameters',
    })
    assert.ok(!existsSync(dataDir()))
  })

  it('starts nothing when the file is not there', async () => {
    const missing = testnetUp({ ...base(), file: join(directory, 'missing') }, world())
    await assert.rejects(missing, { code: 'noFile' })
    assert.ok(!existsSync(dataDir()))
  })

  it('does not begin a network that nobody could follow', async () => {
    const testnet = await Testnet.start({
      ...base(),
      providers: 1,
      gateways: 0,
      log: silentLog,
      preparationS: 0,
    })
    try {
      await assert.rejects(testnet.begin(), { code: 'genesisPassed' })
      const refused = new CairnError('tooFewProviders', 'too few operators took the piece')
      const late = { code: 'genesisPassed', cause: refused }
      await assert.rejects(
        testnet.early(() => Promise.reject(refused)),
        late,
      )
      await assert.rejects(testnet.fault('stop', []), { code: 'badRequest' })
      await assert.rejects(testnet.fault('stop', ['node3']), { code: 'unknownNode' })
      await testnet.fault('stop', ['node2'])
      assert.throws(() => testnet.daemon('node2'), { code: 'nodeStopped' })
    } finally {
      await testnet.stop()
    }
    await assert.rejects(testnet.fault('start', ['node2']), { code: 'testnetStopped' })
    assert.deepEqual(testnet.running(), [])
  })
})
