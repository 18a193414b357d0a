/**
 * What the chain says, as a value that is read without waiting: headers, registry, accepted
 * checkpoints, deposits. It is built from blocks and their events in order and can be rolled back to any
 * block it still has.
 *
 * Headers are kept in a contiguous window behind the head. Of older blocks those stay that epochs
 * rest on and those with events.
 */
import {
  CairnError,
  Checkpoint,
  committeeWord,
  type DepositEntry,
  decode,
  equalBytes,
  hex,
  invariant,
  type ParameterChange,
  type RegistryEntry,
} from '@cairn/protocol'
import type {
  AcceptedCheckpoint,
  BlockHeader,
  CancelledCheckpoint,
  CheckedIn,
  FormedCommittee,
  Succession,
} from '../ports.ts'
import { type DepositsEvent, depositEntries } from './deposits.ts'
import type { Followed } from './followed.ts'
import { type ParametersEvent, parameterChanges } from './parameters.ts'
import { firstIndex, Timeline } from './timeline.ts'

/** Blocks behind the head whose headers are kept: nine hours of one-second blocks. */
export const HEADERS_MAX = 32_768
/** Epochs whose last block before the start is kept: a year of hourly epochs. */
export const BASES_MAX = 8_760

export interface EpochTimes {
  /** Start of epoch 0, seconds since 1970. */
  genesis: number
  /** Length of an epoch, seconds. */
  seconds: number
}

export interface ViewInit {
  epochs: EpochTimes
  /** Headers kept behind the head; absent: `HEADERS_MAX`. */
  headersMax?: number
}

/** One thing that happened in a block, as the view keeps it. */
export type ChainEvent = RegistryEvent | CheckpointsEvent | DepositsEvent | ParametersEvent

export type RegistryEvent = { readonly contract: 'registry'; readonly block: BlockHeader } & (
  | {
      type: 'registered'
      index: number
      /** Undefined when no follower takes the node in: its signature is wrong. */
      entry: RegistryEntry | undefined
    }
  | { type: 'changed'; index: number; change: RegistryChange }
)

export type CheckpointsEvent = { readonly contract: 'checkpoints'; readonly block: BlockHeader } & (
  | { type: 'accepted'; accepted: AcceptedCheckpoint }
  /** The checkpoint of this epoch and all that follow it are no longer accepted. */
  | { type: 'cancelled'; epoch: number }
  /** Nodes may check in up to the second `end`; who did before counts no more. */
  | { type: 'windowOpened'; end: number }
  | { type: 'checkedIn'; place: number; checkedIn: CheckedIn }
  | { type: 'committeeSet'; epoch: number; word: Uint8Array }
)

/** What an entry says from a block on. */
export type RegistryChange = Partial<
  Pick<
    RegistryEntry,
    'exitAt' | 'bond' | 'cell' | 'region' | 'subBand' | 'gain' | 'payout' | 'kinds'
  >
>

export interface Advance {
  /** Contiguous, ascending; the last one becomes the head. Need not follow the present head. */
  headers: readonly BlockHeader[]
  /** Events up to the new head, in the chain's order. */
  events: readonly ChainEvent[]
}

