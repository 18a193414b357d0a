/**
 * Verifiers that do not look, or lie. Nodes 4 to 10 keep nothing and are paid for their duties alone:
 * some of them cheat, the others are what they are measured by.
 */
import { strict as assert } from 'node:assert'
import {
  Attestation,
  answerDigest,
  decodeStorageEvidence,
  Envelope,
  LEAVES_PER_CHALLENGE,
  MessageType,
  NO_DIGEST,
  Seal,
  STORAGE,
  StorageReason,
  sealedWrong,
  seal as signed,
  slotAt,
  storageEvidence,
  Verdict,
} from '@cairn/protocol'
import type { Cheat } from '@cairn/testnet'
import { kindTopic } from '../../../node/src/ledger/topics.ts'
import {
  bytesOf,
  dealsLeft,
  earnedBy,
  type Played,
  penalised,
  play,
  reasons,
  share,
  stored,
} from './arena.ts'
import { attesting } from './cheats.ts'
import { record } from './figures.ts'

const EPOCHS = 9
const PIECES = 4
const PIECE_BYTES = 2_000

const Node = {
  provider: 0,
  loser: 3,
  lazy: 4,
  liar: 5,
  framer: 6,
  accomplice: 7,
  otherAccomplice: 8,
  honest: 9,
} as const
const PROVIDERS = 4
const NODES = 12
const ALL = new Array<boolean>(LEAVES_PER_CHALLENGE).fill(true)

/** Passes everything, with a digest of an answer that it never asked for. */
const lazy: Cheat = attesting(async (_, __, { base, services }) => {
  const digest = answerDigest(services.voice.index(base) ?? 0, new Uint8Array(32))
  return {
    verdict: Verdict.pass,
    reason: StorageReason.ok,
    evidence: storageEvidence(digest, ALL),
  }
})

/** Says of everybody that it could not be reached. */
const liar: Cheat = attesting(async () => ({
  verdict: Verdict.inconclusive,
  reason: StorageReason.unreachable,
  evidence: storageEvidence(NO_DIGEST, []),
}))

/** Says of everybody that it sealed a wrong leaf, under a seal that the framer signed itself. */
const framer: Cheat = attesting(async (own, { id, value }, { base, services }) => {
  const { voice, signer, network, clock } = services
  const seal = {
    epoch: base.epoch,
    base: base.tag,
    kind: STORAGE,
    author: value.target,
    challenge: id,
    proofRoot: new Uint8Array(32),
  }
  const { signature } = signed(MessageType.seal, Seal, seal, base.network, signer.signIdentity)
  const answer = [new Uint8Array(32)]
  const path = Array.from({ length: 9 }, () => new Uint8Array(32))
  const answered = ALL.map((_, place) => place > 0)
  const envelope = await voice.sign(MessageType.attestation, Attestation, base, {
    kind: STORAGE,
    challenge: id,
    seenSlot: slotAt(base, base.epoch, clock.now()),
    verdict: Verdict.fail,
    reason: StorageReason.wrongLeaf,
    evidence: sealedWrong({ seal, signature, place: 0, answer, path }, answered),
  })
  // Its own rules refuse to say it, so it goes around them.
  await network.publish(kindTopic(base.network, own.kind), Envelope.serialize(envelope))
  return undefined
})

/** Passes its friend, whose answer says that all is missing; is honest to everybody else. */
const accomplice: Cheat = attesting(async (own, challenge, { base, signal }) => {
  const finding = await own.attest(challenge, base, signal)
  if (finding === undefined || challenge.value.target !== Node.loser) return finding
  if (finding.reason !== StorageReason.leafMissing) return finding
  const { digest, answered } = decodeStorageEvidence(finding.evidence)
  const right = new Array<boolean>(answered.bitLen).fill(true)
  return {
    verdict: Verdict.pass,
    reason: StorageReason.ok,
    evidence: storageEvidence(digest, right),
  }
})

describe('a verifier that does not do its duty', function () {
  this.timeout(600_000)

  let epochs: Played[]

  before(async () => {
    const played = await play({
      nodes: NODES,
      providers: PROVIDERS,
      epochs: EPOCHS,
      cheats: new Map([
        [Node.lazy, lazy],
        [Node.liar, liar],
        [Node.framer, framer],
        [Node.accomplice, accomplice],
        [Node.otherAccomplice, accomplice],
      ]),
      founding: async world => {
        const founding = await stored(
          world,
          Array.from({ length: PROVIDERS * PIECES }, (_, number) => ({
            provider: Math.floor(number / PIECES),
            payload: bytesOf(`${number}`, PIECE_BYTES),
          })),
        )
        const shelf = world.shelf(Node.loser)
        for (const piece of shelf.list()) await shelf.delete(piece)
        return founding
      },
    })
    epochs = played.epochs
  })

  const earned = (node: number) => share(epochs, node, Node.honest)

  it('but is lazy earns no more than its reveals', () => {
    assert.ok(earned(Node.lazy) < 50)
    record({
      attack: 'lazy verifier: passes everything without asking',
      earned: earned(Node.lazy),
      and: 'what is left is the pay for its own challenges: nobody can form the digest of an answer it has not got, before the seal is out',
    })
  })

  it('but says that all are away earns no more than its reveals, and takes nothing from them', () => {
    assert.ok(earned(Node.liar) < 75)
    record({
      attack: 'false verdict: says of everybody that it could not be reached',
      earned: earned(Node.liar),
      and: 'its targets lose nothing while more than half of their verifiers are honest',
    })
  })

  it('but frames all earns no more than its reveals, and costs nobody bond', () => {
    assert.ok(earned(Node.framer) < 50)
    for (let node = 0; node < NODES; node++) assert.equal(penalised(epochs, node), 0n)
    const verdicts = epochs.flatMap(played => played.verdicts)
    assert.ok(verdicts.every(({ verdict }) => verdict !== Verdict.fail))
    record({
      attack: 'false verdict: says of everybody that it sealed a wrong leaf',
      earned: earned(Node.framer),
      and: 'evidence is verified again by everybody, so nobody is failed or penalised',
    })
  })

  it('for a friend’s sake does not save it', () => {
    const last = epochs.slice(-1)
    assert.ok(earnedBy(last, Node.loser) < earnedBy(last, Node.provider))
    assert.ok(!reasons(epochs, Node.loser).has('ok'))
    record({
      attack: 'false verdict: two of eight verifiers pass an accomplice that lost all',
      earned: earned(Node.accomplice),
      and: `the accomplice loses ${PIECES - dealsLeft(epochs, Node.loser)} of ${PIECES} deals; **not caught** with five of eight, which are drawn anew for each target and epoch`,
    })
  })

  it('takes nothing from providers that keep what they promised', () => {
    for (const node of [Node.provider, 1, 2]) {
      assert.deepEqual(reasons(epochs, node), new Set(['ok']))
      assert.equal(dealsLeft(epochs, node), PIECES)
    }
  })
})
