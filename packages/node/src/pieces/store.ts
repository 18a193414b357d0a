/**
 * Pieces on one volume, under these names:
 *
 *     volume.json              names the volume, so that no other is taken for it
 *     incoming/                what is being written; emptied at start
 *     pieces/<xx>/<cid>        payload
 *     pieces/<xx>/<cid>.tree   roots of its 64 KiB subtrees
 *     damaged/<cid>            a payload that is not what its name says
 *
 * A piece is taken in without a name, announced in the catalogue, named, the payload last, and only
 * then acknowledged. Removing and moving apart are announced before they begin, too. So a process
 * that ends anywhere leaves an entry that says what was under way, and opening the volume ends it:
 * without a walk, nothing acknowledged is lost and nothing is counted that is not there.
 *
 * A volume that is away (not mounted, another disk in its place) keeps its catalogue: its pieces are
 * not served, nothing is written in its place, and all of it counts again when it is back.
 */
import {
  CairnError,
  check,
  enclosingRange,
  type HashedPiece,
  type LeafProof,
  leafProof,
  NODE_BYTES,
  type Piece,
  type PieceRange,
  parsePieceCid,
  pieceCid,
  pieceKey,
  type RangeProof,
  rangeNeighbours,
  subtreeCount,
  subtreeRange,
  type UpperTree,
  upperTree,
} from '@cairn/protocol'
import type { Log } from '../ports.ts'
import { type Catalog, type CatalogEntry, PieceState } from './catalog.ts'
import { DirectoryVolume } from './directory.ts'
import { type Hashing, ownThread } from './hashing.ts'
import type { Pieces, PieceUsage, PutPieceOptions } from './pieces.ts'
import {
  checkExpected,
  checkLength,
  checkRange,
  checkRoom,
  pieceDamaged,
  pieceMissing,
} from './refusals.ts'
import { Trees } from './trees.ts'
import { type Staged, type Volume, volumeUnreachable } from './volume.ts'

const PIECES = 'pieces/'
const DAMAGED = 'damaged/'
const TREE = '.tree'
/** Read at once where a whole piece is hashed again. */
const REHASH_BYTES = 1024 * 1024
/** Damaged pieces that were met by chance and wait to be looked at; a scrub finds the others. */
export const SUSPECTS_MAX = 1024
/**
 * Failures of a read that are the medium's own. Any other, as too many open files or missing rights,
 * says nothing of the bytes.
 */
const MEDIUM_FAULTS: ReadonlySet<string> = new Set(['EIO', 'EBADMSG', 'EUCLEAN'])
/** Sizes that the catalogue holds are 32 bits. */
const COUNTED_MAX = 2 ** 32 - 1

export interface PieceStoreComponents {
  volume: Volume
  /** Without one the volume is walked over each time it is opened. */
  catalog?: Catalog
  /** By default the caller's own thread. */
  hashing?: Hashing
  log: Log
  /** Told of payload bytes. */
  count?(operation: 'write' | 'read' | 'scrub', bytes: number): void
}

export interface PieceStoreInit {
  /** What the volume's label must say. */
  name: string
  owner: string
  /** Bytes at most. */
  quota: number
}

/** A directory, and the name that its label has. */
export interface VolumeInit {
  directory: string
  volume: string
}

export interface VerifyOptions {
  /** Told of so many bytes before they are read; may wait. */
  paced?(bytes: number): Promise<void>
  signal?: AbortSignal
}

export interface Rebuilt {
  pieces: number
  bytes: number
  /** Found damaged now, those before not counted. */
  damaged: number
  /** Pieces that the catalogue had and the volume does not have. */
  lost: readonly Piece[]
}

/** Told of pieces that are gone from where they were: their bytes are wrong, or not there. */
export type OnQuarantined = (piece: Piece) => void