export class ChainView {
  readonly #epochs: EpochTimes
  #headers: BlockHeader[] = []
  readonly #eventBlocks = new Map<bigint, BlockHeader>()
  readonly #bases = new Map<number, BlockHeader>()
  /** What each contract's events make together. */
  readonly #held = {
    registry: new Timeline(registryOf),
    checkpoints: new Timeline(leftOf),
    deposits: new Timeline(depositEntries),
    parameters: new Timeline(parameterChanges),
  } satisfies Record<Followed, unknown>

  /** What can be voted on, as the chain began with it, once an endpoint has said it. */
  founding: ReadonlyMap<string, bigint> | undefined

  /** Seconds without acceptance after which nodes check in, once an endpoint has said it. */
  fallbackAfter: number | undefined

  /** Headers kept behind the head. */
  readonly headersMax: number

  constructor({ epochs, headersMax = HEADERS_MAX }: ViewInit) {
    this.#epochs = epochs
    this.headersMax = headersMax
  }

  head(): BlockHeader | undefined {
    return this.#headers.at(-1)
  }

  /** First block of the window: what `rollback` can return to. */
  oldest(): BlockHeader | undefined {
    return this.#headers[0]
  }

  /** Nodes registered so far, those left out among them: the next node's index. */
  registeredCount(): number {
    return this.#held.registry.now().registered
  }

  /** Events of a contract so far. */
  logs(contract: Followed): number {
    return this.#held[contract].length
  }

  /** Epoch of the last accepted checkpoint, -1 after genesis; undefined before the start. */
  lastEpoch(): number | undefined {
    return this.#held.checkpoints.now().accepted.at(-1)?.epoch
  }

  accepted(epoch: number): AcceptedCheckpoint | undefined {
    return this.#held.checkpoints.now().accepted[epoch + 1]
  }

  genesis(): AcceptedCheckpoint | undefined {
    return this.#held.checkpoints.now().accepted[0]
  }

  cancelled(): readonly CancelledCheckpoint[] {
    return this.#held.checkpoints.now().cancelled
  }

  succession(): Succession | undefined {
    const { fallbackAfter } = this
    if (fallbackAfter === undefined) return undefined
    const { genesis } = this.#epochs
    return successionOf(this.#held.checkpoints.now(), { genesis, fallbackAfter })
  }

  /** Word of the committee that signs next, after these events too; undefined before the start. */
  committeeWord(fresh: readonly ChainEvent[]): Uint8Array | undefined {
    const events = fresh.filter(event => event.contract === 'checkpoints')
    const { accepted, formed } = this.#held.checkpoints.after(events)
    const last = accepted.at(-1)
    return formed?.word ?? (last && decode(Checkpoint, last.checkpoint).nextCommittee)
  }

  block(number: bigint): BlockHeader | undefined {
    const first = this.#headers[0]
    if (first !== undefined && number >= first.number) {
      return this.#headers[Number(number - first.number)]
    }
    const event = this.#eventBlocks.get(number)
    if (event !== undefined) return event
    return [...this.#bases.values()].find(base => base.number === number)
  }

  lastBlockBefore(seconds: number): BlockHeader | undefined {
    const head = this.head()
    if (head === undefined || head.timestamp < seconds) return undefined
    const after = firstIndex(this.#headers, header => header.timestamp >= seconds)
    return after > 0 ? this.#headers[after - 1] : this.#bases.get(seconds)
  }

  /** Entries as of a block, by node index. */
  registryAt(block: bigint): readonly RegistryEntry[] {
    return this.#held.registry.at(block).entries
  }

  checkpointsAt(block: bigint): readonly AcceptedCheckpoint[] {
    return this.#held.checkpoints.at(block).accepted
  }

  /** What accounts have put down as of a block, by ascending account. */
  depositsAt(block: bigint): readonly DepositEntry[] {
    return this.#held.deposits.at(block)
  }

  /** What votes have set up to a block, in the chain's order. */
  parametersAt(block: bigint): readonly ParameterChange[] {
    return this.#held.parameters.at(block)
  }

  /** Throws `missingLogs`, and changes nothing, when events are missing before these. */
  append({ headers, events }: Advance): void {
    const [first] = headers
    invariant(first !== undefined, 'the view advances by at least one block')
    this.#checkOrder(events)
    const head = this.head()
    invariant(head === undefined || first.number > head.number, 'the view only advances')
    if (head !== undefined && first.number !== head.number + 1n) this.#headers = []
    for (const header of headers) {
      this.#keepBases(this.#headers.at(-1), header)
      this.#headers.push(header)
    }
    // A quarter more at times, so that the array is not moved for every block.
    if (this.#headers.length > this.headersMax * 1.25) {
      this.#headers = this.#headers.slice(-this.headersMax)
    }
    for (const event of events) this.#apply(event)
  }

  /** Forgets every block after `number`, which must be in the window. */
  rollback(number: bigint): void {
    const first = this.#headers[0]
    invariant(first !== undefined && first.number <= number, 'the view has what it returns to')
    this.#headers = this.#headers.slice(0, Number(number - first.number) + 1)
    for (const [at] of this.#eventBlocks) if (at > number) this.#eventBlocks.delete(at)
    // The block after a base is what makes it certain.
    for (const [time, { number: at }] of this.#bases) if (at >= number) this.#bases.delete(time)
    for (const timeline of Object.values(this.#held)) timeline.rollback(number)
  }

  /** Forgets everything. */
  reset(): void {
    this.#headers = []
    this.#eventBlocks.clear()
    this.#bases.clear()
    for (const timeline of Object.values(this.#held)) timeline.reset()
  }

  /**
   * Indices and epochs are contiguous, and a committee is of those who checked in, so a log that an
   * endpoint left out or changed shows.
   */
  #checkOrder(events: readonly ChainEvent[]): void {
    let index = this.registeredCount()
    let epoch = this.lastEpoch() ?? -2
    let present = this.#held.checkpoints.now().window?.members ?? []
    for (const event of events) {
      if (event.contract === 'deposits' || event.contract === 'parameters') continue
      if (event.type === 'registered') {
        if (event.index !== index) throw missingLogs('node', index, event.index)
        index++
      } else if (event.type === 'accepted') {
        epoch++
        if (event.accepted.epoch !== epoch) {
          throw missingLogs('checkpoint', epoch, event.accepted.epoch)
        }
      } else if (event.type === 'cancelled') {
        if (event.epoch > epoch) throw missingLogs('checkpoint', epoch + 1, event.epoch)
        epoch = event.epoch - 1
      } else if (event.type === 'windowOpened') {
        present = []
      } else if (event.type === 'checkedIn') {
        const place = present.length
        if (event.place !== place) throw missingLogs('check-in', place, event.place)
        present = [...present, event.checkedIn]
      } else if (event.type === 'committeeSet') {
        if (event.epoch !== epoch + 1) throw missingLogs('checkpoint', event.epoch - 1, epoch)
        const found = present.length > 0 && committeeWord(present)
        if (!found || !equalBytes(found, event.word)) {
          throw missingLogs('committee', hex(event.word), found ? hex(found) : 'nobody')
        }
      } else if (event.index >= index) {
        throw missingLogs('node', index, event.index)
      }
    }
  }

  #apply(event: ChainEvent): void {
    this.#eventBlocks.set(event.block.number, event.block)
    switch (event.contract) {
      case 'registry':
        this.#held.registry.push(event)
        break
      case 'checkpoints':
        this.#held.checkpoints.push(event)
        break
      case 'deposits':
        this.#held.deposits.push(event)
        break
      case 'parameters':
        this.#held.parameters.push(event)
        break
    }
  }

  /** Keeps `before` for every epoch that starts after it and not after `header`. */
  #keepBases(before: BlockHeader | undefined, header: BlockHeader): void {
    if (before === undefined) return
    const { genesis, seconds } = this.#epochs
    const last = Math.floor((header.timestamp - genesis) / seconds)
    const first = Math.floor((before.timestamp - genesis) / seconds) + 1
    for (let epoch = Math.max(first, last - BASES_MAX, 0); epoch <= last; epoch++) {
      this.#bases.set(genesis + epoch * seconds, before)
    }
    for (const oldest of this.#bases.keys()) {
      if (this.#bases.size <= BASES_MAX) break
      this.#bases.delete(oldest)
    }
  }
}

interface Registry {
  /** Nodes so far, those left out among them. */
  readonly registered: number
  readonly entries: readonly RegistryEntry[]
}

/** Leaves out an entry with the identity key of an earlier one. */
function registryOf(events: readonly RegistryEvent[]): Registry {
  const entries = new Map<number, RegistryEntry>()
  const identities = new Set<string>()
  let registered = 0
  for (const event of events) {
    if (event.type === 'changed') {
      const entry = entries.get(event.index)
      if (entry !== undefined) entries.set(event.index, { ...entry, ...event.change })
      continue
    }
    registered++
    const { entry, index } = event
    if (entry === undefined || identities.has(hex(entry.identity))) continue
    identities.add(hex(entry.identity))
    entries.set(index, entry)
  }
  return { registered, entries: [...entries.values()] }
}

interface Left {
  /** From the genesis one on. */
  readonly accepted: readonly AcceptedCheckpoint[]
  readonly cancelled: readonly CancelledCheckpoint[]
  /** Windows to check in that were opened so far, and the last one. */
  readonly windows: number
  readonly window: Window | undefined
  /** The committee of the next epoch, where it is not the one that the last checkpoint names. */
  readonly formed: FormedCommittee | undefined
  /** All that formed. */
  readonly committees: readonly FormedCommittee[]
}

interface Window {
  readonly opened: BlockHeader
  /** Seconds since 1970. */
  readonly end: number
  readonly members: readonly CheckedIn[]
}

/** What these events leave. */
export function leftOf(events: readonly CheckpointsEvent[]): Left {
  const accepted: AcceptedCheckpoint[] = []
  const cancelled: CancelledCheckpoint[] = []
  let windows = 0
  let window: (Window & { members: CheckedIn[] }) | undefined
  let formed: FormedCommittee | undefined
  const committees: FormedCommittee[] = []
  for (const event of events) {
    switch (event.type) {
      case 'accepted':
        accepted.push(formed === undefined ? event.accepted : { ...event.accepted, formed })
        formed = undefined
        break
      case 'cancelled': {
        // The genesis checkpoint stands first.
        const [first] = accepted.splice(event.epoch + 1)
        if (first !== undefined) cancelled.push(first)
        formed = undefined
        break
      }
      case 'windowOpened':
        windows++
        window = { opened: event.block, end: event.end, members: [] }
        break
      case 'checkedIn':
        window?.members.push(event.checkedIn)
        break
      case 'committeeSet': {
        const { epoch, word, block } = event
        // The contract opens a window of no length for those whom the council chooses.
        const chosen = window?.end === window?.opened.timestamp
        const members = [...(window?.members ?? [])]
        formed = { epoch, word, block, window: windows, chosen, members }
        committees.push(formed)
      }
    }
  }
  return { accepted, cancelled, windows, window, formed, committees }
}

export interface SuccessionTimes {
  /** Start of epoch 0, seconds since 1970. */
  genesis: number
  /** Without acceptance for so many seconds, nodes may check in. */
  fallbackAfter: number
}

/** By the rules of the contract; undefined before the start. */
export function successionOf(
  { accepted, windows, window, formed, committees }: Left,
  { genesis, fallbackAfter }: SuccessionTimes,
): Succession | undefined {
  const last = accepted.at(-1)
  if (last === undefined) return undefined
  // Nothing can be accepted before epoch 0 has passed: the wait begins with it.
  const since = formed?.block.timestamp ?? (last.epoch === -1 ? genesis : last.block.timestamp)
  return {
    epoch: last.epoch + 1,
    since,
    due: since + fallbackAfter,
    windows,
    // What was opened before a committee formed for this epoch waits for nothing more.
    window: window !== undefined && window.opened.timestamp > since ? window : undefined,
    formed,
    committees,
  }
}

function missingLogs<T extends number | string>(what: string, expected: T, found: T): CairnError {
  return new CairnError(
    'missingLogs',
    `an endpoint left out events: expected ${what} ${expected}, found ${found}`,
    { facts: { expected, found } },
  )
}
