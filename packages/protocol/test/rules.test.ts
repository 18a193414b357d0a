import { strict as assert } from 'node:assert'
import {
  bls,
  CairnError,
  Challenge,
  type Envelope,
  hex,
  type Judgement,
  KERNEL_KIND,
  MessageSet,
  MessageType,
  messageId,
  peek,
  plainVerifier,
  type Ready,
  type Seal,
  subjectOf,
  type Verifier,
  Vote,
  verifyVote,
} from '@cairn/protocol'
import fc from 'fast-check'
import { addTo, bytes32, entryOf, type Judging, KernelWorld, votingSecret } from './kernel-world.ts'
import { ECHO, echo } from './kinds/trivial.ts'

const world = new KernelWorld({ nodes: 13 })
const { base, profile } = world
const TARGET = 2
const { challengers, verifiers } = base.duty(ECHO, TARGET)
const challenge = world.challenge(TARGET)
const { output, author: challenger } = Challenge.deserialize(challenge.body)
const slot = echo.revealSlot(base, 0, output)
const known = new MessageSet()
addTo(known, challenge, world)
const verifier = verifiers[0] as number
/** Somebody with no part in asking the target. */
const bystander = base.nodes.findIndex(
  ({ index }) => ![TARGET, ...challengers, ...verifiers].includes(index),
)

function outcome(judgement: Judgement): string {
  return judgement.verdict === 'valid' ? 'valid' : `${judgement.verdict} ${judgement.reason}`
}

function judged(envelope: Envelope, judging: Judging = {}): string {
  return outcome(world.judge(envelope, { known, ...judging }))
}

/** A node that is idle, since it never said anything. */
const sleepy = new KernelWorld({
  epoch: 20,
  activity: Array.from({ length: 5 }, (_, i) => ({ node: i + 1, epoch: 18 })),
})

interface MessageCase {
  name: string
  world: KernelWorld
  envelope: Envelope
  known: MessageSet
  window: readonly [number, number]
  subject: string
  /** By one who was not to say it. */
  uncalled: Envelope
}

const cases: MessageCase[] = [
  {
    name: 'a challenge',
    world,
    envelope: challenge,
    known: new MessageSet(),
    window: [slot, slot + 1],
    subject: `1/${ECHO}/${challenger}/${TARGET}`,
    uncalled: world.challenge(TARGET, 0, { author: verifier }),
  },
  {
    name: 'an attestation',
    world,
    envelope: world.attestation(challenge, verifier),
    known,
    window: [0, profile.attestUntilSlot],
    subject: `2/${ECHO}/${verifier}/${hex(messageId(challenge))}`,
    uncalled: world.attestation(challenge, challenger),
  },
  {
    name: 'a seal',
    world,
    envelope: world.seal(challenge),
    known,
    window: [profile.sealSlot, profile.slotsPerEpoch - 1],
    subject: `3/${ECHO}/${TARGET}/${hex(messageId(challenge))}`,
    uncalled: world.seal(challenge, { author: verifier }),
  },
  {
    name: 'a ready',
    world: sleepy,
    envelope: sleepy.ready(0),
    known: new MessageSet(),
    window: [0, profile.slotsPerEpoch - 1],
    subject: '7/0/0/',
    uncalled: sleepy.ready(1),
  },
]

