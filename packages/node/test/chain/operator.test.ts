import { strict as assert } from 'node:assert'
import { anvilTransport, cairnTokenAbi, TESTNET_PARAMETERS, testDeployer } from '@cairn/contracts'
import { Operator, type Order, signerOf } from '@cairn/node'
import {
  CairnError,
  deriveKeys,
  mnemonicOf,
  NonceChain,
  sha256,
  TOKEN,
  unhex,
} from '@cairn/protocol'
import { bytesToHex, createWalletClient, type Hex, parseEther } from 'viem'
import { Rpc } from '../../src/chain/rpc.ts'
import { Transactions } from '../../src/chain/transactions.ts'
import { clock, openChain, quiet, type TestChain } from './world.ts'

const LEAST = TESTNET_PARAMETERS.operatorMinimum
const CELL = 0x8c2a100d2c8a1ffn
const REGISTER = {
  act: 'register',
  cell: CELL,
  region: 1,
  subBand: 0,
  gain: -31,
  kinds: 6,
} as const satisfies Order

describe('operator', () => {
  let world: TestChain
  let rpcs: Rpc[]

  beforeEach(async () => {
    world = await openChain()
    rpcs = []
  })
  afterEach(async () => {
    for (const rpc of rpcs) rpc.stop()
    await world.close()
  })

  const { signal } = new AbortController()
  const keysOf = (number: number) => deriveKeys(mnemonicOf(sha256(Uint8Array.of(9, number))))
  const give = async (address: Hex, { ether = '1', tokens = 2n * LEAST } = {}) => {
    await world.client.setBalance({ address, value: parseEther(ether) })
    const deployer = createWalletClient({
      account: testDeployer().account,
      transport: anvilTransport(world.anvil.rpcUrl),
    })
    const hash = await deployer.writeContract({
      chain: null,
      address: world.access.contracts.token,
      abi: cairnTokenAbi,
      functionName: 'transfer',
      args: [address, tokens],
    })
    await world.client.waitForTransactionReceipt({ hash, pollingInterval: 5 })
  }
  /** An operator with fresh words; `keys` may be another's. */
  const operatorOf = (number: number, keys = keysOf(number)) => {
    const rpc = new Rpc({ clock, log: quiet }, { urls: world.access.rpc, chainId: 31_337 })
    rpcs.push(rpc)
    const { account } = keysOf(number)
    const transactions = new Transactions({ rpc, clock, log: quiet }, account.secret)
    const { identity } = keys
    const network = new Uint8Array(32)
    const { end } = new NonceChain({
      secret: identity.secret,
      network,
      identity: identity.publicKey,
    })
    const operator = new Operator(
      { rpc, transactions, clock },
      {
        chainId: world.access.chainId,
        contracts: world.access.contracts,
        account: account.secret,
        nodes: [{ signer: signerOf(keys), nonceEnd: end }],
      },
    )
    return { operator, address: bytesToHex(account.address) }
  }
  const does = (operator: Operator, order: Order) =>
    operator.carryOut(order, { dryRun: false, signal })
  const refusal = async (doing: Promise<unknown>) => {
    try {
      await doing
    } catch (error) {
      assert.ok(error instanceof CairnError, String(error))
      assert.ok(error.next !== undefined, `${error.code} says what to do`)
      return error.code
    }
    return assert.fail('expected a refusal')
  }
  const sent = (address: Hex) => world.client.getTransactionCount({ address })

  it('registers and bonds in one transaction, and says of a second time that it is done', async () => {
    const { operator, address } = operatorOf(0)
    await give(address)
    const { leastBond, node: none } = await operator.standing()
    assert.deepEqual([leastBond, none], [LEAST, undefined])
    const plan = await operator.carryOut(REGISTER, { dryRun: true, signal })
    assert.equal(plan.done, 'dryRun')
    assert.ok(plan.gas > 100_000n && plan.fee > 0n)
    assert.deepEqual([plan.tokens, await sent(address)], [LEAST, 0])

    const { done, node, tokens } = await does(operator, REGISTER)
    assert.deepEqual([done, tokens, await sent(address)], ['now', LEAST, 1])
    const { operator: by, payout, ...rest } = node ?? assert.fail('no node')
    assert.deepEqual([bytesToHex(by), bytesToHex(payout)], [address, address])
    assert.deepEqual(rest, {
      index: 0,
      bond: LEAST,
      cell: CELL,
      region: 1,
      subBand: 0,
      gain: -31,
      kinds: 6,
      exitAt: 0,
      returnsAt: 0,
      state: 'registered',
    })
    const again = await does(operator, REGISTER)
    assert.deepEqual([again.done, again.node?.index, await sent(address)], ['before', 0, 1])
    const chain = await world.open()
    const [entry] = chain.registryAt(chain.head()?.number ?? 0n)
    await chain.stop()
    assert.deepEqual(entry?.identity, keysOf(0).identity.publicKey)
  })

  it('says what an account lacks before it sends anything', async () => {
    const { operator, address } = operatorOf(0)
    assert.equal(await refusal(does(operator, REGISTER)), 'noTokens')
    await give(address, { ether: '0' })
    assert.equal(await refusal(does(operator, REGISTER)), 'noFunds')
    assert.equal(await refusal(does(operator, { ...REGISTER, bond: LEAST - 1n })), 'bondTooLow')
    assert.equal(await refusal(does(operator, { ...REGISTER, cell: 1n })), 'badCell')
    assert.equal(await refusal(does(operator, { act: 'exit' })), 'notRegistered')
    assert.equal(await refusal(does(operator, { act: 'exit', node: 7 })), 'unknownNode')
    assert.equal(await sent(address), 0)
  })

  it('lets nobody register keys of another’s node, or touch it', async () => {
    const owner = operatorOf(0)
    await give(owner.address)
    await does(owner.operator, REGISTER)
    const thief = operatorOf(1, keysOf(0))
    await give(thief.address)
    assert.equal(await refusal(does(thief.operator, REGISTER)), 'keysUsed')
    const orders: Order[] = [
      { act: 'exit' },
      { act: 'withdraw' },
      { act: 'place', gain: 1 },
      { act: 'offer', payout: unhex(thief.address) },
    ]
    for (const order of orders) {
      assert.equal(await refusal(does(thief.operator, order)), 'notOperator')
    }
    assert.equal(await sent(thief.address), 0)
  })

  it('adds to the bond of any node by a permit, which is all that is approved', async () => {
    const { operator, address } = operatorOf(0)
    await give(address)
    await does(operator, REGISTER)
    const friend = operatorOf(1)
    await give(friend.address)
    const { node } = await does(friend.operator, { act: 'bond', node: 0, amount: 7n })
    assert.equal(node?.bond, LEAST + 7n)
    const { client, access } = world
    const allowance = await client.readContract({
      address: access.contracts.token,
      abi: cairnTokenAbi,
      functionName: 'allowance',
      args: [friend.address, access.contracts.registry],
    })
    assert.equal(allowance, 0n)
    const all = { act: 'bond', node: 0, amount: 3n * LEAST } as const
    assert.equal(await refusal(does(friend.operator, all)), 'noTokens')
  })

  it('adds to the bond once under a reference, and again under another', async () => {
    const { operator, address } = operatorOf(0)
    await give(address, { tokens: 3n * LEAST })
    await does(operator, REGISTER)
    const more = async (amount: bigint, reference: string) => {
      const order = { act: 'bond', amount } as const
      const { node } = await operator.carryOut(order, { dryRun: false, signal, reference })
      return (node?.bond ?? 0n) - LEAST
    }
    const amount = 2n * LEAST - 9n
    assert.equal(await more(amount, 'a'), amount)
    assert.equal(await more(amount, 'a'), amount)
    assert.equal(await sent(address), 2)
    const again = { act: 'bond', amount } as const
    const before = await operator.carryOut(again, { dryRun: true, signal, reference: 'a' })
    assert.deepEqual([before.done, before.orderedAt !== undefined], ['before', true])
    assert.equal(await refusal(more(4n, 'a')), 'referenceUsed')
    assert.equal(await sent(address), 2)
    assert.equal(await more(4n, 'b'), amount + 4n)
    assert.equal(await refusal(more(6n, 'c')), 'noTokens')
  })

  it('changes place for the fee, and payout and kinds in one transaction without', async () => {
    const { operator, address } = operatorOf(0)
    await give(address)
    await does(operator, REGISTER)
    const { placeFee, tokens: before } = await operator.standing()
    assert.equal(placeFee, 10n * TOKEN)
    assert.equal((await does(operator, { act: 'place', gain: -31 })).done, 'before')
    const moved = await does(operator, { act: 'place', gain: 12 })
    assert.deepEqual([moved.node?.gain, moved.node?.cell, moved.tokens], [12, CELL, placeFee])
    assert.equal((await operator.standing()).tokens, before - placeFee)
    const payout = new Uint8Array(20).fill(7)
    const count = await sent(address)
    const offer = { act: 'offer', payout, kinds: 2 } as const
    const { node } = await does(operator, offer)
    assert.deepEqual([node?.payout, node?.kinds], [payout, 2])
    assert.equal(await sent(address), count + 1)
    assert.equal((await does(operator, offer)).done, 'before')
  })

  it('leaves in two steps, each of which says of a second time that it is done', async () => {
    const { operator, address } = operatorOf(0)
    await give(address)
    await does(operator, REGISTER)
    assert.equal(await refusal(does(operator, { act: 'withdraw' })), 'exitNotDue')
    const { node } = await does(operator, { act: 'exit' })
    assert.equal(node?.state, 'leaving')
    assert.equal(node.returnsAt, node.exitAt + Number(TESTNET_PARAMETERS.exitDelay))
    assert.equal((await does(operator, { act: 'exit' })).done, 'before')
    assert.equal(await refusal(does(operator, { act: 'withdraw' })), 'exitNotDue')
    assert.equal(await refusal(does(operator, { act: 'place', gain: 1 })), 'nodeLeaving')
    assert.equal(await refusal(does(operator, { act: 'bond', amount: 1n })), 'nodeLeaving')
    const payout = new Uint8Array(20).fill(7)
    assert.equal((await does(operator, { act: 'offer', payout })).done, 'now')

    await world.client.increaseTime({ seconds: Number(TESTNET_PARAMETERS.exitDelay) })
    await world.mine()
    const late = operatorOf(0)
    const { tokens: before } = await late.operator.standing()
    const ahead = {
      ...clock,
      now: () => clock.now() + 1_000 * Number(TESTNET_PARAMETERS.exitDelay),
    }
    const withdrawing = new Operator(
      { rpc: rpcs[0] as Rpc, transactions: transactionsOf(rpcs[0] as Rpc), clock: ahead },
      {
        chainId: world.access.chainId,
        contracts: world.access.contracts,
        account: keysOf(0).account.secret,
        nodes: [{ signer: signerOf(keysOf(0)), nonceEnd: new Uint8Array(32) }],
      },
    )
    const left = await does(withdrawing, { act: 'withdraw' })
    assert.deepEqual([left.done, left.node?.state], ['now', 'left'])
    assert.equal((await late.operator.standing()).tokens, before + LEAST)
    assert.equal((await does(withdrawing, { act: 'withdraw' })).done, 'before')
    assert.equal(await refusal(does(operator, REGISTER)), 'keysUsed')
  })

  const transactionsOf = (rpc: Rpc) =>
    new Transactions({ rpc, clock, log: quiet }, keysOf(0).account.secret)
})
