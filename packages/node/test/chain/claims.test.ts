import { strict as assert } from 'node:assert'
import { cairnTokenAbi, rewardDistributorAbi } from '@cairn/contracts'
import {
  type Claimable,
  Claims,
  claimableOf,
  claimableOfProof,
  type Payouts,
  systemClock,
} from '@cairn/node'
import {
  CairnError,
  type Checkpoint,
  inclusionProof,
  ListDepth,
  listRoot,
  Payout,
  type ProofFile,
  sha256,
  TOKEN,
  unhex,
} from '@cairn/protocol'
import { Rpc } from '../../src/chain/rpc.ts'
import { Transactions } from '../../src/chain/transactions.ts'
import {
  clock,
  following,
  openChain,
  quiet,
  signedAlone,
  soleGenesis,
  type TestChain,
} from './world.ts'

const { signal } = new AbortController()

describe('claims', () => {
  let world: TestChain
  let network: Uint8Array
  let last: Checkpoint
  let landed: Map<number, Claimable & { proof(account: Uint8Array): ProofFile }>
  let rpcs: Rpc[]

  beforeEach(async () => {
    world = await openChain()
    rpcs = []
    landed = new Map()
    last = soleGenesis()
    network = await world.begin(last)
  })
  afterEach(async () => {
    for (const rpc of rpcs) rpc.stop()
    await world.close()
  })

  const account = (i: number) => unhex(world.operator(i).address)
  const balanceOf = (i: number) =>
    world.client.readContract({
      address: world.access.contracts.token,
      abi: cairnTokenAbi,
      functionName: 'balanceOf',
      args: [world.operator(i).address],
    })
  const funded = () =>
    world.client.readContract({
      address: world.access.contracts.distributor,
      abi: rewardDistributorAbi,
      functionName: 'lastEpoch',
    })
  /** Lands the next checkpoint, in which accounts 1, 2, ... have earned these tokens in all. */
  const land = async (...earned: number[]) => {
    const payouts = earned
      .map((tokens, i) => ({
        account: account(i + 1),
        earned: BigInt(tokens) * TOKEN,
        spent: 0n,
      }))
      .toSorted((a, b) => Buffer.compare(a.account, b.account))
    const leaves = payouts.map(payout => Payout.hashTreeRoot(payout))
    const checkpoint = following(last, {
      payouts: listRoot(leaves, ListDepth.payouts),
      earnedTotal: payouts.reduce((sum, payout) => sum + payout.earned, 0n),
    })
    const chain = await world.open()
    await chain.submit(signedAlone(checkpoint, network), signal)
    await chain.stop()
    last = checkpoint
    const epoch = Number(checkpoint.epoch)
    landed.set(epoch, {
      ...claimableOf({ checkpoint, payouts }),
      proof(of) {
        const position = payouts.findIndex(payout => Buffer.compare(payout.account, of) === 0)
        const payout = payouts[position] as Payout
        const inclusion = inclusionProof({ checkpoint, field: 'payouts', leaves, position })
        return { network, epoch, checkpoint, inclusion, payout }
      },
    })
    return epoch
  }
  const settled: Payouts = {
    last: () => Math.max(-1, ...landed.keys()),
    of: async epoch => landed.get(epoch),
  }
  /** A desk of the operator with this number. */
  const desk = (i: number, payouts = settled) => {
    const rpc = new Rpc({ clock, log: quiet }, { urls: world.access.rpc, chainId: 31_337 })
    rpcs.push(rpc)
    const secret = unhex(world.operator(i).privateKey)
    const transactions = new Transactions({ rpc, clock, log: quiet }, secret)
    const { checkpoints, distributor } = world.access.contracts
    return new Claims(
      { rpc, transactions, payouts, clock: systemClock() },
      { contracts: { checkpoints, distributor } },
    )
  }
  const wish = { accounts: [] as Uint8Array[], all: false, dryRun: false, signal }
  const refusal = async (claiming: Promise<unknown>) => {
    try {
      await claiming
    } catch (error) {
      assert.ok(error instanceof CairnError, String(error))
      assert.ok(error.next !== undefined, `${error.code} says what to do`)
      return [error.code, error.facts.error]
    }
    return assert.fail('expected a refusal')
  }

  it('open the checkpoint first where nobody has, and pay exactly once', async () => {
    assert.deepEqual(await refusal(desk(1).claim({ ...wish, accounts: [account(1)] })), [
      'notActive',
      undefined,
    ])
    await land(5, 7)
    const before = await balanceOf(1)
    const wanted = { ...wish, accounts: [account(1)] }
    const planned = await desk(1).claim({ ...wanted, dryRun: true })
    assert.deepEqual([planned.done, planned.funded, planned.total], ['dryRun', true, 5n * TOKEN])
    assert.equal(await balanceOf(1), before)

    const done = await desk(1).claim(wanted)
    assert.deepEqual([done.done, done.funded, done.transactions.length], ['now', true, 2])
    assert.equal((await balanceOf(1)) - before, 5n * TOKEN)
    assert.deepEqual((await desk(1).claim(wanted)).done, 'before')
    const [mine] = (await desk(1).earnings([account(1)])).accounts
    assert.deepEqual(mine, {
      account: account(1),
      earned: 5n * TOKEN,
      spent: 0n,
      claimed: 5n * TOKEN,
      claimable: 0n,
      waiting: 0n,
    })
    await land(6, 7)
    assert.equal((await desk(2).claim(wanted)).total, TOKEN)
    assert.equal((await balanceOf(1)) - before, 6n * TOKEN)
  })

  it('go on where another opens the checkpoint meanwhile', async () => {
    await land(5, 7)
    let opening = true
    /** The other is faster just when this one knows that the checkpoint is not open. */
    const overtaken: Payouts = {
      ...settled,
      async of(wanted) {
        if (opening) {
          opening = false
          await desk(3).claim({ ...wish, accounts: [account(2)] })
        }
        return settled.of(wanted)
      },
    }
    const wanted = { ...wish, accounts: [account(1)] }
    const planned = await desk(1, overtaken).claim({ ...wanted, dryRun: true })
    assert.deepEqual([planned.done, planned.funded, planned.total], ['dryRun', false, 5n * TOKEN])
    await land(6, 8)
    opening = true
    const done = await desk(1, overtaken).claim(wanted)
    assert.deepEqual([done.done, done.funded, done.transactions.length], ['now', false, 1])
  })

  it('look again where a later checkpoint was opened meanwhile, and theirs passed over', async () => {
    await land(5, 7)
    let opening = true
    const overtaken: Payouts = {
      ...settled,
      async of(wanted) {
        if (opening) {
          opening = false
          await land(6, 8)
          await desk(3).claim({ ...wish, accounts: [account(2)] })
        }
        return settled.of(wanted)
      },
    }
    const done = await desk(1, overtaken).claim({ ...wish, accounts: [account(1)] })
    assert.deepEqual([done.epoch, done.funded, done.total], [1, false, 6n * TOKEN])
  })

  it('wait until the checkpoint is active, and say when that is', async () => {
    await world.close()
    world = await openChain({ activationDelay: 600n })
    network = await world.begin(last)
    const epoch = await land(5)
    const { timestamp } = await world.client.getBlock()
    const standing = await desk(1).earnings([account(1)])
    assert.deepEqual(
      [standing.epoch, standing.active, standing.funded],
      [epoch, undefined, undefined],
    )
    assert.equal(standing.nextActiveAt, Number(timestamp) + 600)
    const [mine] = standing.accounts
    assert.deepEqual([mine?.claimable, mine?.waiting], [0n, 5n * TOKEN])
    const wanted = { ...wish, accounts: [account(1)] }
    assert.deepEqual(await refusal(desk(1).claim(wanted)), ['notActive', undefined])
    await world.client.increaseTime({ seconds: 600 })
    await world.mine()
    assert.equal((await desk(1).claim(wanted)).total, 5n * TOKEN)
  })

  it('are refused while the contract has paid out what it may, and pay the rest later', async () => {
    await world.close()
    world = await openChain({ outflowMax: 3n * TOKEN })
    network = await world.begin(last)
    await land(5, 7)
    const wanted = { ...wish, accounts: [account(1)] }
    const before = await balanceOf(1)
    assert.equal((await desk(1).claim(wanted)).total, 3n * TOKEN)
    assert.equal((await balanceOf(1)) - before, 3n * TOKEN)
    assert.deepEqual(await refusal(desk(1).claim(wanted)), ['outflowLimit', undefined])
    await world.client.increaseTime({ seconds: 86_400 })
    await world.mine()
    assert.deepEqual((await desk(1).claim(wanted)).paid, [
      { account: account(1), amount: 2n * TOKEN },
    ])
    assert.equal((await balanceOf(1)) - before, 5n * TOKEN)
  })

  it('pay others to themselves, one or all, and pass over who has nothing due', async () => {
    await land(5, 0, 9)
    const before = await Promise.all([1, 2, 3, 4].map(balanceOf))
    const stranger = sha256(Uint8Array.of(1)).slice(12)
    const some = await desk(4).claim({ ...wish, accounts: [account(3), stranger, account(2)] })
    assert.deepEqual(some.paid, [{ account: account(3), amount: 9n * TOKEN }])
    const all = await desk(4).claim({ ...wish, all: true })
    assert.deepEqual(all.paid, [{ account: account(1), amount: 5n * TOKEN }])
    const after = await Promise.all([1, 2, 3, 4].map(balanceOf))
    assert.deepEqual(
      after.map((now, i) => now - (before[i] as bigint)),
      [5n * TOKEN, 0n, 9n * TOKEN, 0n],
    )
    assert.equal((await desk(4).claim({ ...wish, all: true })).done, 'before')
    assert.equal((await desk(4).claim({ ...wish, accounts: [stranger] })).done, 'before')
  })

  it('add to a bond what the sender earned, and nothing else', async () => {
    await world.register(1)
    await land(5, 7)
    const bonding = { ...wish, bond: 0 }
    const other = desk(1).claim({ ...bonding, accounts: [account(2)] })
    assert.deepEqual(await refusal(other), ['notOwnAccount', undefined])
    const none = desk(1).claim({ ...bonding, accounts: [account(1)], bond: 9 })
    assert.deepEqual(await refusal(none), ['claimRefused', 'NoNode'])
    const before = await balanceOf(1)
    const { total } = await desk(1).claim({ ...bonding, accounts: [account(1)] })
    assert.equal(total, 5n * TOKEN)
    assert.equal(await balanceOf(1), before)
  })

  describe('by a proof file', () => {
    const proofOf = (epoch: number, i: number) =>
      (landed.get(epoch) as { proof(of: Uint8Array): ProofFile }).proof(account(i))

    it('need no node: they open the checkpoint and pay its account', async () => {
      const epoch = await land(5, 7, 9, 11, 13)
      for (const i of [5, 2]) {
        const before = await balanceOf(i)
        const payouts = claimableOfProof(proofOf(epoch, i))
        const done = await desk(9, payouts).claim({ ...wish, accounts: [account(i)] })
        assert.deepEqual([done.done, done.funded], ['now', i === 5])
        assert.equal((await balanceOf(i)) - before, BigInt(3 + 2 * i) * TOKEN)
      }
      assert.equal(await funded(), BigInt(epoch))
    })

    it('still pay by an older epoch that was opened, and by none that was passed over', async () => {
      const zero = await land(5, 7)
      const opened = proofOf(zero, 1)
      await desk(3).claim({ ...wish, accounts: [account(2)] })
      const one = await land(6, 8)
      const passed = proofOf(one, 1)
      await land(7, 9)
      await desk(3).claim({ ...wish, accounts: [account(2)] })
      const by = (proof: ProofFile) =>
        desk(9, claimableOfProof(proof)).claim({ ...wish, accounts: [account(1)] })
      assert.deepEqual(await refusal(by(passed)), ['claimRefused', 'NotFunded'])
      const command = `cairn ledger prove --payout ${world.operator(1).address.toLowerCase()} --epoch 2`
      await assert.rejects(by(passed), (error: CairnError) => {
        assert.deepEqual([error.facts.epoch, error.facts.opened], [one, 2])
        return error.next?.includes(command) ?? false
      })
      assert.equal((await by(opened)).total, 5n * TOKEN)
      assert.equal((await by(opened)).done, 'before')
    })

    it('wait for their own checkpoint, though an earlier one is active', async () => {
      await world.close()
      world = await openChain({ activationDelay: 600n })
      network = await world.begin(last)
      await land(5, 7)
      await world.client.increaseTime({ seconds: 600 })
      await world.mine()
      const epoch = await land(6, 8)
      const payouts = claimableOfProof(proofOf(epoch, 1))
      const wanted = { ...wish, accounts: [account(1)] }
      assert.deepEqual(await refusal(desk(9, payouts).claim(wanted)), ['notActive', undefined])
      await world.client.increaseTime({ seconds: 600 })
      await world.mine()
      assert.equal((await desk(9, payouts).claim(wanted)).total, 6n * TOKEN)
    })

    it('are refused where they do not hold, or are of another checkpoint', async () => {
      const epoch = await land(5, 7)
      const proof = proofOf(epoch, 1)
      const more = { ...(proof.payout as Payout), earned: 6n * TOKEN }
      assert.throws(() => claimableOfProof({ ...proof, payout: more }), CairnError)
      const leaf = Payout.hashTreeRoot(more)
      const forged = { ...proof, payout: more, inclusion: { ...proof.inclusion, leaf } }
      assert.throws(() => claimableOfProof(forged), CairnError)
      // Whole in itself, and of a checkpoint that nobody accepted.
      const checkpoint = {
        ...proof.checkpoint,
        payouts: listRoot([leaf], ListDepth.payouts),
        earnedTotal: more.earned,
      }
      const inclusion = inclusionProof({
        checkpoint,
        field: 'payouts',
        leaves: [leaf],
        position: 0,
      })
      const own = claimableOfProof({ network, epoch, checkpoint, inclusion, payout: more })
      const claiming = desk(1, own).claim({ ...wish, accounts: [account(1)] })
      assert.deepEqual(await refusal(claiming), ['claimRefused', 'OtherCheckpoint'])
      const later = { ...proof, epoch: 40, checkpoint: { ...proof.checkpoint, epoch: 40n } }
      assert.throws(() => claimableOfProof(later), CairnError)
    })
  })
})
