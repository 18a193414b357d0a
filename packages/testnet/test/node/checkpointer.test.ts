import { strict as assert } from 'node:assert'
import { EpochWork, type Network } from '@cairn/node'
import {
  type Checkpoint,
  Checkpoint as CheckpointCodec,
  decode,
  drawCommittee,
  Envelope,
  type EpochBase,
  ed25519,
  GOSSIP_MAX_BYTES,
  hex,
  KERNEL_KIND,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  Proposal,
  proposerOf,
  seal,
  TOKEN,
  Vote,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { bytes32, entryOf, identitySecret, NETWORK } from '../../../protocol/test/kernel-world.ts'
import type { SimulatedChain } from '../../src/sim/chain.ts'
import { landForged } from './forgery.ts'
import { tip } from './messages.ts'
import { EpochResponse, FetchResponse, serveLies } from './wire.ts'
import { complaints, NodeWorld, peerName, type WorldNode } from './world.ts'
import { WrongClock } from './wrong-clock.ts'

/** Longer than any of these tests: nothing is ever active. */
const HOUR_S = 3_600

const CHECKPOINT_TOPIC = `/cairn/${hex(NETWORK.slice(0, 8))}/checkpoint`

const epochs = (world: NodeWorld) => world.chain.accepted.map(({ epoch }) => epoch)

/** The first epoch from `from` on in which `index` is the first to propose. */
function firstProposedBy(world: NodeWorld, index: number, from = 1): number {
  for (let epoch = from; ; epoch++) if (world.proposer(epoch) === index) return epoch
}

/** A member that is no node: it says and answers what a test tells it. */
class Outsider {
  readonly network: Network
  readonly index: number

  constructor(world: NodeWorld, index: number) {
    this.index = index
    this.network = world.network.join(peerName(index))
  }

  async propose(
    base: EpochBase,
    checkpoint: Checkpoint,
    { round = 0, change = {} as Partial<Proposal>, key = this.index } = {},
  ): Promise<Envelope> {
    const { epoch, tag } = base
    const value = { epoch, base: tag, kind: KERNEL_KIND, author: this.index, round, checkpoint }
    const envelope = seal(MessageType.proposal, Proposal, { ...value, ...change }, NETWORK, root =>
      ed25519.sign(root, identitySecret(key)),
    )
    await this.network.publish(CHECKPOINT_TOPIC, Envelope.serialize(envelope))
    return envelope
  }
}

/** What a node would propose for an epoch. */
async function settled(world: NodeWorld, { node }: WorldNode, epoch: number): Promise<Checkpoint> {
  const parent = await node.settlements.accepted(epoch - 1)
  const record = node.epochs.record(epoch)
  assert.ok(parent && record)
  const settlement = await world.until(node.settlements.settle(epoch, record.set, parent))
  assert.ok(settlement)
  return settlement.checkpoint
}

const refusals = (nodes: readonly WorldNode[]) =>
  nodes.flatMap(({ lines }) =>
    lines.filter(({ text }) => text === 'does not vote for a proposal').map(l => l.facts.refusal),
  )

/** Votes about an epoch that a node holds, as `author/round`. */
function votes({ node }: WorldNode, epoch: number): string[] {
  const found: string[] = []
  for (const { envelope } of node.epochs.record(epoch + 1)?.set.messages() ?? []) {
    if (envelope.type !== MessageType.vote) continue
    const vote = decode(Vote, envelope.body)
    if (vote.epoch === epoch) found.push(`${vote.author}/${vote.round}`)
  }
  return found.sort()
}

describe('a committee', () => {
  for (const members of [1, 2, 3, 4]) {
    it(`of ${members} brings every epoch to the chain, and all adopt it`, async () => {
      const world = new NodeWorld({ nodes: members })
      const nodes = await world.start(...Array.from({ length: members }, (_, index) => index))
      await world.run(4)
      assert.deepEqual(epochs(world), [-1, 0, 1, 2])
      for (const { node } of nodes) assert.equal(node.checkpointer.adopted, 2)
      assert.ok(world.chain.accepted.every(({ round }) => round === 0))
      assert.deepEqual(complaints(nodes), [])
      for (const { node } of nodes) await node.stop()
    })
  }

  it('is that of the block which the genesis checkpoint names, whoever came before the start', async () => {
    const before = (chain: SimulatedChain) => {
      const { index: _, registeredAt: _at, ...late } = entryOf(3)
      chain.register([{ ...late, bond: 1_000_000n * TOKEN }])
    }
    const world = new NodeWorld({ nodes: 3, named: true, before })
    const nodes = await world.start(0, 1, 2)
    await world.run(4)
    assert.deepEqual(epochs(world), [-1, 0, 1, 2])
    for (const { node } of nodes) assert.equal(node.checkpointer.adopted, 2)
    for (const { node } of nodes) await node.stop()
  })

  for (const [running, members] of [
    [1, 2],
    [2, 3],
    [2, 4],
  ] as const) {
    it(`of which ${running} of ${members} take part lands nothing`, async () => {
      const world = new NodeWorld({ nodes: members })
      await world.start(...Array.from({ length: running }, (_, index) => index))
      await world.run(3)
      assert.deepEqual(epochs(world), [-1])
    })
  }

  it('goes on with the next round where the first proposer is away', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const away = 3
    const nodes = await world.start(0, 1, 2)
    const epoch = firstProposedBy(world, away)
    await world.run(epoch + 2)
    const accepted = world.chain.accepted.find(landed => landed.epoch === epoch)
    assert.ok(accepted)
    assert.ok(accepted.round > 0)
    assert.notEqual(world.proposer(epoch, accepted.round), away)
    assert.deepEqual(complaints(nodes), [])
  })

  it('lets the proposer land it, and the next in rank when its chain is away', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const nodes = await world.start(0, 1, 2, 3)
    await world.run(2, 1)
    for (const { epoch, round, submitter } of world.chain.accepted.slice(1)) {
      const proposer = world.proposer(epoch, round)
      assert.deepEqual(submitter, world.registry[proposer]?.payout, `epoch ${epoch}`)
    }
    const epoch = 2
    const proposer = world.proposer(epoch)
    await world.run(3, 0, 500)
    nodes[proposer]?.chain.setDown(true)
    await world.run(4)
    const landed = world.chain.accepted.find(accepted => accepted.epoch === epoch)
    const next = world.proposer(epoch, 1)
    assert.notEqual(next, proposer)
    assert.deepEqual(landed?.submitter, world.registry[next]?.payout)
  })

  it('is adopted by those who are not in it, with the whole set', async () => {
    const world = new NodeWorld({ nodes: 4, entry: index => (index === 3 ? { bond: 0n } : {}) })
    const nodes = await world.start(0, 1, 2, 3)
    const adopted: boolean[] = []
    nodes[3]?.node.checkpointer.onAdopted(({ settled }) => adopted.push(settled !== undefined))
    await world.run(4)
    assert.deepEqual(adopted, [true, true, true])
    assert.deepEqual(votes(nodes[3] as WorldNode, 2), ['0/0', '1/0', '2/0'])
  })

  it('is followed by a node that was cut off from its peers, from what the chain accepted', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const nodes = await world.start(0, 1, 2, 3)
    await world.run(1, 3)
    world.network.partition([[peerName(3)]])
    await world.run(3, 5)
    const { node } = nodes[3] as WorldNode
    assert.deepEqual(epochs(world), [-1, 0, 1, 2])
    world.network.heal()
    await world.run(5)
    assert.equal(node.checkpointer.adopted, 3)
    const recomputed = await world.until(node.settlements.recompute(3))
    assert.equal(recomputed?.equal, true)
    assert.deepEqual(complaints(nodes), [])
  })
})

