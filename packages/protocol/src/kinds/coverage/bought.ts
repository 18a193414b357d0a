/**
 * Receipts for packets bought. What a network server's key signs is cumulative, as of bytes
 * delivered: all packets that one gateway has handed over to it so far. The gateway says it in the
 * epoch in which it wants to be paid: at most once per server and epoch. What was merely heard
 * counts nothing.
 */
import { ed25519, sha256 } from '#crypto'
import { DomainType, MessageType, signingRoot } from '../../domain.ts'
import type { EpochBase, Fee, MessageRule, SettleInput } from '../../kind.ts'
import { epochFields } from '../../messages.ts'
import type { Profile } from '../../profile.ts'
import { feeOf, inOrder, payClaims, type Tariff } from '../../settle/claims.ts'
import { Bytes32, Bytes64, ContainerType, hex, Uint32, Uint64, type ValueOf } from '../../ssz.ts'
import type { Verifier } from '../../verifier.ts'
import { COVERAGE, isGateway } from './draw.ts'
import type { CoverageState } from './state.ts'

/** What the server signs, and what settlement carries as paid. */
export const Bought = new ContainerType(
  {
    /** Ed25519 deal key, whose deposit pays. */
    server: Bytes32,
    /** Node index. */
    gateway: Uint32,
    /** Handed over by this gateway to this key since the beginning. */
    packets: Uint64,
  },
  { typeName: 'Bought' },
)
export type Bought = ValueOf<typeof Bought>

/** The author is the gateway. */
export const PacketReceipt = new ContainerType(
  {
    ...epochFields,
    server: Bytes32,
    packets: Uint64,
    /** The server's, of `Bought`. */
    signature: Bytes64,
  },
  { typeName: 'PacketReceipt' },
)
export type PacketReceipt = ValueOf<typeof PacketReceipt>

/** The 32 bytes that the server's key signs. */
export function boughtSigningRoot(bought: Bought, network: Uint8Array): Uint8Array {
  return signingRoot(DomainType.bought, network, sha256(Bought.serialize(bought)))
}

export function isBoughtSigned(
  bought: Bought,
  signature: Uint8Array,
  network: Uint8Array,
  verifier: Verifier,
): boolean {
  const root = boughtSigningRoot(bought, network)
  return verifier.ed25519(root, bought.server, signature) && ed25519.isValidKey(bought.server)
}

/** What packets cost. */
export function packetTariff({ packetPrice }: Pick<Profile, 'packetPrice'>): Tariff {
  return { price: packetPrice, per: 1n }
}

/** What a receipt claims beyond what the state has counted; not positive: nothing. */
export function claimedPackets(
  { server, gateway, packets }: Bought,
  state: Pick<CoverageState, 'bought'>,
): bigint {
  return packets - boughtPackets(state, { server, gateway })
}

/** Packets that a server has paid a gateway for. */
export function boughtPackets(
  state: Pick<CoverageState, 'bought'>,
  of: Pick<Bought, 'server' | 'gateway'>,
): bigint {
  return countersOf(state).get(keyOf(of))?.packets ?? 0n
}

/** `stateAt`: the carried state at the base, where the packets stand that were paid. */
export function packetReceiptRule(
  stateAt: (base: EpochBase) => CoverageState,
): MessageRule<PacketReceipt> {
  return {
    type: MessageType.receipt,
    codec: PacketReceipt,
    subject: ({ server }) => hex(server),
    duty: ({ author, server, packets }, base) => {
      const bought = { server, gateway: author, packets }
      return isPacketClaim(bought, base, stateAt(base)) ? 'yes' : 'no'
    },
    window: (_, { profile }) => [0, profile.slotsPerEpoch - 1],
    verify: ({ author, server, packets, signature }, base, verifier) =>
      isBoughtSigned({ server, gateway: author, packets }, signature, base.network, verifier),
  }
}

/** More than nothing, of a gateway, and covered by what the server's deposit has left at the base. */
export function isPacketClaim(bought: Bought, base: EpochBase, state: CoverageState): boolean {
  const entry = base.node(bought.gateway)
  if (entry === undefined || !isGateway(entry)) return false
  const claimed = claimedPackets(bought, state)
  if (claimed <= 0n) return false
  return feeOf(claimed, packetTariff(base.profile)) <= base.available(hex(bought.server))
}

export interface BoughtSettlement {
  readonly fees: readonly Fee[]
  /** The counters carried on, in order of server and gateway. */
  readonly bought: readonly Bought[]
  /** Packets paid in this epoch, by gateway. */
  readonly packets: ReadonlyMap<number, bigint>
}

/** In order of server and gateway, as far as what is left of the deposits pays them. */
export function settleBought({
  state,
  base,
  messages,
  available,
}: SettleInput<CoverageState>): BoughtSettlement {
  const receipts = messages.ofType<PacketReceipt>(MessageType.receipt, COVERAGE)
  const claims = receipts.map(({ value: { author: gateway, server, packets } }) => ({
    client: server,
    node: gateway,
    units: claimedPackets({ server, gateway, packets }, state),
  }))
  const { fees, paid } = payClaims(claims, { tariff: packetTariff(base.profile), available })
  const counters = new Map(countersOf(state))
  const packets = new Map<number, bigint>()
  for (const { client: server, node: gateway, units } of paid) {
    const key = keyOf({ server, gateway })
    counters.set(key, { server, gateway, packets: (counters.get(key)?.packets ?? 0n) + units })
    packets.set(gateway, (packets.get(gateway) ?? 0n) + units)
  }
  const bought = [...counters.values()].sort((a, b) => inOrder(claimOf(a), claimOf(b)))
  return { fees, bought, packets }
}

const known = new WeakMap<readonly Bought[], ReadonlyMap<string, Bought>>()

/** By server and gateway; states are immutable. */
function countersOf({ bought }: Pick<CoverageState, 'bought'>): ReadonlyMap<string, Bought> {
  let counters = known.get(bought)
  if (counters === undefined) {
    counters = new Map(bought.map(counter => [keyOf(counter), counter]))
    known.set(bought, counters)
  }
  return counters
}

function keyOf({ server, gateway }: Pick<Bought, 'server' | 'gateway'>): string {
  return `${hex(server)}/${gateway}`
}

function claimOf({ server, gateway }: Bought) {
  return { client: server, node: gateway }
}
