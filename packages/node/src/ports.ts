/**
 * What the core of a node needs of the world. Each port has a real adapter in this package, a
 * simulated one in `packages/testnet`, and one conformance suite that both pass.
 *
 * The kinds, the ledger and the kernel know these interfaces only.
 */
import type {
  Checkpoint,
  DepositEntry,
  ParameterChange,
  Payout,
  PenaltyRecord,
  RegistryEntry,
} from '@cairn/protocol'

/** Milliseconds since 1970 and timers; virtual in the simulator. */
export interface Clock {
  now(): number
  /** Microseconds, with fractions, from any beginning; no step of the time of day moves it. */
  monotonic(): number
  /** Runs `task` once at `time` (ms), or as soon as possible when that is past. */
  at(time: number, task: () => void): Timer
  /** Resolves at `time` (ms); rejects with the signal's reason when it aborts first. */
  until(time: number, signal?: AbortSignal): Promise<void>
}
export interface Timer {
  cancel(): void
}

/** Local entropy and the public randomness of drand's quicknet format. */
export interface Randomness {
  /** The 48-byte signature of a round, not yet verified; undefined when the source has none. */
  round(round: number, signal: AbortSignal): Promise<Uint8Array | undefined>
}

export type Acceptance = 'accept' | 'ignore' | 'reject'

export interface ServeOptions {
  /** Longest request and longest response, in bytes; at most 1 MiB + 64 KiB. */
  maxRequestBytes: number
  maxResponseBytes: number
  /** Requests of one peer answered per second; more are refused with `busy`. */
  perSecond: number
}

export interface RequestOptions {
  signal: AbortSignal
  maxResponseBytes: number
  /**
   * Told before the promise resolves how long the answer took: from when the request was handed to the
   * open stream to when all of its answer had come, in microseconds, rounded up.
   */
  onRoundTrip?: (micros: number) => void
}

