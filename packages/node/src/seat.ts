/**
 * One registered node that this daemon speaks for: its keys, its voice, its half of each kind, and
 * its duties. A daemon has a seat of its own, and one more for each further gateway; all of them share
 * ledger, network and chain, since what these hold does not depend on who looks. What a node signs,
 * knows alone or is asked for is its seat's.
 */
import type { Kind, Rulebook } from '@cairn/protocol'
import { Duties } from './kinds/duties.ts'
import type { NodeKind } from './kinds/kind.ts'
import type { Epochs } from './ledger/epochs.ts'
import type { Ingest } from './ledger/ingest.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Clock, Log, Network } from './ports.ts'
import type { Signer } from './signer.ts'
import { Speaker, type SpeakerInit } from './voice.ts'

export interface SeatComponents {
  clock: Clock
  network: Network
  ledger: Ledger
  epochs: Epochs
  ingest: Ingest
  signer: Signer
  log: Log
}

export interface SeatInit extends SpeakerInit {
  kinds: readonly Kind<unknown>[]
  book: Rulebook
  /** Builds the seat's half of each kind. */
  halves(voice: Speaker): NodeKind[]
}

export class Seat {
  readonly signer: Signer
  readonly speaker: Speaker
  readonly kinds: readonly NodeKind[]
  readonly #components: SeatComponents
  #duties: Duties | undefined

  constructor(components: SeatComponents, init: SeatInit) {
    this.#components = components
    this.signer = components.signer
    this.speaker = new Speaker(components, init)
    this.kinds = init.halves(this.speaker)
  }

  /** Takes duties from now on. */
  takeDuties(): void {
    this.#duties ??= new Duties({ ...this.#components, voice: this.speaker }, { kinds: this.kinds })
  }

  /** Starts the halves. */
  async start(): Promise<void> {
    for (const kind of this.kinds) await kind.start?.()
  }

  /** Says nothing any more. */
  async dropDuties(): Promise<void> {
    await this.#duties?.stop()
  }

  /** Stops the halves. */
  async stop(): Promise<void> {
    for (const kind of this.kinds.toReversed()) await kind.stop?.()
  }
}
