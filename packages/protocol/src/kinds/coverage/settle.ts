/**
 * What an epoch's beacons and reports are worth. Per target at most one challenge counts: the
 * on-time one that the reveal names, else the first on-time one, as a beacon that nobody heard.
 * Every rule's numbers stand in the verdict.
 */
import { sha256 } from '#crypto'
import { MessageType } from '../../domain.ts'
import { isMajority } from '../../duties.ts'
import type {
  ChallengeRecord,
  EpochBase,
  KindSettlement,
  KnownMessages,
  SettledVerdict,
  SettleInput,
  VerdictFacts,
  VerdictPart,
} from '../../kind.ts'
import { Verdict } from '../../messages.ts'
import { WITNESSES_MAX, witnessUnits } from '../../radio/density.ts'
import { cellResolution, isCell } from '../../radio/geo.ts'
import type { RegistryEntry } from '../../registry.ts'
import { feesByNode } from '../../settle/claims.ts'
import {
  Bytes32,
  Bytes96,
  ContainerType,
  compareBytes,
  equalBytes,
  hex,
  Uint32,
} from '../../ssz.ts'
import { epochAt } from '../../time.ts'
import { nextService, serviceOf } from './anchors.ts'
import { settleBought } from './bought.ts'
import { COVERAGE, gatewayPlaces, hasNonce, isDrawn, ownRound } from './draw.ts'
import { type CoverageEvidence, decodeEvidence } from './evidence.ts'
import { beaconPlan, type Emission } from './frame.ts'
import { type GraphScore, judgeGraph } from './graph/graph.ts'
import { usualNoise } from './graph/links.ts'
import { spreadingOf } from './graph/spreading.ts'
import {
  ABSENT_LOSS,
  HEARINGS_MAX,
  type HeardBeacon,
  type Hearing,
  UNREVEALED,
} from './graph/window.ts'
import {
  type Finding,
  finding,
  judgeAll,
  judgeClose,
  judgeCommit,
  judgeFar,
  judgeFrame,
  judgeLoud,
  judgeNoise,
  judgeOpening,
  judgeOperator,
  judgeRelay,
  judgeSelf,
  judgeSnr,
  type Link,
  noiseOf,
  signalOf,
} from './judgement.ts'
import {
  judgeLocation,
  type Location,
  nextTimings,
  standingTimings,
  type TargetTimings,
} from './latency/location.ts'
import type { Measurement } from './latency/measurement.ts'
import {
  ABSENT_LEVEL,
  type Beacon,
  commitRoot,
  decodeLevel,
  encodeLevel,
  type HeardFrame,
  type Report,
} from './messages.ts'
import { isNonce, NONCE_ROUNDS } from './nonce.ts'
import { COARSEST_RESOLUTION, hasCell, hasRegion, linkOf } from './place.ts'
import type { CoverageReasonName } from './reasons.ts'
import { commitsOf, revealsOf } from './relay.ts'
import { antennaOf, antennaScales, earnedUnits, onePerAntenna } from './shares.ts'
import { slotsAfter } from './slots.ts'
import { type CoverageState, type GatewayState, gatewayState, NEVER, nonceAnchor } from './state.ts'

const SelectionInput = new ContainerType(
  { output: Bytes96, nonce: Bytes32, witness: Uint32 },
  { typeName: 'SelectionInput' },
)

/** A report as it was judged, before the selection. */
interface WitnessJudgement {
  readonly node: number
  readonly place: number
  readonly reason: CoverageReasonName
  readonly facts: VerdictFacts
  /** Of one that passed all rules. */
  readonly hearing?: Hearing
}

interface BeaconJudgement {
  readonly reason: CoverageReasonName
  readonly facts: VerdictFacts
  readonly revealOnTime: boolean
  readonly nonce: Uint8Array | undefined
  readonly witnesses: readonly WitnessJudgement[]
  /** Of those that passed one node of each antenna, lowest hash first: the first fourteen count. */
  readonly order: readonly number[]
  /** Nodes whose report counts, ascending. */
  readonly selected: readonly number[]
  /** What the graph rules remember. */
  readonly heard?: HeardBeacon
}

/** A judged challenge, before the epoch's units are known. */
interface Judged {
  readonly record: ChallengeRecord
  readonly beacon: BeaconJudgement
}

