/**
 * What a node says: signed, durable in the ledger, never twice differently about one subject,
 * and only then sent.
 */
import {
  CairnError,
  type Checkpoint,
  type Codec,
  decode,
  Envelope,
  type EpochBase,
  type EpochMessage,
  equalBytes,
  hex,
  KERNEL_KIND,
  type Kind,
  type Known,
  MessageType,
  messageId,
  Proposal,
  peek,
  type Rulebook,
  seal,
  subjectOf,
  Vote,
  voteSigningRoot,
} from '@cairn/protocol'
import type { Voice } from './kinds/kind.ts'
import type { Arrival, Ingest } from './ledger/ingest.ts'
import type { Ledger } from './ledger/ledger.ts'
import { checkpointTopic, kernelTopic, kindTopic } from './ledger/topics.ts'
import type { Log, Network } from './ports.ts'
import type { Signer } from './signer.ts'

/** Claims remembered in memory; older ones are found on disk. */
const CLAIMS_MAX = 4096

export interface SpeakerComponents {
  network: Network
  ledger: Ledger
  ingest: Ingest
  signer: Signer
  log: Log
}

export interface SpeakerInit {
  /** Network id. */
  network: Uint8Array
  kinds: readonly Kind<unknown>[]
  book: Rulebook
  /** Why the node must not sign now; undefined when it may. */
  muted(epoch: number): string | undefined
  /** Why the node must not vote in a round of an epoch's checkpoint; undefined when it may. */
  mutedRound(epoch: number, round: number): string | undefined
  /** Sets what it said apart in a ledger that several nodes write to; absent for the ledger's own. */
  claimant?: string
}

export class Speaker implements Voice {
  readonly #components: SpeakerComponents
  readonly #init: SpeakerInit
  /** Claims made lately, ahead of the disk: two calls in one turn must not both find nothing. */
  readonly #claims = new Map<string, Promise<Uint8Array>>()
  readonly #late: LateMessages
  /** Where this node stands in each base: asked for every message that arrives. */
  readonly #places = new WeakMap<EpochBase, { index: number | undefined }>()

  constructor(components: SpeakerComponents, init: SpeakerInit) {
    this.#components = components
    this.#init = init
    this.#late = new LateMessages(components.log)
  }

  /** Key of the node that speaks. */
  get identity(): Uint8Array {
    return this.#components.signer.identity
  }

  index(base: EpochBase): number | undefined {
    const known = this.#places.get(base)
    if (known !== undefined) return known.index
    const { identity } = this.#components.signer
    const index = base.nodes.find(node => equalBytes(node.identity, identity))?.index
    this.#places.set(base, { index })
    return index
  }