export class PieceStore implements Pieces {
  readonly #components: Required<Omit<PieceStoreComponents, 'catalog'>>
  readonly #catalog: Catalog | undefined
  readonly #init: PieceStoreInit
  readonly #trees = new Trees(piece => this.#readTree(piece))
  readonly #entries = new Map<string, CatalogEntry>()
  readonly #suspects = new Map<string, Piece>()
  readonly #listeners = new Set<OnQuarantined>()
  /** Bytes of all entries; what is reserved for pieces that come in is beside it. */
  #kept = 0
  #reserved = 0
  /** Bytes that the medium had left when it was last asked. */
  #free = Number.POSITIVE_INFINITY
  #absence: CairnError | undefined = new CairnError(
    'volumeMissing',
    'the volume is not at its place',
  )
  #checking: Promise<void> | undefined
  /** The volume was here once since the start. */
  #opened = false
  #looked = false
  #working = 0
  /** Renames and removals one after the other: two puts of one piece must count once. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(
    { catalog, hashing = ownThread, count = () => {}, ...components }: PieceStoreComponents,
    init: PieceStoreInit,
  ) {
    this.#components = { ...components, hashing, count }
    this.#catalog = catalog
    this.#init = init
  }

  /** Resolves also when the volume is away: `absence` says so then. */
  static async open(components: PieceStoreComponents, init: PieceStoreInit): Promise<PieceStore> {
    const store = new PieceStore(components, init)
    for await (const entry of store.#catalog?.entries() ?? []) store.#remember(entry)
    await store.check()
    return store
  }

  get location(): string {
    return this.#components.volume.location
  }

  get name(): string {
    return this.#init.name
  }

  /** Why the volume is away; undefined while it is there. */
  get absence(): CairnError | undefined {
    return this.#absence
  }

  /** Bytes that a new piece may take. */
  get room(): number {
    if (this.#absence !== undefined) return 0
    return Math.max(0, Math.min(this.#init.quota - this.#used, this.#free))
  }

  get #used(): number {
    return this.#kept + this.#reserved
  }

  /**
   * Looks whether the volume is there and is the one it should be. When it came, or came back, what
   * was under way is ended, and a catalogue that is not complete is made again.
   */
  async check(): Promise<void> {
    this.#checking ??= this.#look().finally(() => {
      this.#checking = undefined
    })
    await this.#checking
  }

  /** Somebody puts or reads: what can wait should. */
  get busy(): boolean {
    return this.#working > 0
  }

  has(piece: Piece): boolean {
    return this.#absence === undefined && this.#stateOf(piece) === PieceState.kept
  }

  list(): Piece[] {
    if (this.#absence !== undefined) return []
    return this.#inState(PieceState.kept)
  }

  held(): Piece[] {
    return [...this.#entries.values()]
      .filter(({ state }) => state !== PieceState.leaving)
      .map(({ piece }) => piece)
  }

  /** Pieces that were moved apart, or are gone. */
  lost(): Piece[] {
    return this.#inState(PieceState.damaged)
  }

  /** Knows of it, be the volume there or away. */
  knows(piece: Piece): boolean {
    return this.#stateOf(piece) === PieceState.kept
  }

  /** Pieces that should be here, be the volume there or away. */
  get count(): number {
    return this.#inState(PieceState.kept).length
  }

  usage(): PieceUsage {
    return { used: this.#used, quota: this.#init.quota }
  }

  onQuarantined(listener: OnQuarantined): void {
    this.#listeners.add(listener)
  }

  async put(source: AsyncIterable<Uint8Array>, options: PutPieceOptions = {}): Promise<Piece> {
    const piece = await this.#work(() => this.#put(source, options))
    this.#components.count('write', piece.payload)
    return piece
  }

  async read(piece: Piece, offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.#work(() => this.#read(piece, offset, length))
    this.#components.count('read', length)
    return bytes
  }

  async readProven(range: PieceRange): Promise<RangeProof> {
    const { piece } = range
    this.#checkKept(piece)
    const enclosing = enclosingRange(range)
    const { offset, length } = enclosing
    const [tree, payload] = await Promise.all([
      this.#trees.get(piece),
      this.read(piece, offset, length),
    ])
    return { payload, neighbours: rangeNeighbours(tree, enclosing) }
  }

  async prove(piece: Piece, index: number): Promise<LeafProof> {
    this.#checkKept(piece)
    const { offset, length } = subtreeRange(piece, index)
    const [tree, payload] = await Promise.all([
      this.#trees.get(piece),
      this.read(piece, offset, length),
    ])
    return this.#suspecting(piece, () => leafProof({ tree, index, payload }))
  }

  async delete(piece: Piece): Promise<void> {
    const entry = this.#entries.get(pieceKey(piece))
    if (entry === undefined || entry.state === PieceState.leaving) return
    // Gone for everybody at once; its files follow in their turn.
    this.#remember({ ...entry, state: PieceState.leaving })
    this.#forgetContent(piece)
    await this.#exclusive(async () => {
      // It came in again meanwhile, and whoever brought it was told that it is here.
      if (this.#stateOf(piece) !== PieceState.leaving) return
      await this.#catalog?.set({ ...entry, state: PieceState.leaving }, { sync: true })
      // Where the volume is away, they follow when it is back.
      if (this.#absence === undefined) await this.#leave(piece)
    })
  }

  /** Pieces whose damage was met by chance, to be looked at before others. */
  suspects(): Piece[] {
    return [...this.#suspects.values()]
  }

  /**
   * Hashes a piece again and moves it apart when its bytes are not those of its name; a tree that is
   * not is made again. True: whole.
   * Throws `pieceMissing`, the absence of the volume, and what keeps it from being read or hashed.
   */
  async verify(piece: Piece, options: VerifyOptions = {}): Promise<boolean> {
    this.#checkKept(piece)
    const fault = await this.#faultOf(piece, options)
    this.#components.count('scrub', piece.payload)
    this.#suspects.delete(pieceKey(piece))
    if (fault === undefined || this.#stateOf(piece) !== PieceState.kept) return true
    // Whoever took the disk away did not damage what is on it.
    await this.#present()
    await this.#quarantine(piece, fault)
    return false
  }

  /**
   * Walks over the volume and makes the catalogue again from what is there: payloads by their
   * lengths, trees anew where they are missing. Pieces that come in wait meanwhile.
   */
  async rebuild(): Promise<Rebuilt> {
    await this.#present()
    let rebuilt: Rebuilt | undefined
    await this.#exclusive(async () => {
      rebuilt = await this.#walk()
    })
    return rebuilt as Rebuilt
  }

  /**
   * Gives up what a volume that is away held, all of which `remember` is told first. Throws
   * `volumePresent` while it is there.
   */
  async abandon(remember: (held: readonly Piece[]) => Promise<void>): Promise<readonly Piece[]> {
    await this.check()
    check(this.#absence !== undefined, 'volumePresent', 'the volume is there', {
      facts: { location: this.location },
      next: 'only a volume that is away can be forgotten',
    })
    const lost = this.#inState(PieceState.kept)
    await this.#exclusive(async () => {
      await remember(this.held())
      await this.#catalog?.clear()
      for (const { piece, state } of [...this.#entries.values()]) {
        this.#forgetContent(piece)
        this.#forget(piece)
        if (state === PieceState.leaving) continue
        // Until the node ends, whoever paid for it can be told.
        this.#remember({ piece, state: PieceState.damaged, bytes: 0 })
      }
      this.#opened = false
    })
    this.#tell(lost)
    return lost
  }

  #tell(gone: readonly Piece[]): void {
    for (const piece of gone) for (const listener of this.#listeners) listener(piece)
  }

  async #work<T>(task: () => Promise<T>): Promise<T> {
    this.#working++
    try {
      return await task()
    } finally {
      this.#working--
    }
  }

  async #put(
    source: AsyncIterable<Uint8Array>,
    { expected, signal }: PutPieceOptions,
  ): Promise<Piece> {
    const { volume, hashing } = this.#components
    const reservation = new Reservation(bytes => {
      if (bytes > 0) checkRoom(this.usage(), bytes)
      this.#reserved += bytes
    })
    const staged: Staged[] = []
    try {
      if (expected !== undefined) reservation.growTo(bytesOf(expected))
      await this.#present()
      if (expected !== undefined) this.#checkMedium(bytesOf(expected))
      const hasher = hashing.hasher()
      const name = expected && nameOf(expected)
      const payload = tap(source, async bytes => {
        signal?.throwIfAborted()
        checkLength(hasher.payload + bytes.length, expected)
        await hasher.update(bytes)
        if (expected === undefined) reservation.growTo(bytesOf({ payload: hasher.payload }))
      })
      staged.push(await volume.stage(payload, name === undefined ? {} : { name }))
      const hashed = await hasher.digest()
      const { piece, subtrees } = hashed
      checkExpected(piece, expected)
      reservation.growTo(bytesOf(piece))
      staged.push(await volume.stage([subtrees], { name: nameOf(piece) + TREE }))
      const [payloadStaged, treeStaged] = staged as [Staged, Staged]
      // Bytes took their time to come, and the disk may have gone meanwhile.
      await this.#present()
      await this.#exclusive(async () => {
        // These bytes are right, whatever became of those that are there.
        if (this.#stateOf(piece) === PieceState.kept) {
          await this.#name(piece, payloadStaged, treeStaged)
          // A removal that began meanwhile finds it kept again when its turn comes.
          if (this.#stateOf(piece) !== PieceState.kept) this.#remember(keptOf(piece))
          return
        }
        await this.#moveIn(piece, { payload: payloadStaged, tree: treeStaged, reservation })
      })
      return piece
    } finally {
      reservation.release()
      for (const part of staged) await part.discard()
    }
  }

  async #read(piece: Piece, offset: number, length: number): Promise<Uint8Array> {
    this.#checkKept(piece)
    checkRange(piece, offset, length)
    return await this.#readName(piece, nameOf(piece), { offset, length })
  }

  async #look(): Promise<void> {
    const { log } = this.#components
    const facts = { location: this.location, volume: this.name }
    const before = this.#absence
    let absence = await this.#lookForAbsence()
    if (absence === undefined && before !== undefined) {
      absence = await this.#absenceOf(() => this.#exclusive(() => this.#takeUp()))
      if (absence === undefined) log.info(facts, 'a volume is there')
    }
    if (absence !== undefined && (absence.code !== before?.code || !this.#looked)) {
      log.error({ ...facts, err: absence }, 'a volume is away; its pieces are not served')
    }
    this.#looked = true
    this.#absence = absence
  }

  async #lookForAbsence(): Promise<CairnError | undefined> {
    const { volume } = this.#components
    const { name, owner } = this.#init
    const facts = { location: this.location, volume: name }
    return await this.#absenceOf(async () => {
      const label = await volume.label()
      check(label !== undefined, 'volumeMissing', 'the volume is not at its place', {
        facts,
        next: 'mount the disk; if it is gone for good, `cairn volumes forget` gives the place up',
      })
      if (label.volume !== name || label.owner !== owner) {
        throw new CairnError('otherVolume', 'another volume is at this place', {
          facts: { ...facts, found: label.volume },
          next: 'mount the disk that belongs here, or correct the configuration',
        })
      }
      this.#free = (await volume.free()) ?? Number.POSITIVE_INFINITY
    })
  }

  /** Why the volume does not do a task. */
  async #absenceOf(task: () => Promise<void>): Promise<CairnError | undefined> {
    try {
      await task()
      return undefined
    } catch (error) {
      return error instanceof CairnError ? error : volumeUnreachable(this.location, error)
    }
  }

  /** Throws the absence of the volume. */
  async #present(): Promise<void> {
    await this.check()
    if (this.#absence !== undefined) throw this.#absence
  }

  async #takeUp(): Promise<void> {
    const known = this.#catalog !== undefined && (await this.#catalog.complete())
    if (!this.#opened) await this.#components.volume.sweep()
    if (!this.#opened && !known) await this.#walk()
    this.#opened = true
    for (const entry of [...this.#entries.values()]) await this.#end(entry)
  }

  /** Ends what was under way with a piece when the process ended, or the volume went away. */
  async #end({ piece, state }: CatalogEntry): Promise<void> {
    const { volume } = this.#components
    if (state === PieceState.arriving) {
      const name = nameOf(piece)
      const whole =
        (await volume.size(name)) === piece.payload &&
        (await volume.size(name + TREE)) === treeBytes(piece)
      if (!whole) return await this.#leave(piece)
      await volume.remove([DAMAGED + pieceCid(piece)])
      await this.#set(keptOf(piece))
    } else if (state === PieceState.leaving) {
      await this.#leave(piece)
    } else if (state === PieceState.suspect) {
      await this.#moveApart(piece)
    }
  }

  async #moveIn(
    piece: Piece,
    { payload, tree, reservation }: { payload: Staged; tree: Staged; reservation: Reservation },
  ): Promise<void> {
    await this.#set({ ...keptOf(piece), state: PieceState.arriving }, { sync: true })
    // Not before the entry counts: a put at the same time would take the space in between.
    reservation.release()
    try {
      await this.#name(piece, payload, tree)
    } catch (error) {
      await this.#leave(piece)
      throw error
    }
    await this.#components.volume.remove([DAMAGED + pieceCid(piece)])
    await this.#set(keptOf(piece))
  }

  async #name(piece: Piece, payload: Staged, tree: Staged): Promise<void> {
    const name = nameOf(piece)
    await tree.place(name + TREE)
    await payload.place(name)
    await this.#components.volume.settle([name + TREE, name])
  }

  /** Removes everything of a piece, and its entry last. */
  async #leave(piece: Piece): Promise<void> {
    const name = nameOf(piece)
    await this.#components.volume.remove([name, name + TREE, DAMAGED + pieceCid(piece)])
    await this.#catalog?.remove(piece)
    this.#forget(piece)
  }

  async #quarantine(piece: Piece, fault: unknown): Promise<void> {
    const { log } = this.#components
    await this.#exclusive(async () => {
      const entry = this.#entries.get(pieceKey(piece))
      if (entry?.state !== PieceState.kept) return
      await this.#set({ ...entry, state: PieceState.suspect }, { sync: true })
      this.#forgetContent(piece)
      await this.#moveApart(piece)
      log.error(
        { piece: pieceCid(piece), location: this.location, err: fault },
        'a piece is damaged; it was moved apart and must be fetched again',
      )
      this.#tell([piece])
    })
  }

  async #moveApart(piece: Piece): Promise<void> {
    const { volume } = this.#components
    const name = nameOf(piece)
    const apart = DAMAGED + pieceCid(piece)
    await volume.move(name, apart)
    await volume.remove([name + TREE])
    const bytes = Math.min((await volume.size(apart)) ?? 0, COUNTED_MAX)
    await this.#set({ piece, state: PieceState.damaged, bytes }, { sync: true })
  }

  async #walk(): Promise<Rebuilt> {
    const { volume, log } = this.#components
    const known = [...this.#entries.values()]
    const sizes = new Map<string, number>()
    for await (const { name, bytes } of volume.list(PIECES)) sizes.set(name, bytes)
    const found = new Map<string, CatalogEntry>()
    const add = (entry: CatalogEntry) => found.set(pieceKey(entry.piece), entry)
    for await (const { name, bytes } of volume.list(DAMAGED)) {
      const piece = pieceNamed(name.slice(DAMAGED.length))
      if (piece === undefined) continue
      add({ piece, state: PieceState.damaged, bytes: Math.min(bytes, COUNTED_MAX) })
    }
    for (const [name, bytes] of sizes) {
      if (name.endsWith(TREE)) {
        if (!sizes.has(name.slice(0, -TREE.length))) await volume.remove([name])
        continue
      }
      const piece = pieceNamed(name.slice(name.lastIndexOf('/') + 1))
      if (piece === undefined || nameOf(piece) !== name) continue
      add(await this.#lookAt(piece, bytes, sizes.get(name + TREE)))
    }
    const damaged = [...found.values()].filter(({ piece, state }) => {
      return state === PieceState.damaged && this.#stateOf(piece) !== PieceState.damaged
    })
    const lost: Piece[] = []
    for (const { piece, state } of known) {
      const isKept = state === PieceState.kept
      if (found.has(pieceKey(piece)) || !(isKept || state === PieceState.damaged)) continue
      // Whoever paid for it has to be told.
      add({ piece, state: PieceState.damaged, bytes: 0 })
      if (!isKept) continue
      lost.push(piece)
      log.error({ piece: pieceCid(piece), location: this.location }, 'a piece is gone')
    }
    const all = () => [...found.values()].map(entry => this.#orLeaving(entry))
    await this.#catalog?.replace(all())
    const entries = all()
    this.#entries.clear()
    this.#kept = 0
    for (const entry of entries) this.#remember(entry)
    this.#tell([...damaged.map(({ piece }) => piece), ...lost])
    return { pieces: this.count, bytes: this.#kept, damaged: damaged.length, lost }
  }

  /** As it was found, unless its removal waits for its turn. */
  #orLeaving(entry: CatalogEntry): CatalogEntry {
    const { leaving } = PieceState
    return this.#stateOf(entry.piece) === leaving ? { ...entry, state: leaving } : entry
  }

  /** What a payload of that length is, beside a tree of that length. */
  async #lookAt(piece: Piece, bytes: number, tree: number | undefined): Promise<CatalogEntry> {
    const { volume, log } = this.#components
    const kept = keptOf(piece)
    if (bytes === piece.payload) {
      if (tree === treeBytes(piece)) {
        await volume.remove([DAMAGED + pieceCid(piece)])
        return kept
      }
      const hashed = await this.#hash(piece, {})
      if (pieceKey(hashed.piece) === pieceKey(piece)) {
        await this.#writeTree(hashed)
        return kept
      }
    }
    const name = nameOf(piece)
    await volume.move(name, DAMAGED + pieceCid(piece))
    await volume.remove([name + TREE])
    log.error(
      { piece: pieceCid(piece), location: this.location, bytes, expected: piece.payload },
      'a piece is damaged; it was moved apart and must be fetched again',
    )
    return { piece, state: PieceState.damaged, bytes: Math.min(bytes, COUNTED_MAX) }
  }

  /** What is wrong with a piece; undefined: nothing. */
  async #faultOf(piece: Piece, options: VerifyOptions): Promise<unknown> {
    let hashed: HashedPiece
    try {
      hashed = await this.#hash(piece, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (isOfBytes(error)) return error
      throw error
    }
    if (pieceKey(hashed.piece) !== pieceKey(piece)) return pieceDamaged(piece)
    try {
      upperTree(piece, await this.#treeBytes(piece))
    } catch {
      this.#trees.forget(piece)
      await this.#exclusive(async () => {
        if (this.#stateOf(piece) !== PieceState.kept) return
        await this.#writeTree(hashed)
        const { log } = this.#components
        log.warn({ piece: pieceCid(piece), location: this.location }, 'made a damaged tree again')
      })
    }
    return undefined
  }

  async #hash(piece: Piece, { paced, signal }: VerifyOptions): Promise<HashedPiece> {
    const { hashing, volume } = this.#components
    const hasher = hashing.hasher()
    for (let at = 0; at < piece.payload; at += REHASH_BYTES) {
      const length = Math.min(REHASH_BYTES, piece.payload - at)
      await paced?.(length)
      signal?.throwIfAborted()
      const bytes = await volume.read(nameOf(piece), at, length)
      if (bytes?.length !== length) throw pieceDamaged(piece)
      await hasher.update(bytes)
    }
    return await hasher.digest()
  }

  async #writeTree({ piece, subtrees }: HashedPiece): Promise<void> {
    const { volume, log } = this.#components
    const name = nameOf(piece) + TREE
    const staged = await volume.stage([subtrees], { name })
    try {
      await staged.place(name)
      await volume.settle([name])
    } finally {
      await staged.discard()
    }
    log.info({ piece: pieceCid(piece) }, 'made the tree of a piece again')
  }

  async #readTree(piece: Piece): Promise<UpperTree> {
    const subtrees = await this.#treeBytes(piece)
    return this.#suspecting(piece, () => upperTree(piece, subtrees))
  }

  async #treeBytes(piece: Piece): Promise<Uint8Array> {
    return await this.#readName(piece, nameOf(piece) + TREE, {
      offset: 0,
      length: treeBytes(piece),
    })
  }

  /** Exactly so many bytes; says whether the piece or the whole volume is at fault when not. */
  async #readName(
    piece: Piece,
    name: string,
    { offset, length }: { offset: number; length: number },
  ): Promise<Uint8Array> {
    let bytes: Uint8Array | undefined
    let cause: unknown
    try {
      bytes = await this.#components.volume.read(name, offset, length)
    } catch (error) {
      cause = error
    }
    if (bytes?.length === length) return bytes
    // Deleted since: its names are gone and so is its entry.
    if (this.#stateOf(piece) !== PieceState.kept) throw pieceMissing(piece)
    await this.#present()
    this.#suspect(piece)
    throw pieceDamaged(piece, cause)
  }

  /** Whoever finds wrong bytes has the piece looked at. */
  #suspecting<T>(piece: Piece, task: () => T): T {
    try {
      return task()
    } catch (error) {
      this.#suspect(piece)
      throw error
    }
  }

  #suspect(piece: Piece): void {
    if (this.#suspects.size < SUSPECTS_MAX) this.#suspects.set(pieceKey(piece), piece)
  }

  #checkKept(piece: Piece): void {
    if (this.#stateOf(piece) !== PieceState.kept) throw pieceMissing(piece)
    if (this.#absence !== undefined) throw this.#absence
  }

  #checkMedium(needed: number): void {
    if (needed <= this.#free) return
    const { used, quota } = this.usage()
    throw new CairnError('volumeFull', 'the disk of the volume has less left than its quota', {
      facts: { location: this.location, needed, used, quota, free: this.#free },
      next: 'free space on the disk, or lower the quota',
    })
  }

  #stateOf(piece: Piece): PieceState | undefined {
    return this.#entries.get(pieceKey(piece))?.state
  }

  #inState(state: PieceState): Piece[] {
    return [...this.#entries.values()].filter(entry => entry.state === state).map(e => e.piece)
  }

  async #set(entry: CatalogEntry, options: { sync?: boolean } = {}): Promise<void> {
    await this.#catalog?.set(entry, options)
    this.#remember(entry)
  }

  #remember(entry: CatalogEntry): void {
    this.#forget(entry.piece)
    this.#entries.set(pieceKey(entry.piece), entry)
    this.#kept += entry.bytes
  }

  #forget(piece: Piece): void {
    const entry = this.#entries.get(pieceKey(piece))
    if (entry === undefined) return
    this.#entries.delete(pieceKey(piece))
    this.#kept -= entry.bytes
  }

  #forgetContent(piece: Piece): void {
    this.#trees.forget(piece)
    this.#suspects.delete(pieceKey(piece))
  }

  async #exclusive(task: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(task)
    this.#turn = Promise.allSettled([run])
    await run
  }
}

