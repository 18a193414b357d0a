/** Bond taken on the chain for what is proven, by one node in turn, and from nobody else. */
import { strict as assert } from 'node:assert'
import {
  bls,
  CairnError,
  Envelope,
  type EpochBase,
  KERNEL_KIND,
  MessageType,
  TOKEN,
  Vote,
  voteSigningRoot,
} from '@cairn/protocol'
import { checkpointTopic } from '../../../node/src/ledger/topics.ts'
import { Penalties } from '../../../node/src/penalties-view.ts'
import { bytes32, NETWORK, votingSecret } from '../../../protocol/test/kernel-world.ts'
import { complaints, NodeWorld, type WorldNode } from './world.ts'

const CHEAT = 3

function vote(base: EpochBase, round: number, label: string, author = CHEAT): Uint8Array {
  const { epoch, tag } = base
  const checkpoint = bytes32(label)
  const body = Vote.serialize({ epoch, base: tag, kind: KERNEL_KIND, author, round, checkpoint })
  const signed = { epoch: BigInt(epoch), round: BigInt(round), checkpoint }
  const signature = bls.sign(voteSigningRoot(signed, NETWORK), votingSecret(author))
  return Envelope.serialize({ type: MessageType.vote, body, signature })
}

/** Four nodes with enough bond that a tenth of one is below the cap; the fourth runs other code. */
async function scene(init: { activationDelay?: number } = {}) {
  const bond = (index: number) => (index === CHEAT ? 200n * TOKEN : 5_000n * TOKEN)
  const world = new NodeWorld({ nodes: 4, entry: index => ({ bond: bond(index) }), ...init })
  const nodes = await world.start(0, 1, 2)
  const cheat = world.network.join('cheat')
  await cheat.start()
  await world.run(1, world.profile.proposeDelay, 500)
  const base = await world.base(nodes[0] as WorldNode, 0)
  const say = async (...messages: Uint8Array[]) => {
    for (const message of messages) await cheat.publish(checkpointTopic(NETWORK), message)
  }
  return { world, nodes, base, say }
}

const penalties = async ({ node }: WorldNode) =>
  (await node.offences.all()).map(({ node: index, epoch, state }) => ({ index, epoch, state }))

describe('two votes of one node in one round', () => {
  it('are reported by one node, and cost a tenth of the bond once', async () => {
    const { world, nodes, base, say } = await scene()
    await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
    await world.run(4)
    assert.deepEqual(
      world.chain.slashed.map(({ epoch, node, amount }) => ({ epoch, node, amount })),
      [{ epoch: 1, node: CHEAT, amount: 20n * TOKEN }],
    )
    for (const { node } of nodes) assert.deepEqual(await node.offences.doubleVotes(), [])
    // They are in the set of the next epoch, too, whose checkpoint says so; that falls away.
    for (const node of nodes) {
      assert.deepEqual(await penalties(node), [{ index: CHEAT, epoch: 1, state: 'taken' }])
    }
    const [kept] = await (nodes[0] as WorldNode).node.offences.all()
    assert.equal(kept?.amount, 20n * TOKEN)
    assert.equal(kept?.messageType, MessageType.vote)
    assert.ok(kept?.rival !== undefined)
    assert.deepEqual(complaints(nodes), [])
  })

  it('are reported although no set takes them any more', async () => {
    const { world, nodes, base, say } = await scene()
    for (const { chain } of nodes) chain.setDown(true)
    const late = Math.ceil((2 * world.profile.slotsPerEpoch) / world.profile.roundSlots)
    await world.run(4)
    await say(vote(base, late, 'one'), vote(base, late, 'other'))
    await world.run(4, 2)
    const kept = await Promise.all(nodes.map(({ node }) => node.offences.doubleVotes()))
    assert.deepEqual(
      kept.map(found => found.map(({ epoch, node, round }) => ({ epoch, node, round }))),
      nodes.map(() => [{ epoch: 0, node: CHEAT, round: late }]),
    )
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(7)
    const taken = world.chain.slashed.map(({ epoch, node }) => ({ epoch, node }))
    assert.deepEqual(taken, [{ epoch: 1, node: CHEAT }])
    for (const node of nodes) {
      assert.deepEqual(await penalties(node), [], 'no checkpoint says so')
      const view = new Penalties(
        { node: node.node, registry: () => base.nodes },
        { network: NETWORK },
      )
      const shown = (await view.all()).map(({ epoch, node, offence, state, amount }) => {
        return { epoch, node, offence, state, amount }
      })
      const seen = { epoch: 1, node: CHEAT, offence: 'vote', state: 'taken', amount: undefined }
      assert.deepEqual(shown, [seen])
      assert.equal(await view.one(1, CHEAT), undefined)
    }
  })

  it('are shown with what became of them where no bond was taken', async () => {
    const { world, nodes, base, say } = await scene()
    for (const { chain } of nodes) chain.punish = async () => 'capReached'
    await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
    await world.run(4)
    for (const node of nodes) {
      assert.deepEqual(await penalties(node), [{ index: CHEAT, epoch: 1, state: 'capReached' }])
      const votes = await node.node.offences.allDoubleVotes()
      assert.deepEqual(
        votes.map(({ state }) => state),
        ['capReached'],
      )
    }
  })

  it('are left to the others by who cast them, however long those take', async () => {
    const { world, nodes, base, say } = await scene()
    const own = world.node(CHEAT)
    await world.until(own.node.start())
    let asked = 0
    own.chain.punish = async () => {
      asked++
      return 'taken'
    }
    for (const { chain } of nodes) chain.punish = async () => 'notActive'
    await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
    await world.run(6)
    assert.equal((await own.node.offences.doubleVotes()).length, 1, 'it knows of them')
    assert.equal(asked, 0)
  })

  it('for two rounds, or the same said twice, are no offence', async () => {
    const { world, nodes, base, say } = await scene()
    const twice = vote(base, 0, 'one')
    await say(twice, twice, vote(base, 1, 'other'))
    await world.run(4)
    assert.equal(world.chain.slashed.length, 0)
    for (const node of nodes) assert.deepEqual(await penalties(node), [])
  })
})

