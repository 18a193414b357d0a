/** Deposits and rewards over checkpoints of the protocol's own trees. */
import { strict as assert } from 'node:assert'
import {
  cairnTokenAbi,
  depositsAbi,
  nodeRegistryAbi,
  PayoutClaims,
  rewardDistributorAbi,
} from '@cairn/contracts'
import { type Checkpoint, ListDepth, listRoot, Payout } from '@cairn/protocol'
import { bytesToHex, type Hex, hexToBytes, parseEther, parseEventLogs } from 'viem'
import { refusalOf, register, startNetwork, worldForEach } from './world.ts'

const FIRST_GAS = 105_000n
const LATER_GAS = 70_000n
/** Accounts in a busy network's payouts: what a claim costs depends on their number's logarithm. */
const ACCOUNTS = 4_096

describe('rewards', () => {
  const world = worldForEach()

  const at = {
    distributor: () =>
      ({ address: world.contracts.distributor, abi: rewardDistributorAbi }) as const,
    deposits: () => ({ address: world.contracts.deposits, abi: depositsAbi }) as const,
    token: () => ({ address: world.contracts.token, abi: cairnTokenAbi }) as const,
  }
  const balanceOf = (address: Hex) =>
    world.client.readContract({ ...at.token(), functionName: 'balanceOf', args: [address] })
  const account = (i: number) => hexToBytes(world.operator(i).account.address)

  it('are paid as the checkpoint says, out of fees and of what is minted', async () => {
    const client = world.operator(3)
    await world.mined(
      await world.deployer.writeContract({
        ...at.deposits(),
        functionName: 'deposit',
        args: [client.account.address, parseEther('50')],
      }),
    )
    const network = await startNetwork(world, 4)
    const { claims } = await land(network, network.first, [
      { account: account(1), earned: parseEther('600'), spent: 0n },
      { account: account(2), earned: parseEther('409'), spent: 0n },
      { account: account(3), earned: 0n, spent: parseEther('10') },
    ])
    const supply = await world.client.readContract({ ...at.token(), functionName: 'totalSupply' })
    await fund(claims)
    const before = await balanceOf(world.operator(1).account.address)
    await claim(claims, account(1), 9)
    const after = await balanceOf(world.operator(1).account.address)
    assert.equal(after - before, parseEther('600'))
    assert.equal(await balanceOf(world.contracts.distributor), parseEther('409'))
    assert.equal(await balanceOf(world.contracts.deposits), parseEther('40'))
    const now = await world.client.readContract({ ...at.token(), functionName: 'totalSupply' })
    // 1009 were earned, 9 of them out of fees, of which another 1 is burned.
    assert.equal(now - supply, parseEther('1000') - parseEther('1'))
  })

  it(`cost at most ${FIRST_GAS} gas the first time and ${LATER_GAS} later`, async () => {
    const network = await startNetwork(world, 1)
    const zero = await land(network, network.first, manyPayouts(parseEther('0.1')))
    await fund(zero.claims)
    const first = await claim(zero.claims, account(1), 1)
    const one = await land(network, zero.checkpoint, manyPayouts(parseEther('0.2')))
    await fund(one.claims)
    const later = await claim(one.claims, account(1), 1)
    assert.ok(first <= FIRST_GAS, `found ${first}`)
    assert.ok(later <= LATER_GAS, `found ${later}`)
  })

  it('can be added to a bond', async () => {
    await register(world, 0, { by: 1 })
    const network = await startNetwork(world, 1)
    const { claims } = await land(network, network.first, [
      { account: account(1), earned: parseEther('5'), spent: 0n },
    ])
    await fund(claims)
    const found = claims.claim(account(1))
    assert.ok(found !== undefined)
    const receipt = await world.mined(
      await world.operator(1).writeContract({
        ...at.distributor(),
        functionName: 'claimAndBond',
        args: [...found, 0],
      }),
    )
    const [log] = parseEventLogs({
      abi: nodeRegistryAbi,
      eventName: 'BondChanged',
      logs: receipt.logs,
    })
    assert.deepEqual(log?.args, { index: 0, bond: parseEther('1005') })
  })

  it('have no claim of an account that earned nothing', async () => {
    const network = await startNetwork(world, 1)
    const { claims } = await land(network, network.first, [
      { account: account(1), earned: 5n, spent: 0n },
      { account: account(2), earned: 0n, spent: 0n },
    ])
    await fund(claims)
    const found = claims.claim(account(2))
    assert.ok(found !== undefined)
    assert.equal(
      await refusalOf(
        world.client.simulateContract({
          ...at.distributor(),
          functionName: 'claim',
          args: found,
          account: world.operator(9).account,
        }),
      ),
      'NothingDue',
    )
    assert.equal(claims.claim(account(3)), undefined)
  })

  it('leave a deposit to its owner: with a leaf, and with the leaves around it', async () => {
    for (const i of [3, 4]) {
      await world.mined(
        await world.deployer.writeContract({
          ...at.deposits(),
          functionName: 'deposit',
          args: [world.operator(i).account.address, parseEther('50')],
        }),
      )
      await world.mined(
        await world.operator(i).writeContract({
          ...at.deposits(),
          functionName: 'requestWithdrawal',
          args: [parseEther('45')],
        }),
      )
    }
    const number = await world.client.getBlockNumber()
    const network = await startNetwork(world, 1)
    const { claims } = await land(
      network,
      network.first,
      [1, 2, 3, 5].map(i => ({
        account: account(i),
        earned: 0n,
        spent: i === 3 ? parseEther('10') : 0n,
      })),
      { base: { number, hash: new Uint8Array(32) } },
    )
    const [checkpoint] = claims.fund()
    const spender = world.operator(3).account.address
    const before = await balanceOf(spender)
    const proof = claims.withdrawal(account(3))
    assert.ok(proof !== undefined)
    await world.mined(
      await world.operator(9).writeContract({
        ...at.deposits(),
        functionName: 'withdraw',
        args: [spender, checkpoint, proof],
      }),
    )
    assert.equal((await balanceOf(spender)) - before, parseEther('40'))
    const other = world.operator(4).account.address
    const had = await balanceOf(other)
    assert.equal(claims.withdrawal(account(4)), undefined)
    await world.mined(
      await world.operator(9).writeContract({
        ...at.deposits(),
        functionName: 'withdrawUnspent',
        args: [other, checkpoint, claims.absence(account(4))],
      }),
    )
    assert.equal((await balanceOf(other)) - had, parseEther('45'))
  })

  async function land(
    network: Awaited<ReturnType<typeof startNetwork>>,
    parent: Checkpoint,
    payouts: readonly Payout[],
    change: Partial<Checkpoint> = {},
  ) {
    const ordered = payouts.toSorted((a, b) =>
      bytesToHex(a.account) < bytesToHex(b.account) ? -1 : 1,
    )
    const sum = (of: (payout: Payout) => bigint) => ordered.reduce((n, one) => n + of(one), 0n)
    const checkpoint = network.next(parent, {
      payouts: listRoot(
        ordered.map(payout => Payout.hashTreeRoot(payout)),
        ListDepth.payouts,
      ),
      earnedTotal: sum(({ earned }) => earned),
      spentTotal: sum(({ spent }) => spent),
      ...change,
    })
    await network.submit(network.argumentsOf(checkpoint))
    return { checkpoint, claims: new PayoutClaims({ checkpoint, payouts: ordered }) }
  }

  async function fund(claims: PayoutClaims) {
    await world.mined(
      await world.operator(8).writeContract({
        ...at.distributor(),
        functionName: 'fund',
        args: claims.fund(),
      }),
    )
  }

  async function claim(claims: PayoutClaims, to: Uint8Array, by: number): Promise<bigint> {
    const args = claims.claim(to)
    assert.ok(args !== undefined)
    const { gasUsed } = await world.mined(
      await world.operator(by).writeContract({
        ...at.distributor(),
        functionName: 'claim',
        args,
      }),
    )
    return gasUsed
  }

  /** The operator among strangers. */
  function manyPayouts(earned: bigint): Payout[] {
    const strangers = Array.from({ length: ACCOUNTS - 1 }, (_, i) => {
      const stranger = new Uint8Array(20)
      new DataView(stranger.buffer).setUint32(16, i + 1)
      return { account: stranger, earned, spent: 0n }
    })
    return [...strangers, { account: account(1), earned, spent: 0n }]
  }
})
