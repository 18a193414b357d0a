/**
 * Pieces as files on one volume.
 *
 *     volume.json              names the volume, so that no other disk is taken for it
 *     incoming/                what is being written; emptied at start
 *     pieces/<xx>/<cid>        payload
 *     pieces/<xx>/<cid>.tree   roots of its 64 KiB subtrees
 *     damaged/                 files that are not what their name says
 *
 * A piece is written under `incoming`, synced, and moved in by two renames, the payload's last: a
 * payload under its name is whole. What a crash leaves is a file in `incoming` or a tree alone.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CairnError,
  enclosingRange,
  invariant,
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

const VOLUME_FILE = 'volume.json'
const INCOMING = 'incoming'
const PIECES = 'pieces'
const DAMAGED = 'damaged'
const TREE = '.tree'
/** Version of the layout above. */
const LAYOUT = 1

export interface VolumeInit {
  /** An empty directory, or one that does not exist yet. */
  directory: string
  /** A name that no other volume has. */
  volume: string
}

export interface PieceStoreInit extends VolumeInit {
  /** Bytes at most. */
  quota: number
}

export interface PieceStoreComponents {
  log: Log
  /** By default the caller's own thread. */
  hashing?: Hashing
}

/** Makes a directory a volume; throws `volumeExists` where it is one already. */
export async function createVolume({ directory, volume }: VolumeInit): Promise<void> {
  await mkdir(directory, { recursive: true })
  const text = `${JSON.stringify({ layout: LAYOUT, volume })}\n`
  try {
    await writeSynced(join(directory, VOLUME_FILE), [new TextEncoder().encode(text)])
  } catch (cause) {
    if (!isCode(cause, 'EEXIST')) throw cause
    throw new CairnError('volumeExists', 'the directory is a volume already', {
      facts: { directory },
      next: 'use it by its name, or choose an empty directory',
      cause,
    })
  }
  await syncDirectory(directory)
}

/**
 * Opens a volume, cleans up what a crash left, and counts the space taken, once. Throws
 * `volumeMissing` where the directory is no volume (an unmounted disk), `otherVolume` where it is
 * another one, and `newerVolume`.
 */
export async function openPieceStore(
  { log, hashing = ownThread }: PieceStoreComponents,
  init: PieceStoreInit,
): Promise<PieceStore> {
  await checkVolume(init)
  const { directory } = init
  await rm(join(directory, INCOMING), { recursive: true, force: true })
  for (const name of [INCOMING, PIECES]) await mkdir(join(directory, name), { recursive: true })
  return new PieceStore({ hashing }, init, await new Recovery(directory, { log, hashing }).run())
}

export class PieceStore implements Pieces {
  readonly #hashing: Hashing
  readonly #directory: string
  readonly #quota: number
  readonly #pieces: Map<string, Piece>
  readonly #trees = new Trees(piece => this.#tree(piece))
  #used = 0
  #written = 0
  /** Renames and deletions one after the other: two puts of one piece must count once. */
  #turn: Promise<unknown> = Promise.resolve()

  /** `pieces` is what the volume holds. */
  constructor(
    { hashing }: { hashing: Hashing },
    { directory, quota }: PieceStoreInit,
    pieces: readonly Piece[],
  ) {
    this.#hashing = hashing
    this.#directory = directory
    this.#quota = quota
    this.#pieces = new Map(pieces.map(piece => [pieceKey(piece), piece]))
    for (const piece of pieces) this.#used += bytesOf(piece)
  }

  has(piece: Piece): boolean {
    return this.#pieces.has(pieceKey(piece))
  }

