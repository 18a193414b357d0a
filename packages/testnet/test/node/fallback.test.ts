import { strict as assert } from 'node:assert'
import type { Submission } from '@cairn/node'
import {
  bls,
  Checkpoint as CheckpointCodec,
  committeeWord,
  decode,
  drawCommittee,
  equalBytes,
  KERNEL_KIND,
  MessageType,
  messageId,
  type Profile,
  sha256,
  type Vote,
} from '@cairn/protocol'
import { entryOf } from '../../../protocol/test/kernel-world.ts'
import {
  complaints,
  formed,
  lastEpoch,
  NodeWorld,
  peerName,
  type WorldNode,
  wrongSums,
} from './world.ts'

const NODES = 5
const EPOCH_S = 12
/** Two epochs without acceptance; one in which nodes check in. */
const FALLBACK = { after: 2 * EPOCH_S, window: EPOCH_S }
const HOUR_S = 3_600

interface Gone {
  world: NodeWorld
  nodes: WorldNode[]
  gone: WorldNode[]
}

/** Two of five nodes of one weight leave for good in an epoch: no committee signs any more. */
async function twoLeave(epoch: number, profile: Partial<Profile> = {}): Promise<Gone> {
  const world = new NodeWorld({
    nodes: NODES,
    fallback: FALLBACK,
    activationDelay: HOUR_S,
    profile,
  })
  const [zero, one, two, ...gone] = await world.start(0, 1, 2, 3, 4)
  await world.run(epoch, 6)
  for (const { node } of gone) await world.until(node.stop())
  return { world, nodes: [zero, one, two] as WorldNode[], gone }
}

/** A node over the ledger that it had. */
function again(world: NodeWorld, { index, store }: WorldNode): WorldNode {
  world.network.crash(peerName(index))
  store.reopen()
  return world.node(index, { store })
}

/** Runs up to the block in which those who checked in become the committee. */
async function untilFormed(world: NodeWorld, [first]: readonly WorldNode[]): Promise<void> {
  const end = world.clock.now() + HOUR_S * 1_000
  while (first?.chain.succession()?.formed === undefined && world.clock.now() < end) {
    await world.clock.run({ until: world.clock.now() + 10 })
  }
}

/**
 * What the members of the committee to come had signed for the one of before, as anyone has heard it:
 * the contract takes it once they are the committee.
 */
async function earlierVotes({ world, nodes }: Gone, epoch: number): Promise<Submission> {
  await world.run(epoch + 2)
  const [first] = nodes as [WorldNode]
  const votes = first.node.epochs
    .replay(epoch + 1)
    .set.ofType<Vote>(MessageType.vote, KERNEL_KIND)
    .map(({ value, envelope }) => ({ ...value, signature: envelope.signature }))
    .filter(vote => vote.epoch === epoch)
  const round = votes
    .map(vote => votes.filter(other => other.round === vote.round))
    .find(of => of.length === nodes.length)
  assert.ok(round?.[0] !== undefined, 'a round in which all three voted')
  const voted = await first.node.ledger.voted(epoch, round[0].checkpoint)
  assert.ok(voted !== undefined)
  const members = round
    .map(({ author }) => author)
    .sort((a, b) => a - b)
    .map(index => ({ key: world.registry[index]?.voting ?? new Uint8Array(), weight: 100 }))
  return {
    checkpoint: voted.checkpoint,
    round: round[0].round,
    committee: { members, absent: [] },
    signature: bls.aggregateSignatures(round.map(({ signature }) => signature)),
  }
}

const said = (nodes: readonly WorldNode[], text: string) =>
  nodes.flatMap(({ lines }) => lines.filter(line => line.text.startsWith(text)))

