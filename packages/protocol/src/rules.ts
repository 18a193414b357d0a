/**
 * How the kernel's own messages are judged, and `judge`: every message of an epoch passes it once,
 * cheapest check first, whether it came by gossip, by sync or from this node itself.
 */

import { challengeInput } from './challenge.ts'
import { voteSigningRoot } from './checkpoint.ts'
import { MessageType } from './domain.ts'
import { CairnError } from './errors.ts'
import type {
  Awaiting,
  DutyAnswer,
  EpochBase,
  Kind,
  KnownMessages,
  MessageRule,
  StandingRule,
} from './kind.ts'
import {
  Attestation,
  Challenge,
  type Envelope,
  type EpochMessage,
  KERNEL_KIND,
  messageSigningRoot,
  Ready,
  Seal,
  Verdict,
  type Vote,
} from './messages.ts'
import type { RegistryEntry } from './registry.ts'
import { decode, equalBytes, hex } from './ssz.ts'
import type { Verifier } from './verifier.ts'

const BAD_SIGNATURE = { verdict: 'reject', reason: 'badSignature' } as const
const VERDICTS: ReadonlySet<number> = new Set(Object.values(Verdict))

/** The network's kinds, and how the messages of each are judged. */
export interface Rulebook {
  readonly kinds: readonly Kind<unknown>[]
  rule(type: number, kind: number): MessageRule<EpochMessage> | undefined
  /** Of a message that belongs to no epoch of its own. */
  standing(type: number): StandingOf | undefined
}

export interface StandingOf {
  readonly kind: Kind<unknown>
  readonly rule: StandingRule<unknown>
}

export function rulebook(kinds: readonly Kind<unknown>[]): Rulebook {
  const rules = new Map<string, MessageRule<EpochMessage>>()
  const add = <V extends EpochMessage>(kind: number, rule: MessageRule<V>) =>
    rules.set(`${rule.type}/${kind}`, rule as unknown as MessageRule<EpochMessage>)
  const standing = new Map<number, StandingOf>()
  add(KERNEL_KIND, readyRule)
  for (const kind of kinds) {
    add(kind.code, challengeRule(kind))
    add(kind.code, attestationRule(kind))
    add(kind.code, sealRule(kind))
    for (const rule of kind.messages) add(kind.code, rule)
    for (const rule of kind.standing) standing.set(rule.type, { kind, rule })
  }
  return {
    kinds,
    rule: (type, kind) => rules.get(`${type}/${kind}`),
    standing: type => standing.get(type),
  }
}

/** Why a message was refused, by who is at fault: `reject` costs the forwarder score. */
export type Judgement<V = EpochMessage> =
  | { verdict: 'valid'; value: V; subject: string }
  | { verdict: 'wait'; reason: string; awaits: string }
  | { verdict: 'ignore'; reason: string }
  | { verdict: 'reject'; reason: string }

export interface JudgeInput {
  envelope: Envelope
  /** The body as `peek` decoded it. */
  value: EpochMessage
  rule: MessageRule<EpochMessage>
  /** `messageSigningRoot`, where it is known already. */
  root?: Uint8Array
  base: EpochBase
  known: KnownMessages
  verifier: Verifier
  /** Slots that the sender's and the receiver's clocks allow; undefined by sync: no clock rule. */
  slots: readonly [number, number] | undefined
}

/** A message of an epoch, decoded, and the rule it is judged by. */
export interface Peeked {
  value: EpochMessage
  rule: MessageRule<EpochMessage>
}

/** Decodes a message of an epoch; rejects unknown types and bodies with a `CairnError`. */
export function peek(envelope: Envelope, book: Rulebook): Peeked {
  // Every epoch message begins with epoch (4), base (8), kind (1), author (4).
  const kind = envelope.body[12]
  const rule = kind === undefined ? undefined : book.rule(envelope.type, kind)
  if (rule === undefined) {
    throw new CairnError('unknownType', `no message of type ${envelope.type} in kind ${kind}`, {
      facts: { type: envelope.type, kind },
    })
  }
  return { value: decode(rule.codec, envelope.body), rule }
}

/**
 * Judges a message whose epoch's base is known. Signature last, since it is the dearest; but only what
 * its author signed may wait, or anybody could fill the queue in others' names.
 */
