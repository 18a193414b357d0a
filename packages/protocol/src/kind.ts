/**
 * What the kernel asks of a proof kind. The kernel (time, duties, challenges, gossip, ledger,
 * settlement, checkpoints) knows no kind by name: it works through this interface, and the list in
 * `kinds/index.ts` is the one place that names them.
 */

import type { BlockRef } from './checkpoint.ts'
import type { Deposit } from './deposit.ts'
import type { MessageType } from './domain.ts'
import type { Duty } from './duties.ts'
import type { Attestation, Challenge, EpochMessage, Seal, Verdict } from './messages.ts'
import type { Profile } from './profile.ts'
import type { RegistryEntry } from './registry.ts'
import type { Codec } from './ssz.ts'
import type { Verifier } from './verifier.ts'

/** The values that an epoch's registry, questions and permissions are read from. */
export interface EpochBase {
  readonly epoch: number
  readonly network: Uint8Array
  readonly profile: Profile
  readonly genesis: number
  readonly block: BlockRef
  /** First 8 bytes of the block's hash, as every message of the epoch carries them. */
  readonly tag: Uint8Array
  /** Epoch of the checkpoint whose state is carried here; -1 for the genesis one. */
  readonly stateEpoch: number
  readonly seed: Uint8Array
  /**
   * Seeds of all earlier epochs of the current coverage round, by epoch. A node builds no base while
   * it lacks one of them, so that what follows from a base is the same wherever there is one.
   */
  readonly earlierSeeds: ReadonlyMap<number, Uint8Array>
  /** Active nodes, by ascending index. */
  readonly nodes: readonly RegistryEntry[]
  node(index: number): RegistryEntry | undefined
  /** Clients' deposits at the base's block, by key in hexadecimal. */
  readonly deposits: ReadonlyMap<string, Deposit>
  /** What a client's deposit still covers at the base, base units, by key in hexadecimal. */
  available(client: string): bigint
  /** Carried state of one kind at the base. */
  state<S>(kind: Kind<S>): S
  duty(kind: number, target: number): Duty
  /** True for a node that is drawn again only after its `ready`. */
  idle(index: number): boolean
  isTarget<S>(kind: Kind<S>, index: number): boolean
  /** The same epoch under another profile: what it would have been, had the chain said so. */
  under(profile: Profile): EpochBase
}

/** Messages of the epoch that a rule may need to judge another one. */
export interface KnownMessages {
  challenge(id: Uint8Array): { id: Uint8Array; value: Challenge } | undefined
  /** Messages of one type and kind that no other one contradicts, in order of id. */
  ofType<V extends EpochMessage>(type: MessageType, kind: number): readonly Known<V>[]
  /**
   * The same with the contradicted ones: what was found here once stays. A rule that refers to other
   * messages asks here, so that its answer does not depend on the order of arrival.
   */
  anyOfType<V extends EpochMessage>(type: MessageType, kind: number): readonly Known<V>[]
  /** Standing messages of the set, in order of id. */
  standing<V>(type: MessageType): readonly Known<V>[]
}

export interface Known<V> {
  readonly id: Uint8Array
  readonly value: V
}

/**
 * A message waits, without a verdict, for one that it refers to; `awaits` is the name of that one by
 * `MessageRule.awaitedAs`. Of several it names any that is missing.
 */
export interface Awaiting {
  readonly awaits: string
}

export type DutyAnswer = 'yes' | 'no' | Awaiting

/** How one message type is judged before it is relayed or stored. */
export interface MessageRule<V extends EpochMessage> {
  readonly type: MessageType
  readonly codec: Codec<V>
  /** What a second, different message of the same author would contradict. */
  subject(value: V): string
  /** First and last slot of the epoch in which it is relayed (whole slots, inclusive). */
  window(value: V, base: EpochBase, known: KnownMessages): readonly [number, number] | Awaiting
  /** Whether the author was to say this. */
  duty(value: V, base: EpochBase, known: KnownMessages): DutyAnswer
  /** What goes beyond the envelope's signature, dearest check last. */
  verify?(value: V, base: EpochBase, verifier: Verifier): boolean
  /** The name under which others wait for a message of this type; absent: none refers to one. */
  awaitedAs?(message: Known<V>): string
}

/**
 * A message that carries no epoch of its own, such as a deal: it belongs to the epoch whose
 * checkpoint first holds it.
 */
export interface StandingRule<V> {
  readonly type: MessageType
  readonly codec: Codec<V>
  /** Judges form and signatures. `unknown`: the signer is not in the base's registry (yet). */
  verify(
    message: Known<V>,
    signature: Uint8Array,
    base: EpochBase,
    verifier: Verifier,
  ): 'yes' | 'no' | 'unknown'
  /** Whether it still belongs into a set: not carried already, not expired, covered. */
  pending(message: Known<V>, base: EpochBase): boolean
  /** Who pays for it; what waits for a checkpoint is weighed together by type and account. */
  account(value: V): string
  /** Whether its account can pay for it beside those of it that wait already. */
  fits?(message: Known<V>, waiting: readonly Known<V>[], base: EpochBase): boolean
}