/** Peers are named by their libp2p peer id in its text form. */
export interface Network {
  readonly self: string
  start(): Promise<void>
  stop(): Promise<void>
  peers(): string[]
  /**
   * Joins a topic. `validate` is called once per new message; what it accepts is relayed, what it
   * rejects costs the sender score. The node's own publications do not come back.
   */
  subscribe(topic: string, validate: (data: Uint8Array, from: string) => Promise<Acceptance>): void
  unsubscribe(topic: string): void
  /** Resolves when the message has been handed to the peers; no peers is not an error. */
  publish(topic: string, data: Uint8Array): Promise<void>
  /** Answers one direct protocol. An error thrown by `answer` reaches the requester as its code. */
  serve(
    protocol: string,
    options: ServeOptions,
    answer: (request: Uint8Array, from: string) => Promise<Uint8Array>,
  ): void
  /**
   * Rejects with `unreachable`, `timeout`, `tooLarge`, `busy`, `unsupported`, or the code that the
   * peer's `answer` threw.
   */
  request(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array>
  /** As `request`, from a peer id that is used for this request alone; rejects likewise. */
  requestAsStranger(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array>
}

export interface BlockHeader {
  number: bigint
  hash: Uint8Array
  /** Seconds since 1970. */
  timestamp: number
}

/** A checkpoint that the contract accepted. */
export interface AcceptedCheckpoint {
  /** -1 for the genesis checkpoint. */
  epoch: number
  /** SSZ root. */
  root: Uint8Array
  /** The container's 468 bytes. */
  checkpoint: Uint8Array
  round: number
  block: BlockHeader
  transaction: string
  /** Account that landed it, 20 bytes. */
  submitter: Uint8Array
  gasUsed: bigint
  /** That signed it, where it is not the one that the checkpoint before names. */
  formed?: FormedCommittee
}

/** A node that checked in where no committee signs. */
export interface CheckedIn {
  node: number
  /** Its voting key, 48 bytes: followers have no entry of a node whose identity did not sign. */
  key: Uint8Array
  /** Whole units. */
  weight: number
}

/** A committee that the contract was given for an epoch that none signed. */
export interface FormedCommittee {
  epoch: number
  word: Uint8Array
  block: BlockHeader
  /** Number of the window that it came of. */
  window: number
  /** By the council, of nodes that need hold no majority. */
  chosen: boolean
  /** In its order. */
  members: readonly CheckedIn[]
}

/** What comes where no committee signs. */
export interface Succession {
  /** First epoch without an accepted checkpoint. */
  epoch: number
  /** The last acceptance, or forming of a committee: the wait begins with it, seconds since 1970. */
  since: number
  /** From then on nodes may check in for it, seconds since 1970. */
  due: number
  /** Windows opened so far: they are counted from 1. */
  windows: number
  /** The last one, where it was opened in this wait: it ends after the second `end`. */
  window: { end: number; members: readonly CheckedIn[] } | undefined
  /** The committee of `epoch`, where it formed already. */
  formed: FormedCommittee | undefined
  /** All that formed so far, also for epochs that have a checkpoint by now. */
  committees: readonly FormedCommittee[]
}

export interface CheckIn {
  node: number
  /** Voting key, 48 bytes. */
  key: Uint8Array
  /** Of `checkInSigningRoot`, 96 bytes. */
  signature: Uint8Array
}

/** `done`: it has checked in before, or nobody may now. */
export type CheckInOutcome = 'checkedIn' | 'done'

/** `tooFew`: those who checked in hold no majority; `done`: another was first, or nobody waits. */
export type FormOutcome = 'formed' | 'tooFew' | 'done'

/** A cancelled checkpoint: votes for its root in rounds up to this one count no more. */
export interface CancelledCheckpoint {
  epoch: number
  root: Uint8Array
  /** That it had been accepted with. */
  round: number
}

/** The committee as the contract knows it before hashing it into one word. */
export interface CommitteeProof {
  /** Members in tree order: BLS key (48 bytes) and weight (whole units). */
  members: readonly { key: Uint8Array; weight: number }[]
  /** Positions in `members` of those who did not sign, ascending. */
  absent: readonly number[]
}

export interface Submission {
  checkpoint: Uint8Array
  round: number
  committee: CommitteeProof
  /** Aggregated signature of those present, 96 bytes. */
  signature: Uint8Array
}

/** The committee that the checkpoint of an epoch names, and a member of it that is not registered so. */
export interface Veto {
  epoch: number
  /** First epoch of the term that the next epoch is in. */
  term: number
  members: CommitteeProof['members']
  /** Position in `members`. */
  place: number
}

/** `refused`: the contract finds no fault with this member; `done`: nothing is left to be cancelled. */
export type VetoOutcome = 'vetoed' | 'refused' | 'done'

/** An accepted checkpoint with all payouts of its state, by account. */
export interface CheckpointPayouts {
  checkpoint: Checkpoint
  payouts: readonly Payout[]
}

/** `done`: it or a later one was funded before, or the chain has another in its place. */
export type FundOutcome = 'funded' | 'done' | 'notActive'

/** A vote as its author signed it. */
export interface CastVote {
  /** Root voted for. */
  checkpoint: Uint8Array
  /** 96 bytes. */
  signature: Uint8Array
}

/** Two different votes of one node for one epoch and round. */
export interface DoubleVote {
  node: number
  /** Voting key, 48 bytes. */
  key: Uint8Array
  epoch: number
  round: number
  votes: readonly [CastVote, CastVote]
}

/** One penalty of those that an accepted checkpoint commits to. */
export interface RecordedPenalty {
  checkpoint: Checkpoint
  /** All of the checkpoint, by node. */
  penalties: readonly PenaltyRecord[]
  position: number
}

/** What the chain takes bond upon. */
export type ProvenOffence =
  | ({ type: 'doubleVote' } & DoubleVote)
  | ({ type: 'recorded' } & RecordedPenalty)

/**
 * `before`: the node was punished for that epoch's messages already; `capReached`: others lost for
 * that epoch all that may be taken for one; `noBond`: the node has none left; `lapsed`: the chain has
 * another checkpoint, or keeps it no more; `refused`: the proof is none, and will be none; `notActive`:
 * it may yet be taken. What fails with an error may be taken later, too.
 */
export type PunishOutcome =
  | 'taken'
  | 'before'
  | 'capReached'
  | 'noBond'
  | 'lapsed'
  | 'refused'
  | 'notActive'

/**
 * A local, replayable view of the chain at the manifest's finality depth, built from events. All
 * queries are synchronous reads of the view; only `submit`, `fund`, `veto`, `punish`, `checkIn`,
 * `formCommittee` and `start` talk to the chain.
 */
export interface Chain {
  start(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
  /** Newest final block in the view; undefined before the first. */
  head(): BlockHeader | undefined
  /** False while no RPC answers. */
  healthy(): boolean
  /**
   * The last final block with a timestamp below `seconds`; undefined while a later block is not
   * yet known, since only then is it certain.
   */
  lastBlockBefore(seconds: number): BlockHeader | undefined
  /** Header of a block in the view. */
  block(number: bigint): BlockHeader | undefined
  /** All registry entries as of that block, by node index. */
  registryAt(block: bigint): readonly RegistryEntry[]
  /** Checkpoints accepted up to and including that block, in order; the genesis one first. */
  checkpointsAt(block: bigint): readonly AcceptedCheckpoint[]
  /**
   * Checkpoints that were accepted and then cancelled up to the head, in order; without those that
   * went with an earlier one.
   */
  cancelled(): readonly CancelledCheckpoint[]
  /** As of the head; undefined before the start, and while no endpoint has said when it is due. */
  succession(): Succession | undefined
  /** What accounts have put down for their deals as of that block, by ascending account. */
  depositsAt(block: bigint): readonly DepositEntry[]
  /** What votes have set up to and including that block, in the chain's order. */
  parametersAt(block: bigint): readonly ParameterChange[]
  /**
   * What can be voted on, as the chain began with it, by name: empty on a chain without votes;
   * undefined while no endpoint has said it.
   */
  foundingParameters(): ReadonlyMap<string, bigint> | undefined
  /** The genesis checkpoint's acceptance, once `Checkpoints.start` was seen. */
  genesis(): AcceptedCheckpoint | undefined
  /** Called after the view advanced. */
  onAdvance(listener: () => void): () => void
  /**
   * Submits; resolves when it is in a block. Rejects with `alreadyAccepted`, `wrongParent`,
   * `reverted` or `chainUnavailable`.
   */
  submit(submission: Submission, signal: AbortSignal): Promise<void>
  /**
   * Opens a checkpoint for claims, if it is active and neither it nor a later one is open; resolves
   * when it is in a block. Rejects with `reverted` or `chainUnavailable`.
   */
  fund(payouts: CheckpointPayouts, signal: AbortSignal): Promise<FundOutcome>
  /**
   * Has bond taken, and gets the reporter's share; resolves when it is in a block. Rejects with
   * `reverted` or `chainUnavailable`.
   */
  punish(offence: ProvenOffence, signal: AbortSignal): Promise<PunishOutcome>
  /**
   * Has a checkpoint cancelled for the committee that it names; resolves when it is in a block. Rejects
   * with `reverted` or `chainUnavailable`.
   */
  veto(veto: Veto, signal: AbortSignal): Promise<VetoOutcome>
  /**
   * Takes a node into the committee that forms; resolves when it is in a block. Rejects with
   * `reverted` or `chainUnavailable`, as does `formCommittee`.
   */
  checkIn(checkIn: CheckIn, signal: AbortSignal): Promise<CheckInOutcome>
  /** Makes those who checked in the committee, once their window has ended. */
  formCommittee(signal: AbortSignal): Promise<FormOutcome>
}

export interface Write {
  key: Uint8Array
  /** Absent: delete. */
  value?: Uint8Array
}

/** An ordered byte store. Keys compare bytewise. */
export interface Store {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** All writes or none; with `sync`, durable before it resolves. */
  batch(writes: readonly Write[], options?: { sync?: boolean }): Promise<void>
  /** Entries with gte <= key < lt in order, or in reverse. */
  range(options: {
    gte: Uint8Array
    lt: Uint8Array
    reverse?: boolean
    limit?: number
  }): AsyncIterable<readonly [Uint8Array, Uint8Array]>
  /** A separate key space in the same store. */
  sublevel(name: string): Store
  close(): Promise<void>
}

/** What a clean stop leaves outside of the store, and a copy of the store does not have. */
export interface ClosingMark {
  /** Leaves a new mark; resolves with what names it. */
  leave(): Promise<string>
  /** What names the mark that is there; empty: none. */
  found(): Promise<string>
}

/** One frame to send. */
export interface Transmission {
  payload: Uint8Array
  /** Hz. */
  frequency: number
  spreadingFactor: number
  /** kHz. */
  bandwidth: number
  /** EIRP in 0.1 dBm. */
  power: number
}

/** One frame as a gateway heard it. */
export interface Reception {
  payload: Uint8Array
  frequency: number
  spreadingFactor: number
  bandwidth: number
  /** 0.1 dBm; `rssis` (signal without noise) where the concentrator gives it. */
  rssi: number
  rssis?: number
  /** 0.1 dB. */
  snr: number
  /** Concentrator counter, microseconds, wraps at 2^32. */
  tmst: number
  /** Nanoseconds within the second of GPS time, where the gateway is time-synchronised. */
  ftime?: number
  /** GPS milliseconds, where the gateway is time-synchronised. */
  tmms?: bigint
  /** Local time of arrival, ms. */
  at: number
}

export type TransmitResult =
  | {
      sent: true
      /** EIRP in 0.1 dBm the radio said it used. */
      power: number
      /** GPS ms at which the frame begins, of a radio that was asked to send by GPS time. */
      began?: bigint
    }
  | {
      sent: false
      reason: 'noGateway' | 'dutyCycle' | 'refused' | 'timeout'
      detail: string
      /** Of one that was refused: the forwarder's word for it, where there is one. */
      word?: string
    }

/** One gateway's radio. */
export interface Radio {
  start(): Promise<void>
  stop(): Promise<void>
  /** False until a packet forwarder has been heard. */
  online(): boolean
  transmit(transmission: Transmission, signal: AbortSignal): Promise<TransmitResult>
  /** Keeps the air free for a transmission that is to come: times in ms since 1970. */
  reserve(span: { from: number; to: number }): void
  onReception(listener: (reception: Reception) => void): () => void
}

/** Structured log, levels as `docs/operations` says who reads them. */
export interface Log {
  error(facts: object, text: string): void
  warn(facts: object, text: string): void
  info(facts: object, text: string): void
  debug(facts: object, text: string): void
  child(facts: object): Log
}
