import {
  admit,
  type Clock,
  DutyCycleLedger,
  type Radio,
  type Reception,
  type Store,
  type Transmission,
  type TransmitResult,
} from '@cairn/node'
import type { RegionalPlan } from '@cairn/protocol'
import type { HeardFrame } from '../field/air.ts'
import type { RadioField } from '../field/field.ts'

export interface SimRadioComponents {
  clock: Clock
  field: RadioField
  /** A key space of the radio's own. */
  store: Store
}

export interface SimRadioInit {
  plan: RegionalPlan
  /** Name in the field; absent: a radio that no packet forwarder serves. */
  gateway?: string
}

/** A gateway of the field behind the `Radio` port, without sockets between. */
export class SimRadio implements Radio {
  readonly #clock: Clock
  readonly #field: RadioField
  readonly #store: Store
  readonly #plan: RegionalPlan
  readonly #gateway: string | undefined
  readonly #listeners = new Set<(reception: Reception) => void>()
  #ledger: DutyCycleLedger | undefined
  #leave: (() => void) | undefined

  constructor({ clock, field, store }: SimRadioComponents, { plan, gateway }: SimRadioInit) {
    this.#clock = clock
    this.#field = field
    this.#store = store
    this.#plan = plan
    this.#gateway = gateway
  }

  async start(): Promise<void> {
    if (this.#gateway === undefined || this.#leave !== undefined) return
    const components = { store: this.#store.sublevel('duty'), clock: this.#clock }
    this.#ledger = await DutyCycleLedger.open(components, { plan: this.#plan })
    this.#leave = this.#field.listen(this.#gateway, heard => this.#pass(heard))
  }

  async stop(): Promise<void> {
    this.#leave?.()
    this.#leave = undefined
    this.#ledger = undefined
  }

  online(): boolean {
    return this.#ledger !== undefined
  }

  /** Resolves once the frame is queued, like a forwarder's TX_ACK. */
  async transmit(transmission: Transmission, signal: AbortSignal): Promise<TransmitResult> {
    signal.throwIfAborted()
    if (this.#gateway === undefined || this.#ledger === undefined) {
      return { sent: false, reason: 'noGateway', detail: 'no gateway of the field is attached' }
    }
    const ledger = this.#ledger
    const admission = await admit(transmission, this.#plan, ledger)
    if (!admission.admitted) return admission.result
    if (signal.aborted) {
      await ledger.release(admission.booking)
      signal.throwIfAborted()
    }
    const { power, ...frame } = transmission
    this.#field.transmit(this.#gateway, { ...frame, eirp: power })
    return { sent: true, power }
  }

  /** Nobody else sends by it. */
  reserve(): void {}

  onReception(listener: (reception: Reception) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  #pass(heard: HeardFrame): void {
    const reception: Reception = { ...heard, at: this.#clock.now() }
    for (const listener of this.#listeners) listener(reception)
  }
}
