/**
 * What is wrong with a node, as sentences with a cause and a next step. Status, dashboard, `/ready`
 * and the alert rules all show the same objects. A finding whose cause is itself a finding is
 * hidden: an operator whose chain RPC is down need not read that the base is unknown too.
 */
import type { CairnError, Facts, Obligations, Profile } from '@cairn/protocol'
import type { AccountOutlook } from './chain/transactions.ts'
import type { Wait } from './checkpoints/fallback.ts'
import type { RepairTotals } from './client/repairs.ts'
import {
  type ClientOutlook,
  isLate,
  isShort,
  type Outlook,
  type ProviderOutlook,
} from './kinds/storage/outlook.ts'
import { renewalName } from './kinds/storage/renewals.ts'
import type { LeftOut } from './ledger/epochs.ts'
import { FULLNESS_WARNINGS } from './pieces/volumes.ts'
import type { BrokerStatus } from './radio/broker.ts'
import type { Lack, LackCode } from './radio/outlook.ts'

export type Severity = 'ok' | 'warning' | 'critical'

export const SEVERITY_LEVEL: Readonly<Record<Severity, number>> = { ok: 0, warning: 1, critical: 2 }

export type HealthCode =
  | 'chain'
  | 'clock'
  | 'peers'
  | 'registered'
  | 'bonded'
  | 'parameters'
  | 'base'
  | 'muted'
  | 'committee'
  | 'penalised'
  | 'leftOut'
  | 'radio'
  | 'gateways'
  | 'broker'
  | 'volume'
  | 'volumeAway'
  | 'damaged'
  | 'debts'
  | 'withholding'
  | 'contained'
  | 'deposit'
  | 'renewals'
  | 'kept'
  | 'files'
  | 'clients'
  | 'gas'

export interface Health {
  readonly code: HealthCode
  readonly severity: Severity
  readonly text: string
  readonly facts: Facts
  /** Findings that would explain this one. */
  readonly dependsOn?: readonly HealthCode[]
  /** What the operator can do; absent while all is well. */
  readonly next?: string
}

export interface HealthFacts {
  chain: {
    healthy: boolean
    /** The RPC endpoints contradict each other. */
    divided?: boolean
    /** What ails the endpoints while none answers. */
    trouble?: string | undefined
    /** Of the newest block; undefined before the first. */
    ageMs?: number
  }
  /** Peers' median clock less this one; undefined while fewer than three have answered. */
  clockOffsetMs?: number
  skewMs: number
  peers: number
  registered: boolean
  bonded: boolean
  /** The latest penalty of a node of this daemon; absent where there is none. */
  penalty?: { epoch: number; node: number; offence: string; amount?: bigint }
  /** A node of this daemon that the committee was not drawn from; absent where there is none. */
  leftOut?: { node: number; why: LeftOut; until: number }
  /** Why the chain's parameters are not the manifest's; absent while they are. */
  otherParameters?: Pick<CairnError, 'message' | 'facts' | 'next'>
  /** Base and seed of the present epoch are known. */
  baseKnown: boolean
  epoch: number
  /** Slot of the epoch, from 0. */
  slot: number
  /** First epoch in which the node signs again; undefined when it may sign. */
  mutedUntil?: number
  /** Absent while the chain accepts checkpoints. */
  wait?: Wait
  /** Absent without a radio. */
  radios?: readonly RadioFacts[]
  /** Absent where no uplinks are handed on. */
  broker?: BrokerStatus
  /** Absent for a node that offers no storage. */
  volumes?: readonly VolumeFacts[]
  /** By the last accepted checkpoint; absent for a node without deals. */
  storage?: Obligations
  /** Absent while it is not known. */
  deals?: { outlook: Outlook; profile: Profile }
  /** Groups of the files of this node, as the last run of repairs left them. */
  files?: Pick<RepairTotals, 'groups' | 'underWay' | 'failing' | 'lost'>
  /** The account that pays for gas; absent where none does. */
  account?: AccountFacts
}

