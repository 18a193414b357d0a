import { strict as assert } from 'node:assert'
import type { AcceptedCheckpoint, Randomness } from '@cairn/node'
import { type CairnError, drawCommittee, hex, TESTNET_PROFILE, TOKEN } from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { entryOf } from '../../../protocol/test/kernel-world.ts'
import type { SimulatedChain } from '../../src/sim/chain.ts'
import { NodeWorld, peerName, roundSignature, type WorldNode } from './world.ts'

/** Rounds once they are due, but for those that `answer` says something else of. */
function altered(
  world: NodeWorld,
  answer: (round: number) => Uint8Array | 'none' | undefined,
): Randomness & { asked: number[] } {
  const honest = world.randomness()
  const asked: number[] = []
  return {
    asked,
    async round(round, signal) {
      asked.push(round)
      const other = answer(round)
      return other === 'none' ? undefined : (other ?? (await honest.round(round, signal)))
    },
  }
}

/** The round that an epoch's seed is of: one a second, the first a second before genesis. */
const roundOf = (epoch: number) => 12 * epoch + 2

describe('the base of an epoch', () => {
  it('is the last block before the start of the epoch that lies LOOKBACK before', async () => {
    for (const lookback of [1, 2]) {
      const world = new NodeWorld({ profile: { lookback } })
      const { node, chain } = await world.listener(0)
      await world.run(4, 1)
      for (const epoch of [lookback, 3, 4]) {
        const base = await world.until(node.epochs.resolve(epoch))
        const start = world.epochStart(epoch - lookback) / 1_000
        assert.deepEqual(base?.block, picked(chain.lastBlockBefore(start)))
        assert.equal(chain.block(base?.block.number ?? 0n)?.timestamp, start - 1)
      }
    }
  })

  it('is that of the start for the first epochs', async () => {
    const world = new NodeWorld({ profile: { lookback: 2 } })
    const { node, chain } = await world.listener(0)
    await world.run(1, 1)
    for (const epoch of [0, 1]) {
      const base = await world.until(node.epochs.resolve(epoch))
      assert.deepEqual(base?.block, picked(chain.genesis()?.block))
    }
  })

  it('is the one that the genesis checkpoint names, whoever comes before the start', async () => {
    const before = (chain: SimulatedChain) => {
      const { index: _, registeredAt: _at, ...entry } = entryOf(4)
      chain.register([{ ...entry, bond: 1_000_000n * TOKEN }])
    }
    const world = new NodeWorld({ profile: { lookback: 2 }, named: true, before })
    const { node, chain } = await world.listener(0)
    await world.run(3, 1)
    const { block: started } = chain.genesis() as AcceptedCheckpoint
    for (const epoch of [0, 1]) {
      const base = await world.until(node.epochs.resolve(epoch))
      assert.equal(base?.block.number, started.number - 2n)
      assert.equal(base?.nodes.length, 4)
      assert.equal(node.epochs.committee(epoch)?.length, 4)
    }
    const base = await world.until(node.epochs.resolve(2))
    assert.deepEqual([base?.stateEpoch, base?.nodes.length], [-1, 5])
  })

  it('has the profile that votes have set up to its block, whatever came after', async () => {
    const world = new NodeWorld({ profile: { lookback: 2 } })
    const { node, lines } = await world.listener(0)
    assert.equal(node.epochs.profile(), world.profile)
    await world.run(0, 5)
    world.chain.setParameters({ feeBurn: 150_000n, nothing: 7n })
    await world.run(1, 5)
    world.chain.setParameters({ feeBurn: 200_000n })
    await world.run(4, 1)
    const burns = [100_000n, 100_000n, 100_000n, 150_000n, 200_000n]
    for (const [epoch, feeBurn] of burns.entries()) {
      const base = await world.until(node.epochs.resolve(epoch))
      assert.deepEqual(base?.profile, { ...world.profile, feeBurn }, `epoch ${epoch}`)
    }
    assert.equal(node.epochs.profile().feeBurn, 200_000n)
    assert.deepEqual(
      lines.flatMap(({ level, facts }) =>
        level === 'info' && 'parameter' in facts ? [facts] : [],
      ),
      [
        { epoch: 3, parameter: 'feeBurn', was: '0.1', is: '0.15' },
        { epoch: 4, parameter: 'feeBurn', was: '0.15', is: '0.2' },
      ],
    )
  })

  it('is never had where the chain began with other parameters, or had others at the start', async () => {
    const { feeBurn } = TESTNET_PROFILE
    const began = new NodeWorld({ parameters: new Map([['feeBurn', feeBurn + 1n]]) })
    const voted = new NodeWorld({
      parameters: new Map([['feeBurn', feeBurn]]),
      before: chain => chain.setParameters({ feeBurn: 150_000n }),
    })
    for (const world of [began, voted]) {
      const { node, lines } = await world.listener(0)
      await world.run(2, 1)
      for (const epoch of [0, 1, 2]) {
        assert.equal(await world.until(node.epochs.resolve(epoch)), undefined)
      }
      const errors = lines.filter(({ level }) => level === 'error')
      assert.deepEqual(
        errors.map(({ facts }) => (facts.err as CairnError).code),
        ['otherParameters'],
      )
      assert.equal(node.epochs.mismatch, errors[0]?.facts.err)
    }
    const same = new NodeWorld({ parameters: new Map([['feeBurn', feeBurn]]) })
    const { node } = await same.listener(0)
    await same.run(1, 1)
    assert.ok(await same.until(node.epochs.resolve(1)))
    assert.equal(node.epochs.mismatch, undefined)
  })

  it('is not known before it is certain: a later block must be', async () => {
    const world = new NodeWorld()
    const { node, chain } = await world.listener(0)
    await world.run(0, 10)
    chain.setDown(true)
    await world.run(2, 1)
    assert.equal(node.epochs.baseBlock(2), undefined)
    assert.equal(await world.until(node.epochs.resolve(2)), undefined)
    assert.equal(node.epochs.base(2), undefined)
    chain.setDown(false)
    assert.ok(await world.until(node.epochs.resolve(2)))
    assert.ok(node.epochs.base(2))
  })

  it('is not known before its seed is', async () => {
    const world = new NodeWorld()
    const { node } = await world.listener(0)
    await world.run(0, 5)
    assert.equal(await world.until(node.epochs.resolve(1)), undefined)
    await world.run(1, 0, 10)
    assert.ok(await world.until(node.epochs.resolve(1)))
  })

  it('is not had with a seed whose signature is wrong, and is with the right one later', async () => {
    const world = new NodeWorld()
    let lying = true
    const randomness = altered(world, round =>
      lying && round === roundOf(1) ? roundSignature(roundOf(2)) : undefined,
    )
    const { node, lines } = await world.listener(0, { randomness })
    await world.run(1, 1)
    assert.equal(await world.until(node.epochs.resolve(1)), undefined)
    assert.equal(node.epochs.knownSeed(1), undefined)
    assert.ok(lines.some(({ level, facts }) => level === 'warn' && facts.round === roundOf(1)))
    assert.equal(await node.ledger.seed(1), undefined, 'what is wrong is not kept')
    lying = false
    const base = await world.until(node.epochs.resolve(1))
    assert.deepEqual(base?.seed, world.seed(1))
  })

  it('holds all earlier seeds of the coverage round, or is not built', async () => {
    const world = new NodeWorld({ profile: { roundEpochs: 4 } })
    let missing = true
    const randomness = altered(world, round =>
      missing && round === roundOf(5) ? 'none' : undefined,
    )
    const { node } = await world.listener(0, { randomness })
    await world.run(6, 1)
    assert.equal(await world.until(node.epochs.resolve(6)), undefined)
    assert.ok(await world.until(node.epochs.resolve(4)), 'the first of the round needs none')
    missing = false
    const base = await world.until(node.epochs.resolve(6))
    assert.deepEqual(
      [...(base?.earlierSeeds ?? [])].map(([epoch, seed]) => [epoch, hex(seed)]),
      [4, 5].map(epoch => [epoch, hex(world.seed(epoch))]),
    )
  })

  it('is not known while its state is nowhere to be had', async () => {
    const world = new NodeWorld()
    const { node } = await world.listener(0, { genesisState: async () => undefined })
    await world.run(0, 1)
    assert.equal(await world.until(node.epochs.resolve(0)), undefined)
  })

  it('takes no other state for that of the genesis checkpoint', async () => {
    const world = new NodeWorld()
    const other = world.genesis.with({ ...world.genesis.core, activity: [{ node: 1, epoch: 1 }] })
    const { node } = await world.listener(0, { genesisState: async () => other.encode() })
    await world.run(0, 1)
    assert.equal(await world.until(node.epochs.resolve(0)), undefined)
  })

  it('is found once, and told to each listener once', async () => {
    const world = new NodeWorld()
    const randomness = altered(world, () => undefined)
    const { node } = await world.listener(0, { randomness })
    const told: number[] = []
    node.epochs.onBase(({ epoch }) => {
      told.push(epoch)
    })
    await world.run(1, 1)
    const found = await world.until(
      Promise.all([node.epochs.resolve(1), node.epochs.resolve(1), node.epochs.resolve(1)]),
    )
    assert.equal(new Set(found).size, 1)
    assert.equal(await world.until(node.epochs.resolve(1)), found[0])
    assert.deepEqual(told, [1])
    assert.equal(randomness.asked.filter(round => round === roundOf(1)).length, 1)
  })

  it('is given to nobody before all who listen for it are done', async () => {
    const world = new NodeWorld()
    const { node } = await world.listener(0)
    const events: string[] = []
    node.epochs.onBase(async () => {
      events.push('known')
      await world.clock.until(world.clock.now() + 100)
      events.push('ready')
    })
    await world.run(0, 0, 400)
    const first = node.epochs.resolve(0).then(() => events.push('first'))
    await world.clock.run({ until: world.clock.now() + 50 })
    assert.deepEqual(events, ['known'])
    const second = node.epochs.resolve(0).then(() => events.push('second'))
    await world.until(Promise.all([first, second]))
    assert.deepEqual(events, ['known', 'ready', 'first', 'second'])
  })

  it('before genesis is what the first epoch would rest on, with nobody’s duties', async () => {
    const deposits = [
      { account: new Uint8Array(20).fill(1), key: new Uint8Array(32).fill(2), amount: TOKEN },
    ]
    const world = new NodeWorld({ deposits })
    const { node } = await world.listener(0)
    const founding = node.epochs.base(-1)
    assert.equal(node.epochs.now(), -1)
    assert.equal(founding?.epoch, 0)
    assert.equal(founding?.nodes.length, 4)
    assert.equal(founding?.deposits.get('02'.repeat(32))?.amount, TOKEN)
  })

  it('keeps its seed over a restart: nobody is asked again', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    const first = await world.listener(0, { store })
    await world.run(1, 1)
    await world.base(first, 1)
    world.network.crash(peerName(0))
    const silent = altered(world, () => 'none')
    const second = await world.listener(0, { store, randomness: silent })
    assert.ok(await world.until(second.node.epochs.resolve(1)))
    assert.deepEqual(silent.asked, [])
  })
})

