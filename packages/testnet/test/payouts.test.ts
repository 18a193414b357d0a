import { strict as assert } from 'node:assert'
import { cairnTokenAbi, PayoutClaims, rewardDistributorAbi } from '@cairn/contracts'
import { type Checkpoint, compareBytes, ListDepth, listRoot, Payout, TOKEN } from '@cairn/protocol'
import { hexToBytes } from 'viem'
import { openWorld, startNetwork, type World } from '../../contracts/test/world.ts'
import { claimAll, giveTo } from '../src/payouts.ts'

describe('payouts at the end of a testnet', function () {
  this.timeout(120_000)
  let world: World
  let network: Awaited<ReturnType<typeof startNetwork>>

  beforeEach(async () => {
    world = await openWorld()
    network = await startNetwork(world, 1)
  })
  afterEach(() => world.anvil.stop())

  /** Lands a checkpoint in which operators 1, 2, ... have earned these tokens in all. */
  async function land(parent: Checkpoint, ...earned: bigint[]) {
    const payouts = earned
      .map((tokens, i) => ({ account: account(i + 1), earned: tokens * TOKEN, spent: 0n }))
      .toSorted((a, b) => compareBytes(a.account, b.account))
    const checkpoint = network.next(parent, {
      payouts: listRoot(
        payouts.map(payout => Payout.hashTreeRoot(payout)),
        ListDepth.payouts,
      ),
      earnedTotal: earned.reduce((sum, tokens) => sum + tokens, 0n) * TOKEN,
      spentTotal: 0n,
    })
    await network.submit(network.argumentsOf(checkpoint))
    return { checkpoint, payouts }
  }
  const account = (i: number) => hexToBytes(world.operator(i).account.address)
  /** Sends the funding as a node does; resolves with the transaction, which waits for a block. */
  const fund = (landed: Awaited<ReturnType<typeof land>>) =>
    world.operator(8).writeContract({
      address: world.contracts.distributor,
      abi: rewardDistributorAbi,
      functionName: 'fund',
      args: new PayoutClaims(landed).fund(),
    })
  const balanceOf = (i: number) =>
    world.client.readContract({
      address: world.contracts.token,
      abi: cairnTokenAbi,
      functionName: 'balanceOf',
      args: [world.operator(i).account.address],
    })
  const claimed = (landed: Awaited<ReturnType<typeof land>>) =>
    claimAll({ rpcUrl: world.anvil.rpcUrl, contracts: world.contracts }, landed)

  it('are opened and paid, every one', async () => {
    const before = await Promise.all([balanceOf(1), balanceOf(2)])
    const landed = await land(network.first, 5n, 7n)
    assert.equal(await claimed(landed), true)
    assert.equal((await balanceOf(1)) - (before[0] as bigint), 5n * TOKEN)
    assert.equal((await balanceOf(2)) - (before[1] as bigint), 7n * TOKEN)
    assert.equal(await claimed(landed), true, 'a second time nothing is left to do')
  })

  it('are paid where a node’s funding waits for its block meanwhile', async () => {
    const landed = await land(network.first, 5n, 7n)
    await world.client.setAutomine(false)
    await fund(landed)
    await world.client.setIntervalMining({ interval: 1 })
    assert.equal(await claimed(landed), true)
  })

  it('are paid where a node has funded a later checkpoint too', async () => {
    const zero = await land(network.first, 5n, 7n)
    await world.mined(await fund(zero))
    await world.mined(await fund(await land(zero.checkpoint, 6n, 9n)))
    assert.equal(await claimed(zero), true)
  })
})

describe('an account that is given money', () => {
  let world: World
  before(async () => {
    world = await openWorld()
  })
  after(() => world.anvil.stop())

  it('has just the ether and the tokens more', async () => {
    const access = { rpcUrl: world.anvil.rpcUrl, contracts: world.contracts }
    const address = `0x${'ab'.repeat(20)}` as const
    const held = async () => [
      await world.client.getBalance({ address }),
      await world.client.readContract({
        address: world.contracts.token,
        abi: cairnTokenAbi,
        functionName: 'balanceOf',
        args: [address],
      }),
    ]
    const give = async (ether: bigint, tokens: bigint) =>
      (await giveTo(access, { account: 'ab'.repeat(20), ether, tokens })).transactions.length
    assert.equal(await give(TOKEN / 2n, 3n * TOKEN), 2)
    assert.deepEqual(await held(), [TOKEN / 2n, 3n * TOKEN])
    assert.equal(await give(0n, 1n), 1)
    assert.deepEqual(await held(), [TOKEN / 2n, 3n * TOKEN + 1n])
  })
})
