/**
 * A strong frame is demodulated on adjacent channels too, as ghosts: the same bytes, ended at the
 * same instant, weaker. A frame is held for a moment and the strongest of its ghosts passed on; one
 * that comes later still is dropped.
 */
import { hex } from '@cairn/protocol'
import type { Clock, Timer } from '../ports.ts'
import type { HeardPacket } from './heard.ts'

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
  pass(heard: HeardPacket): void
}

interface Heard {
  key: string
  best: HeardPacket
  passed: boolean
  timer: Timer
}

export class Duplicates {
  readonly #clock: Clock
  readonly #pass: (heard: HeardPacket) => void
  /** In the order in which they came. */
  readonly #heard = new Set<Heard>()
  readonly #byKey = new Map<string, Heard[]>()

  constructor({ clock, pass }: DuplicatesInit) {
    this.#clock = clock
    this.#pass = pass
  }

  /** Returns false for a ghost of a frame that is known. */
  offer(next: HeardPacket): boolean {
    const key = keyOf(next)
    const known = this.#byKey.get(key)?.find(heard => sameInstant(heard.best, next))
    if (known !== undefined) {
      if (!known.passed && next.packet.rssi > known.best.packet.rssi) known.best = next
      return false
    }
    if (this.#heard.size >= HEARD_MAX) this.#dropOldest()
    const heard: Heard = { key, best: next, passed: false, timer: NO_TIMER }
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

/** A damaged copy is no ghost of a whole one: the CRC is part of what they share. */
function keyOf({ eui, packet: { payload, modulation, crc } }: HeardPacket): string {
  const rate =
    modulation.name === 'LORA'
      ? `${modulation.spreadingFactor}/${modulation.bandwidth}`
      : `${modulation.bitrate}`
  return `${eui}/${rate}/${crc}/${hex(payload)}`
}

function sameInstant(a: HeardPacket, b: HeardPacket): boolean {
  const apart = (((a.packet.tmst - b.packet.tmst) % COUNTER) + COUNTER) % COUNTER
  return Math.min(apart, COUNTER - apart) <= SAME_INSTANT_US
}
