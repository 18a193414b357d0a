/**
 * One gateway behind the GWMP server, as a `Radio`: its packet forwarder's address, what it hears and
 * sends, and the airtime that it has spent. Gateways share nothing but the server's socket: one that
 * is silent, or slow to queue a frame, holds up no other.
 *
 * A TX_ACK says that a frame is queued, not that it was on the air, and version 1 has none: then a
 * transmission counts as sent when its request has left.
 */
import { randomInt } from 'node:crypto'
import {
  airtime,
  bandOf,
  CairnError,
  type Datagram,
  type ForwarderStat,
  FRAME_BANDWIDTH,
  FRAME_BYTES,
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
import type { RareWarnings } from './rare-warnings.ts'
import { refusal } from './refusals.ts'

/** Three keep-alives of the usual forwarder: longer silence means that it is gone, ms. */
export const SILENCE_MS = 30_000

/** Transmissions that wait for their TX_ACK. A radio sends one frame at a time. */
export const IN_FLIGHT_MAX = 16

/** No concentrator sends louder than this, nor more quietly than its negative, dBm. */
const POWER_MAX = 60

/** Spans kept free for beacons: one node sends one in a round. */
const RESERVED_MAX = 8
/** How far from such a span other frames stay, ms: what a forwarder takes to be told. */
const RESERVED_GUARD_MS = 500
/** Beacons of two rounds may fall into one hour; downlinks leave airtime for both. */
const BEACONS_PER_HOUR = 2
/** A frame asked for at a count may be due at any time in so many ms while the count is not known. */
const UNKNOWN_DUE_MS = 10_000

const COUNTER = 2 ** 32
/** A forwarder that told GPS time this long ago is asked to send by it. */
const GPS_FRESH_MS = 600_000
/**
 * From the request to the start of a frame that is sent by GPS time: more than a forwarder needs to
 * program it (33 ms) with the age of the last packet, less than the skew that slots allow for.
 */
const GPS_LEAD_MS = 150
/** A forwarder's words for a GPS time that it cannot send at. */
const UNTIMED = new Set(['GPS_UNLOCKED', 'TOO_LATE', 'TOO_EARLY'])
/** GPS time began on 1980-01-06, ms since 1970, and is ahead of UTC by so many leap seconds. */
const GPS_BEGAN_MS = 315_964_800_000
const GPS_AHEAD_MS = 18_000

/** What a forwarder refuses with, as far as it is one: what came in is not repeated blindly. */
const WORD = /^[A-Z_]{1,32}$/

const TOKENS = 0x1_0000
const SYMBOLS_OF_PREAMBLE = 8

/** Counts one frame or datagram; `direction` is `received`, `sent` or `datagram`. */
export type CountFrame = (
  name: 'radio_frames_total',
  labels: { direction: string; outcome: string },
) => void

/** Where datagrams come from and go to. */
export interface Endpoint {
  address: string
  port: number
}

export interface GatewayComponents {
  clock: Clock
  log: Log
  count: CountFrame
  warnings: RareWarnings
  /** Resolves when the system took it; a datagram that cannot leave is like one that was lost. */
  send(to: Endpoint, datagram: Datagram): Promise<void>
  /** Is told every packet, once. */
  heard(packet: HeardPacket): void
  /** Is told every report of the forwarder's counters. */
  reported(stat: HeardStat): void
}

export interface GatewayInit {
  /** A key space of the gateway's own. */
  store: Store
  plan: RegionalPlan
  /** The gateway's EUI (16 hexadecimal digits), instead of that of the first forwarder heard. */
  eui?: string
  /**
   * Gain of antenna less cable, 0.1 dBi, where the forwarder's `antenna_gain` is 0: then it is asked
   * for conducted power, and what it corrects is read as such. 0 where the forwarder knows the gain.
   */
  gain?: number
}

export interface GatewayStatus {
  eui?: string
  /** Where PULL_RESP goes. */
  forwarder?: Endpoint & { version: 1 | 2 }
  /** When the forwarder last asked for downlinks, ms since 1970. */
  heardAt?: number
  /** Its latest counters. */
  stat?: ForwarderStat
  inFlight: number
}

interface Route extends Endpoint {
  version: 1 | 2
  /** Ms since 1970. */
  heardAt: number
}

type Answer = TxAck | 'stopped'

/** A frame, and the request for it at a power in whole dBm. */
interface Request {
  readonly transmission: Transmission
  ask(power: number): Txpk
  /** Microseconds of its band's hour that it has to leave. */
  readonly keep: number
}

/** Ms since 1970. */
interface Span {
  readonly from: number
  readonly to: number
}

const EUI_KEY = new TextEncoder().encode('eui')
const EUI_TEXT = /^[0-9a-f]{16}$/

export class Gateway implements Radio {
  readonly #components: GatewayComponents
  readonly #init: GatewayInit & { gain: number; transmitTimeoutMs: number }
  readonly #duplicates: Duplicates
  readonly #listeners = new Set<(reception: Reception) => void>()
  readonly #inFlight = new Map<number, (answer: Answer) => void>()
  #eui: string | undefined
  #route: Route | undefined
  #stat: ForwarderStat | undefined
  #reserved: Span[] = []
  /** The last packet's count and time of arrival: what tells when a later count is due. */
  #counted: { tmst: number; at: number } | undefined
  /** Of the last packet that came with it. */
  #gps: { tmms: bigint; at: number } | undefined
  /** Present while started. */
  #ledger: DutyCycleLedger | undefined
  #token = randomInt(TOKENS)
  /** Transmissions between admission and outcome. */
  #pending = 0
  /** The write of the EUI, which `stop` waits for. */
  #saving: Promise<void> = Promise.resolve()

  /** Errors: `badEui`. */
  constructor(components: GatewayComponents, init: GatewayInit & { transmitTimeoutMs: number }) {
    this.#components = components
    const { eui, gain = 0 } = init
    this.#init = { ...init, gain }
    this.#eui = eui?.toLowerCase()
    if (this.#eui !== undefined && !EUI_TEXT.test(this.#eui)) {
      throw new CairnError('badEui', 'a gateway EUI is 16 hexadecimal digits', {
        facts: { eui },
        next: 'Take it from the label of the gateway or the log of its packet forwarder.',
      })
    }
    const { clock } = components
    this.#duplicates = new Duplicates({ clock, pass: heard => this.#pass(heard) })
  }

  /** 16 hexadecimal digits; undefined until its forwarder was named or heard. */
  get eui(): string | undefined {
    return this.#eui
  }

  get plan(): RegionalPlan {
    return this.#init.plan
  }

  /** Reads its EUI and its airtime. Errors: those of the store. */
  async start(): Promise<void> {
    if (this.#ledger !== undefined) return
    const { store, plan } = this.#init
    const { clock } = this.#components
    this.#eui ??= await storedEui(store)
    this.#ledger = await DutyCycleLedger.open({ store: store.sublevel('duty'), clock }, { plan })
  }

  async stop(): Promise<void> {
    this.#ledger = undefined
    this.#route = undefined
    for (const settle of [...this.#inFlight.values()]) settle('stopped')
    this.#duplicates.clear()
    await this.#saving
  }

  online(): boolean {
    const { heardAt } = this.#route ?? {}
    return heardAt !== undefined && this.#components.clock.now() - heardAt < SILENCE_MS
  }

  status(): GatewayStatus {
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
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Rejects with the signal's reason, `badFrame`, or what the store throws. */
  async transmit(transmission: Transmission, signal: AbortSignal): Promise<TransmitResult> {
    const send = (when: Txpk['when']) => {
      const ask = (power: number) => encodeTransmission(transmission, power, when)
      return this.#send({ transmission, ask, keep: 0 }, signal)
    }
    const began = this.#gpsSoon()
    if (began === undefined) return await send('now')
    const result = await send({ tmms: began })
    if (result.sent) return { ...result, began }
    if (result.reason !== 'refused' || !UNTIMED.has(result.word ?? '')) return result
    this.#gps = undefined
    return await send('now')
  }

  /** GPS ms, soon enough for the slot and late enough for the forwarder; undefined without GPS. */
  #gpsSoon(): bigint | undefined {
    const now = this.#components.clock.now()
    // Version 1 does not tell that it cannot.
    if (this.#gps === undefined || this.#route?.version !== 2) return undefined
    const since = now - this.#gps.at
    if (since < 0 || since > GPS_FRESH_MS) return undefined
    return this.#gps.tmms + BigInt(Math.round(since) + GPS_LEAD_MS)
  }

  /**
   * Sends a frame that a network server asks for, at its EIRP in dBm. It takes neither the air nor the
   * airtime that a beacon needs: then it is refused as `COLLISION_BEACON` or for its duty cycle.
   * Rejects as `transmit` does.
   */
  async sendDownlink(txpk: Txpk, signal: AbortSignal): Promise<TransmitResult> {
    const { payload, frequency, modulation, when, power } = txpk
    if (modulation.name !== 'LORA') return refused('only LoRa frames are sent', 'TX_FREQ')
    const { spreadingFactor, bandwidth } = modulation
    const us = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
    if (this.#meetsReserved(when, us / 1_000)) {
      return refused('a beacon is to be sent at that time', 'COLLISION_BEACON')
    }
    const transmission = { payload, frequency, spreadingFactor, bandwidth, power: power * 10 }
    const keep = beaconAirtime(this.#init.plan, frequency)
    const ask = (whole: number): Txpk => ({ codingRate: '4/5', ...txpk, power: whole })
    return await this.#send({ transmission, ask, keep }, signal)
  }

  reserve(span: Span): void {
    const now = this.#components.clock.now()
    this.#reserved = [...this.#reserved.filter(({ to }) => to > now), span].slice(-RESERVED_MAX)
  }

  async #send(request: Request, signal: AbortSignal): Promise<TransmitResult> {
    signal.throwIfAborted()
    const result = await this.#transmit(request, signal)
    const outcome = result.sent ? 'ok' : result.reason
    this.#components.count('radio_frames_total', { direction: 'sent', outcome })
    return result
  }

  /**
   * Whether an address may speak for this gateway: while its forwarder keeps its connection alive
   * only its own.
   */
  mayComeFrom({ address }: Endpoint): boolean {
    return !this.online() || address === this.#route?.address
  }

  /** Takes a datagram of its forwarder. */
  take(datagram: Datagram, from: Endpoint): void {
    if (this.#ledger === undefined) return
    if (datagram.id === 'pushData') this.#takeData(datagram, from)
    else if (datagram.id === 'txAck') this.#takeAck(datagram)
    else if (datagram.id === 'pullData') this.#takePull(datagram, from)
  }

  async #transmit(request: Request, signal: AbortSignal): Promise<TransmitResult> {
    const ledger = this.#ledger
    if (ledger === undefined || !this.online()) {
      return noGateway('no packet forwarder has asked for downlinks within 30 s')
    }
    if (this.#pending >= IN_FLIGHT_MAX) {
      return refused(`${IN_FLIGHT_MAX} frames are in flight`, 'QUEUE_FULL')
    }
    this.#pending++
    try {
      return await this.#admitAndRequest(request, ledger, signal)
    } finally {
      this.#pending--
    }
  }

  async #admitAndRequest(
    { transmission, ask, keep }: Request,
    ledger: DutyCycleLedger,
    signal: AbortSignal,
  ): Promise<TransmitResult> {
    const admission = await admit(transmission, this.#init.plan, ledger, keep)
    if (!admission.admitted) return admission.result
    const { booking } = admission
    const route = this.#route
    if (signal.aborted || route === undefined) {
      await ledger.release(booking)
      signal.throwIfAborted()
      return noGateway('the radio was stopped')
    }
    const power = Math.floor((transmission.power - this.#init.gain) / 10)
    return await this.#request(ask(power), route, booking, signal)
  }

  /** Sends the request and waits for the forwarder's word, the time-out or the signal. */
  async #request(
    txpk: Txpk,
    route: Route,
    booking: Booking,
    signal: AbortSignal,
  ): Promise<TransmitResult> {
    const { clock, send } = this.#components
    const { transmitTimeoutMs } = this.#init
    const token = this.#nextToken()
    const limit = deadline(clock, clock.now() + transmitTimeoutMs, signal)
    const { promise, resolve } = Promise.withResolvers<Answer | 'late'>()
    limit.signal.addEventListener('abort', () => resolve('late'), { once: true })
    this.#inFlight.set(token, resolve)
    try {
      const { version } = route
      await send(route, { version, token, id: 'pullResp', txpk })
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
      return refused(refusal(answer.error), WORD.test(answer.error) ? answer.error : undefined)
    }
    const used = (answer.warn === 'TX_POWER' ? answer.value : undefined) ?? txpk.power
    if (Math.abs(used) > POWER_MAX) {
      return refused(`no radio sends at ${used} dBm`)
    }
    return { sent: true, power: this.#eirp(used) }
  }

  #meetsReserved(when: Txpk['when'], ms: number): boolean {
    const [from, to] = this.#due(when)
    const guard = RESERVED_GUARD_MS
    return this.#reserved.some(span => from - guard < span.to && to + ms + guard > span.from)
  }

  /** The earliest and the latest time at which a frame begins, ms since 1970. */
  #due(when: Txpk['when']): [number, number] {
    const now = this.#components.clock.now()
    if (when === 'now') return [now, now]
    if ('tmms' in when) {
      const at = Number(when.tmms) + GPS_BEGAN_MS - GPS_AHEAD_MS
      return [at, at]
    }
    if (this.#counted === undefined) return [now, now + UNKNOWN_DUE_MS]
    const { tmst, at } = this.#counted
    const apart = (when.tmst - tmst + COUNTER) % COUNTER
    const due = at + (apart >= COUNTER / 2 ? apart - COUNTER : apart) / 1_000
    return [due, due]
  }

  #eirp(dbm: number): number {
    return Math.round(dbm * 10) + this.#init.gain
  }

  #nextToken(): number {
    do this.#token = (this.#token + 1) % TOKENS
    while (this.#inFlight.has(this.#token))
    return this.#token
  }

  #takePull({ eui, version }: { eui: string; version: 1 | 2 }, { address, port }: Endpoint): void {
    const { clock, log } = this.#components
    const known = this.online()
    this.#route = { address, port, version, heardAt: clock.now() }
    if (!known) log.info({ eui, address, port }, 'a packet forwarder asks for downlinks')
    if (this.#eui !== undefined) return
    this.#eui = eui
    this.#saving = this.#saveEui(eui)
  }

  /** A lost write is no loss: the next start pins again. */
  async #saveEui(eui: string): Promise<void> {
    try {
      await this.#init.store.batch([{ key: EUI_KEY, value: unhex(eui) }])
    } catch (cause) {
      const { warnings } = this.#components
      warnings.warn('store', { cause }, 'the EUI of the gateway could not be kept')
    }
  }

  #takeData({ eui, rxpk, foreign, malformed = [], stat }: PushData, from: Endpoint): void {
    const { clock, warnings, reported } = this.#components
    const at = clock.now()
    if (stat !== undefined) {
      this.#stat = stat
      reported({ eui, stat, at })
    }
    for (let i = 0; i < foreign; i++) this.#received('otherModulation')
    for (const reason of malformed) {
      this.#received('malformed')
      const { address, port } = from
      warnings.warn('malformed', { reason, eui, address, port }, 'a packet could not be read')
    }
    for (const packet of rxpk) {
      this.#counted = { tmst: packet.tmst, at }
      if (packet.tmms !== undefined) this.#gps = { tmms: packet.tmms, at }
      if (!this.#duplicates.offer({ eui, packet, at })) this.#received('duplicate')
    }
  }

  #takeAck(ack: TxAck): void {
    const settle = this.#inFlight.get(ack.token)
    if (settle !== undefined) settle(ack)
    else {
      const labels = { direction: 'datagram', outcome: 'unexpectedAck' }
      this.#components.count('radio_frames_total', labels)
    }
  }

  #pass(heard: HeardPacket): void {
    const fault = faultOf(heard.packet)
    this.#received(fault ?? 'ok')
    this.#components.heard(heard)
    if (fault !== undefined) return
    const reception = receptionOf(heard)
    for (const listener of this.#listeners) listener(reception)
  }

  #received(outcome: string): void {
    this.#components.count('radio_frames_total', { direction: 'received', outcome })
  }
}

async function storedEui(store: Store): Promise<string | undefined> {
  const bytes = await store.get(EUI_KEY)
  return bytes && hex(bytes)
}

/** A forwarder drops a packet without `codr` or `size` in silence, so both are always there. */
function encodeTransmission(transmission: Transmission, power: number, when: Txpk['when']): Txpk {
  const { payload, frequency, spreadingFactor, bandwidth } = transmission
  return {
    payload,
    frequency,
    modulation: { name: 'LORA', spreadingFactor, bandwidth },
    when,
    power,
    codingRate: '4/5',
    preamble: SYMBOLS_OF_PREAMBLE,
    inverted: false,
    noCrc: false,
  }
}

function noGateway(detail: string): TransmitResult {
  return { sent: false, reason: 'noGateway', detail }
}

function refused(detail: string, word?: string): TransmitResult & { sent: false } {
  return { sent: false, reason: 'refused', detail, ...(word !== undefined && { word }) }
}

/** Airtime that beacons may need in a frequency's band within an hour, microseconds. */
function beaconAirtime(plan: RegionalPlan, frequency: number): number {
  const band = bandOf(plan, frequency)
  const used = plan.channelSets.flat().some(channel => bandOf(plan, channel) === band)
  if (band === undefined || !used) return 0
  const [, spreadingFactor] = plan.spreadingFactors
  const us = airtime({ bytes: FRAME_BYTES, spreadingFactor, bandwidth: FRAME_BANDWIDTH })
  return BEACONS_PER_HOUR * us
}
