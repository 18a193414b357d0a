/**
 * What the HTTP API shows of a node and asks of it. The composition implements this over the parts
 * it built; the API knows nothing else. Bytes and big integers stay what they are here and get
 * their JSON form in `json.ts`.
 */

import type {
  GatewayStanding,
  PenaltyRecord,
  PreviewEarner,
  ProofFile,
  SettledFinding,
  VerdictFacts,
  VerdictName,
  VerdictPart,
} from '@cairn/protocol'
import type { ClaimDone, ClaimWish, EarningsStanding } from '../chain/claims.ts'
import type { DepositMove, DepositStanding } from '../chain/depositor.ts'
import type { EntryState } from '../chain/journal.ts'
import type { Choice, Done, OperatorStanding, Order, OrderOptions } from '../chain/operator.ts'
import type { Purpose } from '../chain/spending.ts'
import type {
  Support,
  VoteAct,
  VoteParameter,
  VoteProposal,
  Votes,
  VotingPower,
} from '../chain/voter.ts'
import type { Health } from '../health.ts'
import type { Prospect } from '../kinds/storage/outlook.ts'
import type { PenaltyState } from '../ledger/offences.ts'
import type { Lack } from '../radio/outlook.ts'

export interface Status {
  /** Three words for people. */
  name: string
  peerId: string
  /** Chain account, 20 bytes. */
  account: Uint8Array
  /** Node index on the chain; undefined while not registered. */
  index?: number
  network: { id: Uint8Array; name: string }
  version: string
  /** Multiaddrs that peers can dial. */
  addresses: string[]
  epoch: {
    /** Negative before genesis. */
    number: number
    slot: number
    slotsPerEpoch: number
    /** Ms since 1970. */
    startsAt: number
    endsAt: number
  }
  /** Last epoch whose checkpoint the chain accepted; -1: the genesis one. */
  accepted: number
  chain: { healthy: boolean; head?: { number: bigint; timestamp: number } }
  peers: number
  /** Gateways of this daemon. */
  radios: RadioView[]
  ready: boolean
  /** Root causes that are not well. */
  reasons: Health[]
  /** All findings. */
  health: Health[]
}

/** A gateway with the node that it is of. */
export interface RadioView {
  /** Three words for people. */
  name: string
  /** Key of its node, 32 bytes. */
  identity: Uint8Array
  /** Node index on the chain; undefined while not registered. */
  index?: number
  /** 16 hexadecimal digits; undefined until it is named or heard. */
  eui?: string
  /** Regional plan that its transmitter keeps. */
  plan: string
  /** Its packet forwarder asks for downlinks. */
  online: boolean
  /** When it last did, ms since 1970. */
  heardAt?: number
  /** Where it is, and the version of its protocol. */
  forwarder?: { address: string; port: number; version: 1 | 2 }
  /** What keeps it from earning. */
  lacks: Lack[]
}

export interface PeerView {
  peerId: string
  index?: number
  name?: string
  address?: string
}

export interface Tally {
  pass: number
  fail: number
  inconclusive: number
}

export interface CheckpointView {
  root: Uint8Array
  parent: Uint8Array
  base: { number: bigint; hash: Uint8Array }
  messages: Uint8Array
  state: Uint8Array
  payouts: Uint8Array
  penalties: Uint8Array
  deals: Uint8Array
  earnedTotal: bigint
  spentTotal: bigint
  nextCommittee: Uint8Array
  rulesVersion: number
  round: number
  block: bigint
  transaction: string
  /** 20 bytes. */
  submitter: Uint8Array
}

export interface EpochView {
  epoch: number
  /** Ms since 1970. */
  startsAt: number
  endsAt: number
  /** `open` until the freeze, `frozen` until the chain accepted its checkpoint. */
  phase: 'open' | 'frozen' | 'accepted'
  base?: { number: bigint; hash: Uint8Array }
  seed?: Uint8Array
  /** Messages by type name: those of the checkpoint, else those held now. */
  messages: Record<string, number>
  /** Settled verdicts by kind name; empty before the checkpoint. */
  verdicts: Record<string, Tally>
  checkpoint?: CheckpointView
}

export interface MessageView {
  id: Uint8Array
  epoch: number
  /** Name of the message type. */
  type: string
  /** Name of the proof kind; `kernel` for messages of none. */
  kind: string
  /** Node index of the signer, where it has one. */
  author?: number
  /** The decoded body: bytes and big integers as they are. */
  value: object
  signature: Uint8Array
}

export interface MessageQuery {
  epoch: number
  author?: number
  limit: number
  /** Id after which the page begins. */
  after?: Uint8Array
}

