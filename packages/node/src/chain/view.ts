/**
 * What the chain says, as a value that is read without waiting: headers, registry, accepted
 * checkpoints. It is built from blocks and their events in order and can be rolled back to any
 * block it still has.
 *
 * Headers are kept in a contiguous window behind the head. Of older blocks those stay that epochs
 * rest on and those with events.
 */
import { CairnError, hex, invariant, type RegistryEntry } from '@cairn/protocol'
import type { AcceptedCheckpoint, BlockHeader, CancelledCheckpoint } from '../ports.ts'

/** Blocks behind the head whose headers are kept: nine hours of one-second blocks. */
export const HEADERS_MAX = 32_768
/** Epochs whose last block before the start is kept: a year of hourly epochs. */
export const BASES_MAX = 8_760
/** Registry and checkpoint lists of recent queries that are kept: callers ask again and again. */
const LISTS_MAX = 8

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
export type ChainEvent =
  /** `entry` is undefined when no follower takes the node in: its signature is wrong. */
  | { type: 'registered'; block: BlockHeader; index: number; entry: RegistryEntry | undefined }
  | { type: 'changed'; block: BlockHeader; index: number; change: RegistryChange }
  | { type: 'accepted'; block: BlockHeader; accepted: AcceptedCheckpoint }
  /** The checkpoint of this epoch and all that follow it are no longer accepted. */
  | { type: 'cancelled'; block: BlockHeader; epoch: number }

/** What an entry says from a block on. */
export type RegistryChange = Partial<
  Pick<RegistryEntry, 'exitAt' | 'bond' | 'cell' | 'region' | 'subBand' | 'gain'>
>

