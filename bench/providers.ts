/** Providers of different operators, each a libp2p node of this process on loopback. */
import {
  Clients,
  type Libp2pNetwork,
  type PieceStore,
  Provider,
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
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { clock, node, quietLog } from '../packages/node/test/network/world.ts'
import { EPOCH, nodeSecret } from '../packages/protocol/test/kinds/storage/world.ts'
import { type Market, marketBase } from './market.ts'

export interface Providers {
  readonly market: Market
  stop(): Promise<void>
}

/** How far the present epoch has come, s: an hour is not over while this runs. */
const INTO_EPOCH_S = 60

const log = quietLog()

export async function startProviders(stores: readonly PieceStore[]): Promise<Providers> {
  const epochS = (PUBLIC_PROFILE.slotMs * PUBLIC_PROFILE.slotsPerEpoch) / 1_000
  const genesis = Math.floor(clock.now() / 1_000) - EPOCH * epochS - INTO_EPOCH_S
  const base = marketBase({ providers: stores.length, genesis })
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
  return {
    market: {
      providers: stores.length,
      genesis,
      addresses: networks.flatMap(network => network.addresses()),
      peers: networks.map(({ self }) => self),
    },
    async stop() {
      for (const provider of providers) await provider.stop()
      for (const network of networks) await network.stop()
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
