/** Values for the tests of this kind: registry entries and epochs of plain, unsigned nodes. */
import {
  COVERAGE,
  type EpochBase,
  type EpochBaseInit,
  emptyState,
  epochBase,
  NonceChain,
  type RegistryEntry,
  TESTNET_PROFILE,
  TOKEN,
} from '@cairn/protocol'

const NETWORK = new Uint8Array(32).fill(9)
export const GENESIS = 1_700_000_000

/** 32 bytes that differ by number. */
export function bytes32(number: number, fill = 0): Uint8Array {
  const bytes = new Uint8Array(32).fill(fill)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

const chains = new Map<number, NonceChain>()

/** The chain of a node's number; made once, since it takes thousands of hashes. */
export function chainOf(index: number): NonceChain {
  const known = chains.get(index)
  if (known !== undefined) return known
  const [secret, identity] = [bytes32(index, 1), bytes32(index, 2)]
  const chain = new NonceChain({ secret, network: NETWORK, identity })
  chains.set(index, chain)
  return chain
}

export function entryOf(index: number, change: Partial<RegistryEntry> = {}): RegistryEntry {
  return {
    index,
    operator: bytes32(index, 3).slice(0, 20),
    payout: bytes32(index, 4).slice(0, 20),
    identity: bytes32(index, 2),
    voting: new Uint8Array(48).fill(index),
    cell: 0x8c1126c4a2d1dffn,
    region: 0,
    subBand: 0,
    gain: 20,
    kinds: 1 << COVERAGE,
    nonceEnd: bytes32(index, 5),
    bond: 100n * TOKEN,
    registeredAt: GENESIS - 1,
    exitAt: 0,
    ...change,
  }
}

export function baseOf(init: Partial<EpochBaseInit> = {}): EpochBase {
  return epochBase({
    epoch: 4,
    network: NETWORK,
    profile: TESTNET_PROFILE,
    genesis: GENESIS,
    block: { number: 1n, hash: bytes32(1, 6) },
    seed: bytes32(4, 7),
    earlierSeeds: new Map(),
    registry: [],
    deposits: [],
    state: emptyState([]),
    stateEpoch: -1,
    ...init,
  })
}
