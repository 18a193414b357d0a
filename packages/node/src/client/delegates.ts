/**
 * The client's side of delegation: names delegates for groups, and gives each the key of its group once
 * the carried state names it. What is wanted is durable, and is said again until the state carries it
 * and every delegate has its key.
 */
import {
  ContainerType,
  DELEGATES_MAX,
  Delegation,
  decode,
  delegationEnvelope,
  delegationOf,
  delegationSigningRoot,
  type Envelope,
  type EpochBase,
  type Piece,
  type RegistryEntry,
  storageKind,
  Uint32,
} from '@cairn/protocol'
import { ListBasicType } from '@chainsafe/ssz'
import { deadline } from '../clock.ts'
import { Errands } from '../kinds/errands.ts'
import { withPrefix } from '../ledger/schema.ts'
import type { Clock, Log, Network, Store } from '../ports.ts'
import type { Signer } from '../signer.ts'
import {
  ENTRUST_PROTOCOL,
  Entrusting,
  entrustingRoot,
  SignedEntrusting,
  TAKEN,
} from './entrusting.ts'

/** A delegate answers at once, or is asked again in the next epoch; ms. */
const ENTRUST_MS = 10_000

const Named = new ContainerType({
  delegation: Delegation,
  entrusting: Entrusting,
  /** Delegates that have the key. */
  entrusted: new ListBasicType(Uint32, DELEGATES_MAX),
})

/** A group as its client gives it to delegates. */
export interface Delegated {
  readonly id: Uint8Array
  /** k: pieces that suffice. */
  readonly data: number
  readonly pieces: readonly Piece[]
  /** `groupKey`; undefined for a group without masks. */
  readonly opens?: Uint8Array
}

export interface DelegatesComponents {
  clock: Clock
  network: Network
  /** A key space of its own, by group. */
  store: Store
  signer: Signer
  log: Log
  base(): EpochBase | undefined
  publish(envelope: Envelope): Promise<void>
  peerOf(entry: RegistryEntry): string
}

export class Delegates {
  readonly #components: DelegatesComponents
  readonly #errands: Errands
  #working = false

  constructor(components: DelegatesComponents) {
    this.#components = components
    this.#errands = new Errands(components)
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /**
   * Node indices, the first to act first; none: nobody repairs any more. Durable when it resolves; the
   * state carries it some epochs later.
   */
  async name(groups: readonly Delegated[], delegates: readonly number[]): Promise<void> {
    const { store, signer } = this.#components
    const base = this.#components.base()
    const client = signer.identity
    for (const { id: group, data, pieces, opens } of groups) {
      const known = await this.#of(group)
      const carried = base && carriedAt(base, { client, group })
      const delegation: Delegation = {
        client,
        group,
        delegates: [...delegates],
        sequence: 1 + Math.max(known?.delegation.sequence ?? 0, carried?.sequence ?? 0),
      }
      const entrusting: Entrusting = {
        client,
        group,
        pieces: [...pieces],
        data,
        masked: opens === undefined ? 0 : 1,
        key: opens ?? new Uint8Array(32),
      }
      const value = Named.serialize({ delegation, entrusting, entrusted: [] })
      await store.batch([{ key: group, value }], { sync: true })
    }
    if (base !== undefined) this.epoch(base)
  }

  /** Nobody repairs any of these groups any more for whom somebody was named. */
  async revoke(groups: readonly Delegated[]): Promise<void> {
    const base = this.#components.base()
    const client = this.#components.signer.identity
    const named: Delegated[] = []
    for (const group of groups) {
      const isCarried = base !== undefined && carriedAt(base, { client, group: group.id })
      if (isCarried || (await this.#of(group.id)) !== undefined) named.push(group)
    }
    await this.name(named, [])
  }

  /** Says again what the state does not carry yet, and gives keys to whom it names. */
  epoch(base: EpochBase): void {
    if (this.#working) return
    this.#working = true
    this.#errands.run(async () => {
      try {
        await this.#follow(base)
      } finally {
        this.#working = false
      }
    })
  }

  async #of(group: Uint8Array) {
    const value = await this.#components.store.get(group)
    return value === undefined ? undefined : decode(Named, value)
  }

  async #follow(base: EpochBase): Promise<void> {
    const { store } = this.#components
    const groups: Uint8Array[] = []
    for await (const [group] of store.range(withPrefix(new Uint8Array(0)))) groups.push(group)
    for (const group of groups) {
      const named = await this.#of(group)
      if (named === undefined || this.#errands.signal.aborted) return
      const { delegation, entrusting, entrusted } = named
      const carried = carriedAt(base, delegation)
      const isNobody = delegation.delegates.length === 0
      if ((carried?.sequence ?? 0) < delegation.sequence && !(isNobody && carried === undefined)) {
        await this.#say(delegation, base)
        continue
      }
      if (isNobody) {
        await store.batch([{ key: group }])
        continue
      }
      const have = new Set(entrusted)
      for (const index of delegation.delegates) {
        if (have.has(index) || !(await this.#entrust(index, entrusting, base))) continue
        have.add(index)
        const value = Named.serialize({ ...named, entrusted: [...have] })
        // It may have been named anew meanwhile.
        const now = await this.#of(group)
        if (now?.delegation.sequence === delegation.sequence) {
          await store.batch([{ key: group, value }], { sync: true })
        }
      }
    }
  }

  async #say(delegation: Delegation, base: EpochBase): Promise<void> {
    const { signer, publish, log } = this.#components
    const root = delegationSigningRoot(delegation, base.network)
    try {
      await publish(delegationEnvelope(delegation, signer.signIdentity(root)))
    } catch (error) {
      // Its deals may not be carried yet; the next epoch tries again.
      log.debug({ err: error }, 'delegates could not be named yet')
    }
  }

  /** True once the delegate has it. */
  async #entrust(index: number, value: Entrusting, base: EpochBase): Promise<boolean> {
    const { clock, network, signer, peerOf, log } = this.#components
    const entry = base.node(index)
    if (entry === undefined) return false
    const signature = signer.signIdentity(entrustingRoot(value, base.network))
    const limit = deadline(clock, clock.now() + ENTRUST_MS, this.#errands.signal)
    try {
      const request = SignedEntrusting.serialize({ value, signature })
      const options = { signal: limit.signal, maxResponseBytes: TAKEN.length }
      await network.request(peerOf(entry), ENTRUST_PROTOCOL, request, options)
      return true
    } catch (error) {
      log.debug({ err: error, delegate: index }, 'a delegate could not be given its key yet')
      return false
    } finally {
      limit.clear()
    }
  }
}

function carriedAt(
  base: EpochBase,
  group: Pick<Delegation, 'client' | 'group'>,
): Delegation | undefined {
  return delegationOf(base.state(storageKind), group)
}