describe('a member', () => {
  /** Three honest nodes, an outsider that is the first to propose the epoch, and what they hold. */
  async function scene() {
    const world = new NodeWorld({ nodes: 4 })
    const outsider = new Outsider(world, 3)
    const nodes = await world.start(0, 1, 2)
    await outsider.network.start()
    const epoch = firstProposedBy(world, outsider.index)
    await world.run(epoch + 1, world.profile.proposeDelay, 10)
    const [one] = nodes as [WorldNode]
    const base = await world.base(one, epoch)
    return { world, outsider, nodes, epoch, base, one }
  }

  it('votes for an outsider’s proposal that says what it computes itself', async () => {
    const { world, outsider, nodes, epoch, base, one } = await scene()
    await outsider.propose(base, await settled(world, one, epoch))
    await world.run(epoch + 1, 4)
    assert.deepEqual(refusals(nodes), [])
    assert.deepEqual(votes(one, epoch), ['0/0', '1/0', '2/0'])
    assert.equal(epochs(world).at(-1), epoch)
  })

  it('refuses a set that lacks what it held at the freeze, and says how many', async () => {
    const { world, outsider, nodes, epoch, base, one } = await scene()
    const held = one.node.epochs.record(epoch)?.set.size ?? 0
    assert.ok(held > 0)
    serveLies(outsider.network, { set: [], messages: [] })
    const checkpoint = await settled(world, one, epoch)
    const empty = { ...checkpoint, messages: listRoot([], ListDepth.messages) }
    await outsider.propose(base, empty)
    await world.run(epoch + 1, 2)
    const refusal = `lacks ${held} of ${held} messages held at the freeze`
    assert.deepEqual(refusals(nodes), [refusal, refusal, refusal])
    assert.deepEqual(votes(one, epoch), [])
    await world.run(epoch + 2)
    assert.ok((world.chain.accepted.at(-1)?.round ?? 0) > 0, 'a later round lands it')
    assert.equal(epochs(world).at(-1), epoch)
  })

  it('votes for a set that holds more than it did, once it has fetched it', async () => {
    const { world, outsider, nodes, epoch, base, one } = await scene()
    const more = tip(world.authors(base), 7, { author: outsider.index })
    const id = messageId(more)
    const [, two] = nodes as [WorldNode, WorldNode]
    assert.equal((await two.node.ingest.add(more, 'sync')).acceptance, 'accept')
    const checkpoint = await settled(world, two, epoch)
    const ids = two.node.epochs.record(epoch)?.set.ids() ?? []
    serveLies(outsider.network, { set: ids, messages: [more] })
    await outsider.propose(base, checkpoint)
    await world.run(epoch + 1, 2)
    assert.deepEqual(refusals(nodes), [])
    assert.deepEqual(votes(one, epoch), ['0/0', '1/0', '2/0'])
    await world.run(epoch + 1, 4)
    const final = await one.node.ledger.final(epoch)
    assert.ok(final?.ids.some(other => hex(other) === hex(id)))
  })

  it('refuses another result, and names the field', async () => {
    for (const [field, value] of [
      ['earnedTotal', 1n],
      ['state', bytes32('x')],
      ['parent', bytes32('x')],
      ['nextCommittee', bytes32('x')],
    ] as const) {
      const { world, outsider, nodes, epoch, base, one } = await scene()
      const checkpoint = await settled(world, one, epoch)
      await outsider.propose(base, { ...checkpoint, [field]: value })
      await world.run(epoch + 1, 2)
      const refusal = `another result: ${field}`
      assert.deepEqual(refusals(nodes), [refusal, refusal, refusal])
      assert.deepEqual(votes(one, epoch), [])
    }
  })

  it('refuses a set with a message that is not valid, or that nobody sends', async () => {
    const { world, outsider, nodes, epoch, base, one } = await scene()
    const checkpoint = await settled(world, one, epoch)
    const good = tip(world.authors(base), 7)
    const bad = { ...good, signature: good.signature.map(byte => byte ^ 1) }
    const held = one.node.epochs.record(epoch)?.set.ids() ?? []
    const ids = [...held, messageId(bad)].sort(Buffer.compare)
    serveLies(outsider.network, { set: ids, messages: [bad] })
    const messages = listRoot(ids, ListDepth.messages)
    await outsider.propose(base, { ...checkpoint, messages })
    await world.run(epoch + 1, 2)
    assert.deepEqual(refusals(nodes), new Array(3).fill('invalidMessages'))
    assert.deepEqual(votes(one, epoch), [])
  })

  it('refuses a set that its proposer does not list', async () => {
    const { world, outsider, nodes, epoch, base, one } = await scene()
    const checkpoint = await settled(world, one, epoch)
    await outsider.propose(base, { ...checkpoint, messages: bytes32('no set') })
    serveLies(outsider.network, { set: [bytes32('a')], messages: [] })
    await world.run(epoch + 1, 2)
    assert.deepEqual(refusals(nodes), new Array(3).fill('setUnavailable'))
  })

  it('votes once a round, and takes one proposal of it', async () => {
    const { world, outsider, nodes, epoch, base, one } = await scene()
    const checkpoint = await settled(world, one, epoch)
    await outsider.propose(base, { ...checkpoint, earnedTotal: 1n })
    await world.clock.run({ until: world.clock.now() + 50 })
    const second = await outsider.propose(base, checkpoint)
    await world.clock.run({ until: world.clock.now() + 50 })
    assert.deepEqual(votes(one, epoch), [])
    for (const { counts } of nodes) assert.equal(counts.get('ignore/known'), 1)
    const again = await one.node.checkpointer.heard(Envelope.serialize(second))
    assert.deepEqual([again.acceptance, again.reason], ['ignore', 'known'])
  })

  it('votes for nothing else once it has seen a quorum', async () => {
    const { world, outsider, nodes, epoch, base, one } = await scene()
    for (const { chain } of nodes) chain.setDown(true)
    await outsider.propose(base, await settled(world, one, epoch))
    await world.clock.run({ until: world.clock.now() + 300 })
    assert.deepEqual(votes(one, epoch), ['0/0', '1/0', '2/0'])
    const more = tip(world.authors(base), 7, { author: outsider.index })
    await one.node.ingest.add(more, 'sync')
    const other = await settled(world, one, epoch)
    const round = [1, 2, 3, 4].find(later => world.proposer(epoch, later) === 3) as number
    serveLies(outsider.network, {
      set: one.node.epochs.record(epoch)?.set.ids() ?? [],
      messages: [more],
    })
    await world.run(epoch + 1, world.profile.proposeDelay + round * world.profile.roundSlots, 20)
    await outsider.propose(base, other, { round })
    await world.clock.run({ until: world.clock.now() + 300 })
    assert.deepEqual(refusals(nodes), new Array(3).fill('otherQuorum'))
    assert.deepEqual(votes(one, epoch), ['0/0', '1/0', '2/0'])
  })

  it('lands a quorum although one of it voted again', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const outsider = new Outsider(world, 3)
    const nodes = await world.start(0, 1)
    await outsider.network.start()
    const [one] = nodes as [WorldNode]
    const round = [0, 1, 2, 3].find(round => world.proposer(0, round) < 2) as number
    await world.run(1, 0, 900)
    for (const { chain } of nodes) chain.setDown(true)
    await world.run(1, world.profile.proposeDelay + round * world.profile.roundSlots, 400)
    assert.deepEqual(votes(one, 0), [`0/${round}`, `1/${round}`])
    const base = await world.base(one, 0)
    const [held] = [...(one.node.epochs.record(1)?.set.messages() ?? [])].filter(
      ({ envelope }) => envelope.type === MessageType.vote,
    )
    assert.ok(held)
    const { checkpoint } = decode(Vote, held.envelope.body)
    const authors = world.authors(base)
    for (const root of [checkpoint, bytes32('another')]) {
      const vote = authors.vote(3, root, { epoch: 0, round })
      await outsider.network.publish(CHECKPOINT_TOPIC, Envelope.serialize(vote))
      await world.clock.run({ until: world.clock.now() + 50 })
    }
    for (const { node } of nodes) {
      assert.equal(node.epochs.record(1)?.set.contradictions().length, 1)
    }
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(2, 6)
    assert.deepEqual(world.chain.accepted[1]?.root, checkpoint)
  })

  it('lands a quorum whose votes were not at hand at the first try', async () => {
    const world = new NodeWorld({ nodes: 3 })
    const nodes = await world.start(0, 1, 2)
    await world.run(1, 0, 900)
    const { signatures } = EpochWork.prototype
    EpochWork.prototype.signatures = () => new Map()
    try {
      await world.run(1, 6)
    } finally {
      EpochWork.prototype.signatures = signatures
    }
    assert.ok(nodes[0]?.node.checkpointer.hasQuorum(0))
    assert.deepEqual(epochs(world), [-1])
    await world.run(2)
    assert.deepEqual(epochs(world), [-1, 0])
    assert.deepEqual(complaints(nodes), [])
  })
})