export function settleCoverage(input: SettleInput<CoverageState>): KindSettlement<CoverageState> {
  const { base, challenges } = input
  const messages = messagesBySubject(input.messages)
  const window = standingWindow(base, input.state.window)
  const timings = standingTimings(base, input.state.timings)
  const noises = usualNoise(window)
  // Without this epoch's beacons: a score does not hang on messages of the epoch that it pays.
  const scores = challenges.length === 0 ? new Map<number, GraphScore>() : scoresOf(input, window)
  const judged: Judged[] = []
  for (const records of byTarget(challenges)) {
    const counted = countedChallenge(records, messages.beacons)
    for (const record of records) {
      const beacon =
        record === counted
          ? judgeBeacon(input, record, { ...messages, noises, scores })
          : passedOver(record, counted)
      judged.push({ record, beacon })
    }
  }
  const { fees, bought, packets } = settleBought(input)
  const state = {
    ...nextState(input, judged, window),
    bought: [...bought],
    service: nextService(input.state.service, packets, base),
    timings: nextTimings(
      base,
      timings,
      input.messages.ofType<Measurement>(MessageType.measurement, COVERAGE),
    ),
  }
  const locations = locationsOf(timings)
  const scales = scalesOf(base, state, scores)
  const proven = new Map<number, bigint>()
  const verdicts = judged.map(item =>
    settleVerdict(item, { input, scales, scores, locations, proven }),
  )
  return {
    state,
    verdicts,
    proven,
    provenIsFees: false,
    served: feesByNode(fees),
    fees,
  }
}

interface Scored {
  readonly scores: ReadonlyMap<number, GraphScore>
}

interface Subjects {
  /** The one standing reveal of each author. */
  readonly beacons: ReadonlyMap<number, Beacon>
  /** Reports by challenge. */
  readonly reports: ReadonlyMap<string, readonly Report[]>
}

function messagesBySubject(messages: KnownMessages): Subjects {
  const beacons = new Map<number, Beacon>()
  for (const { value } of messages.ofType<Beacon>(MessageType.beacon, COVERAGE)) {
    beacons.set(value.author, value)
  }
  const reports = new Map<string, Report[]>()
  for (const { value } of messages.ofType<Report>(MessageType.report, COVERAGE)) {
    const key = hex(value.challenge)
    const list = reports.get(key)
    if (list === undefined) reports.set(key, [value])
    else list.push(value)
  }
  for (const list of reports.values()) {
    list.sort((a, b) => a.author - b.author || a.place - b.place)
  }
  return { beacons, reports }
}

function byTarget(records: readonly ChallengeRecord[]): ChallengeRecord[][] {
  const groups = new Map<number, ChallengeRecord[]>()
  for (const record of records) {
    const group = groups.get(record.value.target)
    if (group === undefined) groups.set(record.value.target, [record])
    else group.push(record)
  }
  return [...groups.values()]
}

function countedChallenge(
  records: readonly ChallengeRecord[],
  beacons: ReadonlyMap<number, Beacon>,
): ChallengeRecord | undefined {
  const onTime = records.filter(record => record.onTime)
  const beacon = beacons.get(records[0]?.value.target ?? -1)
  const named = beacon && onTime.find(({ id }) => equalBytes(id, beacon.challenge))
  return named ?? onTime[0]
}

function uncounted(reason: CoverageReasonName): BeaconJudgement {
  return {
    reason,
    facts: {},
    revealOnTime: false,
    nonce: undefined,
    witnesses: [],
    order: [],
    selected: [],
  }
}

/** A challenge that does not count, and why. */
function passedOver(record: ChallengeRecord, counted: ChallengeRecord | undefined) {
  const { slot, duty, attestations, onTime } = record
  const seen = attestations.filter(
    ({ value: { seenSlot } }) => slot <= seenSlot && seenSlot <= slot + 1,
  ).length
  const facts: VerdictFacts = {
    challengeSlot: slot,
    challengeSeenBy: seen,
    assigned: duty.verifiers.length,
  }
  if (!onTime || counted === undefined) return { ...uncounted('challengeLate'), facts }
  return { ...uncounted('otherChallenge'), facts: { ...facts, countedSlot: counted.slot } }
}

