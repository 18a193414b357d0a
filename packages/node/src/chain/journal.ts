/**
 * What an account sends, written down before it goes out: a crash between any two steps leaves either
 * nothing, or a signed transaction under its nonce that is sent again as it stands. Sending the same
 * bytes twice does nothing twice, so nothing is repeated and nothing is lost.
 *
 * An entry stays until its block is final, and some time after, so that what was asked for under a
 * key is known to be done. Several entries may share a nonce: all but one were given up, and whichever
 * a block takes settles the others.
 */
import {
  ByteListType,
  Bytes20,
  Bytes32,
  CairnError,
  ContainerType,
  check,
  decode,
  invariant,
  Uint8,
  Uint64,
  Uint128,
  type ValueOf,
} from '@cairn/protocol'
import { bytesToHex, type Hex, hexToBytes, keccak256 } from 'viem'
import { key, readU32, u32, u64, withPrefix } from '../ledger/schema.ts'
import type { Store, Write } from '../ports.ts'
import { dayOf, PURPOSES, type Purpose, purposeOf } from './spending.ts'

/** What nodes take of one transaction at most. */
const DATA_MAX_BYTES = 131_072
/** Characters of a key. */
export const KEY_MAX_BYTES = 200
/** Times one entry is signed: the first, and each higher fee. */
export const ATTEMPTS_MAX = 8
/** Entries at rest that are kept for their keys and for the operator to see. */
export const SETTLED_MAX = 256
/** Entries not at rest: one account has one at a time, and those whose blocks are not final. */
export const UNSETTLED_MAX = 1_024
/** Days whose spending is kept: the rate is of a week. */
export const DAYS_MAX = 8

/** `open`: to be in a block; `givenUp`: nobody wants it, though a block may take it yet. */
export type EntryState = 'open' | 'givenUp' | 'mined' | 'final'
const STATES: readonly EntryState[] = ['open', 'givenUp', 'mined', 'final']

const Table = {
  /** (nonce, number) -> entry. */
  entry: Uint8Array.of(1),
  /** (nonce, number, attempt) -> signed transaction. */
  attempt: Uint8Array.of(2),
  /** day -> base units spent. */
  day: Uint8Array.of(3),
} as const

/** One entry as it is stored. */
export const JournalEntry = new ContainerType(
  {
    state: Uint8,
    purpose: Uint8,
    succeeded: Uint8,
    /** Of the first and the last attempt, ms since 1970. */
    orderedAt: Uint64,
    at: Uint64,
    /** When a block was first seen to have it, ms since 1970; 0 before. */
    minedAt: Uint64,
    gas: Uint64,
    /** Zeros where it makes a contract. */
    to: Bytes20,
    /** Zeros before it is in a block. */
    transaction: Bytes32,
    block: Uint64,
    blockHash: Bytes32,
    /** Base units paid. */
    cost: Uint128,
    data: new ByteListType(DATA_MAX_BYTES),
    key: new ByteListType(KEY_MAX_BYTES),
  },
  { typeName: 'JournalEntry' },
)
type Stored = ValueOf<typeof JournalEntry>

/** Where a transaction stands in the chain, and what it cost. */
export interface Settled {
  succeeded: boolean
  transaction: Hex
  block: bigint
  blockHash: Hex
  /** Base units. */
  cost: bigint
}

export interface Attempt {
  raw: Hex
  hash: Hex
}

export interface Entry {
  readonly nonce: number
  /** Distinguishes entries of one nonce. */
  readonly number: number
  readonly purpose: Purpose
  readonly key: string
  /** Without `to` it makes a contract. */
  readonly call: { to?: Hex; data: Hex }
  readonly gas: bigint
  readonly state: EntryState
  /** When the first and the last attempt were signed, ms since 1970. */
  readonly orderedAt: number
  readonly at: number
  /** When a block was first seen to have it: its cost is counted on that day. */
  readonly minedAt?: number
  readonly attempts: readonly Attempt[]
  /** Where a block took it. */
  readonly settled?: Settled
}

interface Changes {
  writes?: readonly Write[]
  remove?: readonly Entry[]
}

export class Journal {
  readonly #store: Store | undefined
  readonly #entries = new Map<string, Entry>()
  readonly #days = new Map<number, bigint>()

  private constructor(store: Store | undefined) {
    this.#store = store
  }

  /** Without a store nothing outlives the process. Throws `journalCorrupt`. */
  static async open(store: Store | undefined): Promise<Journal> {
    const journal = new Journal(store)
    if (store !== undefined) await journal.#load(store)
    return journal
  }

