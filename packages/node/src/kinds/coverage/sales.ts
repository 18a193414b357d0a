/**
 * The gateway's side of packets bought. What its radio hears is offered without its content to network
 * servers that have a deposit; they take what they want and sign for it, a bounded number behind.
 * What nobody takes earns nothing. There is one for all nodes of a daemon: they share its peer id.
 */
import {
  boughtPackets,
  type Calendar,
  COVERAGE,
  check,
  claimedPackets,
  coverage,
  decode,
  type EpochBase,
  epochAt,
  feeOf,
  hex,
  introductionSigningRoot,
  isBoughtSigned,
  isGateway,
  isPacketClaim,
  MessageType,
  PacketReceipt,
  packetTariff,
  sha256,
  type Verifier,
} from '@cairn/protocol'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import { type Account, Accounts, type Tally, type Total } from '../accounts.ts'
import { Errands } from '../errands.ts'
import type { EpochView, Voice } from '../kind.ts'
import { presentBase } from '../present.ts'
import {
  HOLD_MS,
  isWanted,
  OFFERS_MAX,
  PACKETS_PROTOCOL,
  type PacketOffer,
  PacketsAnswer,
  PacketsRequest,
  UNPAID_PACKETS,
} from './trade.ts'

/** Packets of one gateway that may still be taken: some minutes of a busy one. */
export const OFFERED_MAX = 1_024
/** Requests that wait for an offer; more are answered at once. */
export const HELD_MAX = 256
/** Peers that were introduced; the one longest ago is forgotten. */
export const INTRODUCED_MAX = 4_096
/** A server takes, pays and asks again at once. */
const ASKS_PER_SECOND = 50
/** Microseconds in a ms: sequences grow faster than a radio hears. */
const SEQUENCES_PER_MS = 1_000n

export interface SalesComponents {
  clock: Clock
  network: Network
  verifier: Verifier
  view: Pick<EpochView, 'base'>
  log: Log
}

export interface SalesInit {
  calendar: Calendar
}

/** A registered gateway that sells here. */
export interface SalesSeat {
  voice: Voice
  /** A key space of its own: server key -> latest receipt. */
  store: Store
}

/** A packet as a radio heard it; see `PacketOffer` for the fields. */
export interface SalePacket extends Omit<PacketOffer, 'sequence' | 'digest' | 'length' | 'at'> {
  payload: Uint8Array
  /** Ms since 1970. */
  at: number
}

/** What one server bought. */
export interface SoldPackets {
  /** Node index of the gateway. */
  gateway: number
  /** 32 bytes. */
  server: Uint8Array
  /** Packets by its latest receipt, and those of them that settlement paid. */
  receipted: bigint
  paid: bigint
  /** Packets that no receipt covers. */
  unpaid: number
}

interface Stall extends SalesSeat {
  readonly accounts: Accounts
  readonly offered: { offer: PacketOffer; payload: Uint8Array }[]
}

export class Sales {
  readonly #components: SalesComponents
  readonly #init: SalesInit
  readonly #errands: Errands
  readonly #stalls: Stall[] = []
  /** `gateway/server/peer` in the order of their introduction. */
  readonly #introduced = new Set<string>()
  readonly #held = new Set<() => void>()
  #sequence = 0n
  /** The last that receipts are said in. */
  #epoch = -1
  #serving = false