describe('a proposal', () => {
  it('is judged by author, base, time, duty and signature, and counted', async () => {
    const world = new NodeWorld({ nodes: 4, fallback: { after: HOUR_S, window: 60 } })
    const outsider = new Outsider(world, 3)
    const [one] = (await world.start(0, 1, 2)) as [WorldNode]
    const epoch = firstProposedBy(world, 3)
    await world.run(epoch + 1, world.profile.proposeDelay, 10)
    const base = await world.base(one, epoch)
    const checkpoint = await settled(world, one, epoch)
    const judged = async (
      change: Partial<Proposal>,
      init: { round?: number; key?: number } = {},
    ) => {
      one.counts.clear()
      const envelope = await outsider.propose(base, checkpoint, { change, ...init })
      const { acceptance, reason } = await one.node.checkpointer.heard(Envelope.serialize(envelope))
      assert.equal(one.counts.get(`${acceptance}/${reason}`), 1)
      return `${acceptance} ${reason}`
    }
    assert.equal(await judged({ author: 77 }), 'ignore unknownAuthor')
    assert.equal(await judged({ base: new Uint8Array(8) }), 'ignore otherBase')
    assert.equal(await judged({ epoch: epoch + 9 }), 'ignore noBase')
    assert.equal(await judged({ epoch: epoch - 1 }), 'ignore alreadyAccepted')
    assert.equal(await judged({}, { round: 50 }), 'ignore early')
    const committee = drawCommittee(world.registry, world.profile, undefined)
    const drawn = [3, proposerOf(committee, base.seed, 0)]
    const other = [0, 1, 2].find(index => !drawn.includes(index)) as number
    assert.equal(await judged({ author: other }), 'reject noDuty')
    assert.equal(await judged({}, { key: 2 }), 'reject badSignature')
    assert.equal(await judged({}), 'accept new')
    assert.equal(await judged({}), 'ignore known')
  })

  it('of a round long past is ignored', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const outsider = new Outsider(world, 3)
    const [one] = (await world.start(0, 1)) as [WorldNode]
    await world.run(1, 2)
    const base = await world.base(one, 0)
    const checkpoint = await settled(world, one, 0)
    const round = [0, 1, 2, 3].find(round => world.proposer(0, round) === 3) as number
    await world.run(13)
    const envelope = await outsider.propose(base, checkpoint, { round })
    const { reason } = await one.node.checkpointer.heard(Envelope.serialize(envelope))
    assert.equal(reason, 'late')
  })

  it('is not told from garbage by a crash: bad bytes are rejected and counted', async () => {
    const world = new NodeWorld({ nodes: 1 })
    const [one] = (await world.start(0)) as [WorldNode]
    await world.run(1)
    const { checkpointer } = one.node
    const judged = async (bytes: Uint8Array) => {
      one.counts.clear()
      const { acceptance, reason } = await checkpointer.heard(bytes)
      assert.equal(one.counts.get(`${acceptance}/${reason}`), 1)
      return `${acceptance} ${reason}`
    }
    const envelope = (type: number, body = new Uint8Array(20)) =>
      Envelope.serialize({ type, body, signature: new Uint8Array(64) })
    assert.equal(await judged(new Uint8Array()), 'reject badLength')
    assert.equal(await judged(new Uint8Array(GOSSIP_MAX_BYTES + 1)), 'reject badLength')
    assert.equal(await judged(new Uint8Array(300).fill(7)), 'reject badEncoding')
    assert.equal(await judged(envelope(MessageType.challenge)), 'reject wrongTopic')
    assert.equal(await judged(envelope(MessageType.deal)), 'reject wrongTopic')
    assert.equal(await judged(envelope(MessageType.proposal)), 'reject badLength')
    assert.equal(await judged(envelope(MessageType.vote)), 'reject badLength')
  })
})