  /** By nonce, oldest first. */
  entries(): readonly Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.nonce - b.nonce || a.number - b.number)
  }

  /** Those that are not at rest. */
  unsettled(): readonly Entry[] {
    return this.entries().filter(({ state }) => state !== 'final')
  }

  /** What was sent under a key and is wanted still, or was done. */
  of(wanted: string): Entry | undefined {
    return this.entries().findLast(
      ({ key: name, state, settled }) =>
        name === wanted && (state === 'open' || (settled?.succeeded ?? false)),
    )
  }

  /** As it stands now. */
  present(entry: Entry): Entry | undefined {
    return this.#entries.get(idOf(entry))
  }

  /** Base units that were spent on a day. */
  spentOn(day: number): bigint {
    return this.#days.get(day) ?? 0n
  }

  /** By day, those without spending left out. */
  spending(): ReadonlyMap<number, bigint> {
    return this.#days
  }

  /** Writes down what is about to be sent. */
  async begin(
    entry: Pick<Entry, 'nonce' | 'purpose' | 'key' | 'call' | 'gas' | 'at'>,
    raw: Hex,
  ): Promise<Entry> {
    const numbers = this.entries()
      .filter(({ nonce }) => nonce === entry.nonce)
      .map(({ number }) => number)
    const number = Math.max(-1, ...numbers) + 1
    invariant(number < 256, 'a nonce has fewer than 256 entries')
    const begun: Entry = {
      ...entry,
      number,
      state: 'open',
      orderedAt: entry.at,
      attempts: [attemptOf(raw)],
    }
    check(this.unsettled().length < UNSETTLED_MAX, 'queueFull', `${UNSETTLED_MAX} are not final`)
    await this.#write([begun], { writes: [attemptWrite(begun, 0)] })
    return begun
  }

  /** Writes down the same under a higher fee. */
  async raise(entry: Entry, raw: Hex, at: number): Promise<Entry> {
    const raised: Entry = { ...entry, at, attempts: [...entry.attempts, attemptOf(raw)] }
    invariant(raised.attempts.length <= ATTEMPTS_MAX, 'an entry has few attempts')
    await this.#write([raised], { writes: [attemptWrite(raised, entry.attempts.length)] })
    return raised
  }

  async giveUp(entry: Entry): Promise<void> {
    const { settled: _, ...rest } = entry
    await this.#write([{ ...rest, state: 'givenUp' }])
  }

  /** No block has it any more: it is wanted again. */
  async reopen(entry: Entry): Promise<Entry> {
    const { settled: _, ...rest } = entry
    const open: Entry = { ...rest, state: 'open' }
    await this.#write([open])
    return open
  }

  /** A block took it, as was seen at `at`. Its cost is counted once, on the day it was first seen. */
  async settle(entry: Entry, settled: Settled, at: number): Promise<Entry> {
    const minedAt = this.present(entry)?.minedAt ?? at
    const done: Entry = { ...entry, state: 'mined', minedAt, settled }
    await this.#write([done])
    return done
  }

  /** Its block is final: the others of its nonce are gone with it, and the oldest at rest. */
  async finish(entry: Entry): Promise<void> {
    const others = this.entries().filter(
      ({ nonce, number }) => nonce === entry.nonce && number !== entry.number,
    )
    const atRest = this.entries().filter(({ state }) => state === 'final')
    const old = atRest.slice(0, Math.max(0, atRest.length + 1 - SETTLED_MAX))
    await this.#write([{ ...entry, state: 'final' }], { remove: [...others, ...old] })
  }

  /** Forgets what no endpoint ever took, or what another transaction of the account replaced. */
  async drop(entry: Entry): Promise<void> {
    await this.#write([], { remove: [entry] })
  }

  /** All or nothing, durable before it resolves. */
  async #write(
    changed: readonly Entry[],
    { writes = [], remove = [] }: Changes = {},
  ): Promise<void> {
    const days = new Map<number, bigint>()
    const entries = changed.map(entry => {
      const before = this.present(entry)
      // Who gives one up may hold it as it was before a block had it.
      const minedAt = entry.minedAt ?? before?.minedAt
      if (minedAt === undefined) return entry
      const on = dayOf(minedAt)
      const difference = (entry.settled?.cost ?? 0n) - (before?.settled?.cost ?? 0n)
      days.set(on, (days.get(on) ?? this.spentOn(on)) + difference)
      return { ...entry, minedAt }
    })
    const latest = Math.max(...this.#days.keys(), ...days.keys())
    const past = [...this.#days.keys()].filter(on => on <= latest - DAYS_MAX)
    await this.#store?.batch(
      [
        ...remove.flatMap(removalOf),
        ...entries.map(entry => ({
          key: entryKey(entry),
          value: JournalEntry.serialize(storedOf(entry)),
        })),
        ...writes,
        ...[...days].map(([on, amount]) => ({
          key: key(Table.day, u32(on)),
          value: Uint128.serialize(amount),
        })),
        ...past.map(on => ({ key: key(Table.day, u32(on)) })),
      ],
      { sync: true },
    )
    for (const entry of remove) this.#entries.delete(idOf(entry))
    for (const entry of entries) this.#entries.set(idOf(entry), entry)
    for (const [on, amount] of days) this.#days.set(on, amount)
    for (const on of past) this.#days.delete(on)
  }

  async #load(store: Store): Promise<void> {
    const attempts = new Map<string, Attempt[]>()
    for await (const [at, raw] of store.range(withPrefix(Table.attempt))) {
      const id = bytesToHex(at.slice(1, 10))
      attempts.set(id, [...(attempts.get(id) ?? []), attemptOf(bytesToHex(raw))])
    }
    for await (const [at, bytes] of store.range(withPrefix(Table.entry))) {
      const entry = entryOf(at, bytes, attempts.get(bytesToHex(at.slice(1, 10))) ?? [])
      this.#entries.set(idOf(entry), entry)
    }
    for await (const [at, bytes] of store.range(withPrefix(Table.day))) {
      this.#days.set(readU32(at, 1), Uint128.deserialize(bytes))
    }
  }
}