function judgeBeacon(
  input: SettleInput<CoverageState>,
  record: ChallengeRecord,
  { beacons, reports, noises, scores }: Subjects & Pick<WitnessInput, 'noises'> & Scored,
): BeaconJudgement {
  const { base, state } = input
  const { target, output } = record.value
  const entry = base.node(target)
  const standing = beacons.get(target)
  const beacon = standing && equalBytes(standing.challenge, record.id) ? standing : undefined
  const reveals = revealsOf(input.messages, target).length
  const evidence = evidenceOf(record)
  const slots = slotsAfter(record.slot, base.profile)
  const seen = evidence.filter(({ revealSlot }) => revealSlot <= slots.reveal).length
  const assigned = record.duty.verifiers.length
  // Of two reveals neither counts, but verifiers that saw one in time were right. Which two of more
  // the set holds, and so what they name, makes no difference.
  const contradicted = reveals > 1
  const revealOnTime = (contradicted || beacon !== undefined) && isMajority(seen, assigned)
  const asked: HeardBeacon = {
    epoch: base.epoch,
    beaconer: target,
    power: UNREVEALED,
    hearings: [],
  }
  const head: VerdictFacts = { challengeSlot: record.slot, transmissionSlot: slots.transmission }
  if (entry === undefined) {
    return { ...uncounted('unregistered'), facts: { ...head, active: 0 }, revealOnTime }
  }
  if (beacon === undefined) {
    const reason = contradicted ? 'badReveal' : 'noReveal'
    return { ...uncounted(reason), facts: { ...head, reveals }, revealOnTime, heard: asked }
  }
  const plan = beaconPlan({ output, nonce: beacon.nonce, gateway: entry, profile: base.profile })
  const round = ownRound(entry, base)
  const anchor = nonceAnchor(state, entry, round)
  const nonceFits = isNonce(entry.identity, anchor, { round, nonce: beacon.nonce })
  const found = judgeAll([
    () => judgeCell(entry),
    () => finding('wrongRegion', hasRegion(entry), { region: entry.region }),
    () => judgeDuty(entry, base),
    () => finding('late', revealOnTime, { revealDue: slots.reveal, revealSeenBy: seen, assigned }),
    () => finding('badNonce', nonceFits, { nonceSince: anchor.round }),
    () => judgeReveal(beacon, plan, slots.transmission),
  ])
  const facts = { ...head, ...found.facts }
  const nonce = nonceFits ? beacon.nonce : undefined
  if (found.reason !== 'ok' || plan === undefined) {
    return { ...uncounted(found.reason), facts, revealOnTime, nonce, heard: asked }
  }
  const sent: Emission = { ...plan, power: decodeLevel(beacon.power) ?? plan.power }
  const witnesses = judgeWitnesses({
    base,
    messages: input.messages,
    beaconer: entry,
    sent,
    began: beacon.tmms,
    evidence,
    assigned,
    reports: reports.get(hex(record.id)) ?? [],
    noises,
  })
  const passed = byHash(witnesses, output, beacon.nonce)
  const order = onePerAntenna(passed, target, scores).map(({ node }) => node)
  const selected = order.slice(0, WITNESSES_MAX).sort((a, b) => a - b)
  const remembered = passed.slice(0, HEARINGS_MAX).map(({ hearing }) => hearing as Hearing)
  return {
    reason: selected.length > 0 ? 'ok' : 'unheard',
    facts: { ...facts, power: sent.power, reports: witnesses.length, selected: selected.length },
    revealOnTime,
    nonce,
    witnesses,
    order,
    selected,
    heard: {
      ...asked,
      power: encodeLevel(sent.power),
      hearings: remembered.sort((a, b) => a.witness - b.witness),
    },
  }
}

function judgeCell(entry: RegistryEntry): Finding {
  return finding('noCell', hasCell(entry), {
    cellResolution: isCell(entry.cell) ? cellResolution(entry.cell) : -1,
    coarsestResolution: COARSEST_RESOLUTION,
  })
}

function judgeDuty(entry: RegistryEntry, base: EpochBase): Finding {
  const drawn = isDrawn(base, entry.index)
  return finding('noDuty', drawn && hasNonce(entry, base), {
    drawn: drawn ? 1 : 0,
    round: ownRound(entry, base),
    lastRound: NONCE_ROUNDS,
  })
}

