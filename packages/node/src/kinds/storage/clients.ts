/** Remembers which peer proposed each deal that this provider signed, so that it can ask it back. */
import { key, u32 } from '../../ledger/schema.ts'
import type { Store } from '../../ports.ts'

export interface ClientOf {
  /** Id of the deal. */
  deal: Uint8Array
  endEpoch: number
}

export class Clients {
  readonly #store: Store

  constructor({ store }: { store: Store }) {
    this.#store = store
  }

  /** The first one that proposed it: whoever heard of the deal could do so after it. */
  async remember(deal: ClientOf, peer: string): Promise<void> {
    if ((await this.peerOf(deal)) !== undefined) return
    const value = new TextEncoder().encode(peer)
    await this.#store.batch([{ key: nameOf(deal), value }])
  }

  async peerOf(deal: ClientOf): Promise<string | undefined> {
    const peer = await this.#store.get(nameOf(deal))
    return peer === undefined ? undefined : new TextDecoder().decode(peer)
  }

  /** Forgets deals that ended before an epoch. */
  async forget(before: number): Promise<void> {
    const writes = []
    const range = { gte: u32(0), lt: u32(Math.max(0, before)) }
    for await (const [name] of this.#store.range(range)) writes.push({ key: name })
    if (writes.length > 0) await this.#store.batch(writes)
  }
}

function nameOf({ deal, endEpoch }: ClientOf): Uint8Array {
  return key(u32(endEpoch), deal)
}