function idOf({ nonce, number }: Pick<Entry, 'nonce' | 'number'>): string {
  return `${nonce}/${number}`
}

function placeOf({ nonce, number }: Pick<Entry, 'nonce' | 'number'>): Uint8Array {
  return key(u64(BigInt(nonce)), Uint8Array.of(number))
}

function entryKey(entry: Entry): Uint8Array {
  return key(Table.entry, placeOf(entry))
}

function attemptKey(entry: Entry, attempt: number): Uint8Array {
  return key(Table.attempt, placeOf(entry), Uint8Array.of(attempt))
}

function removalOf(entry: Entry): Write[] {
  const attempts = entry.attempts.map((_, at) => ({ key: attemptKey(entry, at) }))
  return [{ key: entryKey(entry) }, ...attempts]
}

function attemptWrite(entry: Entry, attempt: number): Write {
  const raw = entry.attempts[attempt]?.raw
  invariant(raw !== undefined, 'an attempt that is written is there')
  return { key: attemptKey(entry, attempt), value: hexToBytes(raw) }
}

function attemptOf(raw: Hex): Attempt {
  return { raw, hash: keccak256(raw) }
}

function storedOf(entry: Entry): Stored {
  const { purpose, call, gas, state, orderedAt, at, minedAt = 0, settled } = entry
  return {
    state: STATES.indexOf(state),
    purpose: PURPOSES[purpose].code,
    succeeded: settled?.succeeded ? 1 : 0,
    orderedAt: BigInt(Math.floor(orderedAt)),
    at: BigInt(Math.floor(at)),
    minedAt: BigInt(Math.floor(minedAt)),
    gas,
    to: call.to === undefined ? new Uint8Array(20) : hexToBytes(call.to),
    transaction: settled ? hexToBytes(settled.transaction) : new Uint8Array(32),
    block: settled?.block ?? 0n,
    blockHash: settled ? hexToBytes(settled.blockHash) : new Uint8Array(32),
    cost: settled?.cost ?? 0n,
    data: hexToBytes(call.data),
    key: new TextEncoder().encode(entry.key),
  }
}

function entryOf(at: Uint8Array, bytes: Uint8Array, attempts: readonly Attempt[]): Entry {
  const stored = decode(JournalEntry, bytes)
  const state = STATES[stored.state]
  const purpose = purposeOf(stored.purpose)
  if (at.length !== 10 || state === undefined || purpose === undefined || attempts.length === 0) {
    throw new CairnError('journalCorrupt', 'the journal of transactions cannot be read', {
      facts: { key: bytesToHex(at) },
      next: 'restore the data directory; without it, wait until the account has nothing pending',
    })
  }
  const inBlock = state === 'mined' || state === 'final'
  const settled: Settled = {
    succeeded: stored.succeeded === 1,
    transaction: bytesToHex(stored.transaction),
    block: stored.block,
    blockHash: bytesToHex(stored.blockHash),
    cost: stored.cost,
  }
  return {
    nonce: Number(new DataView(at.buffer, at.byteOffset).getBigUint64(1)),
    number: at[9] as number,
    purpose,
    key: new TextDecoder().decode(stored.key),
    call: {
      ...(stored.to.some(byte => byte !== 0) && { to: bytesToHex(stored.to) }),
      data: bytesToHex(stored.data),
    },
    gas: stored.gas,
    state,
    orderedAt: Number(stored.orderedAt),
    at: Number(stored.at),
    attempts,
    ...(stored.minedAt > 0n && { minedAt: Number(stored.minedAt) }),
    ...(inBlock && { settled }),
  }
}
