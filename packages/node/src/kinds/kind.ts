/**
 * The node half of a proof kind: how this node answers, asks and witnesses, through the ports.
 * The kernel calls it; it never schedules a duty of its own that the kernel could not see.
 */
import type {
  Attestation,
  Challenge,
  Codec,
  Envelope,
  EpochBase,
  EpochMessage,
  Kind,
  Known,
  KnownMessages,
  MessageType,
} from '@cairn/protocol'

/** What a verifier found; the kernel adds epoch, author and slot, signs, stores and sends it. */
export type Finding = Pick<Attestation, 'verdict' | 'reason' | 'evidence'>

/** The node's own voice: what it says is durable in its ledger before anybody hears it. */
export interface Voice {
  /** Node index at this base; undefined while the node is not active in it. */
  index(base: EpochBase): number | undefined
  /**
   * Signs with the identity key, stores durably, then gossips. Says nothing, and resolves with
   * undefined, while the node may not sign (unregistered, clock off, reopened uncleanly) or when it
   * already said something else with the same subject.
   */
  say<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    base: EpochBase,
    value: Omit<V, 'epoch' | 'base' | 'author'>,
  ): Promise<Known<V> | undefined>
  /**
   * Signs a message without sending it: for a direct answer's seal. Durable, and never two
   * different ones with the same subject (rejects with `equivocation`).
   */
  sign<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    base: EpochBase,
    value: Omit<V, 'epoch' | 'base' | 'author'>,
  ): Promise<Envelope>
  /** Stores and gossips somebody else's signed message, judged like any that arrives. */
  relay(envelope: Envelope): Promise<void>
}

/** What the ledger holds of an epoch that is not final yet. */
export interface EpochView {
  /** Resolves at once when known, else when the base and the seed are. */
  base(epoch: number): EpochBase | undefined
  known(epoch: number): KnownMessages
}

export interface NodeKind {
  readonly kind: Kind<unknown>
  start?(): Promise<void>
  stop?(): Promise<void>
  /** The base and seed of an epoch became known. */
  epoch?(base: EpochBase): void
  /** A valid challenge whose target is this node. */
  challenged?(challenge: Known<Challenge>, base: EpochBase): void
  /** A valid message of this kind other than challenge and attestation. */
  heard?(type: MessageType, message: Known<EpochMessage>, base: EpochBase): void
  /**
   * This node is an assigned verifier of the challenge: ask or watch, and resolve with what was
   * found before the attestation slots end; undefined: nothing to say. `signal` aborts at the end
   * of the epoch.
   */
  attest(
    challenge: Known<Challenge>,
    base: EpochBase,
    signal: AbortSignal,
  ): Promise<Finding | undefined>
}