/** Makes a directory a volume; throws `volumeExists` where it is one already. */
export async function createVolume({ directory, volume }: VolumeInit): Promise<void> {
  await new DirectoryVolume(directory).create({ volume, owner: '' })
}

/**
 * Opens a directory without a catalogue: it is walked over, once. Throws `volumeMissing` where it is
 * no volume, `otherVolume` where it is another one, `badVolume` and `newerVolume`.
 */
export async function openPieceStore(
  components: Omit<PieceStoreComponents, 'volume' | 'catalog'>,
  { directory, volume: name, quota }: VolumeInit & { quota: number },
): Promise<PieceStore> {
  const volume = new DirectoryVolume(directory)
  const store = await PieceStore.open({ ...components, volume }, { name, owner: '', quota })
  if (store.absence !== undefined) throw store.absence
  return store
}

/** Space taken ahead of writing, so that puts at the same time cannot overrun the quota together. */
class Reservation {
  readonly #take: (bytes: number) => void
  #bytes = 0

  /** `take` takes space, refuses it by throwing, or gives it back where it is negative. */
  constructor(take: (bytes: number) => void) {
    this.#take = take
  }

  growTo(bytes: number): void {
    const more = bytes - this.#bytes
    if (more <= 0) return
    this.#take(more)
    this.#bytes = bytes
  }