describe('three contradicting messages spread over the members', () => {
  for (const amounts of [
    [1, 2, 3],
    [2, 3, 1],
    [3, 1, 2],
  ]) {
    it(`do not stop the checkpoint, and leave one evidence, said as ${amounts}`, async () => {
      const world = new NodeWorld({ nodes: 5 })
      const nodes = await world.start(0, 2, 3, 4)
      const [one] = nodes as [WorldNode]
      await world.run(1, 11, 900)
      const base = await world.base(one, 1)
      const authors = world.authors(base)
      const tips = amounts.map(amount => tip(authors, amount)) as [Envelope, Envelope, Envelope]
      const held = [[tips[0], tips[1]], [tips[1], tips[2]], [tips[0], tips[2]], []]
      for (const [at, envelopes] of held.entries()) {
        for (const envelope of envelopes) await nodes[at]?.node.ingest.add(envelope, 'sync')
      }
      await world.run(3)
      assert.ok(epochs(world).includes(1))
      for (const { node } of nodes) assert.ok(node.checkpointer.adopted >= 1)
      const final = await one.node.ledger.final(1)
      const ids = new Set(final?.ids.map(hex))
      const said = tips.map(envelope => hex(messageId(envelope))).sort()
      assert.deepEqual(
        said.filter(id => ids.has(id)),
        said.slice(0, 2),
        'the two of the lowest ids, whoever proposed',
      )
      for (const { node } of nodes) {
        assert.equal((await world.until(node.settlements.recompute(1)))?.equal, true)
      }
      assert.deepEqual(complaints(nodes), [])
    })
  }
})

