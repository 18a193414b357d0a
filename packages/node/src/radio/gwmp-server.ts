/**
 * The server of one gateway's packet forwarder (Semtech UDP), as a `Radio`.
 *
 * GWMP has no authentication, so trust is reduced to this: the server listens on loopback unless it
 * is told otherwise; the first forwarder that asks for downlinks (PULL_DATA) becomes the gateway,
 * its EUI is kept in the store, and every other EUI is refused from then on. While the forwarder
 * keeps its connection alive only its own IP address may speak for it, from any port (it has two
 * sockets, and a restarted one has new ports); after 30 s of silence another address may take over.
 *
 * Data are acknowledged before they are read: a slow listener must not make a forwarder believe
 * that its uplink is down. A TX_ACK says that a frame is queued, not that it was on the air, and
 * version 1 has none: then a transmission counts as sent when its request has left.
 */
import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import {
  CairnError,
  type Datagram,
  type DatagramHead,
  decodeDatagram,
  decodeHead,
  encodeDatagram,
  type ForwarderStat,
  hex,
  type PushData,
  type RegionalPlan,
  type TxAck,
  type Txpk,
  unhex,
} from '@cairn/protocol'
import { deadline } from '../clock.ts'
import type { Clock, Log, Radio, Reception, Store, Transmission, TransmitResult } from '../ports.ts'
import { admit } from './admission.ts'
import { Duplicates } from './duplicates.ts'
import { type Booking, DutyCycleLedger } from './duty-cycle.ts'
import { faultOf, type HeardPacket, type HeardStat, receptionOf } from './heard.ts'

/** Three keep-alives of the usual forwarder: longer silence means that it is gone, ms. */
export const SILENCE_MS = 30_000

/** Transmissions that wait for their TX_ACK. A radio sends one frame at a time. */
export const IN_FLIGHT_MAX = 16

/** Datagrams that wait to leave: what would be more is not answered, as if it had been lost. */
export const LEAVING_MAX = 1_024

/** The same trouble is logged once in so many ms: whoever can send datagrams must not fill a disk. */
const LOG_EVERY_MS = 60_000

/** Room for a burst of full datagrams, bytes. */
const RECEIVE_BUFFER_BYTES = 1 << 20

const TOKENS = 0x1_0000
const SYMBOLS_OF_PREAMBLE = 8

/** Counts one frame or datagram; `direction` is `received`, `sent` or `datagram`. */
export type CountFrame = (
  name: 'radio_frames_total',
  labels: { direction: string; outcome: string },
) => void

export interface GwmpComponents {
  clock: Clock
  /** A key space of the radio's own. */
  store: Store
  log: Log
  count: CountFrame
}

export interface GwmpInit {
  plan: RegionalPlan
  /** How long a forwarder may take to queue a frame, ms. */
  transmitTimeoutMs: number
  /** Address to listen on; 127.0.0.1 unless given. */
  host?: string
  /** 1680 unless given; 0 takes a free one. */
  port?: number
  /** The gateway's EUI (16 hexadecimal digits), instead of that of the first forwarder heard. */
  eui?: string
  /**
   * Gain of antenna less cable, 0.1 dBi, where the forwarder's `antenna_gain` is 0: then it is asked
   * for conducted power, and what it corrects is read as such. 0 where the forwarder knows the gain.
   */
  gain?: number
}

export interface GwmpStatus {
  eui?: string
  /** Where PULL_RESP goes. */
  forwarder?: { address: string; port: number; version: 1 | 2 }
  /** When the forwarder last asked for downlinks, ms since 1970. */
  heardAt?: number
  /** Its latest counters. */
  stat?: ForwarderStat
  inFlight: number
}

interface Route {
  address: string
  port: number
  version: 1 | 2
  /** Ms since 1970. */
  heardAt: number
}

/** Where a datagram came from. */
export interface Sender {
  address: string
  port: number
}

type Answer = TxAck | 'stopped'

const EUI_KEY = new TextEncoder().encode('eui')
const EUI_TEXT = /^[0-9a-f]{16}$/

export class GwmpServer implements Radio {
  readonly #clock: Clock
  readonly #store: Store
  readonly #log: Log
  readonly #count: CountFrame
  readonly #init: Required<Omit<GwmpInit, 'eui'>>
  readonly #duplicates: Duplicates
  readonly #listeners = new Set<(reception: Reception) => void>()
  readonly #packetListeners = new Set<(heard: HeardPacket) => void>()
  readonly #statListeners = new Set<(heard: HeardStat) => void>()
  readonly #inFlight = new Map<number, (answer: Answer) => void>()
  /** When each kind of trouble was last logged. */
  readonly #logged = new Map<string, number>()
  #eui: string | undefined
  #route: Route | undefined
  #stat: ForwarderStat | undefined
  #socket: Socket | undefined
  #ledger: DutyCycleLedger | undefined
  #token = randomInt(TOKENS)
  /** Transmissions between admission and outcome. */
  #pending = 0
  /** The write of the EUI, which `stop` waits for. */
  #saving: Promise<void> = Promise.resolve()

