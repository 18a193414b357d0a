/**
 * Puts files into the network and gets them back. What passes through on a put is kept for that time
 * in a spool of the client's own, never with what a provider keeps; a get verifies each range as it
 * comes and keeps nothing on disk.
 */
import {
  CairnError,
  check,
  checkEntry,
  chunkBytes,
  concatBytes,
  contentKey,
  type Deal,
  decodeFileEntry,
  decodeFileManifest,
  decodeFileMap,
  type Envelope,
  encodeLink,
  entryKey,
  type FileLink,
  FileManifest,
  type FileMap,
  hex,
  type Piece,
  type PieceRange,
  type Profile,
  parseLink,
  pieceKey,
  recordKey,
  sealedLength,
  segmentBytes,
  TAG_BYTES,
  type Verifier,
} from '@cairn/protocol'
import type { DealKey } from '../kinds/storage/deal-keys.ts'
import { priceOf } from '../kinds/storage/terms.ts'
import type { Clock, Log, Network } from '../ports.ts'
import { arrange, type Candidate, type Sited } from './arrange.ts'
import { blocks, slice } from './blocks.ts'
import { open } from './cipher.ts'
import { downloadPiece, downloadSegments } from './download.ts'
import { Placement, type Refusal } from './placement.ts'
import { type OpenGroup, remake } from './remake.ts'
import { Room } from './room.ts'
import { type Shape, shapeFor } from './shape.ts'
import type { Spool } from './spool.ts'
import { type Entry, SPOOL_BYTES_MAX, spoolBytes, Upload, type Uploaded } from './upload.ts'

/** Epochs until a deal begins: one for it to reach a set, one to be certain. */
const START_AHEAD = 2
/** Of the largest uploads so many are spooled at once; others wait for their turn. */
const UPLOADS_SPOOLED = 2
/** What the spool needs: theirs, and their trees and manifests. */
export const SPOOL_QUOTA = UPLOADS_SPOOLED * SPOOL_BYTES_MAX + 128 * 1024 * 1024

export interface ClientComponents {
  clock: Clock
  network: Network
  /** The client's own; it is served to those it is offered to (`servePieces`). */
  spool: Spool
  signer: DealKey
  verifier: Verifier
  log: Log
  /** Bytes that nobody can guess. */
  random(length: number): Uint8Array
  epoch(): number
  /** Providers that may be asked, in no order. */
  candidates(): readonly Candidate[]
  /** A verified range of a piece from a peer, or from this node itself. */
  range(peer: string, range: PieceRange, signal: AbortSignal): Promise<Uint8Array>
  /** Peers that keep each piece by the deals in the ledger, by `pieceKey`. */
  holders(pieces: readonly Piece[]): Promise<ReadonlyMap<string, readonly string[]>>
  publishDeal(envelope: Envelope): Promise<void>
}

export interface ClientInit {
  /** Network id. */
  network: Uint8Array
  profile: Pick<Profile, 'minDealEpochs'>
  /** Base units for a GiB and epoch, paid where a provider asks for more than was offered. */
  maxPrice?: bigint
}

export interface StoreOptions {
  /** k of n; `shapeFor` what there is, unless given. */
  shape?: Shape
  /** How long the pieces are kept. */
  epochs?: number
  /** Base units for a GiB and epoch. */
  pricePerGiB: bigint
  /** Awaited before anything of a group is proposed; deals of it may be signed from then on. */
  storing?(group: Uint8Array): Promise<void>
  signal: AbortSignal
  /** Other than 65,024 bytes, and as many segments as fit, in tests. */
  shardBytes?: number
  segmentsPerGroup?: number
}

export interface StoredFile {
  name: string
  link: string
  bytes: number
}

export interface Stored extends Uploaded {
  /** What all links of the upload are derived from. */
  key: Uint8Array
  shape: Shape
  files: StoredFile[]
  refusals: Refusal[]
}

/** What a deal may be at most. */
export interface DealLimits {
  /** Base units. */
  readonly pricePerEpoch: bigint
  readonly endEpoch: number
}

export interface RepairOptions {
  group: OpenGroup
  /** Places to be made again. */
  places: readonly number[]
  /** Providers that keep some of the group: their operators get no more of it. */
  keepers: readonly Sited[]
  /** Operators that get nothing of it, in hexadecimal. */
  barred?: ReadonlySet<string>
  /** Whose deals they are, and who signs them; the client itself unless given. */
  signer?: DealKey
  limits?: DealLimits
  /** Node indices of providers that failed the group: the last to be asked. */
  failed: ReadonlySet<number>
  epochs: number
  /** Base units for a GiB and epoch. */
  pricePerGiB: bigint
  /** Awaited before anything is proposed. */
  proposing(startEpoch: number): Promise<void>
  /** Told of each deal as it is signed, whatever becomes of the others. */
  agreed(deal: Deal): void
  signal: AbortSignal
}

