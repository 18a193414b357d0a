/** The air on a clock: frames begin now, and are heard when they end. */
import type { Clock } from '@cairn/node'
import type { HeardFrame } from './air.ts'
import {
  Air,
  type AirFrame,
  type AirInit,
  type Emission,
  type FieldGateway,
  overlap,
} from './air.ts'

/** Frames stay known this long after their end, ms: the longest that may overlap them is 9.2 s. */
const REMEMBER_MS = 10_000
/** What is told comes by the internet, this much later than it would have been heard, ms. */
const TOLD_AFTER_MS = 40

export class RadioField {
  readonly #clock: Clock
  readonly #air: Air
  readonly #listeners = new Map<string, Set<(heard: HeardFrame) => void>>()
  #emissions: Emission[] = []

  /** Errors: `badField`, `badCell`. */
  constructor({ clock }: { clock: Clock }, init: AirInit) {
    this.#clock = clock
    this.#air = new Air(init)
  }

  add(gateway: FieldGateway): void {
    this.#air.add(gateway)
  }

  /** Changes what a gateway is or does, from the next frame on. */
  set(name: string, changes: Parameters<Air['set']>[1]): void {
    this.#air.set(name, changes)
  }

  listen(name: string, listener: (heard: HeardFrame) => void): () => void {
    this.#air.require(name)
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return () => {
      listeners.delete(listener)
    }
  }

  /** Puts a frame on the air now; returns its end (ms). Errors: `badFrame`, `badField`. */
  transmit(name: string, frame: AirFrame, start = this.#clock.now()): number {
    const now = this.#clock.now()
    const emission = this.#air.emit(name, frame, start)
    this.#emissions = this.#emissions.filter(other => other.end > now - REMEMBER_MS)
    this.#emissions.push(emission)
    this.#clock.at(emission.end, () => this.#deliver(emission))
    return emission.end
  }

  /** Makes a gateway report a frame that it never heard. */
  inject(name: string, heard: HeardFrame): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(heard)
  }

  /** Loss between two gateways with its shadowing, dB; the same both ways. */
  pathLoss(a: string, b: string, frequency: number): number {
    return this.#air.pathLoss(a, b, frequency)
  }

  distance(a: string, b: string): number {
    return this.#air.distance(a, b)
  }

  /** A gateway's concentrator counter now, microseconds. */
  counter(name: string): number {
    return this.#air.counter(name, this.#clock.now())
  }

  #deliver(emission: Emission): void {
    const meanwhile = this.#emissions.filter(
      other => other !== emission && overlap(other, emission),
    )
    const listens = (name: string) => (this.#listeners.get(name)?.size ?? 0) > 0
    for (const { gateway, heard, told } of this.#air.receptions(emission, meanwhile, listens)) {
      if (!told) this.inject(gateway, heard)
      else this.#clock.at(this.#clock.now() + TOLD_AFTER_MS, () => this.inject(gateway, heard))
    }
  }
}
