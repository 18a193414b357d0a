/** What providers keep by the deals that this node knows: those carried, and those on their way there. */
import {
  type Deal,
  type EpochBase,
  hex,
  MessageType,
  type Piece,
  pieceKey,
  type RegistryEntry,
  type StorageState,
  storageKind,
} from '@cairn/protocol'
import type { CairnNode } from '../node.ts'

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

  /** Places of each group that a deal of this client is for, by the group's id in hexadecimal. */
  async places(client: Uint8Array): Promise<Map<string, Set<number>>> {
    const places = new Map<string, Set<number>>()
    const own = hex(client)
    const state = await this.#state()
    for (const deal of [...(state?.deals ?? []), ...this.#pending()]) {
      if (hex(deal.client) !== own) continue
      const group = hex(deal.group)
      const known = places.get(group)
      if (known === undefined) places.set(group, new Set([deal.place]))
      else known.add(deal.place)
    }
    return places
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
