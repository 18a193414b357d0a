/**
 * Storage in a node: it proves what it keeps, verifies its neighbours, takes pieces in, and keeps its
 * own deals going.
 */
import {
  type Challenge,
  check,
  type Deal,
  dealStanding,
  type Envelope,
  type EpochBase,
  epochAt,
  type FullCalendar,
  type Kind,
  type Known,
  type KnownDeal,
  knownDeal,
  type MessageType,
  type Piece,
  pieceKey,
  type RegistryEntry,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import type { Pieces } from '../../pieces/pieces.ts'
import type { PieceSource, RangeNetwork } from '../../pieces/transfer.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import type { Signer } from '../../signer.ts'
import type { EpochView, Finding, NodeKind, Voice } from '../kind.ts'
import { presentBase } from '../present.ts'
import { type AuditOutcome, Auditor } from './auditor.ts'
import { Clients } from './clients.ts'
import { type DealKeys, identityDealKey } from './deal-keys.ts'
import { Endings } from './endings.ts'
import { Leftovers } from './leftovers.ts'
import { Losses } from './losses.ts'
import { isShort, lastsFor, type Outlook, outlookOf, type Prospect } from './outlook.ts'
import { type PaidProvider, Payer } from './payer.ts'
import { Prover } from './prover.ts'
import { Provider } from './provider.ts'
import { Renewals, renewalName } from './renewals.ts'
import { Fetches } from './stranger.ts'
import type { OwnTerms } from './terms.ts'
import { type ServedClient, Toll } from './toll.ts'
import { Unwanted } from './unwanted.ts'
import { StorageVerifier } from './verifier.ts'

/** Key spaces of its parts. */
const ANSWERS = 'storage-answers'
const CLIENTS = 'storage-clients'
const LEFTOVERS = 'storage-leftovers'
const ENDINGS = 'storage-endings'
const RENEWALS = 'storage-renewals'
const UNWANTED = 'storage-unwanted'
const RECEIPTS = 'storage-receipts'
const DELIVERED = 'storage-delivered'

export interface StorageComponents {
  clock: Clock
  network: Network
  store: Store
  voice: Voice
  view: EpochView
  signer: Signer
  /** Under which this node has things stored; its identity key unless given. */
  keys?: DealKeys
  verifier: Verifier
  log: Log
  /** Absent: this node keeps nothing, but verifies. */
  pieces?: Pieces
  /** Shared by all nodes of a host; its own unless given. */
  fetches?: Fetches
  envelopeOf(epoch: number, id: Uint8Array): Envelope | undefined
  peerOf(entry: RegistryEntry): string
  publishDeal(envelope: Envelope): Promise<void>
  /** Bytes that nobody can guess. */
  random(length: number): Uint8Array
  refusalOf(type: MessageType, message: Known<unknown>): string | undefined
}

export interface StorageInit {
  calendar: FullCalendar
  /** What it asks for as a provider. */
  terms: OwnTerms
  /** Paid for a GiB and epoch at most when a deal is renewed, base units. */
  maxPrice: bigint
  /** Whether it lets providers out of its deals when they ask. */
  releaseProviders: boolean
}

/** Bytes delivered and got, with who pays for them. */
export interface Service {
  /** Whom this node delivers to on account. */
  clients: readonly ServedClient[]
  /** From whom this node fetches on account. */
  providers: readonly PaidProvider[]
  /** Bytes of this epoch that a provider gives away. */
  free?: { used: number; quota: number }
}

export class StorageNode implements NodeKind {
  readonly kind = storageKind as unknown as Kind<unknown>
  readonly endings: Endings
  readonly unwanted: Unwanted
  readonly keys: DealKeys
  readonly toll: Toll | undefined
  /** A provider's pieces, with the toll before them. */
  readonly shelf: PieceSource | undefined
  readonly #components: StorageComponents
  readonly #init: StorageInit
  readonly #verifier: StorageVerifier
  readonly #clients: Clients
  readonly #renewals: Renewals
  readonly #auditor: Auditor
  readonly #payer: Payer
  readonly #prover: Prover | undefined
  readonly #provider: Provider | undefined
  readonly #leftovers: Leftovers | undefined
  readonly #losses: Losses | undefined
  #tidying: Promise<void> = Promise.resolve()
  /** Epochs that the deposit lasted when it was last warned of. */
  #warnedAt = Number.POSITIVE_INFINITY

  constructor(all: StorageComponents, init: StorageInit) {
    const { store, pieces, keys = identityDealKey(all.signer), ...components } = all
    const { fetches = new Fetches() } = components
    this.#components = all
    this.#init = init
    this.keys = keys
    this.#verifier = new StorageVerifier({ ...components, fetches }, init)
    const { seals } = this.#verifier
    this.#clients = new Clients({ store: store.sublevel(CLIENTS) })
    const clients = this.#clients
    this.endings = new Endings(
      { ...components, store: store.sublevel(ENDINGS), keys, clients },
      init,
    )
    this.unwanted = new Unwanted(
      { ...components, store: store.sublevel(UNWANTED), keys, endings: this.endings },
      init,
    )
    const isEnding = ({ id, deal }: KnownDeal) =>
      this.endings.isAgreed(id) || this.unwanted.has(deal.group)
    this.#renewals = new Renewals(
      { ...components, store: store.sublevel(RENEWALS), keys, isEnding },
      init,
    )
    this.#payer = new Payer({ ...components, store: store.sublevel(DELIVERED), keys }, init)
    this.#auditor = new Auditor({ ...components, network: this.paying(), keys }, init)
    if (pieces === undefined) return
    this.toll = new Toll({ ...components, store: store.sublevel(RECEIPTS) }, init)
    this.shelf = this.toll.guard(pieces)
    this.#prover = new Prover({ ...components, store: store.sublevel(ANSWERS), pieces, seals })
    const leftovers = new Leftovers({ ...components, store: store.sublevel(LEFTOVERS), pieces })
    this.#leftovers = leftovers
    this.#losses = new Losses({ ...components, endings: this.endings, pieces })
    const need = (piece: Piece) => leftovers.need(piece)
    this.#provider = new Provider({ ...components, pieces, clients, need }, init)
  }

  async start(): Promise<void> {
    await this.#leftovers?.start()
    this.#prover?.start()
    this.#provider?.start()
    await this.toll?.start()
    await this.endings.start()
    await this.unwanted.start()
  }

  async stop(): Promise<void> {
    await this.#auditor.stop()
    await this.#payer.stop()
    await this.toll?.stop()
    await this.#renewals.stop()
    await this.unwanted.stop()
    await this.endings.stop()
    await this.#losses?.stop()
    await this.#provider?.stop()
    await this.#verifier.stop()
    await this.#tidying
  }

  epoch(base: EpochBase): void {
    const isPresent = base.epoch >= epochAt(this.#init.calendar, this.#components.clock.now())
    this.#tidying = this.#tidying
      .then(async () => {
        await this.#prover?.forget(base.epoch)
        await this.#clients.forget(base.epoch)
        if (isPresent) await this.#leftovers?.epoch(base)
      })
      .catch((error: unknown) => {
        this.#components.log.warn({ err: error }, 'what is over could not be deleted')
      })
    // Bases of old epochs become known again when their sums are redone.
    if (!isPresent) return
    this.toll?.epoch(base)
    this.#verifier.epoch(base)
    this.endings.epoch(base)
    this.unwanted.epoch(base)
    this.#losses?.epoch(base)
    this.#renewals.epoch(base)
    this.#auditor.epoch(base)
    this.#warn(base)
  }

  /** Pieces are lost: their clients need not wait for the next epoch to hear of it. */
  tellLosses(): void {
    const base = presentBase(this.#components, this.#init.calendar)
    if (base !== undefined) this.#losses?.epoch(base)
  }

  /** The network, for a client that pays for what it fetches. */
  paying(): Network & RangeNetwork {
    return this.#payer.network()
  }

  /** Bytes that this node delivered and got, and what was paid for them. */
  service(): Service {
    const free = this.toll?.free()
    return {
      clients: this.toll?.clients() ?? [],
      providers: this.#payer.providers(),
      ...(free === undefined ? {} : { free }),
    }
  }

  /** Of the deals at the present base; empty while none is known. */
  outlook(): Outlook {
    const base = presentBase(this.#components, this.#init.calendar)
    return base === undefined ? {} : this.#outlookAt(base)
  }

  /** How a deal goes on. */
  prospectOf(deal: Deal): Prospect {
    const known = knownDeal(deal)
    const { id } = known
    const base = presentBase(this.#components, this.#init.calendar)
    const own = base && this.#components.voice.index(base)
    const isOwn = this.keys.of(deal.client) !== undefined
    const role = isOwn ? 'client' : own === deal.provider ? 'provider' : undefined
    const lasts = base && lastsFor(deal.client, base)
    const renewal = this.#renewals.outcomeOf(id)
    const audit = this.#auditor.outcomeOf(id)?.outcome
    const standing = base && dealStanding(base.state(storageKind), known, base.profile)
    return {
      ...(role === undefined ? {} : { role }),
      ...(lasts === undefined ? {} : { lasts }),
      ...(renewal === undefined ? {} : { renewal: renewalName(renewal) }),
      ...(audit === undefined ? {} : { audit }),
      ...(standing?.owed === undefined ? {} : { owed: standing.owed }),
      ...(standing?.lostFrom === undefined ? {} : { lostFrom: standing.lostFrom }),
      withheld: standing?.withheld ?? false,
      contained: standing?.contained ?? false,
      ending: this.endings.isAgreed(id),
    }
  }

  /** Looks at own live deals now, those over one of these pieces where some are given. */
  async audit(pieces?: readonly Piece[]): Promise<readonly AuditOutcome[]> {
    const base = presentBase(this.#components, this.#init.calendar)
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    if (pieces === undefined) return await this.#auditor.audit(base)
    const wanted = new Set(pieces.map(pieceKey))
    return await this.#auditor.audit(base, ({ deal }) => wanted.has(pieceKey(deal.piece)))
  }

  /** Asks the other side to end a deal; see `Endings.end`. */
  async end(id: Uint8Array): Promise<void> {
    await this.endings.end(id)
  }

  attest(
    challenge: Known<Challenge>,
    base: EpochBase,
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    return this.#verifier.attest(challenge, base, signal)
  }

  #outlookAt(base: EpochBase): Outlook {
    const { keys } = this
    const index = this.#components.voice.index(base)
    return outlookOf(base, {
      keys,
      index,
      renewalOf: id => this.#renewals.outcomeOf(id),
      failedAudits: this.#auditor.failed(base).length,
    })
  }

  /** Of a short deposit, and again whenever it lasts for half as long. */
  #warn(base: EpochBase): void {
    const { client } = this.#outlookAt(base)
    const lasts = client?.lasts
    if (client === undefined || lasts === undefined || !isShort(lasts, base.profile)) {
      this.#warnedAt = Number.POSITIVE_INFINITY
      return
    }
    if (2 * lasts > this.#warnedAt) return
    this.#warnedAt = lasts
    const { available, pricePerEpoch } = client
    this.#components.log.warn(
      { lasts, available, pricePerEpoch },
      `the deposit pays for ${lasts} more epochs; then deals end one by one`,
    )
  }
}
