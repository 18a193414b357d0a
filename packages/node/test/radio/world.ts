import { createSocket, type Socket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CountFrame,
  type Gateway,
  type GatewayInit,
  type GwmpInit,
  GwmpServer,
  type Log,
  openLevelStore,
  type Reception,
  type Store,
  type SystemClock,
  systemClock,
} from '@cairn/node'
import { type Datagram, decodeDatagram, EU868, encodeDatagram } from '@cairn/protocol'

export const EUI = '0016c001f00d0001'

/** A forwarder's socket: says what it is told, and hears what comes back. */
export class RawForwarder {
  readonly received: Datagram[] = []
  readonly #socket: Socket
  readonly #port: number
  #token = 0

  private constructor(socket: Socket, port: number) {
    this.#socket = socket
    this.#port = port
    socket.on('message', bytes => this.received.push(decodeDatagram(bytes)))
  }

  static async open(port: number, address = '127.0.0.1'): Promise<RawForwarder> {
    const socket = createSocket('udp4')
    socket.bind({ address, port: 0 })
    await once(socket, 'listening')
    return new RawForwarder(socket, port)
  }

  get port(): number {
    return this.#socket.address().port
  }

  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(bytes, this.#port, '127.0.0.1', e => (e === null ? resolve() : reject(e)))
    })
  }

  say(datagram: Datagram): Promise<void> {
    return this.send(encodeDatagram(datagram))
  }

  /** Asks for downlinks and waits for the acknowledgement. */
  async pull(eui = EUI, version: 1 | 2 = 2): Promise<void> {
    this.#token = (this.#token + 1) & 0xffff
    const token = this.#token
    const answered = this.until(d => d.id === 'pullAck' && d.token === token)
    await this.say({ version, token, id: 'pullData', eui })
    await answered
  }

  /** The next datagram that fits. */
  async until(fits: (datagram: Datagram) => boolean): Promise<Datagram> {
    for (;;) {
      const [bytes] = await once(this.#socket, 'message')
      const datagram = decodeDatagram(bytes)
      if (fits(datagram)) return datagram
    }
  }

  async close(): Promise<void> {
    await new Promise<void>(resolve => this.#socket.close(resolve))
  }
}

export interface RadioBench {
  server: GwmpServer
  /** The first gateway of the server. */
  radio: Gateway
  clock: SystemClock
  store: Store
  received: Reception[]
  /** Resolves once so many frames were received. */
  heard(frames: number): Promise<void>
  /** Warnings and notes in the log. */
  logged: string[]
  /** Counted outcomes by `direction/outcome`. */
  counts: Map<string, number>
  forwarder(address?: string): Promise<RawForwarder>
  /** Another server over the same store; the first is stopped. */
  restart(): Promise<Gateway>
  close(): Promise<void>
}

type BenchInit = Partial<Omit<GwmpInit, 'gateways'> & Omit<GatewayInit, 'store'>>

export async function radioBench(init: BenchInit = {}): Promise<RadioBench> {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-radio-'))
  const store = await openLevelStore(directory)
  const clock = systemClock()
  const received: Reception[] = []
  const arrivals = new EventEmitter()
  const logged: string[] = []
  const counts = new Map<string, number>()
  const count: CountFrame = (_, { direction, outcome }) => {
    const key = `${direction}/${outcome}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const note = (_: object, text: string) => void logged.push(text)
  const log: Log = { error: note, warn: note, info: note, debug: note, child: () => log }
  const open = async () => {
    const gateways = [{ store, plan: EU868, ...init }]
    const all = { transmitTimeoutMs: 300, port: 0, ...init, gateways }
    const server = new GwmpServer({ clock, log, count }, all)
    const [radio] = server.gateways as [Gateway]
    radio.onReception(reception => {
      received.push(reception)
      arrivals.emit('reception')
    })
    await server.start()
    return { server, radio }
  }
  let { server, radio } = await open()
  const forwarders: RawForwarder[] = []
  return {
    server,
    radio,
    clock,
    store,
    received,
    async heard(frames) {
      while (received.length < frames) await once(arrivals, 'reception')
    },
    logged,
    counts,
    async forwarder(address) {
      const forwarder = await RawForwarder.open(server.port, address)
      forwarders.push(forwarder)
      return forwarder
    },
    async restart() {
      await server.stop()
      ;({ server, radio } = await open())
      return radio
    },
    async close() {
      await Promise.all(forwarders.map(f => f.close()))
      await server.stop()
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
}
