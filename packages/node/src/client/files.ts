/** The client in a daemon: finds providers and holders in the ledger, pays the network's price. */
import { randomBytes } from 'node:crypto'
import {
  type Deal,
  type EpochBase,
  hex,
  MessageType,
  offersStorage,
  type Piece,
  type Profile,
  pieceCid,
  pieceKey,
  type RegistryEntry,
  type StorageState,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import type { Content, PutOptions, PutResult } from '../api/node-view.ts'
import type { CairnNode } from '../node.ts'
import type { Pieces } from '../pieces/pieces.ts'
import type { Clock, Log, Network } from '../ports.ts'
import type { Signer } from '../signer.ts'
import type { FileClient } from '../view.ts'
import { Client } from './client.ts'
import type { Candidate } from './placement.ts'

export interface FilesComponents {
  node: CairnNode
  network: Network
  clock: Clock
  cache: Pieces
  /** What this node keeps as a provider. */
  shelf?: Pieces
  signer: Signer
  verifier: Verifier
  log: Log
  peerOf(entry: RegistryEntry): string
}

export interface FilesInit {
  /** Network id. */
  network: Uint8Array
  profile: Profile
}

/** A daemon's deals last so many times the network's shortest unless they are renewed. */
const DURATION = 1_000

export class Files implements FileClient {
  readonly #components: FilesComponents
  readonly #init: FilesInit
  readonly #client: Client

  constructor(components: FilesComponents, init: FilesInit) {
    this.#components = components
    this.#init = init
    const { clock, network, cache, shelf, signer, verifier, log, node } = components
    this.#client = new Client(
      {
        clock,
        network,
        cache,
        ...(shelf === undefined ? {} : { shelf }),
        signer: { key: signer.identity, sign: signer.signIdentity },
        verifier,
        log,
        random: length => randomBytes(length),
        epoch: () => node.epochs.now(),
        candidates: () => this.#candidates(),
        holders: piece => this.#holders(piece),
        publishDeal: envelope => node.publishDeal(envelope),
      },
      init,
    )
  }

  async put(
    bytes: AsyncIterable<Uint8Array>,
    { copies, pieceSize, signal }: PutOptions,
  ): Promise<PutResult> {
    const { storagePrice, minDealEpochs } = this.#init.profile
    const put = await this.#client.put(bytes, {
      copies,
      epochs: minDealEpochs * DURATION,
      pricePerGiB: storagePrice,
      signal,
      ...(pieceSize === undefined ? {} : { pieceBytes: pieceSize }),
    })
    return { link: put.link, pieces: put.pieces.map(pieceCid), bytes: put.bytes }
  }

  async get(link: string, signal: AbortSignal): Promise<Content> {
    return await this.#client.open(link, { signal })
  }

  /** Providers of the present base that are connected, other operators' first. */
  #candidates(): Candidate[] {
    const { network, signer, peerOf } = this.#components
    const base = this.#base()
    if (base === undefined) return []
    const connected = new Set(network.peers())
    const own = base.nodes.find(entry => hex(entry.identity) === hex(signer.identity))
    return base.nodes
      .filter(entry => offersStorage(entry) && entry !== own)
      .filter(entry => own === undefined || hex(entry.operator) !== hex(own.operator))
      .map(entry => ({ entry, peer: peerOf(entry) }))
      .filter(({ peer }) => connected.has(peer))
  }

  /** Providers whose live or pending deals name the piece. */
  async #holders(piece: Piece): Promise<string[]> {
    const { node, peerOf } = this.#components
    const parent = await node.settlements.accepted(node.checkpointer.adopted)
    const carried = parent?.state.of<StorageState>(storageKind).deals ?? []
    const pending = node.ingest.pendingStanding<Deal>(MessageType.deal).map(({ value }) => value)
    const providers = new Set(
      [...carried, ...pending]
        .filter(deal => pieceKey(deal.piece) === pieceKey(piece))
        .map(({ provider }) => provider),
    )
    const base = this.#base()
    return [...providers].flatMap(index => {
      const entry = base?.node(index)
      return entry === undefined ? [] : [peerOf(entry)]
    })
  }

  #base(): EpochBase | undefined {
    const { epochs } = this.#components.node
    const now = epochs.now()
    return epochs.base(now) ?? epochs.base(now - 1)
  }
}
