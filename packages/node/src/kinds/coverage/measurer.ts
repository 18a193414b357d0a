/**
 * The measuring side of location by latency: pings the gateways that this node is drawn for, one
 * question after the other on one stream, keeps the least round trip, and publishes it with the
 * gateway's signature. The times are taken by the network, next to the socket.
 */
import {
  type Between,
  CairnError,
  type Calendar,
  COVERAGE,
  coverage,
  type EpochBase,
  equalBytes,
  Measurement,
  MessageType,
  measurersOf,
  PINGS_MIN,
  Ping,
  Pinged,
  pingBeginning,
  pong,
  type RegistryEntry,
  slotStart,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import { contactsOf } from '../../contacts.ts'
import type { Clock, Log, Network } from '../../ports.ts'
import { Errands } from '../errands.ts'
import type { Voice } from '../kind.ts'
import { PING_PROTOCOL, PINGED_PROTOCOL } from './measured.ts'

/** Round trips of one measurement: on a busy machine some of so many find it idle. */
const PINGS = 32
/** Wait for one answer, ms; then the same is asked again, and the time of neither counts. */
const PING_MS = 2_000
/** Gateways measured at once: more would slow each other down. */
const MEASURING_MAX = 4
/** Gateways measured in an epoch; more are drawn for one node only where others are few. */
const MEASURED_MAX = 64

export interface MeasurerComponents {
  clock: Clock
  network: Network
  voice: Voice
  log: Log
  /** Numbers that nobody can foresee. */
  random(length: number): Uint8Array
  /** libp2p peer id of a registered node. */
  peerOf(entry: RegistryEntry): string
}

/** What came of the pings so far. */
interface Chain {
  count: number
  micros: number
}

interface Measuring {
  readonly base: EpochBase
  readonly own: number
  readonly target: number
  readonly chain: Chain
}

interface Pinging {
  readonly peer: string
  readonly base: EpochBase
  readonly between: Between
  readonly chain: Chain
  readonly signal: AbortSignal
}

export class Measurer {
  readonly #components: MeasurerComponents
  readonly #calendar: Calendar
  readonly #errands: Errands

  constructor(components: MeasurerComponents, { calendar }: { calendar: Calendar }) {
    this.#components = components
    this.#calendar = calendar
    this.#errands = new Errands(components)
  }

  stop(): Promise<void> {
    return this.#errands.stop()
  }

  /** Measures what the epoch draws this node for, spread over the slots before attestations end. */
  epoch(base: EpochBase): void {
    const { clock, voice } = this.#components
    const own = voice.index(base)
    if (own === undefined) return
    const drawn = coverage
      .targets(base)
      .filter(target => measurersOf(base, target).includes(own))
      .slice(0, MEASURED_MAX)
    const { coverageReveal, attestUntilSlot, skewMs } = base.profile
    const [first] = coverageReveal
    const slots = Math.max(1, attestUntilSlot - 1 - first)
    const bySlot = Map.groupBy(
      drawn,
      target => first + ((measurersOf(base, target).indexOf(own) + target) % slots),
    )
    for (const [slot, targets] of bySlot) {
      const due = slotStart(this.#calendar, base.epoch, slot) + skewMs
      if (clock.now() > due) continue
      this.#errands.at(due, () => this.#measureAll(base, own, targets))
    }
  }

  async #measureAll(base: EpochBase, own: number, targets: readonly number[]): Promise<void> {
    const waiting = targets.values()
    const lanes = Array.from({ length: MEASURING_MAX }, async () => {
      for (const target of waiting) await this.#measure(base, own, target)
    })
    await Promise.all(lanes)
  }

  async #measure(base: EpochBase, own: number, target: number): Promise<void> {
    const { network, log, peerOf } = this.#components
    const entry = base.node(target)
    if (entry === undefined) return
    const connected = new Set(network.peers())
    for (const peer of contactsOf(entry, base, { peerOf, connected })) {
      const chain: Chain = { count: 0, micros: Number.POSITIVE_INFINITY }
      try {
        await this.#measureAt(peer, { base, own, target, chain })
        return
      } catch (err) {
        if (!(err instanceof CairnError)) throw err
        log.debug({ err, epoch: base.epoch, target, count: chain.count }, 'not measured')
        if (chain.count > 0) return
      }
    }
  }

  async #measureAt(peer: string, { base, own, target, chain }: Measuring): Promise<void> {
    const { clock, network, voice, log } = this.#components
    const { attestUntilSlot, slotMs, skewMs } = base.profile
    const end = slotStart(this.#calendar, base.epoch, attestUntilSlot)
    const asking = deadline(clock, end - slotMs / 2, this.#errands.signal)
    const signing = deadline(clock, end - skewMs, this.#errands.signal)
    const between = { epoch: base.epoch, base: base.tag, measurer: own, target }
    try {
      const nonce = await this.#pings({ peer, base, between, chain, signal: asking.signal })
      const { count, micros } = chain
      if (micros === Number.POSITIVE_INFINITY) throw wrong('only answers to repeated pings')
      const request = Pinged.serialize({ ...between, nonce, count })
      const signature = await network.request(peer, PINGED_PROTOCOL, request, {
        signal: signing.signal,
        maxResponseBytes: 64,
      })
      if (signature.length !== 64) throw wrong('no signature', { found: signature.length })
      const fields = { kind: COVERAGE, target, nonce, count, micros, signature }
      await voice.say<Measurement>(MessageType.measurement, Measurement, base, fields)
      log.debug({ epoch: base.epoch, target, count, micros }, 'measured')
    } finally {
      asking.clear()
      signing.clear()
    }
  }

  /**
   * Goes on to the last ping, or to the end of the time if enough were answered by then. Resolves with
   * the last value of the chain.
   */
  async #pings({ peer, base, between, chain, signal }: Pinging): Promise<Uint8Array> {
    const { epoch, measurer, target } = between
    let value = pingBeginning(between, base.network)
    while (chain.count < PINGS) {
      const nonce = this.#components.random(32)
      const ping = Ping.serialize({ epoch, measurer, target, place: chain.count, nonce })
      let answer: { pong: Uint8Array; micros: number }
      try {
        answer = await this.#ping(peer, ping, signal)
      } catch (error) {
        if (signal.aborted && chain.count >= PINGS_MIN) return value
        throw error
      }
      const expected = pong(value, nonce)
      if (!equalBytes(answer.pong, expected)) throw wrong('no answer to the ping')
      value = expected
      chain.count++
      chain.micros = Math.min(chain.micros, answer.micros)
    }
    return value
  }

  async #ping(peer: string, ping: Uint8Array, signal: AbortSignal) {
    const { clock, network } = this.#components
    let micros = Number.POSITIVE_INFINITY
    for (let again = false; ; again = true) {
      const limit = deadline(clock, clock.now() + PING_MS, signal)
      try {
        const pong = await network.request(peer, PING_PROTOCOL, ping, {
          signal: limit.signal,
          maxResponseBytes: 32,
          // A repeated question may have been answered before it was put.
          ...(again ? {} : { onRoundTrip: (took: number) => (micros = took) }),
        })
        return { pong, micros }
      } catch (error) {
        const lost = error instanceof CairnError && error.code === 'timeout' && !signal.aborted
        if (!lost) throw error
      } finally {
        limit.clear()
      }
    }
  }
}

function wrong(text: string, facts: Record<string, number> = {}): CairnError {
  return new CairnError('badMeasurement', `the measured node gave ${text}`, { facts })
}
