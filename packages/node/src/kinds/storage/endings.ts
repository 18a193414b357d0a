/**
 * Ends deals before their time. Either side asks the other by `deal-end`: a provider agrees to what
 * its client wishes, a client to its provider's wish only where its operator set that. A provider that
 * lost a piece says so by `piece-lost`, and its client always agrees: the sooner the deal is over, the
 * sooner what was lost is made again. What both signed is kept and published until no base carries the
 * deal any more.
 */
import {
  Bytes32,
  Bytes64,
  CairnError,
  type Calendar,
  ContainerType,
  canEnd,
  check,
  dealEndEnvelope,
  dealEndSigningRoot,
  dealIndex,
  decode,
  Envelope,
  type EpochBase,
  hex,
  type KnownDeal,
  pieceCid,
  type RegistryEntry,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import { withPrefix } from '../../ledger/schema.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import type { Signer } from '../../signer.ts'
import { Errands } from '../errands.ts'
import type { EpochView, Voice } from '../kind.ts'
import { presentBase } from '../present.ts'
import type { Clients } from './clients.ts'
import type { DealKeys } from './deal-keys.ts'
import { Agreement } from './proposal.ts'

export const DEAL_END_PROTOCOL = 'deal-end'
export const PIECE_LOST_PROTOCOL = 'piece-lost'

const ASKS_PER_SECOND = 20
/** The other side answers at once, or is away; ms. */
const ASK_MS = 20_000

/** Who asks signs what it asks for. */
export const EndRequest = new ContainerType(
  { deal: Bytes32, signature: Bytes64 },
  { typeName: 'EndRequest' },
)

export interface EndingsComponents {
  clock: Clock
  network: Network
  /** A key space of its own. */
  store: Store
  voice: Voice
  view: EpochView
  signer: Signer
  keys: DealKeys
  clients: Clients
  verifier: Verifier
  log: Log
  /** Takes a complete message in and gossips it. */
  publishDeal(envelope: Envelope): Promise<void>
  /** libp2p peer id of a registered node. */
  peerOf(entry: RegistryEntry): string
}

export interface EndOptions {
  /** The provider does not have the piece any more. */
  isLost?: boolean
}

export interface EndingsInit {
  calendar: Calendar
  /** Whether this node, as a client, lets a provider out of a deal. */
  releaseProviders: boolean
}

/** This node's part in a deal: how it signs, and who the other one is. */
interface Part {
  readonly role: 'client' | 'provider'
  sign(root: Uint8Array): Uint8Array
  /** Ed25519 key of the other side. */
  readonly other: Uint8Array
}

export class Endings {
  readonly #components: EndingsComponents
  readonly #init: EndingsInit
  readonly #errands: Errands
  /** Deals with both signatures under their end, by id in hexadecimal. */
  readonly #agreed = new Set<string>()

  constructor(components: EndingsComponents, init: EndingsInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  async start(): Promise<void> {
    const { network, store } = this.#components
    const { maxSize: maxRequestBytes } = EndRequest
    const options = { maxRequestBytes, maxResponseBytes: Agreement.maxSize }
    network.serve(DEAL_END_PROTOCOL, { ...options, perSecond: ASKS_PER_SECOND }, request =>
      this.answer(request),
    )
    network.serve(PIECE_LOST_PROTOCOL, { ...options, perSecond: ASKS_PER_SECOND }, request =>
      this.answer(request, { isLost: true }),
    )
    for await (const [id] of store.range(withPrefix(new Uint8Array(0)))) this.#agreed.add(hex(id))
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /** Both sides have signed that this deal is over. */
  isAgreed(id: Uint8Array): boolean {
    return this.#agreed.has(hex(id))
  }

  /** Publishes again what no base shows yet, and forgets what is done. */
  epoch(base: EpochBase): void {
    if (this.#agreed.size > 0) this.#errands.run(() => this.#follow(base))
  }

  /**
   * Asks the other side to end a deal, and resolves when both have signed. Rejects with `unknownDeal`,
   * `notParty`, `notBegun`, `unknownPeer`, the other side's code, or as a request does.
   */
  async end(id: Uint8Array, { isLost = false }: EndOptions = {}): Promise<void> {
    if (this.isAgreed(id)) return
    const { clock, network, verifier } = this.#components
    const base = this.#base()
    const deal = this.#dealOf(id, base)
    const part = this.#partIn(deal, base)
    const peer = await this.#peerIn(deal, part, base)
    const end = { deal: id }
    const root = dealEndSigningRoot(end, base.network)
    const own = part.sign(root)
    const limit = deadline(clock, clock.now() + ASK_MS, this.#errands.signal)
    try {
      const request = EndRequest.serialize({ deal: id, signature: own })
      const options = { signal: limit.signal, maxResponseBytes: Agreement.maxSize }
      const protocol = isLost ? PIECE_LOST_PROTOCOL : DEAL_END_PROTOCOL
      const answer = await network.request(peer, protocol, request, options)
      const { signature: others } = decode(Agreement, answer)
      const signed = verifier.ed25519(root, part.other, others)
      check(signed, 'badSignature', 'the other side’s signature does not hold')
      await this.#keep(id, together(part, own, others))
    } finally {
      limit.clear()
    }
  }

  /**
   * Signs the end that the other side asks for. Rejects with `unknownDeal`, `notParty`, `notBegun`,
   * `badSignature` or `endRefused`.
   */
  async answer(request: Uint8Array, { isLost = false }: EndOptions = {}): Promise<Uint8Array> {
    const { verifier, log } = this.#components
    const { deal: id, signature: others } = decode(EndRequest, request)
    const base = this.#base()
    const deal = this.#dealOf(id, base)
    const part = this.#partIn(deal, base)
    const root = dealEndSigningRoot({ deal: id }, base.network)
    const signed = verifier.ed25519(root, part.other, others)
    check(signed, 'badSignature', 'the other side did not sign this end')
    const willing = part.role === 'provider' || isLost || this.#init.releaseProviders
    check(willing, 'endRefused', 'this client holds its providers to their deals')
    if (isLost) {
      const { provider, piece } = deal.deal
      log.warn({ provider, piece: pieceCid(piece), deal: deal.key }, 'a provider lost a piece')
    }
    const signature = part.sign(root)
    await this.#keep(id, together(part, signature, others))
    return Agreement.serialize({ signature })
  }

  async #keep(id: Uint8Array, signatures: Together): Promise<void> {
    const { store, log } = this.#components
    const envelope = dealEndEnvelope({ deal: id }, signatures)
    await store.batch([{ key: id, value: Envelope.serialize(envelope) }], { sync: true })
    this.#agreed.add(hex(id))
    log.info({ deal: hex(id) }, 'a deal ends by agreement')
    await this.#publish(id, envelope)
  }

  async #follow(base: EpochBase): Promise<void> {
    const { store } = this.#components
    const carried = dealIndex(base.state(storageKind)).byId
    for await (const [id, bytes] of store.range(withPrefix(new Uint8Array(0)))) {
      if (carried.has(hex(id))) {
        await this.#publish(id, decode(Envelope, bytes))
        continue
      }
      await store.batch([{ key: id }])
      this.#agreed.delete(hex(id))
    }
  }

  async #publish(id: Uint8Array, envelope: Envelope): Promise<void> {
    const { publishDeal, log } = this.#components
    try {
      await publishDeal(envelope)
    } catch (error) {
      // The next epoch tries again, and the other side publishes it too.
      log.debug({ err: error, deal: hex(id) }, 'the end of a deal is not taken in yet')
    }
  }

  #base(): EpochBase {
    const base = presentBase(this.#components, this.#init.calendar)
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    return base
  }

  #dealOf(id: Uint8Array, base: EpochBase): KnownDeal {
    const deal = dealIndex(base.state(storageKind)).byId.get(hex(id))
    check(deal !== undefined, 'unknownDeal', 'no base carries this deal', {
      facts: { deal: hex(id), epoch: base.epoch },
      next: 'a deal shows some epochs after both signed it, and not after it ended',
    })
    check(canEnd(deal.deal, base.epoch), 'notBegun', 'a deal cannot end before it begins', {
      facts: { startEpoch: deal.deal.startEpoch, epoch: base.epoch },
    })
    return deal
  }

  #partIn({ deal }: KnownDeal, base: EpochBase): Part {
    const { keys, signer, voice } = this.#components
    const provider = base.node(deal.provider)
    const own = keys.of(deal.client)
    if (own !== undefined && provider !== undefined) {
      return { role: 'client', sign: own.sign, other: provider.identity }
    }
    if (provider !== undefined && voice.index(base) === deal.provider) {
      return { role: 'provider', sign: signer.signIdentity, other: deal.client }
    }
    throw new CairnError('notParty', 'this node is neither client nor provider of the deal', {
      facts: { provider: deal.provider },
    })
  }

  async #peerIn({ id, deal }: KnownDeal, { role }: Part, base: EpochBase): Promise<string> {
    const { clients, peerOf } = this.#components
    const provider = base.node(deal.provider)
    const peer =
      role === 'client'
        ? provider && peerOf(provider)
        : await clients.peerOf({ deal: id, endEpoch: deal.endEpoch })
    check(peer !== undefined, 'unknownPeer', 'this node does not know where the client is', {
      facts: { client: hex(deal.client) },
      next: 'ask the client to end the deal',
    })
    return peer
  }
}

interface Together {
  client: Uint8Array
  provider: Uint8Array
}

function together({ role }: Part, own: Uint8Array, other: Uint8Array): Together {
  return role === 'client' ? { client: own, provider: other } : { client: other, provider: own }
}
