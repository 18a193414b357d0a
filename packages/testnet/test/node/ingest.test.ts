import { strict as assert } from 'node:assert'
import {
  type Arrival,
  type Outcome,
  STANDING_MAX,
  SURPLUS_MAX,
  WAITING_MAX,
  WAITING_MAX_BYTES,
  WAITING_PER_AUTHOR_MAX,
} from '@cairn/node'
import {
  Challenge,
  ContainerType,
  Deal,
  dealEnvelope,
  dealId,
  dealSigningRoot,
  Envelope,
  type EpochBase,
  ed25519,
  GOSSIP_MAX_BYTES,
  hex,
  type Kind,
  MessageType,
  messageId,
  STORAGE,
  type StandingRule,
  sha256,
  storageKind,
  TOKEN,
  Uint32,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import fc from 'fast-check'
import {
  bytes32,
  identitySecret,
  KernelWorld,
  NETWORK,
} from '../../../protocol/test/kernel-world.ts'
import { ECHO, echo } from '../../../protocol/test/kinds/trivial.ts'
import { revealSlot, SAMPLES, type Sample, TARGET, tip } from './messages.ts'
import { echoKind, NodeWorld, peerName, type WorldInit, type WorldNode } from './world.ts'

interface Scene {
  world: NodeWorld
  hearer: WorldNode
  base: EpochBase
  authors: KernelWorld
  arrivals: Arrival[]
}

/** Later than any of these tests: until then it is known who votes. */
const FALLBACK = { after: 3_600, window: 60 }

/** A node that takes in, in a slot of epoch 0, with the base found. */
async function scene(slot: number, init: WorldInit = {}): Promise<Scene> {
  const world = new NodeWorld({ nodes: 6, fallback: FALLBACK, ...init })
  const hearer = await world.listener(0)
  const arrivals: Arrival[] = []
  hearer.node.ingest.onArrival(arrival => arrivals.push(arrival))
  await world.run(0, 0, 400)
  const base = await world.base(hearer, 0)
  await world.run(0, slot, 400)
  if (slot >= base.profile.slotsPerEpoch) await world.base(hearer, 1)
  return { world, hearer, base, authors: world.authors(base), arrivals }
}

const READY: WorldInit = { profile: { idleEpochs: 0 } }

/** With the clock where the sample is due and what it refers to known. */
async function due(name: string, sample: Sample, shift = 0): Promise<Scene> {
  const init = name === 'ready' ? READY : {}
  const first = await scene(0, init)
  const slot = sample.slot(first.base, first.authors) + shift
  const made = await scene(slot, init)
  for (const envelope of sample.before(made.authors)) {
    const { acceptance } = await made.hearer.node.ingest.add(envelope, 'sync')
    assert.equal(acceptance, 'accept')
  }
  made.hearer.counts.clear()
  made.arrivals.length = 0
  return made
}

const hear = (
  { hearer: { node } }: Pick<Scene, 'hearer'>,
  { topic }: Pick<Sample, 'topic'>,
  bytes: Uint8Array,
): Promise<Outcome> =>
  topic === undefined ? node.checkpointer.heard(bytes) : node.ingest.gossip(bytes, topic)

const say = (made: Scene, sample: Sample, envelope: Envelope) =>
  hear(made, sample, Envelope.serialize(envelope))

/** What came of it, as `accept new`; and that this was counted. */
async function outcome(made: Scene, sample: Sample, envelope: Envelope): Promise<string> {
  const { hearer } = made
  const { acceptance, reason } = await say(made, sample, envelope)
  assert.equal(hearer.counts.get(`${acceptance}/${reason}`), 1, 'each outcome is counted')
  hearer.counts.clear()
  return `${acceptance} ${reason}`
}

const spoil = (envelope: Envelope): Envelope => ({
  ...envelope,
  signature: envelope.signature.map((byte, at) => (at === 5 ? byte ^ 1 : byte)),
})

for (const [name, sample] of Object.entries(SAMPLES)) {
  describe(`a gossiped ${name}`, () => {
    it('is accepted once, stored, and shown to those who act on it', async () => {
      const made = await due(name, sample)
      const { hearer, authors, arrivals } = made
      const envelope = sample.make(authors)
      const id = messageId(envelope)
      assert.equal(await outcome(made, sample, envelope), 'accept new')
      assert.equal(await outcome(made, sample, envelope), 'ignore known')
      assert.deepEqual(
        arrivals.map(({ message }) => hex(message.id)),
        [hex(id)],
      )
      assert.deepEqual(
        arrivals.map(({ source, at }) => [source, at]),
        [['gossip', made.world.clock.now()]],
      )
      assert.deepEqual((await hearer.node.ledger.get(id))?.envelope, envelope)
      const epoch = name === 'vote' ? 1 : 0
      assert.ok(hearer.node.epochs.record(epoch)?.set.has(id))
    })

    it('is judged once when two copies come in one turn', async () => {
      const made = await due(name, sample)
      const envelope = sample.make(made.authors)
      const outcomes = await Promise.all([say(made, sample, envelope), say(made, sample, envelope)])
      assert.deepEqual(outcomes.map(({ reason }) => reason).sort(), ['known', 'new'])
      assert.equal(made.arrivals.length, 1)
    })

    it('is refused on another topic', async () => {
      const made = await due(name, sample)
      const envelope = sample.make(made.authors)
      const bytes = Envelope.serialize(envelope)
      for (const topic of [0, 1, ECHO, undefined]) {
        if (topic === sample.topic) continue
        const { acceptance, reason } = await hear(made, { topic }, bytes)
        assert.deepEqual([acceptance, reason], ['reject', 'wrongTopic'], `${topic}`)
      }
      assert.equal((await made.hearer.node.ingest.gossip(bytes, 'deals')).acceptance, 'reject')
      assert.equal(await outcome(made, sample, envelope), 'accept new')
    })

    it('is ignored for an epoch that is not near', async () => {
      const made = await due(name, sample)
      const ahead = sample.make(made.authors, { epoch: 5 })
      assert.equal(await outcome(made, sample, ahead), 'ignore wrongEpoch')
      const last = sample.make(made.authors, { epoch: 2 ** 32 - 1 })
      assert.equal(await outcome(made, sample, last), 'ignore wrongEpoch')
      const late = new NodeWorld({ nodes: 6, ...(name === 'ready' ? READY : {}) })
      const hearer = await late.listener(0)
      await late.run(12)
      const old = sample.make(made.authors)
      const { acceptance, reason } = await hear({ hearer }, sample, Envelope.serialize(old))
      assert.deepEqual([acceptance, reason], ['ignore', 'wrongEpoch'])
    })

    it('is rejected when it was signed for another network', async () => {
      const made = await due(name, sample)
      const { base, kinds } = made.authors
      const elsewhere = new KernelWorld({ base, kinds, network: bytes32('another network') })
      assert.equal(await outcome(made, sample, sample.make(elsewhere)), 'reject badSignature')
    })

    it('is ignored when it rests on another base', async () => {
      const made = await due(name, sample)
      const other = sample.make(made.authors, { base: new Uint8Array(8) })
      assert.equal(await outcome(made, sample, other), 'ignore otherBase')
    })

    it('is not taken from one whom the base does not know', async () => {
      const made = await due(name, sample)
      const stranger = sample.make(made.authors, { author: 99 })
      const expected = name === 'vote' ? 'reject noDuty' : 'ignore unknownAuthor'
      assert.equal(await outcome(made, sample, stranger), expected)
    })

    it('is rejected with a wrong, short or missing signature, and accepted after that', async () => {
      const made = await due(name, sample)
      const envelope = sample.make(made.authors)
      const { signature } = envelope
      for (const wrong of [
        spoil(envelope),
        { ...envelope, signature: signature.slice(1) },
        { ...envelope, signature: new Uint8Array() },
        { ...envelope, signature: new Uint8Array(128).fill(1) },
      ]) {
        assert.equal(await outcome(made, sample, wrong), 'reject badSignature')
      }
      assert.equal(await outcome(made, sample, envelope), 'accept new')
    })

    it('is rejected when it is cut short, too long, or followed by something', async () => {
      const made = await due(name, sample)
      const bytes = Envelope.serialize(sample.make(made.authors))
      for (const wrong of [
        new Uint8Array(),
        bytes.slice(0, 1),
        bytes.slice(0, bytes.length - 97),
        new Uint8Array([...bytes, ...new Uint8Array(65)]),
        new Uint8Array(GOSSIP_MAX_BYTES + 1),
      ]) {
        const { acceptance, reason } = await hear(made, sample, wrong)
        assert.equal(acceptance, 'reject', reason)
      }
      assert.equal(made.arrivals.length, 0)
    })

    if (sample.stranger !== undefined) {
      const { stranger } = sample
      it('is rejected from one whose duty it is not', async () => {
        const made = await due(name, sample)
        const author = stranger(made.base)
        assert.equal(
          await outcome(made, sample, sample.make(made.authors, { author })),
          'reject noDuty',
        )
      })
    }

    if (sample.window === 'narrow') {
      it('is ignored before its slot, and taken when a slow clock is just short of it', async () => {
        const made = await due(name, sample, -1)
        const envelope = sample.make(made.authors)
        assert.equal(await outcome(made, sample, envelope), 'ignore early')
        const { skewMs, slotMs } = made.base.profile
        await made.world.clock.run({ until: made.world.clock.now() - 400 + slotMs - skewMs })
        assert.equal(await outcome(made, sample, envelope), 'accept new')
      })
    }

    if (sample.window !== 'none') {
      it('is ignored when its slots are over', async () => {
        const last = { challenge: 2, seal: 1, attestation: 5, report: 8, ready: 9 }[name] ?? 0
        const made = await due(name, sample, last)
        const envelope = sample.make(made.authors)
        assert.equal(await outcome(made, sample, envelope), 'ignore late')
        assert.equal(
          (await made.hearer.node.ingest.add(envelope, 'sync')).acceptance,
          'accept',
          'by sync no clock counts',
        )
      })
    }

    if (sample.variant !== undefined) {
      const { variant } = sample
      it('contradicts another about its subject; a third is kept from sync only', async () => {
        const made = await due(name, sample)
        const { hearer, authors } = made
        const third = variant(authors, 3)
        assert.equal(await outcome(made, sample, variant(authors, 1)), 'accept new')
        assert.equal(await outcome(made, sample, variant(authors, 2)), 'accept new')
        assert.equal(hearer.lines.filter(({ level }) => level === 'warn').length, 1)
        assert.equal(await outcome(made, sample, third), 'ignore surplus')
        const record = hearer.node.epochs.record(name === 'vote' ? 1 : 0)
        assert.equal(record?.set.contradictions().length, 1)
        assert.equal(record?.surplus.size, 0)
        await hearer.node.ingest.add(spoil(third), 'sync')
        assert.equal(record?.surplus.size, 0, 'a signature that fails makes no surplus')
        await hearer.node.ingest.add(third, 'sync')
        assert.deepEqual([...(record?.surplus.keys() ?? [])], [hex(messageId(third))])
        assert.deepEqual((await hearer.node.ledger.get(messageId(third)))?.envelope, third)
      })

      it('is taken in two versions when more come in one turn', async () => {
        const made = await due(name, sample)
        const versions = [1, 2, 3, 4].map(number => variant(made.authors, number))
        const outcomes = await Promise.all(versions.map(version => say(made, sample, version)))
        const reasons = outcomes.map(({ reason }) => reason).sort()
        assert.deepEqual(reasons, ['new', 'new', 'surplus', 'surplus'])
        assert.equal(made.arrivals.length, 2)
      })
    }
  })
}

describe('a ready', () => {
  it('is rejected from a node that is not idle', async () => {
    const made = await scene(3)
    const sample = SAMPLES.ready as Sample
    assert.equal(await outcome(made, sample, sample.make(made.authors)), 'reject noDuty')
  })
})

describe('a challenge', () => {
  it('is rejected with an output that its author’s voting key did not sign', async () => {
    const sample = SAMPLES.challenge as Sample
    const made = await due('challenge', sample)
    const { authors, base } = made
    const { output } = Challenge.deserialize(authors.challenge(TARGET, 0).body)
    // Of another target, with the same slot, so that nothing but the signature tells.
    const wrong = authors.challenge(3, 0, {
      author: base.duty(ECHO, TARGET).challengers[0] as number,
    })
    const other = Challenge.deserialize(wrong.body).output
    assert.notDeepEqual(other, output)
    const envelope = authors.challenge(TARGET, 0, { output: other })
    await made.world.run(0, 0)
    const made2 = await scene(revealSlot(base, envelope))
    assert.equal(await outcome(made2, sample, envelope), 'reject badContent')
  })

  it('is rejected for a target that is not asked', async () => {
    const made = await scene(2)
    const envelope = made.authors.challenge(TARGET, 0, { target: 99 })
    assert.equal(await outcome(made, SAMPLES.challenge as Sample, envelope), 'reject noDuty')
  })
})

describe('what waits', () => {
  it('for the base is judged when it is found, as of when it came', async () => {
    const reference = await due('challenge', SAMPLES.challenge as Sample)
    const { base, authors } = reference
    const world = new NodeWorld({ nodes: 6 })
    const hearer = await world.listener(0)
    const arrivals: Arrival[] = []
    hearer.node.ingest.onArrival(arrival => arrivals.push(arrival))
    const challenge = authors.challenge(TARGET)
    const slot = revealSlot(base, challenge)
    await world.run(0, slot, 400)
    const came = world.clock.now()
    const sample = SAMPLES.challenge as Sample
    const made = { world, hearer, base, authors, arrivals }
    assert.equal(await outcome(made, sample, challenge), 'ignore noBase')
    await world.run(0, slot + 4)
    await world.base(hearer, 0)
    assert.ok(hearer.node.epochs.record(0)?.set.has(messageId(challenge)))
    assert.deepEqual(
      arrivals.map(({ source, at }) => [source, at]),
      [['gossip', came]],
    )
    assert.equal(hearer.node.epochs.record(0)?.waiting.size, 0)
    assert.equal(hearer.node.epochs.record(0)?.waiting.bytes, 0)
  })

  it('for the base and came early stays refused', async () => {
    const reference = await due('seal', SAMPLES.seal as Sample)
    const { base, authors } = reference
    const world = new NodeWorld({ nodes: 6 })
    const hearer = await world.listener(0)
    const sample = SAMPLES.seal as Sample
    const made = { world, hearer, base, authors, arrivals: [] }
    await world.run(0, 2)
    await hearer.node.ingest.add(authors.challenge(TARGET), 'sync')
    const early = sample.make(authors)
    hearer.counts.clear()
    assert.equal(await outcome(made, sample, early), 'ignore noBase')
    await world.run(0, base.profile.sealSlot, 100)
    await world.base(hearer, 0)
    const record = hearer.node.epochs.record(0)
    assert.ok(record?.set.has(messageId(authors.challenge(TARGET))))
    assert.equal(record?.set.has(messageId(early)), false)
    assert.equal(hearer.counts.get('ignore/early'), 1)
  })

  it('for its challenge is accepted with it, whatever the order', async () => {
    const made = await due('challenge', SAMPLES.challenge as Sample)
    const { authors, base, hearer, arrivals } = made
    const challenge = authors.challenge(TARGET)
    const { verifiers } = base.duty(ECHO, TARGET)
    const attestations = verifiers.map(author => authors.attestation(challenge, author))
    for (const envelope of attestations) {
      assert.equal(
        await outcome(made, SAMPLES.attestation as Sample, envelope),
        'ignore unknownSubject',
      )
    }
    assert.equal(hearer.node.epochs.record(0)?.waiting.size, verifiers.length)
    assert.equal((await say(made, SAMPLES.challenge as Sample, challenge)).reason, 'new')
    assert.equal(hearer.node.epochs.record(0)?.waiting.size, 0)
    assert.deepEqual(
      arrivals.map(({ type }) => type),
      [MessageType.challenge, ...verifiers.map(() => MessageType.attestation)],
    )
  })

  it('for one challenge is judged again for that one alone', async () => {
    const made = await due('challenge', SAMPLES.challenge as Sample)
    const { authors, base, hearer } = made
    const others = base.nodes.map(({ index }) => index).filter(index => index !== TARGET)
    const unheard = others.map(target => authors.challenge(target))
    const waiting = unheard.flatMap((challenge, at) =>
      base
        .duty(ECHO, others[at] as number)
        .verifiers.map(author => authors.attestation(challenge, author)),
    )
    for (const envelope of waiting) await say(made, SAMPLES.attestation as Sample, envelope)
    const record = hearer.node.epochs.record(0)
    assert.equal(hearer.counts.get('ignore/unknownSubject'), waiting.length)
    await say(made, SAMPLES.challenge as Sample, authors.challenge(TARGET))
    assert.equal(hearer.counts.get('ignore/unknownSubject'), waiting.length, 'none is judged again')
    assert.equal(record?.waiting.size, waiting.length)
    for (const challenge of unheard) await hearer.node.ingest.add(challenge, 'sync')
    assert.deepEqual([record?.waiting.size, record?.waiting.bytes], [0, 0])
    for (const envelope of waiting) assert.ok(record?.set.has(messageId(envelope)))
  })

  it('makes room for as many of its author when it is taken', async () => {
    const { authors, base, hearer } = await scene(6)
    const author = base.duty(ECHO, TARGET).verifiers[0] as number
    const unheard = authors.challenge(TARGET)
    const attestation = (reason: number) => authors.attestation(unheard, author, { reason })
    for (let reason = 0; reason < WAITING_PER_AUTHOR_MAX; reason++) {
      await hearer.node.ingest.add(attestation(reason), 'sync')
    }
    assert.equal((await hearer.node.ingest.add(attestation(1_000), 'sync')).reason, 'waitingFull')
    await hearer.node.ingest.add(unheard, 'sync')
    const record = hearer.node.epochs.record(0)
    assert.deepEqual([record?.waiting.size, record?.waiting.bytes], [0, 0])
    assert.equal(record?.set.size, 3, 'a challenge and two that contradict each other')
    assert.equal(record?.surplus.size, WAITING_PER_AUTHOR_MAX - 2)
  })

  it('of a vote for the base of the epoch before is accepted when that is found', async () => {
    const { base, authors } = await due('vote', SAMPLES.vote as Sample)
    const world = new NodeWorld({ nodes: 6 })
    const hearer = await world.listener(0)
    await world.run(1, 2)
    const vote = (SAMPLES.vote as Sample).make(authors)
    const made = { world, hearer, base, authors, arrivals: [] }
    assert.equal(await outcome(made, SAMPLES.vote as Sample, vote), 'ignore noBase')
    await world.base(hearer, 0)
    assert.ok(hearer.node.epochs.record(1)?.set.has(messageId(vote)))
  })

  it('is bounded in number', async () => {
    const { authors } = await scene(2)
    const world = new NodeWorld({ nodes: 6 })
    const { node, counts } = await world.listener(0)
    await world.run(0, 2)
    const sample = SAMPLES.report as Sample
    const plain = sample.make(authors)
    const word = new DataView(plain.body.buffer, plain.body.byteOffset)
    for (let n = 0; n < WAITING_MAX + 3; n++) {
      word.setUint32(plain.body.length - 4, n)
      await node.ingest.add({ ...plain, body: plain.body.slice() }, 'gossip')
    }
    assert.equal(counts.get('ignore/noBase'), WAITING_MAX)
    assert.equal(counts.get('ignore/waitingFull'), 3)
  })

  it('for a challenge is bounded by author, and closed to what nobody signed', async () => {
    const made = await scene(6)
    const { authors, base, hearer } = made
    const sample = SAMPLES.attestation as Sample
    const [author, other] = base.duty(ECHO, TARGET).verifiers as [number, number]
    const unheard = authors.challenge(TARGET)
    assert.equal(
      await outcome(made, sample, spoil(authors.attestation(unheard, author))),
      'reject badSignature',
    )
    for (let reason = 0; reason < WAITING_PER_AUTHOR_MAX; reason++) {
      const envelope = authors.attestation(unheard, author, { reason })
      await hearer.node.ingest.add(envelope, 'gossip')
    }
    assert.equal(hearer.node.epochs.record(0)?.waiting.size, WAITING_PER_AUTHOR_MAX)
    hearer.counts.clear()
    const more = authors.attestation(unheard, author, { reason: WAITING_PER_AUTHOR_MAX })
    assert.equal(await outcome(made, sample, more), 'ignore waitingFull')
    assert.equal(
      await outcome(made, sample, authors.attestation(unheard, other)),
      'ignore unknownSubject',
    )
  })

  it('is bounded in bytes', async () => {
    const { authors } = await due('attestation', SAMPLES.attestation as Sample)
    const world = new NodeWorld({ nodes: 6 })
    const { node, counts } = await world.listener(0)
    await world.run(0, 2)
    const long = authors.attestation(authors.challenge(TARGET), 1, {
      evidence: new Uint8Array(4096),
    })
    const fit = Math.floor(WAITING_MAX_BYTES / (long.body.length + long.signature.length))
    for (let n = 0; n < fit + 2; n++) await node.ingest.add(long, 'gossip')
    assert.equal(counts.get('ignore/noBase'), fit)
    assert.equal(counts.get('ignore/waitingFull'), 2)
  })
})

describe('a peer that serves messages of other epochs', () => {
  it('makes a node open no records', async () => {
    const { authors, hearer, world } = await scene(2)
    const { node, counts } = hearer
    for (let epoch = 100; epoch < 110; epoch++)
      await node.ingest.add(tip(authors, 1, { epoch }), 'sync')
    await node.ingest.add(authors.vote(1, bytes32('root'), { epoch: 200 }), 'sync')
    assert.equal(counts.get('ignore/wrongEpoch'), 11)
    await world.run(100)
    assert.equal(node.epochs.record(100)?.waiting.size, 0)
  })
})

describe('surplus', () => {
  it('is bounded', async () => {
    const { authors, hearer } = await scene(2)
    const { node } = hearer
    for (let n = 0; n < SURPLUS_MAX + 4; n++) {
      await node.ingest.add(tip(authors, n), 'sync')
    }
    assert.equal(node.epochs.record(0)?.set.size, 2)
    assert.equal(node.epochs.record(0)?.surplus.size, SURPLUS_MAX)
  })
})

describe('what a node took in', () => {
  it('is there again after a restart, with what is one too many', async () => {
    const { world, hearer, authors } = await scene(2)
    const { node, store } = hearer
    const said = authors.honest()
    const tips = [1, 2, 3].map(amount => tip(authors, amount))
    for (const envelope of [...said, ...tips]) await node.ingest.add(envelope, 'sync')
    const ids = node.epochs.record(0)?.set.ids().map(hex)
    assert.equal(ids?.length, said.length + 2)
    world.network.crash(peerName(0))

    const again = await world.listener(0, { store })
    const arrivals: Arrival[] = []
    again.node.ingest.onArrival(arrival => arrivals.push(arrival))
    await world.base(again, 0)
    const record = again.node.epochs.record(0)
    assert.equal(record?.set.size, said.length + 2)
    assert.equal(record?.surplus.size, 1)
    const all = new Set([...(record?.set.ids() ?? []).map(hex), ...(record?.surplus.keys() ?? [])])
    assert.deepEqual(all, new Set([...said, ...tips].map(envelope => hex(messageId(envelope)))))
    assert.ok(arrivals.every(({ source }) => source === 'disk'))
    assert.equal(arrivals.length, said.length + 2)
  })
})

describe('hostile bytes', () => {
  /** Of computing; judging one costs about a millisecond, and a slow machine may take several. */
  const MS_PER_MESSAGE = 8
  const computed = (since?: NodeJS.CpuUsage) => process.cpuUsage(since)
  const msOf = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1_000

  async function judged(made: Scene, topic: number | undefined | 'deals', bytes: Uint8Array) {
    const { node } = made.hearer
    return topic === 'deals'
      ? await node.ingest.gossip(bytes, 'deals')
      : await hear(made, { topic }, bytes)
  }

  it('of any kind are refused, and never throw', async () => {
    const made = await scene(5)
    const topics = fc.constantFrom<(number | undefined | 'deals')[]>(0, ECHO, undefined, 'deals')
    const started = computed()
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 700 }), topics, async (bytes, topic) => {
        count++
        const { acceptance } = await judged(made, topic, bytes)
        assert.equal(acceptance, 'reject')
      }),
      { numRuns: 1_000 },
    )
    assert.ok(msOf(computed(started)) < count * MS_PER_MESSAGE)
    assert.equal(made.arrivals.length, 0)
  })

  it('behind an envelope that decodes are refused, and never throw', async () => {
    const made = await scene(5)
    const envelope = fc.record({
      type: fc.oneof(fc.integer({ min: 0, max: 11 }), fc.nat(65_535)),
      body: fc
        .tuple(fc.uint8Array({ minLength: 40, maxLength: 300 }), fc.constantFrom(0, ECHO, 1))
        .map(([body, kind]) => body.with(12, kind)),
      signature: fc.uint8Array({ maxLength: 128 }),
    })
    const topics = fc.constantFrom<(number | undefined | 'deals')[]>(0, ECHO, undefined, 'deals')
    await fc.assert(
      fc.asyncProperty(envelope, topics, async (value, topic) => {
        const { acceptance } = await judged(made, topic, Envelope.serialize(value))
        assert.notEqual(acceptance, 'accept')
      }),
      { numRuns: 1_000 },
    )
    assert.equal(made.arrivals.length, 0)
  })

  it('made from valid messages are accepted only where they say the same', async () => {
    const made = await scene(11)
    const { authors, hearer } = made
    for (const envelope of authors.honest()) await hearer.node.ingest.add(envelope, 'sync')
    const { size } = hearer.node.epochs.record(0)?.set ?? { size: 0 }
    const valid = Object.values(SAMPLES).map(sample => ({
      topic: sample.topic,
      bytes: Envelope.serialize(sample.make(authors)),
    }))
    const change = fc.record({
      at: fc.nat(2 ** 20),
      byte: fc.integer({ min: 1, max: 255 }),
      cut: fc.option(fc.nat(200)),
    })
    const started = computed()
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...valid), change, async ({ topic, bytes }, change) => {
        count++
        const at = change.at % bytes.length
        const spoiled = bytes.with(at, (bytes[at] as number) ^ change.byte)
        const cut = change.cut === null ? spoiled : spoiled.slice(0, -change.cut || undefined)
        const { acceptance, reason } = await hear(made, { topic }, cut)
        assert.notEqual(acceptance, 'accept', reason)
      }),
      { numRuns: 1_000 },
    )
    assert.ok(msOf(computed(started)) < count * MS_PER_MESSAGE)
    assert.equal(hearer.node.epochs.record(0)?.set.size, size)
  })
})

