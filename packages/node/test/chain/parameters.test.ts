import { strict as assert } from 'node:assert'
import { parameterWord } from '@cairn/contracts'
import type { Chain } from '@cairn/node'
import { PARAMETERS, TESTNET_PROFILE } from '@cairn/protocol'
import { advanced, openChain, type TestChain } from './world.ts'

describe('parameters on an EVM chain', function () {
  this.timeout(120_000)

  let world: TestChain
  let chain: Chain
  beforeEach(async () => {
    world = await openChain()
    chain = world.chain()
  })
  afterEach(() => world.close())

  const start = () => chain.start(new AbortController().signal)
  const changes = () =>
    chain.parametersAt(chain.head()?.number ?? 0n).map(({ name, value }) => [name, value] as const)

  it('are known as they began with the first block, also long after', async () => {
    await world.vote('weight.2', 2n)
    await start()
    assert.deepEqual(
      chain.foundingParameters(),
      new Map(PARAMETERS.map(({ name, of }) => [name, of(TESTNET_PROFILE)])),
    )
    assert.deepEqual(changes(), [['weight.2', 2n]])
  })

  it('are rolled back with the block that set them', async () => {
    await start()
    const { client } = world
    const snapshot = await client.snapshot()
    await world.vote('feeBurn', 150_000n)
    await advanced(chain, () => changes().length === 1)
    await client.revert({ id: snapshot })
    await world.mine(3)
    await advanced(chain, () => changes().length === 0)
    await world.vote('feeBurn', 60_000n)
    await advanced(chain, () => changes().length === 1)
    assert.deepEqual(changes(), [['feeBurn', 60_000n]])
  })

  it('are read from another endpoint where one leaves a change out', async () => {
    await world.vote('baseShare', 350_000n)
    world.endpoint.fault = {
      kind: 'lie',
      change: (method, result) => (method === 'eth_getLogs' ? [] : result),
    }
    chain = world.chain({ rpc: [world.endpoint.url, world.anvil.rpcUrl] })
    await start()
    assert.deepEqual(changes(), [['baseShare', 350_000n]])
  })

  it('that were added later begin with the event that says so', async () => {
    const parameter = { value: 5n, least: 1n, most: 9n, step: 1n }
    await world.decide('add', [{ name: parameterWord('weight.3'), ...parameter }])
    await start()
    assert.equal(chain.foundingParameters()?.has('weight.3'), false)
    assert.deepEqual(changes(), [['weight.3', 5n]])
  })
})