describe('while the chain is away', () => {
  async function outage(init: { restart?: 'clean' | 'crash'; startDown?: boolean } = {}) {
    const world = new NodeWorld({ nodes: 4 })
    const stores = [0, 1, 2, 3].map(() => new MemoryStore())
    let nodes = stores.map((store, index) => world.node(index, { store }))
    await Promise.all(nodes.map(({ node }) => node.start()))
    await world.run(2, 6)
    const before = epochs(world).at(-1) as number
    for (const { chain } of nodes) chain.setDown(true)
    await world.run(5, 6)
    assert.equal(epochs(world).at(-1), before)
    if (init.restart !== undefined) {
      for (const { node, index } of nodes) {
        if (init.restart === 'clean') await world.until(node.stop())
        world.network.crash(peerName(index))
      }
      nodes = stores.map((store, index) => world.node(index, { store }))
      for (const { chain } of nodes) chain.setDown(init.startDown ?? true)
      await Promise.all(nodes.map(({ node }) => node.start()))
      await world.run(5, 9)
    }
    for (const { chain } of nodes) chain.setDown(false)
    return { world, nodes }
  }

  function assertInOrder(world: NodeWorld, nodes: readonly WorldNode[], until: number) {
    const landed = epochs(world)
    assert.deepEqual(
      landed,
      landed.toSorted((a, b) => a - b),
    )
    assert.ok((landed.at(-1) as number) >= until, `landed ${landed}`)
    for (const [at, { checkpoint }] of world.chain.accepted.entries()) {
      const before = world.chain.accepted[at - 1]
      if (before !== undefined) {
        assert.deepEqual(decode(CheckpointCodec, checkpoint).parent, before.root)
      }
    }
    for (const { node } of nodes) assert.equal(node.checkpointer.adopted, landed.at(-1))
    assert.deepEqual(complaints(nodes), [])
  }

  it('checkpoints queue, and land in order when it is back', async () => {
    const { world, nodes } = await outage()
    await world.run(8)
    assertInOrder(world, nodes, 6)
  })

  it('for more epochs than are in work at once, all land in order when it is back', async () => {
    const world = new NodeWorld({ nodes: 3 })
    const nodes = await world.start(0, 1, 2)
    await world.run(2, 6)
    for (const { chain } of nodes) chain.setDown(true)
    await world.run(72, 6)
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(90)
    assertInOrder(world, nodes, 88)
  }).timeout(120_000)

  it('and everybody was restarted, the queue lands all the same', async () => {
    const { world, nodes } = await outage({ restart: 'clean' })
    await world.run(9)
    assertInOrder(world, nodes, 7)
  })

  it('and everybody was restarted as it came back, nobody votes again on what had a quorum', async () => {
    const { world, nodes } = await outage({ restart: 'clean', startDown: false })
    await world.run(9)
    assertInOrder(world, nodes, 7)
    const queued = world.chain.accepted.filter(({ epoch }) => epoch === 2 || epoch === 3)
    assert.deepEqual(
      queued.map(({ round }) => round),
      [0, 0],
    )
  })

  it('and everybody lost power, the queue lands when they may sign again', async () => {
    const { world, nodes } = await outage({ restart: 'crash' })
    await world.run(10)
    assertInOrder(world, nodes, 8)
  })

  it('a quorum of before a restart is landed by those who voted for it', async () => {
    const world = new NodeWorld({ nodes: 3 })
    const stores = [0, 1, 2].map(() => new MemoryStore())
    const first = stores.map((store, index) => world.node(index, { store }))
    await Promise.all(first.map(({ node }) => node.start()))
    await world.run(2, 0, 500)
    for (const { chain } of first) chain.setDown(true)
    await world.run(2, 3)
    const [one] = first as [WorldNode]
    assert.equal(votes(one, 1).length, 3)
    const held = [...(one.node.epochs.record(2)?.set.messages() ?? [])].find(
      ({ envelope }) => envelope.type === MessageType.vote,
    )
    assert.ok(held)
    const { checkpoint } = decode(Vote, held.envelope.body)
    for (const { node, index } of first) {
      await world.until(node.stop())
      world.network.crash(peerName(index))
    }
    const second = stores.map((store, index) => world.node(index, { store }))
    await Promise.all(second.map(({ node }) => node.start()))
    await world.run(3)
    const landed = world.chain.accepted.find(({ epoch }) => epoch === 1)
    assert.deepEqual(landed?.root, checkpoint)
    assert.equal(landed?.round, 0)
    for (const store of stores) {
      for await (const [at] of store.sublevel('voted').range({
        gte: new Uint8Array(4),
        lt: Uint8Array.of(0, 0, 0, 2),
      })) {
        assert.fail(`what was voted for epoch ${at[3]} is kept although it landed`)
      }
    }
  })

  it('a quorum that came too late for a set is landed after a restart, too', async () => {
    const world = new NodeWorld({ nodes: 3 })
    const stores = [0, 1, 2].map(() => new MemoryStore())
    const start = async (...indices: number[]) => {
      const nodes = indices.map(index => world.node(index, { store: stores[index] as MemoryStore }))
      for (const { chain } of nodes) chain.setDown(down)
      await Promise.all(nodes.map(({ node }) => node.start()))
      return nodes
    }
    let down = false
    const first = await start(0, 1)
    const listener = world.network.join(peerName(9))
    await listener.start()
    const cast = new Map<number, Set<number>>()
    listener.subscribe(CHECKPOINT_TOPIC, async data => {
      const { type, body } = decode(Envelope, data)
      if (type !== MessageType.vote) return 'accept'
      const { epoch, author, round } = decode(Vote, body)
      if (epoch === 0) cast.set(round, (cast.get(round) ?? new Set()).add(author))
      return 'accept'
    })
    const quorum = () => [...cast].find(([, authors]) => authors.size === 3)?.[0]
    await world.run(2, 6)
    down = true
    for (const { chain } of first) chain.setDown(down)
    first.push(...(await start(2)))
    for (let slot = 7; quorum() === undefined; slot++) await world.run(2, slot)
    const round = quorum() as number
    for (const { node, index } of first) {
      await world.until(node.stop())
      world.network.crash(peerName(index))
    }
    down = false
    const second = await start(0, 1, 2)
    await world.clock.run({ until: world.clock.now() + 12_000 })
    const landed = world.chain.accepted.find(({ epoch }) => epoch === 0)
    assert.equal(landed?.round, round)
    assert.deepEqual(complaints(second), [])
    for (const store of stores) {
      const left = store
        .sublevel('quorums')
        .range({ gte: new Uint8Array(4), lt: Uint8Array.of(0, 0, 0, 1) })
      for await (const [at] of left) assert.fail(`a vote about epoch ${at[3]} is kept`)
    }
  })
})