export type AccountFacts = Pick<AccountOutlook, 'address' | 'balance' | 'daysLeft' | 'budgetSpent'>

export interface RadioFacts {
  name: string
  eui?: string
  online: boolean
  lacks: readonly Lack[]
}

export interface VolumeFacts {
  location: string
  /** `present`, or the code of why it is away. */
  state: string
  next?: string
  used: number
  quota: number
  pieces: number
  damaged: readonly unknown[]
}

/** An operator needs some days to send ether. */
const GAS_DAYS = 7

/** What a node needs of its peers to judge its own clock. */
export const PEERS_WANTED = 3

/** Every finding in fixed order, those that are well included. */
export function healthOf(facts: HealthFacts): Health[] {
  const checks = [
    chain(facts),
    peers(facts),
    clock(facts),
    registered(facts),
    bonded(facts),
    ...(facts.otherParameters === undefined ? [] : [parameters(facts.otherParameters)]),
    base(facts),
    muted(facts),
    committee(facts.wait),
  ]
  if (facts.penalty !== undefined) checks.push(penalised(facts.penalty))
  if (facts.leftOut !== undefined) checks.push(leftOut(facts.leftOut))
  if (facts.account !== undefined) checks.push(gas(facts.account))
  if (facts.radios !== undefined) checks.push(radio(facts.radios), gateways(facts.radios))
  if (facts.broker !== undefined) checks.push(broker(facts.broker))
  if (facts.volumes !== undefined) {
    checks.push(volumeAway(facts.volumes), volume(facts.volumes), damaged(facts.volumes))
  }
  if (facts.storage !== undefined) {
    checks.push(debts(facts.storage), withholding(facts.storage), contained(facts.storage))
  }
  if (facts.deals !== undefined) {
    const { outlook, profile } = facts.deals
    if (outlook.client !== undefined) {
      checks.push(deposit(outlook.client, profile), renewals(outlook.client, profile))
      checks.push(kept(outlook.client))
    }
    if (outlook.provider !== undefined) checks.push(clients(outlook.provider))
  }
  if (facts.files !== undefined && facts.files.groups > 0) checks.push(files(facts.files))
  return checks
}

/** What is to be shown: findings that are not well and not explained by another one. */
export function rootCauses(health: readonly Health[]): Health[] {
  const broken = new Set(health.filter(({ severity }) => severity !== 'ok').map(({ code }) => code))
  return health.filter(
    ({ code, dependsOn }) => broken.has(code) && !dependsOn?.some(cause => broken.has(cause)),
  )
}

export interface Readiness {
  ready: boolean
  reasons: Health[]
}

/** Useful now: nothing critical. `reasons` are the root causes, warnings included. */
export function readiness(health: readonly Health[]): Readiness {
  return {
    ready: health.every(({ severity }) => severity !== 'critical'),
    reasons: rootCauses(health),
  }
}

/** What was shown of each code, and since when something else was found. */
export type HealthMemory = ReadonlyMap<HealthCode, { shown: Health; since: number | undefined }>

export interface Persistence {
  now: number
  /** A change of severity shows after it was found for this long, ms. */
  holdMs: number
}

/**
 * Lets a change show only when it persists, so that one lost packet alarms nobody. What is found
 * first shows at once.
 */
export function persistent(
  found: readonly Health[],
  memory: HealthMemory,
  { now, holdMs }: Persistence,
): { health: Health[]; memory: HealthMemory } {
  const next = found.map(finding => {
    const before = memory.get(finding.code)
    if (before === undefined || before.shown.severity === finding.severity) {
      return { shown: finding, since: undefined }
    }
    const since = before.since ?? now
    return now - since >= holdMs
      ? { shown: finding, since: undefined }
      : { shown: before.shown, since }
  })
  return {
    health: next.map(({ shown }) => shown),
    memory: new Map(next.map(entry => [entry.shown.code, entry])),
  }
}

