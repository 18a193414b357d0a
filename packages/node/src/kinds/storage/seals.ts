/**
 * Keeps seals back until the attestation slots are over, then publishes them: a digest of an answer
 * proves that its author had it only as long as the seal is not out.
 */
import {
  type Envelope,
  type EpochBase,
  equalBytes,
  hex,
  MessageType,
  type Seal,
  STORAGE,
  slotStart,
} from '@cairn/protocol'
import type { Clock, Log, Timer } from '../../ports.ts'
import type { EpochView, Voice } from '../kind.ts'

/** The seal's slot is divided into so many parts; those who hold a seal speak one after the other. */
const TURNS_PER_SLOT = 16
/** Seals kept at once; far more than the duties of one node. */
const SEALS_MAX = 4096

export interface SealsComponents {
  clock: Clock
  voice: Voice
  view: EpochView
  log: Log
}

export interface KeptSeal {
  /** Id of the challenge. */
  challenge: Uint8Array
  envelope: Envelope
  base: EpochBase
  /** Order among those who hold it; 0 for the target. Who comes later finds it already known. */
  turn: number
}

export class Seals {
  readonly #components: SealsComponents
  readonly #timers = new Map<string, Timer>()
  readonly #running = new Set<Promise<void>>()

  constructor(components: SealsComponents) {
    this.#components = components
  }

  keep(seal: KeptSeal): void {
    const key = hex(seal.challenge)
    if (this.#timers.has(key) || this.#timers.size >= SEALS_MAX) return
    const { base, turn } = seal
    const { slotMs, sealSlot } = base.profile
    const opens = slotStart(base, base.epoch, sealSlot)
    const time = opens + Math.floor((turn * slotMs) / TURNS_PER_SLOT)
    const timer = this.#components.clock.at(time, () => {
      this.#timers.delete(key)
      const running = this.#publish(seal).finally(() => this.#running.delete(running))
      this.#running.add(running)
    })
    this.#timers.set(key, timer)
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    await Promise.all(this.#running)
  }

  async #publish({ challenge, envelope, base }: KeptSeal): Promise<void> {
    const { voice, view, log } = this.#components
    const out = view
      .known(base.epoch)
      .ofType<Seal>(MessageType.seal, STORAGE)
      .some(({ value }) => equalBytes(value.challenge, challenge))
    if (out) return
    try {
      await voice.relay(envelope)
    } catch (error) {
      log.warn({ err: error, challenge: hex(challenge) }, 'a seal could not be published')
    }
  }
}