describe('an epoch that is followed', () => {
  it('has its base as soon as the seed is known', async () => {
    const world = new NodeWorld()
    let late = true
    const randomness = altered(world, () => (late ? 'none' : undefined))
    const { node } = await world.listener(0, { randomness })
    await world.run(0)
    const followed = node.epochs.follow(0)
    await world.run(0, 3)
    assert.equal(node.epochs.base(0), undefined)
    late = false
    await world.run(0, 3, 300)
    assert.ok(node.epochs.base(0))
    await followed
  })

  it('is given up at its end', async () => {
    const world = new NodeWorld()
    const { node } = await world.listener(0, { randomness: altered(world, () => 'none') })
    await world.run(0)
    const followed = node.epochs.follow(0)
    await world.run(1, 0, 300)
    await followed
    assert.equal(node.epochs.base(0), undefined)
  })

  it('is given up when the node stops', async () => {
    const world = new NodeWorld()
    const { node } = await world.listener(0, { randomness: altered(world, () => 'none') })
    await world.run(0)
    const followed = node.epochs.follow(0)
    await world.run(0, 1)
    node.epochs.stop()
    await world.until(followed)
    assert.ok(world.clock.now() < world.time(0, 2))
  })
})

describe('records of epochs', () => {
  it('are opened near the present only', async () => {
    const world = new NodeWorld()
    const { node } = await world.listener(0)
    assert.ok(node.epochs.record(0), 'just before genesis')
    await world.run(20, 1)
    for (const [epoch, there] of [
      [-1, false],
      [11, false],
      [12, true],
      [20, true],
      [21, true],
      [22, false],
    ] as const) {
      assert.equal(node.epochs.record(epoch) !== undefined, there, `${epoch}`)
    }
    assert.ok(node.epochs.replay(3))
    assert.ok(node.epochs.record(3), 'one that is worked on stays known')
    node.epochs.forget(20)
    assert.equal(node.epochs.record(3), undefined)
    assert.ok(node.epochs.record(0) === undefined)
  })
})