  /** Errors: `badEui`. */
  constructor({ clock, store, log, count }: GwmpComponents, init: GwmpInit) {
    this.#clock = clock
    this.#store = store
    this.#log = log
    this.#count = count
    const { eui, host = '127.0.0.1', port = 1_680, gain = 0 } = init
    this.#init = { ...init, host, port, gain }
    this.#eui = eui?.toLowerCase()
    if (this.#eui !== undefined && !EUI_TEXT.test(this.#eui)) {
      throw new CairnError('badEui', 'a gateway EUI is 16 hexadecimal digits', {
        facts: { eui },
        next: 'Take it from the label of the gateway or the log of its packet forwarder.',
      })
    }
    this.#duplicates = new Duplicates({ clock, pass: heard => this.#pass(heard) })
  }

  /** Errors: `radioPort` when the address cannot be bound; those of the store. */
  async start(): Promise<void> {
    if (this.#socket !== undefined) return
    const { host, port, plan } = this.#init
    const socket = createSocket({
      type: isIPv6(host) ? 'udp6' : 'udp4',
      recvBufferSize: RECEIVE_BUFFER_BYTES,
    })
    this.#socket = socket
    try {
      const components = { store: this.#store.sublevel('duty'), clock: this.#clock }
      this.#ledger = await DutyCycleLedger.open(components, { plan })
      this.#eui ??= await this.#storedEui()
      await bind(socket, host, port)
    } catch (error) {
      this.#socket = undefined
      socket.close()
      throw error
    }
    socket.on('message', (bytes, from) => {
      if (socket === this.#socket) this.receive(bytes, from)
    })
    socket.on('error', cause => this.#trouble('socket', { cause }, 'the radio socket failed'))
  }

  async stop(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined) return
    this.#socket = undefined
    this.#route = undefined
    for (const settle of [...this.#inFlight.values()]) settle('stopped')
    this.#duplicates.clear()
    await new Promise<void>(resolve => socket.close(resolve))
    await this.#saving
  }

  online(): boolean {
    const { heardAt } = this.#route ?? {}
    return heardAt !== undefined && this.#clock.now() - heardAt < SILENCE_MS
  }

  /** The UDP port, once started. */
  get port(): number {
    return this.#socket?.address().port ?? this.#init.port
  }

  status(): GwmpStatus {
    return {
      ...(this.#eui !== undefined && { eui: this.#eui }),
      ...(this.#route && {
        forwarder: {
          address: this.#route.address,
          port: this.#route.port,
          version: this.#route.version,
        },
        heardAt: this.#route.heardAt,
      }),
      ...(this.#stat && { stat: this.#stat }),
      inFlight: this.#pending,
    }
  }

  onReception(listener: (reception: Reception) => void): () => void {
    return subscribe(this.#listeners, listener)
  }

  /** Every packet of the gateway, beacons among them: LoRa and FSK, whatever the CRC. */
  onPacket(listener: (heard: HeardPacket) => void): () => void {
    return subscribe(this.#packetListeners, listener)
  }

  /** Every report of a forwarder's counters. */
  onStat(listener: (heard: HeardStat) => void): () => void {
    return subscribe(this.#statListeners, listener)
  }

  /** Rejects with the signal's reason, `badFrame`, or what the store throws. */
  async transmit(transmission: Transmission, signal: AbortSignal): Promise<TransmitResult> {
    signal.throwIfAborted()
    const result = await this.#transmit(transmission, signal)
    const outcome = result.sent ? 'ok' : result.reason
    this.#count('radio_frames_total', { direction: 'sent', outcome })
    return result
  }

  async #transmit(transmission: Transmission, signal: AbortSignal): Promise<TransmitResult> {
    const ledger = this.#ledger
    if (ledger === undefined || !this.online()) {
      return noGateway('no packet forwarder has asked for downlinks within 30 s')
    }
    if (this.#pending >= IN_FLIGHT_MAX) {
      return { sent: false, reason: 'refused', detail: `${IN_FLIGHT_MAX} frames are in flight` }
    }
    this.#pending++
    try {
      return await this.#admitAndRequest(transmission, ledger, signal)
    } finally {
      this.#pending--
    }
  }

  async #admitAndRequest(
    transmission: Transmission,
    ledger: DutyCycleLedger,
    signal: AbortSignal,
  ): Promise<TransmitResult> {
    const admission = await admit(transmission, this.#init.plan, ledger)
    if (!admission.admitted) return admission.result
    const { booking } = admission
    const route = this.#route
    if (signal.aborted || route === undefined || this.#socket === undefined) {
      await ledger.release(booking)
      signal.throwIfAborted()
      return noGateway('the radio was stopped')
    }
    const power = Math.floor((transmission.power - this.#init.gain) / 10)
    return await this.#request(encodeTransmission(transmission, power), route, booking, signal)
  }

  /** Sends the request and waits for the forwarder's word, the time-out or the signal. */
  async #request(
    txpk: Txpk,
    route: Route,
    booking: Booking,
    signal: AbortSignal,
  ): Promise<TransmitResult> {
    const { transmitTimeoutMs } = this.#init
    const token = this.#nextToken()
    const limit = deadline(this.#clock, this.#clock.now() + transmitTimeoutMs, signal)
    const { promise, resolve } = Promise.withResolvers<Answer | 'late'>()
    limit.signal.addEventListener('abort', () => resolve('late'), { once: true })
    this.#inFlight.set(token, resolve)
    try {
      const { version } = route
      await this.#send(route, { version, token, id: 'pullResp', txpk })
      if (version === 1) return { sent: true, power: this.#eirp(txpk.power) }
      const answer = await promise
      signal.throwIfAborted()
      return await this.#outcome(answer, txpk, booking)
    } finally {
      this.#inFlight.delete(token)
      limit.clear()
    }
  }

  async #outcome(answer: Answer | 'late', txpk: Txpk, booking: Booking): Promise<TransmitResult> {
    if (answer === 'stopped') return noGateway('the radio was stopped')
    if (answer === 'late') {
      const detail = `no TX_ACK within ${this.#init.transmitTimeoutMs} ms`
      return { sent: false, reason: 'timeout', detail }
    }
    if (answer.error !== undefined) {
      await this.#ledger?.release(booking)
      return { sent: false, reason: 'refused', detail: wordOf(answer.error) }
    }
    const corrected = answer.warn === 'TX_POWER' ? answer.value : undefined
    return { sent: true, power: this.#eirp(corrected ?? txpk.power) }
  }

  #eirp(dbm: number): number {
    return Math.round(dbm * 10) + this.#init.gain
  }

  #nextToken(): number {
    do this.#token = (this.#token + 1) % TOKENS
    while (this.#inFlight.has(this.#token))
    return this.#token
  }

  /** Takes one datagram, as the socket hands it over. Never throws, whatever it holds. */
  receive(bytes: Uint8Array, from: Sender): void {
    if (this.#socket === undefined) return
    try {
      const head = decodeHead(bytes)
      if (!this.#speaksForGateway(head, from)) return
      this.#acknowledge(head, from)
      this.#take(decodeDatagram(bytes), from)
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'badDatagram') throw error
      this.#count('radio_frames_total', { direction: 'datagram', outcome: 'badDatagram' })
      this.#trouble('badDatagram', { ...error.facts, ...where(from) }, error.message)
    }
  }

  /** The rules of the module comment; counts what it refuses. */
  #speaksForGateway({ id, eui }: DatagramHead, from: Sender): boolean {
    if (eui === undefined) return this.#refuse('wrongDirection', from, `${id} is for forwarders`)
    if (this.#eui === undefined && id !== 'pullData') {
      return this.#refuse('unknownEui', from, 'a forwarder sends PULL_DATA before anything counts')
    }
    if (this.#eui !== undefined && eui !== this.#eui) {
      return this.#refuse('foreignEui', from, 'this radio belongs to the gateway heard first')
    }
    if (this.online() && from.address !== this.#route?.address) {
      return this.#refuse('foreignAddress', from, 'the forwarder is alive at another address')
    }
    return true
  }

  #refuse(outcome: string, from: Sender, text: string): false {
    this.#count('radio_frames_total', { direction: 'datagram', outcome })
    this.#trouble(outcome, { ...where(from), ...(this.#eui && { eui: this.#eui }) }, text)
    return false
  }

  #acknowledge({ id, version, token }: DatagramHead, from: Sender): void {
    if (id === 'txAck') return
    const answer = id === 'pushData' ? 'pushAck' : 'pullAck'
    void this.#send(from, { version, token, id: answer })
  }

  #take(datagram: Datagram, from: Sender): void {
    this.#count('radio_frames_total', { direction: 'datagram', outcome: 'ok' })
    if (datagram.id === 'pushData') this.#takeData(datagram, from)
    else if (datagram.id === 'txAck') this.#takeAck(datagram)
    else if (datagram.id === 'pullData') this.#takePull(datagram, from)
  }

  #takePull({ eui, version }: { eui: string; version: 1 | 2 }, from: Sender): void {
    const { address, port } = from
    const known = this.online()
    this.#route = { address, port, version, heardAt: this.#clock.now() }
    if (!known) this.#log.info({ eui, ...where(from) }, 'a packet forwarder asks for downlinks')
    if (this.#eui !== undefined) return
    this.#eui = eui
    this.#saving = this.#saveEui(eui)
  }

  /** A lost write is no loss: the next start pins again. */
  async #saveEui(eui: string): Promise<void> {
    try {
      await this.#store.batch([{ key: EUI_KEY, value: unhex(eui) }])
    } catch (cause) {
      this.#trouble('store', { cause }, 'the EUI of the gateway could not be kept')
    }
  }

  #takeData({ eui, rxpk, foreign, malformed = [], stat }: PushData, from: Sender): void {
    const at = this.#clock.now()
    if (stat !== undefined) {
      this.#stat = stat
      for (const listener of this.#statListeners) listener({ eui, stat, at })
    }
    for (let i = 0; i < foreign; i++) this.#received('otherModulation')
    for (const reason of malformed) {
      this.#received('malformed')
      this.#trouble('malformed', { reason, ...where(from) }, 'a packet could not be read')
    }
    for (const packet of rxpk) {
      if (!this.#duplicates.offer({ eui, packet, at })) this.#received('duplicate')
    }
  }

  #takeAck(ack: TxAck): void {
    const settle = this.#inFlight.get(ack.token)
    if (settle !== undefined) settle(ack)
    else this.#count('radio_frames_total', { direction: 'datagram', outcome: 'unexpectedAck' })
  }

  #pass(heard: HeardPacket): void {
    const fault = faultOf(heard.packet)
    this.#received(fault ?? 'ok')
    for (const listener of this.#packetListeners) listener(heard)
    if (fault !== undefined) return
    const reception = receptionOf(heard)
    for (const listener of this.#listeners) listener(reception)
  }

  #received(outcome: string): void {
    this.#count('radio_frames_total', { direction: 'received', outcome })
  }

  /** Resolves when the system took it; a datagram that cannot leave is like one that was lost. */
  #send(to: { address: string; port: number }, datagram: Datagram): Promise<void> {
    return new Promise(resolve => {
      const done = (cause: Error | null) => {
        if (cause !== null)
          this.#trouble('send', { cause, ...where(to) }, 'a datagram did not leave')
        resolve()
      }
      if (this.#socket === undefined) return resolve()
      if (this.#socket.getSendQueueCount() >= LEAVING_MAX) {
        return done(new Error(`${LEAVING_MAX} datagrams wait to leave`))
      }
      this.#socket.send(encodeDatagram(datagram), to.port, to.address, done)
    })
  }

  async #storedEui(): Promise<string | undefined> {
    const bytes = await this.#store.get(EUI_KEY)
    return bytes && hex(bytes)
  }

  #trouble(kind: string, facts: object, text: string): void {
    const now = this.#clock.now()
    const last = this.#logged.get(kind)
    if (last !== undefined && now - last < LOG_EVERY_MS) return
    this.#logged.set(kind, now)
    this.#log.warn({ kind, ...facts }, text)
  }
}

/** A forwarder drops a packet without `codr` or `size` in silence, so both are always there. */
function encodeTransmission(transmission: Transmission, power: number): Txpk {
  const { payload, frequency, spreadingFactor, bandwidth } = transmission
  return {
    payload,
    frequency,
    modulation: { name: 'LORA', spreadingFactor, bandwidth },
    when: 'now',
    power,
    codingRate: '4/5',
    preamble: SYMBOLS_OF_PREAMBLE,
    inverted: false,
    noCrc: false,
  }
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

function noGateway(detail: string): TransmitResult {
  return { sent: false, reason: 'noGateway', detail }
}

/** A forwarder's word, as far as it is one: what came in is not repeated blindly. */
function wordOf(error: string): string {
  return /^[A-Z_]{1,32}$/.test(error) ? error : 'the forwarder refused in unknown words'
}

function where({ address, port }: Sender): object {
  return { address, port }
}