function chain({ chain: { healthy, divided, trouble, ageMs } }: HealthFacts): Health {
  const facts = ageMs === undefined ? {} : { blockAgeMs: ageMs }
  if (healthy) return { code: 'chain', severity: 'ok', text: 'The chain answers', facts }
  if (divided === true) {
    return {
      code: 'chain',
      severity: 'critical',
      text: 'The chain RPC endpoints contradict each other, so none is believed',
      facts,
      next: 'take the one on another fork out of chain.rpc, or add a third; the log names their blocks',
    }
  }
  return {
    code: 'chain',
    severity: 'critical',
    text: trouble === undefined ? 'No chain RPC answers' : `No chain RPC is of use: ${trouble}`,
    facts,
    next: 'check chain.rpc in the configuration, and that this machine reaches it',
  }
}

function peers({ peers: found }: HealthFacts): Health {
  const facts = { peers: found, wanted: PEERS_WANTED }
  const text = `Connected to ${found} peer${found === 1 ? '' : 's'}`
  if (found >= PEERS_WANTED) return { code: 'peers', severity: 'ok', text, facts }
  return {
    code: 'peers',
    severity: found === 0 ? 'critical' : 'warning',
    text,
    facts,
    next: 'check the bootstrap addresses and that the listening port is open in the firewall',
  }
}

function clock({ clockOffsetMs, skewMs }: HealthFacts): Health {
  const code = 'clock'
  if (clockOffsetMs === undefined) {
    return {
      code,
      severity: 'warning',
      text: 'The clock was not yet compared with three peers',
      facts: { skewMs },
      dependsOn: ['peers'],
      next: 'wait until three peers have answered',
    }
  }
  const facts = { offsetMs: clockOffsetMs, skewMs }
  if (Math.abs(clockOffsetMs) <= skewMs) {
    return { code, severity: 'ok', text: 'The clock agrees with the peers', facts }
  }
  const seconds = (Math.abs(clockOffsetMs) / 1_000).toFixed(1)
  return {
    code,
    severity: 'critical',
    text: `The clock is ${seconds} s ${clockOffsetMs > 0 ? 'behind' : 'ahead of'} the peers`,
    facts,
    next: 'synchronise the clock of this machine (NTP)',
  }
}

function registered({ registered: yes }: HealthFacts): Health {
  const code = 'registered'
  if (yes) return { code, severity: 'ok', text: 'The node is registered', facts: {} }
  return {
    code,
    severity: 'critical',
    text: 'The node is not in the registry',
    facts: {},
    dependsOn: ['chain'],
    next: 'send ether and tokens to its account (`cairn bond show`), then run `cairn register`',
  }
}

function bonded({ bonded: yes }: HealthFacts): Health {
  const code = 'bonded'
  if (yes) return { code, severity: 'ok', text: 'The node is bonded', facts: {} }
  return {
    code,
    severity: 'critical',
    text: "The node's bond is missing or is being withdrawn",
    facts: {},
    dependsOn: ['registered', 'chain'],
    next: 'see `cairn bond show` and `cairn exit`; a node that has left wants new words to return',
  }
}

function penalised({ epoch, node, offence, amount }: NonNullable<HealthFacts['penalty']>): Health {
  const what = offence === 'sealedWrong' ? 'a second wrong leaf that it sealed' : `two ${offence}s`
  // Of what no checkpoint records there is no more to show.
  const shown = `cairn penalties${amount === undefined ? '' : ` show ${epoch} ${node}`}`
  return {
    code: 'penalised',
    severity: 'warning',
    text: `Bond of node ${node} is forfeit for ${what} in epoch ${epoch}`,
    facts: { epoch, node, offence, ...(amount !== undefined && { amount }) },
    next: `see \`${shown}\`; make sure that no other daemon has its words`,
  }
}

