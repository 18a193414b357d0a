/** What providers keep by the deals that this node knows: those carried, and those on their way there. */
import {
  type Deal,
  dealIndex,
  type EndedDeal,
  type EndReason,
  type EpochBase,
  hex,
  MessageType,
  type Piece,
  pieceKey,
  type RegistryEntry,
  type StorageState,
  storageKind,
} from '@cairn/protocol'
import type { Adopted } from '../checkpoints/checkpointer.ts'
import type { CairnNode } from '../node.ts'
import type { GroupHealthInit } from './group-health.ts'

export interface KeptComponents {
  node: CairnNode
  peerOf(entry: RegistryEntry): string
}

/** Providers by piece, made once per state. */
const providersOf = new WeakMap<StorageState, ReadonlyMap<string, readonly number[]>>()

export class Kept {
  readonly #components: KeptComponents

  constructor(components: KeptComponents) {
    this.#components = components
  }

  base(): EpochBase | undefined {
    const { epochs } = this.#components.node
    const now = epochs.now()
    return epochs.base(now) ?? epochs.base(now - 1)
  }

  /** Peers whose deals name each piece, by `pieceKey`. */
  async holders(pieces: readonly Piece[]): Promise<Map<string, string[]>> {
    const { peerOf } = this.#components
    const state = await this.#state()
    const carried = state === undefined ? new Map<string, number[]>() : byPiece(state)
    const wanted = new Set(pieces.map(pieceKey))
    const pending = Map.groupBy(
      this.#pending().filter(({ piece }) => wanted.has(pieceKey(piece))),
      ({ piece }) => pieceKey(piece),
    )
    const base = this.base()
    return new Map(
      [...wanted].map(key => {
        const waiting = pending.get(key)?.map(({ provider }) => provider) ?? []
        const providers = new Set([...(carried.get(key) ?? []), ...waiting])
        const entries = [...providers].map(index => base?.node(index))
        return [key, entries.filter(entry => entry !== undefined).map(peerOf)]
      }),
    )
  }

  /** What is known of a client's deals at present; undefined while no checkpoint is. */
  async present(client: Uint8Array): Promise<GroupHealthInit | undefined> {
    const { epochs, checkpointer } = this.#components.node
    const settled = checkpointer.adopted
    const state = await this.#state()
    if (state === undefined) return undefined
    const { profile } = epochs.calendar
    return { client, epoch: epochs.now(), settled, profile, state, pending: this.#pending() }
  }

  /** Deals of a client that an epoch did not carry on, of those that this node settled itself. */
  async ended(
    client: Uint8Array,
    { accepted: { epoch }, settled }: Adopted,
  ): Promise<readonly EndedDeal[]> {
    const own = hex(client)
    const { settlements } = this.#components.node
    const kind = settled?.settlement.kinds.find(({ kind: code }) => code === storageKind.code)
    const ends = (kind?.findings ?? []).filter(
      ({ code, facts }) => code === 'ended' && facts.client === own,
    )
    if (ends.length === 0) return []
    const before = await settlements.accepted(epoch - 1)
    if (before === undefined) return []
    const { byId } = dealIndex(before.state.of<StorageState>(storageKind))
    return ends.flatMap(({ facts }) => {
      const known = byId.get(String(facts.deal))
      return known === undefined
        ? []
        : [{ id: known.id, deal: known.deal, reason: facts.reason as EndReason }]
    })
  }

  /** Share of the leaves that each provider answered when it was asked last, by node index. */
  scores(): ReadonlyMap<number, number> {
    const state = this.base()?.state(storageKind)
    return new Map(
      state?.quotients.map(({ provider, answered, asked }) => [
        provider,
        asked === 0 ? 0 : answered / asked,
      ]),
    )
  }

  async #state(): Promise<StorageState | undefined> {
    const { node } = this.#components
    const parent = await node.settlements.accepted(node.checkpointer.adopted)
    return parent?.state.of<StorageState>(storageKind)
  }

  #pending(): Deal[] {
    const { node } = this.#components
    return node.ingest.pendingStanding<Deal>(MessageType.deal).map(({ value }) => value)
  }
}

function byPiece(state: StorageState): ReadonlyMap<string, readonly number[]> {
  let found = providersOf.get(state)
  if (found === undefined) {
    const made = new Map<string, number[]>()
    for (const { piece, provider } of state.deals) {
      const key = pieceKey(piece)
      const providers = made.get(key)
      if (providers === undefined) made.set(key, [provider])
      else providers.push(provider)
    }
    providersOf.set(state, made)
    found = made
  }
  return found
}
