import { strict as assert } from 'node:assert'
import { type AccountChain, Depositor, identityKey } from '@cairn/node'
import {
  type CairnError,
  type Checkpoint,
  hex,
  ListDepth,
  listRoot,
  Payout,
  sha256,
  TOKEN,
  unhex,
} from '@cairn/protocol'
import {
  advanced,
  following,
  nodeSigner,
  openChain,
  signedAlone,
  soleGenesis,
  type TestChain,
} from './world.ts'

const { signal } = new AbortController()

describe('a deposit by hand', () => {
  let world: TestChain
  /** By epoch. */
  let payouts: Map<number, readonly Payout[]>

  beforeEach(async () => {
    world = await openChain()
    payouts = new Map()
  })
  afterEach(() => world.close())

  /** Of an operator's account, for the identity key of the node of the same number. */
  const open = async (number: number, node = number) => {
    const chain = await world.open({ account: unhex(world.operator(number).privateKey) })
    const { rpc, transactions } = chain
    const payoutsOf = async (epoch: number) => payouts.get(epoch)
    return {
      chain,
      depositor: new Depositor(
        { chain, rpc, transactions, payoutsOf },
        { ...world.access, dealKey: identityKey(nodeSigner(node)) },
      ),
    }
  }
  const entryOf = (chain: AccountChain, number: number) => {
    const account = world.operator(number).address.slice(2).toLowerCase()
    return chain.depositsAt(chain.head()?.number ?? 0n).find(it => hex(it.account) === account)
  }

  it('names its key with the first payment, and adds up', async () => {
    const { chain, depositor } = await open(0)
    const first = await depositor.add(5n * TOKEN, signal)
    assert.equal(first.transactions.length, 3)
    await advanced(chain, () => entryOf(chain, 0)?.deposited === 5n * TOKEN)
    assert.deepEqual(entryOf(chain, 0)?.key, nodeSigner(0).identity)
    const { transactions, standing } = await depositor.add(TOKEN / 2n, signal)
    assert.equal(transactions.length, 2)
    assert.equal(standing.deposited, 5n * TOKEN + TOKEN / 2n)
    assert.deepEqual(standing.key, nodeSigner(0).identity)
    const before = first.standing.tokens - standing.tokens
    assert.equal(before, TOKEN / 2n)
  })

  it('pays once under a reference, though the answer to the first order is lost', async () => {
    const { chain, depositor } = await open(0)
    await depositor.add(TOKEN, signal)
    await advanced(chain, () => entryOf(chain, 0)?.deposited === TOKEN)
    const { tokens } = await depositor.standing()
    // More than half: what is there afterwards would not do for a second payment.
    const amount = (2n * tokens) / 3n
    const { deposits } = world.access.contracts
    const before = await world.client.getBlockNumber()
    const isOfPayment = (receipt: unknown) => {
      const { to, blockNumber = '0x0' } = (receipt ?? {}) as { to?: string; blockNumber?: string }
      return to === deposits.toLowerCase() && BigInt(blockNumber) > before
    }
    const lost = new AbortController()
    world.endpoint.fault = {
      kind: 'lie',
      change: (method, result) => {
        if (method !== 'eth_getTransactionReceipt' || !isOfPayment(result)) return result
        lost.abort(new Error('gone'))
        return null
      },
    }
    await assert.rejects(depositor.add(amount, lost.signal, 'rent'), { message: 'gone' })
    world.endpoint.fault = undefined
    const { standing, transactions } = await depositor.add(amount, signal, 'rent')
    assert.deepEqual([standing.deposited, transactions.length], [TOKEN + amount, 1])
    const count = await world.client.getTransactionCount({ address: world.operator(0).address })
    await depositor.add(amount, signal, 'rent')
    assert.equal(
      await world.client.getTransactionCount({ address: world.operator(0).address }),
      count,
    )
    assert.equal((await depositor.add(amount, signal, 'rent')).fee !== undefined, true)
    await assert.rejects(depositor.add(1n, signal, 'rent'), { code: 'referenceUsed' })
    const other = await depositor.add(1n, signal, 'more')
    assert.equal(other.standing.deposited, TOKEN + amount + 1n)
  })

  it('refuses what would not do what is meant, before anything is paid', async () => {
    const { chain, depositor } = await open(0)
    const { tokens } = await depositor.standing()
    const sent = () => world.client.getTransactionCount({ address: world.operator(0).address })
    const count = await sent()
    const refused = async (code: string, run: () => Promise<unknown>) => {
      await assert.rejects(run, (error: CairnError) => {
        assert.equal(error.code, code)
        assert.ok(error.next)
        return true
      })
      assert.equal(await sent(), count)
    }
    await refused('badAmount', () => depositor.add(0n, signal))
    await refused('noTokens', () => depositor.add(tokens + 1n, signal))
    await refused('aboveDeposit', () => depositor.request(1n, signal))
    await refused('nothingRequested', () => depositor.withdraw(signal))
    // Another account names this key; this account names another.
    await world.nameKey(1, 0)
    await advanced(chain, () => entryOf(chain, 1)?.key !== undefined)
    await refused('dealKeyTaken', () => depositor.add(1n, signal))
    const other = await open(1, 2)
    await assert.rejects(other.depositor.add(1n, signal), { code: 'otherDealKey' })
  })

  it('is taken out as far as a checkpoint after the request leaves it, by leaf or absence', async () => {
    const [{ chain, depositor }, other] = [await open(0), await open(1)]
    const first = soleGenesis()
    const network = await world.begin(first)
    await depositor.add(10n * TOKEN, signal)
    await other.depositor.add(10n * TOKEN, signal)
    await depositor.request(8n * TOKEN, signal)
    await other.depositor.request(undefined, signal)
    const at = (await other.depositor.standing()).requestedAt
    const land = async (parent: Checkpoint, base: bigint, spent: bigint) => {
      const account = unhex(world.operator(0).address)
      const list = [{ account, earned: 0n, spent }]
      const checkpoint = following(parent, {
        base: { number: base, hash: sha256(Uint8Array.of(1)) },
        payouts: listRoot(
          list.map(payout => Payout.hashTreeRoot(payout)),
          ListDepth.payouts,
        ),
        spentTotal: spent,
      })
      const epoch = Number(checkpoint.epoch)
      payouts.set(epoch, list)
      await chain.submit(signedAlone(checkpoint, network), signal)
      for (const view of [chain, other.chain]) {
        await advanced(view, () => {
          const found = view.checkpointsAt(view.head()?.number ?? 0n)
          return found.at(-1)?.epoch === epoch
        })
      }
      return checkpoint
    }
    await assert.rejects(depositor.withdraw(signal), { code: 'withdrawalNotDue' })
    const zero = await land(first, at - 2n, TOKEN)
    await assert.rejects(depositor.withdraw(signal), { code: 'withdrawalNotDue' })
    const one = await land(zero, at, 4n * TOKEN)
    payouts.delete(1)
    await assert.rejects(depositor.withdraw(signal), { code: 'noPayouts' })
    const two = await land(one, at, 4n * TOKEN)
    const taken = await depositor.withdraw(signal)
    assert.equal(taken.amount, 6n * TOKEN)
    assert.equal(taken.standing.deposited, 4n * TOKEN)
    assert.equal(taken.standing.spent, 4n * TOKEN)
    assert.equal(taken.standing.requested, 0n)
    await assert.rejects(depositor.withdraw(signal), { code: 'nothingRequested' })
    const whole = await other.depositor.withdraw(signal)
    assert.equal(whole.amount, 10n * TOKEN)
    await depositor.request(undefined, signal)
    const { requestedAt } = await depositor.standing()
    await land(two, requestedAt, 4n * TOKEN)
    await assert.rejects(depositor.withdraw(signal), { code: 'nothingLeft' })
  })
})