  async say<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    base: EpochBase,
    value: Omit<V, 'epoch' | 'base' | 'author'>,
  ): Promise<Known<V> | undefined> {
    const { log, ingest, network } = this.#components
    const muted = this.#init.muted(base.epoch)
    if (muted !== undefined || this.index(base) === undefined) {
      log.debug({ type, epoch: base.epoch, muted }, 'says nothing')
      return undefined
    }
    this.#late.reach(base.epoch)
    let envelope: Envelope
    try {
      envelope = await this.sign(type, codec, base, value)
    } catch (error) {
      if (error instanceof CairnError && error.code === 'equivocation') return undefined
      throw error
    }
    const outcome = await ingest.add(envelope, 'own')
    if (outcome.acceptance !== 'accept' && outcome.reason !== 'known') {
      const facts = { type: typeName(type), epoch: base.epoch, reason: outcome.reason }
      const late = outcome.reason === 'late'
      const level = late ? 'debug' : 'warn'
      log[level](facts, 'did not say something that its own rules refuse')
      if (late) this.#late.add(facts.type)
      return undefined
    }
    await network.publish(this.#topic(envelope), Envelope.serialize(envelope))
    return { id: messageId(envelope), value: decode(codec, envelope.body) }
  }

  async sign<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    base: EpochBase,
    value: Omit<V, 'epoch' | 'base' | 'author'>,
  ): Promise<Envelope> {
    const { signer } = this.#components
    const muted = this.#init.muted(base.epoch)
    const author = this.index(base)
    if (muted !== undefined || author === undefined) {
      throw new CairnError('muted', `this node does not sign now: ${muted ?? 'not active'}`, {
        facts: { epoch: base.epoch },
      })
    }
    const whole = { ...value, epoch: base.epoch, base: base.tag, author } as unknown as V
    const envelope = seal(type, codec, whole, this.#init.network, signer.signIdentity)
    const { rule, value: decoded } = peek(envelope, this.#init.book)
    await this.#once(`${base.epoch}/${subjectOf(type, decoded, rule)}`, messageId(envelope))
    return envelope
  }

  /** Votes for a checkpoint; durable before it is sent, one per round. */
  async vote(base: EpochBase, round: number, checkpoint: Uint8Array): Promise<Vote | undefined> {
    const { signer, ingest, network } = this.#components
    const author = this.index(base)
    const { epoch, tag } = base
    if (author === undefined || this.#init.mutedRound(epoch, round) !== undefined) return undefined
    const vote: Vote = { epoch, base: tag, kind: KERNEL_KIND, author, round, checkpoint }
    const body = Vote.serialize(vote)
    const root = voteSigningRoot(
      { epoch: BigInt(epoch), round: BigInt(round), checkpoint },
      this.#init.network,
    )
    const envelope = { type: MessageType.vote, body, signature: signer.signVoting(root) }
    try {
      await this.#once(voteClaim(vote), messageId(envelope))
    } catch (error) {
      if (error instanceof CairnError && error.code === 'equivocation') return undefined
      throw error
    }
    await ingest.add(envelope, 'own')
    await network.publish(checkpointTopic(this.#init.network), Envelope.serialize(envelope))
    return vote
  }

  async relay(envelope: Envelope): Promise<void> {
    const { ingest, network } = this.#components
    const outcome = await ingest.add(envelope, 'own')
    if (outcome.acceptance === 'reject') {
      throw new CairnError(outcome.reason, 'a message to relay is not valid', {
        facts: { type: envelope.type },
      })
    }
    await network.publish(this.#topic(envelope), Envelope.serialize(envelope))
  }

  /** Whether a message in this node's name is the one that its ledger says it signed. */
  async hasSaid({ type, message: { id, value } }: Arrival): Promise<boolean> {
    const about = () => {
      if (type === MessageType.vote) return voteClaim(value as Vote)
      const rule = this.#init.book.rule(type, value.kind)
      return rule && `${value.epoch}/${subjectOf(type, value, rule)}`
    }
    const subject = about()
    if (subject === undefined) return true
    const said = await this.#said(this.#claimOf(subject))
    return said !== undefined && equalBytes(said, id)
  }

  /** Shows a checkpoint to the committee as the proposer of a round. */
  async propose(base: EpochBase, round: number, checkpoint: Checkpoint): Promise<void> {
    const { signer, network } = this.#components
    const author = this.index(base)
    const { epoch, tag } = base
    if (author === undefined || this.#init.mutedRound(epoch, round) !== undefined) return
    const proposal: Proposal = { epoch, base: tag, kind: KERNEL_KIND, author, round, checkpoint }
    const { network: id } = this.#init
    const envelope = seal(MessageType.proposal, Proposal, proposal, id, signer.signIdentity)
    await network.publish(checkpointTopic(id), Envelope.serialize(envelope))
  }

  /** Remembers durably what is about to be said; rejects with `equivocation` on a second thing. */
  async #once(about: string, id: Uint8Array): Promise<void> {
    const subject = this.#claimOf(about)
    const before = await (this.#claims.get(subject) ?? this.#claim(subject, id))
    if (!equalBytes(before, id)) {
      throw new CairnError('equivocation', 'this node already said something else about it', {
        facts: { subject, before: hex(before), now: hex(id) },
      })
    }
  }

  #claimOf(about: string): string {
    const { claimant } = this.#init
    return claimant === undefined ? about : `${about}#${claimant}`
  }

  async #said(subject: string): Promise<Uint8Array | undefined> {
    return await (this.#claims.get(subject) ?? this.#components.ledger.own(subject))
  }

  /** Resolves with what is durably claimed about the subject: before, or now. */
  #claim(subject: string, id: Uint8Array): Promise<Uint8Array> {
    const claim = this.#claimOnDisk(subject, id)
    this.#claims.set(subject, claim)
    for (const oldest of this.#claims.keys()) {
      if (this.#claims.size <= CLAIMS_MAX) break
      this.#claims.delete(oldest)
    }
    claim.catch(() => this.#claims.delete(subject))
    return claim
  }

  async #claimOnDisk(subject: string, id: Uint8Array): Promise<Uint8Array> {
    const { ledger } = this.#components
    const before = await ledger.own(subject)
    if (before !== undefined) return before
    await ledger.putOwn(subject, id)
    return id
  }

  #topic(envelope: Envelope): string {
    const { kinds, network, book } = this.#init
    const { value } = peek(envelope, book)
    const kind = kinds.find(({ code }) => code === value.kind)
    return kind === undefined ? kernelTopic(network) : kindTopic(network, kind)
  }
}

/** What a member votes once about. */
function voteClaim({ epoch, round }: Vote): string {
  return `vote/${epoch}/${round}`
}

/** What this node was too late to say: an operator is told of each epoch once, not of each message. */
class LateMessages {
  readonly #log: Log
  /** By the message type's name: no more than there are types. */
  readonly #counts = new Map<string, number>()
  #epoch = 0

  constructor(log: Log) {
    this.#log = log
  }

  add(type: string): void {
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + 1)
  }

  /** Something is to be said in an epoch: then those before it are over, and what was late is told. */
  reach(epoch: number): void {
    if (epoch <= this.#epoch) return
    if (this.#counts.size > 0) {
      const late = Object.fromEntries(this.#counts)
      const next = 'check that the machine is not overloaded and that its clock is right'
      this.#log.warn(
        { epoch: this.#epoch, late, next },
        'messages were not said, since they came too late',
      )
    }
    this.#counts.clear()
    this.#epoch = epoch
  }
}

function typeName(type: MessageType): string {
  return Object.entries(MessageType).find(([, code]) => code === type)?.[0] ?? String(type)
}