describe('the committee of an epoch', () => {
  it('is everybody with a bond at the base of the term’s first epoch', async () => {
    const world = new NodeWorld({ nodes: 5, entry: index => (index === 2 ? { bond: 0n } : {}) })
    const { node } = await world.listener(0)
    await world.run(1, 1)
    const committee = node.epochs.committee(0)
    assert.deepEqual(
      committee?.map(({ index }) => index),
      [0, 1, 3, 4],
    )
    assert.deepEqual(committee, drawCommittee(world.registry, world.profile, undefined))
    assert.equal(node.epochs.committee(1), committee, 'one per term')
  })

  it('is drawn by the seed of the epoch before the term, once the checkpoint before that is accepted', async () => {
    const profile = { termEpochs: 2, committeeMax: 3 }
    const world = new NodeWorld({ nodes: 8, profile })
    const listener = await world.listener(0)
    await world.run(2, 1)
    await world.base(listener, 2)
    assert.equal(listener.node.epochs.committee(2), undefined, 'nothing is accepted')
    const other = new NodeWorld({ nodes: 8, profile })
    const [{ node }] = (await other.start(0, 1, 2, 3, 4, 5, 6, 7)) as [WorldNode]
    await other.run(2, 1)
    const drawn = drawCommittee(other.registry, other.profile, other.seed(1))
    assert.equal(drawn.length, 3)
    assert.deepEqual(node.epochs.committee(2), drawn)
    assert.deepEqual(node.epochs.committee(3), drawn)
  })
})

describe('what landed before an epoch', () => {
  it('is not known, rather than nothing, until its block is certain', async () => {
    const world = new NodeWorld()
    const { node } = await world.listener(0)
    await world.run(0, 0, 400)
    assert.deepEqual(node.epochs.landed(0), [])
    assert.equal(node.epochs.landed(9), undefined)
  })

  it('is each checkpoint once, in the epoch whose base holds it first', async () => {
    const world = new NodeWorld({ nodes: 3 })
    const [one] = await world.start(0, 1, 2)
    await world.run(7, 1)
    const landed = [0, 1, 2, 3, 4, 5, 6, 7].map(epoch =>
      one?.node.epochs.landed(epoch)?.map(accepted => accepted.epoch),
    )
    const all = landed.flatMap(epochs => epochs ?? [])
    assert.deepEqual(
      all,
      [...new Set(all)].sort((a, b) => a - b),
    )
    // Landed during epoch e + 1, so in the base of e + 3, whose block is of the end of e + 1.
    assert.deepEqual(landed, [[], [], [], [0], [1], [2], [3], [4]])
  })
})

function picked(block: { number: bigint; hash: Uint8Array } | undefined) {
  return block && { number: block.number, hash: block.hash }
}