describe('what the chain takes back', () => {
  /** Four nodes over stores of their own. */
  async function network() {
    const world = new NodeWorld({ nodes: 4, activationDelay: HOUR_S })
    const stores = [0, 1, 2, 3].map(() => new MemoryStore())
    const nodes = stores.map((store, index) => world.node(index, { store }))
    await Promise.all(nodes.map(({ node }) => node.start()))
    return { world, stores, nodes, cast: await overheard(world) }
  }

  /** What each member votes for in each round, by `epoch/round/author`, whoever restarts. */
  async function overheard(world: NodeWorld): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const cast = new Map<string, Set<string>>()
    const listener = world.network.join(peerName(9))
    await listener.start()
    listener.subscribe(CHECKPOINT_TOPIC, async data => {
      const { type, body } = decode(Envelope, data)
      if (type !== MessageType.vote) return 'accept'
      const { epoch, round, author, checkpoint } = decode(Vote, body)
      const key = `${epoch}/${round}/${author}`
      cast.set(key, (cast.get(key) ?? new Set()).add(hex(checkpoint)))
      return 'accept'
    })
    return cast
  }

  function assertOneVoteARound(cast: ReadonlyMap<string, ReadonlySet<string>>): void {
    assert.ok(cast.size > 0)
    for (const [key, roots] of cast) assert.equal(roots.size, 1, key)
  }

  async function restart(
    world: NodeWorld,
    stores: readonly MemoryStore[],
    nodes: readonly WorldNode[],
  ): Promise<WorldNode[]> {
    for (const { node, index } of nodes) {
      await world.until(node.stop())
      world.network.crash(peerName(index))
    }
    const again = stores.map((store, index) => world.node(index, { store }))
    await Promise.all(again.map(({ node }) => node.start()))
    return again
  }

  /** Every checkpoint follows the one before, is adopted by all, and recomputed to its root. */
  async function assertWhole(world: NodeWorld, nodes: readonly WorldNode[], until: number) {
    const { accepted } = world.chain
    assert.ok((epochs(world).at(-1) as number) >= until, `landed ${epochs(world)}`)
    for (const [at, { checkpoint }] of accepted.entries()) {
      const before = accepted[at - 1]
      if (before) assert.deepEqual(decode(CheckpointCodec, checkpoint).parent, before.root)
    }
    for (const { node } of nodes) {
      assert.equal(node.checkpointer.adopted, accepted.at(-1)?.epoch)
      for (let epoch = 0; epoch <= until; epoch++) {
        const final = await node.ledger.final(epoch)
        assert.deepEqual(final?.checkpoint, accepted[epoch + 1]?.checkpoint, `epoch ${epoch}`)
        const recomputed = await world.until(node.settlements.recompute(epoch))
        assert.equal(recomputed?.equal, true, `epoch ${epoch}`)
      }
    }
    assert.deepEqual(complaints(nodes), [])
  }

  it('is voted again in a higher round when it was cancelled', async () => {
    const { world, nodes, cast } = await network()
    await world.run(3, 6)
    const first = world.chain.accepted[3]
    assert.equal(first?.epoch, 2)
    world.chain.cancel(2)
    await world.run(3, 7)
    for (const { node } of nodes) assert.equal(node.checkpointer.adopted, 1)
    await world.run(5)
    const again = world.chain.accepted[3]
    assert.ok(again && again.round > first.round)
    await assertWhole(world, nodes, 3)
    assertOneVoteARound(cast)
  })

  it('takes what followed it along, and all of it comes again in order', async () => {
    const { world, nodes, cast } = await network()
    await world.run(5, 6)
    assert.equal(epochs(world).at(-1), 4)
    const { accepted } = world.chain
    world.chain.cancel(1)
    await world.run(5, 7)
    for (const { node } of nodes) assert.equal(node.checkpointer.adopted, 0)
    await world.run(9)
    await assertWhole(world, nodes, 7)
    assertOneVoteARound(cast)
    assert.ok((world.chain.accepted[2]?.round ?? 0) > (accepted[2]?.round ?? 0))
  })

  it('comes again although everybody was restarted between', async () => {
    const { world, stores, nodes, cast } = await network()
    await world.run(4, 6)
    const first = world.chain.accepted[3]
    for (const { chain } of nodes) chain.setDown(true)
    world.chain.cancel(2)
    const again = await restart(world, stores, nodes)
    await world.run(7)
    await assertWhole(world, again, 5)
    assertOneVoteARound(cast)
    assert.ok((world.chain.accepted[3]?.round ?? 0) > (first?.round ?? 0))
  })

  it('is not given up by who sees less of the chain than before', async () => {
    const { world, stores, nodes } = await network()
    await world.run(4, 6)
    const again = await restart(world, stores, nodes)
    const retreats: number[] = []
    for (const { node } of again) node.checkpointer.onRetreat(last => retreats.push(last))
    await world.run(6)
    assert.deepEqual(retreats, [])
    await assertWhole(world, again, 4)
  })

  it('is voted again by who restarts after it has gone back', async () => {
    const { world, stores, nodes, cast } = await network()
    await world.run(3, 6)
    world.chain.cancel(2)
    await world.run(3, 7)
    for (const { node } of nodes) assert.equal(node.checkpointer.adopted, 1)
    const again = await restart(world, stores, nodes)
    await world.run(6)
    await assertWhole(world, again, 4)
    assertOneVoteARound(cast)
  })

  it('is landed again, not voted again, when a reorganisation left it out', async () => {
    const { world, nodes } = await network()
    await world.run(3, 6)
    const first = world.chain.accepted[3]
    assert.equal(first?.epoch, 2)
    world.chain.reorganise(first.block.number - 1n)
    await world.run(3, 11)
    const again = world.chain.accepted[3]
    assert.deepEqual([again?.root, again?.round], [first.root, first.round])
    await world.run(5)
    await assertWhole(world, nodes, 3)
  })

  it('leaves no epoch on a base that a reorganisation took away', async () => {
    const { world, nodes, cast } = await network()
    await world.run(4, 6)
    const [one] = nodes as [WorldNode]
    const before = await world.base(one, 4)
    const kept = await world.base(one, 3)
    world.chain.reorganise(before.block.number - 3n)
    await world.run(5)
    const after = await world.base(one, 4)
    assert.equal(after.block.number, before.block.number - 3n)
    assert.deepEqual((await world.base(one, 3)).block, kept.block)
    await world.run(8)
    assert.ok((epochs(world).at(-1) as number) >= 6, `landed ${epochs(world)}`)
    for (const { node } of nodes) {
      assert.equal(node.checkpointer.adopted, epochs(world).at(-1))
      for (const epoch of [4, 5, 6]) {
        assert.equal((await world.until(node.settlements.recompute(epoch)))?.equal, true)
      }
    }
    const { base } = decode(CheckpointCodec, world.chain.accepted[5]?.checkpoint as Uint8Array)
    assert.deepEqual(base.hash, after.block.hash)
    assert.deepEqual(complaints(nodes), [])
    assertOneVoteARound(cast)
  })

  it('holds nobody up whose state nobody knows, though epochs rested on it', async () => {
    const { world, nodes } = await network()
    await world.run(2, 11)
    for (const { chain } of nodes) chain.setDown(true)
    assert.equal(epochs(world).at(-1), 1)
    await world.run(3, 6)
    const root = await landForged(world, () => ({ state: bytes32('no state') }))
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(5, 6)
    assert.equal(epochs(world).at(-1), 2, 'nothing can follow it')
    const [one] = nodes as [WorldNode]
    assert.equal(await world.until(one.node.epochs.resolve(5)), undefined)
    world.chain.cancel(2)
    await world.run(8)
    assert.notDeepEqual(world.chain.accepted[3]?.root, root)
    await assertWhole(world, nodes, 6)
  })

  it('is voted by those who began when the chain still had it', async () => {
    const { world, stores, nodes } = await network()
    await world.run(2, 11)
    for (const { node, index } of nodes) {
      await world.until(node.stop())
      world.network.crash(peerName(index))
    }
    await landForged(world, () => ({ state: bytes32('no state') }))
    await world.run(3, 8)
    const again = stores.map((store, index) => world.node(index, { store }))
    await Promise.all(again.map(({ node }) => node.start()))
    await world.run(4, 8)
    world.chain.cancel(2)
    await world.run(8)
    await assertWhole(world, again, 6)
  })

  it('is cancelled as often as it takes', async () => {
    const { world, nodes, cast } = await network()
    await world.run(3, 6)
    for (let times = 0; times < 3; times++) {
      world.chain.cancel(2)
      await world.run(4 + times)
      assert.ok(epochs(world).includes(2), `cancelled ${times + 1} times`)
    }
    const rounds = world.chain.cancelled.map(({ round }) => round)
    assert.deepEqual(
      rounds,
      rounds.toSorted((a, b) => a - b),
    )
    await world.run(8)
    await assertWhole(world, nodes, 6)
    assertOneVoteARound(cast)
  })
})

