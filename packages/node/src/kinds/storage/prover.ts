/**
 * The target: answers a challenge with its leaves and a seal over them. There is one answer per
 * challenge, stored before anybody gets it and the same for everyone, so that a disk that fails in
 * between cannot make this node contradict itself.
 */
import {
  type AskedLeaf,
  CairnError,
  Challenge,
  check,
  decode,
  decodeEnvelope,
  type Envelope,
  type EpochBase,
  epochStart,
  foundLeaf,
  hex,
  judge,
  type Kind,
  type LeafAnswer,
  MessageType,
  MISSING_LEAF,
  messageId,
  peek,
  pieceCid,
  proofRoot,
  type Rulebook,
  rulebook,
  Seal,
  SealedProof,
  STORAGE,
  slotAt,
  storageKind,
  storageQuestion,
  type Verifier,
} from '@cairn/protocol'
import { key, u32 } from '../../ledger/schema.ts'
import type { Pieces } from '../../pieces/pieces.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import type { EpochView, Voice } from '../kind.ts'
import type { Seals } from './seals.ts'

export const PROVE_PROTOCOL = 'prove'

/** A challenge's envelope: its body is 118 bytes. */
const REQUEST_MAX_BYTES = 512
/** A verifier asks once or twice for each of a few challenges. */
const REQUESTS_PER_SECOND = 50
/** Answers formed at once: three challengers ask in an epoch, and one of them may ask again. */
const FORMING_MAX = 8
/** Leaves read at once: a challenge with debts asks up to 220, each a block of 64 KiB. */
const READS_AT_ONCE = 20
/** Answers are kept for the epoch before the present one too. */
const KEPT_EPOCHS = 2

export interface ProverComponents {
  clock: Clock
  network: Network
  /** A key space of its own. */
  store: Store
  voice: Voice
  view: EpochView
  pieces: Pieces
  seals: Seals
  verifier: Verifier
  log: Log
}

export class Prover {
  readonly #components: ProverComponents
  readonly #book: Rulebook = rulebook([storageKind as unknown as Kind<unknown>])
  readonly #forming = new Map<string, Promise<Uint8Array>>()

  constructor(components: ProverComponents) {
    this.#components = components
  }

  start(): void {
    const options = {
      maxRequestBytes: REQUEST_MAX_BYTES,
      maxResponseBytes: SealedProof.maxSize,
      perSecond: REQUESTS_PER_SECOND,
    }
    this.#components.network.serve(PROVE_PROTOCOL, options, request => this.answer(request))
  }

  /** Forgets answers that nobody asks for any more. */
  async forget(before: number): Promise<void> {
    const { store } = this.#components
    const writes = []
    const range = { gte: u32(0), lt: u32(Math.max(0, before - KEPT_EPOCHS)) }
    for await (const [name] of store.range(range)) writes.push({ key: name })
    if (writes.length > 0) await store.batch(writes)
  }

  /**
   * The bytes of a `SealedProof`. Rejects with the code of what is wrong with the challenge, with
   * `notAddressed`, `noBase`, `early`, `late`, `busy`, or `equivocation`.
   */
  async answer(request: Uint8Array): Promise<Uint8Array> {
    const envelope = decodeEnvelope(request, REQUEST_MAX_BYTES)
    check(envelope.type === MessageType.challenge, 'notChallenge', 'expected a challenge', {
      facts: { type: envelope.type },
    })
    const id = messageId(envelope)
    const name = hex(id)
    const forming = this.#forming.get(name)
    if (forming !== undefined) return await forming
    check(this.#forming.size < FORMING_MAX, 'busy', 'too many challenges are being answered', {
      facts: { max: FORMING_MAX },
    })
    const answer = this.#once(envelope, id).finally(() => this.#forming.delete(name))
    this.#forming.set(name, answer)
    return await answer
  }

  async #once(envelope: Envelope, id: Uint8Array): Promise<Uint8Array> {
    const { store } = this.#components
    const challenge = decode(Challenge, envelope.body)
    const name = key(u32(challenge.epoch), id)
    const before = await store.get(name)
    if (before !== undefined) return before
    const base = this.#admit(envelope, challenge)
    const bytes = await this.#form(challenge, id, base)
    await store.batch([{ key: name, value: bytes }], { sync: true })
    return bytes
  }

  /** The base of a challenge that this node has to answer now. */
  #admit(envelope: Envelope, challenge: Challenge): EpochBase {
    const { view, voice, clock, verifier } = this.#components
    const base = view.base(challenge.epoch)
    check(base !== undefined, 'noBase', 'the base of this epoch is not known here', {
      facts: { epoch: challenge.epoch },
    })
    check(challenge.target === voice.index(base), 'notAddressed', 'another node is asked', {
      facts: { target: challenge.target },
    })
    const now = clock.now()
    check(now < epochStart(base, base.epoch + 1), 'late', 'the epoch of the challenge is over', {
      facts: { epoch: base.epoch },
    })
    const judgement = judge({
      envelope,
      ...peek(envelope, this.#book),
      base,
      known: view.known(base.epoch),
      verifier,
      // Not before its slot; how long after, the verifiers judge.
      slots: [0, slotAt(base, base.epoch, now + base.profile.skewMs)],
    })
    if (judgement.verdict !== 'valid') {
      throw new CairnError(judgement.reason, 'the challenge is not one to answer now', {
        facts: { verdict: judgement.verdict, epoch: base.epoch },
      })
    }
    return base
  }

  async #form(challenge: Challenge, id: Uint8Array, base: EpochBase): Promise<Uint8Array> {
    const { voice, seals } = this.#components
    const question = storageQuestion(challenge, base)
    const proof: LeafAnswer[] = []
    for (let from = 0; from < question.length; from += READS_AT_ONCE) {
      const asked = question.slice(from, from + READS_AT_ONCE)
      proof.push(...(await Promise.all(asked.map(leaf => this.#leaf(leaf)))))
    }
    const seal = await voice.sign(MessageType.seal, Seal, base, {
      kind: STORAGE,
      challenge: id,
      proofRoot: proofRoot(proof),
    })
    seals.keep({ challenge: id, envelope: seal, base, turn: 0 })
    return SealedProof.serialize({ proof, seal })
  }

  /** A leaf that cannot be read is missing: that costs pay, and a wrong one would cost the bond. */
  async #leaf({ deal, leaf }: AskedLeaf): Promise<LeafAnswer> {
    const { pieces, log } = this.#components
    const { piece } = deal.deal
    try {
      return foundLeaf(await pieces.prove(piece, leaf))
    } catch (error) {
      log.error(
        { err: error, piece: pieceCid(piece), deal: deal.key, leaf },
        'a challenged leaf cannot be read; this node answers that it is missing',
      )
      return MISSING_LEAF
    }
  }
}
