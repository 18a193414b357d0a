/**
 * Settlement: the pure function from an epoch's whole set of messages to state, verdicts, payouts,
 * penalties and the checkpoint that commits to them. Integers only; independent of the order of
 * messages and of every clock, so that anybody can redo the sum.
 *
 * The emission of an epoch is divided once from the top:
 *
 *     emission = votes + submission + sum over kinds of (duty + base share + service share)
 *
 * and whatever has no recipient, or exceeds BURN_MATCH times what was burned of the fees that it is
 * divided by, is not minted. Beside it, each fee moves from a client's deposit to the node that earned it, less the
 * part that is burned. Always, to the last unit:
 *
 *     payouts + burned + unminted = emission + fees
 */
import type { Checkpoint } from '../checkpoint.ts'
import { COUNTED_KINDS, COUNTED_TYPES, checkpointRoot, countedPlace } from '../checkpoint.ts'
import { type Deposit, leftOfDeposit } from '../deposit.ts'
import { MessageType } from '../domain.ts'
import type { CommitteeMember } from '../draw.ts'
import { invariant } from '../errors.ts'
import type {
  ChallengeRecord,
  EpochBase,
  Kind,
  KindPenalty,
  KindSettlement,
  SettledFinding,
  SettledVerdict,
} from '../kind.ts'
import { type EpochMessage, KERNEL_KIND, type Vote } from '../messages.ts'
import {
  Bytes32,
  ContainerType,
  compareBytes,
  equalBytes,
  hex,
  Uint32,
  Uint128,
  unhex,
} from '../ssz.ts'
import { type Absence, Payout } from '../state.ts'
import { ListDepth, listRoot } from '../tree.ts'
import { challengeRecords } from './records.ts'
import type { MessageSet } from './set.ts'
import { divide, type Part, ppm, smaller } from './shares.ts'
import { State } from './state.ts'

export const Penalty = new ContainerType(
  { node: Uint32, amount: Uint128, evidence: Bytes32 },
  { typeName: 'Penalty' },
)

export interface SettlementInput {
  base: EpochBase
  kinds: readonly Kind<unknown>[]
  set: MessageSet
  /** The parent checkpoint and the state it commits to. */
  parent: { root: Uint8Array; checkpoint: Checkpoint; state: State }
  /** Committee of the parent's epoch: whose votes in the set are paid. Empty for the first. */
  voters: readonly CommitteeMember[]
  /** Who was drawn for that epoch: others than `voters` where a committee formed. */
  drawn: readonly CommitteeMember[]
  /** Accounts that landed checkpoints between the parent's base and this one, 20 bytes each. */
  landed: readonly Uint8Array[]
  /** Word of the next epoch's committee. */
  nextCommittee: Uint8Array
}

export interface AccountChange {
  /** Hexadecimal. */
  readonly account: string
  /** Base units of this epoch. */
  readonly earned: bigint
  readonly spent: bigint
}

export interface PenaltyRecord {
  readonly node: number
  readonly amount: bigint
  /** Id of the lower of two contradicting messages, or of the one that a kind names. */
  readonly evidence: Uint8Array
}

export interface KindResult {
  readonly kind: number
  readonly name: string
  readonly verdicts: readonly SettledVerdict[]
  readonly findings: readonly SettledFinding[]
  /** Emission and fees of this epoch by node index, base units. */
  readonly earnings: ReadonlyMap<number, bigint>
  /** What the base and the service pot were divided by, per node index. */
  readonly proven: ReadonlyMap<number, bigint>
  readonly served: ReadonlyMap<number, bigint>
}

/** Sums of one epoch, base units. */
export interface Sums {
  readonly emission: bigint
  readonly fees: bigint
  readonly payouts: bigint
  readonly burned: bigint
  readonly unminted: bigint
}