describe('a quorum that nobody can tell anything of', () => {
  /** One member; the others vote as told. It gave up such a quorum for epoch 1, as epoch 0 landed. */
  async function given() {
    const world = new NodeWorld({ nodes: 4 })
    const proposes = (epoch: number, member: number, rounds: readonly number[]) =>
      rounds.some(round => world.proposer(epoch, round) === member)
    // It proposes for epoch 0, and for epoch 1 once that has landed.
    const own = [0, 1, 2, 3].find(at => proposes(0, at, [0, 1, 2, 3]) && proposes(1, at, [2, 3, 4]))
    assert.ok(own !== undefined)
    const others = [0, 1, 2, 3].filter(at => at !== own)
    const store = new MemoryStore()
    const one = world.node(own, { store })
    await one.node.start()
    const outsider = new Outsider(world, others[0] as number)
    await outsider.network.start()
    const said: Vote[] = []
    outsider.network.subscribe(CHECKPOINT_TOPIC, async data => {
      const { type, body } = decode(Envelope, data)
      if (type === MessageType.vote) said.push(decode(Vote, body))
      return 'accept'
    })
    const bases = new Map<number, EpochBase>()
    const cast = async (
      epoch: number,
      { checkpoint, round }: Pick<Vote, 'checkpoint' | 'round'>,
    ) => {
      const base = bases.get(epoch) ?? (await world.base(one, epoch))
      bases.set(epoch, base)
      for (const author of others) {
        const vote = world.authors(base).vote(author, checkpoint, { epoch, round })
        await outsider.network.publish(CHECKPOINT_TOPIC, Envelope.serialize(vote))
      }
      await world.clock.run({ until: world.clock.now() + 50 })
    }
    await world.run(1, 0, 500)
    one.chain.setDown(true)
    await world.run(2, 1, 100)
    const first = said.find(({ epoch }) => epoch === 0)
    assert.ok(first)
    await cast(1, { checkpoint: bytes32('a set that nobody has'), round: 0 })
    one.chain.setDown(false)
    said.length = 0
    await cast(0, first)
    await world.run(2, 4)
    assert.ok(epochs(world).includes(0))
    return { world, one, store, said, cast }
  }

  async function lands({ world, said, cast }: Awaited<ReturnType<typeof given>>) {
    const again = said.find(({ epoch }) => epoch === 1)
    assert.ok(again, 'it proposes and votes again')
    await cast(1, again)
    await world.clock.run({ until: world.clock.now() + 8_000 })
    const landed = world.chain.accepted.find(({ epoch }) => epoch === 1)
    assert.deepEqual([landed?.root, landed?.round], [again.checkpoint, again.round])
  }

  it('is given up when its parent is accepted', async () => {
    const made = await given()
    await made.world.run(2, 11)
    await lands(made)
    assert.deepEqual(complaints([made.one]), [])
  })

  it('stays given up after a restart', async () => {
    const made = await given()
    const { world, one, store, said } = made
    await world.until(one.node.stop())
    world.network.crash(peerName(one.index))
    said.length = 0
    const again = world.node(one.index, { store })
    await again.node.start()
    await world.run(3, 6)
    await lands(made)
    assert.deepEqual(complaints([again]), [])
  })
})