const Note = new ContainerType(
  { number: Uint32, until: Uint32, from: Uint32 },
  { typeName: 'Note' },
)

/** Signed by whoever writes 1; by a node that is not known yet with 2. */
const noteRule: StandingRule<{ number: number; until: number; from: number }> = {
  type: MessageType.deal,
  codec: Note,
  verify: (_, [first]) => (first === 1 ? 'yes' : first === 2 ? 'unknown' : 'no'),
  pending: ({ value: { from, until } }, { epoch }) => from <= epoch && epoch <= until,
  account: ({ until }) => String(until),
  fits: ({ value }, waiting) => value.number < 1_000_000 || waiting.length === 0,
}
const noting = { ...echo, standing: [noteRule] } as unknown as Kind<unknown>

function note(number: number, { until = 9, from = 0, sign = 1 } = {}): Envelope {
  const body = Note.serialize({ number, until, from })
  return { type: MessageType.deal, body, signature: new Uint8Array(128).fill(sign) }
}

describe('a standing message', () => {
  const NOTING: WorldInit = { kinds: [noting] }
  const tell = async ({ hearer }: Scene, envelope: Envelope) => {
    const bytes = Envelope.serialize(envelope)
    const { acceptance, reason } = await hearer.node.ingest.gossip(bytes, 'deals')
    assert.equal(hearer.counts.get(`${acceptance}/${reason}`), 1)
    hearer.counts.clear()
    return `${acceptance} ${reason}`
  }

  it('is accepted once and kept until a checkpoint holds it', async () => {
    const made = await scene(2, NOTING)
    const { node } = made.hearer
    assert.equal(await tell(made, note(1)), 'accept new')
    assert.equal(await tell(made, note(1)), 'ignore known')
    assert.equal(node.ingest.pendingStanding(MessageType.deal).length, 1)
    const record = node.epochs.replay(0)
    await node.ingest.collectStanding(record)
    assert.ok(record.set.has(messageId(note(1))))
    assert.equal(record.set.standing(MessageType.deal).length, 1)
    assert.equal(node.ingest.pendingStanding(MessageType.deal).length, 1)
    await node.ingest.settled([messageId(note(1))])
    assert.equal(node.ingest.pendingStanding(MessageType.deal).length, 0)
    for await (const left of node.ledger.standing()) assert.fail(hex(left.id))
  })

  it('is refused unsigned, by strangers, over, or in another form', async () => {
    const made = await scene(2, NOTING)
    assert.equal(await tell(made, note(1, { sign: 3 })), 'reject badSignature')
    assert.equal(await tell(made, note(1, { sign: 2 })), 'ignore unknownAuthor')
    assert.equal(await tell(made, note(1, { from: 3 })), 'ignore notPending')
    const { body, ...rest } = note(1)
    assert.equal(await tell(made, { ...rest, body: body.slice(1) }), 'reject badLength')
    assert.equal(
      await tell(made, { ...rest, body, type: MessageType.challenge }),
      'reject unknownType',
    )
    assert.equal(made.hearer.node.ingest.pendingStanding(MessageType.deal).length, 0)
  })

  it('waits for nothing: without a base it is ignored', async () => {
    const world = new NodeWorld({ nodes: 6, ...NOTING })
    const hearer = await world.listener(0)
    await world.run(1, 2)
    assert.equal((await hearer.node.ingest.standing(note(1))).reason, 'noBase')
  })

  it('is dropped when it lapsed, but not while a newer base still takes it', async () => {
    const made = await scene(2, NOTING)
    const { world, hearer } = made
    const { node } = hearer
    await tell(made, note(1, { until: 0 }))
    await tell(made, note(2, { until: 5 }))
    await world.run(1, 1)
    await world.base(hearer, 1)
    await tell(made, note(3, { from: 1 }))
    const numbers = () =>
      node.ingest.pendingStanding<{ number: number }>(MessageType.deal).map(m => m.value.number)
    await node.ingest.collectStanding(node.epochs.replay(0))
    assert.deepEqual(numbers(), [1, 2, 3], 'an older epoch drops nothing that is to come')
    assert.equal(node.epochs.replay(0).set.standing(MessageType.deal).length, 2)
    await node.ingest.collectStanding(node.epochs.replay(1))
    assert.deepEqual(numbers(), [2, 3])
  })

  it('is there again after a restart', async () => {
    const store = new MemoryStore()
    const world = new NodeWorld({ nodes: 6, ...NOTING })
    const first = await world.listener(0, { store })
    await world.run(0, 2)
    await world.base(first, 0)
    await first.node.ingest.standing(note(1))
    await first.node.ingest.collectStanding(first.node.epochs.replay(0))
    world.network.crash(peerName(0))
    const second = await world.listener(0, { store })
    assert.equal(second.node.ingest.pendingStanding(MessageType.deal).length, 1)
    await world.base(second, 0)
    assert.equal(second.node.epochs.replay(0).set.standing(MessageType.deal).length, 1)
  })

  it('is one of a bounded number, of which no account takes all', async () => {
    const { hearer } = await scene(2, NOTING)
    const { ingest } = hearer.node
    const half = STANDING_MAX / 2
    for (let n = 0; n < half; n++) await ingest.standing(note(n))
    assert.equal(hearer.counts.get('accept/new'), half)
    assert.equal((await ingest.standing(note(half))).reason, 'standingFull')
    const quarter = half / 2
    for (let n = 0; n < quarter; n++) await ingest.standing(note(n, { until: 10 }))
    assert.equal(hearer.counts.get('accept/new'), half + quarter)
    assert.equal((await ingest.standing(note(quarter, { until: 10 }))).reason, 'standingFull')
    assert.equal((await ingest.standing(note(0, { until: 11 }))).reason, 'new')
    await ingest.settled([messageId(note(0, { until: 10 }))])
    assert.equal((await ingest.standing(note(quarter, { until: 10 }))).reason, 'new')
    assert.equal((await ingest.standing(note(half))).reason, 'standingFull')
  })

  it('is weighed beside those of its account that wait, also while they are being stored', async () => {
    const { hearer } = await scene(2, NOTING)
    const { ingest } = hearer.node
    const dear = (number: number, until: number) => ingest.standing(note(number, { until }))
    const reasons = await Promise.all([dear(1_000_001, 7), dear(1_000_002, 7), dear(1_000_003, 8)])
    assert.deepEqual(
      reasons.map(({ reason }) => reason),
      ['new', 'notCovered', 'new'],
    )
    const { body } = note(1_000_002, { until: 7 })
    const waiting = {
      id: messageId({ type: MessageType.deal, body }),
      value: Note.deserialize(body),
    }
    assert.equal(ingest.refusalOf(MessageType.deal, waiting), 'notCovered')
    await ingest.settled([messageId(note(1_000_001, { until: 7 }))])
    assert.equal(ingest.refusalOf(MessageType.deal, waiting), undefined)
    assert.equal((await dear(1_000_002, 7)).reason, 'new')
  })

  it('that is a deal needs both signatures', async () => {
    const secret = bytes32('deal client')
    const client = ed25519.publicKey(secret)
    const world = new NodeWorld({
      nodes: 6,
      kinds: [storageKind as unknown as Kind<unknown>, echoKind],
      entry: () => ({ kinds: (1 << ECHO) | (1 << STORAGE) }),
      deposits: [{ account: bytes32('client').slice(0, 20), key: client, amount: 100n * TOKEN }],
    })
    const hearer = await world.listener(0)
    await world.run(0, 2)
    await world.base(hearer, 0)
    const piece = { root: sha256(Uint8Array.of(1)), height: 5, payload: 1_000 }
    const deal = (nonce: bigint, pricePerEpoch = TOKEN): Deal => ({
      ...Deal.defaultValue(),
      client,
      provider: 1,
      piece: { ...Deal.defaultValue().piece, ...piece },
      startEpoch: 1,
      endEpoch: 50,
      pricePerEpoch,
      nonce,
    })
    const signed = (value: Deal, by: { client?: Uint8Array; provider?: Uint8Array } = {}) => {
      const root = dealSigningRoot(value, NETWORK)
      return dealEnvelope(value, {
        client: ed25519.sign(root, by.client ?? secret),
        provider: ed25519.sign(root, by.provider ?? identitySecret(1)),
      })
    }
    const made = { world, hearer, arrivals: [] } as unknown as Scene
    assert.equal(await tell(made, signed(deal(1n))), 'accept new')
    // It may be a delegate's at another base.
    assert.equal(
      await tell(made, signed(deal(2n), { client: bytes32('x') })),
      'ignore unknownAuthor',
    )
    assert.equal(
      await tell(made, signed(deal(2n), { provider: bytes32('x') })),
      'reject badSignature',
    )
    assert.equal(await tell(made, signed(deal(3n, 1_000n * TOKEN))), 'ignore notPending')
    assert.equal(await tell(made, signed({ ...deal(4n), provider: 77 })), 'ignore unknownAuthor')
    const shifted = { ...deal(5n), startEpoch: 40, endEpoch: 90 }
    assert.equal(await tell(made, signed(shifted)), 'ignore notPending')
    assert.equal(await tell(made, signed({ ...deal(6n), endEpoch: 2 })), 'reject badSignature')
    // 100 tokens pay one deal of a token for four epochs, and another of 24, and nothing beside them.
    assert.equal(await tell(made, signed(deal(7n, 24n * TOKEN))), 'accept new')
    assert.equal(await tell(made, signed(deal(8n, 1n))), 'ignore notCovered')
    await hearer.node.ingest.settled([dealId(deal(1n))])
    assert.equal(await tell(made, signed(deal(8n, 1n))), 'accept new')
  })
})
