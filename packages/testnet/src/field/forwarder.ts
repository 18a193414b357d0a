/**
 * A packet forwarder that is real towards its server and virtual towards the air: two UDP sockets,
 * keep-alives, statistics, batches, a transmit queue, and the habits of the C original.
 */
import { createSocket, type Socket } from 'node:dgram'
import type { Clock, Timer } from '@cairn/node'
import {
  airtime,
  CairnError,
  type Datagram,
  decodeDatagram,
  encodeDatagram,
  RXPK_MAX,
  type Rxpk,
  type Txpk,
} from '@cairn/protocol'
import type { HeardFrame } from './air.ts'
import type { RadioField } from './field.ts'

const KEEP_ALIVE_MS = 10_000
const STAT_MS = 30_000
/** How often the original fetches from the concentrator. */
const FETCH_MS = 10

/** Frames that wait to be sent, and received packets that wait for the next fetch. */
export const QUEUE_MAX = 32
export const BUFFER_MAX = 4_096

/** A timed frame must be asked for this long before its time, and not more than that, us. */
const LEAD_MIN_US = 1_500
const LEAD_MAX_US = 512_000_000

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
  server: { host?: string; port: number }
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

export class VirtualForwarder {
  readonly #clock: Clock
  readonly #field: RadioField
  readonly #init: Required<VirtualForwarderInit>
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
      ...init,
    }
  }

  async start(): Promise<void> {
    if (this.#up !== undefined) return
    this.#up = await open(bytes => this.#takeUp(bytes))
    this.#down = await open(bytes => this.#takeDown(bytes))
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
    this.report({ ...rest, modulation, crc: 'ok', codingRate: '4/5' })
  }

  #push(): void {
    const most = Math.min(RXPK_MAX, Math.floor(BYTES_PER_PUSH / BYTES_PER_PACKET))
    while (this.#buffer.length > 0) this.#sendPush(this.#buffer.splice(0, most))
  }

  #pushStat(): void {
    const { heard, pushed, acknowledged, queued, transmitted } = this.counters
    const stat = {
      received: heard,
      receivedOk: heard,
      forwarded: heard,
      acknowledged: pushed === 0 ? 100 : Math.round((acknowledged / pushed) * 100),
      downlinks: queued,
      transmitted,
    }
    this.#sendPush([], stat)
  }

  #sendPush(rxpk: Rxpk[], stat?: Record<string, number>): void {
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
    if (this.#init.version === 1) return
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
    if (txpk.modulation.name !== 'LORA') return 'TX_FREQ'
    if (this.#queue.size >= QUEUE_MAX) return 'QUEUE_FULL'
    const lead = this.#lead(txpk.when)
    if (typeof lead === 'string') return lead
    const { spreadingFactor, bandwidth } = txpk.modulation
    const us = airtime({ bytes: txpk.payload.length, spreadingFactor, bandwidth })
    const start = this.#clock.now() + lead / 1_000
    const end = start + us / 1_000
    if ([...this.#queue].some(other => start < other.end && end > other.start)) {
      return 'COLLISION_PACKET'
    }
    const { payload, frequency } = txpk
    const eirp = power * 10 + this.#init.gain
    const frame = { payload, frequency, spreadingFactor, bandwidth, eirp }
    const send = () => {
      this.counters.transmitted++
      this.#field.transmit(this.#init.gateway, frame)
      queued.timer = this.#clock.at(end, () => this.#queue.delete(queued))
    }
    const queued: Queued = { start, end, timer: NO_TIMER }
    this.#queue.add(queued)
    this.counters.queued++
    if (lead === 0) send()
    else queued.timer = this.#clock.at(start, send)
    return undefined
  }

  /** Microseconds until the frame is due, or why it cannot be. */
  #lead(when: Txpk['when']): number | string {
    if (when === 'now') return 0
    if ('tmms' in when) return 'GPS_UNLOCKED'
    const apart = (when.tmst - this.#field.counter(this.#init.gateway) + COUNTER) % COUNTER
    const lead = apart >= HALF_COUNTER ? apart - COUNTER : apart
    if (lead < LEAD_MIN_US) return 'TOO_LATE'
    return lead > LEAD_MAX_US ? 'TOO_EARLY' : lead
  }

  #head(): { version: 1 | 2; token: number } {
    this.#token = (this.#token + 1) & 0xffff
    return { version: this.#init.version, token: this.#token }
  }

  /** What cannot leave is lost, as on any network. */
  #send(socket: Socket | undefined, datagram: Datagram): void {
    const { server, padding } = this.#init
    const bytes = encodeDatagram(datagram, { padding })
    socket?.send(bytes, server.port, server.host ?? '127.0.0.1', () => {})
  }
}

const NO_TIMER: Timer = { cancel: () => {} }

async function open(receive: (bytes: Uint8Array) => void): Promise<Socket> {
  const socket = createSocket('udp4')
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('error', reject)
  socket.bind({ address: '127.0.0.1', port: 0 }, resolve)
  await promise
  socket.off('error', reject)
  socket.on('message', receive)
  return socket
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
