/**
 * The one way into the ledger. Every message, whether gossiped, fetched from a peer, read from disk
 * or said by this node itself, is judged here once, stored, added to its epoch's set, and only then
 * acknowledged and shown to those who act on it.
 */
import {
  byteKey,
  CairnError,
  decode,
  type Envelope,
  type EpochBase,
  type EpochMessage,
  epochStart,
  equalBytes,
  hex,
  judge,
  KERNEL_KIND,
  type Known,
  MessageType,
  type Peeked,
  type PlacedMessage,
  type Reader,
  type Rulebook,
  roundStart,
  type StandingRule,
  slotAt,
  standingSubject,
  type Verifier,
  Vote,
  verifyVote,
} from '@cairn/protocol'
import type { Acceptance, Clock, Log } from '../ports.ts'
import type { EpochRecord, Epochs } from './epochs.ts'
import { SURPLUS_MAX } from './epochs.ts'
import type { Ledger } from './ledger.ts'
import { voteSubject } from './settlements.ts'
import { StandingMessages, standingMessage } from './standing.ts'
import { BASE, type WaitingMessage } from './waiting.ts'

/** How a message came: only gossip and the node's own voice are subject to the clock. */
export type Source = 'gossip' | 'sync' | 'disk' | 'own'

export interface Outcome {
  acceptance: Acceptance
  /** `new`, `known`, or the stable code of why it was refused. */
  reason: string
  id?: Uint8Array
}

export interface IngestComponents {
  clock: Clock
  ledger: Ledger
  epochs: Epochs
  verifier: Verifier
  reader: Reader
  log: Log
  /** Counts refusals by reason: the metric `cairn_messages_total`. */
  count(outcome: Acceptance, reason: string): void
}

export interface IngestInit {
  network: Uint8Array
  book: Rulebook
}

export interface Arrival {
  readonly type: MessageType
  readonly message: Known<EpochMessage>
  readonly envelope: Envelope
  /** False for a vote of a round after its set's freeze: counted, and in no set. */
  readonly kept: boolean
  readonly base: EpochBase
  readonly source: Source
  /** When it came, ms: before now for one that waited. */
  readonly at: number
}

/** How and when a message came: what the clock rule goes by, also for one that had to wait. */
interface Coming {
  readonly source: Source
  /** Ms. */
  readonly at: number
}

export class Ingest {
  readonly #components: IngestComponents
  readonly #init: IngestInit
  readonly #listeners: ((arrival: Arrival) => void)[] = []
  readonly #standing = new StandingMessages()
  /** Messages whose store is under way, so that a second copy is not judged meanwhile. */
  readonly #pending = new Set<string>()

  constructor(components: IngestComponents, init: IngestInit) {
    this.#components = components
    this.#init = init
  }

