/** Coverage in a node: it beacons when challenged, listens, verifies and measures its neighbours. */
import {
  type Beacon,
  type Calendar,
  type Challenge,
  type Commit,
  coverage,
  type EpochBase,
  type EpochMessage,
  type Kind,
  type Known,
  MessageType,
  type NonceChain,
  type RegistryEntry,
} from '@cairn/protocol'
import type { Clock, Log, Network, Radio } from '../../ports.ts'
import type { Signer } from '../../signer.ts'
import type { EpochView, Finding, NodeKind, Voice } from '../kind.ts'
import { Beaconer } from './beaconer.ts'
import type { Measured } from './measured.ts'
import { Measurer } from './measurer.ts'
import type { Sales } from './sales.ts'
import { Watch } from './watch.ts'
import { Witness } from './witness.ts'

export interface CoverageComponents {
  clock: Clock
  network: Network
  signer: Signer
  /** Answers for every node of the daemon. */
  measured: Measured
  voice: Voice
  view: EpochView
  log: Log
  /** Numbers that nobody can foresee. */
  random(length: number): Uint8Array
  /** libp2p peer id of a registered node. */
  peerOf(entry: RegistryEntry): string
  /** Sells what the radios of this daemon hear; stopped by who made it. */
  sales?: Sales
  /** Absent: this node neither beacons nor listens, but verifies. Started by who made it. */
  radio?: Radio
}

export interface CoverageInit {
  calendar: Calendar
  /** The chain whose end is registered for this gateway. */
  chain: NonceChain
  /** 32 bytes that only this node knows. */
  secret: Uint8Array
}

export class CoverageNode implements NodeKind {
  readonly kind = coverage as unknown as Kind<unknown>
  readonly #watch: Watch
  readonly #measured: Measured
  readonly #measurer: Measurer
  readonly #sales: Sales | undefined
  readonly #beaconer: Beaconer | undefined
  readonly #witness: Witness | undefined

  constructor({ radio, sales, ...components }: CoverageComponents, init: CoverageInit) {
    this.#sales = sales
    this.#watch = new Watch(components, init)
    this.#measured = components.measured
    this.#measured.add(components)
    this.#measurer = new Measurer(components, init)
    if (radio === undefined) return
    this.#beaconer = new Beaconer({ ...components, radio }, init)
    this.#witness = new Witness({ ...components, radio }, init)
  }

  async start(): Promise<void> {
    this.#measured.start()
    await this.#sales?.start()
    this.#witness?.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#beaconer?.stop(), this.#witness?.stop(), this.#measurer.stop()])
  }

  epoch(base: EpochBase): void {
    this.#watch.epoch(base)
    this.#measured.epoch(base)
    this.#measurer.epoch(base)
    this.#sales?.epoch(base)
    this.#witness?.epoch(base)
  }

  challenged(challenge: Known<Challenge>, base: EpochBase): void {
    this.#beaconer?.challenged(challenge, base)
  }

  heard(type: MessageType, message: Known<EpochMessage>, base: EpochBase): void {
    if (type === MessageType.commit) {
      this.#watch.committed(message as Known<Commit>, base)
    } else if (type === MessageType.beacon) {
      this.#watch.revealed(message as Known<Beacon>, base)
      this.#witness?.revealed(message as Known<Beacon>, base)
    }
  }

  attest(
    challenge: Known<Challenge>,
    base: EpochBase,
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    return this.#watch.attest(challenge, base, signal)
  }
}
