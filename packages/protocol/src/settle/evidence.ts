/** Checks a recorded penalty from the two messages that contradict each other, with nothing believed. */
import { type Checkpoint, checkpointRoot } from '../checkpoint.ts'
import { MessageType } from '../domain.ts'
import {
  type Envelope,
  type EpochMessage,
  messageId,
  messageSigningRoot,
  Vote,
} from '../messages.ts'
import { peek, type Rulebook, subjectOf, verifyVote } from '../rules.ts'
import { compareBytes, decode, equalBytes } from '../ssz.ts'
import { verifyInclusion } from '../tree.ts'
import type { Verifier } from '../verifier.ts'
import { type PenaltyRecord, penaltyLeaves } from './settle.ts'
import { ppm } from './shares.ts'

export interface PenaltyEvidence {
  /** Network id. */
  readonly network: Uint8Array
  readonly penalty: PenaltyRecord
  readonly checkpoint: Checkpoint
  /** Place among the checkpoint's penalties, and the way from there to its root. */
  readonly position: number
  readonly path: readonly Uint8Array[]
  /** Keys of the node, and its bond at the epoch's base in base units. */
  readonly identity: Uint8Array
  readonly voting: Uint8Array
  readonly bond: bigint
  /** Part of a bond that a penalty is, parts per million. */
  readonly share: bigint
  readonly messages: readonly [Envelope, Envelope]
}

/** Why it proves nothing, in the order in which it is looked at. */
export type PenaltyFault =
  | 'notRecorded'
  | 'notTheEvidence'
  | 'otherAuthor'
  | 'otherSubject'
  | 'badSignature'
  | 'tooMuch'

/** Undefined: the penalty is right. Throws where a message cannot be decoded. */
export function penaltyFault(
  evidence: PenaltyEvidence,
  { book, verifier }: { book: Rulebook; verifier: Verifier },
): PenaltyFault | undefined {
  const { penalty, checkpoint, position, messages } = evidence
  const [leaf] = penaltyLeaves([penalty])
  const path = [...evidence.path]
  const root = checkpointRoot(checkpoint)
  if (leaf === undefined || !verifyInclusion(root, { field: 'penalties', leaf, position, path })) {
    return 'notRecorded'
  }
  const ids = messages.map(messageId).sort(compareBytes) as [Uint8Array, Uint8Array]
  if (!equalBytes(ids[0], penalty.evidence) || equalBytes(ids[0], ids[1])) return 'notTheEvidence'
  const said = messages.map(message => spoken(message, book)) as [Spoken, Spoken]
  if (said.some(({ value }) => value.author !== penalty.node)) return 'otherAuthor'
  const ofEpoch = said.every(({ epoch }) => BigInt(epoch) === checkpoint.epoch)
  if (!ofEpoch || said[0].subject !== said[1].subject) return 'otherSubject'
  if (messages.some((message, i) => !isSigned(message, said[i] as Spoken, evidence, verifier))) {
    return 'badSignature'
  }
  return penalty.amount > ppm(evidence.bond, evidence.share) ? 'tooMuch' : undefined
}

interface Spoken {
  readonly value: EpochMessage
  /** Of the set that the message belongs to. */
  readonly epoch: number
  readonly subject: string
}

function spoken(envelope: Envelope, book: Rulebook): Spoken {
  if (envelope.type === MessageType.vote) {
    const value = decode(Vote, envelope.body)
    const { author, epoch, round } = value
    return { value, epoch: epoch + 1, subject: `${envelope.type}/${author}/${epoch}/${round}` }
  }
  const { value, rule } = peek(envelope, book)
  return { value, epoch: value.epoch, subject: subjectOf(envelope.type, value, rule) }
}

function isSigned(
  envelope: Envelope,
  { value }: Spoken,
  { network, identity, voting }: PenaltyEvidence,
  verifier: Verifier,
): boolean {
  const { signature } = envelope
  if (envelope.type === MessageType.vote) {
    return verifyVote(value as Vote, signature, voting, network, verifier)
  }
  if (signature.length !== 64) return false
  return verifier.ed25519(messageSigningRoot(envelope, network), identity, signature)
}