  release(): void {
    if (this.#bytes > 0) this.#take(-this.#bytes)
    this.#bytes = 0
  }
}

function nameOf(piece: Piece): string {
  const cid = pieceCid(piece)
  // Folders keep directories short: about a thousand of them.
  return `${PIECES}${cid.slice(-3, -1)}/${cid}`
}

function pieceNamed(cid: string): Piece | undefined {
  try {
    return parsePieceCid(cid)
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}

/** The bytes are wrong or not to be had, rather than that nobody could look at them. */
function isOfBytes(error: unknown): boolean {
  if (error instanceof CairnError) return error.code === 'pieceDamaged'
  return MEDIUM_FAULTS.has((error as NodeJS.ErrnoException).code ?? '')
}

function treeBytes(piece: Pick<Piece, 'payload'>): number {
  return NODE_BYTES * subtreeCount(piece)
}

function bytesOf(piece: Pick<Piece, 'payload'>): number {
  return piece.payload + treeBytes(piece)
}

function keptOf(piece: Piece): CatalogEntry {
  return { piece, state: PieceState.kept, bytes: bytesOf(piece) }
}

/** Passes each part on after it was seen. */
async function* tap(
  source: AsyncIterable<Uint8Array>,
  see: (bytes: Uint8Array) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    await see(bytes)
    yield bytes
  }
}