describe('a network of which more than a third of the weight is gone', () => {
  it('goes on with those who checked in, and catches up', async () => {
    const all = await twoLeave(3)
    const { world, nodes } = all
    const stuck = lastEpoch(world)
    await world.run(12)
    assert.deepEqual(formed(world), [stuck + 1])
    assert.ok(lastEpoch(world) >= 10, `last ${lastEpoch(world)}`)
    assert.deepEqual(world.chain.cancelled, [])
    assert.deepEqual(world.chain.slashed, [])
    assert.equal(said(nodes, 'checked in').length, 3)
    assert.equal(said(nodes, 'formed a committee').length, 1)
    assert.equal(said(nodes, 'a node voted twice').length, 0)
    assert.deepEqual(await wrongSums(all), [])
    assert.deepEqual(complaints(nodes), [])
  })

  it('stops for them no more than twice, however many terms follow', async () => {
    const all = await twoLeave(3, { termEpochs: 6, idleEpochs: 3 })
    const { world, nodes } = all
    await world.run(32)
    const stops = formed(world)
    assert.ok(stops.length <= 2, `formed for ${stops.join(', ')}`)
    assert.ok(lastEpoch(world) >= 30, `last ${lastEpoch(world)}`)
    assert.deepEqual(await wrongSums(all), [])
    assert.deepEqual(complaints(nodes), [])
  })

  it('takes them in again when they come back, and needs no other committee for it', async () => {
    const all = await twoLeave(3, { termEpochs: 6, idleEpochs: 3 })
    const { world, nodes, gone } = all
    await world.run(26, 6)
    const stops = formed(world)
    const everybody = committeeWord(drawCommittee(world.registry, world.profile, undefined))
    const named = () => {
      const { checkpoint } = world.chain.accepted.at(-1) as { checkpoint: Uint8Array }
      return decode(CheckpointCodec, checkpoint).nextCommittee
    }
    assert.ok(!equalBytes(named(), everybody))
    const back = gone.map(node => again(world, node))
    await world.until(Promise.all(back.map(({ node }) => node.start())))
    await world.run(44)
    assert.deepEqual(formed(world), stops)
    assert.deepEqual(named(), everybody)
    assert.ok(lastEpoch(world) >= 42, `last ${lastEpoch(world)}`)
    assert.deepEqual(world.chain.slashed, [])
    assert.deepEqual(complaints([...nodes, ...back]), [])
    for (const { node } of [...nodes, ...back]) {
      assert.equal(node.checkpointer.adopted, lastEpoch(world))
    }
  })

  it('lands nothing that was voted before, although everybody was restarted as it formed', async () => {
    const { world, nodes } = await twoLeave(3)
    const stuck = lastEpoch(world)
    await untilFormed(world, nodes)
    for (const { node } of nodes) await world.until(node.stop())
    const back = nodes.map(node => again(world, node))
    await world.until(Promise.all(back.map(({ node }) => node.start())))
    await world.run(12)
    assert.deepEqual(formed(world), [stuck + 1])
    assert.ok(lastEpoch(world) >= 10, `last ${lastEpoch(world)}`)
    assert.deepEqual(world.chain.slashed, [])
    assert.deepEqual(complaints(back), [])
  })

  it('does not let anybody land what its members had voted before', async () => {
    const all = await twoLeave(3)
    const { world, nodes } = all
    const stuck = lastEpoch(world)
    const submission = await earlierVotes(all, stuck + 1)
    await untilFormed(world, nodes)
    const outsider = world.chain.port(new Uint8Array(20).fill(9))
    const landed = outsider.submit(submission, new AbortController().signal)
    await assert.rejects(world.until(landed), { code: 'reverted' })
    await world.run(18)
    assert.deepEqual(formed(world), [stuck + 1])
    assert.ok(lastEpoch(world) >= 15, `last ${lastEpoch(world)}`)
    assert.deepEqual(await wrongSums(all), [])
  })

  it('takes votes of who did not come, though one hears them only after another committee formed', async () => {
    const all = await twoLeave(3)
    const { world, nodes, gone } = all
    const [zero, one, two] = nodes as [WorldNode, WorldNode, WorldNode]
    const about = lastEpoch(world) + 1
    await world.run(about + 1, 6)
    const base = await world.base(zero, about)
    // In the first round, as of a node that falls silent right after.
    const vote = world
      .authors(base)
      .vote(gone[0]?.index as number, sha256(Uint8Array.of(1)), { epoch: about, round: 0 })
    for (const { node } of [zero, one]) {
      const { acceptance } = await world.until(node.ingest.add(vote, 'sync'))
      assert.equal(acceptance, 'accept')
    }
    await untilFormed(world, nodes)
    await world.run(14)
    assert.deepEqual(formed(world), [about])
    assert.ok(lastEpoch(world) >= 12, `last ${lastEpoch(world)}`)
    const id = messageId(vote)
    assert.ok(two.node.epochs.replay(about + 1).set.has(id) || (await two.node.ledger.get(id)))
    assert.deepEqual(await wrongSums(all), [])
  })

  it('counts what those vote who formed, however long it takes to adopt what was before', async () => {
    const { world, nodes } = await twoLeave(3)
    const stuck = lastEpoch(world)
    // Of no bond, so that all it does is to follow.
    const busy = world.node(NODES)
    busy.node.ledger.putFinal = async () => await new Promise(() => {})
    await world.until(busy.node.start())
    await untilFormed(world, nodes)
    assert.equal(busy.node.checkpointer.hasQuorum(stuck + 1), false)
    while (lastEpoch(world) === stuck) {
      await world.clock.run({ until: world.clock.now() + 100 })
    }
    assert.ok(busy.node.checkpointer.adopted < stuck)
    assert.ok(busy.node.checkpointer.hasQuorum(stuck + 1))
  })

  it('rejects no vote as that of a stranger while it is not known when a committee may form', async () => {
    const { world, nodes } = await twoLeave(3)
    const [zero] = nodes as [WorldNode]
    const base = await world.base(zero, 2)
    const vote = world.authors(base).vote(NODES, sha256(Uint8Array.of(1)), { epoch: 2, round: 0 })
    const judged = async () => (await zero.node.ingest.add(vote, 'sync')).acceptance
    assert.equal(await judged(), 'reject')
    zero.chain.succession = () => undefined
    assert.equal(await judged(), 'ignore')
  })

  it('says since when it waits, what comes next, and whether this node came', async () => {
    const { world, nodes } = await twoLeave(3)
    const [zero] = nodes as [WorldNode]
    const waiting = () => zero.node.fallback.waiting()
    const { block, epoch } = world.chain.accepted.at(-1) ?? assert.fail()
    assert.equal(waiting(), undefined)
    await world.run(epoch + 3, 1)
    const since = block.timestamp
    const before = { epoch: epoch + 1, since, due: since + FALLBACK.after, own: 1, came: 0 }
    assert.deepEqual(waiting(), before)
    const seen = new Set<string>()
    while (zero.chain.succession()?.formed === undefined) {
      await world.clock.run({ until: world.clock.now() + 100 })
      const { came, window } = waiting() ?? assert.fail()
      seen.add(`${came} of ${window?.nodes ?? 0}${window?.isOver ? ', over' : ''}`)
    }
    assert.ok(seen.has('0 of 0') && seen.has('1 of 3'), [...seen].join('; '))
    const { formed, came } = waiting() ?? assert.fail()
    assert.deepEqual(formed, { nodes: 3, chosen: false, isOwn: true })
    assert.equal(came, 0)
    await world.run(14)
    assert.equal(waiting(), undefined)
  })

  it('forms a committee though every endpoint once said that too few had come', async () => {
    const { world, nodes } = await twoLeave(3)
    const stuck = lastEpoch(world)
    for (const { chain } of nodes) {
      const form = chain.formCommittee.bind(chain)
      let lies = 1
      chain.formCommittee = async signal => (lies-- > 0 ? 'tooFew' : await form(signal))
    }
    await world.run(14)
    assert.deepEqual(formed(world), [stuck + 1])
    assert.ok(lastEpoch(world) >= 10, `last ${lastEpoch(world)}`)
  })

  it('does not leave the rest of a term to the few of those who came that had a bond at its base', async () => {
    const world = new NodeWorld({
      nodes: NODES,
      fallback: FALLBACK,
      profile: { termEpochs: 6, idleEpochs: 3 },
    })
    const founders = await world.start(0, 1, 2, 3, 4)
    await world.run(1)
    world.chain.register(
      [5, 6, 7, 8, 9].map(index => {
        const { index: _index, registeredAt: _at, ...entry } = entryOf(index)
        return entry
      }),
    )
    const [stays, ...newcomers] = [founders[0], ...(await world.start(5, 6, 7, 8, 9))]
    await world.run(3, 6)
    for (const { node } of founders.slice(1)) await world.until(node.stop())
    await untilFormed(world, [stays as WorldNode])
    await world.run(26)
    const stops = formed(world)
    // All that are left of the term, each after a wait, and one of the next at most.
    assert.ok(stops.length >= 3 && stops.every(epoch => epoch <= 6), stops.join(', '))
    assert.ok(lastEpoch(world) >= 20, `last ${lastEpoch(world)}`)
    const everybody = committeeWord(drawCommittee(world.registry, world.profile, undefined))
    const named = world.chain.accepted
      .filter(({ epoch }) => epoch >= 0 && epoch < 5)
      .map(({ checkpoint }) => decode(CheckpointCodec, checkpoint).nextCommittee)
    for (const word of named) assert.deepEqual(word, everybody)
    assert.deepEqual(world.chain.slashed, [])
    for (const { node } of [stays as WorldNode, ...newcomers]) {
      assert.equal(node.checkpointer.adopted, lastEpoch(world))
    }
  })

  it('forms another one where the first does not sign either, of who is there by then', async () => {
    const all = await twoLeave(3)
    const { world, nodes, gone } = all
    const [zero, one, two] = nodes as [WorldNode, WorldNode, WorldNode]
    const stuck = lastEpoch(world)
    await untilFormed(world, nodes)
    await world.until(two.node.stop())
    const back = again(world, gone[0] as WorldNode)
    await world.until(back.node.start())
    await world.run(24)
    const { committees = [] } = zero.chain.succession() ?? {}
    assert.deepEqual(
      committees.map(({ epoch, window, members }) => [epoch, window, members.length]),
      [
        [stuck + 1, 1, 3],
        [stuck + 1, 2, 3],
      ],
    )
    assert.ok(lastEpoch(world) >= 20, `last ${lastEpoch(world)}`)
    assert.deepEqual(world.chain.slashed, [])
    assert.deepEqual(await wrongSums({ ...all, nodes: [zero, one] }), [])
    assert.equal(said([zero, one, back], 'a node voted twice').length, 0)
  })

  it('goes on where a reorganisation takes the committee away that has voted', async () => {
    const all = await twoLeave(3)
    const { world, nodes } = all
    const [first] = nodes as [WorldNode]
    const stuck = lastEpoch(world)
    await untilFormed(world, nodes)
    const formedIn = first.chain.succession()?.formed?.block.number ?? assert.fail()
    while (lastEpoch(world) === stuck) {
      await world.clock.run({ until: world.clock.now() + 100 })
    }
    world.chain.reorganise(formedIn - 1n)
    await world.run(16)
    assert.ok(lastEpoch(world) >= 12, `last ${lastEpoch(world)}`)
    assert.deepEqual(formed(world), [stuck + 1])
    assert.deepEqual(world.chain.slashed, [])
    assert.equal(said(nodes, 'a node voted twice').length, 0)
    assert.deepEqual(await wrongSums(all), [])
  })

  for (const and of ['', ', and everybody is restarted']) {
    it(`goes on where its first checkpoint is cancelled${and}`, async () => {
      const { world, nodes } = await twoLeave(3)
      const stuck = lastEpoch(world)
      while (lastEpoch(world) === stuck) {
        await world.clock.run({ until: world.clock.now() + 1_000 })
      }
      world.chain.cancel(stuck + 1)
      let present = nodes
      if (and !== '') {
        for (const { node } of nodes) await world.until(node.stop())
        present = nodes.map(node => again(world, node))
        await world.until(Promise.all(present.map(({ node }) => node.start())))
      }
      await world.run(18)
      assert.ok(lastEpoch(world) >= 14, `last ${lastEpoch(world)}`)
      assert.deepEqual(world.chain.slashed, [])
      assert.equal(said(present, 'a node voted twice').length, 0)
      assert.deepEqual(await wrongSums({ world, nodes: present }), [])
    })
  }

  it('waits, and lets nodes come again, while those who are there hold no majority', async () => {
    const { world, nodes } = await twoLeave(3)
    const [, , third] = nodes as [WorldNode, WorldNode, WorldNode]
    const stuck = lastEpoch(world)
    await world.until(third.node.stop())
    await world.run(10)
    assert.equal(lastEpoch(world), stuck)
    assert.ok((nodes[0]?.chain.succession()?.windows ?? 0) > 1)
    const back = again(world, third)
    await world.until(back.node.start())
    await world.run(18)
    assert.deepEqual(formed(world), [stuck + 1])
    assert.ok(lastEpoch(world) > stuck + 5, `last ${lastEpoch(world)}`)
  })
})

describe('nodes whose chain was away for long', () => {
  it('land what they signed, and check in no one', async () => {
    const world = new NodeWorld({ nodes: 4, fallback: FALLBACK })
    const nodes = await world.start(0, 1, 2, 3)
    await world.run(2, 6)
    for (const { chain } of nodes) chain.setDown(true)
    await world.run(7, 6)
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(9)
    assert.equal(said(nodes, 'checked in').length, 0)
    assert.deepEqual(formed(world), [])
    assert.ok(lastEpoch(world) >= 7)
    assert.deepEqual(complaints(nodes), [])
  })
})
