import { CairnError } from '@cairn/protocol'
import type { Stream } from '@libp2p/interface'
import type { Clock, RequestOptions, Timer } from '../ports.ts'
import type { Conduct } from './conduct.ts'
import { busy, codeFrom, refused, responseTooLarge, timedOut, unreachable } from './failures.ts'
import { FrameReader, type Header, Status } from './frame.ts'
import { DIRECT_MAX_BYTES, REQUEST_MAX_MS } from './limits.ts'
import { offenceOf } from './server.ts'
import { FrameWriter } from './writer.ts'

/** Requests to one peer under way at once; half of what a server of ours takes. */
const IN_FLIGHT_MAX = 32

/** Bytes of answers expected from one peer at once, unless a single one is longer. */
const EXPECTED_MAX = 8 * 1024 * 1024

/** Requests that wait for their turn; more are `busy`. */
const WAITING_MAX = 256

/** An unused stream is closed after this, ms: well before the server would, so that no request
 * meets a closing stream. */
const IDLE_MS = 60_000

/** Ids given up on but possibly still answered; beyond, the oldest is forgotten. */
const ABANDONED_MAX = 1_024

interface ChannelComponents {
  clock: Clock
  conduct: Conduct
}

interface ChannelInit {
  peer: string
  protocol: string
  /** Opens a stream to the peer; rejects with `unsupported` or `unreachable`. */
  open(): Promise<Stream>
  /** Called when nothing is under way and no stream is open. */
  onIdle(): void
}

interface Pending {
  request: Uint8Array
  max: number
  /** By the monotonic clock; once it is sent. */
  sentAt: number
  onRoundTrip: RequestOptions['onRoundTrip']
  settle(outcome: Uint8Array | CairnError): void
}

/** Requests to one peer over one protocol, multiplexed on one stream that is opened as needed. */
export class Channel {
  readonly #components: ChannelComponents
  readonly #init: ChannelInit
  /** Not sent yet. */
  readonly #waiting = new Set<Pending>()
  /** Sent, by id. */
  readonly #sent = new Map<number, Pending>()
  /** Sent, and given up by their signal: an answer to them is late, not uninvited. */
  readonly #abandoned = new Set<number>()
  #expected = 0
  #nextId = 0
  #stream: { raw: Stream; writer: FrameWriter } | undefined
  #opening = false
  #idle: Timer | undefined
  #stopped = false

  constructor(components: ChannelComponents, init: ChannelInit) {
    this.#components = components
    this.#init = init
  }

