import { CairnError } from '@cairn/protocol'
import type { Stream } from '@libp2p/interface'
import type { Clock, Log, ServeOptions, Timer } from '../ports.ts'
import { Budget } from './budget.ts'
import type { Conduct } from './conduct.ts'
import type { Count, Offence } from './count.ts'
import { codeFor } from './failures.ts'
import { FrameReader, type Header, Status } from './frame.ts'
import { Rate } from './rate.ts'
import { FrameWriter } from './writer.ts'

/** Requests of one peer answered at once; twice what a requester of ours sends. */
const SERVED_AT_ONCE = 64

/** Refusals that may wait to be read; a peer that lets more pile up is not reading. */
const UNREAD_MAX = 256

/** Refusals of one peer in a second that are patience; a stream that needs more is ended. */
const REFUSALS_PER_SECOND = 1_024

/** Bytes of answers that may wait for one peer, per protocol. */
const PROMISED_MAX = 16 * 1024 * 1024

/** Streams of one peer and protocol: one in use, and those that a reconnection leaves behind. */
export const STREAMS_PER_PEER = 4

/** A stream without a whole frame for this long is closed, ms; requesters close theirs well before. */
const IDLE_MS = 150_000

/** Peers whose rate is remembered; beyond, the one that asked longest ago is forgotten. */
const PEERS_MAX = 1_024

export type Answer = (request: Uint8Array, from: string) => Promise<Uint8Array>

interface ServerComponents {
  clock: Clock
  log: Log
  count: Count
  conduct: Conduct
  /** Bytes of answers that may wait for all peers together. */
  budget: Budget
}

interface ServerInit {
  protocol: string
  options: ServeOptions
  answer: Answer
}

/** What one peer has under way, over all its streams. */
interface Requester {
  rate: Rate
  streams: number
  answering: number
  refusals: Rate
  budget: Budget
}

/** One direct protocol, answered. */
export class Server {
  readonly #components: ServerComponents
  readonly #init: ServerInit
  readonly #requesters = new Map<string, Requester>()

  constructor(components: ServerComponents, init: ServerInit) {
    this.#components = components
    this.#init = init
  }

