/**
 * Pieces between peers. The receiver pulls: it asks for ranges of at most 1 MiB and has no more than
 * `RANGES_IN_FLIGHT` of them under way, so neither side ever holds more than that, however slow the
 * other one is.
 */
import {
  CairnError,
  ContainerType,
  check,
  decode,
  Piece,
  pieceCid,
  Uint32,
  type ValueOf,
} from '@cairn/protocol'
import { deadline } from '../clock.ts'
import type { Clock, Network } from '../ports.ts'
import type { Pieces } from './pieces.ts'
import { pieceMissing } from './refusals.ts'

export const PieceProtocol = { get: 'piece-get', put: 'piece-put' } as const

/** Longest range of one answer. */
export const RANGE_BYTES = 1024 * 1024
/** Stays below the 4 MiB at which streams give up. */
export const RANGES_IN_FLIGHT = 3
/** Ranges of one peer answered per second: 256 MiB. */
const GETS_PER_SECOND = 256
/** A peer that cannot send 1 MiB in this time is passed over, ms. */
const RANGE_TIMEOUT_MS = 20_000
/** A peer is asked so often for what got lost, or while it is busy. */
const ATTEMPTS_PER_PEER = 3
const BUSY_WAIT_MS = 250
/** Codes after which asking the same peer again may help. */
const TRANSIENT: ReadonlySet<string> = new Set(['timeout', 'busy', 'unreachable'])

const PieceRange = new ContainerType(
  { piece: Piece, offset: Uint32, length: Uint32 },
  { typeName: 'PieceRange' },
)
type PieceRange = ValueOf<typeof PieceRange>

/** Serves every piece of these to anybody who knows its name. */
export function servePieces(network: Network, sources: readonly Pieces[]): void {
  const options = {
    maxRequestBytes: PieceRange.maxSize,
    maxResponseBytes: RANGE_BYTES,
    perSecond: GETS_PER_SECOND,
  }
  network.serve(PieceProtocol.get, options, async request => {
    const { piece, offset, length } = decode(PieceRange, request)
    check(length <= RANGE_BYTES, 'badRange', 'a range is longer than an answer may be', {
      facts: { length, max: RANGE_BYTES },
    })
    const source = sources.find(pieces => pieces.has(piece))
    if (source === undefined) throw pieceMissing(piece)
    return await source.read(piece, offset, length)
  })
}

export interface PullComponents {
  network: Network
  clock: Clock
}

export interface PullInit {
  piece: Piece
  /** Peers that may hold it; ranges are dealt among them. */
  peers: readonly string[]
  signal: AbortSignal
}

/**
 * The payload in order. Says nothing of whether the bytes are right: only hashing all of them does.
 * Throws `pieceUnavailable` when no peer gives a range.
 */
export async function* pullPiece(
  components: PullComponents,
  { piece, peers, signal }: PullInit,
): AsyncGenerator<Uint8Array> {
  const stopped = new AbortController()
  const stop = () => stopped.abort(signal.reason)
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  const pull = new Pull(components, piece, peers, stopped.signal)
  const underWay: Promise<Uint8Array>[] = []
  try {
    for (let next = 0; next < piece.payload || underWay.length > 0; ) {
      while (next < piece.payload && underWay.length < RANGES_IN_FLIGHT) {
        const range = pull.range(next)
        // Its rejection is passed on when its turn comes; until then it is not unhandled.
        void Promise.allSettled([range])
        underWay.push(range)
        next += RANGE_BYTES
      }
      yield await (underWay.shift() as Promise<Uint8Array>)
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stopped.abort()
    await Promise.allSettled(underWay)
  }
}

class Pull {
  readonly #components: PullComponents
  readonly #piece: Piece
  readonly #peers: readonly string[]
  readonly #signal: AbortSignal
  /** Peers that are not asked again, with the code of why. */
  readonly #failed = new Map<string, string>()

  constructor(
    components: PullComponents,
    piece: Piece,
    peers: readonly string[],
    signal: AbortSignal,
  ) {
    this.#components = components
    this.#piece = piece
    this.#peers = peers
    this.#signal = signal
  }

  async range(offset: number): Promise<Uint8Array> {
    const length = Math.min(RANGE_BYTES, this.#piece.payload - offset)
    const first = offset / RANGE_BYTES
    for (let i = 0; i < this.#peers.length; i++) {
      const peer = this.#peers[(first + i) % this.#peers.length] as string
      const bytes = await this.#ask(peer, { piece: this.#piece, offset, length })
      if (bytes !== undefined) return bytes
    }
    throw new CairnError('pieceUnavailable', 'no peer gives the bytes of the piece', {
      facts: {
        piece: pieceCid(this.#piece),
        offset,
        answers: [...this.#failed].map(([peer, code]) => `${peer}: ${code}`).join(', '),
      },
      next: 'try again later: a holder may come back',
    })
  }

  /** Undefined, and the peer is not asked again, when it does not give the range. */
  async #ask(peer: string, range: PieceRange): Promise<Uint8Array | undefined> {
    const { clock } = this.#components
    for (let attempt = 0; attempt < ATTEMPTS_PER_PEER && !this.#failed.has(peer); attempt++) {
      this.#signal.throwIfAborted()
      try {
        return await this.#request(peer, range)
      } catch (error) {
        this.#signal.throwIfAborted()
        const code = error instanceof CairnError ? error.code : 'internal'
        if (!TRANSIENT.has(code) || attempt === ATTEMPTS_PER_PEER - 1) this.#failed.set(peer, code)
        else if (code !== 'timeout') await clock.until(clock.now() + BUSY_WAIT_MS, this.#signal)
      }
    }
    return undefined
  }

  async #request(peer: string, range: PieceRange): Promise<Uint8Array> {
    const { network, clock } = this.#components
    const limit = deadline(clock, clock.now() + RANGE_TIMEOUT_MS, this.#signal)
    try {
      const bytes = await network.request(peer, PieceProtocol.get, PieceRange.serialize(range), {
        signal: limit.signal,
        maxResponseBytes: range.length,
      })
      check(bytes.length === range.length, 'truncated', 'a range came back shorter', {
        facts: { peer, expected: range.length, found: bytes.length },
      })
      return bytes
    } finally {
      limit.clear()
    }
  }
}
