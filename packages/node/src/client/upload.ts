/** One upload: the way of one file, or of a pack of small ones, from its bytes to its deals. */
import {
  chunkBytes,
  contentKey,
  type Deal,
  encodeFileEntry,
  encodeFileManifest,
  encodeFileMap,
  entryKey,
  type FileLayout,
  type FileMap,
  groupId,
  manifestGroupId,
  mapKey,
  maskKey,
  type Piece,
  recordKey,
  SHARD_BYTES,
  sealedLength,
  segmentBytes,
} from '@cairn/protocol'
import { pipe } from 'it-pipe'
import type { Candidate } from './arrange.ts'
import { abortable, type Bytes, blocks } from './blocks.ts'
import { seal } from './cipher.ts'
import { type EncodedGroup, encodeGroups } from './encoder.ts'
import type { Placed, Placement, Refusal } from './placement.ts'
import { manifestCopies, type Shape } from './shape.ts'
import type { Spool } from './spool.ts'

/** Segments of a group: pieces of 16 MiB at most, so that a GiB at 10 of 30 is 210 pieces. */
const SEGMENTS_PER_GROUP_MAX = 256
/** Disk that an upload takes: groups being placed, and the next one being encoded. */
export const SPOOL_BYTES_MAX = 1024 ** 3
const GROUPS_SPOOLED_MIN = 2
/** Groups of few pieces are placed side by side, so that no provider waits for the slowest. */
const GROUPS_SPOOLED_MAX = 4

export interface Entry {
  name: string
  bytes: Bytes
}

export interface StoredEntry {
  name: string
  /** Where it begins in the sealed stream. */
  offset: number
  bytes: number
}

export interface UploadInit {
  /** 32 random bytes, used for nothing else. */
  key: Uint8Array
  shape: Shape
  /** Other than 65,024 in tests. */
  shardBytes?: number
  /** Other than what the spool allows in tests. */
  segmentsPerGroup?: number
  /** Providers in the order in which they are to be asked; called for each group. */
  candidates(): readonly Candidate[]
  /** What the deals of pieces of that payload have in common but for the group. */
  terms(payload: number): Omit<Deal, 'client' | 'provider' | 'piece' | 'place' | 'nonce' | 'group'>
  nonce(): bigint
  /** Awaited before anything of a group is proposed. */
  storing(group: Uint8Array): Promise<void>
  signal: AbortSignal
}

export interface Uploaded {
  map: FileMap
  entries: StoredEntry[]
  manifest: Piece
  /** The manifest's payload. */
  sealed: Uint8Array
  refusals: Refusal[]
}

export interface UploadComponents {
  spool: Spool
  placement: Placement
}

export class Upload {
  readonly #components: UploadComponents
  readonly #init: UploadInit
  readonly #shape: Pick<FileLayout, 'data' | 'total' | 'shardBytes' | 'segmentsPerGroup'>
  readonly #mask: Uint8Array
  readonly #entries: StoredEntry[] = []
  readonly #groups: (readonly Piece[])[] = []
  readonly #refusals: Refusal[] = []
  readonly #stopped = new AbortController()

  constructor(components: UploadComponents, init: UploadInit) {
    this.#components = components
    this.#init = init
    const { data, total } = init.shape
    const { shardBytes = SHARD_BYTES, segmentsPerGroup = segmentsFor(total, shardBytes) } = init
    this.#shape = { data, total, shardBytes, segmentsPerGroup }
    this.#mask = maskKey(init.key)
  }

