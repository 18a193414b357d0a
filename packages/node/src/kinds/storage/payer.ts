/**
 * The client's side of paid delivery: what this node fetches from providers it acknowledges by
 * receipts, in its own name, as it comes. Without a deposit, or where a provider keeps no tab, it
 * fetches as a stranger.
 */
import {
  CairnError,
  type Calendar,
  check,
  decode,
  deliveredSigningRoot,
  type EpochBase,
  enclosingRange,
  hex,
  introductionSigningRoot,
  isDeliveredSigned,
  offersStorage,
  PieceRange,
  type RegistryEntry,
  servedFee,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import { key as joined, readU64, u32, u64 } from '../../ledger/schema.ts'
import { PieceProtocol, type RangeNetwork } from '../../pieces/transfer.ts'
import type { Clock, Log, Network, RequestOptions, Store, Timer } from '../../ports.ts'
import type { EpochView } from '../kind.ts'
import { presentBase } from '../present.ts'
import type { DealKey, DealKeys } from './deal-keys.ts'
import { RECEIPT_STEP, TAB_PROTOCOL, TabAnswer, TabRequest, UNPAID_MAX } from './tab.ts'

/** Providers with whom this node has a tab, or found that there is none. */
export const PAID_MAX = 1_024
/** A provider answers from memory, ms. */
const TAB_MS = 5_000
/** Who keeps no tab is asked again after this time, ms. */
const RETRY_MS = 10_000
/** What came last is acknowledged when nothing more came for this long, ms. */
const FLUSH_MS = 1_000
/** A provider that waits for a receipt is asked again so often, and after this time, ms. */
const UNPAID_ATTEMPTS = 4
const UNPAID_WAIT_MS = 250

export interface PayerComponents {
  clock: Clock
  network: Network
  /** A key space of its own: (client key, provider) -> bytes signed for. */
  store: Store
  view: Pick<EpochView, 'base'>
  keys: DealKeys
  verifier: Verifier
  log: Log
  peerOf(entry: RegistryEntry): string
}

export interface PayerInit {
  calendar: Calendar
}

/** What one provider delivered, all told. */
interface Tab {
  readonly key: DealKey
  readonly provider: number
  received: bigint
  /** By the latest receipt that the provider has. */
  signed: bigint
  paying: Promise<void> | undefined
  flush: Timer | undefined
}

/** A provider as this node pays it. */
export interface PaidProvider {
  /** Node index. */
  provider: number
  /** 32 bytes. */
  client: Uint8Array
  received: bigint
  signed: bigint
}

export class Payer {
  readonly #components: PayerComponents
  readonly #init: PayerInit
  /** By peer; the one used longest ago first. */
  readonly #tabs = new Map<string, Promise<Tab | undefined>>()
  readonly #open = new Map<string, Tab>()
  /** Peers without a tab, and until when, ms. */
  readonly #strangers = new Map<string, number>()
  /** Answers on account that nobody has verified yet, with the bytes that they claim to be. */
  readonly #answers = new WeakMap<Uint8Array, { peer: string; bytes: number }>()
  readonly #stopped = new AbortController()
  readonly #entries = new WeakMap<EpochBase, ReadonlyMap<string, RegistryEntry>>()

  constructor(components: PayerComponents, init: PayerInit) {
    this.#components = components
    this.#init = init
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    for (const tab of this.#open.values()) tab.flush?.cancel()
    await Promise.allSettled([...this.#open.values()].map(({ paying }) => paying))
  }

  /** The network as one that pays for the pieces that come by it: for what was verified, and no more. */
  network(): Network & RangeNetwork {
    const { network } = this.#components
    return {
      self: network.self,
      start: () => network.start(),
      stop: () => network.stop(),
      peers: () => network.peers(),
      subscribe: (topic, validate) => network.subscribe(topic, validate),
      unsubscribe: topic => network.unsubscribe(topic),
      publish: (topic, data) => network.publish(topic, data),
      serve: (protocol, options, answer) => network.serve(protocol, options, answer),
      request: (peer, protocol, request, options) =>
        protocol === PieceProtocol.get
          ? this.#fetch(peer, request, options)
          : network.request(peer, protocol, request, options),
      requestAsStranger: (peer, protocol, request, options) =>
        network.requestAsStranger(peer, protocol, request, options),
      verified: answer => this.#verified(answer),
    }
  }

  providers(): PaidProvider[] {
    return [...this.#open.values()].map(({ key, provider, received, signed }) => ({
      provider,
      client: key.key,
      received,
      signed,
    }))
  }

  async #fetch(peer: string, request: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const { clock, network } = this.#components
    let tab = await this.#tabWith(peer)
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await network.request(peer, PieceProtocol.get, request, options)
        if (tab !== undefined) this.#answers.set(answer, { peer, bytes: lengthOf(request) })
        return answer
      } catch (error) {
        const unpaid = error instanceof CairnError && error.code === 'unpaid'
        if (!unpaid || attempt >= UNPAID_ATTEMPTS) throw error
        // What is free is gone: that a tab could not be opened before need not last.
        if (tab === undefined) {
          this.#strangers.delete(peer)
          tab = await this.#tabWith(peer)
          if (tab === undefined) throw error
          continue
        }
      }
      await this.#pay(peer, tab)
      await clock.until(clock.now() + UNPAID_WAIT_MS, options.signal)
    }
  }

  #verified(answer: Uint8Array): void {
    const { clock } = this.#components
    const found = this.#answers.get(answer)
    const tab = found && this.#open.get(found.peer)
    if (found === undefined || tab === undefined) return
    this.#answers.delete(answer)
    const { peer, bytes } = found
    tab.received += BigInt(bytes)
    tab.flush?.cancel()
    if (this.#stopped.signal.aborted) return
    if (tab.received - tab.signed >= BigInt(RECEIPT_STEP)) void this.#pay(peer, tab)
    tab.flush = clock.at(clock.now() + FLUSH_MS, () => void this.#pay(peer, tab))
  }

  /** Undefined: a stranger to this peer. */
  #tabWith(peer: string): Promise<Tab | undefined> {
    const known = this.#tabs.get(peer)
    if (known !== undefined) {
      this.#tabs.delete(peer)
      this.#tabs.set(peer, known)
      return known
    }
    const { clock, log } = this.#components
    if ((this.#strangers.get(peer) ?? 0) > clock.now()) return Promise.resolve(undefined)
    for (const oldest of this.#tabs.keys()) {
      if (this.#tabs.size < PAID_MAX) break
      this.#forget(oldest)
    }
    const opening = this.#opened(peer).catch((error: unknown) => {
      log.debug({ err: error, peer }, 'fetches from a provider as a stranger')
      this.#tabs.delete(peer)
      this.#estrange(peer)
      return undefined
    })
    this.#tabs.set(peer, opening)
    return opening
  }

  #estrange(peer: string): void {
    const { clock } = this.#components
    this.#strangers.delete(peer)
    for (const oldest of this.#strangers.keys()) {
      if (this.#strangers.size < PAID_MAX) break
      this.#strangers.delete(oldest)
    }
    this.#strangers.set(peer, clock.now() + RETRY_MS)
  }

  #forget(peer: string): void {
    this.#open.get(peer)?.flush?.cancel()
    this.#open.delete(peer)
    this.#tabs.delete(peer)
  }

  async #opened(peer: string): Promise<Tab> {
    const base = presentBase(this.#components, this.#init.calendar)
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    const entry = this.#providerAt(peer, base)
    check(entry !== undefined, 'notProvider', 'the peer is no provider of the present base')
    const key = this.#payingKey(base)
    check(key !== undefined, 'notCovered', 'no deposit of this node pays for deliveries')
    const provider = entry.index
    const stored = await this.#components.store.get(joined(key.key, u32(provider)))
    const signed = stored === undefined ? 0n : readU64(stored)
    const tab: Tab = {
      key,
      provider,
      received: signed,
      signed,
      paying: undefined,
      flush: undefined,
    }
    await this.#say(peer, tab, base)
    this.#open.set(peer, tab)
    return tab
  }

  /** The key whose deposit covers most, if it covers a whole tab. */
  #payingKey(base: EpochBase): DealKey | undefined {
    const least = servedFee(BigInt(UNPAID_MAX), base.profile)
    const covered = ({ key }: DealKey) => base.available(hex(key))
    let best: DealKey | undefined
    for (const key of this.#components.keys.all()) {
      if (covered(key) >= least && (best === undefined || covered(key) > covered(best))) best = key
    }
    return best
  }

  /** Signs for all that came; one receipt at a time. Never rejects: failures wait for the next step. */
  async #pay(peer: string, tab: Tab): Promise<void> {
    if (tab.paying !== undefined) return await tab.paying
    if (tab.received === tab.signed) return
    const base = presentBase(this.#components, this.#init.calendar)
    if (base === undefined) return
    tab.paying = this.#say(peer, tab, base)
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return
        this.#components.log.debug({ err: error, peer }, 'a receipt did not reach its provider')
        if (error instanceof CairnError && error.code === 'notCovered') this.#forget(peer)
      })
      .finally(() => {
        tab.paying = undefined
      })
    await tab.paying
  }

  async #say(peer: string, tab: Tab, base: EpochBase): Promise<void> {
    const { clock, network, store, verifier } = this.#components
    const { key, provider, received: bytes } = tab
    const client = key.key
    // Durable first: after a restart it must not sign for less than it did.
    await store.batch([{ key: joined(client, u32(provider)), value: u64(bytes) }])
    const signature = key.sign(deliveredSigningRoot({ client, provider, bytes }, base.network))
    const self = { client, provider, peer: network.self }
    const introduction = key.sign(introductionSigningRoot(self, base.network))
    const limit = deadline(clock, clock.now() + TAB_MS, this.#stopped.signal)
    try {
      const request = TabRequest.serialize({ client, bytes, signature, introduction })
      const options = { signal: limit.signal, maxResponseBytes: TabAnswer.maxSize }
      const answer = decode(TabAnswer, await network.request(peer, TAB_PROTOCOL, request, options))
      tab.signed = bytes
      if (answer.bytes <= bytes) return
      // This node forgot what it signed before; its own signature reminds it.
      const delivered = { client, provider, bytes: answer.bytes }
      const own = isDeliveredSigned(delivered, answer.signature, base.network, verifier)
      check(own, 'badSignature', 'the provider shows a receipt that this node did not sign')
      tab.received += answer.bytes - bytes
      tab.signed = answer.bytes
    } finally {
      limit.clear()
    }
  }

  #providerAt(peer: string, base: EpochBase): RegistryEntry | undefined {
    let entries = this.#entries.get(base)
    if (entries === undefined) {
      const providers = base.nodes.filter(offersStorage)
      entries = new Map(providers.map(entry => [this.#components.peerOf(entry), entry]))
      this.#entries.set(base, entries)
    }
    return entries.get(peer)
  }
}

/** Bytes that a request for a range asks for, with those of its enclosing range. */
function lengthOf(request: Uint8Array): number {
  return enclosingRange(decode(PieceRange, request)).length
}
