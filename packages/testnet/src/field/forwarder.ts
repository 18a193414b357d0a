/**
 * A packet forwarder that is real towards its server and virtual towards the air: two UDP sockets,
 * keep-alives, statistics, batches, a transmit queue, and the habits of the C original (Semtech's
 * lora_pkt_fwd with its just-in-time queue).
 */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { Clock, Timer } from '@cairn/node'
import {
  airtime,
  CairnError,
  type Datagram,
  decodeDatagram,
  encodeDatagram,
  type ForwarderStat,
  type Position,
  RXPK_MAX,
  type Rxpk,
  type Txpk,
} from '@cairn/protocol'
import { GPS_EPOCH_MS, type HeardFrame } from './air.ts'
import type { RadioField } from './field.ts'

const KEEP_ALIVE_MS = 10_000
const STAT_MS = 30_000
/** How often the original fetches from the concentrator. */
const FETCH_MS = 10

/** Frames that wait to be sent, and received packets that wait for the next fetch. */
export const QUEUE_MAX = 32
export const BUFFER_MAX = 4_096

/** The queue's times, us: start of a transmission, margin between two, time to program one. */
const START_US = 1_500
const MARGIN_US = 1_000
const PROGRAM_US = 30_000
/** A timed frame must be asked for this long before its time, and not more than that, us. */
const LEAD_MIN_US = START_US + MARGIN_US + PROGRAM_US
const LEAD_MAX_US = 512_000_000
/** From the request to the start of a frame that is to be sent at once, us. */
const AT_ONCE_US = 2 * PROGRAM_US

/** What the usual board for EU868 is configured to send in, Hz. */
const TX_RANGE = [863_000_000, 870_000_000] as const

/** Conducted power that the usual SX1302 board is calibrated for, dBm. */
const POWERS = Array.from({ length: 16 }, (_, i) => 12 + i)

const HALF_COUNTER = 2 ** 31
const COUNTER = 2 ** 32
const BYTES_PER_PUSH = 60_000
/** No packet's JSON is longer: 255 bytes in base64, and about 300 characters around them. */
const BYTES_PER_PACKET = 650

export interface VirtualForwarderComponents {
  clock: Clock
  field: RadioField
}

export interface VirtualForwarderInit {
  /** Name in the field. */
  gateway: string
  /** 16 hexadecimal digits. */
  eui: string
  /** `host`: an IP address, 127.0.0.1 unless given. */
  server: ServerTarget
  version?: 1 | 2
  /** As in its configuration, whole dBi: taken off the power that it is asked for. 0 by default. */
  antennaGain?: number
  /** Conducted powers it can send, ascending, dBm. */
  powers?: readonly number[]
  /** Real gain of the antenna, 0.1 dBi, that conducted power gains; 20 as in the field. */
  gain?: number
  keepAliveMs?: number
  /** Base64 with padding; false, like the original. */
  padding?: boolean
  /** Knows GPS time, and sends by it; false unless given. */
  gps?: boolean
  /** Lowest and highest frequency it sends on, Hz. */
  txRange?: readonly [number, number]
  /** Where its configuration says that it is. */
  position?: Position
  /** A cheat: sends, and never says so. Its server believes that nothing was sent. */
  silent?: boolean
}

export interface ForwarderCounters {
  heard: number
  pushed: number
  acknowledged: number
  pulled: number
  pullAcknowledged: number
  queued: number
  transmitted: number
  refused: number
}

interface Queued {
  /** Ms. */
  start: number
  end: number
  timer: Timer
}

interface ServerTarget {
  host?: string
  port: number
}

export class VirtualForwarder {
  readonly #clock: Clock
  readonly #field: RadioField
  readonly #init: Required<Omit<VirtualForwarderInit, 'position'>> &
    Pick<VirtualForwarderInit, 'position'>
  readonly #timers = new Map<'pull' | 'stat' | 'fetch', Timer>()
  readonly #queue = new Set<Queued>()
  readonly counters: ForwarderCounters = {
    heard: 0,
    pushed: 0,
    acknowledged: 0,
    pulled: 0,
    pullAcknowledged: 0,
    queued: 0,
    transmitted: 0,
    refused: 0,
  }
  #buffer: Rxpk[] = []
  #up: Socket | undefined
  #down: Socket | undefined
  #leave: (() => void) | undefined
  #token = 0
  /** As of the last report. */
  #reported: ForwarderCounters = { ...this.counters }