export interface MessagePage {
  messages: MessageView[]
  /** Id to continue after; undefined: no more. */
  next?: Uint8Array
}

export interface RecomputeView {
  epoch: number
  equal: boolean
  /** Root of the checkpoint that the chain accepted, and of the one computed here. */
  accepted: Uint8Array
  computed: Uint8Array
  messages: number
  sums: { emission: bigint; fees: bigint; payouts: bigint; burned: bigint; unminted: bigint }
  /** What kinds found of nodes beside their verdicts. */
  findings: ({ kind: string } & SettledFinding)[]
  penalties: PenaltyRecord[]
}

/** What the last epochs would have paid under other parameters, base units. */
export interface PreviewView {
  /** Epochs that were settled again, and how many were asked for. */
  first: number
  last: number
  epochs: number
  asked: number
  changes: { name: string; before: bigint; after: bigint }[]
  before: RecomputeView['sums']
  after: RecomputeView['sums']
  /** By what they gain, the most first. */
  earners: PreviewEarner[]
}

export interface VerdictView {
  challenge: Uint8Array
  target: number
  verdict: VerdictName
  reason: string
  facts: VerdictFacts
  parts: VerdictPart[]
  /** Verifiers whose attestation agrees. */
  agreeing: number[]
}

export interface VerdictsView {
  epoch: number
  kind: string
  verdicts: VerdictView[]
  findings: SettledFinding[]
  /** All of the epoch, whichever kind or vote they are for. */
  penalties: PenaltyView[]
}

/** Who could have taken part in the beacons of an epoch. */
export interface GatewaysView {
  epoch: number
  gateways: GatewayStanding[]
  /** Indices of active nodes that are no gateways. */
  others: number[]
}

/** One of the files of an upload. */
export interface PutFile {
  name: string
  bytes: AsyncIterable<Uint8Array>
}

/** What one node earned in one epoch by one kind or by its votes, or an account by landing. */
export interface EarningPart {
  /** A kind by its name, `votes`, or `landing`. */
  source: string
  node?: number
  /** Emission and fees, base units. */
  earned: bigint
  /** Of a kind: the node's parts in the base and the service pot: units of proof, or fees. */
  proven?: bigint
  served?: bigint
}

/** What an account earned in one epoch. Its parts add up to it, to the last unit. */
export interface AccountEarnings {
  /** Hexadecimal. */
  account: string
  earned: bigint
  parts: EarningPart[]
  /** The account's leaf in the epoch's payouts: totals since genesis. */
  since: { earned: bigint; spent: bigint }
}

export interface EarningsView {
  epoch: number
  accounts: AccountEarnings[]
}

/** A deposit, with what it is good for. */
export interface DepositView extends DepositStanding {
  /** The key of this node, which the deposit is to pay for. */
  dealKey: Uint8Array
  /** What it still covers at the base of the present epoch. */
  available: bigint
  /** With a request: the first epoch whose checkpoint pays it. */
  paidFrom?: number
}

/** Bytes delivered and fetched on account. */
export interface ServiceView {
  /** Clients of this provider: bytes by the latest receipt, those paid, those without a receipt. */
  clients: { client: Uint8Array; receipted: bigint; paid: bigint; unpaid: number }[]
  /** Providers of this client: bytes that came, and those signed for. */
  providers: { provider: number; client: Uint8Array; received: bigint; signed: bigint }[]
  /** Bytes that this provider gives away in this epoch. */
  free?: { used: number; quota: number }
  /** Packets that servers bought of gateways here: by the latest receipt, paid, without a receipt. */
  sold: { gateway: number; server: Uint8Array; receipted: bigint; paid: bigint; unpaid: number }[]
  /** Packets that this node bought since the beginning, as far as it bought since it started. */
  bought: { gateway: number; server: Uint8Array; packets: bigint; paid: bigint }[]
}

/** One packet that was bought, or why a gateway gives nothing at present. */
export interface PurchaseView {
  packet?: {
    gateway: number
    payload: Uint8Array
    /** LoRaWAN MType. */
    type: number
    /** DevAddr, or JoinEUI of a join request, in hexadecimal. */
    address: string
    /** Hz. */
    frequency: number
    /** 0 for FSK. */
    spreadingFactor: number
    /** kHz. */
    bandwidth: number
    /** dBm, dB. */
    rssi?: number
    snr?: number
    /** Ms since 1970. */
    at: number
  }
  failure?: { gateway: number; code: string; message: string }
}

export interface PacketsOrder {
  gateways: readonly number[]
  /** Every address where there is none. */
  addresses: readonly { address: number; bits: number }[]
  joins: boolean
  /** Packets taken of each gateway in a second. */
  perSecond?: number
}