export interface Settlement {
  readonly checkpoint: Checkpoint
  readonly root: Uint8Array
  readonly state: State
  readonly kinds: readonly KindResult[]
  /** Emission for votes by node index, and for landing checkpoints by account in hexadecimal. */
  readonly votes: ReadonlyMap<number, bigint>
  readonly landings: ReadonlyMap<string, bigint>
  readonly changes: readonly AccountChange[]
  readonly penalties: readonly PenaltyRecord[]
  readonly sums: Sums
}

export function settle(input: SettlementInput): Settlement {
  const { base, kinds, set, parent } = input
  const book = new Accounts(base)
  const burned = { total: 0n }
  const emission = base.profile.emission

  const voted = votedFor(input)
  const votes = payVotes(input, voted, book)
  const landings = paySubmitters(input, book)
  const rest =
    emission - ppm(emission, base.profile.voteShare) - ppm(emission, base.profile.submitReward)
  const byKind = divide(
    rest,
    kinds.map(kind => weightOf(kind, base)),
  )
  let minted = total(votes) + total(landings)
  const spent = new Map<string, bigint>()
  const results: KindResult[] = []
  const values = new Map<number, unknown>()
  const offences: KindPenalty[] = []
  const verdictCounts = new Array<number>(3 * COUNTED_KINDS).fill(0)
  for (const kind of kinds) {
    const records = challengeRecords(base, kind, set)
    const settled = kind.settle({
      base,
      state: parent.state.of(kind),
      challenges: records,
      messages: set,
      available: client => available(client, base, parent.state, spent),
    })
    values.set(kind.code, settled.state)
    offences.push(...(settled.penalties ?? []))
    const paid = payKind({ base, settled, records, emission: byKind.get(kind.code) ?? 0n })
    minted += paid.minted
    burned.total += paid.burned
    for (const { client, amount } of settled.fees) {
      spent.set(client, (spent.get(client) ?? 0n) + amount)
      book.spend(depositOf(client, base).account, amount)
    }
    for (const [node, amount] of paid.earnings) book.earnNode(node, amount)
    for (const { verdict } of settled.verdicts) {
      const place = 3 * kind.code + verdict - 1
      verdictCounts[place] = (verdictCounts[place] as number) + 1
    }
    results.push({
      kind: kind.code,
      name: kind.name,
      verdicts: settled.verdicts,
      findings: settled.findings ?? [],
      earnings: paid.earnings,
      proven: settled.proven,
      served: settled.served,
    })
  }

  const fees = [...spent.values()].reduce((sum, amount) => sum + amount, 0n)
  const changes = book.changes()
  const payouts = changes.reduce((sum, { earned }) => sum + earned, 0n)
  const sums = { emission, fees, payouts, burned: burned.total, unminted: emission - minted }
  invariant(
    sums.payouts + sums.burned + sums.unminted === sums.emission + sums.fees,
    'payouts + burned + unminted = emission + fees',
  )
  const state = nextState(input, { values, changes, absent: absentAfter(input, voted) })
  const penalties = penaltiesOf(set, base, offences)
  const checkpoint = checkpointOf({ input, state, penalties, sums, verdictCounts })
  return {
    checkpoint,
    root: checkpointRoot(checkpoint),
    state,
    kinds: results,
    votes,
    landings,
    changes,
    penalties,
    sums,
  }
}

/** SSZ roots of the payouts tree's leaves, in order of account. */
export function payoutLeaves(state: State): Uint8Array[] {
  return state.core.payouts.map(payout => Payout.hashTreeRoot(payout))
}

/** Base units each account moved in this epoch. */
class Accounts {
  readonly #base: EpochBase
  readonly #earned = new Map<string, bigint>()
  readonly #spent = new Map<string, bigint>()

  constructor(base: EpochBase) {
    this.#base = base
  }

