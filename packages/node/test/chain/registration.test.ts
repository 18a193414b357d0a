import { strict as assert } from 'node:assert'
import { anvilTransport, cairnTokenAbi, testDeployer } from '@cairn/contracts'
import { type RegisterInit, registerNode, startNetwork } from '@cairn/node'
import { type CairnError, unhex } from '@cairn/protocol'
import { createWalletClient, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import {
  clock,
  NODE_FACTS,
  nodeSigner,
  openChain,
  quiet,
  soleGenesis,
  type TestChain,
} from './world.ts'

describe('registration', () => {
  let world: TestChain

  beforeEach(async () => {
    world = await openChain()
  })
  afterEach(() => world.close())

  const { signal } = new AbortController()
  const register = (number: number, change: Partial<RegisterInit> = {}) =>
    registerNode(
      { clock, log: quiet },
      {
        chain: world.access,
        operator: unhex(world.operator(number).privateKey),
        signer: nodeSigner(number),
        node: NODE_FACTS,
        signal,
        ...change,
      },
    )

  it('gives the node its index, and everything said of it to those who follow', async () => {
    const payout = new Uint8Array(20).fill(7)
    const node = { ...NODE_FACTS, cell: 0x8c2a100d2c8a1ffn, gain: -31, kinds: 6 }
    const { index, block } = await register(0, { payout, node })
    assert.equal(index, 0)
    const chain = await world.open()
    const [entry] = chain.registryAt(block)
    await chain.stop()
    const { timestamp } = await world.client.getBlock({ blockNumber: block })
    assert.deepEqual(entry, {
      ...node,
      index: 0,
      operator: unhex(world.operator(0).address),
      payout,
      identity: nodeSigner(0).identity,
      voting: nodeSigner(0).voting,
      registeredAt: Number(timestamp),
      exitAt: 0,
    })
  })

  it('registers many nodes at once, each by its own operator', async () => {
    const found = await Promise.all(Array.from({ length: 8 }, (_, i) => register(i)))
    assert.deepEqual(
      found.map(({ index }) => index).toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7],
    )
  })

  it('permits the bond of an operator who has approved none, in one transaction', async () => {
    const secret = generatePrivateKey()
    const { address } = privateKeyToAccount(secret)
    await world.client.setBalance({ address, value: parseEther('1') })
    const deployer = createWalletClient({
      account: testDeployer().account,
      transport: anvilTransport(world.anvil.rpcUrl),
    })
    await deployer.writeContract({
      chain: null,
      address: world.access.contracts.token,
      abi: cairnTokenAbi,
      functionName: 'transfer',
      args: [address, NODE_FACTS.bond],
    })
    const { index } = await register(3, { operator: unhex(secret) })
    assert.equal(index, 0)
    assert.equal(await world.client.getTransactionCount({ address }), 1)
  })

  const refusal = async (registering: Promise<unknown>) => {
    try {
      await registering
    } catch (error) {
      const { code, facts } = error as CairnError
      return [code, facts.error]
    }
    return assert.fail('expected a refusal')
  }

  it('names the contract’s own reason for a refusal', async () => {
    await register(0)
    assert.deepEqual(await refusal(register(0)), ['registrationRefused', 'KeyUsed'])
    const low = { ...NODE_FACTS, bond: 1n }
    assert.deepEqual(await refusal(register(1, { node: low })), [
      'registrationRefused',
      'NodeBondTooLow',
    ])
    const rich = { ...NODE_FACTS, bond: parseEther('100001') }
    assert.deepEqual(await refusal(register(1, { node: rich })), [
      'registrationRefused',
      'ERC20InsufficientBalance',
    ])
  })

  it('says noFunds, wrong chain, and that the chain is away', async () => {
    await world.client.setBalance({ address: world.operator(2).address, value: 0n })
    assert.equal((await refusal(register(2)))[0], 'noFunds')
    const poor = register(0, { operator: unhex(generatePrivateKey()) })
    assert.deepEqual(await refusal(poor), ['registrationRefused', 'ERC20InsufficientBalance'])
    const chain = { ...world.access, chainId: 1 }
    await assert.rejects(register(0, { chain }), (error: CairnError) => {
      assert.equal(error.code, 'wrongChain')
      assert.match(error.message, /is of chain 31337, expected one of chain 1$/)
      return true
    })
    world.endpoint.fault = { kind: 'down' }
    const away = { ...world.access, rpc: [world.endpoint.url] }
    assert.equal((await refusal(register(0, { chain: away })))[0], 'chainUnavailable')
  })

  it('starts the network once', async () => {
    const { timestamp } = await world.client.getBlock()
    const start = (genesis: number) =>
      startNetwork(
        { clock, log: quiet },
        {
          chain: world.access,
          starter: unhex(testDeployer().privateKey),
          genesis,
          checkpoint: soleGenesis(),
          signal,
        },
      )
    assert.deepEqual(await refusal(start(Number(timestamp))), ['startRefused', 'GenesisPassed'])
    await start(Number(timestamp) + 100)
    assert.deepEqual(await refusal(start(Number(timestamp) + 200)), [
      'startRefused',
      'AlreadyStarted',
    ])
  })
})
