/**
 * A strong frame is demodulated on adjacent channels too, as ghosts: the same bytes, ended at the
 * same instant, weaker. A frame is held for a moment and the strongest of its ghosts passed on; one
 * that comes later still is dropped.
 */
import { hex } from '@cairn/protocol'
import type { Clock, Reception, Timer } from '../ports.ts'

/** How long a frame waits for its ghosts, ms: forwarders fetch from the concentrator every 10 ms. */
const HOLD_MS = 40
/** How long a frame is remembered after it was passed on, ms. */
const REMEMBER_MS = 1_000
/** Microseconds between the ends of ghosts; no two frames can follow each other this fast. */
const SAME_INSTANT_US = 5_000
/** Frames held or remembered; the oldest gives way. */
const HEARD_MAX = 1_024

const COUNTER = 2 ** 32

export interface DuplicatesInit {
  clock: Clock
  pass(reception: Reception): void
}

interface Heard {
  key: string
  best: Reception
  passed: boolean
  timer: Timer
}

export class Duplicates {
  readonly #clock: Clock
  readonly #pass: (reception: Reception) => void
  /** In the order in which they came. */
  readonly #heard = new Set<Heard>()
  readonly #byKey = new Map<string, Heard[]>()

  constructor({ clock, pass }: DuplicatesInit) {
    this.#clock = clock
    this.#pass = pass
  }

  /** Returns false for a ghost of a frame that is known. */
  offer(reception: Reception): boolean {
    const key = keyOf(reception)
    const known = this.#byKey.get(key)?.find(heard => sameInstant(heard.best, reception))
    if (known !== undefined) {
      if (!known.passed && reception.rssi > known.best.rssi) known.best = reception
      return false
    }
    if (this.#heard.size >= HEARD_MAX) this.#dropOldest()
    const heard: Heard = { key, best: reception, passed: false, timer: NO_TIMER }
    heard.timer = this.#clock.at(this.#clock.now() + HOLD_MS, () => this.#release(heard))
    this.#heard.add(heard)
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), heard])
    return true
  }

  /** Forgets everything; what was held is not passed on. */
  clear(): void {
    for (const { timer } of this.#heard) timer.cancel()
    this.#heard.clear()
    this.#byKey.clear()
  }

  #release(heard: Heard): void {
    heard.passed = true
    heard.timer = this.#clock.at(this.#clock.now() + REMEMBER_MS, () => this.#forget(heard))
    this.#pass(heard.best)
  }

  #forget(heard: Heard): void {
    this.#heard.delete(heard)
    const others = this.#byKey.get(heard.key)?.filter(other => other !== heard) ?? []
    if (others.length === 0) this.#byKey.delete(heard.key)
    else this.#byKey.set(heard.key, others)
  }

  #dropOldest(): void {
    const [oldest] = this.#heard
    if (oldest === undefined) return
    oldest.timer.cancel()
    this.#forget(oldest)
    if (!oldest.passed) this.#pass(oldest.best)
  }
}

const NO_TIMER: Timer = { cancel: () => {} }

function keyOf({ payload, spreadingFactor, bandwidth }: Reception): string {
  return `${spreadingFactor}/${bandwidth}/${hex(payload)}`
}

function sameInstant(a: Reception, b: Reception): boolean {
  const apart = (((a.tmst - b.tmst) % COUNTER) + COUNTER) % COUNTER
  return Math.min(apart, COUNTER - apart) <= SAME_INSTANT_US
}