export interface PutOptions {
  /** k shards of n; by the number of operators when absent. */
  shape?: { data: number; total: number }
  signal: AbortSignal
}

export interface PutResult {
  files: { name: string; link: string; bytes: number }[]
  /** Piece CIDs, without the manifest's. */
  pieces: string[]
  /** Of all files. */
  bytes: number
  /** Shards that suffice, and shards. */
  k: number
  n: number
  /** Providers, by node index, that did not take what they were asked to, and why. */
  refusals: { provider: number; code: string; shortfall?: { asked: bigint; limit: bigint } }[]
}

export interface ContentRange {
  /** First byte, and the one after the last; the whole unless given. */
  first?: number
  end?: number
}

export interface Content {
  /** File name it was put with. */
  name: string
  /** Length of the whole file. */
  bytes: number
  /** The range that the stream gives. */
  first: number
  end: number
  stream: AsyncIterable<Uint8Array>
}

/** A file that this node stored. */
export interface FileView {
  name: string
  link: string
  bytes: number
  k: number
  n: number
  /** Ms since 1970. */
  createdAt: number
  /** Piece CID of the manifest: files of one pack have the same. */
  manifest: string
  /**
   * Shards under a deal that nobody disputes, of the group that has the fewest; undefined for files
   * without a byte.
   */
  shards: number | undefined
  /** Copies of the manifest under such a deal. */
  manifests: number
  /** Fewer than are wanted, and being made again. */
  repairing: boolean
}

/** A group of pieces: how many of its places are in which state, and what was done for it. */
export interface GroupView {
  group: Uint8Array
  /** Some names of files in it. */
  files: string[]
  /** Node indices that may repair it too, the first to act first. */
  delegates: number[]
  /** The group is that of the manifest's copies. */
  isManifest: boolean
  k: number
  n: number
  live: number
  coming: number
  owing: number
  ending: number
  contained: number
  gone: number
  /** Below it the group is repaired. */
  threshold: number
  repairing: boolean
  /** Fewer than k are left. */
  lost: boolean
  /** Deals that ended, the oldest first. */
  losses: readonly { place: number; provider: number; reason: string; epoch: number }[]
  /** Places made again, and who keeps them since; the oldest first. */
  repairs: readonly { place: number; provider: number; epoch: number }[]
  /** Code of why the last attempt did not repair all, and what can be done. */
  error?: string
  next?: string
}

export interface DelegatedView {
  /** Groups that the delegates may repair. */
  groups: number
  delegates: number[]
}

export interface RepairView {
  /** All groups of the files looked at. */
  groups: number
  /** All of whose places are kept. */
  whole: number
  /** Places made again since the node started, of all files. */
  repaired: number
  /** The same of files of others, whose delegate this node is. */
  repairedForOthers: number
  /** Groups that are not whole, or were repaired. */
  shown: GroupView[]
  /** Such groups beyond those shown. */
  more: number
}

export interface RemovedFile {
  name: string
  link: string
  bytes: number
  /** Deals that end by agreement, as soon as their providers can be asked. */
  ending: number
  /** Files of its pack that are still listed; their deals go on. */
  others: number
}

export interface GrantView {
  /** Piece CID of the file's manifest, and which of its files it is. */
  manifest: string
  entry: number
  /** Empty where this node did not store it. */
  name: string
  /** Who may read it. */
  peerId: string
  /** Ms since 1970, of the last time. */
  grantedAt: number
  /** Undefined: it was not. */
  revokedAt?: number
}

export interface GrantedView extends GrantView {
  /** What its recipient gives to `get`. */
  grant: string
}

export interface PieceView {
  cid: string
  bytes: number
}

export interface VolumeView {
  /** A path or an address. */
  location: string
  /** What its label says. */
  name: string
  /** `present`, or the code of why it is away. */
  state: string
  next?: string
  /** Bytes, those of damaged pieces included. */
  used: number
  quota: number
  /** Bytes that a new piece may take: what quota and medium leave. */
  room: number
  pieces: number
  /** Piece CIDs of what was moved apart. */
  damaged: string[]
  scrub: {
    /** When everything was last hashed again, ms since 1970. */
    finished?: number
    /** Bytes that the round under way has before it. */
    left?: number
  }
}

export interface RebuiltView {
  location: string
  pieces: number
  bytes: number
  /** Pieces found damaged that were not known to be. */
  damaged: number
  /** Piece CIDs of what was known and is not there. */
  lost: string[]
}

