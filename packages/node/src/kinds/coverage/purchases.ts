/**
 * The network server's side of packets bought: asks gateways for offers, takes each packet of the first
 * gateway that offers it, and signs for what came and is what was offered. A gateway is trusted with
 * nothing: what it does not hand over is not signed for.
 */
import {
  boughtPackets,
  boughtSigningRoot,
  CairnError,
  type Calendar,
  check,
  coverage,
  decode,
  decodeLevel,
  type EpochBase,
  equalBytes,
  hex,
  introductionSigningRoot,
  isBoughtSigned,
  type RegistryEntry,
  sha256,
  type Verifier,
} from '@cairn/protocol'
import { ignoreAbort } from '../../abort.ts'
import { deadline } from '../../clock.ts'
import { contactsOf } from '../../contacts.ts'
import { key as joined, readU64, u32, u64 } from '../../ledger/schema.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import type { EpochView } from '../kind.ts'
import { presentBase } from '../present.ts'
import type { DealKey } from '../storage/deal-keys.ts'
import {
  type AddressFilter,
  HOLD_MS,
  isWanted,
  PACKETS_PROTOCOL,
  type PacketOffer,
  PacketsAnswer,
  PacketsRequest,
  UNPAID_PACKETS,
} from './trade.ts'

/** Gateways that one purchase asks. */
export const GATEWAYS_ASKED_MAX = 256
/** Packets remembered as bought: who hears one hears it within seconds. */
export const BOUGHT_MAX = 4_096
/** Bought packets that nobody has read yet; then nothing more is taken. */
export const UNREAD_MAX = 1_024
/** Taken of one gateway in a second unless told otherwise: more than devices send where one hears them. */
export const TAKEN_PER_SECOND = 20
/** Offers of one gateway that wait to be taken, as many as an honest one keeps; the oldest give way. */
export const WANTED_MAX = 1_024
/** From one request to a gateway to the next at least, ms: it answers no more than 50 in a second. */
export const ASK_EVERY_MS = 25
/** Over what a gateway may hold a request, ms. */
const ANSWER_MS = 2 * HOLD_MS
/** A gateway that failed is asked again after this time, ms. */
const RETRY_MS = 5_000
/** What a daemon answers that does not speak for the gateway, though its operator has both. */
const ELSEWHERE: ReadonlySet<string> = new Set(['notActive', 'unsupported'])

export interface PurchasesComponents {
  clock: Clock
  network: Network
  /** A key space of its own: (server key, gateway) -> packets signed for. */
  store: Store
  view: Pick<EpochView, 'base'>
  key: DealKey
  verifier: Verifier
  log: Log
  peerOf(entry: RegistryEntry): string
}

export interface PurchasesInit {
  calendar: Calendar
}

export interface PurchaseOrder {
  /** Node indices. */
  gateways: readonly number[]
  /** Without one: every address. */
  filters: readonly AddressFilter[]
  /** Join and rejoin requests too. */
  joins: boolean
  /** Packets taken of each gateway in a second; `TAKEN_PER_SECOND` unless given. */
  perSecond?: number
}

/** How far this node is with one gateway. */
interface Place {
  /** The last offer that it knows. */
  after: bigint
  wanted: PacketOffer[]
  /** The peer that answered last. */
  peer?: string
  /** Taken in this second: who invents packets does not empty the deposit. */
  second: number
  taken: number
}

/** One packet, bought; levels in 0.1 dBm and 0.1 dB. */
export interface BoughtPacket {
  gateway: number
  payload: Uint8Array
  /** LoRaWAN MType. */
  type: number
  /** DevAddr of data, JoinEUI of a join request. */
  address: bigint
  frequency: number
  spreadingFactor: number
  bandwidth: number
  rssi?: number
  snr?: number
  at: number
}

/** Why a gateway gives nothing at present; it is asked again. */
export interface PurchaseFailure {
  gateway: number
  code: string
  message: string
}

export type Purchase = { packet: BoughtPacket } | { failure: PurchaseFailure }

/** What was bought of one gateway since the beginning. */
export interface BoughtTotal {
  gateway: number
  /** 32 bytes. */
  server: Uint8Array
  packets: bigint
  paid: bigint
}

/** What this server has signed for, all told. */
interface GatewayTab {
  readonly gateway: number
  packets: bigint
}

/** What one request to a gateway goes by. */
interface Asking {
  readonly entry: RegistryEntry
  readonly base: EpochBase
  readonly tab: GatewayTab
  readonly place: Place
  readonly signal: AbortSignal
}

export class Purchases {
  readonly #components: PurchasesComponents
  readonly #init: PurchasesInit
  /** One per gateway, whoever buys: totals never go back. */
  readonly #tabs = new Map<number, Promise<GatewayTab>>()
  /** Digests in hexadecimal, oldest first. */
  readonly #bought = new Set<string>()
  readonly #busy = new Set<number>()
  readonly #stopped = new AbortController()

  constructor(components: PurchasesComponents, init: PurchasesInit) {
    this.#components = components
    this.#init = init
  }

  stop(): void {
    this.#stopped.abort()
  }

