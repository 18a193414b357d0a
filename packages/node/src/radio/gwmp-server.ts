/**
 * The server of a daemon's packet forwarders (Semtech UDP): one socket, and a `Radio` for each
 * gateway, told apart by the EUI.
 *
 * GWMP has no authentication, so trust is reduced to this: the server listens on loopback unless it
 * is told otherwise. Several gateways are each named by their EUI. A single one need not be: the
 * first forwarder that asks for downlinks (PULL_DATA) becomes the gateway, and its EUI is kept in
 * the store. Every other EUI is refused. While a forwarder keeps its connection alive only its own
 * IP address may speak for it, from any port (it has two sockets, and a restarted one has new
 * ports); after 30 s of silence another address may take over.
 *
 * Data are acknowledged before they are read: a slow listener must not make a forwarder believe
 * that its uplink is down.
 */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import {
  CairnError,
  check,
  type Datagram,
  type DatagramHead,
  decodeDatagram,
  decodeHead,
  encodeDatagram,
} from '@cairn/protocol'
import type { Clock, Log } from '../ports.ts'
import { type CountFrame, type Endpoint, Gateway, type GatewayInit } from './gateway.ts'
import type { HeardPacket, HeardStat } from './heard.ts'
import { RareWarnings } from './rare-warnings.ts'

/** Gateways of one daemon: each is a node with duties of its own, and takes its share of the machine. */
export const GATEWAYS_PER_DAEMON = 16

/** Datagrams that wait to leave: what would be more is not answered, as if it had been lost. */
export const LEAVING_MAX = 1_024

/** Room for a burst of full datagrams, bytes. */
const RECEIVE_BUFFER_BYTES = 1 << 20

export interface GwmpComponents {
  clock: Clock
  log: Log
  count: CountFrame
}

export interface GwmpInit {
  /** At least one; of several each with its EUI. */
  gateways: readonly GatewayInit[]
  /** How long a forwarder may take to queue a frame, ms. */
  transmitTimeoutMs: number
  /** Address to listen on; 127.0.0.1 unless given. */
  host?: string
  /** 1680 unless given; 0 takes a free one. */
  port?: number
}

/** A refused forwarder is told of for so long, ms. */
const FOREIGN_MS = 600_000
const FOREIGN_NEXT = 'if it is yours, set radio.eui, or radio.gateways for several, to its EUI'

/** Where packet forwarders reach a daemon, and who was turned away there. */
export interface Door {
  host: string
  port: number
  /** 16 hexadecimal digits. */
  foreignEui?: string
}

export class GwmpServer {
  /** In the order of the init. */
  readonly gateways: readonly Gateway[]
  readonly #count: CountFrame
  readonly #host: string
  readonly #port: number
  readonly #warnings: RareWarnings
  readonly #packetListeners = new Set<(heard: HeardPacket) => void>()
  readonly #statListeners = new Set<(heard: HeardStat) => void>()
  #socket: Socket | undefined
  #leaving = 0
  /** Whose datagram was refused last, and when, ms since 1970. */
  #foreign: { eui: string; at: number } | undefined
  readonly #clock: Clock