/** Never critical: all but voting goes on. */
function leftOut({ node, why, until }: NonNullable<HealthFacts['leftOut']>): Health {
  const was = why === 'idle' ? 'it had been silent' : 'its votes had been missing'
  return {
    code: 'leftOut',
    severity: 'warning',
    text: `Node ${node} is not in the committee before epoch ${until}: ${was} when it was drawn`,
    facts: { node, why, until },
    next: 'wait; keep the daemon running and reachable, and see that it can pay for checking in',
  }
}

function parameters({ message, facts, next }: NonNullable<HealthFacts['otherParameters']>): Health {
  return {
    code: 'parameters',
    severity: 'critical',
    text: message,
    facts,
    ...(next === undefined ? {} : { next }),
  }
}

function base({ baseKnown, epoch, slot }: HealthFacts): Health {
  const code = 'base'
  const facts = { epoch }
  if (baseKnown) {
    return { code, severity: 'ok', text: `Epoch ${epoch} has its base and seed`, facts }
  }
  // Both arrive in the first slot, in which nothing is asked of anybody.
  if (slot === 0) return { code, severity: 'ok', text: `Epoch ${epoch} has just begun`, facts }
  return {
    code,
    severity: 'critical',
    text: `Base or seed of epoch ${epoch} is not known`,
    facts,
    dependsOn: ['chain', 'peers', 'parameters'],
    next: 'check the randomness source and the chain RPC',
  }
}

function muted({ mutedUntil, epoch }: HealthFacts): Health {
  const code = 'muted'
  // Before genesis there is nothing to sign.
  if (mutedUntil === undefined || mutedUntil <= Math.max(epoch, 0)) {
    return { code, severity: 'ok', text: 'The node may sign', facts: {} }
  }
  return {
    code,
    severity: 'critical',
    text: `The node signs nothing before epoch ${mutedUntil}, since its ledger may lack what it said last`,
    facts: { epoch, until: mutedUntil },
    next: 'wait; stop the node with `cairn stop`, and copy no ledger, to avoid this',
  }
}

/** Never critical: a node proves and attests on, and what it says is settled once a committee signs. */
function committee(wait: Wait | undefined): Health {
  const code = 'committee'
  if (wait === undefined) {
    return { code, severity: 'ok', text: 'Checkpoints are accepted', facts: {} }
  }
  const { epoch, since, due, window, formed, came, own } = wait
  const facts = {
    ...{ epoch, since, due, own, came },
    ...(window !== undefined && { windowEnd: window.end, nodes: window.nodes }),
  }
  const tell = (text: string, next: string): Health => ({
    ...{ code, severity: 'warning', facts, dependsOn: ['chain'], next },
    text: `Epoch ${epoch} waits for a committee that signs, since ${timeText(since)}: ${text}`,
  })
  const here = came > 0 ? 'this node among them' : 'this node not among them'
  if (window?.isOver) {
    return tell(
      `${window.nodes} nodes checked in until ${timeText(window.end)}, ${here}`,
      'they become the committee where they hold more than half of all weight; else nodes check in again, and the council may choose one',
    )
  }
  if (window !== undefined) {
    return tell(
      `${window.nodes} nodes have checked in, ${here}; others may until ${timeText(window.end)}`,
      came > 0 || own === 0
        ? 'leave the node running: if it is of the committee, it votes by itself'
        : 'leave the node running, with ether in its account: it checks in by itself if it was bonded before the wait',
    )
  }
  if (formed !== undefined) {
    const how = formed.chosen ? 'the council chose' : 'checked in'
    return tell(
      `${formed.nodes} nodes that ${how} sign it now; if they do not either, nodes check in from ${timeText(due)} on`,
      formed.isOwn
        ? 'leave the node running: it is one of them, and votes by itself'
        : 'there is nothing to do: this node is none of them',
    )
  }
  return tell(
    `nodes may check in from ${timeText(due)} on`,
    'leave the node running, with ether in its account: it checks in by itself, and those who did become the committee',
  )
}

