/**
 * Deletes the pieces that no deal needs any more. A piece is let lie for as long as a deal that was
 * signed about it may take to reach a base; until it is deleted, a new deal about it needs no transfer.
 */
import { dealIndex, decode, type EpochBase, Piece, pieceKey, storageKind } from '@cairn/protocol'
import { readU32, u32, withPrefix } from '../../ledger/schema.ts'
import type { Pieces } from '../../pieces/pieces.ts'
import type { Log, Store } from '../../ports.ts'
import type { Voice } from '../kind.ts'

export interface LeftoversComponents {
  /** A key space of its own. */
  store: Store
  pieces: Pieces
  voice: Voice
  log: Log
}

export class Leftovers {
  readonly #components: LeftoversComponents
  /** Since which epoch a piece is not needed, by its key: what the store holds, in memory. */
  readonly #marks = new Map<string, { piece: Piece; since: number }>()

  constructor(components: LeftoversComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    const { store } = this.#components
    for await (const [name, value] of store.range(withPrefix(new Uint8Array(0)))) {
      const piece = decode(Piece, name)
      this.#marks.set(pieceKey(piece), { piece, since: readU32(value) })
    }
  }

  /** A deal about the piece is about to be signed: it counts as needed, durably when this resolves. */
  async need(piece: Piece): Promise<void> {
    if (!this.#marks.delete(pieceKey(piece))) return
    await this.#components.store.batch([{ key: Piece.serialize(piece) }], { sync: true })
  }

  /**
   * Marks what no deal of a present base needs, and deletes what was marked long enough ago. A deal begins
   * at most `minDealEpochs` after its signature, and is in the set of an epoch before that or never. So
   * it is that epoch's checkpoint that tells, however long the chain takes for it.
   */
  async epoch(base: EpochBase): Promise<void> {
    const { pieces, voice, store, log } = this.#components
    const own = voice.index(base)
    if (own === undefined) return
    const deals = dealIndex(base.state(storageKind)).byProvider.get(own) ?? []
    const needed = new Set(deals.map(({ deal }) => pieceKey(deal.piece)))
    const held = new Map(pieces.held().map(piece => [pieceKey(piece), piece]))
    let deleted = 0
    for (const { piece } of [...this.#marks.values()]) {
      const key = pieceKey(piece)
      if (needed.has(key) || !held.has(key)) await this.need(piece)
    }
    for (const [key, piece] of held) {
      if (needed.has(key)) continue
      const name = Piece.serialize(piece)
      const mark = this.#marks.get(key)
      if (mark === undefined) {
        this.#marks.set(key, { piece, since: base.epoch })
        await store.batch([{ key: name, value: u32(base.epoch) }])
      } else if (base.stateEpoch >= mark.since + base.profile.minDealEpochs) {
        this.#marks.delete(key)
        // Both begin at once: whoever asks for the piece from here on does not find it.
        await Promise.all([store.batch([{ key: name }]), pieces.delete(piece)])
        deleted++
      }
    }
    if (deleted > 0) log.info({ pieces: deleted }, 'deleted pieces whose deals are over')
  }
}
