import { strict as assert } from 'node:assert'
import { type Chain, type Clock, evmChain, type Submission, systemClock } from '@cairn/node'
import {
  bls,
  type CairnError,
  Checkpoint,
  checkpointRoot,
  committeeWord,
  emptyState,
  genesisCheckpoint,
  sha256,
  unhex,
  voteSigningRoot,
} from '@cairn/protocol'
import { generatePrivateKey } from 'viem/accounts'
import { advanced, clock, openChain, type TestChain } from './world.ts'

const SECRET = sha256(Uint8Array.of(0)).map((byte, i) => (i === 0 ? byte & 0x3f : byte))
const MEMBERS = [{ key: bls.publicKey(SECRET), weight: 1 }]

describe('submission', () => {
  let world: TestChain
  let opened: Chain[]
  let network: Uint8Array
  let first: Checkpoint

  beforeEach(async () => {
    world = await openChain()
    opened = []
    first = genesisCheckpoint({
      state: emptyState([]),
      kinds: [],
      committee: committeeWord(MEMBERS),
      rulesVersion: 1,
    })
    network = await world.begin(first)
  })
  afterEach(async () => {
    for (const chain of opened) await chain.stop()
    await world.close()
  })

  const open = async (...change: Parameters<TestChain['chain']>): Promise<Chain> => {
    const chain = world.chain(...change)
    opened.push(chain)
    await chain.start(new AbortController().signal)
    return chain
  }
  const after = (parent: Checkpoint): Checkpoint => ({
    ...parent,
    epoch: BigInt.asUintN(64, parent.epoch + 1n),
    parent: checkpointRoot(parent),
  })
  const submission = (checkpoint: Checkpoint): Submission => {
    const root = checkpointRoot(checkpoint)
    const vote = voteSigningRoot({ epoch: checkpoint.epoch, round: 0n, checkpoint: root }, network)
    return {
      checkpoint: Checkpoint.serialize(checkpoint),
      round: 0,
      committee: { members: MEMBERS, absent: [] },
      signature: bls.sign(vote, SECRET),
    }
  }
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
      parent = after(parent)
      await chain.submit(submission(parent), signal)
    }
    await advanced(chain, () => chain.checkpointsAt(chain.head()?.number ?? 0n).length === 6)
  })

  it('sends nothing that the contract would refuse', async () => {
    const chain = await open()
    const wrong = { ...submission(after(first)), round: 1 }
    await assert.rejects(chain.submit(wrong, signal), (error: CairnError) => {
      assert.equal(error.code, 'reverted')
      assert.deepEqual(error.facts.error, 'BadSignature')
      return true
    })
    assert.equal(await sent(), 0)
  })

  it('says noFunds for an account that cannot pay', async () => {
    const chain = await open({ account: unhex(generatePrivateKey()) })
    await assert.rejects(chain.submit(submission(after(first)), signal), { code: 'noFunds' })
  })

  it('says chainUnavailable while no endpoint answers', async () => {
    const chain = await open()
    world.endpoint.fault = { kind: 'status', status: 500 }
    await assert.rejects(chain.submit(submission(after(first)), signal), {
      code: 'chainUnavailable',
    })
  })

  it('replaces, after a crash, the transaction that still waits', async () => {
    await world.client.setAutomine(false)
    const crashing = new AbortController()
    const before = await open()
    const lost = before.submit(submission(after(first)), crashing.signal)
    await until(async () => (await pending()) === 1)
    crashing.abort(new Error('crash'))
    await assert.rejects(lost, /crash/)
    await before.stop()
    const chain = await open()
    const again = chain.submit(submission(after(first)), signal)
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
      view.submit(submission(after(first)), signal).then(
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
    const fast = hastened(times)
    const { contracts, chainId } = world.access
    await world.client.setAutomine(false)
    const warnings: string[] = []
    const log = {
      error() {},
      warn: (_: object, text: string) => warnings.push(text),
      info() {},
      debug() {},
      child: () => log,
    }
    const chain = evmChain(
      { clock: fast, random: length => new Uint8Array(length), log },
      {
        chainId,
        rpc: [world.endpoint.url],
        contracts,
        finality: 0,
        epochs: { genesis: 0, seconds: 3600 },
        account: unhex(world.operator(15).privateKey),
        pollMs: 5_000,
        rpcLimits: { timeoutMs: 20_000 * times },
      },
    )
    opened.push(chain)
    await chain.start(signal)
    const submitting = chain.submit(submission(after(first)), signal)
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

/** A clock that runs `times` as fast as the machine's. */
function hastened(times: number): Clock {
  const real = systemClock()
  const start = real.now()
  const slow = (time: number) => start + (time - start) / times
  return {
    now: () => start + (real.now() - start) * times,
    monotonic: () => real.monotonic() * times,
    at: (time, task) => real.at(slow(time), task),
    until: (time, until) => real.until(slow(time), until),
  }
}