describe('members whose clocks ran ahead', () => {
  for (const follows of [false, true]) {
    const waits = follows ? 'by that clock' : 'as long as they meant to'
    it(`go on with the rounds once they are set right, though timers wait ${waits}`, async () => {
      const world = new NodeWorld({ nodes: 4 })
      const clocks = Array.from({ length: 4 }, () => new WrongClock(world.clock, { follows }))
      const nodes = clocks.map((clock, index) => world.node(index, { clock }))
      await Promise.all(nodes.map(({ node }) => node.start()))
      await world.run(2)
      world.network.partition(nodes.map(({ index }) => [peerName(index)]))
      for (const clock of clocks) clock.offsetMs = 40 * world.profile.slotMs
      await world.run(2, 8)
      assert.deepEqual(epochs(world), [-1, 0], 'no round came to a quorum')
      for (const clock of clocks) clock.offsetMs = 0
      world.network.heal()
      await world.run(4)
      assert.deepEqual(epochs(world).slice(0, 4), [-1, 0, 1, 2])
    })
  }
  it('have their duties in the epochs after that, not in those of the wrong clock alone', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const clocks = Array.from({ length: 4 }, () => new WrongClock(world.clock, { follows: true }))
    const nodes = clocks.map((clock, index) => world.node(index, { clock }))
    await Promise.all(nodes.map(({ node }) => node.start()))
    await world.run(2)
    const { slotMs, slotsPerEpoch } = world.profile
    for (const clock of clocks) clock.offsetMs = 10 * slotsPerEpoch * slotMs
    await world.run(3, 2)
    for (const clock of clocks) clock.offsetMs = 0
    await world.run(6)
    const said = nodes[0]?.node.epochs.record(5)?.set.messages() ?? []
    assert.ok([...said].some(({ envelope }) => envelope.type === MessageType.attestation))
  })
})

describe('a member that lies when it is asked for its set', () => {
  for (const [what, lie] of Object.entries({
    'one id at a time': () =>
      EpochResponse.serialize({ root: bytes32('r'), total: 900_000, ids: [bytes32('x')] }),
    'pages without end': (request: Uint8Array) =>
      EpochResponse.serialize({
        root: bytes32('r'),
        total: 1_000_000,
        ids: Array.from({ length: 1024 }, (_, at) => bytes32(hex(request.slice(-4)), at)),
      }),
    'more than there can be': () =>
      EpochResponse.serialize({ root: bytes32('r'), total: 2 ** 32 - 1, ids: [bytes32('x')] }),
    garbage: () => Uint8Array.of(1, 2, 3),
  })) {
    it(`cannot hold the others up: ${what}`, async () => {
      const world = new NodeWorld({ nodes: 4 })
      const outsider = new Outsider(world, 3)
      serveLies(outsider.network, {
        epoch: lie,
        fetch: () => FetchResponse.serialize({ messages: [] }),
      })
      const nodes = await world.start(0, 1, 2)
      await outsider.network.start()
      await world.run(4)
      assert.ok(epochs(world).includes(2), `${epochs(world)}`)
      assert.deepEqual(complaints(nodes), [])
    }).timeout(60_000)
  }
})

describe('a checkpointer', () => {
  it('lets go of what is older than it keeps, and of no state that is in use', async () => {
    const world = new NodeWorld({ nodes: 3, profile: { retainEpochs: 2 } })
    const built = [0, 1].map(index => world.node(index))
    const archive = world.node(2, { archive: true })
    const nodes = [...built, archive]
    await Promise.all(nodes.map(({ node }) => node.start()))
    await world.run(6)
    const [one] = nodes as [WorldNode]
    assert.equal(one.node.checkpointer.adopted, 4)
    const left = async ({ node }: WorldNode, epoch: number) => {
      const authors = new Set<number>()
      for await (const { envelope } of node.ledger.messagesOf(epoch)) {
        authors.add(
          new DataView(envelope.body.buffer, envelope.body.byteOffset).getUint32(13, true),
        )
      }
      return [...authors].sort()
    }
    assert.deepEqual(await left(one, 2), [0], 'its own stay')
    assert.deepEqual(await left(one, 3), [0, 1, 2])
    assert.deepEqual(await left(archive, 0), [0, 1, 2])
    for (const { epoch, checkpoint } of world.chain.accepted) {
      const { state } = decode(CheckpointCodec, checkpoint)
      const kept = (await one.node.ledger.state(state)) !== undefined
      assert.equal(kept, epoch > 2 || epoch === -1, `state of ${epoch}`)
      assert.ok(await archive.node.ledger.state(state))
    }
  })

  it('keeps a state that later epochs left as it was', async () => {
    const world = new NodeWorld({
      nodes: 1,
      entry: () => ({ kinds: 0 }),
      profile: { retainEpochs: 2 },
    })
    const [one] = (await world.start(0)) as [WorldNode]
    await world.run(2, 6)
    one.chain.setDown(true)
    await world.run(8, 6)
    one.chain.setDown(false)
    await world.run(12)
    const states = world.chain.accepted.map(({ checkpoint }) =>
      hex(decode(CheckpointCodec, checkpoint).state),
    )
    assert.ok(
      new Set(states).size < states.length,
      'epochs without a base leave the state as it is',
    )
    const { adopted } = one.node.checkpointer
    for (const { epoch, checkpoint } of world.chain.accepted) {
      const { state } = decode(CheckpointCodec, checkpoint)
      if (epoch > adopted - 2) assert.ok(await one.node.ledger.state(state), `state of ${epoch}`)
    }
  })

  it('goes on after a restart without beginning rounds twice', async () => {
    const world = new NodeWorld({ nodes: 1 })
    const store = new MemoryStore()
    const first = world.node(0, { store })
    await first.node.start()
    await world.run(3, 5)
    await world.until(first.node.stop())
    world.network.crash(peerName(0))
    const second = world.node(0, { store })
    await second.node.start()
    await world.run(6)
    const proposed = second.lines
      .filter(({ text }) => text === 'proposes a checkpoint')
      .map(({ facts }) => `${facts.epoch}/${facts.round}`)
    assert.deepEqual(proposed, ['3/0', '4/0'])
    assert.deepEqual(epochs(world), [-1, 0, 1, 2, 3, 4])
  })
})