export interface AttestationRecord {
  readonly id: Uint8Array
  readonly value: Attestation
}

/** A valid challenge of the epoch's set with everything that was said of it. */
export interface ChallengeRecord {
  readonly id: Uint8Array
  readonly value: Challenge
  /** The slot it had to be revealed in. */
  readonly slot: number
  readonly duty: Duty
  /** More than half of the assigned verifiers saw it in its slot or the next. */
  readonly onTime: boolean
  /** One per assigned verifier at most, by ascending author; contradictory ones are left out. */
  readonly attestations: readonly AttestationRecord[]
  /** The target's seal; undefined when none, or two different ones, are in the set. */
  readonly seal: Seal | undefined
}

export interface SettleInput<S> {
  readonly base: EpochBase
  /** The parent checkpoint's state of this kind. */
  readonly state: S
  /** Challenges of this kind by (target, order of the challenger in the duty). */
  readonly challenges: readonly ChallengeRecord[]
  /** Every valid message of the epoch; contradictory pairs are left out. */
  readonly messages: KnownMessages
  /** What a client's deposit still covers, base units, by key in hexadecimal. */
  available(client: string): bigint
}

/** Numbers that a rule compared, by name. */
export type VerdictFacts = Readonly<Record<string, number | string>>

/** What was found of one further participant in a challenge, such as a radio witness. */
export interface VerdictPart {
  readonly node: number
  readonly reason: string
  readonly facts: VerdictFacts
}

/** A settled verdict with its reason and the numbers it compared: what `explain` prints. */
export interface SettledVerdict {
  /** Id of the challenge. */
  readonly challenge: Uint8Array
  readonly target: number
  readonly verdict: Verdict
  readonly reason: string
  readonly facts: VerdictFacts
  /** By ascending node. */
  readonly parts?: readonly VerdictPart[]
  /** Authors of attestations that agree with the settled verdict, ascending: they are paid. */
  readonly agreeing: readonly number[]
  /** False for a challenge that was on time but not the one that was answered: it is not paid. */
  readonly counts?: boolean
}

/** What settlement found of a node beside the verdicts, with its numbers: `explain` prints it. */
export interface SettledFinding {
  readonly node: number
  /** The kind's own. */
  readonly code: string
  readonly facts: VerdictFacts
}

/** An offence that a kind found; the kernel knows what it costs. */
export interface KindPenalty {
  readonly node: number
  /** Id of the message that anybody verifies again. */
  readonly evidence: Uint8Array
}

/** A fee moved out of a client's deposit to a node that earned it. */
export interface Fee {
  /** Deal key, hexadecimal. */
  readonly client: string
  readonly node: number
  /** Base units, before the burn. */
  readonly amount: bigint
}

export interface KindSettlement<S> {
  readonly state: S
  readonly verdicts: readonly SettledVerdict[]
  /** What the base share is divided by, per node index. */
  readonly proven: ReadonlyMap<number, bigint>
  /** True where `proven` is fees, so that BURN_MATCH bounds the base share too. */
  readonly provenIsFees: boolean
  readonly served: ReadonlyMap<number, bigint>
  readonly fees: readonly Fee[]
  readonly findings?: readonly SettledFinding[]
  readonly penalties?: readonly KindPenalty[]
}

export interface Kind<S> {
  /** Code on the wire, 1 to 7. */
  readonly code: number
  readonly name: string
  readonly stateCodec: Codec<S>
  readonly emptyState: () => S
  /** Nodes that are asked in this epoch, by ascending index. */
  targets(base: EpochBase): number[]
  /**
   * The slot in which this challenge is due; `order` is the challenger's place in the duty.
   * `output` is the challenge's verifiable random output.
   */
  revealSlot(base: EpochBase, order: number, output: Uint8Array): number
  /** True when this challenge need not be revealed any more, by what is known of the epoch. */
  needless(base: EpochBase, target: number, order: number, known: KnownMessages): boolean
  /** The kind's own messages. */
  readonly messages: readonly MessageRule<EpochMessage>[]
  readonly standing: readonly StandingRule<unknown>[]
  /** False: the evidence of an attestation is not of the kind's form; it is rejected. */
  checkEvidence(attestation: Attestation): boolean
  settle(input: SettleInput<S>): KindSettlement<S>
  /** Root of the checkpoint's tree of deals, from the kind that has deals. */
  dealsRoot?(state: S): Uint8Array
}