  earn(account: Uint8Array, amount: bigint): void {
    if (amount > 0n) add(this.#earned, hex(account), amount)
  }

  earnNode(index: number, amount: bigint): void {
    const node = this.#base.node(index)
    invariant(node !== undefined, 'only nodes of the base are paid')
    this.earn(node.payout, amount)
  }

  spend(account: Uint8Array, amount: bigint): void {
    if (amount > 0n) add(this.#spent, hex(account), amount)
  }

  changes(): AccountChange[] {
    const accounts = [...new Set([...this.#earned.keys(), ...this.#spent.keys()])].sort()
    return accounts.map(account => ({
      account,
      earned: this.#earned.get(account) ?? 0n,
      spent: this.#spent.get(account) ?? 0n,
    }))
  }
}

/** Members of the parent's committee with a vote for it in this epoch's set. */
function votedFor({ set, parent, voters }: SettlementInput): readonly CommitteeMember[] {
  const authors = new Set<number>()
  for (const { value } of set.ofType<Vote>(MessageType.vote, KERNEL_KIND)) {
    if (equalBytes(value.checkpoint, parent.root)) authors.add(value.author)
  }
  return voters.filter(({ index }) => authors.has(index))
}

/** Votes for the parent in this epoch's set share VOTE_SHARE by weight. */
function payVotes(
  { base }: SettlementInput,
  voted: readonly CommitteeMember[],
  book: Accounts,
): Map<number, bigint> {
  const parts = voted
    .filter(({ index }) => base.node(index) !== undefined)
    .map(({ index, weight }) => nodePart(index, BigInt(weight)))
  const shares = divide(ppm(base.profile.emission, base.profile.voteShare), parts)
  for (const [node, amount] of shares) book.earnNode(node, amount)
  return shares
}

function paySubmitters({ base, landed }: SettlementInput, book: Accounts): Map<string, bigint> {
  const counts = new Map<string, bigint>()
  for (const account of landed) add(counts, hex(account), 1n)
  const shares = divide(
    ppm(base.profile.emission, base.profile.submitReward),
    [...counts].map(([account, weight]) => ({ key: account, weight, order: account })),
  )
  for (const [account, amount] of shares) book.earn(unhex(account), amount)
  return shares
}

interface KindPayInput {
  base: EpochBase
  settled: KindSettlement<unknown>
  records: readonly ChallengeRecord[]
  /** The kind's part of the epoch's emission. */
  emission: bigint
}

function payKind({ base, settled, records, emission }: KindPayInput) {
  const { profile } = base
  const earnings = new Map<number, bigint>()
  let burned = 0n
  for (const { node, amount } of settled.fees) {
    const burn = ppm(amount, profile.feeBurn)
    burned += burn
    add(earnings, node, amount - burn)
  }
  const duty = ppm(emission, profile.dutyShare)
  const remainder = emission - duty
  const basePot = ppm(remainder, profile.baseShare)
  const pots = [
    { amount: duty, parts: dutyParts(base, settled, records), byFees: false },
    { amount: basePot, parts: nodeParts(settled.proven), byFees: settled.provenIsFees },
    { amount: remainder - basePot, parts: nodeParts(settled.served), byFees: true },
  ].filter(({ parts }) => parts.some(({ weight }) => weight > 0n))
  // Bounds what the rounding of many burns leaves.
  let room = ppm(burned, profile.burnMatch)
  let minted = 0n
  for (const { amount: whole, parts, byFees } of pots) {
    const amount = byFees ? smaller(smaller(whole, matchOf(parts, base)), room) : whole
    if (byFees) room -= amount
    for (const [node, share] of divide(amount, parts)) {
      add(earnings, node, share)
      minted += share
    }
  }
  return { earnings, burned, minted }
}

/**
 * What a pot that is divided by fees may give at most: BURN_MATCH times what was burned of just these
 * fees. A bound on the sum of a kind's pots would let a fee in a pot that nobody else is in draw what
 * others burned in the other one, and so pay for dealing with oneself.
 */
function matchOf(parts: readonly Part<number>[], { profile }: EpochBase): bigint {
  const fees = parts.reduce((sum, { weight }) => sum + weight, 0n)
  return ppm(ppm(fees, profile.feeBurn), profile.burnMatch)
}

/** One part per on-time reveal that counted, and one per attestation that agrees with its verdict. */
function dutyParts(
  base: EpochBase,
  settled: KindSettlement<unknown>,
  records: readonly ChallengeRecord[],
): Part<number>[] {
  const parts = new Map<number, bigint>()
  const uncounted = new Set(
    settled.verdicts
      .filter(({ counts }) => counts === false)
      .map(({ challenge }) => hex(challenge)),
  )
  for (const { id, onTime, value } of records) {
    if (onTime && !uncounted.has(hex(id))) add(parts, value.author, 1n)
  }
  for (const { agreeing } of settled.verdicts) for (const node of agreeing) add(parts, node, 1n)
  return nodeParts(new Map([...parts].filter(([node]) => base.node(node) !== undefined)))
}

function nodeParts(weights: ReadonlyMap<number, bigint>): Part<number>[] {
  return [...weights].map(([node, weight]) => nodePart(node, weight))
}

function nodePart(node: number, weight: bigint): Part<number> {
  return { key: node, weight, order: node.toString().padStart(10, '0') }
}

function weightOf(kind: Kind<unknown>, { profile }: EpochBase): Part<number> {
  return {
    key: kind.code,
    weight: BigInt(profile.weights[kind.code] ?? 0),
    order: String(kind.code),
  }
}

function depositOf(client: string, base: EpochBase): Deposit {
  const deposit = base.deposits.get(client)
  invariant(deposit !== undefined, 'a fee moves out of a deposit that the base holds')
  return deposit
}

function available(
  client: string,
  base: EpochBase,
  state: State,
  spentNow: ReadonlyMap<string, bigint>,
): bigint {
  const deposit = base.deposits.get(client)
  if (deposit === undefined) return 0n
  const payout = state.core.payouts.find(({ account }) => equalBytes(account, deposit.account))
  return leftOfDeposit(deposit, (payout?.spent ?? 0n) + (spentNow.get(client) ?? 0n))
}

/**
 * Whose votes are missing after this epoch, of those who were drawn for the parent's. Votes cast after
 * the epoch belong to no set, as all do while the network catches up after a halt: a set without those
 * of a majority says nothing of the others. Who is not of the committee that signed, because it formed
 * without it, has no vote whatever the set says.
 */
function absentAfter(
  { parent, voters, drawn }: SettlementInput,
  voted: readonly CommitteeMember[],
): Absence[] {
  const before = new Map(parent.state.core.absent.map(({ node, missed }) => [node, missed]))
  const signers = new Set(voters.map(({ index }) => index))
  const present = new Set(voted.map(({ index }) => index))
  const tells = 2 * weightIn(voted) > weightIn(voters)
  return drawn
    .filter(({ index }) => !present.has(index))
    .map(({ index: node }) => {
      const missed = before.get(node) ?? 0
      return { node, missed: tells || !signers.has(node) ? missed + 1 : missed }
    })
    .filter(({ missed }) => missed > 0)
    .sort((a, b) => a.node - b.node)
}

function weightIn(members: readonly CommitteeMember[]): number {
  return members.reduce((sum, { weight }) => sum + weight, 0)
}

interface StateChange {
  values: ReadonlyMap<number, unknown>
  changes: readonly AccountChange[]
  absent: Absence[]
}

function nextState(
  { base, kinds, set, parent }: SettlementInput,
  { values, changes, absent }: StateChange,
): State {
  const { core } = parent.state
  const payouts = new Map(core.payouts.map(payout => [hex(payout.account), payout]))
  for (const { account, earned, spent } of changes) {
    const before = payouts.get(account) ?? { account: unhex(account), earned: 0n, spent: 0n }
    payouts.set(account, {
      account: before.account,
      earned: before.earned + earned,
      spent: before.spent + spent,
    })
  }
  const activity = new Map(core.activity.map(({ node, epoch }) => [node, epoch]))
  for (const { value } of set.messages()) {
    const author = (value as Partial<EpochMessage>).author
    if (author !== undefined) activity.set(author, base.epoch)
  }
  return new State(
    {
      payouts: [...payouts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, payout]) => payout),
      activity: [...activity].sort(([a], [b]) => a - b).map(([node, epoch]) => ({ node, epoch })),
      absent,
    },
    kinds,
    values,
  )
}

/** One penalty per author: of its contradictions and offences the one whose evidence is lowest. */
function penaltiesOf(
  set: MessageSet,
  base: EpochBase,
  offences: readonly KindPenalty[],
): PenaltyRecord[] {
  const contradictions = set
    .contradictions()
    .filter(({ type }) => PENALISED.has(type))
    .map(({ author, first }) => ({ node: author, evidence: first }))
  const byNode = new Map<number, PenaltyRecord>()
  for (const { node, evidence } of [...contradictions, ...offences]) {
    const entry = base.node(node)
    const known = byNode.get(node)
    if (entry === undefined || (known && compareBytes(known.evidence, evidence) < 0)) continue
    byNode.set(node, { node, amount: ppm(entry.bond, base.profile.penalty), evidence })
  }
  return capped(
    [...byNode.values()].sort((a, b) => a.node - b.node),
    base,
  )
}

/** In order of node index until the epoch's cap is used up. */
function capped(penalties: readonly PenaltyRecord[], { nodes, profile }: EpochBase) {
  let left = ppm(
    nodes.reduce((sum, { bond }) => sum + bond, 0n),
    profile.penaltyCap,
  )
  return penalties.flatMap(penalty => {
    const amount = smaller(penalty.amount, left)
    left -= amount
    return amount > 0n ? [{ ...penalty, amount }] : []
  })
}

const PENALISED: ReadonlySet<MessageType> = new Set([
  MessageType.attestation,
  MessageType.beacon,
  MessageType.commit,
  MessageType.seal,
  MessageType.vote,
])

interface CheckpointInit {
  input: SettlementInput
  state: State
  penalties: readonly PenaltyRecord[]
  sums: Sums
  verdictCounts: number[]
}

function checkpointOf({
  input,
  state,
  penalties,
  sums,
  verdictCounts,
}: CheckpointInit): Checkpoint {
  const { base, kinds, set, parent } = input
  const messages = new Array<number>(COUNTED_TYPES).fill(0)
  for (const { envelope } of set.messages()) {
    const place = countedPlace(envelope.type)
    messages[place] = (messages[place] as number) + 1
  }
  const withDeals = kinds.find(kind => kind.dealsRoot !== undefined)
  return {
    epoch: BigInt(base.epoch),
    base: base.block,
    parent: parent.root,
    messages: set.root(),
    state: state.root(),
    payouts: listRoot(payoutLeaves(state), ListDepth.payouts),
    penalties: listRoot(penaltyLeaves(penalties), ListDepth.penalties),
    deals: withDeals?.dealsRoot?.(state.of(withDeals)) ?? listRoot([], ListDepth.deals),
    counts: { messages, verdicts: verdictCounts },
    earnedTotal: parent.checkpoint.earnedTotal + sums.payouts,
    spentTotal: parent.checkpoint.spentTotal + sums.fees,
    nextCommittee: input.nextCommittee,
    rulesVersion: base.profile.rulesVersion,
  }
}

export function penaltyLeaves(penalties: readonly PenaltyRecord[]): Uint8Array[] {
  return penalties.map(penalty => Penalty.hashTreeRoot(penalty))
}

function add<K>(map: Map<K, bigint>, key: K, amount: bigint): void {
  map.set(key, (map.get(key) ?? 0n) + amount)
}

function total(shares: ReadonlyMap<unknown, bigint>): bigint {
  let sum = 0n
  for (const share of shares.values()) sum += share
  return sum
}