  /** Called after a message was stored and added. */
  onArrival(listener: (arrival: Arrival) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Reads back what waits for a checkpoint, and from now on each epoch's messages when its base is
   * known: after everybody else who listens for bases, so that they are ready for what arrives.
   */
  async start(): Promise<void> {
    this.#components.epochs.onBase(async (base, record) => {
      await this.#loadFromDisk(base.epoch)
      await this.#retry(record, BASE)
      // Votes about this epoch wait in the next one's record.
      const next = this.#components.epochs.record(base.epoch + 1)
      if (next !== undefined) await this.#retry(next, BASE)
    })
    for await (const stored of this.#components.ledger.standing()) {
      const rule = this.#standingRule(stored.envelope.type)
      if (rule !== undefined) this.#standing.add(standingMessage(stored, rule))
    }
  }

  /** Judges the bytes of one gossiped message. Never throws for bad input. */
  async gossip(data: Uint8Array, kind: number | 'deals'): Promise<Outcome> {
    let envelope: Envelope
    try {
      envelope = this.#components.reader.envelope(data)
    } catch (error) {
      return this.#refuse('reject', codeOf(error))
    }
    if (kind === 'deals') return await this.standing(envelope)
    return await this.add(envelope, 'gossip', kind)
  }

  /** Adds a message of an epoch. `kind` is the one its topic belongs to, when it has one. */
  async add(envelope: Envelope, source: Source, kind?: number): Promise<Outcome> {
    if (envelope.type === MessageType.vote && kind !== undefined) {
      return this.#refuse('reject', 'wrongTopic')
    }
    return await this.#add(envelope, { source, at: this.#components.clock.now() }, kind)
  }

  async #add(envelope: Envelope, coming: Coming, kind?: number): Promise<Outcome> {
    if (envelope.type === MessageType.vote) return await this.#addVote(envelope, coming)
    const { source } = coming
    const { reader } = this.#components
    let peeked: Peeked
    try {
      peeked = reader.peek(envelope, this.#init.book)
    } catch (error) {
      return this.#refuse('reject', codeOf(error))
    }
    if (kind !== undefined && peeked.value.kind !== kind)
      return this.#refuse('reject', 'wrongTopic')
    const record = this.#recordFor(peeked.value.epoch, source)
    if (record === undefined) return this.#refuse('ignore', 'wrongEpoch')
    if (record.base === undefined) {
      return this.#wait(record, BASE, { envelope, ...coming }, 'noBase')
    }
    const id = reader.id(envelope)
    if (record.set.has(id) || this.#isPending(id)) return this.#refuse('ignore', 'known', id)
    const judgement = judge({
      envelope,
      ...peeked,
      root: reader.root(envelope, record.base.network),
      base: record.base,
      known: record.set,
      verifier: this.#components.verifier,
      slots: this.#slots(record.epoch, coming),
    })
    if (judgement.verdict === 'wait') {
      const { author } = peeked.value
      const { awaits, reason } = judgement
      return this.#wait(record, awaits, { envelope, author, ...coming }, reason)
    }
    if (judgement.verdict !== 'valid') return this.#refuse(judgement.verdict, judgement.reason, id)
    const { value, subject } = judgement
    const addition = record.set.probe(id, subject)
    if (addition !== 'new' && addition !== 'contradiction') {
      const placed = { message: { id, envelope, value }, subject, kind: value.kind }
      if (addition === 'surplus') await this.#keepSurplus(record, placed, source)
      return this.#refuse('ignore', addition, id)
    }
    return await this.#store(record, {
      id,
      envelope,
      value,
      subject,
      base: record.base,
      ...coming,
    })
  }

  /** Adds a message that belongs to no epoch yet, such as a deal. */
  async standing(envelope: Envelope): Promise<Outcome> {
    const rule = this.#standingRule(envelope.type)
    if (rule === undefined) return this.#refuse('reject', 'unknownType')
    const base = this.#latestBase()
    if (base === undefined) return this.#refuse('ignore', 'noBase')
    let value: unknown
    try {
      value = decode(rule.codec, envelope.body)
    } catch (error) {
      return this.#refuse('reject', codeOf(error))
    }
    const id = this.#components.reader.id(envelope)
    if (this.#standing.has(id)) return this.#refuse('ignore', 'known', id)
    const message = { id, value }
    const refusal = this.#refusal(rule, message, base)
    if (refusal !== undefined) return this.#refuse('ignore', refusal, id)
    const verified = rule.verify(message, envelope.signature, base, this.#components.verifier)
    if (verified === 'unknown') return this.#refuse('ignore', 'unknownAuthor', id)
    if (verified === 'no') return this.#refuse('reject', 'badSignature', id)
    // Weighed from now on, not from when it is on disk: others arrive meanwhile.
    this.#standing.add({ ...message, envelope, rule })
    try {
      await this.#components.ledger.putStanding({ id, envelope })
    } catch (error) {
      this.#standing.delete(id)
      throw error
    }
    return this.#accept(id)
  }

  /**
   * Why a message that belongs to no epoch yet would not be taken in now, whoever signed it;
   * undefined: it would, or it is here.
   */
  refusalOf(type: MessageType, message: Known<unknown>): string | undefined {
    const rule = this.#standingRule(type)
    const base = this.#latestBase()
    if (rule === undefined) return 'unknownType'
    if (base === undefined) return 'noBase'
    return this.#standing.has(message.id) ? undefined : this.#refusal(rule, message, base)
  }

  #refusal(
    rule: StandingRule<unknown>,
    message: Known<unknown>,
    base: EpochBase,
  ): string | undefined {
    if (!rule.pending(message, base)) return 'notPending'
    if (!this.#standing.hasRoom(rule, message.value)) return 'standingFull'
    const beside = this.#standing.beside(rule, message.value)
    return rule.fits?.(message, beside, base) === false ? 'notCovered' : undefined
  }

  /**
   * Moves standing messages into an epoch's set. Those that are not pending there, nor at the newest
   * base, are dropped.
   */
  async collectStanding(record: EpochRecord): Promise<void> {
    if (record.base === undefined) return
    const latest = this.#latestBase() ?? record.base
    const lapsed: Uint8Array[] = []
    for (const message of this.#standing.all()) {
      if (message.rule.pending(message, record.base)) {
        await this.addStandingTo(record, message.envelope)
      } else if (!message.rule.pending(message, latest)) {
        lapsed.push(message.id)
      }
    }
    await this.settled(lapsed)
  }

  /** Adds one standing message to an epoch's set; false when it does not belong there. */
  async addStandingTo(record: EpochRecord, envelope: Envelope): Promise<boolean> {
    const rule = this.#standingRule(envelope.type)
    if (rule === undefined || record.base === undefined) return false
    const id = this.#components.reader.id(envelope)
    if (record.set.has(id)) return true
    const message = { id, value: decode(rule.codec, envelope.body) }
    const { verifier, ledger } = this.#components
    if (!rule.pending(message, record.base)) return false
    if (rule.verify(message, envelope.signature, record.base, verifier) !== 'yes') return false
    await ledger.put(record.epoch, undefined, { id, envelope })
    record.set.add({ ...message, envelope }, standingSubject(id), 'standing')
    return true
  }

  /** Forgets standing messages that an accepted checkpoint holds, or that lapsed. */
  async settled(ids: readonly Uint8Array[]): Promise<void> {
    const included = ids.filter(id => this.#standing.delete(id))
    if (included.length > 0) await this.#components.ledger.dropStanding(included)
  }

  /** Takes standing messages in again whose checkpoint the chain took back. */
  async unsettled(ids: readonly Uint8Array[]): Promise<void> {
    for (const id of ids) {
      const found = await this.#components.ledger.get(id)
      if (found === undefined || this.#standingRule(found.envelope.type) === undefined) continue
      await this.standing(found.envelope)
    }
  }

  /** Standing messages of one type that no checkpoint holds yet. */
  pendingStanding<V>(type: MessageType): Known<V>[] {
    const ofType = this.#standing.all().filter(({ envelope }) => envelope.type === type)
    return ofType as unknown as Known<V>[]
  }

  async #addVote(envelope: Envelope, coming: Coming): Promise<Outcome> {
    const { source } = coming
    let vote: Vote
    try {
      vote = decode(Vote, envelope.body)
    } catch (error) {
      return this.#refuse('reject', codeOf(error))
    }
    const { epochs, verifier, reader } = this.#components
    // A vote belongs to the set of the epoch after the one it is about.
    const record = this.#recordFor(vote.epoch + 1, source)
    if (record === undefined) return this.#refuse('ignore', 'wrongEpoch')
    const about = epochs.base(vote.epoch)
    if (about === undefined || epochs.committee(vote.epoch) === undefined) {
      return this.#wait(record, BASE, { envelope, ...coming }, 'noBase')
    }
    if (!equalBytes(vote.base, about.tag)) return this.#refuse('ignore', 'otherBase')
    if (vote.kind !== KERNEL_KIND) return this.#refuse('reject', 'noDuty')
    const committee = epochs.committeeOfRound(vote.epoch, vote.round)
    const member = committee?.find(({ index }) => index === vote.author)
    if (member === undefined) {
      // One may have formed of which this node does not know yet.
      return this.#refuse(epochs.mayForm(vote.epoch) ? 'ignore' : 'reject', 'noDuty')
    }
    const id = reader.id(envelope)
    if (record.set.has(id) || this.#isPending(id)) {
      return this.#refuse('ignore', 'known', id)
    }
    const begins = roundStart(epochs.calendar, vote.epoch, vote.round)
    const hears = source === 'gossip' || source === 'own'
    if (hears && coming.at + epochs.calendar.profile.skewMs < begins) {
      return this.#refuse('ignore', 'early', id)
    }
    // A round that begins after the freeze of the vote's set is too late for it: its votes are
    // counted, and belong to no set, so that rounds without end fill none.
    if (begins >= epochStart(epochs.calendar, vote.epoch + 2)) {
      if (source === 'sync') return this.#refuse('ignore', 'late', id)
      if (!verifyVote(vote, envelope.signature, member.key, this.#init.network, verifier)) {
        return this.#refuse('reject', 'badSignature', id)
      }
      this.#tell({ envelope, kept: false, message: { id, value: vote }, base: about, ...coming })
      return this.#accept(id)
    }
    const subject = voteSubject(vote)
    const addition = record.set.probe(id, subject)
    const kept = addition === 'new' || addition === 'contradiction'
    if (!kept && (addition !== 'surplus' || !keepsSurplus(source))) {
      return this.#refuse('ignore', addition, id)
    }
    if (!verifyVote(vote, envelope.signature, member.key, this.#init.network, verifier)) {
      return this.#refuse('reject', 'badSignature', id)
    }
    if (addition === 'surplus') {
      const placed = { message: { id, envelope, value: vote }, subject, kind: vote.kind }
      await this.#keepSurplus(record, placed, source)
      return this.#refuse('ignore', addition, id)
    }
    return await this.#store(record, {
      id,
      envelope,
      value: vote,
      subject,
      base: about,
      ...coming,
    })
  }

  #tell(arrival: Omit<Arrival, 'type'>): void {
    const type = arrival.envelope.type as MessageType
    for (const listener of this.#listeners) listener({ type, ...arrival })
  }

  #isPending(id: Uint8Array): boolean {
    return this.#pending.size > 0 && this.#pending.has(byteKey(id))
  }

  async #store(
    record: EpochRecord,
    message: Known<EpochMessage> &
      Coming & { envelope: Envelope; subject: string; base: EpochBase },
  ): Promise<Outcome> {
    const { id, value, envelope, subject, base, source, at } = message
    if (source !== 'disk') {
      const key = byteKey(id)
      this.#pending.add(key)
      try {
        const options = { sync: source === 'own' }
        await this.#components.ledger.put(record.epoch, value.author, { id, envelope }, options)
      } finally {
        this.#pending.delete(key)
      }
    }
    const addition = record.set.add({ id, value, envelope }, subject, value.kind)
    if (addition === 'contradiction') {
      this.#components.log.warn(
        { epoch: record.epoch, author: value.author, type: envelope.type },
        'two different messages of one node about one subject: neither counts',
      )
    } else if (addition !== 'new') {
      // Others about its subject were stored meanwhile.
      return this.#refuse('ignore', addition, id)
    }
    this.#tell({ envelope, kept: true, message: { id, value }, base, source, at })
    const name = this.#init.book.rule(envelope.type, value.kind)?.awaitedAs?.({ id, value })
    if (name !== undefined) await this.#retry(record, name)
    return this.#accept(id)
  }

  async #keepSurplus(record: EpochRecord, placed: PlacedMessage, source: Source): Promise<void> {
    if (!keepsSurplus(source) || record.surplus.size >= SURPLUS_MAX) return
    const { id, envelope, value } = placed.message
    const { author } = value as EpochMessage
    if (source === 'sync') await this.#components.ledger.put(record.epoch, author, { id, envelope })
    record.surplus.set(hex(id), placed)
  }

  async #loadFromDisk(epoch: number): Promise<void> {
    const { ledger, epochs } = this.#components
    const record = epochs.replay(epoch)
    const challengesFirst: Envelope[] = []
    for await (const { envelope } of ledger.messagesOf(epoch)) challengesFirst.push(envelope)
    challengesFirst.sort((a, b) => a.type - b.type)
    for (const envelope of challengesFirst) {
      if (this.#standingRule(envelope.type) !== undefined) {
        await this.addStandingTo(record, envelope)
      } else {
        await this.add(envelope, 'disk')
      }
    }
    for await (const { envelope } of ledger.quorum(epoch)) await this.add(envelope, 'disk')
  }

  /** Judges what waited again, as of when it came; what still waits goes back into the queue. */
  async #retry(record: EpochRecord, name: string): Promise<void> {
    for (const { envelope, source, at } of record.waiting.take(name)) {
      await this.#add(envelope, { source, at })
    }
  }

  #wait(record: EpochRecord, name: string, message: WaitingMessage, reason: string): Outcome {
    return this.#refuse('ignore', record.waiting.add(name, message) ? reason : 'waitingFull')
  }

  /** Peers' messages open no records, or one could make this node keep as many as it likes. */
  #recordFor(epoch: number, source: Source): EpochRecord | undefined {
    const { epochs } = this.#components
    return source === 'own' || source === 'disk' ? epochs.replay(epoch) : epochs.record(epoch)
  }

  /** The slots that it may have been when a message came, given the skew; undefined: no clock rule. */
  #slots(epoch: number, { source, at }: Coming): readonly [number, number] | undefined {
    if (source === 'sync' || source === 'disk') return undefined
    const { calendar } = this.#components.epochs
    const { skewMs } = calendar.profile
    return [slotAt(calendar, epoch, at - skewMs), slotAt(calendar, epoch, at + skewMs)]
  }

  #standingRule(type: number): StandingRule<unknown> | undefined {
    return this.#init.book.standing(type)?.rule
  }

  #latestBase(): EpochBase | undefined {
    const { epochs } = this.#components
    const now = epochs.now()
    return epochs.base(now) ?? epochs.base(now - 1)
  }

  #accept(id: Uint8Array): Outcome {
    this.#components.count('accept', 'new')
    return { acceptance: 'accept', reason: 'new', id }
  }

  #refuse(acceptance: Acceptance, reason: string, id?: Uint8Array): Outcome {
    this.#components.count(acceptance, reason)
    return id === undefined ? { acceptance, reason } : { acceptance, reason, id }
  }
}

/** Other nodes' sets may hold what gossip is told that is one too many: it comes by sync. */
function keepsSurplus(source: Source): boolean {
  return source === 'sync' || source === 'disk'
}

function codeOf(error: unknown): string {
  if (error instanceof CairnError) return error.code
  throw error
}
