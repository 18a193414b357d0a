/** One download: gets a file's segments back from any k of the n pieces of their group. */
import {
  type FileLayout,
  type FileMap,
  groupKey,
  type Piece,
  pieceKey,
  RANGE_BYTES,
  ReedSolomon,
  segmentBytes,
  segmentPlace,
  shardKey,
} from '@cairn/protocol'
import { Mask } from './cipher.ts'
import { type FetchComponents, Fetcher, type Source } from './fetch.ts'

/** Plain bytes that are fetched together. */
const WINDOW_BYTES = 16 * 1024 * 1024
/** Bytes under way or waiting to be read, beside those being read. */
const AHEAD_BYTES = 32 * 1024 * 1024
/** Windows ahead at most: a file of one copy comes in small ones. */
const WINDOWS_AHEAD_MAX = 8

export interface DownloadComponents extends FetchComponents {
  /** Peers that keep each piece by the deals in the ledger, by `pieceKey`. */
  holders(pieces: readonly Piece[]): Promise<ReadonlyMap<string, readonly string[]>>
}

/** Consecutive segments of a group, fetched together. */
interface Window {
  readonly group: number
  readonly first: number
  readonly end: number
  /** Bytes `start` to `stop` of every piece. */
  readonly start: number
  readonly stop: number
}

/** The sealed stream from segment `first` up to `end`. Throws `fileUnavailable`. */
export async function* downloadSegments(
  components: DownloadComponents,
  { map, first, end, signal }: { map: FileMap; first: number; end: number; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const stopped = new AbortController()
  const download = new Download(components, map, AbortSignal.any([signal, stopped.signal]))
  const windows = windowsOf(map.layout, first, end)
  const underWay: Promise<Uint8Array[]>[] = []
  const start = () => {
    const { value: window } = windows.next()
    if (window === undefined) return
    const fetched = download.window(window)
    // Its rejection is passed on when its turn comes; until then it is not unhandled.
    void Promise.allSettled([fetched])
    underWay.push(fetched)
  }
  try {
    for (let i = 0; i < windowsAhead(map.layout); i++) start()
    for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) {
      const segments = await next
      start()
      yield* segments
    }
  } finally {
    stopped.abort()
    await Promise.allSettled(underWay)
  }
}

/** A piece of which every holder has the whole. Throws `fileUnavailable`. */
export async function* downloadPiece(
  components: DownloadComponents,
  { piece, signal }: { piece: Piece; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const fetcher = new Fetcher(components)
  for (let start = 0; start < piece.payload; start += RANGE_BYTES) {
    const stop = Math.min(piece.payload, start + RANGE_BYTES)
    const rows = await fetcher.rows({
      start,
      stop,
      wanted: 1,
      sources: async () => {
        const peers = (await components.holders([piece])).get(pieceKey(piece)) ?? []
        return peers.map((peer, place) => ({ place, piece, peer }))
      },
      signal,
    })
    for (const bytes of rows.values()) yield bytes
  }
}

class Download {
  readonly #components: DownloadComponents
  readonly #map: FileMap
  readonly #signal: AbortSignal
  readonly #code: ReedSolomon
  readonly #fetcher: Fetcher
  /** Of the groups that windows under way belong to. */
  readonly #sources = new Map<number, Promise<readonly Source[]>>()

  constructor(components: DownloadComponents, map: FileMap, signal: AbortSignal) {
    this.#components = components
    this.#map = map
    this.#signal = signal
    this.#code = new ReedSolomon(map.layout)
    this.#fetcher = new Fetcher(components)
  }

  async window(window: Window): Promise<Uint8Array[]> {
    const { group, start, stop } = window
    const rows = await this.#fetcher.rows({
      start,
      stop,
      wanted: this.#map.layout.data,
      sources: again => this.#sourcesOf(group, again),
      signal: this.#signal,
    })
    return this.#decoded(window, rows)
  }

  /** The segments of a window from any k of its rows of shards. */
  #decoded({ group, first, end, start }: Window, masked: Map<number, Uint8Array>): Uint8Array[] {
    const { layout, mask } = this.#map
    const key = groupKey(mask, group)
    const rows = new Map(
      [...masked].map(([place, bytes]) => [
        place,
        new Mask(shardKey(key, place), start).apply(bytes),
      ]),
    )
    const wanted = Array.from({ length: layout.data }, (_, place) => place)
    return Array.from({ length: end - first }, (_, i) => {
      const { offset, length } = segmentPlace(layout, first + i)
      const shards = Array.from({ length: layout.total }, (_, place) =>
        rows.get(place)?.subarray(offset - start, offset - start + length),
      )
      const segment = new Uint8Array(length * layout.data)
      for (const [place, shard] of this.#code.reconstruct(shards, wanted).entries()) {
        segment.set(shard, place * length)
      }
      // Without the zeros that fill up the last one.
      return segment.subarray(0, layout.sealed - (first + i) * segmentBytes(layout))
    })
  }

  async #sourcesOf(group: number, again: boolean): Promise<readonly Source[]> {
    const known = this.#sources.get(group)
    if (known !== undefined && !again) return await known
    const found = this.#lookUp(this.#map.groups[group] as readonly Piece[])
    for (const old of this.#sources.keys()) if (old < group - 1) this.#sources.delete(old)
    this.#sources.set(group, found)
    return await found
  }

  async #lookUp(pieces: readonly Piece[]): Promise<Source[]> {
    const holders = await this.#components.holders(pieces)
    return pieces.flatMap((piece, place) =>
      (holders.get(pieceKey(piece)) ?? []).map(peer => ({ place, piece, peer })),
    )
  }
}

/** Cut where ranges with proof are, so that every row of a window is one request. */
function* windowsOf(layout: FileLayout, first: number, end: number): Generator<Window, undefined> {
  const most = Math.max(1, Math.floor(WINDOW_BYTES / segmentBytes(layout)))
  for (let from = first; from < end; ) {
    const { group, offset: start } = segmentPlace(layout, from)
    const limit = RANGE_BYTES * (Math.floor(start / RANGE_BYTES) + 1)
    let to = from
    let stop = start
    while (to < end && to - from < most) {
      const next = segmentPlace(layout, to)
      if (next.group !== group || (to > from && next.offset + next.length > limit)) break
      stop = next.offset + next.length
      to++
    }
    yield { group, first: from, end: to, start, stop }
    from = to
  }
  return undefined
}

function windowsAhead(layout: FileLayout): number {
  const perRange = Math.max(1, Math.floor(RANGE_BYTES / layout.shardBytes))
  const most = Math.max(1, Math.floor(WINDOW_BYTES / segmentBytes(layout)))
  const bytes = Math.min(perRange, most) * segmentBytes(layout)
  return Math.min(WINDOWS_AHEAD_MAX, Math.max(1, Math.floor(AHEAD_BYTES / bytes)))
}