/** `before`: the report that comes before it by author and place. */
function judgeFirst({ author, place }: Report, before: Report | undefined): Finding {
  const second = before?.author === author
  return finding('duplicate', !second, { place, ...(second && { firstPlace: before.place }) })
}

/** The kernel let in only attestations that passed `checkEvidence`. */
function evidenceOf({ attestations }: ChallengeRecord): CoverageEvidence[] {
  return attestations.map(({ value }) => decodeEvidence(value.evidence))
}

function judgeReveal(beacon: Beacon, plan: Emission | undefined, transmission: number): Finding {
  const fits =
    plan !== undefined &&
    beacon.slot === transmission &&
    beacon.frequency === plan.frequency &&
    beacon.spreadingFactor === plan.spreadingFactor &&
    decodeLevel(beacon.power) !== undefined
  return finding('badReveal', fits, {
    revealedSlot: beacon.slot,
    frequency: beacon.frequency,
    derivedFrequency: plan?.frequency ?? 0,
    spreadingFactor: beacon.spreadingFactor,
    derivedSpreadingFactor: plan?.spreadingFactor ?? 0,
  })
}

interface WitnessInput {
  readonly base: EpochBase
  readonly messages: KnownMessages
  readonly beaconer: RegistryEntry
  readonly sent: Emission
  /** GPS ms, or absent. */
  readonly began: bigint
  readonly evidence: readonly CoverageEvidence[]
  readonly assigned: number
  /** By author and place. */
  readonly reports: readonly Report[]
  /** Usual noise of each witness, 0.1 dBm. */
  readonly noises: ReadonlyMap<number, number>
}

function judgeWitnesses(input: WitnessInput): WitnessJudgement[] {
  const { base, messages, beaconer, sent, began, evidence, assigned, reports, noises } = input
  return reports.map((report, at) => {
    const { author: node, place, reception } = report
    const entry = base.node(node)
    const told = toldOf(reception)
    if (entry === undefined) {
      return { node, place, reason: 'unregistered', facts: { ...told, active: 0 } }
    }
    const bit = gatewayPlaces(base).get(node)
    const held =
      bit === undefined ? 0 : evidence.filter(({ commits }) => hasBit(commits, bit)).length
    const commits = commitsOf(messages, report)
    const opened = commits.some(({ root }) => equalBytes(root, commitRoot(report.leaves)))
    let known: Link | undefined
    const link = () => {
      known ??= linkOf(beaconer, entry, sent)
      return known
    }
    const found = judgeAll([
      () => finding('unregistered', bit !== undefined, { gateways: gatewayPlaces(base).size }),
      () => judgeCell(entry),
      () => finding('wrongRegion', hasRegion(entry), { region: entry.region }),
      () => judgeSelf(beaconer.index, node),
      () => judgeOperator(beaconer.operator, entry.operator),
      () => judgeCommit(held, assigned),
      () => judgeOpening(commits.length, opened),
      () => judgeFrame(reception, sent),
      () => judgeFirst(report, reports[at - 1]),
      () => judgeClose(link()),
      () => judgeFar(link()),
      () => judgeLoud(reception, link()),
      () => judgeSnr(reception, link()),
      () => judgeNoise(reception, noises.get(node)),
      () => judgeRelay(reception, { began, distance: link().distance }),
    ])
    const { reason } = found
    const facts = { ...told, ...found.facts }
    if (reason !== 'ok') return { node, place, reason, facts }
    return { node, place, reason, facts, hearing: hearingOf(report, link()) }
  })
}

/** What it says that it heard, whichever rule it fails. */
function toldOf(heard: HeardFrame): VerdictFacts {
  const level = signalOf(heard)
  const snr = decodeLevel(heard.snr)
  return {
    spreadingFactor: heard.spreadingFactor,
    ...(level !== undefined && { level }),
    ...(snr !== undefined && { snr }),
  }
}

function hearingOf({ author: witness, reception }: Report, { sent, distance }: Link): Hearing {
  const level = signalOf(reception)
  const loss =
    level === undefined ? ABSENT_LOSS : Math.min(Math.max(sent - level, 0), ABSENT_LOSS - 1)
  const noise = noiseOf(reception)
  return {
    witness,
    loss,
    noise: noise === undefined ? ABSENT_LEVEL : encodeLevel(noise),
    spreading: spreadingOf(distance),
  }
}

