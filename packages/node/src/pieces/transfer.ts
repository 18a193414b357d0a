/**
 * Pieces between peers. The receiver pulls: it asks for ranges of at most 1 MiB of the tree and has
 * no more than `RANGES_IN_FLIGHT` of them under way, so neither side ever holds more than that,
 * however slow the other one is. Each range comes with its proof and is verified as it arrives.
 */
import {
  CairnError,
  check,
  concatBytes,
  decode,
  decodeRangeProof,
  type Piece,
  PieceRange,
  pieceCid,
  RANGE_BYTES,
  RangeProof,
  rangeFrom,
  verifyRange,
} from '@cairn/protocol'
import { deadline } from '../clock.ts'
import type { Clock, Network } from '../ports.ts'
import type { Pieces } from './pieces.ts'
import { checkRange, pieceMissing } from './refusals.ts'

export const PieceProtocol = { get: 'piece-get', put: 'piece-put' } as const

/** Stays below the 4 MiB at which streams give up. */
export const RANGES_IN_FLIGHT = 3
/** Ranges of one peer answered per second: 256 MiB. */
const GETS_PER_SECOND = 256
/** What an answer has beside the bytes of its range, at most. */
const PROOF_BYTES = RangeProof.maxSize - RANGE_BYTES
/** A peer that cannot send 1 MiB in this time is passed over, ms. */
const RANGE_TIMEOUT_MS = 20_000
/** A peer is asked so often for what got lost, or while it is busy. */
const ATTEMPTS_PER_PEER = 3
const BUSY_WAIT_MS = 250
/** Codes after which asking the same peer again may help. */
const TRANSIENT: ReadonlySet<string> = new Set(['timeout', 'busy', 'unreachable'])

/** What may be served to a peer; `Pieces` serve everybody. */
export interface PieceSource {
  has(piece: Piece, peer: string): boolean
  readProven(range: PieceRange, peer: string): Promise<RangeProof>
}

/** Serves the pieces of these, with proof, to whoever knows their name. */
export function servePieces(network: Network, sources: readonly PieceSource[]): void {
  const options = {
    maxRequestBytes: PieceRange.maxSize,
    maxResponseBytes: RangeProof.maxSize,
    perSecond: GETS_PER_SECOND,
  }
  network.serve(PieceProtocol.get, options, async (request, from) => {
    const range = decode(PieceRange, request)
    const source = sources.find(pieces => pieces.has(range.piece, from))
    if (source === undefined) throw pieceMissing(range.piece)
    return RangeProof.serialize(await source.readProven(range, from))
  })
}

/** What ranges are asked for over. */
export interface RangeNetwork extends Pick<Network, 'request'> {
  /** Told of each answer, as `request` gave it, that was found to be a range of its piece. */
  verified?(answer: Uint8Array): void
}

export interface PullComponents {
  network: RangeNetwork
  clock: Clock
}

export interface PullInit {
  piece: Piece
  /** Peers that may hold it; ranges are dealt among them. */
  peers: readonly string[]
  /** First payload byte wanted: 0, or where an earlier transfer ended. */
  offset?: number
  /** Payload bytes wanted: by default all from `offset` on. */
  length?: number
  signal: AbortSignal
  /** Told of each peer that is not asked again; `pieceDamaged`: it sent bytes of something else. */
  onRefused?(peer: string, code: string): void
}

/**
 * The payload in order. Each part was verified against the piece's root before it is given out, so
 * what has come is right whatever comes of the rest. Throws `badRange`, and `pieceUnavailable` when
 * no peer gives a range.
 */