describe('a penalty of a checkpoint', () => {
  it('waits until the checkpoint is active', async () => {
    const delay = 20
    const { world, nodes, base, say } = await scene({ activationDelay: delay })
    for (const { chain } of nodes) {
      const { punish } = chain
      // Only what is recorded, so that nothing is taken before.
      chain.punish = async (offence, signal) =>
        offence.type === 'doubleVote' ? 'lapsed' : await punish.call(chain, offence, signal)
    }
    await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
    await world.run(2, 8)
    const landed = world.chain.accepted.find(({ epoch }) => epoch === 1)?.block.timestamp as number
    await world.clock.run({ until: (landed + delay) * 1_000 - 1 })
    assert.equal(world.chain.slashed.length, 0)
    await world.run(7)
    assert.equal(world.chain.slashed.length, 1)
    assert.equal(world.chain.slashed[0]?.amount, 20n * TOKEN)
  })

  it('is tried again when the chain refuses it in passing, and closed when for good', async () => {
    for (const passing of [true, false]) {
      const { world, nodes, base, say } = await scene()
      let failures = 0
      for (const { chain } of nodes) {
        const { punish } = chain
        chain.punish = async (offence, signal) => {
          if (offence.type === 'doubleVote') return 'lapsed'
          if (!passing) return 'refused'
          // As of an endpoint that is a block behind.
          if (failures++ < nodes.length) throw new CairnError('reverted', 'NotActive')
          return await punish.call(chain, offence, signal)
        }
      }
      await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
      await world.run(7)
      assert.equal(world.chain.slashed.length, passing ? 1 : 0)
      const state = passing ? 'taken' : 'refused'
      for (const node of nodes) {
        assert.deepEqual(await penalties(node), [{ index: CHEAT, epoch: 1, state }])
      }
    }
  })

  it('is forgotten when the chain takes the checkpoint back', async () => {
    const { world, nodes, base, say } = await scene({ activationDelay: 1_000 })
    for (const { chain } of nodes) chain.punish = async () => 'notActive'
    await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
    await world.run(2, 8)
    for (const node of nodes) assert.equal((await penalties(node)).length, 1)
    world.chain.cancel(1)
    await world.run(2, 9)
    for (const node of nodes) assert.deepEqual(await penalties(node), [])
  })

  it('is taken after a restart of everybody in between', async () => {
    const { world, nodes, base, say } = await scene({ activationDelay: 40 })
    for (const { chain } of nodes) chain.punish = async () => 'notActive'
    await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
    await world.run(3)
    assert.equal(world.chain.slashed.length, 0)
    for (const { node } of nodes) await world.until(node.stop())
    for (const { index } of nodes) world.network.crash(`peer${index}`)
    const again = nodes.map(({ index, store }) => world.node(index, { store }))
    for (const { node } of again) await world.until(node.start())
    await world.run(8)
    assert.equal(world.chain.slashed.length, 1)
  })

  it('is taken after a restart before the chain has shown its beginning', async () => {
    const { world, nodes, base, say } = await scene({ activationDelay: 40 })
    for (const { chain } of nodes) chain.punish = async () => 'notActive'
    await say(vote(base, 0, 'one'), vote(base, 0, 'other'))
    await world.run(3)
    for (const { node } of nodes) await world.until(node.stop())
    for (const { index } of nodes) world.network.crash(`peer${index}`)
    const again = nodes.map(({ index, store }) => world.node(index, { store }))
    const returns = again.map(({ chain }) => {
      const { genesis } = chain
      chain.genesis = () => undefined
      return () => {
        chain.genesis = genesis
      }
    })
    for (const { node } of again) await world.until(node.start())
    await world.run(3, 4)
    assert.equal(world.chain.slashed.length, 0)
    for (const come of returns) come()
    await world.run(9)
    assert.equal(world.chain.slashed.length, 1)
  })

  it('takes a node below the minimum out of the active set at the bases that see it', async () => {
    const world = new NodeWorld({
      nodes: 4,
      entry: index => ({ bond: index === CHEAT ? 105n * TOKEN : 5_000n * TOKEN }),
    })
    const nodes = await world.start(0, 1, 2)
    const cheat = world.network.join('cheat')
    await cheat.start()
    await world.run(1, world.profile.proposeDelay, 500)
    const base = await world.base(nodes[0] as WorldNode, 0)
    for (const message of [vote(base, 0, 'one'), vote(base, 0, 'other')]) {
      await cheat.publish(checkpointTopic(NETWORK), message)
    }
    await world.run(5)
    assert.equal(world.chain.slashed.length, 1)
    const active = (await world.base(nodes[0] as WorldNode, 4)).nodes.map(({ index }) => index)
    assert.deepEqual(active, [0, 1, 2])
    await world.run(16)
    const next = nodes[0]?.node.epochs.committee(14)?.map(({ index }) => index)
    assert.deepEqual(next, [0, 1, 2], 'nor is it drawn into a committee any more')
    assert.deepEqual(complaints(nodes), [])
  })
})
