/** Storage in a node: it proves what it keeps, verifies its neighbours, and takes pieces in. */
import {
  type Calendar,
  type Challenge,
  type Envelope,
  type EpochBase,
  type Kind,
  type Known,
  type MessageType,
  type RegistryEntry,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import type { Pieces } from '../../pieces/pieces.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import type { Signer } from '../../signer.ts'
import type { EpochView, Finding, NodeKind, Voice } from '../kind.ts'
import { Asker } from './asker.ts'
import { Prover } from './prover.ts'
import { Provider } from './provider.ts'
import { Seals } from './seals.ts'

/** Key space of the answers given. */
const ANSWERS = 'storage-answers'

export interface StorageComponents {
  clock: Clock
  network: Network
  store: Store
  voice: Voice
  view: EpochView
  signer: Signer
  verifier: Verifier
  log: Log
  /** Absent: this node keeps nothing, but verifies. */
  pieces?: Pieces
  envelopeOf(epoch: number, id: Uint8Array): Envelope | undefined
  peerOf(entry: RegistryEntry): string
  publishDeal(envelope: Envelope): Promise<void>
  refusalOf(type: MessageType, message: Known<unknown>): string | undefined
}

export interface StorageInit {
  calendar: Calendar
  /** Least price of a GiB and epoch, base units. */
  floorPrice: bigint
}

export class StorageNode implements NodeKind {
  readonly kind = storageKind as unknown as Kind<unknown>
  readonly #log: Log
  readonly #seals: Seals
  readonly #asker: Asker
  readonly #prover: Prover | undefined
  readonly #provider: Provider | undefined
  #forgetting: Promise<void> = Promise.resolve()

  constructor({ store, pieces, ...components }: StorageComponents, init: StorageInit) {
    this.#log = components.log
    this.#seals = new Seals(components)
    const seals = this.#seals
    this.#asker = new Asker({ ...components, seals })
    if (pieces === undefined) return
    this.#prover = new Prover({ ...components, store: store.sublevel(ANSWERS), pieces, seals })
    this.#provider = new Provider({ ...components, pieces }, init)
  }

  async start(): Promise<void> {
    this.#prover?.start()
    this.#provider?.start()
  }

  async stop(): Promise<void> {
    await this.#provider?.stop()
    await this.#seals.stop()
    await this.#forgetting
  }

  epoch(base: EpochBase): void {
    this.#forgetting = this.#forgetting
      .then(() => this.#prover?.forget(base.epoch))
      .catch((error: unknown) => {
        this.#log.warn({ err: error }, 'old answers could not be deleted')
      })
  }

  attest(
    challenge: Known<Challenge>,
    base: EpochBase,
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    return this.#asker.attest(challenge, base, signal)
  }
}
