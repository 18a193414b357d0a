/**
 * The verdict of each challenge, and which of the leaves it asked were answered. Being away costs pay
 * and nothing else; only an answer that the target itself sealed wrong fails.
 */
import { isMajority } from '../../duties.ts'
import { invariant } from '../../errors.ts'
import type { ChallengeRecord, SettledVerdict, VerdictFacts } from '../../kind.ts'
import { type Attestation, Verdict } from '../../messages.ts'
import { equalBytes } from '../../ssz.ts'
import { plainVerifier } from '../../verifier.ts'
import {
  answerDigest,
  decodeSealedWrong,
  decodeStorageEvidence,
  isSealedWrong,
  type SealedWrong,
} from './evidence.ts'
import { LEAVES_PER_CHALLENGE } from './limits.ts'
import { type AskedLeaf, askedOf, inventoryOf } from './question.ts'
import { type StorageReasonName, storageReasonName } from './reasons.ts'
import type { StorageSettleInput } from './settle-input.ts'

export interface Judged {
  readonly record: ChallengeRecord
  readonly verdict: SettledVerdict
  /** The new leaves, then debts. */
  readonly question: readonly AskedLeaf[]
  /** Of each leaf asked: more than half of the assigned verifiers found it answered right. */
  readonly answered: readonly boolean[]
  /** By author. */
  readonly wrong: readonly FoundWrong[]
}

/** A fail whose evidence holds. */
export interface FoundWrong {
  /** Id of the attestation. */
  readonly id: Uint8Array
  readonly author: number
  readonly asked: AskedLeaf
  readonly evidence: SealedWrong
}

/** An attestation that fits the seal, with what it found answered right. */
interface Fitting {
  readonly attestation: Attestation
  readonly answered: readonly boolean[]
}

export function judgeRecord(record: ChallengeRecord, input: StorageSettleInput): Judged {
  const { attestations, duty } = record
  const assigned = duty.verifiers.length
  const question = questionOf(record, input)
  const wrong = sealedWrongs(record, question, input)
  const fitting = fittingAttestations(record, question, wrong)
  const answered = question.map((_, place) =>
    isMajority(fitting.filter(found => found.answered[place] === true).length, assigned),
  )
  const passed = fitting.filter(({ attestation }) => attestation.verdict === Verdict.pass)
  const facts = {
    asked: LEAVES_PER_CHALLENGE,
    answered: countTrue(answered.slice(0, LEAVES_PER_CHALLENGE)),
    askedAgain: question.length - LEAVES_PER_CHALLENGE,
    answeredAgain: countTrue(answered.slice(LEAVES_PER_CHALLENGE)),
    verifiers: assigned,
    attested: attestations.length,
    passed: passed.length,
  }
  const settled = (
    outcome: Pick<SettledVerdict, 'verdict' | 'reason' | 'agreeing'>,
    more: VerdictFacts = {},
  ): Judged => ({
    record,
    question,
    answered,
    wrong,
    verdict: {
      challenge: record.id,
      target: record.value.target,
      facts: { ...facts, ...more },
      ...outcome,
    },
  })
  const [first] = wrong
  if (first !== undefined) {
    const { asked, evidence } = first
    return settled(
      { verdict: Verdict.fail, reason: 'wrongLeaf', agreeing: wrong.map(({ author }) => author) },
      { deal: asked.deal.key, leaf: asked.leaf, place: evidence.place },
    )
  }
  if (record.onTime && isMajority(passed.length, assigned)) {
    const agreeing = passed.map(({ attestation }) => attestation.author)
    return settled({ verdict: Verdict.pass, reason: 'ok', agreeing })
  }
  const agreeing = attestations
    .filter(({ value }) => value.verdict === Verdict.inconclusive)
    .map(({ value }) => value.author)
  return settled({ verdict: Verdict.inconclusive, reason: whyNot(record), agreeing })
}

/** As at the base, from which target and verifiers derive it too. */
function questionOf(
  { value, duty }: ChallengeRecord,
  { base, baseState }: StorageSettleInput,
): AskedLeaf[] {
  return askedOf(baseState, inventoryOf(baseState, value.target, base.epoch), {
    output: value.output,
    order: duty.challengers.indexOf(value.author),
    challengers: duty.challengers.length,
    most: base.profile.debtsPerChallenge,
  })
}

/**
 * Attestations that speak of exactly this question and of the sealed answer. Without a seal in the
 * set no digest fits: what cannot be checked counts for nothing.
 */
function fittingAttestations(
  { attestations, seal }: ChallengeRecord,
  question: readonly AskedLeaf[],
  wrong: readonly FoundWrong[],
): Fitting[] {
  if (seal === undefined) return []
  const fails = new Map(wrong.map(({ author, evidence }) => [author, evidence]))
  const fitting: Fitting[] = []
  for (const { value: attestation } of attestations) {
    const { author, verdict, evidence } = attestation
    const fail = fails.get(author)
    if (verdict === Verdict.fail) {
      if (fail === undefined || !equalBytes(fail.seal.proofRoot, seal.proofRoot)) continue
      if (fail.answered.bitLen !== question.length) continue
      fitting.push({ attestation, answered: fail.answered.toBoolArray() })
    } else {
      const { digest, answered } = decodeStorageEvidence(evidence)
      if (!equalBytes(digest, answerDigest(author, seal.proofRoot))) continue
      if (answered.bitLen !== question.length) continue
      fitting.push({ attestation, answered: answered.toBoolArray() })
    }
  }
  return fitting
}

function sealedWrongs(
  record: ChallengeRecord,
  question: readonly AskedLeaf[],
  { base }: StorageSettleInput,
): FoundWrong[] {
  const found: FoundWrong[] = []
  for (const { id, value } of record.attestations) {
    if (value.verdict !== Verdict.fail) continue
    const evidence = decodeSealedWrong(value.evidence)
    if (!isSealedWrong(evidence, { challenge: record, question, base, verifier: plainVerifier }))
      continue
    const asked = question[evidence.place]
    invariant(asked !== undefined, 'evidence that holds names a leaf that was asked')
    found.push({ id, author: value.author, asked, evidence })
  }
  return found
}
/** What most of those said who found it inconclusive, where they are the larger part. */
function whyNot({ onTime, attestations, seal }: ChallengeRecord): StorageReasonName {
  if (!onTime) return 'late'
  const counts = new Map<number, number>()
  for (const { value } of attestations) {
    if (value.verdict !== Verdict.inconclusive) continue
    counts.set(value.reason, (counts.get(value.reason) ?? 0) + 1)
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])
  const inconclusive = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (most !== undefined && 2 * inconclusive >= attestations.length) {
    return storageReasonName(most[0]) ?? 'noMajority'
  }
  return seal === undefined ? 'noSeal' : 'noMajority'
}

function countTrue(values: readonly boolean[]): number {
  return values.filter(value => value).length
}
