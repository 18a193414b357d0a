import { CairnError, check, invariant } from '@cairn/protocol'
import { type Connection, type Stream, UnsupportedProtocolError } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { deadline } from '../clock.ts'
import type { Clock, Log, Network, RequestOptions, ServeOptions, Timer } from '../ports.ts'
import { Admission } from './admission.ts'
import { Conduct } from './conduct.ts'
import type { Count, Counts } from './count.ts'
import { unreachable, unsupported } from './failures.ts'
import { Gossip, gossips, isGossip, type Scoring, type Validate } from './gossip.ts'
import { type ConnectionLimits, createHost, DIAL_MS, type Host } from './host.ts'
import { peerIdOf, privateKeyOf } from './identity.ts'
import { assertServable } from './limits.ts'
import { Reach } from './reach.ts'
import { Requests } from './requests.ts'
import { type Answer, type Server, STREAMS_PER_PEER } from './server.ts'
import { Strangers } from './strangers.ts'

/** libp2p sometimes never finishes to stop; after this the node goes on without it, ms. */
const STOP_MS = 5_000

/** How often connections are looked through for peers that gossip cannot reach, ms. */
const SURVEY_MS = 5_000

/** Addresses of a connected peer that says who it is are looked for so often, ms. */
const ADDRESS_WAIT_MS = 250

/** A connection younger than this may still be getting its streams, ms. */
const SETTLING_MS = 15_000

export interface Libp2pNetworkInit {
  /** Ed25519 secret of the node's identity, 32 bytes. */
  secret: Uint8Array
  /** 32 bytes. */
  networkId: Uint8Array
  /** Multiaddresses, for example `/ip4/0.0.0.0/tcp/4001`; port 0 takes a free one. */
  listen: readonly string[]
  /** Addresses that others should use, where they differ from those listened on. */
  announce?: readonly string[]
  /** Multiaddresses of peers to meet first, best with their peer id. */
  bootstrap?: readonly string[]
  /** Peers may tell each other private addresses: in one machine or one local network. */
  privateAddresses?: boolean
  limits?: ConnectionLimits
  scoring: Scoring
  count?: Count
}

/** The network over libp2p. Throws `cannotListen` from `start`. */
export class Libp2pNetwork implements Network {
  readonly self: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #init: Libp2pNetworkInit
  readonly #prefix: string
  readonly #count: Count
  readonly #conduct: Conduct
  readonly #admission: Admission
  readonly #gossip: Gossip
  readonly #requests: Requests
  readonly #strangers: Strangers
  readonly #reach: Reach
  #host: Host | undefined
  #survey: Timer | undefined
  /** When each connection opened, by this node's clock. */
  readonly #since = new WeakMap<Connection, number>()
  /** Orders starts and stops. */
  #transition: Promise<void> = Promise.resolve()

  constructor({ clock, log }: { clock: Clock; log: Log }, init: Libp2pNetworkInit) {
    this.#clock = clock
    this.#log = log
    this.#init = init
    this.#prefix = `/cairn/${Buffer.from(init.networkId.subarray(0, 8)).toString('hex')}`
    this.#count = init.count ?? (<N extends keyof Counts>(_: N) => {})
    const key = privateKeyOf(init.secret)
    this.self = peerIdOf(key.publicKey.raw)
    this.#conduct = new Conduct({ clock, count: this.#count })
    this.#admission = new Admission({ conduct: this.#conduct })
    this.#gossip = new Gossip({ log, count: this.#count })
    this.#requests = new Requests(
      { clock, log, count: this.#count, conduct: this.#conduct },
      { open: (peer, protocol) => this.#open(peer, protocol) },
    )
    this.#strangers = new Strangers(
      { clock, conduct: this.#conduct },
      {
        idOf: protocol => this.#protocolId(protocol),
        addressesOf: (peer, signal) => this.#addressesOf(peer, signal),
      },
    )
    this.#reach = new Reach(
      { clock, log },
      {
        bootstrap: init.bootstrap ?? [],
        dial: target => this.connect(target),
        connected: target => this.#connected(target),
        peerCount: () => this.peers().length,
      },
    )
  }

  start(): Promise<void> {
    this.#transition = this.#transition.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#transition
  }