export interface ForgottenView {
  location: string
  /** Piece CIDs of what it held. */
  lost: string[]
}

export interface DealView extends Prospect {
  id: Uint8Array
  piece: string
  bytes: number
  /** Deal key of the client, 32 bytes. */
  client: Uint8Array
  /** Node index. */
  provider: number
  firstEpoch: number
  lastEpoch: number
  /** Base units. */
  price: bigint
}

export interface AuditView {
  /** Id of the deal. */
  deal: Uint8Array
  piece: string
  /** Node index. */
  provider: number
  leaf: number
  /** `given`, or the code of why the leaf was not. */
  outcome: string
  /** An audit of the leaf was published: verifiers ask it. */
  reported: boolean
}

export const NODE_EVENTS = [
  'epoch',
  'message',
  'checkpoint',
  'verdict',
  'health',
  'peer',
  'radio',
] as const

export interface NodeEvent {
  type: (typeof NODE_EVENTS)[number]
  /** Ms since 1970. */
  at: number
  data: object
}

/** One transaction of the account, as the journal has it. */
export interface TransactionView {
  nonce: number
  /** Whose turn it has and what it may spend. */
  purpose: Purpose
  /** The contract's function, and what it is for, as `vote for on 3f2a9c1b`. */
  act: string
  about: string
  /** `open`: to be in a block; `givenUp`: wanted no more; `mined`: in a block that is not final. */
  state: EntryState
  /** What it was asked for under; empty: nothing. */
  key: string
  /** Contract, 20 bytes in hexadecimal; absent where it made one. */
  to?: string
  /** When it was first signed, and last, at a higher fee perhaps; ms since 1970. */
  orderedAt: number
  sentAt: number
  /** When this node first saw it in a block, ms since 1970. */
  minedAt?: number
  /** Hash: the one that a block has, else the last. */
  transaction: string
  /** All hashes: the first, and each at a higher fee. */
  transactions: string[]
  /** In a block. */
  block?: bigint
  succeeded?: boolean
  /** Paid for gas, base units of the chain. */
  cost?: bigint
}

/** The account that pays for gas. Amounts are in base units of the chain. */
export interface TransactionsView {
  account: string
  /** Undefined before an endpoint answered. */
  balance?: bigint
  /** Today, UTC. */
  spentToday: bigint
  /** Undefined: no limit. */
  budgetPerDay?: bigint
  /** Something was not sent today, since the budget did not allow it. */
  budgetSpent: boolean
  /** Of the last week. */
  ratePerDay: bigint
  /** Of the balance at that rate; undefined while one of them is not known. */
  daysLeft?: number
  /** Calls that wait for their turn, the one whose turn it is among them. */
  waiting: number
  /** By nonce, the latest first. */
  transactions: TransactionView[]
}

/** A penalty that a checkpoint records, or two votes of one round that this node saw and no set took. */
export interface PenaltyView {
  /** Of the messages that the offence is in. */
  epoch: number
  node: number
  /** It is a node of this daemon. */
  own: boolean
  /** What the node said twice: a message type; `sealedWrong` for a second wrong leaf. */
  offence: string
  /** Base units, as the checkpoint says; absent where none does: the contract takes its part. */
  amount?: bigint
  /**
   * Id of the message that proves it, and of the one that contradicts it; roots of the checkpoints
   * voted for where no checkpoint records it.
   */
  evidence: Uint8Array
  rival?: Uint8Array
  /** What became of it, as far as this node knows. */
  state: PenaltyState
}

/** All that somebody needs who believes nothing. */
export interface PenaltyDetails extends PenaltyView {
  amount: bigint
  network: Uint8Array
  /** The container's 468 bytes, and the root that the chain accepted. */
  checkpoint: Uint8Array
  root: Uint8Array
  position: number
  path: Uint8Array[]
  identity: Uint8Array
  voting: Uint8Array
  /** Base units at the epoch's base, and the part of it that a penalty is, parts per million. */
  bond: bigint
  share: bigint
  /** Both, of a contradiction whose messages are still here. */
  messages: { type: number; body: Uint8Array; signature: Uint8Array }[]
}

