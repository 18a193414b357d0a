/** The deployment of a network on a real chain, with its process ending wherever it can. */
import { strict as assert } from 'node:assert'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Anvil,
  anvilTransport,
  deployedAt,
  FOUNDING_GAS,
  readFoundingFaults,
  startAnvil,
  testAccounts,
} from '@cairn/contracts'
import { type DeployNetworkInit, deployNetwork, parseFounding, parseManifest } from '@cairn/node'
import { CairnError } from '@cairn/protocol'
import {
  createPublicClient,
  createTestClient,
  createWalletClient,
  type Hex,
  hexToBytes,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { clock, type Endpoint, openEndpoint, quiet } from '../chain/world.ts'
import { settingsOf } from './settings.ts'

const SECRET: Hex = `0x${'5e'.repeat(32)}`
const OTHER: Hex = `0x${'5f'.repeat(32)}`
const DEPLOYER = privateKeyToAccount(SECRET).address
const HOLDERS = testAccounts(2)
/** Ten contracts, eight calls that say who may do what, and a grant each. */
const STEPS = 18 + HOLDERS.length

describe('the deployment of a network', function () {
  this.timeout(240_000)
  let anvil: Anvil | undefined
  let endpoint: Endpoint
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-deploy-'))
  })
  afterEach(async () => {
    await endpoint?.close()
    await anvil?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  async function world(init: Parameters<typeof startAnvil>[0] = {}) {
    anvil = await startAnvil({ genesis: 'empty', blockTime: 0, ...init })
    endpoint = await openEndpoint(anvil.rpcUrl)
    const transport = anvilTransport(anvil.rpcUrl)
    const client = createPublicClient({ transport, pollingInterval: 5 })
    const test = createTestClient({ mode: 'anvil', transport })
    for (const secret of [SECRET, OTHER]) {
      const { address } = privateKeyToAccount(secret)
      await test.setBalance({ address, value: 10n ** 19n })
    }
    return { transport, client, test }
  }

  const settings = (change: object = {}) =>
    parseFounding(
      settingsOf({
        chainId: anvil?.chainId,
        rpc: [endpoint.url],
        supply: HOLDERS.map(({ address }) => ({ account: address, tokens: '20000000' })),
        ...change,
      }),
    )
  const deploy = (
    change: Partial<DeployNetworkInit> = {},
    signal: AbortSignal = new AbortController().signal,
  ) => {
    const account = hexToBytes(SECRET)
    return deployNetwork(
      { settings: settings(), directory, account, clock, log: quiet, ...change },
      signal,
    )
  }

  it('leaves every role where it belongs, for less gas than the account is asked to have', async () => {
    const { client } = await world()
    const texts: string[] = []
    const { gasUsed, manifest, path } = await deploy({ progress: text => texts.push(text) })
    assert.ok(gasUsed <= FOUNDING_GAS, `${gasUsed} gas`)
    assert.ok(gasUsed * 2n > FOUNDING_GAS, `${gasUsed} gas: the bound is far off`)
    const { parameters } = settings()
    const contracts = deployedAt(DEPLOYER, 0)
    assert.deepEqual(manifest.chain.contracts, contracts)
    const plan = { deployer: DEPLOYER, parameters }
    assert.deepEqual(await readFoundingFaults(client, plan, contracts), [])
    assert.deepEqual(parseManifest(await readFile(path, 'utf8')), manifest)
    assert.equal(texts.length, STEPS)
    assert.match(texts.at(-1) ?? '', new RegExp(`^${STEPS} of ${STEPS}: tokens`))
  })

  it('pays for each step once, though it dies at every one, sent or not', async () => {
    const { client } = await world()
    const sent = () => client.getTransactionCount({ address: DEPLOYER })
    for (let step = 0; step < STEPS; step++) {
      const dying = new AbortController()
      const died = new Error(`died at ${step}`)
      const method = 'eth_sendRawTransaction'
      endpoint.fault =
        step % 2 === 0
          ? {
              kind: 'keep',
              method,
              // Signed and remembered, but no chain has it.
              get result() {
                dying.abort(died)
                return `0x${'11'.repeat(32)}`
              },
            }
          : {
              kind: 'lie',
              change(called, result) {
                if (called === method) dying.abort(died)
                return result
              },
            }
      await assert.rejects(deploy({}, dying.signal), error => error === died)
    }
    endpoint.fault = undefined
    await deploy()
    assert.equal(await sent(), STEPS)
    await deploy()
    assert.equal(await sent(), STEPS, 'nothing is left to do')
  })

  it('refuses to go on with other settings, another account, or what nobody can read', async () => {
    await world()
    await deploy()
    const guardian = HOLDERS[0]?.address
    await rejects(deploy({ settings: settings({ guardian }) }), 'foundingChanged')
    await rejects(deploy({ account: hexToBytes(OTHER) }), 'foundingChanged')
    const genesis = Math.floor(clock.now() / 1_000) + 7_200
    await rejects(deploy({ settings: settings({ genesis }) }), 'fileExists')
    await writeFile(join(directory, 'founding.json'), '{"schema":1')
    await rejects(deploy(), 'foundingDamaged')
  })

  it('does not let two deploy in one directory', async () => {
    await world()
    const both = await Promise.allSettled([deploy(), deploy()])
    const refused = both.flatMap(each => (each.status === 'rejected' ? [each.reason.code] : []))
    assert.deepEqual(refused, ['dataDirLocked'])
  })

  it('tells that the account sent something else in between', async () => {
    const { client, transport } = await world()
    const stop = new AbortController()
    const progress = () => stop.abort(new Error('stopped'))
    await assert.rejects(deploy({ progress }, stop.signal), /stopped/)
    const wallet = createWalletClient({ account: privateKeyToAccount(SECRET), transport })
    const hash = await wallet.sendTransaction({ to: DEPLOYER, chain: null })
    await client.waitForTransactionReceipt({ hash })
    await rejects(deploy(), 'nonceTaken')
  })

  it('is not begun without ether, on another chain, or with a guardian who deploys', async () => {
    const { test, client } = await world()
    await rejects(deploy({ settings: settings({ chainId: 1 }) }), 'wrongChain')
    await rejects(deploy({ settings: settings({ guardian: DEPLOYER }) }), 'badFounding')
    await test.setBalance({ address: DEPLOYER, value: 1n })
    await rejects(deploy(), 'noFunds')
    const genesis = Math.floor(clock.now() / 1_000) - 1
    await rejects(deploy({ settings: settings({ genesis }) }), 'genesisPassed')
    assert.equal(await client.getTransactionCount({ address: DEPLOYER }), 0)
    await assert.rejects(readFile(join(directory, 'founding.json')), { code: 'ENOENT' })
  })

  it('says what to do when ether runs out or the endpoint dies on the way, and goes on', async () => {
    await world()
    const goesOn = (code: string) => (error: unknown) =>
      error instanceof CairnError &&
      error.code === code &&
      /same command again/.test(error.next ?? '')
    const failing = async (step: number, fault: Endpoint['fault'], code: string) => {
      const progress = (text: string) => {
        if (text.startsWith(`${step} of`)) endpoint.fault = fault
      }
      await assert.rejects(deploy({ progress }), goesOn(code))
      endpoint.fault = undefined
    }
    const result = new Error('insufficient funds for gas * price + value')
    await failing(3, { kind: 'keep', method: 'eth_estimateGas', result }, 'noFunds')
    await failing(9, { kind: 'down' }, 'chainUnavailable')
    await deploy()
  })

  it('stays within the budget of a day', async () => {
    await world()
    const spending = { budgetPerDay: 10n ** 15n }
    await rejects(deploy({ spending }), 'gasBudget')
    await deploy()
  })

  it('is not begun on a chain that cannot check the committee’s signatures', async () => {
    await world({ hardfork: 'cancun' })
    await rejects(deploy(), 'noPrecompiles')
  })
})

async function rejects(attempt: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof CairnError, String(error))
    assert.equal(error.code, code, error.message)
    assert.ok(error.next !== undefined || code === 'dataDirLocked', 'says what to do')
    return true
  })
}