function hasBit(commits: CoverageEvidence['commits'], bit: number): boolean {
  return bit < commits.bitLen && commits.get(bit)
}

/** Those that passed, lowest hash first: nobody knows the order while commits are made. */
function byHash(
  witnesses: readonly WitnessJudgement[],
  output: Uint8Array,
  nonce: Uint8Array,
): WitnessJudgement[] {
  return witnesses
    .filter(({ reason }) => reason === 'ok')
    .map(judged => ({
      judged,
      hash: sha256(SelectionInput.serialize({ output, nonce, witness: judged.node })),
    }))
    .sort((a, b) => compareBytes(a.hash, b.hash))
    .map(({ judged }) => judged)
}

/**
 * Newest nonces, this epoch for every gateway with a valid beacon or report, and the window with this
 * epoch's beacons.
 */
function nextState(
  { base, state }: SettleInput<CoverageState>,
  judged: readonly Judged[],
  window: readonly HeardBeacon[],
): Pick<CoverageState, 'gateways' | 'window'> {
  const next = new Map<number, GatewayState>()
  for (const gateway of state.gateways) {
    const gone = base.node(gateway.node) === undefined
    if (gone && !isRecent(gateway, base)) continue
    next.set(gateway.node, gateway)
  }
  const change = (node: number, fields: Partial<GatewayState>) => {
    const before = next.get(node) ?? {
      node,
      nonceRound: 0,
      nonce: new Uint8Array(32),
      validEpoch: NEVER,
    }
    next.set(node, { ...before, ...fields })
  }
  for (const { record, beacon } of judged) {
    const { target } = record.value
    const entry = base.node(target)
    if (beacon.nonce !== undefined && entry !== undefined) {
      change(target, { nonceRound: ownRound(entry, base), nonce: beacon.nonce })
    }
    if (beacon.reason === 'ok') change(target, { validEpoch: base.epoch })
    for (const { node, reason } of beacon.witnesses) {
      if (reason === 'ok') change(node, { validEpoch: base.epoch })
    }
  }
  const added = judged.flatMap(({ beacon }) => beacon.heard ?? [])
  return {
    gateways: [...next.values()].sort((a, b) => a.node - b.node),
    window: [...window, ...added.sort((a, b) => a.beaconer - b.beaconer)],
  }
}

/** What the graph rules read: not too old, and without gateways that are gone. */
function standingWindow(base: EpochBase, window: readonly HeardBeacon[]): HeardBeacon[] {
  const known = (node: number) => base.node(node) !== undefined
  return window
    .filter(
      ({ epoch, beaconer }) => epoch + base.profile.graphEpochs > base.epoch && known(beaconer),
    )
    .map(heard => {
      const hearings = heard.hearings.filter(({ witness }) => known(witness))
      return hearings.length === heard.hearings.length ? heard : { ...heard, hearings }
    })
}

function scoresOf(
  { base, state }: SettleInput<CoverageState>,
  window: readonly HeardBeacon[],
): Map<number, GraphScore> {
  return judgeGraph({
    window,
    gateways: base.nodes.filter(hasCell),
    anchors: { named: base.profile.anchors, service: serviceOf(state.service, base) },
  })
}

function locationsOf(timings: readonly TargetTimings[]): Map<number, Location> {
  return new Map(timings.map(({ target, timings: list }) => [target, judgeLocation(list)]))
}

function isRecent({ validEpoch }: GatewayState, { epoch, profile }: EpochBase): boolean {
  return validEpoch !== NEVER && epoch - validEpoch <= profile.staleEpochs
}

/** True for a gateway that was neither registered nor valid in the last `staleEpochs` epochs. */
export function isStale(
  entry: RegistryEntry,
  state: Pick<CoverageState, 'gateways'>,
  base: Pick<EpochBase, 'epoch' | 'genesis' | 'profile'>,
): boolean {
  return base.epoch - staleSince(entry, state, base) > base.profile.staleEpochs
}

/** Epoch of the registration, or of the last valid beacon or report if that is later. */
function staleSince(
  entry: RegistryEntry,
  state: Pick<CoverageState, 'gateways'>,
  base: Pick<EpochBase, 'genesis' | 'profile'>,
): number {
  const registered = Math.max(0, epochAt(base, entry.registeredAt * 1_000))
  const valid = gatewayState(state, entry.index)?.validEpoch ?? NEVER
  return valid === NEVER ? registered : Math.max(registered, valid)
}