  stop(): Promise<void> {
    this.#transition = this.#transition.then(
      () => this.#stop(),
      () => this.#stop(),
    )
    return this.#transition
  }

  /** Multiaddresses with the peer id, at which this node can be reached as far as it knows. */
  addresses(): string[] {
    return this.#host?.getMultiaddrs().map(address => address.toString()) ?? []
  }

  peers(): string[] {
    return this.#host?.getPeers().map(peer => peer.toString()) ?? []
  }

  /** Multiaddr at which a connected peer is reached. */
  addressOf(peer: string): string | undefined {
    const connections = this.#host?.getConnections() ?? []
    return connections
      .find(({ remotePeer }) => remotePeer.toString() === peer)
      ?.remoteAddr.toString()
  }

  subscribe(topic: string, validate: Validate): void {
    this.#gossip.subscribe(topic, validate)
  }

  unsubscribe(topic: string): void {
    this.#gossip.unsubscribe(topic)
  }

  publish(topic: string, data: Uint8Array): Promise<void> {
    return this.#gossip.publish(topic, data)
  }

  serve(protocol: string, options: ServeOptions, answer: Answer): void {
    assertServable(protocol, options)
    const served = [...this.#requests.served()].some(([name]) => name === protocol)
    invariant(!served, `'${protocol}' is served once`)
    const server = this.#requests.serve(protocol, options, answer)
    if (this.#host === undefined) return
    this.#handle(this.#host, protocol, server).catch((err: unknown) => {
      this.#log.error({ err, protocol }, 'a protocol cannot be served')
    })
  }

  request(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    return this.#requests.request(peer, protocol, request, options)
  }

  requestAsStranger(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    return this.#strangers.request(peer, protocol, request, options)
  }

  /** Connects to a peer id or a multiaddress. */
  async connect(target: string): Promise<void> {
    const { signal, clear } = deadline(this.#clock, this.#clock.now() + DIAL_MS)
    try {
      await this.#dial(this.#running(), target, signal)
    } finally {
      clear()
    }
  }

  /**
   * Cuts the connections to these peers and lets no new one come up, as a partition would; `all`
   * cuts every one, `undefined` ends it. A fault switch for testnets.
   */
  isolate(peers: readonly string[] | 'all' | undefined): void {
    this.#admission.isolate(peers)
    for (const connection of this.#host?.getConnections() ?? []) {
      if (this.#admission.isolates(connection.remotePeer.toString())) {
        this.#hangUp(connection, 'isolated')
      }
    }
    this.#reach.retry()
  }

  /** Gossipsub's score of a peer: 0 for a new one; below -80 it is not listened to. */
  score(peer: string): number {
    return this.#gossip.score(peer)
  }

  async #start(): Promise<void> {
    if (this.#host !== undefined) return
    const { listen, announce = [], privateAddresses = false, limits = {}, scoring } = this.#init
    const host = await createHost(
      { conduct: this.#conduct, admission: this.#admission, count: this.#count },
      {
        key: privateKeyOf(this.#init.secret),
        listen,
        announce,
        prefix: this.#prefix,
        privateAddresses,
        limits,
        scoring,
      },
    )
    for (const [protocol, server] of this.#requests.served()) {
      await this.#handle(host, protocol, server)
    }
    host.addEventListener('connection:open', ({ detail }) => {
      this.#since.set(detail, this.#clock.now())
    })
    host.addEventListener('peer:disconnect', ({ detail }) => {
      const peer = detail.toString()
      if (!this.#admission.denies(peer)) this.#reach.lost(peer)
    })
    try {
      await host.start()
    } catch (cause) {
      throw new CairnError('cannotListen', 'the node cannot listen on its addresses', {
        cause,
        facts: { addresses: listen.join(' ') },
        next: 'Is another program using the port? Change `network.listen` or stop it.',
      })
    }
    this.#host = host
    this.#gossip.attach(host.services.gossip)
    this.#reach.start()
    this.#scheduleSurvey(host)
  }

  async #stop(): Promise<void> {
    const host = this.#host
    if (host === undefined) return
    this.#host = undefined
    this.#survey?.cancel()
    this.#reach.stop()
    this.#gossip.detach()
    this.#requests.stop()
    this.#strangers.stop()
    const limit = new AbortController()
    const stopped = Promise.resolve(host.stop()).then(() => true)
    const late = this.#clock.until(this.#clock.now() + STOP_MS, limit.signal).then(
      () => false,
      () => false,
    )
    try {
      if (await Promise.race([stopped, late])) return
      this.#log.warn({ waited: STOP_MS }, 'libp2p did not stop in time; its connections are cut')
      for (const connection of host.getConnections()) connection.abort(new Error('stopping'))
    } finally {
      limit.abort()
    }
  }

  #running(): Host {
    if (this.#host === undefined) throw new CairnError('stopped', 'the network is not started')
    return this.#host
  }

  async #handle(host: Host, protocol: string, server: Server): Promise<void> {
    await host.handle(
      this.#protocolId(protocol),
      (stream, connection) => server.accept(stream, connection.remotePeer.toString()),
      {
        maxInboundStreams: STREAMS_PER_PEER,
        maxOutboundStreams: STREAMS_PER_PEER,
        runOnLimitedConnection: true,
      },
    )
  }

  #protocolId(protocol: string): string {
    return `${this.#prefix}/${protocol}/1`
  }

  async #open(peer: string, protocol: string): Promise<Stream> {
    const call = { peer, protocol }
    const { signal, clear } = deadline(this.#clock, this.#clock.now() + DIAL_MS)
    try {
      const connection = await this.#dial(this.#running(), peer, signal)
      return await connection.newStream(this.#protocolId(protocol), {
        signal,
        maxOutboundStreams: STREAMS_PER_PEER,
        runOnLimitedConnection: true,
      })
    } catch (error) {
      if (error instanceof UnsupportedProtocolError) throw unsupported(call, error)
      throw unreachable(call, error)
    } finally {
      clear()
    }
  }

  /** Over the addresses that are known; where these fail, those that the DHT knows. */
  async #dial(host: Host, target: string, signal: AbortSignal): Promise<Connection> {
    if (target.startsWith('/')) return host.dial(multiaddr(target), { signal })
    const peer = peerIdFromString(target)
    try {
      return await host.dial(peer, { signal })
    } catch (error) {
      if (signal.aborted || this.#admission.denies(target)) throw error
      const { multiaddrs } = await host.peerRouting.findPeer(peer, { signal })
      return host.dial(multiaddrs, { signal })
    }
  }

  /**
   * As far as this node or the DHT knows, each with the peer's id; waits for the addresses of a peer
   * that has only just connected.
   */
  async #addressesOf(target: string, signal: AbortSignal): Promise<Multiaddr[]> {
    const host = this.#running()
    const peer = peerIdFromString(target)
    check(!this.#admission.denies(target), 'denied', 'this node has no connections with the peer')
    const end = `/p2p/${target}`
    for (;;) {
      const met = await host.peerStore.has(peer)
      const stored = met ? (await host.peerStore.get(peer)).addresses : []
      const known = stored.map(({ multiaddr: address }) => address)
      const found =
        known.length > 0 ? known : (await host.peerRouting.findPeer(peer, { signal })).multiaddrs
      if (found.length > 0) {
        return found.map(address =>
          address.toString().endsWith(end) ? address : address.encapsulate(end),
        )
      }
      await this.#clock.until(this.#clock.now() + ADDRESS_WAIT_MS, signal)
    }
  }

  #connected(target: string): boolean {
    const connections = this.#host?.getConnections() ?? []
    if (!target.startsWith('/')) {
      return connections.some(({ remotePeer }) => remotePeer.toString() === target)
    }
    const wanted = multiaddr(target)
    const peer = wanted.getComponents().find(({ name }) => name === 'p2p')?.value
    if (peer !== undefined) return this.#connected(peer)
    return connections.some(({ remoteAddr }) => remoteAddr.toString().startsWith(`${target}/`))
  }

  #hangUp(connection: Connection, cause: Counts['hangups']['cause']): void {
    this.#count('hangups', { cause })
    connection.abort(new CairnError(cause, 'this node ends the connection'))
  }

  #scheduleSurvey(host: Host): void {
    this.#survey = this.#clock.at(this.#clock.now() + SURVEY_MS, () => {
      this.#scheduleSurvey(host)
      this.#lookThrough(host).catch((err: unknown) => {
        this.#log.debug({ err }, 'connections could not be looked through')
      })
    })
  }

  /**
   * Ends the connections of banned peers, and of those to whom gossip should go but cannot: when a
   * slow reader's stream is aborted gossipsub never opens another.
   */
  async #lookThrough(host: Host): Promise<void> {
    for (const connection of host.getConnections()) {
      if (this.#conduct.banned(connection.remotePeer.toString())) {
        this.#hangUp(connection, 'banned')
        continue
      }
      const since = this.#since.get(connection) ?? this.#clock.now()
      const settling = this.#clock.now() - since < SETTLING_MS
      if (settling || host.getConnections(connection.remotePeer).some(gossips)) continue
      const { protocols } = await host.peerStore.get(connection.remotePeer)
      if (protocols.some(isGossip)) this.#hangUp(connection, 'mute')
    }
  }
}

export function libp2pNetwork(
  components: { clock: Clock; log: Log },
  init: Libp2pNetworkInit,
): Libp2pNetwork {
  return new Libp2pNetwork(components, init)
}
