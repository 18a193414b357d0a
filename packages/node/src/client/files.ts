/** The client in a daemon: finds providers and holders in the ledger, pays the network's price. */
import { randomBytes } from 'node:crypto'
import {
  groupId,
  hex,
  manifestGroupId,
  maskKey,
  offersStorage,
  type PieceRange,
  type Profile,
  pieceCid,
  type RegistryEntry,
  type Verifier,
} from '@cairn/protocol'
import type {
  Content,
  ContentRange,
  FileView,
  PutFile,
  PutOptions,
  PutResult,
  RemovedFile,
} from '../api/node-view.ts'
import type { CairnNode } from '../node.ts'
import type { Pieces } from '../pieces/pieces.ts'
import { pullRange, readRange } from '../pieces/transfer.ts'
import type { Clock, Log, Network, Store } from '../ports.ts'
import type { Signer } from '../signer.ts'
import type { FileClient } from '../view.ts'
import { type Candidate, networkOf } from './arrange.ts'
import { Client } from './client.ts'
import { FileIndex, type Indexed } from './file-index.ts'
import { Kept } from './kept.ts'
import type { Spool } from './spool.ts'

export interface FilesComponents {
  node: CairnNode
  network: Network
  clock: Clock
  /** For the client's own list. */
  store: Store
  spool: Spool
  /** What this node keeps as a provider. */
  shelf?: Pieces
  signer: Signer
  verifier: Verifier
  log: Log
  peerOf(entry: RegistryEntry): string
  /** Multiaddr at which a connected peer is reached. */
  addressOf(peer: string): string | undefined
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
  readonly #index: FileIndex
  readonly #kept: Kept

  constructor(components: FilesComponents, init: FilesInit) {
    this.#components = components
    this.#init = init
    const { clock, network, spool, signer, verifier, log, node } = components
    this.#index = new FileIndex(components)
    this.#kept = new Kept(components)
    this.#client = new Client(
      {
        clock,
        network,
        spool,
        signer: { key: signer.identity, sign: signer.signIdentity },
        verifier,
        log,
        random: length => randomBytes(length),
        epoch: () => node.epochs.now(),
        candidates: () => this.#candidates(),
        range: (peer, range, signal) => this.#range(peer, range, signal),
        holders: pieces => this.#kept.holders(pieces),
        publishDeal: envelope => node.publishDeal(envelope),
      },
      init,
    )
  }

  async put(
    files: Iterable<PutFile> | AsyncIterable<PutFile>,
    { shape, signal }: PutOptions,
  ): Promise<PutResult> {
    const { storagePrice, minDealEpochs } = this.#init.profile
    const stored = await this.#client.put(files, {
      epochs: minDealEpochs * DURATION,
      pricePerGiB: storagePrice,
      signal,
      ...(shape === undefined ? {} : { shape }),
    })
    await this.#index.add(stored, this.#components.clock.now())
    return {
      files: stored.files,
      pieces: stored.map.groups.flat().map(pieceCid),
      bytes: stored.files.reduce((sum, { bytes }) => sum + bytes, 0),
      k: stored.shape.data,
      n: stored.shape.total,
      refusals: stored.refusals,
    }
  }

  async get(link: string, range: ContentRange, signal: AbortSignal): Promise<Content> {
    return await this.#client.open(link, { ...range, signal })
  }

  async list(): Promise<FileView[]> {
    const places = await this.#kept.places(this.#components.signer.identity)
    const uploads = await this.#index.list()
    return uploads.flatMap(upload => {
      const health = healthOf(upload, places)
      return upload.files.map(({ name, bytes, link }) => ({
        name,
        link,
        bytes,
        k: upload.shape.data,
        n: upload.shape.total,
        createdAt: upload.createdAt,
        manifest: pieceCid(upload.manifest),
        ...health,
      }))
    })
  }

  async remove(link: string): Promise<RemovedFile> {
    const { file } = await this.#index.remove(link)
    return { name: file.name, link: file.link, bytes: file.bytes }
  }

  /** Connected providers of other operators in the present base. */
  #candidates(): Candidate[] {
    const { network, signer, peerOf, addressOf } = this.#components
    const base = this.#kept.base()
    if (base === undefined) return []
    const connected = new Set(network.peers())
    const scores = this.#kept.scores()
    const own = base.nodes.find(entry => hex(entry.identity) === hex(signer.identity))
    return base.nodes
      .filter(entry => offersStorage(entry) && entry !== own)
      .filter(entry => own === undefined || hex(entry.operator) !== hex(own.operator))
      .map(entry => ({ entry, peer: peerOf(entry) }))
      .filter(({ peer }) => connected.has(peer))
      .map(({ entry, peer }) => {
        const prefix = networkOf(addressOf(peer) ?? '')
        const score = scores.get(entry.index)
        return {
          entry,
          peer,
          ...(prefix === undefined ? {} : { network: prefix }),
          ...(score === undefined ? {} : { score }),
        }
      })
  }

  /** What this node keeps itself is read from there. */
  async #range(peer: string, range: PieceRange, signal: AbortSignal): Promise<Uint8Array> {
    const { network, shelf } = this.#components
    if (peer === network.self && shelf !== undefined) return await readRange(shelf, range)
    return await pullRange({ network }, { peer, range, signal })
  }
}

/** Of an upload's groups the one with the fewest shards, and how many copies of its manifest there are. */
function healthOf(
  { key, groups }: Indexed,
  places: ReadonlyMap<string, ReadonlySet<number>>,
): { shards: number | undefined; manifests: number } {
  const mask = maskKey(key)
  const countOf = (id: Uint8Array) => places.get(hex(id))?.size ?? 0
  const counts = Array.from({ length: groups }, (_, group) => countOf(groupId(mask, group)))
  return {
    shards: counts.length === 0 ? undefined : Math.min(...counts),
    manifests: countOf(manifestGroupId(mask)),
  }
}