export interface OpenOptions {
  /** First byte, and the one after the last; the whole unless given. */
  first?: number
  end?: number
  signal: AbortSignal
}

export interface Opened {
  name: string
  /** Length of the whole file. */
  bytes: number
  /** The range that the stream gives. */
  first: number
  end: number
  stream: AsyncIterable<Uint8Array>
}

export class Client {
  readonly #components: ClientComponents
  readonly #init: ClientInit
  readonly #placement: Placement
  readonly #room = new Room({ max: UPLOADS_SPOOLED * SPOOL_BYTES_MAX })

  constructor(components: ClientComponents, init: ClientInit) {
    this.#components = components
    this.#init = init
    this.#placement = new Placement(components, init)
  }

  /**
   * Stores files in one upload, packed together if they are several, in constant memory. Rejects with
   * `badShape`, `tooFewProviders`, `volumeFull`, or what a source throws; deals made until then stand.
   */
  async put(
    entries: Iterable<Entry> | AsyncIterable<Entry>,
    options: StoreOptions,
  ): Promise<Stored> {
    const { spool, random } = this.#components
    const { shape: asked, pricePerGiB, signal, shardBytes, segmentsPerGroup } = options
    const key = random(32)
    const shape = shapeFor(this.#operators(), asked)
    const leave = await this.#room.take(spoolBytes({ shape, ...options }), signal)
    const upload = new Upload(
      { spool, placement: this.#placement },
      {
        key,
        shape,
        candidates: () => arrange(this.#components.candidates(), below => this.#draw(below)),
        terms: payload => this.#terms(payload, pricePerGiB, options.epochs),
        nonce: () => this.#nonce(),
        storing: async group => await options.storing?.(group),
        signal,
        ...(shardBytes === undefined ? {} : { shardBytes }),
        ...(segmentsPerGroup === undefined ? {} : { segmentsPerGroup }),
      },
    )
    const uploaded = await upload.run(entries).finally(leave)
    const { manifest } = uploaded
    const files = uploaded.entries.map(({ name, bytes }, entry) => ({
      name,
      bytes,
      link: encodeLink({ manifest, entry, key: entryKey(key, entry) }),
    }))
    return { ...uploaded, key, shape, files }
  }

  /**
   * Makes pieces of a group again and has them kept by operators that keep nothing of it. Rejects with
   * `fileUnavailable`, `pieceMismatch`, `volumeFull`, and with `tooFewProviders` when some were not
   * taken; deals signed until then stand.
   */
  async repair(options: RepairOptions): Promise<void> {
    const { group, places, signal } = options
    const { spool } = this.#components
    const pieces = new Map(places.map(place => [pieceKey(pieceAt(group, place)), place]))
    const leave = await this.#room.take(pieces.size * pieceAt(group, 0).payload, signal)
    try {
      await remake(this.#components, { group, places, spool: spool.pieces, signal })
      try {
        await this.#replace(options)
      } finally {
        for (const place of pieces.values()) await spool.pieces.delete(pieceAt(group, place))
      }
    } finally {
      leave()
    }
  }

  async #replace(options: RepairOptions): Promise<void> {
    const { group, places, pricePerGiB, epochs, proposing, agreed, signal, signer } = options
    const { limits } = options
    const terms = within(this.#terms(pieceAt(group, 0).payload, pricePerGiB, epochs), limits)
    await proposing(terms.startEpoch)
    await this.#placement.place({
      pieces: places.map(place => pieceAt(group, place)),
      places,
      candidates: this.#others(options),
      terms: { ...terms, group: group.id },
      nonce: () => this.#nonce(),
      agreed,
      signal,
      ...(signer === undefined ? {} : { signer }),
      ...(limits === undefined ? {} : { mostPerEpoch: limits.pricePerEpoch }),
    })
  }

  /** Of operators that keep nothing of the group. */
  #others({ keepers, failed, barred = new Set() }: RepairOptions): Candidate[] {
    const taken = new Set([...barred, ...keepers.map(({ entry }) => hex(entry.operator))])
    const free = this.#components
      .candidates()
      .filter(({ entry }) => !taken.has(hex(entry.operator)))
    return arrange(free, below => this.#draw(below), keepers)
      .map(candidate => ({ ...candidate, last: failed.has(candidate.entry.index) }))
      .sort((a, b) => Number(a.last) - Number(b.last))
  }

  /**
   * What a link leads to, as it is fetched. Rejects with `badLink`, `oldLink`, `newerLink`,
   * `badFileManifest`, `newerFileManifest`, `wrongKey`, `badRange` or `fileUnavailable`, and so does
   * the stream.
   */
  async open(text: string, { first = 0, end, signal }: OpenOptions): Promise<Opened> {
    const link = parseLink(text)
    const { map, entry } = await this.#find(link, signal)
    const { name, bytes } = entry
    const stop = Math.min(end ?? bytes, bytes)
    check(first >= 0 && first <= stop, 'badRange', 'the range begins after the end', {
      facts: { first, end: stop, bytes },
    })
    const stream = this.#plain({ link, map, offset: entry.offset, bytes }, { first, stop }, signal)
    return { name, bytes, first, end: stop, stream }
  }

  /** The bytes of an entry from `first` up to `stop`. */
  async *#plain(
    { link, map, offset, bytes }: { link: FileLink; map: FileMap; offset: number; bytes: number },
    { first, stop }: { first: number; stop: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    if (first === stop) return
    const { layout } = map
    const chunk = chunkBytes(layout)
    const key = contentKey(link.key)
    const firstChunk = Math.floor(first / chunk)
    const endChunk = Math.ceil(stop / chunk)
    const from = offset + firstChunk * (chunk + TAG_BYTES)
    const to = offset + sealedLength(Math.min(bytes, endChunk * chunk), layout)
    const segment = segmentBytes(layout)
    const firstSegment = Math.floor(from / segment)
    const segments = downloadSegments(this.#components, {
      map,
      first: firstSegment,
      end: Math.ceil(to / segment),
      signal,
    })
    const sealed = slice(segments, from - firstSegment * segment, to - firstSegment * segment)
    let number = firstChunk
    for await (const block of blocks(chunk + TAG_BYTES)(sealed)) {
      const at = number * chunk
      yield open(key, number++, block).subarray(Math.max(0, first - at), stop - at)
    }
  }

  async #find(link: FileLink, signal: AbortSignal) {
    const { manifest, entry: number, key } = link
    const { map, entries } = decodeFileManifest(await this.#manifest(manifest, signal))
    const record = entries[number]
    if (record === undefined) {
      throw new CairnError('badFileManifest', 'the manifest has no such entry', {
        facts: { entry: number, entries: entries.length },
      })
    }
    const entry = decodeFileEntry(open(recordKey(key), 0, record))
    const found = decodeFileMap(open(entry.map, 0, map))
    checkEntry(entry, found)
    return { map: found, entry }
  }

  /** The manifest's payload: the same piece at every provider that keeps it. */
  async #manifest(piece: Piece, signal: AbortSignal): Promise<Uint8Array> {
    check(piece.payload <= FileManifest.maxSize, 'badFileManifest', 'the manifest is too long', {
      facts: { bytes: piece.payload, max: FileManifest.maxSize },
    })
    const parts: Uint8Array[] = []
    for await (const part of downloadPiece(this.#components, { piece, signal })) parts.push(part)
    return concatBytes(parts)
  }

  #operators(): number {
    const { candidates } = this.#components
    return new Set(candidates().map(({ entry }) => hex(entry.operator))).size
  }

  #terms(payload: number, pricePerGiB: bigint, epochs = this.#init.profile.minDealEpochs) {
    const now = this.#components.epoch()
    // Before genesis deals are founding ones: they begin with the network.
    const startEpoch = now < 0 ? 0 : now + START_AHEAD
    const pricePerEpoch = priceOf(pricePerGiB, payload)
    return { startEpoch, endEpoch: startEpoch + epochs, pricePerEpoch }
  }

  #nonce(): bigint {
    return new DataView(this.#components.random(8).slice().buffer).getBigUint64(0)
  }

  /** A whole number below a small one; that 2^32 is no multiple of it does not matter here. */
  #draw(below: number): number {
    const word = new DataView(this.#components.random(4).slice().buffer).getUint32(0)
    return word % below
  }
}

function pieceAt({ pieces }: Pick<OpenGroup, 'pieces'>, place: number): Piece {
  return pieces[place] as Piece
}

function within<T extends DealLimits>(terms: T, limits: DealLimits | undefined): T {
  if (limits === undefined) return terms
  const isDearer = terms.pricePerEpoch > limits.pricePerEpoch
  const { pricePerEpoch } = isDearer ? limits : terms
  return { ...terms, pricePerEpoch, endEpoch: Math.min(terms.endEpoch, limits.endEpoch) }
}
