/**
 * What cost bond, or will: penalties of the checkpoints that this node adopted, and double votes that
 * it saw. Both are kept until the chain has taken the bond; penalties longer, to be looked at.
 */
import {
  Bytes32,
  Bytes48,
  Bytes96,
  ContainerType,
  decode,
  Uint8,
  Uint16,
  Uint32,
  Uint128,
} from '@cairn/protocol'
import type { DoubleVote, Store, Write } from '../ports.ts'
import { key, readU32, u32, withPrefix } from './schema.ts'

/** Penalties kept, the newest: more than 20 a day for half a year. */
export const PENALTIES_MAX = 4_096
/** Double votes kept, those that wait to be reported before others: one of each member of the largest committee. */
export const DOUBLE_VOTES_MAX = 512

/**
 * Whether the bond was taken, as far as this node knows: for that epoch's messages all that may be
 * taken for one was (`capReached`), the node had none left (`noBond`), the chain no longer keeps what
 * proves it (`lapsed`), or the contract refused it for another reason (`refused`).
 */
export type PenaltyState = 'open' | 'taken' | 'capReached' | 'noBond' | 'lapsed' | 'refused'
/** By the code that the store has. */
export const PENALTY_STATES: readonly PenaltyState[] = [
  'open',
  'taken',
  'capReached',
  'noBond',
  'lapsed',
  'refused',
]

export interface KeptPenalty {
  /** Of the messages that the offence is in. */
  readonly epoch: number
  readonly node: number
  /** Base units, as the checkpoint says. */
  readonly amount: bigint
  /** Id of the message that proves it, and of the one that contradicts it. */
  readonly evidence: Uint8Array
  readonly rival: Uint8Array | undefined
  /** Message type of the two; undefined of an offence that a kind found. */
  readonly messageType: number | undefined
  readonly state: PenaltyState
}

export interface KeptDoubleVote extends DoubleVote {
  readonly state: PenaltyState
}

const Entry = new ContainerType(
  { amount: Uint128, evidence: Bytes32, rival: Bytes32, messageType: Uint16, state: Uint8 },
  { typeName: 'KeptPenalty' },
)
const Cast = { checkpoint: Bytes32, signature: Bytes96 }
const Votes = new ContainerType(
  {
    key: Bytes48,
    round: Uint32,
    first: new ContainerType(Cast),
    second: new ContainerType(Cast),
    state: Uint8,
  },
  { typeName: 'KeptDoubleVote' },
)
const NONE = new Uint8Array(32)

export class Offences {
  readonly #penalties: Store
  readonly #votes: Store
  readonly #listeners: ((kept: readonly KeptPenalty[]) => void)[] = []

  constructor({ store }: { store: Store }) {
    this.#penalties = store.sublevel('penalties')
    this.#votes = store.sublevel('voted-twice')
  }

  /** Told all penalties after each change of them. */
  onChange(listener: (kept: readonly KeptPenalty[]) => void): void {
    this.#listeners.push(listener)
  }