  request(
    request: Uint8Array,
    { signal, maxResponseBytes, onRoundTrip }: RequestOptions,
  ): Promise<Uint8Array> {
    const { clock } = this.#components
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(timedOut(this.#init, signal.reason))
      if (this.#waiting.size >= WAITING_MAX) return reject(busy(this.#init))
      const max = Math.min(maxResponseBytes, DIRECT_MAX_BYTES)
      const abort = () => {
        this.#abandon(pending)
        pending.settle(timedOut(this.#init, signal.reason))
      }
      const pending: Pending = {
        request,
        max,
        sentAt: 0,
        onRoundTrip,
        settle: outcome => {
          limit.cancel()
          signal.removeEventListener('abort', abort)
          if (outcome instanceof Uint8Array) resolve(outcome)
          else reject(outcome)
        },
      }
      const limit = clock.at(clock.now() + REQUEST_MAX_MS, abort)
      signal.addEventListener('abort', abort, { once: true })
      this.#waiting.add(pending)
      this.#pump()
    })
  }

  /** Ends everything under way with `unreachable`. */
  stop(): void {
    this.#stopped = true
    this.#idle?.cancel()
    this.#failWaiting(unreachable(this.#init))
    this.#stream?.raw.abort(new CairnError('stopped', 'this node stops'))
  }

  #pump(): void {
    if (this.#stopped) {
      this.#failWaiting(unreachable(this.#init))
      return
    }
    this.#idle?.cancel()
    for (const pending of this.#waiting) {
      if (this.#stream === undefined) {
        this.#open()
        return
      }
      if (!this.#hasRoomFor(pending)) return
      this.#send(pending, this.#stream.writer)
    }
    if (this.#sent.size === 0) this.#restartIdle()
  }

  #hasRoomFor({ max }: Pending): boolean {
    if (this.#sent.size === 0) return true
    return this.#sent.size < IN_FLIGHT_MAX && this.#expected + max <= EXPECTED_MAX
  }

  #send(pending: Pending, writer: FrameWriter): void {
    const id = this.#nextId
    this.#nextId = (id + 1) % 2 ** 32
    this.#waiting.delete(pending)
    this.#sent.set(id, pending)
    this.#expected += pending.max
    pending.sentAt = this.#components.clock.monotonic()
    writer.write({ id, status: Status.request, limit: pending.max }, pending.request)
  }

  #open(): void {
    if (this.#opening) return
    this.#opening = true
    this.#init.open().then(
      stream => {
        this.#opening = false
        if (stream.status === 'open' && !this.#stopped) this.#attach(stream)
        else {
          stream.abort(new Error('opened too late'))
          this.#failWaiting(unreachable(this.#init))
        }
        this.#pump()
      },
      (error: unknown) => {
        this.#opening = false
        this.#failWaiting(error instanceof CairnError ? error : unreachable(this.#init, error))
        this.#pump()
      },
    )
  }

  #attach(raw: Stream): void {
    const reader = new FrameReader({
      keep: header => this.#keeps(header),
      frame: (header, payload) => this.#frame(header, payload),
    })
    const abort = (error: unknown) =>
      raw.abort(error instanceof Error ? error : new Error(String(error)))
    raw.addEventListener('message', ({ data }) => {
      try {
        if (data instanceof Uint8Array) reader.push(data)
        else for (const bytes of data) reader.push(bytes)
      } catch (error) {
        abort(error)
      }
    })
    // The peer answers nothing more; ending our side too lets both forget the stream.
    raw.addEventListener('remoteCloseWrite', () => {
      this.#detach(raw)
      raw.close().catch(abort)
    })
    raw.addEventListener('close', ({ error }) => {
      this.#detach(raw, error)
      const cause = offenceOf(error)
      if (cause !== undefined) this.#components.conduct.blame(this.#init.peer, cause)
    })
    this.#stream = { raw, writer: new FrameWriter({ stream: raw, clock: this.#components.clock }) }
  }

  #detach(raw: Stream, error?: Error): void {
    if (this.#stream?.raw !== raw) return
    this.#stream = undefined
    this.#abandoned.clear()
    const lost = [...this.#sent.values()]
    this.#sent.clear()
    this.#expected = 0
    for (const pending of lost) pending.settle(unreachable(this.#init, error))
    this.#pump()
  }

  #keeps({ id, status, length }: Header): boolean {
    if (status === Status.request) throw new CairnError('malformed', 'a server sends answers only')
    const pending = this.#sent.get(id)
    return pending !== undefined && (status === Status.error || length <= pending.max)
  }

  #frame({ id, status }: Header, payload: Uint8Array | undefined): void {
    const pending = this.#sent.get(id)
    if (pending === undefined) {
      if (this.#abandoned.delete(id)) return
      throw new CairnError('uninvited', 'an answer to nothing that was asked')
    }
    const micros = Math.ceil(this.#components.clock.monotonic() - pending.sentAt)
    this.#forget(id, pending)
    if (status === Status.answer) pending.onRoundTrip?.(micros)
    pending.settle(this.#outcome(pending, status, payload))
    this.#pump()
  }

  #outcome({ max }: Pending, status: Status, payload: Uint8Array | undefined) {
    if (payload === undefined) return responseTooLarge(this.#init, max)
    if (status === Status.answer) return payload
    return refused(this.#init, codeFrom(payload) ?? 'internal')
  }

  #abandon(pending: Pending): void {
    if (this.#waiting.delete(pending)) return
    for (const [id, sent] of this.#sent) {
      if (sent !== pending) continue
      this.#forget(id, pending)
      const [oldest] = this.#abandoned
      if (this.#abandoned.size >= ABANDONED_MAX && oldest !== undefined) {
        this.#abandoned.delete(oldest)
      }
      this.#abandoned.add(id)
    }
    this.#pump()
  }

  #forget(id: number, { max }: Pending): void {
    this.#sent.delete(id)
    this.#expected -= max
  }

  #failWaiting(error: CairnError): void {
    const failed = [...this.#waiting]
    this.#waiting.clear()
    for (const pending of failed) pending.settle(error)
  }

  #restartIdle(): void {
    if (this.#stream === undefined) {
      if (!this.#opening) this.#init.onIdle()
      return
    }
    const { raw } = this.#stream
    const { clock } = this.#components
    this.#idle = clock.at(clock.now() + IDLE_MS, () => {
      this.#detach(raw)
      raw.close().catch((error: unknown) => raw.abort(error as Error))
    })
  }
}