  constructor({ clock, field }: VirtualForwarderComponents, init: VirtualForwarderInit) {
    this.#clock = clock
    this.#field = field
    this.#init = {
      version: 2,
      antennaGain: 0,
      powers: POWERS,
      gain: 20,
      keepAliveMs: KEEP_ALIVE_MS,
      padding: false,
      gps: false,
      txRange: TX_RANGE,
      silent: false,
      ...init,
    }
  }

  async start(): Promise<void> {
    if (this.#up !== undefined) return
    const { server } = this.#init
    this.#up = await open(server, bytes => this.#takeUp(bytes))
    this.#down = await open(server, bytes => this.#takeDown(bytes))
    this.#leave = this.#field.listen(this.#init.gateway, heard => this.#hear(heard))
    this.#pull()
    this.#every('stat', STAT_MS, () => this.#pushStat())
  }

  async stop(): Promise<void> {
    const sockets = [this.#up, this.#down]
    this.#up = undefined
    this.#down = undefined
    this.#leave?.()
    for (const timer of this.#timers.values()) timer.cancel()
    for (const { timer } of this.#queue) timer.cancel()
    this.#timers.clear()
    this.#queue.clear()
    this.#buffer = []
    await Promise.all(sockets.map(s => s && new Promise<void>(resolve => s.close(resolve))))
  }

  /** Reports a packet as if it had been heard: how a forged reception is told. */
  report(packet: Rxpk): void {
    this.counters.heard++
    if (this.#buffer.length >= BUFFER_MAX) return
    this.#buffer.push(packet)
    if (this.#timers.has('fetch')) return
    const fetch = () => {
      this.#timers.delete('fetch')
      this.#push()
    }
    this.#timers.set('fetch', this.#clock.at(this.#clock.now() + FETCH_MS, fetch))
  }

  #hear(heard: HeardFrame): void {
    const { spreadingFactor, bandwidth, ...rest } = heard
    const modulation = { name: 'LORA' as const, spreadingFactor, bandwidth }
    const parts = { chain: 0, channel: channelOf(rest.frequency), ...utcOf(rest) }
    this.report({ ...rest, ...parts, modulation, crc: 'ok', codingRate: '4/5' })
  }

  #push(): void {
    const most = Math.min(RXPK_MAX, Math.floor(BYTES_PER_PUSH / BYTES_PER_PACKET))
    while (this.#buffer.length > 0) this.#sendPush(this.#buffer.splice(0, most))
  }

  #pushStat(): void {
    const { position } = this.#init
    const since = (name: keyof ForwarderCounters) => this.counters[name] - this.#reported[name]
    const pushed = since('pushed')
    const stat = {
      time: this.#clock.now(),
      received: since('heard'),
      receivedOk: since('heard'),
      forwarded: since('heard'),
      acknowledged: pushed === 0 ? 100 : Math.round((since('acknowledged') / pushed) * 100),
      downlinks: since('queued') + since('refused'),
      transmitted: since('transmitted'),
      ...(position && { latitude: position.lat / 1e7, longitude: position.lng / 1e7 }),
    }
    this.#reported = { ...this.counters }
    this.#sendPush([], stat)
  }

  #sendPush(rxpk: Rxpk[], stat?: ForwarderStat): void {
    const { eui } = this.#init
    this.counters.pushed++
    const datagram = { ...this.#head(), id: 'pushData' as const, eui, rxpk, foreign: 0 }
    this.#send(this.#up, stat === undefined ? datagram : { ...datagram, stat })
  }

  #pull(): void {
    const { eui, keepAliveMs } = this.#init
    const keepAlive = () => {
      this.counters.pulled++
      this.#send(this.#down, { ...this.#head(), id: 'pullData', eui })
    }
    keepAlive()
    this.#every('pull', keepAliveMs, keepAlive)
  }

  #every(name: 'pull' | 'stat', ms: number, task: () => void): void {
    const again = () => {
      task()
      this.#every(name, ms, task)
    }
    this.#timers.set(name, this.#clock.at(this.#clock.now() + ms, again))
  }

  #takeUp(bytes: Uint8Array): void {
    if (read(bytes)?.id === 'pushAck') this.counters.acknowledged++
  }

  #takeDown(bytes: Uint8Array): void {
    const datagram = read(bytes)
    if (datagram?.id === 'pullAck') this.counters.pullAcknowledged++
    if (datagram?.id === 'pullResp') this.#takeResponse(datagram.txpk, datagram.token)
  }

  #takeResponse(txpk: Txpk, token: number): void {
    const power = this.#power(txpk.power - this.#init.antennaGain)
    const error = this.#enqueue(txpk, power.used)
    if (error !== undefined) this.counters.refused++
    if (this.#init.version === 1 || this.#init.silent) return
    const word = error ?? (power.exact ? undefined : 'TX_POWER')
    this.#send(this.#down, {
      ...this.#head(),
      token,
      id: 'txAck',
      eui: this.#init.eui,
      ...(error !== undefined && { error }),
      ...(error === undefined && word !== undefined && { warn: word, value: power.used }),
    })
  }

  /** The closest power not above the one asked for; the lowest there is when that is lower. */
  #power(asked: number): { used: number; exact: boolean } {
    const { powers } = this.#init
    const used = powers.findLast(power => power <= asked) ?? (powers[0] as number)
    return { used, exact: used === asked }
  }

  /** Undefined, or the forwarder's word for why not. */
  #enqueue(txpk: Txpk, power: number): string | undefined {
    const { txRange, gateway, gain } = this.#init
    const { payload, frequency, modulation } = txpk
    const [lowest, highest] = txRange
    // It would send FSK too; the field has none.
    if (modulation.name !== 'LORA' || frequency < lowest || frequency > highest) return 'TX_FREQ'
    if (this.#queue.size >= QUEUE_MAX) return 'COLLISION_PACKET'
    const { spreadingFactor, bandwidth } = modulation
    const us = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
    const lead = txpk.when === 'now' ? this.#soonest(us) : this.#lead(txpk.when)
    if (typeof lead === 'string') return lead
    const start = this.#clock.now() + lead / 1_000
    const end = start + us / 1_000
    if (this.#collides(start, end)) return 'COLLISION_PACKET'
    const eirp = power * 10 + gain
    const frame = { payload, frequency, spreadingFactor, bandwidth, eirp }
    const send = () => {
      this.counters.transmitted++
      // The concentrator is on time, however late this process is.
      this.#field.transmit(gateway, frame, start)
      queued.timer = this.#clock.at(end, () => this.#queue.delete(queued))
    }
    const queued: Queued = { start, end, timer: NO_TIMER }
    this.#queue.add(queued)
    this.counters.queued++
    queued.timer = this.#clock.at(start, send)
    return undefined
  }

  /** What is to be sent at once takes the first gap that holds it, after what is queued if need be. */
  #soonest(us: number): number {
    const now = this.#clock.now()
    const apart = (PROGRAM_US + START_US + MARGIN_US) / 1_000
    const starts = [
      now + AT_ONCE_US / 1_000,
      // A microsecond more than the least, against rounding.
      ...[...this.#queue].map(({ end }) => end + apart + 0.001).sort((a, b) => a - b),
    ]
    const free = starts.find(start => start > now && !this.#collides(start, start + us / 1_000))
    return ((free ?? now) - now) * 1_000
  }

  #collides(start: number, end: number): boolean {
    const apart = (START_US + PROGRAM_US + MARGIN_US) / 1_000
    return [...this.#queue].some(other => start - apart <= other.end && end + apart >= other.start)
  }

  /** Microseconds until the frame is due, or why it cannot be. */
  #lead(when: { tmst: number } | { tmms: bigint }): number | string {
    if ('tmms' in when && !this.#init.gps) return 'GPS_UNLOCKED'
    const lead = 'tmms' in when ? this.#leadByGps(when.tmms) : this.#leadByCounter(when.tmst)
    if (lead < LEAD_MIN_US) return 'TOO_LATE'
    return lead > LEAD_MAX_US ? 'TOO_EARLY' : lead
  }

  #leadByGps(tmms: bigint): number {
    return (Number(tmms) + GPS_EPOCH_MS - this.#clock.now()) * 1_000
  }

  #leadByCounter(tmst: number): number {
    const apart = (tmst - this.#field.counter(this.#init.gateway) + COUNTER) % COUNTER
    return apart >= HALF_COUNTER ? apart - COUNTER : apart
  }

  #head(): { version: 1 | 2; token: number } {
    this.#token = (this.#token + 1) & 0xffff
    return { version: this.#init.version, token: this.#token }
  }

  /** What cannot leave is lost, as on any network. */
  #send(socket: Socket | undefined, datagram: Datagram): void {
    const { server, padding } = this.#init
    const bytes = encodeDatagram(datagram, { padding })
    socket?.send(bytes, server.port, server.host ?? LOOPBACK, () => {})
  }
}