  /** Answers what arrives on a stream until it ends. */
  accept(stream: Stream, peer: string): void {
    const requester = this.#requester(peer)
    if (requester.streams >= STREAMS_PER_PEER) {
      stream.abort(new CairnError('busy', 'too many streams of one peer'))
      return
    }
    requester.streams++
    const served = new ServedStream(this.#components, this.#init, { stream, peer, requester })
    served.run(() => {
      requester.streams--
    })
  }

  #requester(peer: string): Requester {
    const known = this.#requesters.get(peer)
    if (known !== undefined) {
      this.#requesters.delete(peer)
      this.#requesters.set(peer, known)
      return known
    }
    if (this.#requesters.size >= PEERS_MAX) {
      const [oldest] = this.#requesters.keys()
      if (oldest !== undefined) this.#requesters.delete(oldest)
    }
    const requester = {
      rate: new Rate(this.#components, this.#init.options),
      streams: 0,
      answering: 0,
      refusals: new Rate(this.#components, { perSecond: REFUSALS_PER_SECOND }),
      budget: new Budget({ max: PROMISED_MAX, parent: this.#components.budget }),
    }
    this.#requesters.set(peer, requester)
    return requester
  }
}

interface Served {
  stream: Stream
  peer: string
  requester: Requester
}

class ServedStream {
  readonly #components: ServerComponents
  readonly #init: ServerInit
  readonly #served: Served
  readonly #writer: FrameWriter
  readonly #reader: FrameReader
  /** Bytes promised for each answer that is not written yet. */
  readonly #promised = new Map<symbol, number>()
  #refusal: string | undefined
  #idle: Timer | undefined
  #over = false

  constructor(components: ServerComponents, init: ServerInit, served: Served) {
    this.#components = components
    this.#init = init
    this.#served = served
    this.#writer = new FrameWriter({ stream: served.stream, clock: components.clock })
    this.#reader = new FrameReader({
      keep: header => this.#admit(header),
      frame: (header, payload) => this.#frame(header, payload),
    })
  }

  run(ended: () => void): void {
    const { stream } = this.#served
    stream.addEventListener('message', ({ data }) => {
      try {
        if (data instanceof Uint8Array) this.#reader.push(data)
        else for (const bytes of data) this.#reader.push(bytes)
      } catch (error) {
        this.#break(error)
      }
    })
    // The peer has no more to ask: end our side too, or the stream lives on at both ends.
    stream.addEventListener('remoteCloseWrite', () => this.#close())
    stream.addEventListener('close', ({ error }) => {
      this.#end(error)
      ended()
    })
    this.#restartIdle()
  }

  /** Decides on the header alone, so that a refused request costs no memory. */
  #admit(header: Header): boolean {
    const { requester } = this.#served
    this.#refusal = undefined
    if (header.status !== Status.request) {
      throw new CairnError('malformed', 'a requester sends requests only')
    }
    if (!requester.rate.take() || requester.answering >= SERVED_AT_ONCE) this.#refusal = 'busy'
    else if (header.length > this.#init.options.maxRequestBytes) this.#refusal = 'tooLarge'
    return this.#refusal === undefined
  }

  #frame(header: Header, request: Uint8Array | undefined): void {
    if (this.#over) return
    this.#restartIdle()
    const { protocol, options } = this.#init
    const room = Math.min(header.limit, options.maxResponseBytes)
    if (request === undefined) {
      this.#refuse(header.id, this.#refusal ?? 'busy')
      return
    }
    this.#components.count('bytes', { channel: protocol, direction: 'in' }, request.length)
    if (!this.#served.requester.budget.take(room)) {
      this.#refuse(header.id, 'busy')
      return
    }
    this.#answer(header.id, request, room).catch((error: unknown) => this.#break(error))
  }

  async #answer(id: number, request: Uint8Array, room: number): Promise<void> {
    const { peer, requester } = this.#served
    const promise = Symbol('promised')
    this.#promised.set(promise, room)
    requester.answering++
    const outcome = await this.#outcome(request, peer)
    requester.answering--
    // The stream ended meanwhile, and gave back what it had promised.
    if (this.#over) return
    const release = () => this.#release(promise)
    if (typeof outcome === 'string') this.#error(id, outcome, release)
    else if (outcome.length > room) this.#error(id, 'tooLarge', release)
    else {
      const { protocol } = this.#init
      this.#components.count('requests', { protocol, direction: 'in', outcome: 'ok' })
      this.#components.count('bytes', { channel: protocol, direction: 'out' }, outcome.length)
      this.#writer.write({ id, status: Status.answer, limit: 0 }, outcome, release)
    }
  }

  async #outcome(request: Uint8Array, peer: string): Promise<Uint8Array | string> {
    try {
      return await this.#init.answer(request, peer)
    } catch (error) {
      const code = codeFor(error)
      if (code === 'internal') {
        const { protocol } = this.#init
        this.#components.log.error({ err: error, protocol }, 'a request could not be answered')
      }
      return code
    }
  }

  #refuse(id: number, code: string): void {
    if (!this.#served.requester.refusals.take()) this.#offend('flood')
    else if (this.#writer.blocked && this.#writer.waiting > UNREAD_MAX) this.#offend('unread')
    else this.#error(id, code)
  }

  #error(id: number, code: string, sent?: () => void): void {
    const { protocol } = this.#init
    this.#components.count('requests', { protocol, direction: 'in', outcome: code })
    const payload = new TextEncoder().encode(code)
    this.#writer.write({ id, status: Status.error, limit: 0 }, payload, sent)
  }

  #offend(cause: Offence): void {
    this.#served.stream.abort(new CairnError(cause, 'the peer broke the rules of the stream'))
  }

  #break(error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    this.#served.stream.abort(reason)
  }

  #close(): void {
    this.#served.stream.close().catch((error: unknown) => this.#break(error))
  }

  #end(error: Error | undefined): void {
    this.#over = true
    this.#idle?.cancel()
    for (const promise of this.#promised.keys()) this.#release(promise)
    const cause = offenceOf(error)
    if (cause !== undefined) this.#components.conduct.blame(this.#served.peer, cause)
  }

  #release(promise: symbol): void {
    const room = this.#promised.get(promise)
    if (room === undefined) return
    this.#promised.delete(promise)
    this.#served.requester.budget.give(room)
  }

  #restartIdle(): void {
    const { clock } = this.#components
    this.#idle?.cancel()
    this.#idle = clock.at(clock.now() + IDLE_MS, () => this.#close())
  }
}

const OFFENCES = new Set<string>([
  'malformed',
  'oversized',
  'flood',
  'unread',
  'uninvited',
] satisfies Offence[])

/** Why we aborted a stream, where that was the peer's fault. */
export function offenceOf(error: Error | undefined): Offence | undefined {
  if (!(error instanceof CairnError) || !OFFENCES.has(error.code)) return undefined
  return error.code as Offence
}
