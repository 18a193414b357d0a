import { strict as assert } from 'node:assert'
import {
  Attestation,
  compareBytes,
  type Envelope,
  hex,
  ListDepth,
  listRoot,
  MessageSet,
  MessageType,
  messageId,
  type PlacedMessage,
  type SetMessage,
  standingSubject,
  Verdict,
} from '@cairn/protocol'
import fc from 'fast-check'
import { addTo, KernelWorld } from '../kernel-world.ts'
import { ECHO } from '../kinds/trivial.ts'

const world = new KernelWorld()
const honest = world.honest()
const challenge = world.challenge(0)
const [author] = world.base.duty(ECHO, 0).verifiers as [number]
/** Different attestations of one author about one challenge. */
const statements = [Verdict.pass, Verdict.fail, Verdict.inconclusive].map(verdict =>
  world.attestation(challenge, author, { verdict }),
)
const [first, second, third] = statements as [Envelope, Envelope, Envelope]

function setOf(...envelopes: Envelope[]): MessageSet {
  const set = new MessageSet()
  for (const envelope of envelopes) addTo(set, envelope, world)
  return set
}

function standing(number: number): SetMessage {
  const envelope = {
    type: MessageType.deal,
    body: Uint8Array.of(number),
    signature: new Uint8Array(),
  }
  return { id: messageId(envelope), envelope, value: { number } }
}

/** An attestation about the challenge as one that a set has no room for. */
function placed(envelope: Envelope): PlacedMessage {
  const value = Attestation.deserialize(envelope.body)
  const subject = `2/${ECHO}/${author}/${hex(messageId(challenge))}`
  return { message: { id: messageId(envelope), envelope, value }, subject, kind: ECHO }
}

const ids = (messages: readonly { id: Uint8Array }[]) => messages.map(({ id }) => hex(id))