  list(): Piece[] {
    return [...this.#pieces.values()]
  }

  usage(): PieceUsage {
    return { used: this.#used, quota: this.#quota }
  }

  async put(
    source: AsyncIterable<Uint8Array>,
    { expected, signal }: PutPieceOptions = {},
  ): Promise<Piece> {
    const reservation = new Reservation(bytes => {
      checkRoom(this.usage(), bytes)
      this.#used += bytes
    })
    const incoming = join(this.#directory, INCOMING, String(this.#written++))
    try {
      if (expected !== undefined) reservation.growTo(bytesOf(expected))
      const hasher = this.#hashing.hasher()
      await writeSynced(
        incoming,
        tap(source, async bytes => {
          signal?.throwIfAborted()
          checkLength(hasher.payload + bytes.length, expected)
          await hasher.update(bytes)
          if (expected === undefined) {
            reservation.growTo(bytesOf({ payload: hasher.payload }))
          }
        }),
      )
      const { piece, subtrees } = await hasher.digest()
      checkExpected(piece, expected)
      reservation.growTo(bytesOf(piece))
      await writeSynced(incoming + TREE, [subtrees])
      await this.#exclusive(async () => {
        if (this.has(piece)) return
        await this.#moveIn(incoming, piece)
        this.#pieces.set(pieceKey(piece), piece)
        reservation.keep()
      })
      return piece
    } finally {
      reservation.release()
      await rm(incoming, { force: true })
      await rm(incoming + TREE, { force: true })
    }
  }

  async read(piece: Piece, offset: number, length: number): Promise<Uint8Array> {
    if (!this.has(piece)) throw pieceMissing(piece)
    checkRange(piece, offset, length)
    try {
      return await readRange(this.#path(piece), offset, length)
    } catch (cause) {
      // Deleted since: the file is gone and so is its entry.
      throw this.has(piece) ? pieceDamaged(piece, cause) : pieceMissing(piece)
    }
  }

  async readProven(range: PieceRange): Promise<RangeProof> {
    const { piece } = range
    if (!this.has(piece)) throw pieceMissing(piece)
    const enclosing = enclosingRange(range)
    const { offset, length } = enclosing
    const [tree, payload] = await Promise.all([
      this.#trees.get(piece),
      this.read(piece, offset, length),
    ])
    return { payload, neighbours: rangeNeighbours(tree, enclosing) }
  }

  async prove(piece: Piece, index: number): Promise<LeafProof> {
    if (!this.has(piece)) throw pieceMissing(piece)
    const { offset, length } = subtreeRange(piece, index)
    const [tree, payload] = await Promise.all([
      this.#trees.get(piece),
      this.read(piece, offset, length),
    ])
    return leafProof({ tree, index, payload })
  }

  async delete(piece: Piece): Promise<void> {
    // Gone for everybody at once; its file follows in its turn, before any that is moved in again.
    if (!this.#pieces.delete(pieceKey(piece))) return
    this.#trees.forget(piece)
    await this.#exclusive(async () => {
      const path = this.#path(piece)
      await rm(path, { force: true })
      await rm(path + TREE, { force: true })
      this.#used -= bytesOf(piece)
    })
  }

  async #moveIn(incoming: string, piece: Piece): Promise<void> {
    const folder = join(this.#directory, PIECES, folderOf(pieceCid(piece)))
    const made = await mkdir(folder, { recursive: true })
    const path = this.#path(piece)
    await rename(incoming + TREE, path + TREE)
    await rename(incoming, path)
    await syncDirectory(folder)
    if (made !== undefined) await syncDirectory(join(this.#directory, PIECES))
  }

  async #tree(piece: Piece): Promise<UpperTree> {
    let subtrees: Uint8Array
    try {
      subtrees = await readFile(this.#path(piece) + TREE)
    } catch (cause) {
      throw this.has(piece) ? pieceDamaged(piece, cause) : pieceMissing(piece)
    }
    return upperTree(piece, new Uint8Array(subtrees))
  }

  #path(piece: Piece): string {
    const cid = pieceCid(piece)
    return join(this.#directory, PIECES, folderOf(cid), cid)
  }

  async #exclusive(task: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(task)
    this.#turn = Promise.allSettled([run])
    await run
  }
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

  /** The space belongs to a piece now. */
  keep(): void {
    this.#bytes = 0
  }

  release(): void {
    if (this.#bytes > 0) this.#take(-this.#bytes)
    this.#bytes = 0
  }
}

/** One walk over the volume, at start. */
class Recovery {
  readonly #directory: string
  readonly #log: Log
  readonly #hashing: Hashing

  constructor(directory: string, { log, hashing }: Required<PieceStoreComponents>) {
    this.#directory = directory
    this.#log = log
    this.#hashing = hashing
  }

  async run(): Promise<Piece[]> {
    const found: Piece[] = []
    const root = join(this.#directory, PIECES)
    for (const folder of await readdir(root, { withFileTypes: true })) {
      if (!folder.isDirectory()) continue
      const path = join(root, folder.name)
      const names = new Set(await readdir(path))
      for (const name of names) {
        if (name.endsWith(TREE)) {
          // A crash between the two renames: the payload never got its name.
          if (!names.has(name.slice(0, -TREE.length))) await rm(join(path, name))
          continue
        }
        const piece = nameOf(name)
        if (piece === undefined || folderOf(name) !== folder.name) continue
        if (await this.#check(join(path, name), piece)) found.push(piece)
      }
    }
    return found
  }

  /** True when payload and tree are of the right length; a tree that is not is made again. */
  async #check(path: string, piece: Piece): Promise<boolean> {
    const { size } = await stat(path)
    if (size === piece.payload) {
      if ((await sizeOf(path + TREE)) === treeBytes(piece)) return true
      const { piece: hashed, subtrees } = await this.#hashing.file(path)
      if (pieceKey(hashed) === pieceKey(piece)) {
        await rm(path + TREE, { force: true })
        await writeSynced(path + TREE, [subtrees])
        this.#log.info({ piece: pieceCid(piece) }, 'made the tree of a piece again')
        return true
      }
    }
    const apart = join(this.#directory, DAMAGED)
    await mkdir(apart, { recursive: true })
    await rename(path, join(apart, pieceCid(piece)))
    await rm(path + TREE, { force: true })
    this.#log.error(
      { piece: pieceCid(piece), size, expected: piece.payload },
      'a piece on the volume is damaged; it was moved apart and must be fetched again',
    )
    return false
  }
}

async function checkVolume({ directory, volume }: VolumeInit): Promise<void> {
  let text: string
  try {
    text = await readFile(join(directory, VOLUME_FILE), 'utf8')
  } catch (cause) {
    if (!isCode(cause, 'ENOENT')) throw cause
    throw new CairnError('volumeMissing', 'the directory is not a volume of this node', {
      facts: { directory, volume },
      next: 'mount the disk, or create the volume if it is new',
      cause,
    })
  }
  const found = parseVolume(text, directory)
  if (found.layout > LAYOUT) {
    throw new CairnError('newerVolume', 'a newer version of cairn wrote this volume', {
      facts: { directory, found: found.layout, known: LAYOUT },
      next: 'install the version that wrote it',
    })
  }
  if (found.volume !== volume) {
    throw new CairnError('otherVolume', 'another volume is mounted at this directory', {
      facts: { directory, expected: volume, found: found.volume },
      next: 'mount the disk that belongs here, or correct the configuration',
    })
  }
}

function parseVolume(text: string, directory: string): { layout: number; volume: string } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw badVolume(directory, cause)
  }
  const { layout, volume } = (value ?? {}) as { layout?: unknown; volume?: unknown }
  if (typeof layout !== 'number' || typeof volume !== 'string') throw badVolume(directory)
  return { layout, volume }
}

function badVolume(directory: string, cause?: unknown): CairnError {
  return new CairnError('badVolume', `${VOLUME_FILE} does not name a volume`, {
    facts: { directory },
    cause,
  })
}

/** Folders keep directories short: about a thousand of them. */
function folderOf(cid: string): string {
  return cid.slice(-3, -1)
}

function nameOf(name: string): Piece | undefined {
  try {
    return parsePieceCid(name)
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}

function treeBytes(piece: Pick<Piece, 'payload'>): number {
  return NODE_BYTES * subtreeCount(piece)
}

function bytesOf(piece: Pick<Piece, 'payload'>): number {
  return piece.payload + treeBytes(piece)
}

async function readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
  const file = await open(path, 'r')
  try {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at, offset + at)
      invariant(bytesRead > 0, 'a piece’s file is as long as its name says')
      at += bytesRead
    }
    return bytes
  } finally {
    await file.close()
  }
}

/** Writes a new file and syncs it. */
async function writeSynced(
  path: string,
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const file = await open(path, 'wx')
  try {
    for await (const part of parts) await writeAll(file, part)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
    at += bytesWritten
  }
}

/** Makes renames in a directory durable. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code
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