  /** Of each gateway that this node bought of since it started: signed for, and paid. */
  async bought(): Promise<BoughtTotal[]> {
    const base = presentBase(this.#components, this.#init.calendar)
    const tabs = await Promise.all(this.#tabs.values())
    const server = this.#components.key.key
    return tabs.map(({ gateway, packets }) => {
      const paid = base && boughtPackets(base.state(coverage), { server, gateway })
      return { gateway, server, packets, paid: paid ?? 0n }
    })
  }

  /** Buys until the signal aborts. Throws `badOrder`, `alreadyBuying`. */
  async *buy(order: PurchaseOrder, signal: AbortSignal): AsyncGenerator<Purchase> {
    const gateways = [...new Set(order.gateways)]
    const fits = gateways.length > 0 && gateways.length <= GATEWAYS_ASKED_MAX
    check(fits, 'badOrder', `expected 1 to ${GATEWAYS_ASKED_MAX} gateways`, {
      facts: { gateways: gateways.length },
    })
    for (const gateway of gateways) {
      check(!this.#busy.has(gateway), 'alreadyBuying', 'this node buys of that gateway already', {
        facts: { gateway },
        next: 'end the other purchase first',
      })
    }
    const over = new AbortController()
    const end = AbortSignal.any([signal, this.#stopped.signal, over.signal])
    const queue = new Queue(end)
    for (const gateway of gateways) this.#busy.add(gateway)
    const asking = gateways.map(gateway => this.#ask(gateway, order, queue, end))
    try {
      yield* queue.read()
    } finally {
      over.abort()
      await Promise.all(asking)
      for (const gateway of gateways) this.#busy.delete(gateway)
    }
  }

  /** Never rejects. */
  async #ask(gateway: number, order: PurchaseOrder, queue: Queue, signal: AbortSignal) {
    const { clock, log } = this.#components
    const place: Place = { after: 0n, wanted: [], second: 0, taken: 0 }
    while (!signal.aborted) {
      const next = clock.now() + ASK_EVERY_MS
      try {
        await queue.room()
        await this.#round(gateway, order, place, queue, signal)
        await clock.until(next, signal)
      } catch (error) {
        if (signal.aborted) return
        const known = error instanceof CairnError
        if (!known) log.error({ err: error, gateway }, 'buying packets failed')
        const code = known ? error.code : 'unknown'
        const message = known ? error.message : 'see the log'
        place.wanted = []
        queue.push({ failure: { gateway, code, message } })
        await clock.until(clock.now() + RETRY_MS, signal).catch(ignoreAbort(signal))
      }
    }
  }

  /** Pays for what came, takes what was offered, and hears of more. */
  async #round(
    gateway: number,
    order: PurchaseOrder,
    place: Place,
    queue: Queue,
    signal: AbortSignal,
  ): Promise<void> {
    const base = this.#base()
    const entry = base.node(gateway)
    check(entry !== undefined, 'notActive', 'no such gateway is active', { facts: { gateway } })
    const tab = await this.#tabOf(gateway)
    const wanted = this.#unbought(place.wanted.splice(0))
    const { perSecond = TAKEN_PER_SECOND } = order
    const most = Math.min(UNPAID_PACKETS, this.#allowance(place, perSecond))
    const taking = wanted.slice(0, most)
    // What goes beyond the allowance is not wanted any more: it would be late.
    place.wanted = most === UNPAID_PACKETS ? wanted.slice(most) : []
    place.taken += taking.length
    // Another gateway's offer of the same packet is not taken while this one's is on its way.
    for (const { digest } of taking) this.#remember(hex(digest))
    const got = new Set<bigint>()
    const asked = { filters: [...order.filters], joins: order.joins ? 1 : 0 }
    try {
      const answer = await this.#say(
        { entry, base, tab, place, signal },
        {
          after: place.after,
          ...asked,
          take: taking.map(({ sequence }) => sequence),
        },
      )
      this.#remind(tab, base, answer)
      for (const { sequence, payload } of answer.taken) {
        const offer = taking.find(other => other.sequence === sequence)
        const fits = offer !== undefined && equalBytes(sha256(payload), offer.digest)
        check(fits && !got.has(sequence), 'packetDamaged', 'the packet is not the one offered', {
          facts: { gateway },
        })
        got.add(sequence)
        tab.packets++
        queue.push({ packet: packetOf(gateway, offer, payload) })
      }
      for (const offer of answer.offers) {
        if (offer.sequence > place.after) place.after = offer.sequence
        if (isWanted(offer, asked)) place.wanted.push(offer)
      }
      place.wanted.splice(0, place.wanted.length - WANTED_MAX)
    } finally {
      for (const { sequence, digest } of taking) {
        if (!got.has(sequence)) this.#bought.delete(hex(digest))
      }
    }
  }

  /** Throws `noBase`: no gateway is to blame, and none is asked. */
  #base(): EpochBase {
    const base = presentBase(this.#components, this.#init.calendar)
    const own = 'this node itself does not know the present epoch yet, and asks nobody'
    check(base !== undefined, 'noBase', `${own}: see \`cairn status\``)
    return base
  }

  /** One offer of each packet that is not bought. */
  #unbought(offers: readonly PacketOffer[]): PacketOffer[] {
    const seen = new Set<string>()
    return offers.filter(({ digest }) => {
      const key = hex(digest)
      if (seen.has(key) || this.#bought.has(key)) return false
      seen.add(key)
      return true
    })
  }

  #allowance(place: Place, perSecond: number): number {
    const second = Math.floor(this.#components.clock.now() / 1_000)
    if (place.second !== second) Object.assign(place, { second, taken: 0 })
    return Math.max(0, perSecond - place.taken)
  }

  async #say(
    { entry, base, tab, place, signal }: Asking,
    wish: Pick<PacketsRequest, 'after' | 'filters' | 'joins' | 'take'>,
  ): Promise<PacketsAnswer> {
    const { network, store, key } = this.#components
    const { gateway, packets } = tab
    const server = key.key
    // Durable first: after a restart it must not sign for less than it did.
    await store.batch([{ key: joined(server, u32(gateway)), value: u64(packets) }])
    const bought = boughtSigningRoot({ server, gateway, packets }, base.network)
    const self = { client: server, provider: gateway, peer: network.self }
    const request = PacketsRequest.serialize({
      ...wish,
      gateway,
      server,
      packets,
      signature: key.sign(bought),
      introduction: key.sign(introductionSigningRoot(self, base.network)),
    })
    const peers = this.#peersOf(entry, base, place)
    for (;;) {
      const peer = peers.shift() as string
      try {
        const answer = await this.#request(peer, request, signal)
        place.peer = peer
        return answer
      } catch (error) {
        const elsewhere = error instanceof CairnError && ELSEWHERE.has(error.code)
        if (!elsewhere || peers.length === 0) throw error
      }
    }
  }

  /** Never empty; the one that answered last is asked first. */
  #peersOf(entry: RegistryEntry, base: EpochBase, { peer: last }: Place): string[] {
    const { network, peerOf } = this.#components
    const connected = new Set(network.peers())
    const peers = contactsOf(entry, base, { peerOf, connected })
    return peers.sort((a, b) => Number(b === last) - Number(a === last))
  }