for (const { name, world, envelope, known, window, subject, uncalled } of cases) {
  const judge = (changed: Envelope, judging: Judging = {}) =>
    outcome(world.judge(changed, { known, ...judging }))
  const resigned = (change: Partial<Ready>): Envelope => {
    const rule = peek(envelope, world.book).rule
    const value = { ...peek(envelope, world.book).value, ...change }
    return world.sign(rule.type, rule.codec, value)
  }

  describe(name, () => {
    it('is valid by its author in its slots, and names its subject', () => {
      for (const slots of [window, [window[0], window[0]], [window[1], window[1]], undefined]) {
        const judgement = world.judge(envelope, { known, slots: slots as never })
        assert.equal(judgement.verdict, 'valid')
        assert.equal(judgement.verdict === 'valid' && judgement.subject, subject)
      }
    })

    it('is ignored when it rests on another base', () => {
      assert.equal(judge(resigned({ base: new Uint8Array(8) })), 'ignore otherBase')
    })

    it('is ignored by an author that the base does not know', () => {
      assert.equal(judge(resigned({ author: 99 })), 'ignore unknownAuthor')
    })

    it('is rejected when it was not its author to say it', () => {
      assert.equal(judge(uncalled), 'reject noDuty')
    })

    it('is ignored before and after its slots, as far as clocks may be off', () => {
      const [first, last] = window
      assert.equal(judge(envelope, { slots: [first - 2, first - 1] }), 'ignore early')
      assert.equal(judge(envelope, { slots: [last + 1, last + 2] }), 'ignore late')
      assert.equal(judge(envelope, { slots: [first - 1, first] }), 'valid')
      assert.equal(judge(envelope, { slots: [last, last + 1] }), 'valid')
    })

    it('is valid at any time by sync', () => {
      assert.equal(judge(envelope, { slots: undefined }), 'valid')
    })

    it('is rejected with any other signature', () => {
      const spoiled = [
        envelope.signature.with(0, (envelope.signature[0] as number) ^ 1),
        envelope.signature.with(63, (envelope.signature[63] as number) ^ 0x80),
        new Uint8Array(64),
        new Uint8Array(),
        envelope.signature.slice(0, 63),
        Uint8Array.from([...envelope.signature, 0]),
        new Uint8Array(96),
        new Uint8Array(128),
      ]
      for (const signature of spoiled) {
        assert.equal(judge({ ...envelope, signature }), 'reject badSignature')
      }
    })

    it('is rejected when signed for another network', () => {
      const elsewhere = new KernelWorld({ network: bytes32('other network') })
      const { rule, value } = peek(envelope, world.book)
      const foreign = elsewhere.sign(rule.type, rule.codec, value)
      assert.equal(judge(foreign), 'reject badSignature')
    })

    it('is no message of another kind', () => {
      const kind = envelope.body[12] === KERNEL_KIND ? ECHO : KERNEL_KIND
      assert.throws(() => peek(resigned({ kind }), world.book), { code: 'unknownType' })
    })

    it('costs no signature check when it is refused for a cheaper reason', () => {
      const { spent, counting } = counter()
      judge(resigned({ base: new Uint8Array(8) }), { verifier: counting })
      judge(uncalled, { verifier: counting })
      assert.equal(spent(), 0)
    })
  })
}

function counter(): { spent: () => number; counting: Verifier } {
  let checks = 0
  const count = <A extends unknown[]>(check: (...args: A) => boolean) => {
    return (...args: A) => {
      checks++
      return check(...args)
    }
  }
  const counting: Verifier = {
    ed25519: count(plainVerifier.ed25519),
    bls: count(plainVerifier.bls),
    drand: count(plainVerifier.drand),
  }
  return { spent: () => checks, counting }
}

describe('a challenge', () => {
  it("is rejected with an output that is not the challenger's", () => {
    const foreign = bls.sign(bytes32('anything'), votingSecret(challenger))
    const others = [new Uint8Array(96), new Uint8Array(96).fill(0xff), foreign, infinity()]
    for (const spoiled of others) {
      assert.equal(judged(world.challenge(TARGET, 0, { output: spoiled })), 'reject badContent')
    }
  })

  it('is rejected with the output for another target', () => {
    const other = base.nodes
      .map(({ index }) => index)
      .find(index => {
        return index !== TARGET && base.duty(ECHO, index).challengers.includes(challenger)
      })
    if (other === undefined) throw new Error('the challenger asks only one target')
    const { output } = Challenge.deserialize(
      world.challenge(other, base.duty(ECHO, other).challengers.indexOf(challenger)).body,
    )
    assert.equal(judged(world.challenge(TARGET, 0, { output })), 'reject badContent')
  })

  it('is rejected when its target is not asked', () => {
    const without = new KernelWorld({
      entry: index => ({ kinds: index === TARGET ? 0 : 1 << ECHO }),
    })
    const [author] = without.base.duty(ECHO, TARGET).challengers
    const asked = without.challenge(TARGET, 0, { author: author as number })
    assert.equal(outcome(without.judge(asked)), 'reject noDuty')
  })

  it('has the pairing checked last', () => {
    const { spent, counting } = counter()
    const signature = new Uint8Array(64)
    judged({ ...challenge, signature }, { verifier: counting })
    assert.equal(spent(), 1)
  })
})