/** Scale of every gateway that was valid of late, this epoch included; 2^32 is 1. */
function scalesOf(
  base: EpochBase,
  state: Pick<CoverageState, 'gateways'>,
  scores: Scored['scores'],
): Map<number, bigint> {
  const cells = new Map<number, bigint>()
  for (const gateway of state.gateways) {
    const entry = base.node(gateway.node)
    if (entry === undefined || !hasCell(entry) || !isRecent(gateway, base)) continue
    cells.set(entry.index, entry.cell)
  }
  return antennaScales(cells, scores)
}

interface UnitsInput extends Scored {
  readonly input: SettleInput<CoverageState>
  readonly scales: ReadonlyMap<number, bigint>
  readonly locations: ReadonlyMap<number, Location>
  /** Receives the units of everybody who took part. */
  readonly proven: Map<number, bigint>
}

/** Turns a judged challenge into its verdict, adding its units to `proven`. */
function settleVerdict({ record, beacon }: Judged, settling: UnitsInput) {
  const { input, scales, scores, locations, proven } = settling
  const { base, state } = input
  const units = witnessUnits(beacon.selected.length)
  const earn = (node: number, full: bigint, as: 'beaconing' | 'witnessing'): VerdictFacts => {
    const entry = base.node(node)
    const scale = scales.get(node) ?? 0n
    const stale = entry === undefined || isStale(entry, state, base)
    const location = locations.get(node)
    const nothing = stale || location?.factor === 0
    const earned = nothing ? 0n : earnedUnits({ node, as, full, scale, scores })
    if (earned > 0n) proven.set(node, (proven.get(node) ?? 0n) + earned)
    return {
      units: String(earned),
      fullUnits: String(full),
      densityScale: String(scale),
      ...(entry && { validSince: staleSince(entry, state, base) }),
      staleEpochs: base.profile.staleEpochs,
      ...scores.get(node)?.facts,
      ...location?.facts,
    }
  }
  const { target } = record.value
  const passed = beacon.reason === 'ok'
  const own = passed ? earn(target, units.beacon, 'beaconing') : {}
  const outcomeOf = (node: number): CoverageReasonName => {
    if (isStaleNode(node, base, state)) return 'stale'
    return locations.get(node)?.factor === 0 ? 'elsewhere' : 'ok'
  }
  const selected = new Set(beacon.selected)
  const left = (node: number, facts: VerdictFacts): VerdictPart => {
    const antenna = antennaOf(node, scores)
    const others = [target, ...beacon.selected].map(other => antennaOf(other, scores))
    if (!others.includes(antenna)) {
      const rank = beacon.order.indexOf(node) + 1
      const numbers = rank === 0 ? {} : { rank }
      return { node, reason: 'notSelected', facts: { ...facts, ...numbers, most: WITNESSES_MAX } }
    }
    return { node, reason: 'sharedAntenna', facts: { ...facts, ...scores.get(node)?.facts } }
  }
  const parts: VerdictPart[] = beacon.witnesses.map(({ node, reason, facts }) => {
    if (reason !== 'ok') return { node, reason, facts }
    if (!selected.has(node)) return left(node, facts)
    const paid = { ...facts, ...earn(node, units.witness, 'witnessing') }
    return { node, reason: outcomeOf(node), facts: paid }
  })
  const expected = beacon.revealOnTime ? Verdict.pass : Verdict.inconclusive
  const verdict: SettledVerdict = {
    challenge: record.id,
    target,
    verdict: passed ? Verdict.pass : Verdict.inconclusive,
    reason: passed ? outcomeOf(target) : beacon.reason,
    facts: { ...beacon.facts, ...own },
    parts,
    // Verifiers attest what they saw in time; whether the radio rules hold is not theirs to say.
    agreeing: record.attestations
      .filter(({ value }) => value.verdict === expected)
      .map(({ value }) => value.author),
    counts: beacon.reason !== 'otherChallenge',
  }
  return verdict
}

function isStaleNode(node: number, base: EpochBase, state: CoverageState): boolean {
  const entry = base.node(node)
  return entry === undefined || isStale(entry, state, base)
}
