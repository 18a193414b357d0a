/**
 * What a verifier attests of a proof: which leaves were answered right, new ones and debts. A pass,
 * and what is inconclusive, carries a digest that only one who had the answer could form before the
 * seal was out. A fail carries one sealed wrong answer: everybody verifies it again.
 */
import { BitArray, BitListType, VectorCompositeType } from '@chainsafe/ssz'
import { sha256 } from '#crypto'
import { CairnError } from '../../errors.ts'
import type { EpochBase } from '../../kind.ts'
import {
  type Attestation,
  type Challenge,
  MessageType,
  messageSigningRoot,
  Seal,
  Verdict,
} from '../../messages.ts'
import {
  Bytes32,
  Bytes64,
  type Codec,
  ContainerType,
  decode,
  equalBytes,
  Uint8,
  Uint32,
  type ValueOf,
} from '../../ssz.ts'
import type { Verifier } from '../../verifier.ts'
import { STORAGE } from './deal.ts'
import { ASKED_MAX, LEAVES_PER_CHALLENGE } from './limits.ts'
import { isAnswerOf, judgeLeaf, LeafAnswer, PROOF_DEPTH } from './proof.ts'
import type { AskedLeaf } from './question.ts'
import { StorageReason, storageReasonName } from './reasons.ts'

/** Digest of a verifier that has no answer. */
export const NO_DIGEST = new Uint8Array(32)

/** A bit per leaf asked, in their order: answered right. Empty without an answer. */
const Answered = new BitListType(ASKED_MAX)

/** Evidence of a pass and of what is inconclusive. */
export const StorageEvidence = new ContainerType(
  {
    digest: Bytes32,
    answered: Answered,
  },
  { typeName: 'StorageEvidence' },
)
export type StorageEvidence = ValueOf<typeof StorageEvidence>

/** Evidence of a fail: the seal, and one answer under it that is wrong. Under 1.4 KiB. */
export const SealedWrong = new ContainerType(
  {
    seal: Seal,
    signature: Bytes64,
    /** Which of the leaves asked. */
    place: Uint8,
    answer: LeafAnswer,
    /** From the answer to the sealed root. */
    path: new VectorCompositeType(Bytes32, PROOF_DEPTH),
    /** What was right beside it is not to be asked again. */
    answered: Answered,
  },
  { typeName: 'SealedWrong' },
)
export type SealedWrong = ValueOf<typeof SealedWrong>

const DigestInput = new ContainerType(
  { attester: Uint32, proofRoot: Bytes32 },
  { typeName: 'DigestInput' },
)

/** Bound to the attester, so that it cannot be copied from another's attestation. */
export function answerDigest(attester: number, proofRoot: Uint8Array): Uint8Array {
  return sha256(DigestInput.serialize({ attester, proofRoot }))
}

/** `answered` says of each leaf asked whether its answer was right. */
export function storageEvidence(digest: Uint8Array, answered: readonly boolean[]): Uint8Array {
  return StorageEvidence.serialize({ digest, answered: BitArray.fromBoolArray([...answered]) })
}

/** `answered` says of each leaf asked whether its answer was right. */
export function sealedWrong(
  wrong: Omit<SealedWrong, 'answered'>,
  answered: readonly boolean[],
): Uint8Array {
  return SealedWrong.serialize({ ...wrong, answered: BitArray.fromBoolArray([...answered]) })
}

/** Throws `badEncoding` or `badLength`. */
export function decodeStorageEvidence(bytes: Uint8Array): StorageEvidence {
  return decode(StorageEvidence, bytes)
}

/** Throws `badEncoding` or `badLength`. */
export function decodeSealedWrong(bytes: Uint8Array): SealedWrong {
  return decode(SealedWrong, bytes)
}

/** What an attestation of a verdict other than fail may give as its reason. */
const WITHOUT_ANSWER: ReadonlySet<number> = new Set([
  StorageReason.unreachable,
  StorageReason.timeout,
  StorageReason.busy,
  StorageReason.refused,
  StorageReason.badAnswer,
])

/** True iff verdict, reason and evidence are of this kind's form and do not contradict. */
export function checkStorageEvidence({ verdict, reason, evidence }: Attestation): boolean {
  if (storageReasonName(reason) === undefined) return false
  if (verdict === Verdict.fail) {
    const wrong = read(SealedWrong, evidence)
    return reason === StorageReason.wrongLeaf && wrong !== undefined && isConsistent(wrong)
  }
  const value = read(StorageEvidence, evidence)
  if (value === undefined) return false
  const { answered, digest } = value
  const judged = answered.bitLen >= LEAVES_PER_CHALLENGE
  if (verdict === Verdict.pass) {
    return reason === StorageReason.ok && judged && isNewAnswered(answered)
  }
  if (verdict !== Verdict.inconclusive) return false
  if (reason === StorageReason.leafMissing) return judged && !isNewAnswered(answered)
  return WITHOUT_ANSWER.has(reason) && answered.bitLen === 0 && equalBytes(digest, NO_DIGEST)
}

function isConsistent({ place, answered }: SealedWrong): boolean {
  const { bitLen } = answered
  return bitLen >= LEAVES_PER_CHALLENGE && place < bitLen && !answered.get(place)
}

/** Debts may be missing in a pass: they have been told of before. */
function isNewAnswered(answered: BitArray): boolean {
  return answered
    .toBoolArray()
    .slice(0, LEAVES_PER_CHALLENGE)
    .every(right => right)
}

export interface SealedWrongContext {
  challenge: { id: Uint8Array; value: Challenge }
  question: readonly AskedLeaf[]
  base: EpochBase
  verifier: Verifier
}

/**
 * True iff the target itself sealed this answer to this challenge and it is wrong. A leaf that is
 * said to be missing is never wrong.
 */
export function isSealedWrong(evidence: SealedWrong, context: SealedWrongContext): boolean {
  const { challenge, question, base, verifier } = context
  const { seal, signature, place, answer } = evidence
  const asked = question[place]
  if (asked === undefined || judgeLeaf(asked, answer) !== 'wrong') return false
  if (!isSealOf(seal, challenge, base) || !isAnswerOf(seal.proofRoot, evidence)) return false
  return isSealSigned(seal, signature, base, verifier)
}

/** True iff the seal speaks of this challenge in the target's name. */
export function isSealOf(
  { epoch, base: tag, kind, author, challenge: id }: Seal,
  challenge: { id: Uint8Array; value: Challenge },
  base: EpochBase,
): boolean {
  return (
    epoch === base.epoch &&
    kind === STORAGE &&
    author === challenge.value.target &&
    equalBytes(tag, base.tag) &&
    equalBytes(id, challenge.id)
  )
}

export function isSealSigned(
  seal: Seal,
  signature: Uint8Array,
  base: EpochBase,
  verifier: Verifier,
): boolean {
  const author = base.node(seal.author)
  if (author === undefined) return false
  const envelope = { type: MessageType.seal, body: Seal.serialize(seal) }
  return verifier.ed25519(messageSigningRoot(envelope, base.network), author.identity, signature)
}

function read<V>(type: Codec<V>, bytes: Uint8Array): V | undefined {
  try {
    return decode(type, bytes)
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}
