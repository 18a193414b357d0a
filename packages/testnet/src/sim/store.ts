import type { Store, Write } from '@cairn/node'
import { CairnError } from '@cairn/protocol'

/**
 * Keys per block. An insertion moves at most a block of pointers, and finding the block is a binary
 * search: both small at a million keys.
 */
const BLOCK_MAX = 512

/** A key as a string of one character per byte: compares like the bytes, and a Map takes it. */
type Key = string

/** What a store and its sublevels share. */
interface Disk {
  open: boolean
}

type RangeOptions = Parameters<Store['range']>[0]

/**
 * A store in memory: deterministic, and every promise of it settles within microtasks. What it
 * holds survives `close`, as on a disk; `reopen` gives access again.
 */
export class MemoryStore implements Store {
  readonly #disk: Disk
  /** What is held is never changed, only replaced: a range holds values as of its start. */
  readonly #values = new Map<Key, Uint8Array>()
  readonly #sublevels = new Map<string, MemoryStore>()
  readonly #keys = new SortedKeys()

  constructor(disk: Disk = { open: true }) {
    this.#disk = disk
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#assertOpen()
    return this.#values.get(keyOf(key))?.slice()
  }

  async batch(writes: readonly Write[]): Promise<void> {
    this.#assertOpen()
    for (const { key, value } of writes) {
      const name = keyOf(key)
      if (value !== undefined) {
        if (!this.#values.has(name)) this.#keys.add(name)
        this.#values.set(name, value.slice())
      } else if (this.#values.delete(name)) {
        this.#keys.delete(name)
      }
    }
  }

  /** Like LevelDB's, a range is of the moment when it was asked for. */
  range({
    gte,
    lt,
    reverse,
    limit,
  }: RangeOptions): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    this.#assertOpen()
    const keys = this.#keys.range(keyOf(gte), keyOf(lt), reverse ?? false, limit ?? -1)
    return read(keys.map(key => [key, this.#values.get(key) as Uint8Array]))
  }

  sublevel(name: string): Store {
    let sublevel = this.#sublevels.get(name)
    if (sublevel === undefined) {
      sublevel = new MemoryStore(this.#disk)
      this.#sublevels.set(name, sublevel)
    }
    return sublevel
  }

  async close(): Promise<void> {
    this.#disk.open = false
  }

  reopen(): void {
    this.#disk.open = true
  }

  #assertOpen(): void {
    if (!this.#disk.open) throw new CairnError('storeClosed', 'the store is closed')
  }
}

async function* read(
  entries: (readonly [Key, Uint8Array])[],
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  for (const [key, value] of entries) yield [bytesOf(key), value.slice()] as const
}

/** An ordered set as a list of sorted blocks, none of them empty. */
class SortedKeys {
  readonly #blocks: Key[][] = []
  /** Added since the order was last asked for: most keys of a ledger are written and not ranged. */
  #fresh: Key[] = []

  /** The key must be new. */
  add(key: Key): void {
    this.#fresh.push(key)
  }

  delete(key: Key): void {
    this.#place()
    const at = this.#blockFor(key)
    const block = this.#blocks[at] as Key[]
    block.splice(lowerBound(block, key), 1)
    if (block.length === 0) this.#blocks.splice(at, 1)
  }

  /** Keys with gte <= key < lt, at most `limit` of them unless that is negative. */
  range(gte: Key, lt: Key, reverse: boolean, limit: number): Key[] {
    const max = limit < 0 ? Number.POSITIVE_INFINITY : limit
    if (gte >= lt || max === 0) return []
    this.#place()
    return reverse ? this.#descend(gte, lt, max) : this.#ascend(gte, lt, max)
  }

  #place(): void {
    for (const key of this.#fresh.sort()) {
      const at = this.#blockFor(key)
      const block = this.#blocks[at]
      if (block === undefined) {
        this.#blocks.push([key])
        continue
      }
      block.splice(lowerBound(block, key), 0, key)
      if (block.length > BLOCK_MAX) this.#blocks.splice(at + 1, 0, block.splice(BLOCK_MAX >> 1))
    }
    this.#fresh = []
  }

  #ascend(gte: Key, lt: Key, max: number): Key[] {
    const found: Key[] = []
    for (let at = this.#blockFor(gte); at < this.#blocks.length; at++) {
      const block = this.#blocks[at] as Key[]
      for (let i = lowerBound(block, gte); i < block.length; i++) {
        const key = block[i] as Key
        if (key >= lt) return found
        found.push(key)
        if (found.length === max) return found
      }
    }
    return found
  }

  #descend(gte: Key, lt: Key, max: number): Key[] {
    const found: Key[] = []
    for (let at = this.#blockFor(lt); at >= 0; at--) {
      const block = this.#blocks[at]
      if (block === undefined) continue
      for (let i = lowerBound(block, lt) - 1; i >= 0; i--) {
        const key = block[i] as Key
        if (key < gte) return found
        found.push(key)
        if (found.length === max) return found
      }
    }
    return found
  }

  /** The last block whose first key is not after `key`; the first block when there is none. */
  #blockFor(key: Key): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#blocks[middle]?.[0] as Key) <= key) low = middle + 1
      else high = middle
    }
    return Math.max(low - 1, 0)
  }
}

/** Position of the first key not before `key`. */
function lowerBound(keys: Key[], key: Key): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as Key) < key) low = middle + 1
    else high = middle
  }
  return low
}

function keyOf(bytes: Uint8Array): Key {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function bytesOf(key: Key): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'))
}