/** Whole seconds, UTC. */
function timeText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace('.000Z', 'Z')
}

/** Never critical: a node proves and attests without, and others land the checkpoints. */
function gas({ address, balance, daysLeft, budgetSpent }: AccountFacts): Health {
  const code = 'gas'
  const dependsOn = ['chain', 'registered'] as const
  const facts = { account: address, ...(daysLeft !== undefined && { daysLeft }) }
  const next = `send ether to ${address}; until then others land what this node does not`
  if (balance === 0n) {
    const text = 'The account that pays for gas is empty'
    return { code, severity: 'warning', text, facts, dependsOn, next }
  }
  if (daysLeft !== undefined && daysLeft < GAS_DAYS) {
    const text =
      daysLeft < 1
        ? 'The ether for gas lasts less than a day at the present rate'
        : `The ether for gas lasts ${daysLeft} ${daysLeft === 1 ? 'day' : 'days'} at the present rate`
    return { code, severity: 'warning', text, facts, dependsOn, next }
  }
  if (budgetSpent) {
    return {
      code,
      severity: 'warning',
      text: 'Not all is sent today: the budget for gas does not allow it',
      facts,
      dependsOn,
      next: 'wait until 0:00 UTC, or raise chain.budgetPerDay; others land what this node does not',
    }
  }
  return { code, severity: 'ok', text: 'The account can pay for gas', facts }
}

function radio(radios: readonly RadioFacts[]): Health {
  const code = 'radio'
  const silent = radios.filter(({ online }) => !online)
  const facts = { radios: radios.length, silent: silent.length }
  const next = "point the gateway's packet forwarder at this machine and the configured UDP port"
  const [first] = silent
  if (first === undefined) {
    const text =
      radios.length === 1
        ? 'The packet forwarder is connected'
        : `The packet forwarders of ${radios.length} gateways are connected`
    return { code, severity: 'ok', text, facts }
  }
  if (radios.length === 1) {
    return { code, severity: 'critical', text: 'No packet forwarder has been heard', facts, next }
  }
  const who = `${first.name} (${first.eui ?? 'no EUI'})`
  const others = silent.length === 1 ? '' : ` and ${silent.length - 1} more`
  return {
    code,
    severity: silent.length === radios.length ? 'critical' : 'warning',
    text: `Of ${radios.length} packet forwarders ${silent.length} are not heard: ${who}${others}`,
    facts: { ...facts, first: first.name },
    next,
  }
}

/** What they lack beside their packet forwarders. */
function gateways(radios: readonly RadioFacts[]): Health {
  const code = 'gateways'
  const lacking = radios.flatMap(({ name, lacks }) =>
    lacks.filter(({ code: lack }) => !FORWARDER_LACKS.has(lack)).map(lack => ({ name, ...lack })),
  )
  const facts = { radios: radios.length, lacks: lacking.length }
  const [first] = lacking
  if (first === undefined) {
    return { code, severity: 'ok', text: 'Every gateway is registered as it is set up', facts }
  }
  const others = lacking.length === 1 ? '' : `, and ${lacking.length - 1} more`
  return {
    code,
    severity: 'warning',
    text: `The gateway ${first.name} earns nothing: ${first.text}${others}`,
    facts: { ...facts, first: first.name, lack: first.code },
    dependsOn: ['registered', 'bonded', 'chain'],
    next: first.next,
  }
}

const FORWARDER_LACKS: ReadonlySet<LackCode> = new Set(['noForwarder', 'silentForwarder'])

function broker({ connected, waiting, dropped }: BrokerStatus): Health {
  const code = 'broker'
  const facts = { waiting, dropped }
  const lost = dropped === 0 ? '' : `, ${dropped} were dropped`
  if (connected) return { code, severity: 'ok', text: `The MQTT broker answers${lost}`, facts }
  return {
    code,
    severity: 'warning',
    text: `The MQTT broker is away: ${waiting} events wait${lost}`,
    facts,
    next: 'check radio.mqtt.url, its credentials, and that this machine reaches the broker',
  }
}

