/**
 * Requests as somebody whom nobody knows: each from a peer id of its own, over a connection of its own,
 * by a host that listens nowhere and ends with the answer. It hides which node asks, not from which
 * address.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { type Libp2p, UnsupportedProtocolError } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Clock, RequestOptions } from '../ports.ts'
import { Channel } from './channel.ts'
import type { Conduct } from './conduct.ts'
import { busy, timedOut, unreachable, unsupported } from './failures.ts'
import { DIAL_MS, NODE_INFO } from './host.ts'
import { checkRequestSize } from './limits.ts'

/** Strangers at once; each is a libp2p host for the time of one request. */
export const STRANGERS_MAX = 8

export interface StrangersComponents {
  clock: Clock
  conduct: Conduct
}

export interface StrangersInit {
  /** The protocol's whole id. */
  idOf(protocol: string): string
  /** Where a peer is reached, each address with its id. Rejects where nobody knows. */
  addressesOf(peer: string, signal: AbortSignal): Promise<Multiaddr[]>
}

export class Strangers {
  readonly #components: StrangersComponents
  readonly #init: StrangersInit
  readonly #running = new Set<AbortController>()

  constructor(components: StrangersComponents, init: StrangersInit) {
    this.#components = components
    this.#init = init
  }

  /** As `Network.requestAsStranger`. */
  async request(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    checkRequestSize(request)
    const call = { peer, protocol }
    if (options.signal.aborted) throw timedOut(call, options.signal.reason)
    if (this.#running.size >= STRANGERS_MAX) throw busy(call)
    const ended = new AbortController()
    this.#running.add(ended)
    let host: Libp2p | undefined
    try {
      host = await createStranger()
      return await this.#ask(host, call, { request, options, ended: ended.signal })
    } finally {
      this.#running.delete(ended)
      // Its connection ends with it; nobody waits for that.
      void Promise.resolve(host?.stop()).catch(() => undefined)
    }
  }

  /** Ends what is under way with `unreachable`. */
  stop(): void {
    for (const ended of this.#running) ended.abort()
  }

  async #ask(
    host: Libp2p,
    call: { peer: string; protocol: string },
    init: { request: Uint8Array; options: RequestOptions; ended: AbortSignal },
  ): Promise<Uint8Array> {
    const { request, options, ended } = init
    const channel: Channel = new Channel(this.#components, {
      ...call,
      open: () => this.#open(host, call, AbortSignal.any([options.signal, ended])),
      onIdle: () => {},
    })
    const stop = () => channel.stop()
    ended.addEventListener('abort', stop, { once: true })
    try {
      return await channel.request(request, options)
    } finally {
      ended.removeEventListener('abort', stop)
      stop()
    }
  }

  async #open(host: Libp2p, call: { peer: string; protocol: string }, signal: AbortSignal) {
    const { idOf, addressesOf } = this.#init
    try {
      const connection = await host.dial(await addressesOf(call.peer, signal), { signal })
      return await connection.newStream(idOf(call.protocol), { signal })
    } catch (error) {
      if (error instanceof UnsupportedProtocolError) throw unsupported(call, error)
      throw unreachable(call, error)
    }
  }
}

async function createStranger(): Promise<Libp2p> {
  return await createLibp2p({
    privateKey: await generateKeyPair('Ed25519'),
    nodeInfo: NODE_INFO,
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise(), tls()],
    streamMuxers: [yamux()],
    connectionManager: { dialTimeout: DIAL_MS },
    // As every other node does when it is asked who it is.
    services: { identify: identify() },
  })
}
