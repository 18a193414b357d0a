/** A team founds a network by commands alone, on a chain that has nothing but ether. */
import { strict as assert } from 'node:assert'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Anvil, anvilTransport, startAnvil } from '@cairn/contracts'
import { systemClock } from '@cairn/node'
import { hex, sha256 } from '@cairn/protocol'
import { LocalBeacon } from '@cairn/testnet'
import { createTestClient, type Hex, parseEther, testActions } from 'viem'
import { type CairnFailure, cairn, jsonOf, spawnCairn } from '../packages/cli/test/process.ts'
import { until } from './network.ts'

const OPERATORS = ['one', 'two', 'three']
/** From the settings to genesis: for all that comes before it, on an idle machine and on a busy one. */
const PREPARATION_S = 40
const PREPARATION_MAX_S = 320
/** Ten epochs: the first that is settled is accepted in two. */
const ACCEPTED_MS = 240_000

describe('founding a network', function () {
  this.timeout(1_200_000)

  let directory: string
  let anvil: Anvil
  let beacon: LocalBeacon
  let daemons: ChildProcess[]

  async function open(): Promise<void> {
    daemons = []
    directory = await mkdtemp(join(tmpdir(), 'cairn-founding-'))
    anvil = await startAnvil({ genesis: 'empty', blockTime: 0 })
  }
  async function close(): Promise<void> {
    for (const daemon of daemons) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue
      const ended = once(daemon, 'close')
      daemon.kill('SIGKILL')
      await ended
    }
    await beacon?.stop()
    await anvil?.stop()
    await rm(directory, { recursive: true, force: true })
  }

  // Also where mocha gives up waiting.
  after(close)

  const home = (name: string) => ['--data-dir', join(directory, name), '--json']
  const command = async <T>(name: string, ...args: string[]): Promise<T> => {
    const ended = await cairn([...args, ...home(name)])
    assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
    return jsonOf<T>(ended)
  }
  const refused = async (name: string, ...args: string[]): Promise<string> => {
    const ended = await cairn([...args, ...home(name)])
    assert.notEqual(ended.code, 0, `${args.join(' ')}: ${ended.stdout}`)
    return jsonOf<CairnFailure>(ended).error.code
  }

  it('deploys, goes on after a crash, registers, starts, and has a checkpoint accepted', async () => {
    for (let preparationS = PREPARATION_S; ; preparationS *= 2) {
      const genesis = Math.floor(Date.now() / 1_000) + preparationS
      try {
        await open()
        return await found(genesis)
      } catch (error) {
        // Other work may keep the machine from being ready in time.
        const late = /genesisPassed|startRefused/.test(String(error))
        if (!late || preparationS === PREPARATION_MAX_S) throw error
      } finally {
        await close()
      }
    }
  })

  async function found(genesis: number): Promise<void> {
    const test = createTestClient({ mode: 'anvil', transport: anvilTransport(anvil.rpcUrl) })
    const accounts: Record<string, Hex> = {}
    const initialised = ['founder', ...OPERATORS].map(async name => {
      const { account } = await command<{ account: Hex }>(name, 'init')
      accounts[name] = account
    })
    await Promise.all(initialised)
    const clock = systemClock()
    const secret = sha256(Uint8Array.of(7))
    secret[0] = 0
    const drand = { genesis: genesis - 1, period: 1 }
    beacon = new LocalBeacon({ clock }, { secret, ...drand })
    const settings = {
      schema: 1,
      name: 'founded',
      chainId: anvil.chainId,
      rpc: [anvil.rpcUrl],
      finality: 0,
      genesis,
      profile: { name: 'testnet' },
      drand: { publicKey: hex(beacon.publicKey), ...drand, url: await beacon.listen() },
      guardian: `0x${'6a'.repeat(20)}`,
      supply: OPERATORS.map(name => ({ account: accounts[name], tokens: '10000' })),
    }
    const file = join(directory, 'settings.json')
    await writeFile(file, JSON.stringify(settings))
    const out = join(directory, 'network')
    const deploy = ['network', 'deploy', file, '--out', out]
    assert.equal(await refused('founder', ...deploy), 'noFunds')
    for (const address of Object.values(accounts)) {
      await test.setBalance({ address, value: parseEther('10') })
    }

    const killed = spawnCairn([...deploy, '--data-dir', join(directory, 'founder')])
    killed.stdout.resume()
    for await (const line of createInterface(killed.stderr)) {
      if (/^4 of /.test(line)) break
    }
    const gone = once(killed, 'close')
    killed.kill('SIGKILL')
    await gone
    interface Deployed {
      manifest: string
      network: string
      contracts: Record<string, Hex>
    }
    const deployed = await command<Deployed>('founder', ...deploy)
    assert.equal(Object.keys(deployed.contracts).length, 10)
    assert.deepEqual(
      await command<Deployed>('founder', ...deploy),
      deployed,
      'nothing is left to do',
    )

    // From here on the chain has a clock.
    await test.extend(testActions({ mode: 'anvil' })).setIntervalMining({ interval: 1 })
    const network = ['--network', deployed.manifest]
    await Promise.all(OPERATORS.map(name => joinWith(name, network)))
    const start = ['network', 'start', ...network]
    interface Started {
      done: string
      members: { index: number; weight: number }[]
    }
    assert.equal(await refused('one', ...start), 'notStarter')
    const planned = await command<Started>('founder', ...start)
    assert.deepEqual([planned.done, planned.members.length], ['dryRun', OPERATORS.length])
    const [first = '', ...others] = OPERATORS
    const bootstrap = await run(first, [])
    await Promise.all(others.map(name => run(name, bootstrap)))
    const started = await command<Started>('founder', ...start, '--yes')
    assert.deepEqual([started.done, started.members], ['now', planned.members])
    assert.equal((await command<Started>('founder', ...start, '--yes')).done, 'before')

    const status = async () => jsonOf<{ accepted: number }>(await cairn(['status', ...home('one')]))
    await until(ACCEPTED_MS, status, ({ accepted }) => accepted >= 0)
  }

  /** The files go into the data directory, as an operator copies them. */
  async function joinWith(name: string, network: readonly string[]): Promise<void> {
    const manifest = network[1] as string
    for (const from of ['network.json', 'genesis.ssz']) {
      const bytes = await readFile(join(manifest, '..', from))
      await writeFile(join(directory, name, from), bytes)
    }
    const done = await command<{ done: string }>(name, 'register', '--kinds', 'none')
    assert.equal(done.done, 'now')
  }

  /** Resolves with the addresses of the daemon. */
  async function run(name: string, bootstrap: readonly string[]): Promise<string[]> {
    const settings = [
      'p2p.listen=/ip4/127.0.0.1/tcp/0',
      'api.port=0',
      'p2p.privateAddresses=true',
      ...(bootstrap.length === 0 ? [] : [`p2p.bootstrap=${bootstrap.join(',')}`]),
    ]
    const child = spawnCairn(['start', ...home(name), ...settings.flatMap(each => ['--set', each])])
    daemons.push(child)
    const [line] = await once(createInterface(child.stdout), 'line')
    return (JSON.parse(line as string) as { addresses: string[] }).addresses
  }
})