function volumeAway(volumes: readonly VolumeFacts[]): Health {
  const code = 'volumeAway'
  const away = volumes.filter(({ state }) => state !== 'present')
  const [first] = away
  if (first === undefined) {
    return { code, severity: 'ok', text: 'Every volume is there', facts: {} }
  }
  const { location, state, next = 'see the log' } = first
  const pieces = away.reduce((sum, volume) => sum + volume.pieces, 0)
  const others = away.length === 1 ? '' : ` and ${away.length - 1} more`
  return {
    code,
    severity: 'critical',
    text: `The volume ${location}${others} is away (${state}): ${pieces} pieces are not answered for`,
    facts: { location, state, away: away.length, pieces },
    next,
  }
}

function volume(volumes: readonly VolumeFacts[]): Health {
  const code = 'volume'
  const share = ({ used, quota }: VolumeFacts) => (quota === 0 ? 1 : used / quota)
  const [fullest] = volumes.toSorted((a, b) => share(b) - share(a))
  if (fullest === undefined) return { code, severity: 'ok', text: 'No volume is full', facts: {} }
  const { location, used, quota } = fullest
  const facts = { location, used, quota }
  const text = `The volume ${location} is ${Math.floor(share(fullest) * 100)} % full`
  const [first, last] = FULLNESS_WARNINGS
  if (share(fullest) < first) return { code, severity: 'ok', text, facts }
  return {
    code,
    severity: 'warning',
    text: share(fullest) < last ? text : `${text} and soon takes no more`,
    facts,
    next: 'raise its quota, offer another volume, or let deals end',
  }
}

function damaged(volumes: readonly VolumeFacts[]): Health {
  const code = 'damaged'
  const hit = volumes.filter(volume => volume.damaged.length > 0)
  const pieces = hit.reduce((sum, volume) => sum + volume.damaged.length, 0)
  const [first] = hit
  if (first === undefined) {
    return { code, severity: 'ok', text: 'No piece is known to be damaged', facts: { pieces } }
  }
  const { location } = first
  return {
    code,
    severity: 'warning',
    text: `${pieces} ${pieces === 1 ? 'piece is' : 'pieces are'} damaged and answered as missing`,
    facts: { pieces, location },
    next: 'check the disk; `cairn volumes` names the pieces, which go when their deals end',
  }
}

function debts({ owed, since, askedAgain, until }: Obligations): Health {
  const code = 'debts'
  if (since === undefined) {
    return { code, severity: 'ok', text: 'Every leaf that was asked is answered', facts: { owed } }
  }
  const leaves = `${owed} ${owed === 1 ? 'leaf' : 'leaves'}`
  const asked =
    until === undefined
      ? 'they are asked again soon'
      : `${askedAgain} asked again in vain, deals end from epoch ${until} on`
  return {
    code,
    severity: 'warning',
    text: `Owes an answer for ${leaves} since epoch ${since}; ${asked}`,
    facts: { owed, since, askedAgain, ...(until === undefined ? {} : { until }) },
    next: 'stay reachable; look in the log for leaves that cannot be read, and bring their pieces back; `cairn storage explain` shows each epoch',
  }
}

function withholding({ withheld, scoreLost }: Obligations): Health {
  const code = 'withholding'
  const facts = { withheld, scoreLost }
  if (withheld === 0) {
    return { code, severity: 'ok', text: 'Nothing is withheld while others are answered', facts }
  }
  const deals = `${withheld} ${withheld === 1 ? 'deal' : 'deals'}`
  return {
    code,
    severity: 'warning',
    text: `Withholds leaves of ${deals} while it answers others, which costs ${scoreLost} of its score per epoch`,
    facts,
    next: 'bring the pieces back, or end their deals with `cairn deals end`, if their clients agree',
  }
}