type Registered = Extract<ChainEvent, { type: 'registered' }>
type Changed = Extract<ChainEvent, { type: 'changed' }>
export type Landing = Extract<ChainEvent, { type: 'accepted' | 'cancelled' }>

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
  #registered: Registered[] = []
  #changes: Changed[] = []
  #landings: Landing[] = []
  /** What all landings leave. */
  #left: Left = nothingLeft()
  /** Identity keys of the entries, hexadecimal. */
  #identities = new Set<string>()
  /** By the number of events they were made from. */
  readonly #lists = new Map<string, readonly unknown[]>()

  /** Headers kept behind the head. */
  readonly headersMax: number

  constructor({ epochs, headersMax = HEADERS_MAX }: ViewInit) {
    this.#epochs = epochs
    this.headersMax = headersMax
  }

  head(): BlockHeader | undefined {
    return this.#headers.at(-1)
  }

  /** Nodes registered so far, those left out among them: the next node's index. */
  registeredCount(): number {
    return this.#registered.length
  }

  /** Events of the registry so far. */
  registryLogs(): number {
    return this.#registered.length + this.#changes.length
  }

  /** Epoch of the last accepted checkpoint, -1 after genesis; undefined before the start. */
  lastEpoch(): number | undefined {
    return this.#left.accepted.at(-1)?.epoch
  }

  accepted(epoch: number): AcceptedCheckpoint | undefined {
    return this.#left.accepted[epoch + 1]
  }

  genesis(): AcceptedCheckpoint | undefined {
    return this.#left.accepted[0]
  }

  cancelled(): readonly CancelledCheckpoint[] {
    return this.#left.cancelled
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
    const nodes = countUpTo(this.#registered, block)
    const changes = countUpTo(this.#changes, block)
    return this.#list(`registry/${nodes}/${changes}`, () => {
      const entries = new Map<number, RegistryEntry>()
      for (const { index, entry } of this.#registered.slice(0, nodes)) {
        if (entry !== undefined) entries.set(index, entry)
      }
      for (const { index, change } of this.#changes.slice(0, changes)) {
        const entry = entries.get(index)
        if (entry !== undefined) entries.set(index, { ...entry, ...change })
      }
      return [...entries.values()]
    })
  }

  checkpointsAt(block: bigint): readonly AcceptedCheckpoint[] {
    const count = countUpTo(this.#landings, block)
    return this.#list(`accepted/${count}`, () => leftOf(this.#landings.slice(0, count)).accepted)
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
    this.#registered = this.#registered.slice(0, countUpTo(this.#registered, number))
    this.#changes = this.#changes.slice(0, countUpTo(this.#changes, number))
    this.#landings = this.#landings.slice(0, countUpTo(this.#landings, number))
    this.#left = leftOf(this.#landings)
    const entries = this.#registered.flatMap(({ entry }) => entry ?? [])
    this.#identities = new Set(entries.map(({ identity }) => hex(identity)))
    this.#lists.clear()
  }

  /** Forgets everything. */
  reset(): void {
    this.#headers = []
    this.#eventBlocks.clear()
    this.#bases.clear()
    this.#registered = []
    this.#changes = []
    this.#landings = []
    this.#left = nothingLeft()
    this.#identities.clear()
    this.#lists.clear()
  }

  /** Indices and epochs are contiguous, so a log that an endpoint left out shows. */
  #checkOrder(events: readonly ChainEvent[]): void {
    let index = this.#registered.length
    let epoch = this.lastEpoch() ?? -2
    for (const event of events) {
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
      } else if (event.index >= index) {
        throw missingLogs('node', index, event.index)
      }
    }
  }

  #apply(event: ChainEvent): void {
    this.#eventBlocks.set(event.block.number, event.block)
    if (event.type === 'registered') this.#registered.push(this.#firstOfIdentity(event))
    else if (event.type === 'changed') this.#changes.push(event)
    else {
      this.#landings.push(event)
      land(this.#left, event)
    }
  }

  /** Without its entry when an earlier entry has the same identity key. */
  #firstOfIdentity(event: Registered): Registered {
    if (event.entry === undefined) return event
    const identity = hex(event.entry.identity)
    if (this.#identities.has(identity)) return { ...event, entry: undefined }
    this.#identities.add(identity)
    return event
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

  #list<T>(key: string, make: () => readonly T[]): readonly T[] {
    const known = this.#lists.get(key)
    if (known !== undefined) return known as readonly T[]
    const list = make()
    this.#lists.set(key, list)
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= LISTS_MAX) break
      this.#lists.delete(oldest)
    }
    return list
  }
}

/** True of an event that the registry emitted. */
export function isOfRegistry({ type }: ChainEvent): boolean {
  return type !== 'accepted' && type !== 'cancelled'
}

interface Left {
  /** From the genesis one on. */
  readonly accepted: AcceptedCheckpoint[]
  readonly cancelled: CancelledCheckpoint[]
}

function nothingLeft(): Left {
  return { accepted: [], cancelled: [] }
}

/** What these landings leave. */
export function leftOf(landings: readonly Landing[]): Left {
  const left = nothingLeft()
  for (const landing of landings) land(left, landing)
  return left
}

function land({ accepted, cancelled }: Left, landing: Landing): void {
  if (landing.type === 'accepted') {
    accepted.push(landing.accepted)
    return
  }
  // The genesis checkpoint stands first.
  const [first] = accepted.splice(landing.epoch + 1)
  if (first !== undefined) cancelled.push(first)
}

function missingLogs(what: string, expected: number, found: number): CairnError {
  return new CairnError(
    'missingLogs',
    `an endpoint left out events: expected ${what} ${expected}, found ${found}`,
    { facts: { expected, found } },
  )
}

/** How many of the items, which are in the chain's order, lie in blocks up to this one. */
function countUpTo(items: readonly { block: BlockHeader }[], block: bigint): number {
  return firstIndex(items, item => item.block.number > block)
}

/** Index of the first item that satisfies a condition which holds for all later ones too. */
function firstIndex<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(items[middle] as T)) high = middle
    else low = middle + 1
  }
  return low
}