describe('an attestation', () => {
  it('waits for the challenge it is about', () => {
    const early = world.attestation(challenge, verifier)
    assert.equal(judged(early, { known: new MessageSet() }), 'wait unknownSubject')
    const forged = { ...early, signature: new Uint8Array(64) }
    assert.equal(judged(forged, { known: new MessageSet() }), 'reject badSignature')
  })

  it('is rejected by a node without a part in the challenge', () => {
    for (const author of [challenger, TARGET, bystander]) {
      assert.ok(author >= 0)
      assert.equal(judged(world.attestation(challenge, author)), 'reject noDuty')
    }
  })

  it('is rejected when its verdict is none', () => {
    for (const verdict of [0, 4, 255]) {
      const envelope = world.attestation(challenge, verifier, { verdict })
      assert.equal(judged(envelope), 'reject badContent')
    }
    for (const verdict of [1, 2, 3]) {
      assert.equal(judged(world.attestation(challenge, verifier, { verdict })), 'valid')
    }
  })

  it("is rejected when its evidence is not of the kind's form", () => {
    const envelope = world.attestation(challenge, verifier, { evidence: new Uint8Array(33) })
    assert.equal(judged(envelope), 'reject badContent')
  })

  it("is rejected under another kind than the challenge's", () => {
    const second = { ...echo, code: 6, messages: [] }
    const both = new KernelWorld({ nodes: 13, kinds: [second, echo] as never })
    const change = { kind: 6 }
    assert.equal(
      outcome(both.judge(both.attestation(challenge, verifier, change), { known })),
      'reject noDuty',
    )
    assert.equal(outcome(both.judge(both.seal(challenge, change), { known })), 'reject noDuty')
  })
})

describe('a seal', () => {
  it('waits for the challenge it is about', () => {
    assert.equal(judged(world.seal(challenge), { known: new MessageSet() }), 'wait unknownSubject')
    const forged = { ...world.seal(challenge), signature: new Uint8Array(64) }
    assert.equal(judged(forged, { known: new MessageSet() }), 'reject badSignature')
  })

  it('is not relayed while attestations may still be made', () => {
    const slots = [profile.attestUntilSlot, profile.attestUntilSlot] as const
    assert.equal(judged(world.seal(challenge), { slots }), 'ignore early')
  })
})

describe("a kind's own message", () => {
  const tip = world.tip(1, 0, 5n)

  it('is valid by one whom the kind lets say it', () => {
    assert.equal(judged(tip, { slots: [0, 0] }), 'valid')
    assert.equal(judged(tip, { slots: [profile.slotsPerEpoch, 99] }), 'ignore late')
  })

  it('waits while the kind cannot tell its slots yet', () => {
    const messages = echo.messages.map(rule => ({ ...rule, window: () => ({ awaits: 'it' }) }))
    const waiting = new KernelWorld({ nodes: 13, kinds: [{ ...echo, messages }] as never })
    assert.equal(outcome(waiting.judge(tip, { slots: [0, 0] })), 'wait unknownSubject')
    assert.equal(outcome(waiting.judge(tip)), 'valid')
  })
})

