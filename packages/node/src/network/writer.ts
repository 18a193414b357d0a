import { CairnError } from '@cairn/protocol'
import type { Stream } from '@libp2p/interface'
import { pEvent } from 'p-event'
import { deadline } from '../clock.ts'
import type { Clock } from '../ports.ts'
import { encodeHeader, type Header } from './frame.ts'

/** Bytes per write: noise and yamux cost per write, and 64 KiB is where the gain flattens. */
const WRITE_BYTES = 64 * 1024

/** A peer that takes nothing for this long is not reading, ms. */
const STALL_MS = 20_000

interface Piece {
  bytes: Uint8Array
  /** Called when these bytes, the last of a frame, have been handed to the stream. */
  sent: (() => void) | undefined
}

/**
 * Writes frames to a stream: those of one turn in as few writes as possible, and no more than the
 * stream takes. Aborts the stream, with the code `unread`, when it takes nothing for too long.
 */
export class FrameWriter {
  readonly #stream: Stream
  readonly #clock: Clock
  #pieces: Piece[] = []
  #writing = false
  /** Frames not handed to the stream yet. */
  waiting = 0
  /** The stream takes no more for now. */
  blocked = false

  constructor({ stream, clock }: { stream: Stream; clock: Clock }) {
    this.#stream = stream
    this.#clock = clock
  }

  write(header: Omit<Header, 'length'>, payload: Uint8Array, sent?: () => void): void {
    const done = () => {
      this.waiting--
      sent?.()
    }
    this.waiting++
    const bytes = encodeHeader({ ...header, length: payload.length })
    if (payload.length === 0) this.#pieces.push({ bytes, sent: done })
    else this.#pieces.push({ bytes, sent: undefined }, { bytes: payload, sent: done })
    if (this.#writing) return
    this.#writing = true
    // In a microtask, so that what the same turn writes next goes with it.
    queueMicrotask(() => {
      this.#run().catch((error: unknown) => this.#stream.abort(asError(error)))
    })
  }

  async #run(): Promise<void> {
    while (this.#pieces.length > 0) {
      const { bytes, sent } = this.#next()
      if (this.#stream.writeStatus !== 'writable') return
      const ready = this.#stream.send(bytes)
      for (const tell of sent) tell()
      if (!ready && this.#stream.writableNeedsDrain) await this.#drained()
    }
    this.#writing = false
  }

  /** The next write, and whom to tell that it was made. */
  #next(): { bytes: Uint8Array; sent: (() => void)[] } {
    const first = this.#pieces[0] as Piece
    if (first.bytes.length >= WRITE_BYTES) {
      const bytes = first.bytes.subarray(0, WRITE_BYTES)
      first.bytes = first.bytes.subarray(WRITE_BYTES)
      if (first.bytes.length > 0) return { bytes, sent: [] }
      this.#pieces.shift()
      return { bytes, sent: first.sent === undefined ? [] : [first.sent] }
    }
    let count = 0
    let length = 0
    for (const { bytes } of this.#pieces) {
      if (length + bytes.length > WRITE_BYTES) break
      length += bytes.length
      count++
    }
    const bytes = new Uint8Array(length)
    const sent: (() => void)[] = []
    let at = 0
    for (const piece of this.#pieces.splice(0, count)) {
      bytes.set(piece.bytes, at)
      at += piece.bytes.length
      if (piece.sent !== undefined) sent.push(piece.sent)
    }
    return { bytes, sent }
  }

  /** `stream.onDrain` resolves only once in the life of a stream, so wait for the event itself. */
  async #drained(): Promise<void> {
    const { signal, clear } = deadline(this.#clock, this.#clock.now() + STALL_MS)
    this.blocked = true
    try {
      await pEvent(this.#stream, 'drain', { rejectionEvents: ['close'], signal })
    } catch (cause) {
      throw new CairnError('unread', 'the peer does not read what it asked for', { cause })
    } finally {
      this.blocked = false
      clear()
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
