/**
 * Puts bytes into the network and gets them back. What passes through is kept for that time in a
 * piece store of the client's own, never a provider's: providers pull from it, and what is fetched
 * is verified in it before anybody gets a byte.
 */
import { createHash } from 'node:crypto'
import {
  check,
  type Envelope,
  invariant,
  PIECE_PAYLOAD_MAX,
  type Piece,
  type Profile,
  payloadCapacity,
  pieceCid,
  pieceKey,
  RANGE_BYTES,
  type Verifier,
} from '@cairn/protocol'
import { pipe } from 'it-pipe'
import type { Pieces } from '../pieces/pieces.ts'
import { pullPiece } from '../pieces/transfer.ts'
import type { Clock, Log, Network } from '../ports.ts'
import { encodeLink, parseLink } from './link.ts'
import { decodePieceList, LISTED_PIECES_MAX, PieceList } from './piece-list.ts'
import { type Candidate, type DealSigner, Placement } from './placement.ts'
import { type Bytes, split } from './split.ts'

/** Payload of a tree of 8 MiB. */
export const PIECE_BYTES_DEFAULT = payloadCapacity(18)
const COPIES_DEFAULT = 2
/** Pieces that are with providers at once, while the next ones are stored here. */
const PLACING_MAX = 4
/** Epochs until a deal begins: one for it to reach a set, one to be certain. */
const START_AHEAD = 2
/** Peers among which the ranges of one piece are dealt. */
const HOLDERS_MAX = 8
const GIB = 2n ** 30n

export interface ClientComponents {
  clock: Clock
  network: Network
  /** The client's own; it serves what is in it (`servePieces`). */
  cache: Pieces
  /** What this node keeps as a provider: read before anybody is asked. */
  shelf?: Pieces
  signer: DealSigner
  verifier: Verifier
  log: Log
  /** Bytes that nobody can guess. */
  random(length: number): Uint8Array
  epoch(): number
  /** Providers to ask, in order of preference. */
  candidates(): readonly Candidate[]
  /** Peers that keep a piece by the deals in the ledger. */
  holders(piece: Piece): Promise<readonly string[]>
  publishDeal(envelope: Envelope): Promise<void>
}

export interface ClientInit {
  /** Network id. */
  network: Uint8Array
  profile: Pick<Profile, 'minDealEpochs'>
}

export interface PutOptions {
  /** Payload of each piece but the last, bytes. */
  pieceBytes?: number
  /** Operators that keep each piece. */
  copies?: number
  /** How long they keep it. */
  epochs?: number
  /** Base units for a GiB and epoch. */
  pricePerGiB: bigint
  signal: AbortSignal
}

export interface PutResult {
  link: string
  /** Without the one that lists them. */
  pieces: Piece[]
  bytes: number
}

export interface GetOptions {
  /** Bytes at the beginning that the caller has already. */
  from?: number
  signal: AbortSignal
}

export interface GetResult {
  /** What the sink got, bytes. */
  bytes: number
  /** SHA-256 of what the sink got, hexadecimal. */
  sha256: string
}

export interface Opened {
  bytes: number
  stream: AsyncIterable<Uint8Array>
}

export class Client {
  readonly #components: ClientComponents
  readonly #init: ClientInit
  readonly #placement: Placement
  /** How many transfers need a piece in the cache; at none it is deleted. */
  readonly #needed = new Map<string, number>()

  constructor(components: ClientComponents, init: ClientInit) {
    this.#components = components
    this.#init = init
    this.#placement = new Placement(components, init)
  }

