/** The verifier: asks the target for its leaves, checks them, and tells what it found. */
import {
  type AskedLeaf,
  answerDigest,
  answerPath,
  CairnError,
  type Challenge,
  decode,
  Envelope,
  type EpochBase,
  equalBytes,
  isSealOf,
  isSealSigned,
  judgeProof,
  type Known,
  LEAVES_PER_CHALLENGE,
  type LeafAnswer,
  MessageType,
  NO_DIGEST,
  proofRoot,
  type RegistryEntry,
  Seal,
  SealedProof,
  STORAGE,
  StorageReason,
  sealedWrong,
  slotAt,
  storageEvidence,
  storageQuestion,
  Verdict,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import type { Clock, Log, Network } from '../../ports.ts'
import type { Finding, Voice } from '../kind.ts'
import { PROVE_PROTOCOL } from './prover.ts'
import type { Seals } from './seals.ts'

export interface AskerComponents {
  clock: Clock
  network: Network
  voice: Voice
  seals: Seals
  verifier: Verifier
  log: Log
  /** The envelope of a challenge that is in the ledger. */
  envelopeOf(epoch: number, id: Uint8Array): Envelope | undefined
  /** libp2p peer id of a registered node. */
  peerOf(entry: RegistryEntry): string
}

/** What the target gave, with the seal's own parts. */
interface Answer {
  proof: LeafAnswer[]
  seal: Seal
  envelope: Envelope
}

/** Reasons by the code of the error that a request ended with; any other code is a refusal. */
const REASON_OF_CODE: ReadonlyMap<string, number> = new Map([
  ['unreachable', StorageReason.unreachable],
  ['timeout', StorageReason.timeout],
  ['busy', StorageReason.busy],
  ['tooLarge', StorageReason.badAnswer],
  ['badSeal', StorageReason.badAnswer],
  ['badLength', StorageReason.badAnswer],
  ['badEncoding', StorageReason.badAnswer],
])

export class Asker {
  readonly #components: AskerComponents

  constructor(components: AskerComponents) {
    this.#components = components
  }

  async attest(
    challenge: Known<Challenge>,
    base: EpochBase,
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    const { voice, clock, seals } = this.#components
    const attester = voice.index(base)
    if (attester === undefined) return undefined
    // An attestation that nobody would relay is not worth twenty reads of the target's disk.
    if (slotAt(base, base.epoch, clock.now()) > base.profile.attestUntilSlot) return undefined
    let answer: Answer
    try {
      answer = await this.#ask(challenge, base, signal)
    } catch (error) {
      if (signal.aborted) return undefined
      return this.#unanswered(error, challenge)
    }
    const { verifiers } = base.duty(STORAGE, challenge.value.target)
    const turn = 1 + verifiers.indexOf(attester)
    seals.keep({ challenge: challenge.id, envelope: answer.envelope, base, turn })
    return findingOf(attester, storageQuestion(challenge.value, base), answer)
  }

  /** Twice within the deadline: what a lost packet delays must not look like a lost piece. */
  async #ask(challenge: Known<Challenge>, base: EpochBase, signal: AbortSignal): Promise<Answer> {
    const { clock, log } = this.#components
    const now = clock.now()
    const half = now + Math.floor(base.profile.proofDeadlineMs / 2)
    try {
      return await this.#request(challenge, base, half, signal)
    } catch (error) {
      if (signal.aborted) throw error
      log.debug({ err: error, target: challenge.value.target }, 'asks for a proof once more')
    }
    await clock.until(half, signal)
    return await this.#request(challenge, base, now + base.profile.proofDeadlineMs, signal)
  }

  async #request(
    challenge: Known<Challenge>,
    base: EpochBase,
    until: number,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { clock, network, envelopeOf, peerOf } = this.#components
    const envelope = envelopeOf(base.epoch, challenge.id)
    const entry = base.node(challenge.value.target)
    if (envelope === undefined || entry === undefined) {
      throw new CairnError('unknownSubject', 'the challenge is not in the ledger', {
        facts: { epoch: base.epoch },
      })
    }
    const limit = deadline(clock, until, signal)
    try {
      const bytes = await network.request(
        peerOf(entry),
        PROVE_PROTOCOL,
        Envelope.serialize(envelope),
        { signal: limit.signal, maxResponseBytes: SealedProof.maxSize },
      )
      return this.#open(bytes, challenge, base)
    } finally {
      limit.clear()
    }
  }

  /** Throws unless the answer ends with the target's valid seal over exactly this proof. */
  #open(bytes: Uint8Array, challenge: Known<Challenge>, base: EpochBase): Answer {
    const { proof, seal: envelope } = decode(SealedProof, bytes)
    if (envelope.type !== MessageType.seal) throw badSeal('it is another message')
    const seal = decode(Seal, envelope.body)
    if (!isSealOf(seal, challenge, base)) throw badSeal('it is of another challenge or node')
    if (!equalBytes(seal.proofRoot, proofRoot(proof))) throw badSeal('it is of another proof')
    if (!isSealSigned(seal, envelope.signature, base, this.#components.verifier)) {
      throw badSeal('its signature does not hold')
    }
    return { proof, seal, envelope }
  }

  #unanswered(error: unknown, { value }: Known<Challenge>): Finding {
    const code = error instanceof CairnError ? error.code : 'internal'
    this.#components.log.info(
      { err: error, target: value.target, epoch: value.epoch },
      'a target gave no proof; attests that it is inconclusive',
    )
    return {
      verdict: Verdict.inconclusive,
      reason: REASON_OF_CODE.get(code) ?? StorageReason.refused,
      evidence: storageEvidence(NO_DIGEST, []),
    }
  }
}

/** What is to be attested of a sealed answer. Of several wrong leaves one is evidence enough. */
function findingOf(
  attester: number,
  question: readonly AskedLeaf[],
  { proof, seal, envelope }: Answer,
): Finding {
  const judged = judgeProof(question, proof)
  const answered = judged.map(judgement => judgement === 'right')
  const place = judged.indexOf('wrong')
  const answer = proof[place]
  if (answer !== undefined) {
    const { signature } = envelope
    const path = answerPath(proof, place)
    return {
      verdict: Verdict.fail,
      reason: StorageReason.wrongLeaf,
      evidence: sealedWrong({ seal, signature, place, answer, path }, answered),
    }
  }
  // A debt that is still owed was told of before: only what is newly asked decides.
  const whole = answered.slice(0, LEAVES_PER_CHALLENGE).every(right => right)
  return {
    verdict: whole ? Verdict.pass : Verdict.inconclusive,
    reason: whole ? StorageReason.ok : StorageReason.leafMissing,
    evidence: storageEvidence(answerDigest(attester, seal.proofRoot), answered),
  }
}

function badSeal(why: string): CairnError {
  return new CairnError('badSeal', `an answer without a valid seal: ${why}`)
}
