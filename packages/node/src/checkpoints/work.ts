/** What a node knows of one epoch on its way to the chain: proposals, votes, quorum. */
import {
  type CommitteeMember,
  equalBytes,
  hex,
  type MessageSet,
  quorum,
  type Settlement,
  type Vote,
  windowOf,
} from '@cairn/protocol'
import type { CancelledCheckpoint } from '../ports.ts'

/** A settlement this node computed itself, with the set that it is of. */
export interface Settled {
  readonly settlement: Settlement
  readonly set: MessageSet
}

export interface Quorum {
  readonly round: number
  readonly root: Uint8Array
}

/** Settlements remembered per epoch: one per round is what honest proposers need. */
const SETTLED_MAX = 16
/** Rounds whose votes are kept: the quorum's, and those nearest to the one to come. */
export const ROUNDS_MAX = 64
/** One by the next seed and, by who does not know it, one by this seed. */
const PROPOSALS_MAX = 2 * ROUNDS_MAX

export interface Cast {
  readonly root: string
  readonly signature: Uint8Array
}

export class EpochWork {
  readonly epoch: number
  /** Ids this node held at the freeze; it votes for no set that lacks one. */
  frozen: readonly Uint8Array[] | undefined
  /** The quorum of the lowest round seen. */
  quorum: Quorum | undefined
  /** Rounds before this one are void: they built on a parent that the chain did not accept. */
  #voidBefore = 0
  /** The round to come of the committee that signs: votes in another window's make no quorum. */
  #next = 0
  /** By root: votes in rounds up to this one count no more. */
  readonly #cancelled = new Map<string, number>()
  readonly #settled = new Map<string, Settled>()
  /** By round, then by author: one, or two that contradict each other. */
  readonly #votes = new Map<number, Map<number, Cast[]>>()
  /** `round/author` of each. */
  readonly #proposed = new Set<string>()
  /** What proposed checkpoints build on, by their roots. */
  readonly #parents = new Map<string, Uint8Array>()

  constructor(epoch: number) {
    this.epoch = epoch
  }