  /**
   * Rejects with `tooFewProviders`, `volumeFull`, or what a source throws; deals that were signed
   * until then stand.
   */
  async run(entries: Iterable<Entry> | AsyncIterable<Entry>): Promise<Uploaded> {
    const signal = AbortSignal.any([this.#init.signal, this.#stopped.signal])
    const { spool } = this.#components
    await pipe(
      this.#sealed(entries),
      blocks(segmentBytes(this.#shape)),
      encodeGroups({ shape: this.#shape, mask: this.#mask, spool: spool.pieces, signal }),
      groups => this.#placeAll(groups, signal),
    )
    const map = { layout: this.#layout(), mask: this.#mask, groups: this.#groups }
    const sealed = this.#manifest(map)
    const manifest = await spool.pieces.put(once(sealed), { signal })
    const pieces = Array.from({ length: manifestCopies(this.#shape) }, () => manifest)
    await this.#place(pieces, manifestGroupId(this.#mask), signal)
    return { map, entries: this.#entries, manifest, sealed, refusals: this.#refusals }
  }

  /** The sealed chunks of all entries. */
  async *#sealed(entries: Iterable<Entry> | AsyncIterable<Entry>): AsyncGenerator<Uint8Array> {
    let offset = 0
    let number = 0
    for await (const { name, bytes } of entries) {
      const key = contentKey(entryKey(this.#init.key, number++))
      let length = 0
      let chunk = 0
      const signal = AbortSignal.any([this.#init.signal, this.#stopped.signal])
      for await (const plain of blocks(chunkBytes(this.#shape))(abortable(bytes, signal))) {
        length += plain.length
        yield seal(key, chunk++, plain)
      }
      this.#entries.push({ name, offset, bytes: length })
      offset += sealedLength(length, this.#shape)
    }
  }

  /** Groups are placed while the next one is encoded. */
  async #placeAll(groups: AsyncIterable<EncodedGroup>, signal: AbortSignal): Promise<void> {
    const placing = new Set<Promise<void>>()
    const spooled = groupsSpooled(this.#shape)
    try {
      for await (const { number, pieces } of groups) {
        this.#groups.push(pieces)
        const placed = this.#place(pieces, groupId(this.#mask, number), signal)
        placing.add(placed)
        placed.then(
          () => placing.delete(placed),
          // A group that cannot be placed ends the encoding of the next one.
          (error: unknown) => this.#stopped.abort(error),
        )
        // The next one is encoded beside those.
        if (placing.size >= spooled) await Promise.race(placing)
      }
      await Promise.all(placing)
    } catch (error) {
      this.#stopped.abort(error)
      await Promise.allSettled(placing)
      throw this.#init.signal.aborted ? this.#init.signal.reason : this.#stopped.signal.reason
    }
  }

  /** Takes the pieces out of the spool whatever happens. */
  async #place(pieces: readonly Piece[], group: Uint8Array, signal: AbortSignal): Promise<void> {
    const { spool, placement } = this.#components
    const { candidates, terms, nonce, storing } = this.#init
    try {
      await storing(group)
      const { payload } = pieces[0] as Piece
      const placed: Placed = await placement.place({
        pieces,
        candidates: candidates(),
        terms: { ...terms(payload), group },
        nonce,
        signal,
      })
      this.#refusals.push(...placed.refusals)
    } finally {
      for (const piece of new Set(pieces)) await spool.pieces.delete(piece)
    }
  }

  #layout(): FileLayout {
    const last = this.#entries.at(-1)
    const sealed = last === undefined ? 0 : last.offset + sealedLength(last.bytes, this.#shape)
    return { ...this.#shape, sealed }
  }

  #manifest(map: FileMap): Uint8Array {
    const { key } = this.#init
    const opensMap = mapKey(key)
    return encodeFileManifest({
      map: seal(opensMap, 0, encodeFileMap(map)),
      entries: this.#entries.map((entry, number) =>
        seal(recordKey(entryKey(key, number)), 0, encodeFileEntry({ ...entry, map: opensMap })),
      ),
    })
  }
}

/** What an upload has in the spool at most. */
export function spoolBytes({
  shape,
  ...init
}: Pick<UploadInit, 'shape' | 'shardBytes' | 'segmentsPerGroup'>): number {
  const { shardBytes = SHARD_BYTES } = init
  const { segmentsPerGroup = segmentsFor(shape.total, shardBytes) } = init
  const { total } = shape
  return (
    groupsSpooled({ total, shardBytes, segmentsPerGroup }) * total * shardBytes * segmentsPerGroup
  )
}

/** As many as the spool holds, within bounds. */
function groupsSpooled({
  total,
  shardBytes,
  segmentsPerGroup,
}: Pick<FileLayout, 'total' | 'shardBytes' | 'segmentsPerGroup'>): number {
  const fitting = Math.floor(SPOOL_BYTES_MAX / (total * shardBytes * segmentsPerGroup))
  return Math.max(GROUPS_SPOOLED_MIN, Math.min(GROUPS_SPOOLED_MAX, fitting))
}

/** As many as the spool holds twice. */
function segmentsFor(total: number, shardBytes: number): number {
  const fitting = Math.floor(SPOOL_BYTES_MAX / (GROUPS_SPOOLED_MIN * total * shardBytes))
  return Math.min(SEGMENTS_PER_GROUP_MAX, fitting)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
