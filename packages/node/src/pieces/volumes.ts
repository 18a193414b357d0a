/**
 * Several volumes as one place for pieces. A new piece goes where most room is. A volume that is
 * away takes nothing and gives nothing, and the others go on.
 */

import type { RangeProof } from '@cairn/protocol'
import {
  CairnError,
  check,
  type LeafProof,
  type Piece,
  type PieceRange,
  pieceKey,
} from '@cairn/protocol'
import type { Clock, Log, Store, Timer } from '../ports.ts'
import { Catalog } from './catalog.ts'
import { GivenUp } from './given-up.ts'
import type { Hashing } from './hashing.ts'
import type { Pieces, PieceUsage, PutPieceOptions } from './pieces.ts'
import { pieceMissing } from './refusals.ts'
import { Scrub, type ScrubReport } from './scrub.ts'
import { type OnQuarantined, PieceStore, type PieceStoreComponents, type Rebuilt } from './store.ts'
import type { Volume } from './volume.ts'

/** Volumes of one node at most. */
export const VOLUMES_MAX = 64
/** A volume that went, or came back, is noticed within this time, ms. */
const CHECK_EVERY_MS = 30_000
/** Key space of what was given up; those of volumes are their names. */
const GIVEN_UP = 'given-up'
/** Parts of a quota from which on each further piece is worth a warning, the first one first. */
export const FULLNESS_WARNINGS = [0.9, 0.95] as const

export interface VolumesComponents {
  /** A key space of its own. */
  store: Store
  clock: Clock
  hashing: Hashing
  log: Log
  /** A name that no other volume has. */
  newName(): string
  count?: PieceStoreComponents['count']
}

export interface OfferedVolume {
  volume: Volume
  /** Bytes at most. */
  quota: number
}

export interface VolumesInit {
  /** Whose volumes these are: another's is not touched. */
  owner: string
  offered: readonly OfferedVolume[]
  /** Days in which everything is hashed again. */
  scrubDays: number
}

/** What an operator wants to know of one volume. */
export interface VolumeReport {
  location: string
  name: string
  /** `present`, or why it is away: `volumeMissing`, `otherVolume`, `volumeUnreachable`, ... */
  state: string
  /** What to do about it; absent while it is there. */
  next?: string
  used: number
  quota: number
  /** Bytes that a new piece may take. */
  room: number
  pieces: number
  damaged: readonly Piece[]
  scrub: ScrubReport
}

export class Volumes implements Pieces {
  readonly stores: readonly PieceStore[]
  readonly #clock: Clock
  readonly #log: Log
  readonly #book: Book
  readonly #givenUp: GivenUp
  readonly #scrubs: readonly Scrub[]
  /** How many of the warnings were given, by place. */
  readonly #warned = new Map<string, number>()
  #timer: Timer | undefined
  #checking: Promise<unknown> = Promise.resolve()
  #turn: Promise<void> = Promise.resolve()
  #started = false

  private constructor(
    { clock, log, book, givenUp }: { clock: Clock; log: Log; book: Book; givenUp: GivenUp },
    parts: readonly { store: PieceStore; scrub: Scrub }[],
  ) {
    this.#clock = clock
    this.#log = log
    this.#book = book
    this.#givenUp = givenUp
    this.stores = parts.map(({ store }) => store)
    this.#scrubs = parts.map(({ scrub }) => scrub)
    for (const store of this.stores) this.#warn(store)
  }

  /**
   * Opens every volume that is there, makes those that are new, and knows those that are away. A
   * place where a volume was before is not given to another one.
   * Throws `sameVolume` where two places are one, `otherVolume` where a new place is somebody else's,
   * and `volumeUnreachable` where it does not answer.
   */
  static async open(components: VolumesComponents, init: VolumesInit): Promise<Volumes> {
    check(init.offered.length <= VOLUMES_MAX, 'badConfig', 'too many volumes are offered', {
      facts: { volumes: init.offered.length, max: VOLUMES_MAX },
    })
    const { store: space, clock, hashing, log, count } = components
    const { owner, offered, scrubDays } = init
    const book = new Book(space)
    const parts: { store: PieceStore; scrub: Scrub }[] = []
    for (const { volume, quota } of offered) {
      const name = await nameOf(volume, { ...components, book, owner })
      const twin = parts.find(({ store }) => store.name === name)
      if (twin !== undefined) {
        throw new CairnError('sameVolume', 'two places that are offered are one volume', {
          facts: { location: volume.location, other: twin.store.location },
          next: 'name each volume once in storage.volumes',
        })
      }
      const catalog = new Catalog({ store: space.sublevel(name) })
      const store = await PieceStore.open(
        { volume, catalog, hashing, log, ...(count === undefined ? {} : { count }) },
        { name, owner, quota },
      )
      parts.push({ store, scrub: new Scrub({ clock, store, catalog, log }, { days: scrubDays }) })
    }
    const givenUp = await GivenUp.open(space.sublevel(GIVEN_UP))
    const volumes = new Volumes({ clock, log, book, givenUp }, parts)
    for (const piece of givenUp.list()) if (volumes.has(piece)) await givenUp.remove(piece)
    await warnOfForgotten(book, volumes.stores, components)
    return volumes
  }

