import { strict as assert } from 'node:assert'
import { depositsAbi, nodeRegistryAbi } from '@cairn/contracts'
import type { Chain } from '@cairn/node'
import { hex } from '@cairn/protocol'
import { encodeEventTopics } from 'viem'
import {
  advanced,
  clock,
  type Fault,
  nodeSigner,
  openChain,
  openEndpoint,
  type TestChain,
} from './world.ts'

describe('deposits as a follower sees them', () => {
  let world: TestChain

  beforeEach(async () => {
    world = await openChain()
  })
  afterEach(() => world.close())

  const open: TestChain['open'] = (...init) => world.open(...init)
  const height = () => world.client.getBlockNumber({ cacheTime: 0 })
  const atHead = (chain: Chain) => chain.depositsAt(chain.head()?.number ?? 0n)
  const amounts = (chain: Chain) =>
    atHead(chain).map(({ deposited, requested }) => [deposited, requested])

  it('are not moved by the event of the same name that the registry has', async () => {
    await world.register(0)
    await world.deposit(0, 100n)
    await world.requestExit(0)
    await world.client.increaseTime({ seconds: 100 })
    await world.withdrawBond(0)
    const chain = await open()
    assert.deepEqual(amounts(chain), [[100n, 0n]])
    assert.equal(chain.registryAt(await height())[0]?.bond, 0n)
    assert.ok('Withdrawn' in named(depositsAbi) && 'Withdrawn' in named(nodeRegistryAbi))
  })

  it('are taken back by a reorganisation, and named again on the other branch', async () => {
    await world.deposit(0, 100n)
    const chain = await open()
    await world.nameKey(0, 3)
    await world.requestWithdrawal(0, 40n)
    await advanced(chain, () => atHead(chain)[0]?.requested === 40n)
    assert.deepEqual(atHead(chain)[0]?.key, nodeSigner(3).identity)
    await world.client.request({ method: 'anvil_reorg', params: [2, []] } as never)
    await world.mine()
    await advanced(chain, () => atHead(chain)[0]?.requested === 0n)
    assert.equal(atHead(chain)[0]?.key, undefined)
    const key = await world.nameKey(0, 4)
    await advanced(chain, () => atHead(chain)[0]?.key !== undefined)
    assert.deepEqual(atHead(chain)[0]?.key, key)
  })

  it('belong to a key only with its signature, whoever names it first', async () => {
    // Account 0 names the key of node 1 without its signature, then with that of another account.
    await world.nameKey(0, 1, new Uint8Array(64))
    await world.nameKey(1, 1)
    const chain = await open()
    const keys = atHead(chain).flatMap(({ account, key }) =>
      key ? [[hex(account), hex(key)]] : [],
    )
    const owner = world.operator(1).address.slice(2).toLowerCase()
    assert.deepEqual(keys, [[owner, hex(nodeSigner(1).identity)]])
  })

  for (const eventName of ['Deposited', 'WithdrawalRequested', 'KeyNamed'] as const) {
    it(`are had of the next endpoint where one leaves out ${eventName}`, async () => {
      const [topic] = encodeEventTopics({ abi: depositsAbi, eventName })
      const without: Fault = {
        kind: 'lie',
        change: (method, result) =>
          method === 'eth_getLogs'
            ? (result as { topics: string[] }[]).filter(({ topics }) => topics[0] !== topic)
            : result,
      }
      await world.deposit(0, 100n)
      await world.nameKey(0, 3)
      await world.requestWithdrawal(0, 40n)
      world.endpoint.fault = without
      const alone = await open()
      assert.deepEqual([alone.healthy(), alone.head()], [false, undefined])
      const second = await openEndpoint(world.anvil.rpcUrl)
      try {
        const chain = await open({ rpc: [world.endpoint.url, second.url] })
        while (chain.head()?.number !== (await height())) await clock.until(clock.now() + 5)
        assert.deepEqual(amounts(chain), [[100n, 40n]])
        assert.deepEqual(atHead(chain)[0]?.key, nodeSigner(3).identity)
      } finally {
        await second.close()
      }
    })
  }
})

function named(abi: readonly { type: string; name?: string }[]): Record<string, true> {
  const events = abi.filter(item => item.type === 'event')
  return Object.fromEntries(events.map(({ name }) => [name, true]))
}
