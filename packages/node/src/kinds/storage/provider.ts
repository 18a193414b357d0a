/**
 * The provider: takes pieces in. It pulls the bytes from the client, hashes them itself, and signs
 * only what it holds durably.
 */
import {
  CairnError,
  type Calendar,
  check,
  type Deal,
  dealEnvelope,
  dealId,
  dealSigningRoot,
  decode,
  type Envelope,
  type EpochBase,
  epochAt,
  hex,
  isCovered,
  isDealSigned,
  isTimely,
  isWellFormed,
  type Known,
  MessageType,
  offersStorage,
  type Piece,
  pieceCid,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import type { Pieces } from '../../pieces/pieces.ts'
import { checkRoom } from '../../pieces/refusals.ts'
import { PieceProtocol, pullPiece } from '../../pieces/transfer.ts'
import type { Clock, Log, Network } from '../../ports.ts'
import type { Signer } from '../../signer.ts'
import type { EpochView, Voice } from '../kind.ts'
import { presentBase } from '../present.ts'
import type { Clients } from './clients.ts'
import { Agreement, Proposal } from './proposal.ts'
import { checkTerms, type OwnTerms, serveTerms } from './terms.ts'

/** Pieces pulled at once, and of one peer; more proposals are refused with `busy`. */
export const PULLS_MAX = 8
export const PULLS_PER_PEER = 2
/** Proposals of one peer per second. */
const PROPOSALS_PER_SECOND = 20
/** A request is answered with `pending` after this time, ms: the client asks again. */
const ANSWER_WITHIN_MS = 20_000
/** A client has this long, and longer by the piece's size: 128 KiB/s at least. */
const PULL_MIN_MS = 60_000
const PULL_BYTES_PER_MS = 128

export interface ProviderComponents {
  clock: Clock
  network: Network
  voice: Voice
  view: EpochView
  pieces: Pieces
  clients: Clients
  signer: Signer
  verifier: Verifier
  log: Log
  /** Keeps a piece from being deleted, as one that no deal needs, before this deal is in a base. */
  need(piece: Piece): Promise<void>
  /** Gossips a deal with both signatures; the client does the same. */
  publishDeal(envelope: Envelope): Promise<void>
  /** Why a message would not be taken in beside those that wait for a checkpoint. */
  refusalOf(type: MessageType, message: Known<unknown>): string | undefined
}

export interface ProviderInit {
  calendar: Calendar
  terms: OwnTerms
}

interface Pulling {
  readonly from: string
  readonly done: Promise<void>
}

export class Provider {
  readonly #components: ProviderComponents
  readonly #init: ProviderInit
  /** Proposals whose bytes are being pulled, by the deal's id. */
  readonly #pulling = new Map<string, Pulling>()
  readonly #stopped = new AbortController()

  constructor(components: ProviderComponents, init: ProviderInit) {
    this.#components = components
    this.#init = init
  }

  start(): void {
    const options = {
      maxRequestBytes: Proposal.maxSize,
      maxResponseBytes: Agreement.maxSize,
      perSecond: PROPOSALS_PER_SECOND,
    }
    const { network, pieces } = this.#components
    network.serve(PieceProtocol.put, options, (request, from) => this.answer(request, from))
    serveTerms(network, this.#init.terms, pieces)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.allSettled([...this.#pulling.values()].map(({ done }) => done))
  }

  /**
   * Signs a deal once its piece is here. Rejects with `pending` while the bytes come: the client
   * asks again. Everything is idempotent: a second request for a deal gets the same signature.
   */
  async answer(request: Uint8Array, from: string): Promise<Uint8Array> {
    const proposal = decode(Proposal, request)
    const base = this.#latestBase()
    this.#admit(proposal, base)
    const { deal } = proposal
    await this.#components.need(deal.piece)
    if (!this.#components.pieces.has(deal.piece)) await this.#within(this.#pulled(deal, from))
    await this.#components.clients.remember({ deal: dealId(deal), endEpoch: deal.endEpoch }, from)
    // Others were signed meanwhile, whose client has one deposit for all. Nothing comes between this
    // look and the deal's own weight among those that wait.
    this.#checkBeside(deal, base)
    const signature = this.#components.signer.signIdentity(dealSigningRoot(deal, base.network))
    await this.#publish(dealEnvelope(deal, { client: proposal.signature, provider: signature }))
    return Agreement.serialize({ signature })
  }

  #latestBase(): EpochBase {
    const base = presentBase(this.#components, this.#init.calendar)
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    return base
  }

  #admit({ deal, signature }: Proposal, base: EpochBase): void {
    const { voice, clock, verifier, pieces } = this.#components
    const own = voice.index(base)
    check(deal.provider === own, 'otherProvider', 'the deal names another provider', {
      facts: { provider: deal.provider, own },
    })
    const entry = base.node(deal.provider)
    check(entry !== undefined && offersStorage(entry), 'notOffering', 'offers no storage')
    check(isWellFormed(deal, base.profile), 'badDeal', 'size, price or duration is out of bounds', {
      facts: { minDealEpochs: base.profile.minDealEpochs },
    })
    // One epoch for the deal to reach a set in.
    const timely = isTimely(deal, base) && deal.startEpoch > epochAt(base, clock.now())
    check(timely, 'badStart', 'the deal begins too soon or too late', {
      facts: { startEpoch: deal.startEpoch, epoch: base.epoch },
    })
    checkTerms(deal, this.#init.terms)
    const available = base.available(hex(deal.client))
    const covered = isCovered(deal, base, { state: base.state(storageKind) })
    check(covered, 'notCovered', 'the client’s deposit does not cover the deal', {
      facts: { available },
    })
    this.#checkBeside(deal, base)
    const state = base.state(storageKind)
    const signed = isDealSigned(deal, signature, { base, state, verifier })
    check(signed, 'badSignature', 'the client’s signature does not hold, nor is it a delegate’s')
    if (!pieces.has(deal.piece)) checkRoom(pieces.usage(), deal.piece.payload)
  }

  /** What was signed and is in no checkpoint yet counts too. */
  #checkBeside(deal: Deal, base: EpochBase): void {
    const refusal = this.#components.refusalOf(MessageType.deal, { id: dealId(deal), value: deal })
    check(refusal === undefined, refusal ?? '', 'the deal would not be relayed', {
      facts: { available: base.available(hex(deal.client)) },
    })
  }

  #pulled(deal: Deal, from: string): Promise<void> {
    const name = hex(dealId(deal))
    const before = this.#pulling.get(name)
    if (before !== undefined) return before.done
    const all = [...this.#pulling.values()]
    const ofPeer = all.filter(pulling => pulling.from === from).length
    check(all.length < PULLS_MAX && ofPeer < PULLS_PER_PEER, 'busy', 'pulls enough pieces', {
      facts: { pulling: all.length, max: PULLS_MAX, ofPeer, maxOfPeer: PULLS_PER_PEER },
    })
    const done = this.#pull(deal, from).finally(() => this.#pulling.delete(name))
    this.#pulling.set(name, { from, done })
    return done
  }

  async #pull({ piece }: Deal, from: string): Promise<void> {
    const { clock, network, pieces, log } = this.#components
    const allowed = PULL_MIN_MS + Math.ceil(piece.payload / PULL_BYTES_PER_MS)
    const limit = deadline(clock, clock.now() + allowed, this.#stopped.signal)
    const { signal } = limit
    try {
      const source = pullPiece({ network, clock }, { piece, peers: [from], signal })
      await pieces.put(source, { expected: piece, signal })
      log.info({ piece: pieceCid(piece), from }, 'took a piece in')
    } catch (error) {
      log.info({ err: error, piece: pieceCid(piece), from }, 'could not take a piece in')
      throw error
    } finally {
      limit.clear()
    }
  }

  /** Waits for the bytes as long as a request may wait. */
  async #within(pulling: Promise<void>): Promise<void> {
    const { clock } = this.#components
    const limit = deadline(clock, clock.now() + ANSWER_WITHIN_MS)
    const late = new Promise<never>((_, reject) => {
      limit.signal.addEventListener('abort', () => {
        reject(new CairnError('pending', 'the piece is still coming', { next: 'ask again' }))
      })
    })
    try {
      await Promise.race([pulling, late])
    } finally {
      limit.clear()
    }
  }

  async #publish(envelope: Envelope): Promise<void> {
    const { publishDeal, log } = this.#components
    try {
      await publishDeal(envelope)
    } catch (error) {
      // The client publishes it too, and asks again when it gets no answer.
      log.warn({ err: error }, 'a deal could not be gossiped')
    }
  }
}
