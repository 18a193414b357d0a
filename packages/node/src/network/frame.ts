/**
 * Frames of the direct protocols, many requests on one stream. A frame is a header of 13 bytes,
 * little endian, and the payload:
 *
 *     length u32   bytes of the payload
 *     id     u32   chosen by the requester, given back with the answer
 *     status u8    0 request, 1 answer, 2 error (the payload is its code in ASCII)
 *     limit  u32   request: longest answer wanted; else 0
 */
import { CairnError } from '@cairn/protocol'
import { DIRECT_MAX_BYTES } from './limits.ts'

export const HEADER_BYTES = 13

/** Memory taken for a payload before any of it arrived: a header alone must cost no megabyte. */
const FIRST_ALLOCATION = 64 * 1024

export const Status = { request: 0, answer: 1, error: 2 } as const
export type Status = (typeof Status)[keyof typeof Status]

export interface Header {
  length: number
  id: number
  status: Status
  limit: number
}

export function encodeHeader({ length, id, status, limit }: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, length, true)
  view.setUint32(4, id, true)
  view.setUint8(8, status)
  view.setUint32(9, limit, true)
  return bytes
}

/** Throws `malformed` or `oversized`. */
function decodeHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  const length = view.getUint32(0, true)
  const status = view.getUint8(8)
  const limit = view.getUint32(9, true)
  if (status > Status.error || (status !== Status.request && limit !== 0)) {
    throw new CairnError('malformed', 'the header of a frame is none', { facts: { status, limit } })
  }
  if (length > DIRECT_MAX_BYTES) {
    throw new CairnError('oversized', 'the frame is longer than any may be', {
      facts: { max: DIRECT_MAX_BYTES, found: length },
    })
  }
  return { length, id: view.getUint32(4, true), status: status as Status, limit }
}

export interface FrameReaderInit {
  /** Asked when a header is complete: false reads past the payload without keeping it. */
  keep(header: Header): boolean
  /** A whole frame; the payload is undefined where it was not kept. */
  frame(header: Header, payload: Uint8Array | undefined): void
}

/** Cuts a stream of bytes into frames. Keeps at most one payload. */
export class FrameReader {
  readonly #init: FrameReaderInit
  readonly #headerBytes = new Uint8Array(HEADER_BYTES)
  #headerFilled = 0
  #header: Header | undefined
  /** Grows with what arrives; undefined while a payload is skipped. */
  #payload: Uint8Array | undefined
  #filled = 0

  constructor(init: FrameReaderInit) {
    this.#init = init
  }

  /** Throws `malformed` or `oversized`; the stream is of no use after that. */
  push(bytes: Uint8Array): void {
    let rest = bytes
    for (;;) {
      if (this.#header === undefined) {
        rest = this.#readHeader(rest)
        if (this.#header === undefined) return
      }
      rest = this.#readPayload(this.#header, rest)
      if (this.#filled < this.#header.length) return
      this.#finish(this.#header)
    }
  }

  #readHeader(bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, HEADER_BYTES - this.#headerFilled)
    this.#headerBytes.set(part, this.#headerFilled)
    this.#headerFilled += part.length
    if (this.#headerFilled < HEADER_BYTES) return bytes.subarray(part.length)
    const header = decodeHeader(this.#headerBytes)
    this.#header = header
    this.#filled = 0
    this.#payload = this.#init.keep(header)
      ? new Uint8Array(Math.min(header.length, FIRST_ALLOCATION))
      : undefined
    return bytes.subarray(part.length)
  }

  #readPayload(header: Header, bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, header.length - this.#filled)
    if (this.#payload !== undefined) {
      this.#payload = grown(this.#payload, this.#filled + part.length, header.length)
      this.#payload.set(part, this.#filled)
    }
    this.#filled += part.length
    return bytes.subarray(part.length)
  }

  #finish(header: Header): void {
    const payload = this.#payload
    this.#header = undefined
    this.#headerFilled = 0
    this.#payload = undefined
    this.#init.frame(header, payload)
  }
}

/** `bytes` with room for `needed`, doubled at least, up to `max`. */
function grown(bytes: Uint8Array, needed: number, max: number): Uint8Array {
  if (needed <= bytes.length) return bytes
  const longer = new Uint8Array(Math.min(Math.max(needed, bytes.length * 2), max))
  longer.set(bytes)
  return longer
}