/** Undefined where the node does not have what was asked for. */
export interface NodeView {
  /** The latest first. */
  penalties(): Promise<PenaltyView[]>
  penalty(epoch: number, node: number): Promise<PenaltyDetails | undefined>
  status(): Promise<Status>
  transactions(): Promise<TransactionsView>
  peers(): Promise<PeerView[]>
  /** The last epoch with an accepted checkpoint that this node holds; -1 before the first. */
  accepted(): number
  epoch(epoch: number): Promise<EpochView | undefined>
  messages(query: MessageQuery): Promise<MessagePage>
  message(id: Uint8Array): Promise<MessageView | undefined>
  prove(id: Uint8Array): Promise<ProofFile | undefined>
  /** Without an epoch: of the last accepted checkpoint that this node settled. */
  provePayout(account: Uint8Array, epoch?: number): Promise<ProofFile | undefined>
  recompute(epoch: number): Promise<RecomputeView | undefined>
  /**
   * By the last so many accepted epochs, as far back as they are all here; undefined where the last one
   * is not.
   */
  preview(values: ReadonlyMap<string, bigint>, epochs: number): Promise<PreviewView | undefined>
  verdicts(epoch: number, kind: string): Promise<VerdictsView | undefined>
  gateways(epoch: number): Promise<GatewaysView | undefined>
  /** Takes the bytes at its own pace, one file after the other; several are packed together. */
  put(files: Iterable<PutFile> | AsyncIterable<PutFile>, options: PutOptions): Promise<PutResult>
  get(link: string, range: ContentRange, signal: AbortSignal): Promise<Content>
  /** What this node stored, oldest first. */
  files(): Promise<FileView[]>
  /** Takes a file off the list, and ends its deals. */
  removeFile(link: string): Promise<RemovedFile>
  /** Names the nodes that may repair a file while this one is away; none: nobody. */
  delegate(link: string, delegates: readonly number[]): Promise<DelegatedView>
  /** How the groups of this node's files are, or of one link; with `now` after repairing what is due. */
  repairs(link: string | undefined, options: { now: boolean }): Promise<RepairView>
  /** Seals a link for a peer, also after it was revoked where `again` says so. */
  grant(link: string, peerId: string, options: { again: boolean }): Promise<GrantedView>
  /** Stops further grants of it to that peer. */
  revoke(link: string, peerId: string): Promise<GrantView>
  /** All grants that this node made, the last first. */
  grants(): Promise<GrantView[]>
  pieces(): Promise<PieceView[]>
  volumes(): Promise<VolumeView[]>
  /** Of all volumes, or the one at this place. */
  rebuildVolumes(location?: string): Promise<RebuiltView[]>
  forgetVolume(location: string): Promise<ForgottenView>
  deals(): Promise<DealView[]>
  /** Asks the other side to end a deal; resolves when both have signed. */
  endDeal(id: Uint8Array): Promise<void>
  /** Looks at a leaf of each of this node's live deals now. */
  audit(): Promise<AuditView[]>
  service(): Promise<ServiceView>
  /** Of an accepted epoch whose messages are all here. */
  earnings(epoch: number): Promise<EarningsView | undefined>
  /** What this node has put down for its deals. */
  deposit(): Promise<DepositView>
  /** Pays base units in, once under a reference; absent amounts mean all there is. */
  addDeposit(amount: bigint, reference?: string): Promise<DepositMove>
  requestDeposit(amount: bigint | undefined): Promise<DepositMove>
  withdrawDeposit(): Promise<DepositMove>
  /** What the chain has of this node, or another, and of the operator's account. */
  operator(choice: Choice): Promise<OperatorStanding>
  /** Registers, bonds, changes or takes out a node. */
  order(order: Order, options: Omit<OrderOptions, 'signal'>): Promise<Done>
  /** Totals of these accounts; none: of those that this node's rewards go to, and its own. */
  accounts(accounts: readonly Uint8Array[]): Promise<EarningsStanding>
  /** Has accounts paid; none: the same. */
  claim(wish: Omit<ClaimWish, 'signal'>): Promise<ClaimDone>
  /** Proposals, and what this node's account can vote with. Ids are given by their first digits. */
  votes(): Promise<Votes>
  /** What can be voted on, as the chain has it now. */
  voteParameters(): Promise<VoteParameter[]>
  proposal(id: string): Promise<VoteProposal>
  propose(values: ReadonlyMap<string, bigint>, title: string): Promise<VoteAct>
  castVote(id: string, support: Support): Promise<VoteAct>
  moveProposal(id: string, act: 'queue' | 'execute' | 'cancel'): Promise<VoteAct>
  /** Absent: to itself. */
  delegateVotes(to: Uint8Array | undefined): Promise<VotingPower>
  /** Buys until the signal aborts; the first failure of an order is thrown. */
  packets(order: PacketsOrder, signal: AbortSignal): AsyncGenerator<PurchaseView>
  subscribe(listener: (event: NodeEvent) => void): () => void
  /** Prometheus text format. */
  metrics(): Promise<string>
  /** Begins an orderly stop of the whole node; returns at once. */
  stop(): void
}
