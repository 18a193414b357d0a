import { strict as assert } from 'node:assert'
import type { Network, Store } from '@cairn/node'
import {
  Attestation,
  type Challenge,
  Challenge as ChallengeCodec,
  decodeEnvelope,
  type EpochBase,
  hex,
  KERNEL_KIND,
  MessageType,
  messageId,
  Ready,
  Verdict,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { bytes32 } from '../../../protocol/test/kernel-world.ts'
import { ECHO, echo } from '../../../protocol/test/kinds/trivial.ts'
import { NodeWorld, peerName, signerIn, type WorldNode } from './world.ts'

type Event = string

/** The store as it is, with a note of every batch that holds something. */
function noted(store: Store, events: Event[], level = ''): Store {
  return {
    get: key => store.get(key),
    range: options => store.range(options),
    close: () => store.close(),
    sublevel: name => noted(store.sublevel(name), events, name),
    async batch(writes, options) {
      await store.batch(writes, options)
      events.push(`${level} ${options?.sync === true ? 'durable' : 'written'}`)
    },
  }
}

function notedNetwork(network: Network, events: Event[]): Network {
  return {
    self: network.self,
    start: () => network.start(),
    stop: () => network.stop(),
    peers: () => network.peers(),
    subscribe: (topic, validate) => network.subscribe(topic, validate),
    unsubscribe: topic => network.unsubscribe(topic),
    serve: (protocol, options, answer) => network.serve(protocol, options, answer),
    request: (peer, protocol, request, options) =>
      network.request(peer, protocol, request, options),
    requestAsStranger: (peer, protocol, request, options) =>
      network.requestAsStranger(peer, protocol, request, options),
    async publish(topic, data) {
      events.push('sent')
      await network.publish(topic, data)
    },
  }
}

/** A challenge by `author` that is due, with the clock in its slot. */
async function dueChallenge(world: NodeWorld, base: EpochBase, author: number) {
  for (const { index: target } of base.nodes) {
    const order = base.duty(ECHO, target).challengers.indexOf(author)
    if (order === -1) continue
    const envelope = world.authors(base).challenge(target, order)
    const value = ChallengeCodec.deserialize(envelope.body)
    return { envelope, value, slot: echo.revealSlot(base, order, value.output) }
  }
  throw new Error(`${author} challenges nobody`)
}

async function speaking(world: NodeWorld, index: number, init = {}) {
  const speaker = await world.listener(index, init)
  await world.run(0, 0, 500)
  const base = await world.base(speaker, 0)
  const { value, slot } = await dueChallenge(world, base, index)
  await world.run(0, slot, 300)
  const fields = { kind: value.kind, target: value.target, output: value.output }
  return { ...speaker, base, fields, slot }
}

const say = (
  { node }: WorldNode,
  base: EpochBase,
  value: Pick<Challenge, 'kind' | 'target' | 'output'>,
) => node.speaker.say(MessageType.challenge, ChallengeCodec, base, value)

describe('a node’s voice', () => {
  it('makes what it says durable before it sends it', async () => {
    const world = new NodeWorld()
    const events: Event[] = []
    const speaker = await speaking(world, 0, {
      wrapStore: (store: Store) => noted(store, events),
      wrapNetwork: (network: Network) => notedNetwork(network, events),
    })
    events.length = 0
    const said = await say(speaker, speaker.base, speaker.fields)
    assert.ok(said)
    const sent = events.indexOf('sent')
    assert.ok(sent > 0 && events.lastIndexOf('sent') === sent)
    const before = events.slice(0, sent)
    assert.ok(before.includes('own durable'), before.join())
    assert.ok(before.includes('messages durable'), before.join())
    assert.ok(before.indexOf('own durable') < before.indexOf('messages durable'))
  })

  it('makes a vote durable before it sends it', async () => {
    const world = new NodeWorld()
    const events: Event[] = []
    const speaker = await speaking(world, 0, {
      wrapStore: (store: Store) => noted(store, events),
      wrapNetwork: (network: Network) => notedNetwork(network, events),
    })
    events.length = 0
    await world.run(1, 1)
    await world.base(speaker, 1)
    events.length = 0
    assert.ok(await speaker.node.speaker.vote(speaker.base, 0, bytes32('root')))
    const before = events.slice(0, events.indexOf('sent'))
    assert.deepEqual(
      before.filter(event => event.endsWith('durable')),
      ['own durable', 'messages durable'],
    )
  })

  it('reaches the peers as the bytes that it stored', async () => {
    const world = new NodeWorld()
    const speaker = await speaking(world, 0)
    const hearer = await world.listener(1)
    await world.base(hearer, 0)
    const heard: Uint8Array[] = []
    hearer.network.subscribe('/none', async () => 'ignore')
    const topic = `/cairn/${hex(speaker.base.network.slice(0, 8))}/0/echo`
    hearer.network.subscribe(topic, async data => {
      heard.push(data)
      return 'accept'
    })
    const said = await say(speaker, speaker.base, speaker.fields)
    await world.run(0, speaker.slot, 600)
    assert.equal(heard.length, 1)
    const envelope = decodeEnvelope(heard[0] as Uint8Array)
    assert.deepEqual(messageId(envelope), said?.id)
    assert.deepEqual((await speaker.node.ledger.get(messageId(envelope)))?.envelope, envelope)
  })

  it('says the same thing again, and nothing else about the subject', async () => {
    const world = new NodeWorld()
    const speaker = await speaking(world, 0)
    const first = await say(speaker, speaker.base, speaker.fields)
    const again = await say(speaker, speaker.base, speaker.fields)
    assert.deepEqual(again?.id, first?.id)
    const other = { ...speaker.fields, output: new Uint8Array(96) }
    assert.equal(await say(speaker, speaker.base, other), undefined)
    await assert.rejects(
      speaker.node.speaker.sign(MessageType.challenge, ChallengeCodec, speaker.base, other),
      { code: 'equivocation' },
    )
  })

  it('says one of two things that it is told to say in one turn', async () => {
    const world = new NodeWorld()
    const speaker = await speaking(world, 0)
    const sign = (output: Uint8Array) =>
      speaker.node.speaker.sign(MessageType.challenge, ChallengeCodec, speaker.base, {
        ...speaker.fields,
        output,
      })
    const [one, two] = await Promise.allSettled([
      sign(speaker.fields.output),
      sign(new Uint8Array(96)),
    ])
    assert.equal(one.status, 'fulfilled')
    assert.equal(two.status, 'rejected')
  })

  it('says nothing else after a restart either, however often it is told to', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    const speaker = await speaking(world, 0, { store })
    assert.ok(await say(speaker, speaker.base, speaker.fields))
    await speaker.node.ledger.close()
    world.network.crash(peerName(0))

    const again = await world.listener(0, { store })
    const base = await world.base(again, 0)
    const other = { ...speaker.fields, output: new Uint8Array(96) }
    for (let attempt = 0; attempt < 3; attempt++) {
      await assert.rejects(
        again.node.speaker.sign(MessageType.challenge, ChallengeCodec, base, other),
        { code: 'equivocation' },
        `attempt ${attempt}`,
      )
    }
    assert.ok(await say(again, base, speaker.fields), 'what it said before it may say again')
  })

  it('votes once a round, before and after a restart', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    const speaker = await speaking(world, 0, { store })
    await world.run(1, 1)
    await world.base(speaker, 1)
    const { base } = speaker
    assert.ok(await speaker.node.speaker.vote(base, 0, bytes32('root')))
    assert.equal(await speaker.node.speaker.vote(base, 0, bytes32('other')), undefined)
    assert.ok(await speaker.node.speaker.vote(base, 1, bytes32('other')))
    await speaker.node.ledger.close()
    world.network.crash(peerName(0))

    const again = await world.listener(0, { store })
    const baseAgain = await world.base(again, 0)
    await world.base(again, 1)
    for (let attempt = 0; attempt < 3; attempt++) {
      assert.equal(await again.node.speaker.vote(baseAgain, 0, bytes32('other')), undefined)
    }
    assert.ok(await again.node.speaker.vote(baseAgain, 0, bytes32('root')))
  })

  it('does not sign what it could not make durable', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    const speaker = await speaking(world, 0, { store })
    await store.close()
    const sign = () =>
      speaker.node.speaker.sign(MessageType.challenge, ChallengeCodec, speaker.base, speaker.fields)
    await assert.rejects(sign(), { code: 'storeClosed' })
    store.reopen()
    assert.ok(await sign(), 'a failed attempt claims nothing')
  })

  it('keeps silent while it is not registered', async () => {
    const world = new NodeWorld({ nodes: 3 })
    const stranger = await world.listener(3)
    await world.run(0, 1)
    const base = await world.base(stranger, 0)
    assert.equal(stranger.node.speaker.index(base), undefined)
    const ready = { kind: KERNEL_KIND }
    assert.equal(await stranger.node.speaker.say(MessageType.ready, Ready, base, ready), undefined)
    assert.equal(await stranger.node.speaker.vote(base, 0, bytes32('root')), undefined)
    await assert.rejects(stranger.node.speaker.sign(MessageType.ready, Ready, base, ready), {
      code: 'muted',
    })
  })

  it('keeps silent for the rest of the epoch and one more after an unclean stop', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    const first = world.node(0, { store })
    await first.node.start()
    await world.run(1, 6)
    world.network.crash(peerName(0))

    const second = world.node(0, { store })
    await second.node.start()
    assert.equal(second.node.mutedUntil, 3)
    assert.equal(second.node.muted(1), 'reopened')
    assert.equal(second.node.muted(2), 'reopened')
    assert.equal(second.node.muted(3), undefined)
    const { proposeDelay, roundSlots, slotsPerEpoch } = world.profile
    const first3 = Math.ceil((slotsPerEpoch - proposeDelay) / roundSlots)
    assert.equal(second.node.mutedRound(1, first3 - 1), 'reopened')
    assert.equal(second.node.mutedRound(1, first3), undefined, 'a round after the silence')
    await world.run(1, 8)
    const base = await world.base(second, 1)
    await assert.rejects(
      second.node.speaker.sign(MessageType.ready, Ready, base, { kind: KERNEL_KIND }),
      { code: 'muted' },
    )
    assert.equal(await second.node.speaker.vote(base, 0, bytes32('root')), undefined)
    await second.node.stop()
    world.network.crash(peerName(0))

    const third = world.node(0, { store })
    await third.node.start()
    assert.equal(third.node.mutedUntil, 3, 'a clean stop does not end the silence')
    await third.node.stop()
  })

  it('is not muted by a clean restart', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    const first = world.node(0, { store })
    await first.node.start()
    await world.run(1, 6)
    await first.node.stop()
    world.network.crash(peerName(0))
    const second = world.node(0, { store })
    await second.node.start()
    assert.equal(second.node.mutedUntil, 0)
    assert.equal(second.node.muted(1), undefined)
    await second.node.stop()
  })

  it('does not say what its own rules refuse', async () => {
    const world = new NodeWorld()
    const speaker = await speaking(world, 0)
    const { base } = speaker
    assert.equal(base.idle(0), false)
    const said = await speaker.node.speaker.say(MessageType.ready, Ready, base, {
      kind: KERNEL_KIND,
    })
    assert.equal(said, undefined)
    assert.ok(
      speaker.lines.some(({ level, facts }) => level === 'warn' && facts.reason === 'noDuty'),
    )
    assert.equal(world.network.tally.published, 0)
  })

  it('tells once of each epoch what it was too late to say', async () => {
    const world = new NodeWorld()
    const speaker = await speaking(world, 0)
    const { node, lines, base, fields } = speaker
    const warnings = () => lines.filter(({ level }) => level === 'warn')
    const late = () => lines.filter(({ facts }) => facts.reason === 'late')
    await world.run(0, base.profile.slotsPerEpoch - 1)
    assert.equal(await say(speaker, base, fields), undefined)
    assert.equal(await say(speaker, base, fields), undefined)
    assert.deepEqual(
      late().map(({ level, facts }) => [level, facts.type]),
      Array.from({ length: 2 }, () => ['debug', 'challenge']),
    )
    const before = warnings().length
    await world.run(1, 1)
    const next = await world.base(speaker, 1)
    for (let i = 0; i < 2; i++) {
      await node.speaker.say(MessageType.ready, Ready, next, { kind: KERNEL_KIND })
    }
    const told = warnings()
      .slice(before)
      .filter(({ facts }) => facts.late !== undefined)
    assert.deepEqual(
      told.map(({ facts }) => facts.late),
      [{ challenge: 2 }],
    )
    assert.match(String(told[0]?.facts.next), /clock/)
  })

  it('relays what others signed, and refuses what is not valid', async () => {
    const world = new NodeWorld()
    const relay = await world.listener(0)
    await world.run(0, 0, 500)
    const { envelope, slot } = await dueChallenge(world, await world.base(relay, 0), 1)
    await world.run(0, slot, 400)
    const spoiled = { ...envelope, signature: envelope.signature.map(byte => byte ^ 1) }
    await assert.rejects(relay.node.speaker.relay(spoiled), { code: 'badSignature' })
    assert.equal(world.network.tally.published, 0)
    await relay.node.speaker.relay(envelope)
    assert.equal(world.network.tally.published, 1)
  })

  it('attests what it is told to in its own name', async () => {
    const world = new NodeWorld()
    const { signIdentity, identity } = signerIn(0)
    assert.equal(signIdentity(bytes32('x')).length, 64)
    assert.equal(identity.length, 32)
    const speaker = await speaking(world, 0)
    const { base, node } = speaker
    const authors = world.authors(base)
    const challenge = base.nodes
      .filter(({ index }) => base.duty(ECHO, index).verifiers.includes(0))
      .map(({ index }) => authors.challenge(index))
      .at(0)
    assert.ok(challenge)
    await node.ingest.add(challenge, 'sync')
    const said = await node.speaker.say(MessageType.attestation, Attestation, base, {
      kind: ECHO,
      challenge: messageId(challenge),
      seenSlot: speaker.slot,
      verdict: Verdict.pass,
      reason: 0,
      evidence: new Uint8Array(),
    })
    assert.equal(said?.value.author, 0)
    assert.deepEqual(said?.value.base, base.tag)
    assert.equal(said?.value.epoch, 0)
  })
})