  /**
   * Stores the bytes with providers, piece by piece, in constant memory. Rejects with
   * `tooFewProviders`, `tooManyPieces`, `volumeFull`, or what the source throws; deals made until
   * then stand.
   */
  async put(source: Bytes, options: PutOptions): Promise<PutResult> {
    const { pieceBytes = PIECE_BYTES_DEFAULT } = options
    check(
      Number.isInteger(pieceBytes) && pieceBytes > 0 && pieceBytes <= PIECE_PAYLOAD_MAX,
      'pieceSize',
      `a piece has 1 to ${PIECE_PAYLOAD_MAX} bytes`,
      { facts: { pieceBytes } },
    )
    const upload = new Upload(this.#components, this.#placement, this.#init, options)
    const pieces: Piece[] = []
    try {
      await pipe(source, split(pieceBytes), async payloads => {
        for await (const payload of payloads) {
          check(pieces.length < LISTED_PIECES_MAX, 'tooManyPieces', 'too many pieces', {
            facts: { max: LISTED_PIECES_MAX, pieceBytes },
            next: 'choose larger pieces',
          })
          pieces.push(await this.#store(payload, options.signal, upload))
        }
      })
      const bytes = pieces.reduce((sum, { payload }) => sum + payload, 0)
      const list = PieceList.serialize({ bytes: BigInt(bytes), pieces })
      const root = await this.#store([list], options.signal, upload)
      await upload.finish()
      return { link: encodeLink(root), pieces, bytes }
    } finally {
      await upload.end()
      for (const piece of upload.stored) await this.#release(piece)
    }
  }

  /**
   * What a link leads to from byte `from` on, as it is fetched; each piece is verified before any
   * of it is given. Rejects with `badLink`, `badPieceList` or `pieceUnavailable`, and so does the
   * stream.
   */
  async open(link: string, { from = 0, signal }: GetOptions): Promise<Opened> {
    const root = parseLink(link)
    const list = decodePieceList(await this.#whole(root, signal))
    check(from >= 0 && BigInt(from) <= list.bytes, 'badRange', 'begins after the end', {
      facts: { from, bytes: Number(list.bytes) },
    })
    return { bytes: Number(list.bytes) - from, stream: this.#payloads(list, from, signal) }
  }

  /**
   * Fetches what a link leads to. Each piece is verified before the sink gets a byte of it. Rejects
   * with `badLink`, `badPieceList`, `pieceUnavailable`, or what the sink throws; pieces that are here
   * whole are not fetched again by the next call.
   */
  async get(
    link: string,
    sink: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
    { from = 0, signal }: GetOptions,
  ): Promise<GetResult> {
    const opened = await this.open(link, { from, signal })
    const hash = createHash('sha256')
    let bytes = 0
    await pipe(
      opened.stream,
      async function* count(source: AsyncIterable<Uint8Array>) {
        for await (const part of source) {
          hash.update(part)
          bytes += part.length
          yield part
        }
      },
      sink,
    )
    check(bytes === opened.bytes, 'sinkEnded', 'the sink took not all bytes', {
      facts: { bytes, expected: opened.bytes },
    })
    return { bytes, sha256: hash.digest('hex') }
  }

  async #store(payload: Bytes, signal: AbortSignal, upload: Upload): Promise<Piece> {
    const piece = await this.#components.cache.put(iterate(payload), { signal })
    this.#hold(piece)
    await upload.add(piece)
    return piece
  }

  async *#payloads(
    { pieces }: PieceList,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let start = 0
    for (const piece of pieces) {
      const end = start + piece.payload
      if (end > from) yield* this.#payload(piece, Math.max(0, from - start), signal)
      start = end
    }
  }

  /** Deleted from the cache once it was passed on, and kept there when it was not. */
  async *#payload(piece: Piece, from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { cache } = this.#components
    // Held before it is looked for: a transfer that ends meanwhile must not delete it.
    this.#hold(piece)
    let offset = from
    try {
      await this.#fetch(piece, signal)
      for (; offset < piece.payload; ) {
        signal.throwIfAborted()
        const length = Math.min(RANGE_BYTES, piece.payload - offset)
        yield await cache.read(piece, offset, length)
        offset += length
      }
    } finally {
      await this.#release(piece, { keep: offset < piece.payload })
    }
  }

  async #whole(piece: Piece, signal: AbortSignal): Promise<Uint8Array> {
    check(piece.payload <= PieceList.maxSize, 'badPieceList', 'the list is too long', {
      facts: { bytes: piece.payload, max: PieceList.maxSize },
    })
    const parts: Uint8Array[] = []
    for await (const part of this.#payload(piece, 0, signal)) parts.push(part)
    return Buffer.concat(parts)
  }

  /** Ranges are dealt among the holders, and verified as they come. */
  async #fetch(piece: Piece, signal: AbortSignal): Promise<void> {
    const { cache, shelf, clock, network, holders, log } = this.#components
    if (cache.has(piece)) return
    if (shelf?.has(piece) === true) {
      await cache.put(payloadOf(shelf, piece), { expected: piece, signal })
      return
    }
    const peers = (await holders(piece)).filter(peer => peer !== network.self).slice(0, HOLDERS_MAX)
    const onRefused = (peer: string, code: string) => {
      log.warn({ piece: pieceCid(piece), peer, code }, 'a holder does not give a piece')
    }
    const source = pullPiece({ network, clock }, { piece, peers, signal, onRefused })
    await cache.put(source, { expected: piece, signal })
  }