const LOOPBACK = '127.0.0.1'

const NO_TIMER: Timer = { cancel: () => {} }

async function open(
  { host = LOOPBACK }: ServerTarget,
  receive: (bytes: Uint8Array) => void,
): Promise<Socket> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('error', reject)
  // A socket of loopback reaches nothing else; another is open to whoever finds its port.
  socket.bind({ port: 0, ...(host.startsWith('127.') && { address: LOOPBACK }) }, resolve)
  await promise
  socket.off('error', reject)
  socket.on('message', receive)
  // What a server that is away answers with: as on any network, what is sent is lost.
  socket.on('error', () => {})
  return socket
}

/** Of the eight IF channels in the usual configuration for EU868. */
function channelOf(frequency: number): number {
  const steps = Math.round((frequency - 867_100_000) / 200_000)
  return (((steps + 3) % 8) + 8) % 8
}

/** UTC of a reception with GPS time, microseconds. */
function utcOf({ tmms, ftime = 0 }: Pick<HeardFrame, 'tmms' | 'ftime'>): { time?: bigint } {
  if (tmms === undefined) return {}
  const ms = tmms + BigInt(GPS_EPOCH_MS)
  return { time: ms * 1_000n + BigInt(Math.floor((ftime % 1_000_000) / 1_000)) }
}

/** The original drops what it cannot read. */
function read(bytes: Uint8Array): Datagram | undefined {
  try {
    return decodeDatagram(bytes)
  } catch (error) {
    if (error instanceof CairnError && error.code === 'badDatagram') return undefined
    throw error
  }
}