  remember(settled: Settled): void {
    this.#settled.set(hex(settled.settlement.root), settled)
    for (const oldest of this.#settled.keys()) {
      if (this.#settled.size <= SETTLED_MAX) break
      if (oldest !== (this.quorum && hex(this.quorum.root))) this.#settled.delete(oldest)
    }
  }

  settled(root: Uint8Array): Settled | undefined {
    return this.#settled.get(hex(root))
  }

  /** A computed settlement by the root of its set. */
  bySet(messages: Uint8Array): Settled | undefined {
    const wanted = hex(messages)
    for (const settled of this.#settled.values()) {
      if (hex(settled.settlement.checkpoint.messages) === wanted) return settled
    }
    return undefined
  }

  /**
   * The round to come, of the committee that signs. What another one voted is void: it names one that
   * did not sign.
   */
  goesOn(next: number): void {
    const isOther = windowOf(next) !== windowOf(this.#next)
    this.#next = next
    if (isOther) this.voidBefore(0)
  }

  /** Forgets a quorum on a parent that the chain did not accept; later rounds vote again. */
  voidBefore(round: number): void {
    this.#voidBefore = round
    this.quorum = undefined
  }

  /**
   * Votes for a cancelled root, in rounds up to the one that it had landed with, count no more. True
   * when the quorum was of these.
   */
  cancel({ root, round }: Pick<CancelledCheckpoint, 'root' | 'round'>): boolean {
    const gone = hex(root)
    this.#cancelled.set(gone, Math.max(round, this.#cancelled.get(gone) ?? round))
    if (this.quorum === undefined || !this.#isCancelled(this.quorum)) return false
    this.quorum = undefined
    return true
  }

  #isCancelled({ root, round }: Quorum): boolean {
    return round <= (this.#cancelled.get(hex(root)) ?? -1)
  }

  /** True for the first proposal by a node in a round: it has no need of a second. */
  isFirstProposal(round: number, author: number): boolean {
    const key = `${round}/${author}`
    if (this.#proposed.has(key)) return false
    this.#proposed.add(key)
    for (const oldest of this.#proposed) {
      if (this.#proposed.size <= PROPOSALS_MAX) break
      this.#proposed.delete(oldest)
    }
    return true
  }

  /** Keeps what a proposed checkpoint builds on, though its set may never be had. */
  heard(root: Uint8Array, parent: Uint8Array): void {
    this.#parents.set(hex(root), parent)
    for (const oldest of this.#parents.keys()) {
      if (this.#parents.size <= PROPOSALS_MAX) break
      this.#parents.delete(oldest)
    }
  }

  /** What a checkpoint builds on, as far as it was settled or proposed. */
  parentOf(root: Uint8Array): Uint8Array | undefined {
    return this.settled(root)?.settlement.checkpoint.parent ?? this.#parents.get(hex(root))
  }

  /**
   * Counts a verified vote; returns the quorum when this vote completed one of a lower round. With
   * `parent`, the root accepted for the epoch before, one known to build on another is none.
   */
  count(
    { round, author, checkpoint }: Vote,
    signature: Uint8Array,
    committee: readonly CommitteeMember[],
    parent?: Uint8Array,
  ): Quorum | undefined {
    if (round < this.#voidBefore) return undefined
    let votes = this.#votes.get(round)
    if (votes === undefined) {
      votes = new Map()
      this.#votes.set(round, votes)
      if (this.#votes.size > ROUNDS_MAX) this.#votes.delete(this.#furthest())
      if (!this.#votes.has(round)) return undefined
    }
    const root = hex(checkpoint)
    const casts = votes.get(author) ?? []
    if (casts.length < 2 && casts.every(cast => cast.root !== root)) {
      votes.set(author, [...casts, { root, signature }])
    }
    if (windowOf(round) !== windowOf(this.#next)) return undefined
    if (this.quorum !== undefined && this.quorum.round <= round) return undefined
    if (this.#isCancelled({ root: checkpoint, round })) return undefined
    const found = this.parentOf(checkpoint)
    if (parent !== undefined && found !== undefined && !equalBytes(parent, found)) return undefined
    // Of two votes in one round neither counts.
    const signed = committee
      .filter(({ index }) => {
        const [first, second] = votes.get(index) ?? []
        return first?.root === root && second === undefined
      })
      .reduce((sum, { weight }) => sum + weight, 0)
    if (!quorum({ signed, total: totalWeight(committee) })) return undefined
    this.quorum = { round, root: checkpoint }
    return this.quorum
  }

  /**
   * Of the rounds with votes, what is missed the least: one member may vote in as many as it likes,
   * but every committee votes in those about to come. Rounds of other windows are the furthest.
   */
  #furthest(): number {
    const from = (round: number) =>
      round === this.quorum?.round ? -1 : Math.abs(round - this.#next)
    return [...this.#votes.keys()].reduce((a, b) => (from(b) > from(a) ? b : a))
  }

  /** Two votes of a member in one round, once it cast them; roots in hexadecimal. */
  contradiction({
    round,
    author,
  }: Pick<Vote, 'round' | 'author'>): readonly [Cast, Cast] | undefined {
    const [first, second] = this.#votes.get(round)?.get(author) ?? []
    return first === undefined || second === undefined ? undefined : [first, second]
  }

  /**
   * Signatures of a quorum by node index. Who voted again in the round signed all the same: a quorum
   * once seen can always be shown to the chain, or one member could stop it by a second vote.
   */
  signatures({ round, root }: Quorum): Map<number, Uint8Array> {
    const wanted = hex(root)
    const found = new Map<number, Uint8Array>()
    for (const [author, casts] of this.#votes.get(round) ?? []) {
      const cast = casts.find(({ root }) => root === wanted)
      if (cast !== undefined) found.set(author, cast.signature)
    }
    return found
  }
}

function totalWeight(committee: readonly CommitteeMember[]): number {
  return committee.reduce((sum, { weight }) => sum + weight, 0)
}
