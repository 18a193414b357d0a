import { strict as assert } from 'node:assert'
import { type CairnError, type Checkpoint, unhex } from '@cairn/protocol'
import { generatePrivateKey } from 'viem/accounts'
import {
  advanced,
  clock,
  following,
  hastened,
  openChain,
  signedAlone,
  soleGenesis,
  type TestChain,
} from './world.ts'

describe('submission', () => {
  let world: TestChain
  let network: Uint8Array
  let first: Checkpoint

  beforeEach(async () => {
    world = await openChain()
    first = soleGenesis()
    network = await world.begin(first)
  })
  afterEach(() => world.close())

  const open: TestChain['open'] = (...init) => world.open(...init)
  const submission = (checkpoint: Checkpoint) => signedAlone(checkpoint, network)
  const { signal } = new AbortController()
  /** Transactions that wait for a block. */
  const pending = async () => {
    const found = await world.client.request({ method: 'txpool_status' } as never)
    return Number((found as { pending: string }).pending)
  }
  /** Transactions of the submitting account in blocks; the first one allowed the registry. */
  const sent = async () => {
    const { address } = world.operator(15)
    return (await world.client.getTransactionCount({ address })) - 1
  }
  const until = async (holds: () => Promise<boolean>) => {
    while (!(await holds())) await clock.until(clock.now() + 10)
  }

  it('lands many checkpoints of one account, one after the other', async () => {
    const chain = await open()
    let parent = first
    for (let epoch = 0; epoch < 5; epoch++) {
      parent = following(parent)
      await chain.submit(submission(parent), signal)
    }
    await advanced(chain, () => chain.checkpointsAt(chain.head()?.number ?? 0n).length === 6)
  })

  it('sends nothing that the contract would refuse', async () => {
    const chain = await open()
    const wrong = { ...submission(following(first)), round: 1 }
    await assert.rejects(chain.submit(wrong, signal), (error: CairnError) => {
      assert.equal(error.code, 'reverted')
      assert.deepEqual(error.facts.error, 'BadSignature')
      return true
    })
    assert.equal(await sent(), 0)
  })

  it('says noFunds for an account that cannot pay', async () => {
    const chain = await open({ account: unhex(generatePrivateKey()) })
    await assert.rejects(chain.submit(submission(following(first)), signal), { code: 'noFunds' })
  })

  it('says chainUnavailable while no endpoint answers', async () => {
    const chain = await open()
    world.endpoint.fault = { kind: 'status', status: 500 }
    await assert.rejects(chain.submit(submission(following(first)), signal), {
      code: 'chainUnavailable',
    })
  })

  it('replaces, after a crash, the transaction that still waits', async () => {
    await world.client.setAutomine(false)
    const crashing = new AbortController()
    const before = await open()
    const lost = before.submit(submission(following(first)), crashing.signal)
    await until(async () => (await pending()) === 1)
    crashing.abort(new Error('crash'))
    await assert.rejects(lost, /crash/)
    await before.stop()
    const chain = await open()
    const again = chain.submit(submission(following(first)), signal)
    await until(async () => (await pending()) === 1)
    await world.mine()
    // Its own transaction, or the one from before the crash: either way the epoch has landed.
    await again.catch((error: CairnError) => assert.equal(error.code, 'alreadyAccepted'))
    await advanced(chain, () => chain.checkpointsAt(chain.head()?.number ?? 0n).length === 2)
    assert.equal(await pending(), 0)
    assert.equal(await sent(), 1)
  })

  it('gives up waiting when another account lands the epoch', async () => {
    await world.client.setAutomine(false)
    const chain = await open()
    const other = await open({ account: unhex(world.operator(14).privateKey) })
    const both = [chain, other].map(view =>
      view.submit(submission(following(first)), signal).then(
        () => 'landed',
        (error: CairnError) => error.code,
      ),
    )
    await until(async () => (await pending()) === 2)
    await world.mine()
    assert.deepEqual((await Promise.all(both)).toSorted(), ['alreadyAccepted', 'landed'])
  })

  it('raises the fee of a transaction that no block takes', async () => {
    const times = 200
    await world.client.setAutomine(false)
    const warnings: string[] = []
    const log = {
      error() {},
      warn: (_: object, text: string) => warnings.push(text),
      info() {},
      debug() {},
      child: () => log,
    }
    const chain = await open(
      { pollMs: 5_000, rpcLimits: { timeoutMs: 20_000 * times } },
      { clock: hastened(times), log },
    )
    const submitting = chain.submit(submission(following(first)), signal)
    const fee = async () => {
      const block = await world.client.getBlock({ blockTag: 'pending', includeTransactions: true })
      return block.transactions[0]?.maxFeePerGas
    }
    await until(async () => (await fee()) !== undefined)
    const offered = (await fee()) as bigint
    await until(async () => ((await fee()) ?? 0n) > offered)
    await world.mine()
    await submitting
    assert.ok(warnings.length > 0)
  })
})
