/** A client of `startProviders`, in their process or in another. */
import { randomBytes } from 'node:crypto'
import { Client, type PieceStore, pullRange, Spool, servePieces } from '@cairn/node'
import {
  Deal,
  decode,
  ed25519,
  type Piece,
  pieceKey,
  plainVerifier,
  type RegistryEntry,
} from '@cairn/protocol'
import { clock, node, quietLog, until } from '../packages/node/test/network/world.ts'
import { clientKey, clientSecret, EPOCH } from '../packages/protocol/test/kinds/storage/world.ts'
import { type Market, marketBase } from './market.ts'

const PRICE_PER_GIB = 1_000n

export interface MarketClient {
  /** Stores a file as k of n; resolves with its link. */
  put(source: AsyncIterable<Uint8Array>, shape: { data: number; total: number }): Promise<string>
  get(link: string): Promise<AsyncIterable<Uint8Array>>
  stop(): Promise<void>
}

export async function startClient(market: Market, cache: PieceStore): Promise<MarketClient> {
  const base = marketBase(market)
  const network = node({ bootstrap: market.addresses })
  const spool = new Spool(cache)
  servePieces(network, [spool])
  await network.start()
  await until(() => market.peers.every(peer => network.peers().includes(peer)), 'all are met')
  /** Peers by piece, as the ledger would tell them. */
  const holders = new Map<string, string[]>()
  const holdersOf = (piece: Piece) => holders.get(pieceKey(piece)) ?? []
  const client = new Client(
    {
      clock,
      network,
      spool,
      signer: { key: clientKey(1), sign: root => ed25519.sign(root, clientSecret(1)) },
      verifier: plainVerifier,
      log: quietLog(),
      random: length => randomBytes(length),
      epoch: () => EPOCH,
      candidates: () =>
        market.peers.map((peer, i) => ({ entry: base.node(i) as RegistryEntry, peer })),
      range: (peer, range, signal) => pullRange({ network }, { peer, range, signal }),
      holders: async pieces => new Map(pieces.map(piece => [pieceKey(piece), holdersOf(piece)])),
      publishDeal: async ({ body }) => {
        const { piece, provider } = decode(Deal, body)
        holders.set(pieceKey(piece), [...holdersOf(piece), market.peers[provider] as string])
      },
    },
    { network: base.network, profile: base.profile },
  )
  const { signal } = new AbortController()
  return {
    async put(source, shape) {
      const entries = [{ name: 'file', bytes: source }]
      const { files } = await client.put(entries, { pricePerGiB: PRICE_PER_GIB, shape, signal })
      return files[0]?.link as string
    },
    async get(link) {
      return (await client.open(link, { signal })).stream
    },
    stop: () => network.stop(),
  }
}
