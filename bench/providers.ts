/** A client and providers of different operators, each a libp2p node of this process on loopback. */
import { randomBytes } from 'node:crypto'
import {
  Client,
  Clients,
  type Libp2pNetwork,
  type PieceStore,
  Provider,
  pullRange,
  Spool,
  servePieces,
  signerOf,
  type Voice,
} from '@cairn/node'
import {
  type EpochBase,
  ed25519,
  MessageSet,
  PIECE_PAYLOAD_MAX,
  PUBLIC_PROFILE,
  plainVerifier,
  type RegistryEntry,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { clock, met, node, quietLog } from '../packages/node/test/network/world.ts'
import {
  baseOf,
  clientKey,
  clientSecret,
  deposit,
  EPOCH,
  nodeSecret,
  registry,
} from '../packages/protocol/test/kinds/storage/world.ts'

export interface Providers {
  /** Stores the bytes with as many providers as there are. */
  put(source: Iterable<Uint8Array>): Promise<void>
  stop(): Promise<void>
}

/** Long past what all deals of all rounds cost. */
const DEPOSIT = 10n ** 12n
const PRICE_PER_GIB = 1_000n
/** How far the present epoch has come, s: an hour is not over while this runs. */
const INTO_EPOCH_S = 60

const log = quietLog()

export async function startProviders(
  stores: readonly PieceStore[],
  cache: PieceStore,
): Promise<Providers> {
  const epochS = (PUBLIC_PROFILE.slotMs * PUBLIC_PROFILE.slotsPerEpoch) / 1_000
  const base = baseOf({
    registry: registry(stores.length),
    profile: PUBLIC_PROFILE,
    genesis: Math.floor(clock.now() / 1_000) - EPOCH * epochS - INTO_EPOCH_S,
    deposits: [deposit(1, DEPOSIT)],
  })
  const networks: Libp2pNetwork[] = []
  const providers = stores.map((pieces, index) => {
    const network = node({ secret: nodeSecret(index) })
    networks.push(network)
    servePieces(network, [pieces])
    const provider = providerOf(index, { base, network, pieces })
    provider.start()
    return provider
  })
  for (const network of networks) await network.start()
  const own = node({ bootstrap: networks.flatMap(network => network.addresses()) })
  const spool = new Spool(cache)
  servePieces(own, [spool])
  await own.start()
  for (const network of networks) await met(own, network)
  const client = new Client(
    {
      clock,
      network: own,
      spool,
      signer: { key: clientKey(1), sign: root => ed25519.sign(root, clientSecret(1)) },
      verifier: plainVerifier,
      log,
      random: length => randomBytes(length),
      epoch: () => EPOCH,
      candidates: () =>
        networks.map(({ self }, i) => ({ entry: base.node(i) as RegistryEntry, peer: self })),
      range: (peer, range, signal) => pullRange({ network: own }, { peer, range, signal }),
      holders: async () => new Map(),
      publishDeal: async () => {},
    },
    { network: base.network, profile: base.profile },
  )
  return {
    async put(source) {
      const { signal } = new AbortController()
      const shape = { data: 1, total: stores.length }
      const entries = [{ name: 'file', bytes: source }]
      await client.put(entries, { pricePerGiB: PRICE_PER_GIB, shape, signal })
    },
    async stop() {
      for (const provider of providers) await provider.stop()
      for (const network of [own, ...networks]) await network.stop()
    },
  }
}

interface Parts {
  base: EpochBase
  network: Libp2pNetwork
  pieces: PieceStore
}

function providerOf(index: number, { base, network, pieces }: Parts): Provider {
  const identity = { secret: nodeSecret(index), publicKey: ed25519.publicKey(nodeSecret(index)) }
  const view = {
    base: (epoch: number) => (epoch === base.epoch ? base : undefined),
    known: () => new MessageSet(),
  }
  return new Provider(
    {
      clock,
      network,
      voice: silentVoice(index),
      view,
      pieces,
      clients: new Clients({ store: new MemoryStore() }),
      signer: signerOf({ identity, voting: identity }),
      verifier: plainVerifier,
      log,
      need: async () => {},
      publishDeal: async () => {},
      refusalOf: () => undefined,
    },
    {
      calendar: base,
      terms: { pricePerGiB: 0n, longestDeal: 1_000, largestPiece: PIECE_PAYLOAD_MAX },
    },
  )
}

/** Taking pieces in is said to nobody but the client. */
function silentVoice(index: number): Voice {
  return {
    index: () => index,
    say: async () => undefined,
    sign: async () => {
      throw new Error('nothing is signed but deals')
    },
    relay: async () => {},
  }
}