  #hold(piece: Piece): void {
    const key = pieceKey(piece)
    this.#needed.set(key, (this.#needed.get(key) ?? 0) + 1)
  }

  async #release(piece: Piece, { keep = false } = {}): Promise<void> {
    const key = pieceKey(piece)
    const left = (this.#needed.get(key) ?? 0) - 1
    invariant(left >= 0, 'a piece is released as often as it was held')
    if (left > 0) {
      this.#needed.set(key, left)
      return
    }
    this.#needed.delete(key)
    if (!keep) await this.#components.cache.delete(piece)
  }
}

/** The deals of one upload: a few pieces are placed at once. */
class Upload {
  /** Every piece that was added, as often as it was. */
  readonly stored: Piece[] = []
  readonly #components: ClientComponents
  readonly #placement: Placement
  readonly #init: ClientInit
  readonly #options: PutOptions
  readonly #group: Uint8Array
  readonly #placing = new Set<Promise<void>>()
  readonly #stopped = new AbortController()
  #failure: { error: unknown } | undefined

  constructor(
    components: ClientComponents,
    placement: Placement,
    init: ClientInit,
    options: PutOptions,
  ) {
    this.#components = components
    this.#placement = placement
    this.#init = init
    this.#options = options
    this.#group = components.random(32)
  }

  /** Resolves when there is room for the next one; rejects when any could not be placed. */
  async add(piece: Piece): Promise<void> {
    const number = this.stored.push(piece) - 1
    const placing = this.#place(piece, number)
      .catch((error: unknown) => {
        this.#failure ??= { error }
        this.#stopped.abort(error)
      })
      .finally(() => this.#placing.delete(placing))
    this.#placing.add(placing)
    while (this.#placing.size >= PLACING_MAX) await Promise.race(this.#placing)
    this.#check()
  }

  async finish(): Promise<void> {
    await Promise.all(this.#placing)
    this.#check()
  }

  /** Gives up what is under way. */
  async end(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#placing)
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #place(piece: Piece, number: number): Promise<void> {
    const { candidates, epoch, random } = this.#components
    const { copies = COPIES_DEFAULT, pricePerGiB, signal } = this.#options
    const { epochs = this.#init.profile.minDealEpochs } = this.#options
    const now = epoch()
    // Before genesis deals are founding ones: they begin with the network.
    const startEpoch = now < 0 ? 0 : now + START_AHEAD
    const price = (pricePerGiB * BigInt(piece.payload) + GIB - 1n) / GIB
    await this.#placement.place({
      piece,
      copies,
      candidates: rotated(candidates(), number * copies),
      terms: {
        group: this.#group,
        place: number * copies,
        startEpoch,
        endEpoch: startEpoch + epochs,
        pricePerEpoch: price > 0n ? price : 1n,
      },
      nonce: () => new DataView(random(8).slice().buffer).getBigUint64(0),
      signal: AbortSignal.any([signal, this.#stopped.signal]),
    })
  }
}

/** Spreads an upload over the providers: each piece begins with others. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

/** A kept piece in ranges. */
async function* payloadOf(shelf: Pieces, piece: Piece): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < piece.payload; offset += RANGE_BYTES) {
    yield await shelf.read(piece, offset, Math.min(RANGE_BYTES, piece.payload - offset))
  }
}

async function* iterate(bytes: Bytes): AsyncGenerator<Uint8Array> {
  yield* bytes
}
