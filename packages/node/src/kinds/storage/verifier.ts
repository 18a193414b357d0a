/**
 * What every registered node does in storage, though it may keep nothing: it asks the providers that
 * the seed has it verify, as itself and as a stranger.
 */
import {
  type Challenge,
  type EpochBase,
  epochAt,
  type FullCalendar,
  type Kind,
  type Known,
  storageKind,
} from '@cairn/protocol'
import type { Finding, NodeKind } from '../kind.ts'
import { Asker, type AskerComponents } from './asker.ts'
import { Seals, type SealsComponents } from './seals.ts'
import { Stranger, type StrangerComponents } from './stranger.ts'

export type StorageVerifierComponents = Omit<AskerComponents, 'seals'> &
  SealsComponents &
  StrangerComponents

export class StorageVerifier implements NodeKind {
  readonly kind = storageKind as unknown as Kind<unknown>
  /** Kept back until the attestation slots are over. */
  readonly seals: Seals
  readonly #components: StorageVerifierComponents
  readonly #calendar: FullCalendar
  readonly #asker: Asker
  readonly #stranger: Stranger

  constructor(components: StorageVerifierComponents, { calendar }: { calendar: FullCalendar }) {
    this.#components = components
    this.#calendar = calendar
    this.seals = new Seals(components)
    this.#asker = new Asker({ ...components, seals: this.seals })
    this.#stranger = new Stranger(components)
  }

  async stop(): Promise<void> {
    await this.#stranger.stop()
    await this.seals.stop()
  }

  epoch(base: EpochBase): void {
    // Bases of old epochs become known again when their sums are redone.
    if (base.epoch < epochAt(this.#calendar, this.#components.clock.now())) return
    this.#stranger.epoch(base)
  }

  attest(
    challenge: Known<Challenge>,
    base: EpochBase,
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    return this.#asker.attest(challenge, base, signal)
  }
}
