/**
 * Builds what an epoch rests on from plain values: the base's block, registry and deposits in it, the state
 * of the last checkpoint accepted in it, and the epoch's seed.
 */
import type { BlockRef } from './checkpoint.ts'
import { type Deposit, leftOfDeposit } from './deposit.ts'
import { type Duty, Ring, type RingMember } from './duties.ts'
import type { EpochBase, Kind } from './kind.ts'
import type { Profile } from './profile.ts'
import type { RegistryEntry } from './registry.ts'
import type { State } from './settle/state.ts'
import { hex } from './ssz.ts'
import { type Calendar, epochAt, epochStart } from './time.ts'

export interface EpochBaseInit {
  epoch: number
  network: Uint8Array
  profile: Profile
  genesis: number
  block: BlockRef
  seed: Uint8Array
  earlierSeeds: ReadonlyMap<number, Uint8Array>
  /** All entries as of the base's block. */
  registry: readonly RegistryEntry[]
  /** What clients' deals may cost as of the base's block. */
  deposits: readonly Deposit[]
  /** Carried state of the last checkpoint accepted at the base. */
  state: State
  /** Epoch of that checkpoint; -1 for the genesis one. */
  stateEpoch: number
}

export function epochBase(init: EpochBaseInit): EpochBase {
  return new Base(init)
}

/**
 * Whether a node takes part in an epoch, by its entry at the epoch's base. One whose bond a penalty
 * took below the minimum does not, until it adds to it.
 */
export function isActive(entry: RegistryEntry, epoch: number, calendar: FullCalendar): boolean {
  const { activationEpochs, bondMinimum } = calendar.profile
  if (entry.bond < bondMinimum) return false
  const registered = epochAt(calendar, entry.registeredAt * 1_000)
  if (registered >= 0 && registered + activationEpochs > epoch) return false
  return entry.exitAt === 0 || entry.exitAt * 1_000 > epochStart(calendar, epoch)
}

export interface FullCalendar extends Calendar {
  profile: Profile
}

class Base implements EpochBase {
  readonly epoch: number
  readonly network: Uint8Array
  readonly profile: Profile
  readonly genesis: number
  readonly block: BlockRef
  readonly tag: Uint8Array
  readonly stateEpoch: number
  readonly seed: Uint8Array
  readonly earlierSeeds: ReadonlyMap<number, Uint8Array>
  readonly nodes: readonly RegistryEntry[]
  readonly deposits: ReadonlyMap<string, Deposit>
  readonly #init: EpochBaseInit
  readonly #byIndex: ReadonlyMap<number, RegistryEntry>
  readonly #state: State
  readonly #idle: ReadonlySet<number>
  #spent: ReadonlyMap<string, bigint> | undefined
  readonly #rings = new Map<number, Ring>()
  readonly #targets = new Map<number, ReadonlySet<number>>()

  constructor(init: EpochBaseInit) {
    this.#init = init
    this.epoch = init.epoch
    this.network = init.network
    this.profile = init.profile
    this.genesis = init.genesis
    this.block = init.block
    this.tag = init.block.hash.slice(0, 8)
    this.stateEpoch = init.stateEpoch
    this.seed = init.seed
    this.earlierSeeds = init.earlierSeeds
    this.nodes = init.registry
      .filter(entry => isActive(entry, init.epoch, init))
      .toSorted((a, b) => a.index - b.index)
    this.#byIndex = new Map(this.nodes.map(entry => [entry.index, entry]))
    this.#state = init.state
    this.deposits = new Map(init.deposits.map(deposit => [hex(deposit.key), deposit]))
    this.#idle = idleNodes(this.nodes, init)
  }

  node(index: number): RegistryEntry | undefined {
    return this.#byIndex.get(index)
  }

  idle(index: number): boolean {
    return this.#idle.has(index)
  }

  available(client: string): bigint {
    const deposit = this.deposits.get(client)
    if (deposit === undefined) return 0n
    const { payouts } = this.#state.core
    this.#spent ??= new Map(payouts.map(({ account, spent }) => [hex(account), spent]))
    return leftOfDeposit(deposit, this.#spent.get(hex(deposit.account)) ?? 0n)
  }

  state<S>(kind: Kind<S>): S {
    return this.#state.of(kind)
  }

  duty(kind: number, target: number): Duty {
    let ring = this.#rings.get(kind)
    if (ring === undefined) {
      const members: RingMember[] = this.nodes.map(entry => ({
        index: entry.index,
        operator: hex(entry.operator),
        idle: this.#idle.has(entry.index),
      }))
      ring = new Ring(members, this.seed, kind)
      this.#rings.set(kind, ring)
    }
    return ring.duty(target)
  }

  isTarget<S>(kind: Kind<S>, index: number): boolean {
    let targets = this.#targets.get(kind.code)
    if (targets === undefined) {
      targets = new Set(kind.targets(this))
      this.#targets.set(kind.code, targets)
    }
    return targets.has(index)
  }

  under(profile: Profile): EpochBase {
    return new Base({ ...this.#init, profile })
  }
}

/** Nodes without a message in the last `idleEpochs` checkpoints up to that of a state. */
export function idleNodes(
  nodes: readonly RegistryEntry[],
  init: FullCalendar & Pick<EpochBaseInit, 'state' | 'stateEpoch'>,
): Set<number> {
  const last = new Map(init.state.core.activity.map(({ node, epoch }) => [node, epoch]))
  const idle = new Set<number>()
  for (const entry of nodes) {
    const seen = last.get(entry.index) ?? firstEpoch(entry, init) - 1
    if (init.stateEpoch - seen >= init.profile.idleEpochs) idle.add(entry.index)
  }
  return idle
}

/** The first epoch a node takes part in: active, and in the registry at the epoch's base. */
function firstEpoch({ registeredAt }: RegistryEntry, calendar: FullCalendar): number {
  const { activationEpochs, lookback } = calendar.profile
  const registered = epochAt(calendar, registeredAt * 1_000)
  return registered < 0 ? 0 : registered + Math.max(activationEpochs, 1 + lookback)
}