describe('peek', () => {
  it('refuses garbage with a coded error', () => {
    const codes = new Set(['unknownType', 'badLength', 'badEncoding'])
    const anyEnvelope = fc.record({
      type: fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 65_535 })),
      body: fc.uint8Array({ maxLength: 300 }),
      signature: fc.uint8Array({ maxLength: 128 }),
    })
    const anyKind = fc.constantFrom(0, 1, ECHO, 255)
    fc.assert(
      fc.property(anyEnvelope, anyKind, (envelope, kind) => {
        const { body } = envelope
        for (const tried of [body, body.length > 12 ? body.with(12, kind) : body]) {
          try {
            peek({ ...envelope, body: tried }, world.book)
          } catch (error) {
            assert.ok(error instanceof CairnError && codes.has(error.code), String(error))
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('names type and kind of what it does not know', () => {
    const ready = world.ready(1)
    assert.throws(() => peek({ ...ready, type: 99 }, world.book), {
      code: 'unknownType',
      facts: { type: 99, kind: KERNEL_KIND },
    })
    assert.throws(() => peek({ ...ready, body: new Uint8Array(12) }, world.book), {
      code: 'unknownType',
      facts: { type: MessageType.ready, kind: undefined },
    })
  })

  it('refuses a body of another length', () => {
    const ready = world.ready(1)
    for (const body of [ready.body.slice(0, -1), Uint8Array.from([...ready.body, 0])]) {
      assert.throws(() => peek({ ...ready, body }, world.book), { code: 'badLength' })
    }
  })

  it('leaves votes, which need a committee, to those who know one', () => {
    assert.throws(() => peek(world.vote(1, bytes32('root')), world.book), { code: 'unknownType' })
  })
})

describe('a judged message', () => {
  it('that a hostile peer altered anywhere is never valid', () => {
    const envelopes = [challenge, world.attestation(challenge, verifier), world.seal(challenge)]
    fc.assert(
      fc.property(
        fc.constantFrom(...envelopes),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (envelope, place, flip) => {
          const at = place % (envelope.body.length + envelope.signature.length)
          const { body, signature } = envelope
          const xor = (bytes: Uint8Array, i: number) => bytes.with(i, (bytes[i] as number) ^ flip)
          const spoiled =
            at < body.length
              ? { ...envelope, body: xor(body, at) }
              : { ...envelope, signature: xor(signature, at - body.length) }
          try {
            assert.notEqual(judged(spoiled), 'valid')
          } catch (error) {
            if (!(error instanceof CairnError)) throw error
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  it('has a subject of its own for every type, kind and author', () => {
    const { rule, value } = peek(world.seal(challenge), world.book)
    const subjects = [
      subjectOf(1, value, rule),
      subjectOf(2, value, rule),
      subjectOf(1, { ...value, kind: 3 }, rule),
      subjectOf(1, { ...value, author: 3 }, rule),
      subjectOf(1, { ...value, challenge: bytes32('another') } as Seal, rule),
    ]
    assert.equal(new Set(subjects).size, subjects.length)
  })
})

describe('a vote', () => {
  const envelope = world.vote(1, bytes32('root'))
  const vote = Vote.deserialize(envelope.body)
  const { voting } = entryOf(1)
  const holds = (change: Partial<Vote> = {}, signature = envelope.signature, key = voting) =>
    verifyVote({ ...vote, ...change }, signature, key, world.network, plainVerifier)

  it("holds under its author's voting key", () => {
    assert.ok(holds())
  })

  it('holds for no other epoch, round, checkpoint, key or network', () => {
    assert.ok(!holds({ epoch: vote.epoch + 1 }))
    assert.ok(!holds({ round: vote.round + 1 }))
    assert.ok(!holds({ checkpoint: bytes32('other root') }))
    assert.ok(!holds({}, envelope.signature, entryOf(2).voting))
    const network = bytes32('other network')
    assert.ok(!verifyVote(vote, envelope.signature, voting, network, plainVerifier))
  })

  it('holds with no signature of another length, or point at infinity', () => {
    const { signature } = envelope
    for (const bytes of [
      new Uint8Array(),
      signature.slice(0, 95),
      Uint8Array.from([...signature, 0]),
      new Uint8Array(64),
      infinity(),
    ]) {
      assert.ok(!holds({}, bytes))
    }
  })
})

/** The compressed point at infinity of G2. */
function infinity(): Uint8Array {
  return new Uint8Array(96).with(0, 0xc0)
}
