/** Answers a challenge with a beacon on the air, and reveals it two slots later. */
import {
  ABSENT_TMMS,
  airtime,
  Beacon,
  type BeaconPlan,
  type BeaconSlots,
  beaconPlan,
  type Calendar,
  type Challenge,
  COVERAGE,
  type EpochBase,
  encodeLevel,
  equalBytes,
  hasNonce,
  type Known,
  MessageType,
  type NonceChain,
  ownRound,
  roundOf,
  slotAt,
  slotStart,
  slotsOf,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import type { Clock, Log, Radio, TransmitResult } from '../../ports.ts'
import { Errands } from '../errands.ts'
import type { Voice } from '../kind.ts'

export interface BeaconerComponents {
  clock: Clock
  voice: Voice
  radio: Radio
  log: Log
}

export interface BeaconerInit {
  calendar: Calendar
  /** The chain whose end is registered. */
  chain: NonceChain
}

/**
 * A radio that is asked by GPS time and refuses asks again: two time-outs of its own pass at most.
 * What it says then is to come before this node gives it up.
 */
const RADIO_ATTEMPTS = 2
/** What a radio needs beside: its store and its socket, ms. */
const RADIO_SPARE_MS = 1_000

type Sent = TransmitResult & { sent: true }

interface Answer {
  readonly base: EpochBase
  readonly challenge: Known<Challenge>
  readonly slots: BeaconSlots
  readonly nonce: Uint8Array
  readonly plan: BeaconPlan
}

export class Beaconer {
  readonly #components: BeaconerComponents
  readonly #init: BeaconerInit
  readonly #errands: Errands
  /** Round that is answered, or being answered: one beacon each. */
  #answered = -1

  constructor(components: BeaconerComponents, init: BeaconerInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  stop(): Promise<void> {
    return this.#errands.stop()
  }

  /** Answers the first challenge of a round that can still be answered in its slot. */
  challenged(challenge: Known<Challenge>, base: EpochBase): void {
    const round = roundOf(base.epoch, base.profile)
    if (round <= this.#answered) return
    const answer = this.#prepare(challenge, base)
    if (answer === undefined) return
    this.#answered = round
    const { slots, plan } = answer
    const from = slotStart(this.#init.calendar, base.epoch, slots.transmission) + plan.delayMs
    const { payload, spreadingFactor, bandwidth } = plan
    const us = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
    this.#components.radio.reserve({ from, to: from + us / 1_000 })
    this.#errands.at(from, () => this.#transmit(answer))
  }

  #prepare(challenge: Known<Challenge>, base: EpochBase): Answer | undefined {
    const { clock, voice, radio, log } = this.#components
    const { calendar, chain } = this.#init
    const index = voice.index(base)
    const entry = index === undefined ? undefined : base.node(index)
    if (entry === undefined || !hasNonce(entry, base)) return undefined
    const facts = { epoch: base.epoch, node: entry.index }
    if (!equalBytes(entry.nonceEnd, chain.end)) {
      log.error(facts, 'no beacon: another nonce chain is registered than this node holds')
      return undefined
    }
    const nonce = chain.nonce(ownRound(entry, base))
    const slots = slotsOf(challenge.value, base)
    const { output } = challenge.value
    const plan = beaconPlan({ output, nonce, gateway: entry, profile: base.profile })
    if (plan === undefined) {
      log.warn({ ...facts, region: entry.region }, 'no beacon: regional plan not known')
      return undefined
    }
    const now = clock.now()
    const due = slotStart(calendar, base.epoch, slots.transmission) + plan.delayMs
    if (now > due || slotAt(calendar, base.epoch, now) > slots.challenge + 1) {
      log.info({ ...facts, lateMs: now - due }, 'no beacon: the challenge came too late')
      return undefined
    }
    if (!radio.online()) {
      log.warn(facts, 'no beacon: no packet forwarder has been heard')
      return undefined
    }
    return { base, challenge, slots, nonce, plan }
  }

  async #transmit(answer: Answer): Promise<void> {
    const { clock, radio, log } = this.#components
    const { base, slots, plan } = answer
    const { payload, frequency, spreadingFactor, bandwidth, power } = plan
    const patience = RADIO_ATTEMPTS * base.profile.transmitTimeoutMs + RADIO_SPARE_MS
    const limit = deadline(clock, clock.now() + patience, this.#errands.signal)
    const transmission = { payload, frequency, spreadingFactor, bandwidth, power }
    const facts = { epoch: base.epoch, frequency, spreadingFactor, power }
    try {
      const result = await radio.transmit(transmission, limit.signal)
      if (!result.sent) {
        log.warn({ ...facts, reason: result.reason, detail: result.detail }, 'beacon not sent')
        this.#release(base)
        return
      }
      log.info({ ...facts, power: result.power }, 'beacon sent')
      const due = slotStart(this.#init.calendar, base.epoch, slots.reveal) + base.profile.skewMs
      this.#errands.at(due, () => this.#reveal(answer, result))
    } catch (error) {
      this.#release(base)
      throw error
    } finally {
      limit.clear()
    }
  }

  /** Nothing was sent: a later challenge of the same round may still be answered. */
  #release({ epoch, profile }: EpochBase): void {
    if (this.#answered === roundOf(epoch, profile)) this.#answered--
  }

  async #reveal(
    { base, challenge, slots, nonce, plan }: Answer,
    { power, began = ABSENT_TMMS }: Sent,
  ): Promise<void> {
    const { voice, log } = this.#components
    const said = await voice.say<Beacon>(MessageType.beacon, Beacon, base, {
      kind: COVERAGE,
      challenge: challenge.id,
      nonce,
      slot: slots.transmission,
      frequency: plan.frequency,
      spreadingFactor: plan.spreadingFactor,
      power: encodeLevel(Math.round(power)),
      tmms: began,
    })
    if (said === undefined) log.warn({ epoch: base.epoch }, 'beacon sent but not revealed')
  }
}