describe('set of messages', () => {
  it('holds a message once', () => {
    const set = setOf(challenge)
    assert.equal(addTo(set, challenge, world), 'known')
    assert.equal(set.size, 1)
    const id = messageId(challenge)
    assert.ok(set.has(id))
    assert.deepEqual(set.get(id)?.envelope, challenge)
    assert.deepEqual(set.challenge(id)?.id, id)
    assert.equal(set.has(new Uint8Array(32)), false)
    assert.equal(set.get(new Uint8Array(32)), undefined)
  })

  it('has the root of its ids, a new one with each message', () => {
    const set = setOf(challenge)
    const rootOf = () => listRoot(set.ids(), ListDepth.messages)
    assert.deepEqual(set.root(), rootOf())
    const before = set.root()
    addTo(set, first, world)
    assert.deepEqual(set.root(), rootOf())
    assert.notDeepEqual(set.root(), before)
  })

  it('says beforehand what adding would be, and changes nothing by it', () => {
    const set = setOf(challenge, first)
    const subject = `2/${ECHO}/${author}/${hex(messageId(challenge))}`
    assert.equal(set.probe(messageId(first), subject), 'known')
    assert.equal(set.probe(messageId(second), subject), 'contradiction')
    assert.equal(set.probe(messageId(second), 'another subject'), 'new')
    assert.equal(set.size, 2)
    assert.equal(addTo(set, second, world), 'contradiction')
    assert.equal(set.probe(messageId(third), subject), 'surplus')
  })

  it('counts neither of two different messages about one subject, and keeps both', () => {
    for (const order of [
      [first, second],
      [second, first],
    ]) {
      const set = setOf(challenge, ...order)
      assert.equal(set.size, 3)
      assert.deepEqual(set.ofType(MessageType.attestation, ECHO), [])
      assert.deepEqual(set.attestationsOf(messageId(challenge)), [])
      const evidence = [messageId(first), messageId(second)].sort(compareBytes)
      assert.deepEqual(set.contradictions(), [
        { author, type: MessageType.attestation, first: evidence[0], second: evidence[1] },
      ])
    }
  })

  it('takes back a first message from lists it was already read from', () => {
    const set = setOf(challenge, first)
    assert.equal(set.ofType(MessageType.attestation, ECHO).length, 1)
    addTo(set, second, world)
    assert.equal(set.ofType(MessageType.attestation, ECHO).length, 0)
  })

  it('keeps both in the list that leaves no contradiction out, in order of id', () => {
    const ids = [messageId(first), messageId(second)].sort(compareBytes)
    const set = setOf(challenge, first)
    assert.equal(set.anyOfType(MessageType.attestation, ECHO).length, 1)
    addTo(set, second, world)
    assert.deepEqual(
      set.anyOfType(MessageType.attestation, ECHO).map(({ id }) => id),
      ids,
    )
  })

  it('keeps no third message about a subject', () => {
    const set = setOf(challenge, first, second)
    const before = set.ids()
    assert.equal(addTo(set, third, world), 'surplus')
    assert.deepEqual(set.ids(), before)
    assert.equal(set.contradictions().length, 1)
  })

  it('has no contradiction among honest messages', () => {
    assert.deepEqual(world.set(honest).contradictions(), [])
  })

  it('orders ids, types, attestations and contradictions alike, however they arrive', () => {
    const spoken = [challenge, ...honest.filter(({ type }) => type === MessageType.challenge)]
    const later = honest.filter(({ type }) => type !== MessageType.challenge)
    const lies = later
      .filter(({ type }) => type === MessageType.attestation)
      .slice(0, 3)
      .map(({ body }) => {
        const value = Attestation.deserialize(body)
        return world.sign(MessageType.attestation, Attestation, { ...value, seenSlot: 9 })
      })
    const expected = setOf(...spoken, ...later, ...lies)
    const view = (set: MessageSet) => ({
      ids: set.ids().map(hex),
      messages: ids([...set.messages()]),
      attestations: ids(set.ofType(MessageType.attestation, ECHO)),
      seals: ids(set.ofType(MessageType.seal, ECHO)),
      perChallenge: spoken.map(envelope => ids(set.attestationsOf(messageId(envelope)))),
      contradictions: set.contradictions(),
    })
    assert.equal(view(expected).contradictions.length, 3)
    fc.assert(
      fc.property(
        fc.shuffledSubarray(spoken, { minLength: spoken.length }),
        fc.shuffledSubarray([...later, ...lies], { minLength: later.length + lies.length }),
        (challenges, others) => {
          assert.deepEqual(view(setOf(...challenges, ...others)), view(expected))
        },
      ),
      { numRuns: 8 },
    )
  })

  it('names its ids in ascending order: the leaves of the tree of messages', () => {
    const set = setOf(...honest.filter(({ type }) => type === MessageType.challenge))
    const sorted = set.ids().map(hex).toSorted()
    assert.deepEqual(set.ids().map(hex), sorted)
    const before = listRoot(set.ids(), ListDepth.messages)
    addTo(set, first, world)
    assert.equal(set.ids().length, sorted.length + 1)
    assert.notDeepEqual(listRoot(set.ids(), ListDepth.messages), before)
  })

  it('lists attestations of a challenge by author', () => {
    const set = world.set(honest)
    const { verifiers } = world.base.duty(ECHO, 0)
    assert.deepEqual(
      set.attestationsOf(messageId(challenge)).map(({ value }) => value.author),
      verifiers.toSorted((a, b) => a - b),
    )
    assert.deepEqual(set.attestationsOf(new Uint8Array(32)), [])
  })

  it('gives the subset of given ids, with its own contradictions', () => {
    const set = setOf(challenge, first, second)
    const all = set.subset(set.ids())
    assert.equal(all?.contradictions().length, 1)
    const part = set.subset([messageId(challenge), messageId(first)])
    assert.equal(part?.size, 2)
    assert.deepEqual(part?.contradictions(), [])
    assert.equal(part?.ofType(MessageType.attestation, ECHO).length, 1)
    assert.equal(set.size, 3)
  })

  it('settles on the two lowest ids of a subject, whichever it held before', () => {
    const other = honest.find(({ type }) => type === MessageType.seal) as Envelope
    const lies = [6, 7, 8, 9].map(seenSlot => world.attestation(challenge, author, { seenSlot }))
    const all = [...statements, ...lies]
    const lowest = all.map(messageId).sort(compareBytes).slice(0, 2)
    const expected = [messageId(challenge), messageId(other), ...lowest].map(hex).sort()
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), order => {
        const set = setOf(challenge, other)
        const surplus = new Map<string, PlacedMessage>()
        for (const envelope of order) {
          const before = set.size
          const addition = addTo(set, envelope, world)
          if (addition === 'surplus') surplus.set(hex(messageId(envelope)), placed(envelope))
          assert.equal(set.size, before + (addition === 'surplus' ? 0 : 1))
        }
        const canonical = set.canonical(surplus)
        assert.deepEqual(canonical.ids().map(hex), expected)
        assert.deepEqual(canonical.contradictions(), [
          { author, type: MessageType.attestation, first: lowest[0], second: lowest[1] },
        ])
        // Who has the set of another two says that it covers them.
        const subject = placed(first).subject
        for (const envelope of order) assert.ok(canonical.covers(messageId(envelope), subject))
      }),
    )
  })

  it('is its own copy where nothing is one too many', () => {
    const set = setOf(...honest, first)
    // What is contested elsewhere does not make two of one here.
    const lone = setOf(challenge, first)
    const surplus = new Map([[hex(messageId(third)), placed(third)]])
    assert.deepEqual(set.canonical().root(), set.root())
    assert.deepEqual(lone.canonical(surplus).ids(), lone.ids())
    addTo(lone, second, world)
    assert.equal(lone.canonical().size, lone.size)
  })

  it('gives no subset that it does not hold whole', () => {
    assert.equal(setOf(challenge).subset([messageId(challenge), messageId(first)]), undefined)
  })

  it('keeps standing messages apart; they contradict nothing', () => {
    const set = setOf(challenge)
    const messages = [3, 1, 2].map(standing)
    for (const message of messages) {
      assert.equal(set.add(message, standingSubject(message.id), 'standing'), 'new')
    }
    assert.deepEqual(ids(set.standing(MessageType.deal)), ids(messages).toSorted())
    assert.deepEqual(set.ofType(MessageType.deal, ECHO), [])
    assert.deepEqual(set.contradictions(), [])
    assert.equal(set.subset(set.ids())?.standing(MessageType.deal).length, 3)
  })

  it('refuses what goes beyond its maximum, and still knows what it has', () => {
    const set = new MessageSet({ max: 2 })
    const add = (number: number) => {
      const message = standing(number)
      return set.add(message, standingSubject(message.id), 'standing')
    }
    assert.deepEqual([add(1), add(2), add(3), add(2)], ['new', 'new', 'setFull', 'known'])
    assert.equal(set.size, 2)
    assert.equal(set.ids().length, 2)
    assert.equal(set.probe(standing(4).id, 'anything'), 'setFull')
  })
})