export async function* pullPiece(
  components: PullComponents,
  init: PullInit,
): AsyncGenerator<Uint8Array> {
  const { piece, signal, offset = 0, length = piece.payload - offset } = init
  checkRange(piece, offset, length)
  const end = offset + length
  const stopped = new AbortController()
  const stop = () => stopped.abort(signal.reason)
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  const pull = new Pull(components, init, stopped.signal)
  const underWay: Promise<Uint8Array>[] = []
  try {
    for (let next = offset; next < end || underWay.length > 0; ) {
      while (next < end && underWay.length < RANGES_IN_FLIGHT) {
        const range = rangeFrom(piece, next, end)
        const stop = Math.min(end, range.offset + range.length)
        const part = pull.part(range, next, stop)
        // Its rejection is passed on when its turn comes; until then it is not unhandled.
        void Promise.allSettled([part])
        underWay.push(part)
        next = stop
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
  readonly #init: PullInit
  readonly #signal: AbortSignal
  /** Peers that are not asked again, with the code of why. */
  readonly #failed = new Map<string, string>()

  constructor(components: PullComponents, init: PullInit, signal: AbortSignal) {
    this.#components = components
    this.#init = init
    this.#signal = signal
  }

  /** The payload bytes from `start` to `stop`, which lie within the range. */
  async part(range: PieceRange, start: number, stop: number): Promise<Uint8Array> {
    const { piece, peers } = this.#init
    const first = Math.floor(range.offset / RANGE_BYTES)
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[(first + i) % peers.length] as string
      const bytes = await this.#ask(peer, range)
      if (bytes !== undefined) return bytes.subarray(start - range.offset, stop - range.offset)
    }
    throw new CairnError('pieceUnavailable', 'no peer gives the bytes of the piece', {
      facts: {
        piece: pieceCid(piece),
        offset: range.offset,
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
        if (!TRANSIENT.has(code) || attempt === ATTEMPTS_PER_PEER - 1) this.#refuse(peer, code)
        else if (code !== 'timeout') await clock.until(clock.now() + BUSY_WAIT_MS, this.#signal)
      }
    }
    return undefined
  }

  #refuse(peer: string, code: string): void {
    if (this.#failed.has(peer)) return
    this.#failed.set(peer, code)
    this.#init.onRefused?.(peer, code)
  }

  async #request(peer: string, range: PieceRange): Promise<Uint8Array> {
    const { clock } = this.#components
    const limit = deadline(clock, clock.now() + RANGE_TIMEOUT_MS, this.#signal)
    try {
      return await askRange(this.#components, { peer, range, signal: limit.signal })
    } finally {
      limit.clear()
    }
  }
}

export interface RangeComponents {
  network: RangeNetwork
}

export interface RangeInit {
  peer: string
  /** Any one within the piece. */
  range: PieceRange
  signal: AbortSignal
}

/**
 * The bytes of a range, verified, from one peer alone. Throws `pieceDamaged` for bytes that are not
 * the piece's, and what the request throws.
 */
export async function pullRange(
  components: RangeComponents,
  { peer, range, signal }: RangeInit,
): Promise<Uint8Array> {
  return await rangeOf(range, part => askRange(components, { peer, range: part, signal }))
}

/** The bytes of a range, verified, of what is kept here. Throws as `pullRange`, and `pieceMissing`. */
export async function readRange(pieces: Pieces, range: PieceRange): Promise<Uint8Array> {
  return await rangeOf(range, async part => verifiedPayload(part, await pieces.readProven(part)))
}

/** The bytes of a range out of those of the enclosing ranges that `ask` gives. */
async function rangeOf(
  { piece, offset, length }: PieceRange,
  ask: (range: PieceRange) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const end = offset + length
  const parts: Uint8Array[] = []
  for (let at = offset; at < end; ) {
    const range = rangeFrom(piece, at, end)
    const payload = await ask(range)
    const part = payload.subarray(at - range.offset, end - range.offset)
    parts.push(part)
    at += part.length
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(parts)
}

/** The payload of an enclosing range, verified. */
async function askRange(
  { network }: RangeComponents,
  { peer, range, signal }: RangeInit,
): Promise<Uint8Array> {
  const answer = await network.request(peer, PieceProtocol.get, PieceRange.serialize(range), {
    signal,
    maxResponseBytes: range.length + PROOF_BYTES,
  })
  const payload = verifiedPayload(range, decodeRangeProof(answer))
  network.verified?.(answer)
  return payload
}

function verifiedPayload(range: PieceRange, proof: RangeProof): Uint8Array {
  check(verifyRange(range, proof), 'pieceDamaged', 'a range is not that of the piece', {
    facts: { piece: pieceCid(range.piece), offset: range.offset },
    next: 'fetch the piece from another holder',
  })
  return proof.payload
}
