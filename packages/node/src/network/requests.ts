import type { CairnError } from '@cairn/protocol'
import type { Stream } from '@libp2p/interface'
import type { Clock, Log, RequestOptions, ServeOptions } from '../ports.ts'
import { Budget } from './budget.ts'
import { Channel } from './channel.ts'
import type { Conduct } from './conduct.ts'
import type { Count } from './count.ts'
import { busy } from './failures.ts'
import { checkRequestSize } from './limits.ts'
import { type Answer, Server } from './server.ts'

/** Bytes of answers that may wait for all peers together: what a small machine can spare. */
const ANSWERS_MAX = 128 * 1024 * 1024

/** Peers and protocols asked at the same time. */
const CHANNELS_MAX = 4_096

interface RequestsComponents {
  clock: Clock
  log: Log
  count: Count
  conduct: Conduct
}

interface RequestsInit {
  /** Opens a stream; rejects with `unsupported` or `unreachable`. */
  open(peer: string, protocol: string): Promise<Stream>
}

/** Both sides of the direct protocols: what this node asks and what it answers. */
export class Requests {
  readonly #components: RequestsComponents
  readonly #init: RequestsInit
  readonly #budget = new Budget({ max: ANSWERS_MAX })
  readonly #servers = new Map<string, Server>()
  readonly #channels = new Map<string, Channel>()

  constructor(components: RequestsComponents, init: RequestsInit) {
    this.#components = components
    this.#init = init
  }

  serve(protocol: string, options: ServeOptions, answer: Answer): Server {
    const components = { ...this.#components, budget: this.#budget }
    const server = new Server(components, { protocol, options, answer })
    this.#servers.set(protocol, server)
    return server
  }

  served(): Iterable<[string, Server]> {
    return this.#servers
  }

  async request(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    checkRequestSize(request)
    const { count } = this.#components
    try {
      const response = await this.#channel(peer, protocol).request(request, options)
      count('requests', { protocol, direction: 'out', outcome: 'ok' })
      count('bytes', { channel: protocol, direction: 'out' }, request.length)
      count('bytes', { channel: protocol, direction: 'in' }, response.length)
      return response
    } catch (error) {
      // A channel rejects with nothing else.
      const { code } = error as CairnError
      count('requests', { protocol, direction: 'out', outcome: code })
      throw error
    }
  }

  /** Ends what this node asked for; what it is asked ends with the connections. */
  stop(): void {
    const channels = [...this.#channels.values()]
    this.#channels.clear()
    for (const channel of channels) channel.stop()
  }

  #channel(peer: string, protocol: string): Channel {
    const key = `${protocol} ${peer}`
    const known = this.#channels.get(key)
    if (known !== undefined) return known
    if (this.#channels.size >= CHANNELS_MAX) throw busy({ peer, protocol })
    const channel: Channel = new Channel(this.#components, {
      peer,
      protocol,
      open: () => this.#init.open(peer, protocol),
      onIdle: () => {
        if (this.#channels.get(key) === channel) this.#channels.delete(key)
      },
    })
    this.#channels.set(key, channel)
    return channel
  }
}