export function judge(input: JudgeInput): Judgement {
  const { envelope, value, rule, base, known, verifier } = input
  if (!equalBytes(value.base, base.tag)) return { verdict: 'ignore', reason: 'otherBase' }
  const author = base.node(value.author)
  if (author === undefined) return { verdict: 'ignore', reason: 'unknownAuthor' }
  const duty = rule.duty(value, base, known)
  if (typeof duty === 'object') return waiting(input, author, duty)
  if (duty === 'no') return { verdict: 'reject', reason: 'noDuty' }
  if (input.slots !== undefined) {
    const window = rule.window(value, base, known)
    if ('awaits' in window) return waiting(input, author, window)
    if (input.slots[1] < window[0]) return { verdict: 'ignore', reason: 'early' }
    if (input.slots[0] > window[1]) return { verdict: 'ignore', reason: 'late' }
  }
  if (!signed(input, author)) return BAD_SIGNATURE
  if (rule.verify !== undefined && !rule.verify(value, base, verifier)) {
    return { verdict: 'reject', reason: 'badContent' }
  }
  return { verdict: 'valid', value, subject: subjectOf(envelope.type, value, rule) }
}

function waiting(input: JudgeInput, author: RegistryEntry, { awaits }: Awaiting): Judgement {
  if (!signed(input, author)) return BAD_SIGNATURE
  return { verdict: 'wait', reason: 'unknownSubject', awaits }
}

function signed(
  { envelope, root, base, verifier }: JudgeInput,
  { identity }: RegistryEntry,
): boolean {
  if (envelope.signature.length !== 64) return false
  const message = root ?? messageSigningRoot(envelope, base.network)
  return verifier.ed25519(message, identity, envelope.signature)
}

/** (author, type, subject): of two different messages with one subject neither counts. */
export function subjectOf(
  type: number,
  value: EpochMessage,
  rule: MessageRule<EpochMessage>,
): string {
  return `${type}/${value.kind}/${value.author}/${rule.subject(value)}`
}

/** True iff the BLS signature of a vote holds under the voter's key. */
export function verifyVote(
  vote: Vote,
  signature: Uint8Array,
  votingKey: Uint8Array,
  network: Uint8Array,
  verifier: Verifier,
): boolean {
  const { epoch, round, checkpoint } = vote
  const root = voteSigningRoot({ epoch: BigInt(epoch), round: BigInt(round), checkpoint }, network)
  return signature.length === 96 && verifier.bls(root, votingKey, signature)
}

function orderOf(base: EpochBase, value: { kind: number; target: number; author: number }): number {
  return base.duty(value.kind, value.target).challengers.indexOf(value.author)
}

function challengeRule(kind: Kind<unknown>): MessageRule<Challenge> {
  return {
    type: MessageType.challenge,
    codec: Challenge,
    awaitedAs: ({ id }) => challengeName(id),
    subject: value => String(value.target),
    duty: (value, base) => {
      if (!base.isTarget(kind, value.target)) return 'no'
      return orderOf(base, value) === -1 ? 'no' : 'yes'
    },
    window: (value, base) => {
      const slot = kind.revealSlot(base, orderOf(base, value), value.output)
      return [slot, slot + 1]
    },
    verify: (value, base, verifier) => {
      const author = base.node(value.author)
      const { network, seed } = base
      const input = challengeInput({ network, seed, kind: value.kind, target: value.target })
      return author !== undefined && verifier.bls(input, author.voting, value.output)
    },
  }
}

/** Under which a challenge is awaited. */
export function challengeName(id: Uint8Array): string {
  return `challenge/${hex(id)}`
}

function attestationRule(kind: Kind<unknown>): MessageRule<Attestation> {
  return {
    type: MessageType.attestation,
    codec: Attestation,
    subject: value => hex(value.challenge),
    duty: (value, base, known) => {
      const challenge = known.challenge(value.challenge)?.value
      if (challenge === undefined) return { awaits: challengeName(value.challenge) }
      if (challenge.kind !== value.kind) return 'no'
      return isVerifier(base, challenge, value.author)
    },
    window: (_, base) => [0, base.profile.attestUntilSlot],
    verify: value => VERDICTS.has(value.verdict) && kind.checkEvidence(value),
  }
}

function sealRule(kind: Kind<unknown>): MessageRule<Seal> {
  return {
    type: MessageType.seal,
    codec: Seal,
    subject: value => hex(value.challenge),
    duty: (value, _, known) => {
      const challenge = known.challenge(value.challenge)?.value
      if (challenge === undefined) return { awaits: challengeName(value.challenge) }
      return challenge.kind === kind.code && challenge.target === value.author ? 'yes' : 'no'
    },
    window: (_, base) => [base.profile.sealSlot, lastSlot(base)],
  }
}

const readyRule: MessageRule<Ready> = {
  type: MessageType.ready,
  codec: Ready,
  subject: () => '',
  duty: (value, base) => (base.idle(value.author) ? 'yes' : 'no'),
  window: (_, base) => [0, lastSlot(base)],
}

/** The slot that ends with the freeze. */
function lastSlot({ profile }: EpochBase): number {
  return profile.slotsPerEpoch - 1
}

function isVerifier(base: EpochBase, challenge: Challenge, author: number): DutyAnswer {
  return base.duty(challenge.kind, challenge.target).verifiers.includes(author) ? 'yes' : 'no'
}
