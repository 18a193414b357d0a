/**
 * Settles epochs from the ledger: gathers what the pure function needs and calls it. The same way
 * serves proposing, voting, adopting what the chain accepted, and recomputing an old epoch.
 */
import {
  Checkpoint,
  checkpointRoot,
  committeeWord,
  decode,
  type Envelope,
  equalBytes,
  type Kind,
  ListDepth,
  listRoot,
  MessageSet,
  MessageType,
  peek,
  type Rulebook,
  type Settlement,
  type SettlementInput,
  type State,
  settle,
  standingSubject,
  subjectOf,
  Vote,
} from '@cairn/protocol'
import type { Chain } from '../ports.ts'
import type { Epochs } from './epochs.ts'
import type { FinalSet, Ledger } from './ledger.ts'
import type { StateCache } from './states.ts'

export interface SettlementsComponents {
  chain: Chain
  ledger: Ledger
  epochs: Epochs
  states: StateCache
}

export interface SettlementsInit {
  kinds: readonly Kind<unknown>[]
  book: Rulebook
}

/** A checkpoint that the next one can build on. */
export interface Parent {
  readonly root: Uint8Array
  readonly checkpoint: Checkpoint
  readonly state: State
}

export interface Recomputation {
  readonly epoch: number
  readonly settlement: Settlement
  /** Root of the accepted checkpoint. */
  readonly accepted: Uint8Array
  readonly equal: boolean
  /** In the set. */
  readonly messages: number
}

export class Settlements {
  readonly #components: SettlementsComponents
  readonly #init: SettlementsInit

  constructor(components: SettlementsComponents, init: SettlementsInit) {
    this.#components = components
    this.#init = init
  }

  /** Undefined while the base, a committee or what landed before is not known. */
  async settle(epoch: number, set: MessageSet, parent: Parent): Promise<Settlement | undefined> {
    const input = await this.#gather(epoch, set, parent)
    return input && settle(input)
  }

  /** What an accepted epoch was settled from, by the ledger alone; undefined: not all is here. */
  async input(epoch: number): Promise<SettlementInput | undefined> {
    const { ledger } = this.#components
    const final = await ledger.final(epoch)
    // Of a pruned epoch the checkpoint alone is kept.
    if (final === undefined || !isWhole(final)) return undefined
    const parent = await this.accepted(epoch - 1)
    const set = parent && (await this.#setFromDisk(final.ids))
    return set && (await this.#gather(epoch, set, parent))
  }

  async #gather(
    epoch: number,
    set: MessageSet,
    parent: Parent,
  ): Promise<SettlementInput | undefined> {
    const { epochs } = this.#components
    const base = await epochs.resolve(epoch)
    if (base !== undefined) epochs.draw({ ...parent, epoch: epoch - 1 })
    const next = epochs.named(epoch + 1)
    const voters = epoch === 0 ? [] : epochs.committee(epoch - 1)
    const drawn = epoch === 0 ? [] : epochs.drawn(epoch - 1)
    const landed = epochs.landed(epoch)
    if (base === undefined || next === undefined || landed === undefined) return undefined
    if (voters === undefined || drawn === undefined) return undefined
    return {
      base,
      kinds: this.#init.kinds,
      set,
      parent,
      voters,
      drawn,
      landed: landed.map(({ submitter }) => submitter),
      nextCommittee: committeeWord(next),
    }
  }

  /** The accepted checkpoint of an epoch as a parent; -1: the genesis one. */
  async accepted(epoch: number): Promise<Parent | undefined> {
    const { chain, states } = this.#components
    const head = chain.head()
    if (head === undefined) return undefined
    const found = chain.checkpointsAt(head.number).find(landed => landed.epoch === epoch)
    if (found === undefined) return undefined
    const checkpoint = decode(Checkpoint, found.checkpoint)
    const state = await states.of(checkpoint)
    return state === undefined ? undefined : { root: found.root, checkpoint, state }
  }

  /** Redoes the sum of an accepted epoch from the ledger alone; undefined: not all is here. */
  async recompute(epoch: number): Promise<Recomputation | undefined> {
    const final = await this.#components.ledger.final(epoch)
    const input = await this.input(epoch)
    if (final === undefined || input === undefined) return undefined
    const settlement = settle(input)
    const accepted = checkpointRoot(decode(Checkpoint, final.checkpoint))
    return {
      epoch,
      settlement,
      accepted,
      equal: equalBytes(settlement.root, accepted),
      messages: input.set.size,
    }
  }

  async #setFromDisk(ids: readonly Uint8Array[]): Promise<MessageSet | undefined> {
    const set = new MessageSet()
    for (const id of ids) {
      const found = await this.#components.ledger.get(id)
      if (found === undefined) return undefined
      this.#addTo(set, id, found.envelope)
    }
    return set
  }

  #addTo(set: MessageSet, id: Uint8Array, envelope: Envelope): void {
    const standing = this.#init.book.standing(envelope.type)
    if (standing !== undefined) {
      const value = decode(standing.rule.codec, envelope.body)
      set.add({ id, value, envelope }, standingSubject(id), 'standing')
      return
    }
    if (envelope.type === MessageType.vote) {
      const value = decode(Vote, envelope.body)
      set.add({ id, value, envelope }, voteSubject(value), value.kind)
      return
    }
    const { value, rule } = peek(envelope, this.#init.book)
    set.add({ id, value, envelope }, subjectOf(envelope.type, value, rule), value.kind)
  }
}

function isWhole({ checkpoint, ids }: FinalSet): boolean {
  return equalBytes(listRoot(ids, ListDepth.messages), decode(Checkpoint, checkpoint).messages)
}

/** Two votes of one member in one round are a contradiction. */
export function voteSubject({ author, epoch, round }: Vote): string {
  return `${MessageType.vote}/${author}/${epoch}/${round}`
}
