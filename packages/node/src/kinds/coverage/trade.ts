/**
 * What a network server and a gateway say to each other about packets (`packets`). In one request the
 * server signs how many it got, all told, takes some that were offered to it, and asks for offers
 * newer than the last it knows; the gateway hands those over and offers more, or waits for one.
 */
import {
  ByteListType,
  Bytes32,
  Bytes64,
  ContainerType,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  type ValueOf,
} from '@cairn/protocol'
import { ListBasicType, ListCompositeType } from '@chainsafe/ssz'

export const PACKETS_PROTOCOL = 'packets'

/** Packets that a gateway hands over and no receipt covers: what it may lose to one server. */
export const UNPAID_PACKETS = 32
/** Offers of one answer. */
export const OFFERS_MAX = 64

/** Prefixes that one server asks for. */
export const FILTERS_MAX = 16
/** A gateway without a new offer answers after this time, ms. */
export const HOLD_MS = 10_000

/** The first `bits` of an address of 32 bits. */
export const AddressFilter = new ContainerType(
  { address: Uint32, bits: Uint8 },
  { typeName: 'AddressFilter' },
)
export type AddressFilter = ValueOf<typeof AddressFilter>

/** A packet without its content. */
export const PacketOffer = new ContainerType(
  {
    /** Ascending; what was offered before a restart is lower. */
    sequence: Uint64,
    /** SHA-256 of the PHYPayload: equal for a packet that several gateways heard. */
    digest: Bytes32,
    /** LoRaWAN MType. */
    type: Uint8,
    /** DevAddr of data, JoinEUI of a join request, else 0. */
    address: Uint64,
    /** Bytes of its content. */
    length: Uint8,
    /** Hz. */
    frequency: Uint32,
    /** 0 for FSK. */
    spreadingFactor: Uint8,
    /** kHz. */
    bandwidth: Uint16,
    /** Levels as in a report: 0.1 dBm, 0.1 dB or absent. */
    rssi: Uint16,
    snr: Uint16,
    /** When it was heard by the gateway's clock, ms since 1970. */
    at: Uint64,
  },
  { typeName: 'PacketOffer' },
)
export type PacketOffer = ValueOf<typeof PacketOffer>

export const PacketsRequest = new ContainerType(
  {
    gateway: Uint32,
    /** Ed25519 deal key, whose deposit pays. */
    server: Bytes32,
    /** The server's, of `Introduction`. */
    introduction: Bytes64,
    /** Got from this gateway under this key since the beginning. */
    packets: Uint64,
    /** The server's, of `Bought`. */
    signature: Bytes64,
    /** The last offer that it knows; 0: none. */
    after: Uint64,
    /** Without one: every address. */
    filters: new ListCompositeType(AddressFilter, FILTERS_MAX),
    /** 1: join and rejoin requests too. */
    joins: Uint8,
    take: new ListBasicType(Uint64, UNPAID_PACKETS),
  },
  { typeName: 'PacketsRequest' },
)
export type PacketsRequest = ValueOf<typeof PacketsRequest>

const TakenPacket = new ContainerType(
  { sequence: Uint64, payload: new ByteListType(255) },
  { typeName: 'TakenPacket' },
)

export const PacketsAnswer = new ContainerType(
  {
    /** The latest receipt that the gateway holds; all zero before the first. */
    packets: Uint64,
    signature: Bytes64,
    taken: new ListCompositeType(TakenPacket, UNPAID_PACKETS),
    offers: new ListCompositeType(PacketOffer, OFFERS_MAX),
  },
  { typeName: 'PacketsAnswer' },
)
export type PacketsAnswer = ValueOf<typeof PacketsAnswer>

/** Join and rejoin requests are asked for apart: they have no DevAddr. */
export function isWanted(
  offer: Pick<PacketOffer, 'type' | 'address'>,
  { filters, joins }: Pick<PacketsRequest, 'filters' | 'joins'>,
): boolean {
  const isData = offer.type === 2 || offer.type === 4
  if (!isData) return joins === 1
  return filters.length === 0 || filters.some(filter => holds(filter, Number(offer.address)))
}

function holds({ address, bits }: AddressFilter, found: number): boolean {
  if (bits === 0) return true
  const shift = 32 - Math.min(bits, 32)
  return address >>> shift === found >>> shift
}