  /** Of one epoch, all at once and in the place of those kept of it before. */
  async put(epoch: number, penalties: readonly KeptPenalty[]): Promise<void> {
    const writes: Write[] = []
    for await (const [at] of this.#penalties.range(withPrefix(u32(epoch)))) writes.push({ key: at })
    for (const penalty of penalties) writes.push(written(penalty))
    await this.#penalties.batch(writes, { sync: true })
    const all = await this.all()
    const oldest = all.slice(0, Math.max(0, all.length - PENALTIES_MAX))
    await this.#penalties.batch(oldest.map(({ epoch: at, node }) => ({ key: keyOf(at, node) })))
    await this.#tell()
  }

  /** What became of a penalty. */
  async close(penalty: KeptPenalty, state: PenaltyState): Promise<void> {
    const kept = await this.#penalties.get(keyOf(penalty.epoch, penalty.node))
    if (kept === undefined) return
    await this.#penalties.batch([written({ ...penalty, state })])
    await this.#tell()
  }

  /** Forgets the penalties of checkpoints that the chain took back. */
  async dropAfter(epoch: number): Promise<void> {
    const writes: Write[] = []
    const { lt } = withPrefix(new Uint8Array(0))
    const later = { gte: u32(Math.max(0, epoch + 1)), lt }
    for await (const [at] of this.#penalties.range(later)) writes.push({ key: at })
    await this.#penalties.batch(writes)
    await this.#tell()
  }

  async #tell(): Promise<void> {
    if (this.#listeners.length === 0) return
    const kept = await this.all()
    for (const tell of this.#listeners) tell(kept)
  }

  /** By epoch, then node; of one epoch or of all. */
  async all(epoch?: number): Promise<KeptPenalty[]> {
    const prefix = epoch === undefined ? new Uint8Array(0) : u32(epoch)
    const found: KeptPenalty[] = []
    for await (const [at, bytes] of this.#penalties.range(withPrefix(prefix))) {
      const { amount, evidence, rival, messageType, state } = decode(Entry, bytes)
      found.push({
        epoch: readU32(at),
        node: readU32(at, 4),
        amount,
        evidence,
        rival: messageType === 0 ? undefined : rival,
        messageType: messageType === 0 ? undefined : messageType,
        state: stateOf(state),
      })
    }
    return found
  }

  /** Keeps the first of a node for an epoch; false when it is known or too many wait. */
  async putDoubleVote(votes: DoubleVote): Promise<boolean> {
    const all = await this.allDoubleVotes()
    if (all.some(({ epoch, node }) => epoch === votes.epoch && node === votes.node)) return false
    const writes = [writtenVotes({ ...votes, state: 'open' })]
    if (all.length >= DOUBLE_VOTES_MAX) {
      const done = all.find(({ state }) => state !== 'open')
      if (done === undefined) return false
      writes.push({ key: keyOf(done.epoch, done.node) })
    }
    await this.#votes.batch(writes, { sync: true })
    return true
  }

  /** What became of a double vote. */
  async closeDoubleVote(votes: DoubleVote, state: PenaltyState): Promise<void> {
    await this.#votes.batch([writtenVotes({ ...votes, state })])
  }

  /** Forgets those of earlier epochs, or they would keep later ones out. */
  async dropDoubleVotesBefore(epoch: number): Promise<void> {
    const writes: Write[] = []
    const earlier = { gte: u32(0), lt: u32(Math.max(0, epoch)) }
    for await (const [at] of this.#votes.range(earlier)) writes.push({ key: at })
    await this.#votes.batch(writes)
  }

  /** Those that wait to be reported. */
  async doubleVotes(): Promise<KeptDoubleVote[]> {
    return (await this.allDoubleVotes()).filter(({ state }) => state === 'open')
  }

  /** By epoch, then node. */
  async allDoubleVotes(): Promise<KeptDoubleVote[]> {
    const found: KeptDoubleVote[] = []
    for await (const [at, bytes] of this.#votes.range(withPrefix(new Uint8Array(0)))) {
      const { key: voting, round, first, second, state } = decode(Votes, bytes)
      const votes = [first, second] as const
      const node = readU32(at, 4)
      found.push({ epoch: readU32(at), node, key: voting, round, votes, state: stateOf(state) })
    }
    return found
  }
}

function keyOf(epoch: number, node: number): Uint8Array {
  return key(u32(epoch), u32(node))
}

function written(penalty: KeptPenalty): Write {
  const { epoch, node, amount, evidence, rival, messageType, state } = penalty
  const value = Entry.serialize({
    amount,
    evidence,
    rival: rival ?? NONE,
    messageType: messageType ?? 0,
    state: PENALTY_STATES.indexOf(state),
  })
  return { key: keyOf(epoch, node), value }
}

function writtenVotes({ epoch, node, key: voting, round, votes, state }: KeptDoubleVote): Write {
  const [first, second] = votes
  const code = PENALTY_STATES.indexOf(state)
  const value = Votes.serialize({ key: voting, round, first, second, state: code })
  return { key: keyOf(epoch, node), value }
}

function stateOf(code: number): PenaltyState {
  return PENALTY_STATES[code] ?? 'open'
}
