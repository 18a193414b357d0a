/**
 * The verdict of each challenge. Being away costs pay and nothing else; only an answer that the target
 * itself sealed wrong fails.
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
import { type AskedLeaf, askedLeaves, inventoryOf, LEAVES_PER_CHALLENGE } from './question.ts'
import { type StorageReasonName, storageReasonName } from './reasons.ts'
import type { StorageSettleInput } from './settle-input.ts'

export interface Judged {
  readonly record: ChallengeRecord
  readonly verdict: SettledVerdict
  /** Leaves that more than half of the assigned verifiers found answered right. */
  readonly answered: number
}

/** An attestation that fits the seal, with the places it found answered right. */
interface Fitting {
  readonly attestation: Attestation
  readonly right: readonly number[]
}

export function judgeRecord(record: ChallengeRecord, input: StorageSettleInput): Judged {
  const { attestations, duty } = record
  const assigned = duty.verifiers.length
  const fitting = fittingAttestations(record)
  const answered = countAnswered(fitting, assigned)
  const passed = fitting.filter(({ attestation }) => attestation.verdict === Verdict.pass)
  const wrong = sealedWrongs(record, input)
  const facts = {
    asked: LEAVES_PER_CHALLENGE,
    answered,
    verifiers: assigned,
    attested: attestations.length,
    passed: passed.length,
  }
  const settled = (
    outcome: Pick<SettledVerdict, 'verdict' | 'reason' | 'agreeing'>,
    more: VerdictFacts = {},
  ): Judged => ({
    record,
    answered,
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

/** Without a seal in the set no digest fits: what cannot be checked counts for nothing. */
function fittingAttestations({ attestations, seal }: ChallengeRecord): Fitting[] {
  if (seal === undefined) return []
  const fitting: Fitting[] = []
  for (const { value: attestation } of attestations) {
    if (attestation.verdict === Verdict.fail) continue
    const { digest, answered } = decodeStorageEvidence(attestation.evidence)
    if (!equalBytes(digest, answerDigest(attestation.author, seal.proofRoot))) continue
    fitting.push({ attestation, right: answered.getTrueBitIndexes() })
  }
  return fitting
}

function countAnswered(fitting: readonly Fitting[], assigned: number): number {
  const found = new Array<number>(LEAVES_PER_CHALLENGE).fill(0)
  for (const { right } of fitting) {
    for (const place of right) found[place] = (found[place] as number) + 1
  }
  return found.filter(count => isMajority(count, assigned)).length
}

interface FoundWrong {
  readonly author: number
  readonly asked: AskedLeaf
  readonly evidence: SealedWrong
}

/** The fails whose evidence holds, by author. */
function sealedWrongs(record: ChallengeRecord, input: StorageSettleInput): FoundWrong[] {
  const fails = record.attestations.filter(({ value }) => value.verdict === Verdict.fail)
  if (fails.length === 0) return []
  const { base, baseState } = input
  const inventory = inventoryOf(baseState, record.value.target, base.epoch)
  const question = askedLeaves(inventory, record.value.output)
  const found: FoundWrong[] = []
  for (const { value } of fails) {
    const evidence = decodeSealedWrong(value.evidence)
    if (!isSealedWrong(evidence, { challenge: record, question, base, verifier: plainVerifier }))
      continue
    const asked = question[evidence.place]
    invariant(asked !== undefined, 'evidence that holds names a leaf that was asked')
    found.push({ author: value.author, asked, evidence })
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
