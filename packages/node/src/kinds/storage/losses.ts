/**
 * Tells clients of pieces that this provider lost, so that they are made again before a challenge finds
 * them missing. A client that is away is told again in each epoch, while a base carries its deal.
 */
import {
  canEnd,
  dealIndex,
  type EpochBase,
  type KnownDeal,
  type Piece,
  pieceKey,
  storageKind,
} from '@cairn/protocol'
import type { Pieces } from '../../pieces/pieces.ts'
import type { Clock, Log } from '../../ports.ts'
import { Errands } from '../errands.ts'
import type { Voice } from '../kind.ts'
import type { Endings } from './endings.ts'

/** Deals told of in one epoch; the others come first in the next. */
export const TOLD_PER_EPOCH = 64

export interface LossesComponents {
  clock: Clock
  pieces: Pieces
  voice: Voice
  endings: Endings
  log: Log
}

export class Losses {
  readonly #components: LossesComponents
  readonly #errands: Errands
  #telling = false
  /** The last deal told of, by id in hexadecimal: those behind it are next, whoever is away. */
  #last = ''

  constructor(components: LossesComponents) {
    this.#components = components
    this.#errands = new Errands(components)
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /** Tells of what is lost at a present base. */
  epoch(base: EpochBase): void {
    const { pieces, voice, endings } = this.#components
    const lost = new Set(pieces.lost().map(pieceKey))
    const own = voice.index(base)
    if (lost.size === 0 || own === undefined || this.#telling) return
    const deals = (dealIndex(base.state(storageKind)).byProvider.get(own) ?? [])
      .filter(({ id, deal }) => lost.has(pieceKey(deal.piece)) && !endings.isAgreed(id))
      .filter(({ deal }) => canEnd(deal, base.epoch))
    const due = this.#nextOf(deals)
    this.#telling = true
    this.#errands.run(async () => {
      try {
        for (const { id, deal } of due) await this.#tell(id, deal.piece)
      } finally {
        this.#telling = false
      }
    })
  }

  /** `deals` are in order of id. */
  #nextOf(deals: readonly KnownDeal[]): KnownDeal[] {
    const first = deals.findIndex(({ key }) => key > this.#last)
    const turned = first === -1 ? deals : [...deals.slice(first), ...deals.slice(0, first)]
    const next = turned.slice(0, TOLD_PER_EPOCH)
    this.#last = next.at(-1)?.key ?? ''
    return next
  }

  async #tell(id: Uint8Array, piece: Piece): Promise<void> {
    const { endings, pieces, log } = this.#components
    // It may have come in again since.
    if (pieces.has(piece) || this.#errands.signal.aborted) return
    try {
      await endings.end(id, { isLost: true })
    } catch (error) {
      log.info({ err: error }, 'a client could not be told that its piece is lost; is told again')
    }
  }
}