  /** Errors: `badEui`, `badGateways`. */
  constructor({ clock, log, count }: GwmpComponents, init: GwmpInit) {
    const { gateways, transmitTimeoutMs, host = '127.0.0.1', port = 1_680 } = init
    this.#count = count
    this.#clock = clock
    this.#host = host
    this.#port = port
    this.#warnings = new RareWarnings({ clock, log })
    checkNames(gateways)
    this.gateways = gateways.map(gateway => {
      const warnings = new RareWarnings({ clock, log })
      const components = {
        clock,
        log,
        count,
        warnings,
        send: (to: Endpoint, datagram: Datagram) => this.#send(to, datagram),
        heard: (packet: HeardPacket) => tell(this.#packetListeners, packet),
        reported: (stat: HeardStat) => tell(this.#statListeners, stat),
      }
      return new Gateway(components, { ...gateway, transmitTimeoutMs })
    })
  }

  /** Starts the gateways too. Errors: `radioPort` when the address cannot be bound; the store's. */
  async start(): Promise<void> {
    if (this.#socket !== undefined) return
    const socket = createSocket({
      type: isIPv6(this.#host) ? 'udp6' : 'udp4',
      recvBufferSize: RECEIVE_BUFFER_BYTES,
    })
    this.#socket = socket
    try {
      for (const gateway of this.gateways) await gateway.start()
      await bind(socket, this.#host, this.#port)
    } catch (error) {
      this.#socket = undefined
      socket.close()
      throw error
    }
    socket.on('message', (bytes, from) => {
      if (socket === this.#socket) this.receive(bytes, from)
    })
    socket.on('error', cause => this.#warnings.warn('socket', { cause }, 'the radio socket failed'))
  }

  /** Stops the gateways too. */
  async stop(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined) return
    this.#socket = undefined
    for (const gateway of this.gateways) await gateway.stop()
    await new Promise<void>(resolve => socket.close(resolve))
  }

  /** The UDP port, once started. */
  get port(): number {
    return this.#socket?.address().port ?? this.#port
  }

  /** Where forwarders reach it, and the EUI of one that was refused within the last ten minutes. */
  get door(): Door {
    const { at = 0, eui } = this.#foreign ?? {}
    const lately = eui !== undefined && this.#clock.now() - at < FOREIGN_MS
    return { host: this.#host, port: this.port, ...(lately && { foreignEui: eui }) }
  }

  /** Every packet of every gateway, beacons among them: LoRa and FSK, whatever the CRC. */
  onPacket(listener: (heard: HeardPacket) => void): () => void {
    return subscribe(this.#packetListeners, listener)
  }

  /** Every report of a forwarder's counters. */
  onStat(listener: (heard: HeardStat) => void): () => void {
    return subscribe(this.#statListeners, listener)
  }

  /** Takes one datagram, as the socket hands it over. Never throws, whatever it holds. */
  receive(bytes: Uint8Array, from: Endpoint): void {
    if (this.#socket === undefined) return
    try {
      const head = decodeHead(bytes)
      const gateway = this.#gatewayOf(head, from)
      if (gateway === undefined) return
      this.#acknowledge(head, from)
      const datagram = decodeDatagram(bytes)
      this.#count('radio_frames_total', { direction: 'datagram', outcome: 'ok' })
      gateway.take(datagram, from)
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'badDatagram') throw error
      this.#count('radio_frames_total', { direction: 'datagram', outcome: 'badDatagram' })
      this.#warnings.warn('badDatagram', { ...error.facts, ...where(from) }, error.message)
    }
  }

  /** Whose datagram it is, by the rules of the module comment; counts what is nobody's. */
  #gatewayOf({ id, eui }: DatagramHead, from: Endpoint): Gateway | undefined {
    if (eui === undefined) {
      return this.#refuse('wrongDirection', where(from), `${id} is for forwarders`)
    }
    const facts = { ...where(from), eui }
    const named = this.gateways.find(gateway => gateway.eui === eui)
    const gateway = named ?? this.gateways.find(other => other.eui === undefined)
    if (gateway === undefined) {
      this.#foreign = { eui, at: this.#clock.now() }
      const next = FOREIGN_NEXT
      const text = 'a forwarder has an EUI that no gateway here has'
      return this.#refuse('foreignEui', { ...facts, next }, text)
    }
    if (named === undefined && id !== 'pullData') {
      const text = 'a forwarder sends PULL_DATA before anything counts'
      return this.#refuse('unknownEui', facts, text)
    }
    if (!gateway.mayComeFrom(from)) {
      return this.#refuse('foreignAddress', facts, 'the forwarder is alive at another address')
    }
    return gateway
  }

  #refuse(outcome: string, facts: object, text: string): undefined {
    this.#count('radio_frames_total', { direction: 'datagram', outcome })
    this.#warnings.warn(outcome, facts, text)
  }

  #acknowledge({ id, version, token }: DatagramHead, from: Endpoint): void {
    if (id === 'txAck') return
    const answer = id === 'pushData' ? 'pushAck' : 'pullAck'
    void this.#send(from, { version, token, id: answer })
  }

  /** Resolves when the system took it; a datagram that cannot leave is like one that was lost. */
  #send(to: Endpoint, datagram: Datagram): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#socket === undefined) return Promise.resolve()
    if (this.#leaving >= LEAVING_MAX) {
      this.#count('radio_frames_total', { direction: 'datagram', outcome: 'notSent' })
      return Promise.resolve()
    }
    this.#leaving++
    this.#socket.send(encodeDatagram(datagram), to.port, to.address, cause => {
      this.#leaving--
      if (cause !== null) {
        this.#warnings.warn('send', { cause, ...where(to) }, 'a datagram did not leave')
      }
      resolve()
    })
    return promise
  }
}

/** Of several gateways none can be the first that is heard, and no two can be one. */
function checkNames(gateways: readonly GatewayInit[]): void {
  const count = gateways.length
  check(
    count >= 1 && count <= GATEWAYS_PER_DAEMON,
    'badGateways',
    `a daemon has 1 to ${GATEWAYS_PER_DAEMON} gateways, not ${count}`,
    { facts: { count } },
  )
  if (count === 1) return
  const names = gateways.map(({ eui }) => eui?.toLowerCase())
  const next = 'Name each gateway by the EUI of its packet forwarder.'
  check(!names.includes(undefined), 'badGateways', 'one of several gateways has no EUI', { next })
  const twice = names.find((name, place) => names.indexOf(name) !== place)
  check(twice === undefined, 'badGateways', 'two gateways have the same EUI', {
    facts: { eui: twice },
    next,
  })
}

function subscribe<T>(
  listeners: Set<(value: T) => void>,
  listener: (value: T) => void,
): () => void {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

function tell<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
  for (const listener of listeners) listener(value)
}

async function bind(socket: Socket, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('error', reject)
  socket.bind({ address: host, port, exclusive: true }, resolve)
  try {
    await promise
  } catch (cause) {
    throw new CairnError('radioPort', `cannot listen for packet forwarders on ${host}:${port}`, {
      cause,
      facts: { host, port },
      next: 'Stop what uses the port, or choose another and set it in the packet forwarder.',
    })
  } finally {
    socket.off('error', reject)
  }
}

function where({ address, port }: Endpoint): Endpoint {
  return { address, port }
}