  /** Looks from time to time which volumes are there, and whether what is on them is whole. */
  start(): void {
    if (this.#started) return
    this.#started = true
    this.#schedule()
    for (const scrub of this.#scrubs) scrub.start()
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#timer?.cancel()
    await this.#checking
    for (const scrub of this.#scrubs) await scrub.stop()
  }

  report(): VolumeReport[] {
    return this.stores.map((store, at) => {
      const { location, name, absence, room, count } = store
      return {
        location,
        name,
        state: absence?.code ?? 'present',
        ...(absence?.next === undefined ? {} : { next: absence.next }),
        ...store.usage(),
        room,
        pieces: count,
        damaged: store.lost(),
        scrub: (this.#scrubs[at] as Scrub).report,
      }
    })
  }

  onQuarantined(listener: OnQuarantined): void {
    for (const store of this.stores) store.onQuarantined(listener)
  }

  has(piece: Piece): boolean {
    return this.#holder(piece) !== undefined
  }

  list(): Piece[] {
    return this.stores.flatMap((store, at) =>
      store.list().filter(piece => !this.stores.slice(0, at).some(other => other.has(piece))),
    )
  }

  held(): Piece[] {
    return once([...this.stores.flatMap(store => store.held()), ...this.#givenUp.list()])
  }

  lost(): Piece[] {
    const lost = [...this.stores.flatMap(store => store.lost()), ...this.#givenUp.list()]
    return once(lost).filter(piece => this.#holder(piece) === undefined)
  }

  /** Room that a full disk or an absent volume takes away is no part of the quota. */
  usage(): PieceUsage {
    const used = this.stores.reduce((sum, store) => sum + store.usage().used, 0)
    return { used, quota: this.stores.reduce((sum, { room }) => sum + room, used) }
  }

  async put(source: AsyncIterable<Uint8Array>, options: PutPieceOptions = {}): Promise<Piece> {
    const { expected } = options
    const holder = expected && this.#holder(expected)
    const chosen = holder ?? (await this.#roomiest())
    const piece = await chosen.put(source, options)
    this.#warn(chosen)
    this.#turn = this.#turn.then(() => this.#keepOne(piece, chosen))
    await this.#turn
    await this.#givenUp.remove(piece)
    return piece
  }

  async read(piece: Piece, offset: number, length: number): Promise<Uint8Array> {
    return await this.#get(piece).read(piece, offset, length)
  }

  async readProven(range: PieceRange): Promise<RangeProof> {
    return await this.#get(range.piece).readProven(range)
  }

  async prove(piece: Piece, leaf: number): Promise<LeafProof> {
    return await this.#get(piece).prove(piece, leaf)
  }

  async delete(piece: Piece): Promise<void> {
    // All begin at once: whoever asks for the piece from here on finds it nowhere.
    const removals = this.stores.map(store => store.delete(piece))
    await Promise.all([...removals, this.#givenUp.remove(piece)])
  }

  /** Of all volumes, or the one at this place; throws `unknownVolume`. */
  async rebuild(location?: string): Promise<{ location: string; rebuilt: Rebuilt }[]> {
    const chosen = location === undefined ? this.stores : [this.#at(location)]
    const done = []
    for (const store of chosen) {
      done.push({ location: store.location, rebuilt: await store.rebuild() })
    }
    return done
  }

  /**
   * Gives up a volume that is away and all that it held: its place takes another one at the next
   * start. Throws `unknownVolume`, and `volumePresent` while it is there.
   */
  async forget(location: string): Promise<{ lost: readonly Piece[] }> {
    const store = this.#at(location)
    const lost = await store.abandon(held => this.#givenUp.add(held))
    await this.#book.remove(location)
    this.#log.warn({ location, pieces: lost.length }, 'a volume was given up')
    return { lost }
  }

  #at(location: string): PieceStore {
    const found = this.stores.find(store => store.location === location)
    check(found !== undefined, 'unknownVolume', 'no volume of this node is at this place', {
      facts: { location, known: this.stores.map(store => store.location).join(' ') },
      next: '`cairn volumes` lists them',
    })
    return found
  }

  #warn(store: PieceStore): void {
    const { used, quota } = store.usage()
    const { location } = store
    const passed = FULLNESS_WARNINGS.filter(share => used >= share * quota).length
    const before = this.#warned.get(location) ?? 0
    this.#warned.set(location, passed)
    if (passed <= before) return
    const percent = Math.floor((100 * used) / quota)
    this.#log.warn({ location, used, quota }, `a volume is ${percent} % full`)
  }

  #holder(piece: Piece): PieceStore | undefined {
    return this.stores.find(store => store.has(piece))
  }

  /** Throws the absence of the volume that should have it, or `pieceMissing`. */
  #get(piece: Piece): PieceStore {
    const holder = this.#holder(piece)
    if (holder !== undefined) return holder
    throw this.stores.find(store => store.knows(piece))?.absence ?? pieceMissing(piece)
  }

  /**
   * One copy is enough, and this one is whole; unless a put at the same time has removed it for its
   * own.
   */
  async #keepOne(piece: Piece, chosen: PieceStore): Promise<void> {
    if (!chosen.has(piece)) return
    for (const other of this.stores) {
      if (other === chosen || other.absence !== undefined) continue
      try {
        await other.delete(piece)
      } catch (error) {
        this.#log.warn({ err: error, location: other.location }, 'a second copy was not removed')
      }
    }
  }

  async #roomiest(): Promise<PieceStore> {
    for (const store of this.stores.toSorted((a, b) => b.room - a.room)) {
      await store.check()
      if (store.absence === undefined) return store
    }
    throw new CairnError('volumeMissing', 'no volume of this node is there', {
      facts: { volumes: this.stores.length },
      cause: this.stores[0]?.absence,
      next: 'mount the disks, or offer one',
    })
  }

  #schedule(): void {
    this.#timer = this.#clock.at(this.#clock.now() + CHECK_EVERY_MS, () => {
      this.#checking = Promise.allSettled(this.stores.map(store => store.check())).then(() => {
        if (this.#started) this.#schedule()
      })
    })
  }
}

/** Which volume is at which place, as far as this node knows. */
class Book {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async nameAt(location: string): Promise<string | undefined> {
    const bytes = await this.#store.get(encode(location))
    return bytes && new TextDecoder().decode(bytes)
  }

  async set(location: string, name: string): Promise<void> {
    await this.#store.batch([{ key: encode(location), value: encode(name) }], { sync: true })
  }

  async remove(location: string): Promise<void> {
    await this.#store.batch([{ key: encode(location) }], { sync: true })
  }

  async *entries(): AsyncGenerator<{ location: string; name: string }> {
    const range = { gte: new Uint8Array(0), lt: Uint8Array.of(0xff) }
    for await (const [key, value] of this.#store.range(range)) {
      yield { location: new TextDecoder().decode(key), name: new TextDecoder().decode(value) }
    }
  }
}

interface NamingInit {
  book: Book
  owner: string
  newName(): string
}

/**
 * The volume that belongs at a place: the one that was there before, else the one that is there, be
 * it one of ours that moved, else a new one.
 */
async function nameOf(volume: Volume, { book, owner, newName }: NamingInit): Promise<string> {
  const { location } = volume
  const known = await book.nameAt(location)
  if (known !== undefined) return known
  let label = await volume.label()
  if (label === undefined) {
    label = { volume: newName(), owner }
    // Labelled first: a label of ours is taken up, while a book without one waits for a disk.
    await volume.create(label)
  }
  check(label.owner === owner, 'otherVolume', 'the volume at this place is that of another node', {
    facts: { location, found: label.volume },
    next: 'offer another place, or start the node whose volume it is',
  })
  for await (const before of book.entries()) {
    if (before.name === label.volume) await book.remove(before.location)
  }
  await book.set(location, label.volume)
  return label.volume
}

/** A volume that is not offered any more may still hold what deals ask for. */
async function warnOfForgotten(
  book: Book,
  stores: readonly PieceStore[],
  { store, log }: VolumesComponents,
): Promise<void> {
  for await (const { location, name } of book.entries()) {
    if (stores.some(known => known.name === name)) continue
    let pieces = 0
    for await (const _ of new Catalog({ store: store.sublevel(name) }).entries()) pieces++
    if (pieces === 0) continue
    log.warn({ location, pieces }, 'a volume with pieces is not offered any more')
  }
}

function once(pieces: readonly Piece[]): Piece[] {
  return [...new Map(pieces.map(piece => [pieceKey(piece), piece])).values()]
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
