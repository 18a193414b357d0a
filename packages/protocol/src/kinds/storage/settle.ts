/**
 * Settles an epoch of storage: a verdict for each challenge, a quotient of leaves answered for each
 * provider, a fee for each deal, and which deals go on.
 *
 *     fee(deal) = floor(price * answered / asked)      of its provider in this epoch
 *
 * Being away costs pay and nothing else; only an answer that the target itself sealed wrong fails.
 */
import { isMajority } from '../../duties.ts'
import { invariant } from '../../errors.ts'
import type {
  ChallengeRecord,
  Fee,
  KindSettlement,
  SettledVerdict,
  SettleInput,
  VerdictFacts,
} from '../../kind.ts'
import { type Attestation, MessageType, Verdict } from '../../messages.ts'
import { equalBytes, hex } from '../../ssz.ts'
import { plainVerifier } from '../../verifier.ts'
import { type Deal, isLive } from './deal.ts'
import {
  answerDigest,
  decodeSealedWrong,
  decodeStorageEvidence,
  isSealedWrong,
  type SealedWrong,
} from './evidence.ts'
import { type AskedLeaf, askedLeaves, inventoryOf, LEAVES_PER_CHALLENGE } from './question.ts'
import { type StorageReasonName, storageReasonName } from './reasons.ts'
import {
  dealIndex,
  type KnownDeal,
  knownDeal,
  type Quotient,
  type StorageState,
  sortDeals,
} from './state.ts'

export type DealEnd = 'expired' | 'uncovered'

/** A deal that is not carried on. */
export interface EndedDeal {
  readonly id: Uint8Array
  readonly deal: Deal
  readonly reason: DealEnd
}

export interface StorageSettlement extends KindSettlement<StorageState> {
  /** By ascending id. */
  readonly ended: readonly EndedDeal[]
}

export interface StorageSettleInput extends SettleInput<StorageState> {
  /** The state at the base, from which everything was asked. */
  readonly baseState: StorageState
}

export function settleStorage(input: StorageSettleInput): StorageSettlement {
  const judged = input.challenges.map(record => judgeRecord(record, input))
  const quotients = nextQuotients(input, judged)
  const { fees, uncovered, left } = chargeDeals(input, quotients)
  const { deals, ended } = nextDeals(input, uncovered, left)
  const proven = new Map<number, bigint>()
  for (const { node, amount } of fees) proven.set(node, (proven.get(node) ?? 0n) + amount)
  return {
    state: {
      deals: deals.map(({ deal }) => deal),
      quotients: [...quotients.values()].sort((a, b) => a.provider - b.provider),
    },
    verdicts: judged.map(({ verdict }) => verdict),
    proven,
    provenIsFees: true,
    served: new Map(),
    fees,
    ended,
  }
}

interface Judged {
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

function judgeRecord(record: ChallengeRecord, input: StorageSettleInput): Judged {
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

/**
 * The quotients that pay in this epoch, by provider: of this epoch's on-time challenges, else the
 * last one while it is carried.
 */
function nextQuotients(
  { state, base }: StorageSettleInput,
  judged: readonly Judged[],
): Map<number, Quotient> {
  const { epoch, profile } = base
  const quotients = new Map<number, Quotient>()
  for (const quotient of state.quotients) {
    if (epoch - quotient.epoch <= profile.carryEpochs) quotients.set(quotient.provider, quotient)
  }
  const asked = new Map<number, Quotient>()
  for (const { record, answered } of judged) {
    if (!record.onTime) continue
    const provider = record.value.target
    const before = asked.get(provider) ?? { provider, answered: 0, asked: 0, epoch }
    asked.set(provider, {
      ...before,
      answered: before.answered + answered,
      asked: before.asked + LEAVES_PER_CHALLENGE,
    })
  }
  for (const [provider, quotient] of asked) quotients.set(provider, quotient)
  return quotients
}

/** Deals that were live at the base and are carried still, charged in order of id. */
function chargeDeals(
  { state, base, baseState, available }: StorageSettleInput,
  quotients: ReadonlyMap<number, Quotient>,
) {
  const fees: Fee[] = []
  const left = new Map<string, bigint>()
  const uncovered = new Set<string>()
  const stopped = new Set<string>()
  const carried = dealIndex(state).byId
  for (const { deal, key } of dealIndex(baseState).byId.values()) {
    if (!isLive(deal, base.epoch) || !carried.has(key)) continue
    const quotient = quotients.get(deal.provider)
    // A provider that left the registry cannot be paid; its deals run out.
    if (quotient === undefined || base.node(deal.provider) === undefined) continue
    const amount = (deal.pricePerEpoch * BigInt(quotient.answered)) / BigInt(quotient.asked)
    if (amount === 0n) continue
    const client = hex(deal.client)
    const balance = left.get(client) ?? available(client)
    if (amount <= balance) {
      left.set(client, balance - amount)
      fees.push({ client, node: deal.provider, amount })
    } else if (!stopped.has(client)) {
      // Only the first ends: what it frees may cover the others in the next epoch.
      stopped.add(client)
      uncovered.add(key)
    }
  }
  return { fees, uncovered, left }
}

function nextDeals(
  { state, base, messages, available }: StorageSettleInput,
  uncovered: ReadonlySet<string>,
  left: ReadonlyMap<string, bigint>,
) {
  const next = new Map<string, KnownDeal>()
  const ended: EndedDeal[] = []
  const committed = new Map<string, bigint>()
  const carry = (item: KnownDeal) => {
    const client = hex(item.deal.client)
    committed.set(client, (committed.get(client) ?? 0n) + item.deal.pricePerEpoch)
    next.set(item.key, item)
  }
  for (const item of dealIndex(state).byId.values()) {
    const { id, key, deal } = item
    if (uncovered.has(key)) ended.push({ id, deal, reason: 'uncovered' })
    else if (deal.endEpoch <= base.epoch + 1) ended.push({ id, deal, reason: 'expired' })
    else carry(item)
  }
  const minimum = BigInt(base.profile.minDealEpochs)
  for (const { value } of messages.standing<Deal>(MessageType.deal)) {
    const item = knownDeal(value)
    const client = hex(value.client)
    // A deal that ended cannot come back: it would have to begin before this epoch.
    if (dealIndex(state).byId.has(item.key) || value.startEpoch < base.epoch) continue
    const promised = ((committed.get(client) ?? 0n) + value.pricePerEpoch) * minimum
    if (promised <= (left.get(client) ?? available(client))) carry(item)
  }
  return { deals: sortDeals(next.values()), ended }
}