function contained({ contained: deals }: Obligations): Health {
  const code = 'contained'
  const facts = { contained: deals }
  if (deals === 0) return { code, severity: 'ok', text: 'No wrong leaf was sealed', facts }
  return {
    code,
    severity: 'warning',
    text: `${deals} ${deals === 1 ? 'deal is' : 'deals are'} contained: another wrong leaf costs bond`,
    facts,
    next: 'check the disk and the version of this node, which answers missing rather than wrong',
  }
}

function deposit(
  { lasts, available, pricePerEpoch, deals }: ClientOutlook,
  profile: Profile,
): Health {
  const code = 'deposit'
  const facts = { deals, available, pricePerEpoch, lasts }
  if (!isShort(lasts, profile)) {
    return { code, severity: 'ok', text: 'The deposit pays for the deals of this node', facts }
  }
  return {
    code,
    severity: 'warning',
    text: `The deposit pays for ${lasts} more epochs; then deals end one by one`,
    facts,
    next: 'add to the deposit with `cairn deposit add`, or end deals that are not needed',
  }
}

function renewals({ ending }: ClientOutlook, profile: Profile): Health {
  const code = 'renewals'
  const late = ending.filter(deal => isLate(deal, profile))
  const [first] = late
  if (first === undefined) {
    return { code, severity: 'ok', text: 'Deals that end soon are being renewed', facts: {} }
  }
  const { renewal, endsIn, deal } = first
  const reason = renewal === undefined ? 'notAsked' : renewalName(renewal)
  return {
    code,
    severity: 'warning',
    text: `${late.length} deal${late.length === 1 ? '' : 's'} of this node not renewed, the first ends in ${endsIn} epochs (${reason})`,
    facts: { late: late.length, deal: deal.key, provider: deal.deal.provider, endsIn, reason },
    dependsOn: ['deposit', 'peers'],
    next: 'see the reason; raise `client.maxPrice`, or store the file again with other providers',
  }
}

function kept({ deals, owed, withheld, contained, failedAudits }: ClientOutlook): Health {
  const code = 'kept'
  const facts = { deals, owed, withheld, contained, failedAudits }
  if (owed + contained + failedAudits === 0) {
    return { code, severity: 'ok', text: 'Providers answer for the deals of this node', facts }
  }
  return {
    code,
    severity: 'warning',
    text: `Of ${deals} deals of this node ${owed} owe an answer, of which ${withheld} are withheld, ${contained} are contained, and ${failedAudits} gave no leaf when it looked`,
    facts,
    dependsOn: ['peers'],
    next: '`cairn deals` names them; the verifiers ask their providers again, and end deals whose pieces are lost',
  }
}

function files(facts: NonNullable<HealthFacts['files']>): Health {
  const code = 'files'
  const { groups, underWay, failing, lost } = facts
  if (failing + lost === 0) {
    const text =
      underWay === 0
        ? 'The files of this node are kept by enough providers'
        : `${underWay} of ${groups} groups of files are being repaired`
    return { code, severity: 'ok', text, facts: { ...facts } }
  }
  const next = '`cairn repairs` names the files, and why; more providers may help'
  return {
    code,
    severity: 'warning',
    text: `Of ${groups} groups of files ${failing} could not be repaired, and ${lost} cannot be any more`,
    facts: { ...facts },
    dependsOn: ['peers', 'deposit'],
    next,
  }
}

function clients({ deals, short, shortPerEpoch, lasts }: ProviderOutlook): Health {
  const code = 'clients'
  if (short === 0) {
    const text = 'The deposits of the clients pay for their deals'
    return { code, severity: 'ok', text, facts: { deals } }
  }
  return {
    code,
    severity: 'warning',
    text: `The deposits behind ${short} of ${deals} deals are short, the first pays for ${lasts} more epochs`,
    facts: { deals, short, shortPerEpoch, lasts },
    next: 'expect these deals to end; nothing is wrong with this node',
  }
}