  constructor(components: SalesComponents, init: SalesInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  /** Sells for this gateway; gives what takes in each packet that its radio hears. */
  add(seat: SalesSeat): (packet: SalePacket) => void {
    const { log, verifier } = this.#components
    const accounts = new Accounts(
      { store: seat.store, errands: this.#errands, log, index: base => seat.voice.index(base) },
      packetsTally(seat.voice, verifier),
    )
    const stall: Stall = { ...seat, accounts, offered: [] }
    this.#stalls.push(stall)
    return packet => this.#offer(stall, packet)
  }

  async start(): Promise<void> {
    if (this.#serving || this.#stalls.length === 0) return
    this.#serving = true
    for (const { accounts } of this.#stalls) await accounts.start()
    const { maxSize: maxRequestBytes } = PacketsRequest
    const { maxSize: maxResponseBytes } = PacketsAnswer
    const options = { maxRequestBytes, maxResponseBytes, perSecond: ASKS_PER_SECOND }
    this.#components.network.serve(PACKETS_PROTOCOL, options, (request, from) =>
      this.answer(request, from),
    )
  }

  async stop(): Promise<void> {
    this.#wake()
    await this.#errands.stop()
  }

  /** Receipts are said before the epoch ends. Each seat tells of it. */
  epoch(base: EpochBase): void {
    // Bases of old epochs become known again when their sums are redone.
    const present = epochAt(this.#init.calendar, this.#components.clock.now())
    if (base.epoch < present || base.epoch <= this.#epoch) return
    this.#epoch = base.epoch
    for (const { accounts } of this.#stalls) accounts.epoch(base)
  }

  sold(): SoldPackets[] {
    const base = this.#base()
    if (base === undefined) return []
    const state = base.state(coverage)
    return this.#stalls.flatMap(({ voice, accounts }) => {
      const gateway = voice.index(base)
      if (gateway === undefined) return []
      return [...accounts.all()].map(({ client: server, units, unpaid }) => ({
        gateway,
        server,
        receipted: units,
        paid: boughtPackets(state, { server, gateway }),
        unpaid,
      }))
    })
  }

  /**
   * Rejects with `noBase`, `notActive`, `badSignature`, `notCovered`, `unpaid` or `busy`; nothing of
   * the request counts then but the receipt in it.
   */
  async answer(bytes: Uint8Array, from: string): Promise<Uint8Array> {
    const request = decode(PacketsRequest, bytes)
    const base = this.#base()
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    const stall = this.#stallOf(request.gateway, base)
    this.#introduce(request, from, base)
    const { accounts } = stall
    const account = accounts.admit(request.server, base)
    const { gateway: node, packets: units, signature } = request
    await accounts.sign(account, { node, units, signature }, base)
    accounts.checkCovers(account, node, base)
    const taken = take(stall, account, request.take)
    let offers = newOffers(stall, request)
    if (offers.length === 0 && request.take.length === 0) {
      await this.#hold(() => newOffers(stall, request).length > 0)
      offers = newOffers(stall, request)
    }
    return PacketsAnswer.serialize({
      packets: account.units,
      signature: account.signature,
      taken,
      offers,
    })
  }

  #offer({ offered }: Stall, { payload, at, ...packet }: SalePacket): void {
    const now = BigInt(at) * SEQUENCES_PER_MS
    this.#sequence = this.#sequence < now ? now : this.#sequence + 1n
    const offer = {
      ...packet,
      sequence: this.#sequence,
      digest: sha256(payload),
      length: payload.length,
      at: BigInt(at),
    }
    offered.push({ offer, payload })
    if (offered.length > OFFERED_MAX) offered.shift()
    this.#wake()
  }

  #stallOf(gateway: number, base: EpochBase): Stall {
    const stall = this.#stalls.find(({ voice }) => voice.index(base) === gateway)
    const entry = base.node(gateway)
    check(
      stall !== undefined && entry !== undefined && isGateway(entry),
      'notActive',
      'no such gateway is active here in this epoch',
      { facts: { gateway } },
    )
    return stall
  }

  #introduce(
    { gateway, server, introduction }: PacketsRequest,
    peer: string,
    base: EpochBase,
  ): void {
    const key = `${gateway}/${hex(server)}/${peer}`
    if (this.#introduced.has(key)) return
    const root = introductionSigningRoot({ client: server, provider: gateway, peer }, base.network)
    const signed = this.#components.verifier.ed25519(root, server, introduction)
    check(signed, 'badSignature', 'the key does not speak for this peer')
    for (const oldest of this.#introduced) {
      if (this.#introduced.size < INTRODUCED_MAX) break
      this.#introduced.delete(oldest)
    }
    this.#introduced.add(key)
  }

  /** Until there is something, or the time is over. */
  async #hold(ready: () => boolean): Promise<void> {
    const { clock } = this.#components
    const end = clock.now() + HOLD_MS
    while (!ready() && clock.now() < end && this.#held.size < HELD_MAX) {
      if (this.#errands.signal.aborted) return
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#held.add(resolve)
      const timer = clock.at(end, resolve)
      await promise
      timer.cancel()
      this.#held.delete(resolve)
    }
  }

  #wake(): void {
    for (const wake of this.#held) wake()
  }

  #base(): EpochBase | undefined {
    return presentBase(this.#components, this.#init.calendar)
  }
}

/** What is no longer there is left out, and costs nothing. */
function take(
  { accounts, offered }: Stall,
  account: Account,
  wanted: readonly bigint[],
): PacketsAnswer['taken'] {
  const found = offered.filter(({ offer }) => wanted.includes(offer.sequence))
  accounts.take(account, found.length)
  return found.map(({ offer, payload }) => ({ sequence: offer.sequence, payload }))
}

function newOffers({ offered }: Stall, request: PacketsRequest): PacketOffer[] {
  const fits = ({ offer }: { offer: PacketOffer }) =>
    offer.sequence > request.after && isWanted(offer, request)
  return offered
    .filter(fits)
    .slice(0, OFFERS_MAX)
    .map(({ offer }) => offer)
}

/** Packets, as coverage counts and pays them. */
function packetsTally(voice: Voice, verifier: Verifier): Tally {
  const boughtOf = ({ client: server, node: gateway, units: packets }: Total) => ({
    server,
    gateway,
    packets,
  })
  return {
    unpaidMax: UNPAID_PACKETS,
    claimed: (total, base) => claimedPackets(boughtOf(total), base.state(coverage)),
    isClaimable: (total, base) => isPacketClaim(boughtOf(total), base, base.state(coverage)),
    isSigned: (total, signature, { network }) =>
      isBoughtSigned(boughtOf(total), signature, network, verifier),
    fee: (units, { profile }) => feeOf(units, packetTariff(profile)),
    say: async ({ client: server, units: packets }, signature, base) => {
      const receipt = { kind: COVERAGE, server, packets, signature }
      const { receipt: type } = MessageType
      return (await voice.say<PacketReceipt>(type, PacketReceipt, base, receipt)) !== undefined
    },
  }
}