  async #request(peer: string, request: Uint8Array, signal: AbortSignal): Promise<PacketsAnswer> {
    const { clock, network } = this.#components
    const limit = deadline(clock, clock.now() + ANSWER_MS, signal)
    try {
      const options = { signal: limit.signal, maxResponseBytes: PacketsAnswer.maxSize }
      return decode(PacketsAnswer, await network.request(peer, PACKETS_PROTOCOL, request, options))
    } finally {
      limit.clear()
    }
  }

  /** This node may have forgotten what it signed before; its own signature reminds it. */
  #remind(tab: GatewayTab, base: EpochBase, { packets, signature }: PacketsAnswer): void {
    const { key, verifier } = this.#components
    if (packets <= tab.packets) return
    const bought = { server: key.key, gateway: tab.gateway, packets }
    const own = isBoughtSigned(bought, signature, base.network, verifier)
    check(own, 'badSignature', 'the gateway shows a receipt that this node did not sign')
    tab.packets = packets
  }

  #tabOf(gateway: number): Promise<GatewayTab> {
    const { store, key } = this.#components
    let tab = this.#tabs.get(gateway)
    if (tab === undefined) {
      tab = store.get(joined(key.key, u32(gateway))).then(stored => {
        return { gateway, packets: stored === undefined ? 0n : readU64(stored) }
      })
      this.#tabs.set(gateway, tab)
    }
    return tab
  }

  #remember(digest: string): void {
    for (const oldest of this.#bought) {
      if (this.#bought.size < BOUGHT_MAX) break
      this.#bought.delete(oldest)
    }
    this.#bought.add(digest)
  }
}

/** What was bought and not read yet. */
class Queue {
  readonly #signal: AbortSignal
  readonly #items: Purchase[] = []
  readonly #waiting = new Set<() => void>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  push(item: Purchase): void {
    this.#items.push(item)
    this.#wake()
  }

  /** Resolves while there is room, so that who does not read does not buy. */
  async room(): Promise<void> {
    while (this.#items.length >= UNREAD_MAX && !this.#signal.aborted) await this.#change()
  }

  async *read(): AsyncGenerator<Purchase> {
    while (!this.#signal.aborted) {
      const item = this.#items.shift()
      if (item === undefined) await this.#change()
      else {
        this.#wake()
        yield item
      }
    }
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    return promise
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

function packetOf(gateway: number, offer: PacketOffer, payload: Uint8Array): BoughtPacket {
  const { type, address, frequency, spreadingFactor, bandwidth, at } = offer
  const [rssi, snr] = [decodeLevel(offer.rssi), decodeLevel(offer.snr)]
  return {
    gateway,
    payload,
    type,
    address,
    frequency,
    spreadingFactor,
    bandwidth,
    ...(rssi !== undefined && { rssi }),
    ...(snr !== undefined && { snr }),
    at: Number(at),
  }
}
