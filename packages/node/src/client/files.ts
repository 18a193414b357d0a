/** The client in a daemon: finds providers and holders in the ledger, pays the network's price. */
import {
  encodeLink,
  type FileLink,
  hex,
  isGrant,
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
  GrantedView,
  GrantView,
  GroupView,
  PutFile,
  PutOptions,
  PutResult,
  RemovedFile,
  RepairView,
} from '../api/node-view.ts'
import type { CairnNode } from '../node.ts'
import type { Pieces } from '../pieces/pieces.ts'
import { pullRange, readRange } from '../pieces/transfer.ts'
import type { Clock, Log, Network, Store } from '../ports.ts'
import type { Signer } from '../signer.ts'
import type { FileClient } from '../view.ts'
import { type Candidate, networkOf, type Sited } from './arrange.ts'
import { Client } from './client.ts'
import { FileIndex } from './file-index.ts'
import { Grants } from './grants.ts'
import { type GroupHealth, isWhole } from './group-health.ts'
import { Kept } from './kept.ts'
import { type GroupReport, type OwnGroup, Repairs, type RepairTotals } from './repairs.ts'
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
  /** Bytes that nobody can guess. */
  random(length: number): Uint8Array
  /** What a grant leads to that is sealed for this node. */
  openGrant(text: string): Promise<FileLink>
  /** Multiaddr at which a connected peer is reached. */
  addressOf(peer: string): string | undefined
}

export interface FilesInit {
  /** Network id. */
  network: Uint8Array
  profile: Profile
}

/** Key space of what is remembered of repairs. */
const REPAIRS = 'repairs'
/** Groups that are shown one by one, and of each names of files, losses and repairs. */
const SHOWN_MAX = 1_000
const NAMES_MAX = 4
const HISTORY_MAX = 64
/** A daemon's deals last so many times the network's shortest unless they are renewed. */
const DURATION = 1_000

/** Key space of what was granted. */
const GRANTS = 'grants'

export class Files implements FileClient {
  readonly #components: FilesComponents
  readonly #init: FilesInit
  readonly #client: Client
  readonly #index: FileIndex
  readonly #kept: Kept
  readonly #repairs: Repairs
  readonly #grants: Grants

  constructor(components: FilesComponents, init: FilesInit) {
    this.#components = components
    this.#init = init
    const { clock, network, spool, signer, verifier, log, node } = components
    this.#index = new FileIndex(components)
    this.#kept = new Kept(components)
    this.#grants = new Grants({
      clock: components.clock,
      store: components.store.sublevel(GRANTS),
      nameOf: link => this.#index.nameOf(link),
    })
    this.#client = new Client(
      {
        clock,
        network,
        spool,
        signer: { key: signer.identity, sign: signer.signIdentity },
        verifier,
        log,
        random: components.random,
        epoch: () => node.epochs.now(),
        candidates: () => this.#candidates(),
        range: (peer, range, signal) => this.#range(peer, range, signal),
        holders: pieces => this.#kept.holders(pieces),
        publishDeal: envelope => node.publishDeal(envelope),
      },
      init,
    )
    this.#repairs = new Repairs(
      {
        clock,
        log,
        store: components.store.sublevel(REPAIRS),
        client: this.#client,
        groups: () => this.#groups(),
        look: () => this.#kept.present(signer.identity),
        providerAt: index => this.#providerAt(index),
      },
      { terms: this.#terms() },
    )
  }

  /** Repairs from now on whenever a checkpoint shows that something is missing. */
  start(): void {
    const { node, signer } = this.#components
    node.checkpointer.onAdopted(adopted => {
      this.#repairs.adopted(adopted.accepted.epoch, () =>
        this.#kept.ended(signer.identity, adopted),
      )
    })
  }

  async stop(): Promise<void> {
    await this.#repairs.stop()
  }

  async put(
    files: Iterable<PutFile> | AsyncIterable<PutFile>,
    { shape, signal }: PutOptions,
  ): Promise<PutResult> {
    const stored = await this.#client.put(files, {
      ...this.#terms(),
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
    const opened = isGrant(link) ? encodeLink(await this.#components.openGrant(link)) : link
    return await this.#client.open(opened, { ...range, signal })
  }

  async grant(link: string, peerId: string, options: { again: boolean }): Promise<GrantedView> {
    return await this.#grants.grant(link, peerId, options)
  }

  async revoke(link: string, peerId: string): Promise<GrantView> {
    return await this.#grants.revoke(link, peerId)
  }

  async grants(): Promise<GrantView[]> {
    return await this.#grants.list()
  }

  async list(): Promise<FileView[]> {
    const uploads = await this.#index.list()
    const reports = Map.groupBy(await this.#repairs.reports(), ({ of }) => of)
    return uploads.flatMap(upload => {
      const manifest = pieceCid(upload.manifest)
      const health = healthOf(reports.get(manifest) ?? [])
      return upload.files.map(({ name, bytes, link }) => ({
        name,
        link,
        bytes,
        k: upload.shape.data,
        n: upload.shape.total,
        createdAt: upload.createdAt,
        manifest,
        ...health,
      }))
    })
  }

  /** Repairs what is due, or only shows what would be. */
  async repairs(link: string | undefined, { now }: { now: boolean }): Promise<RepairView> {
    const uploads = await this.#index.list()
    const only = link === undefined ? undefined : await this.#manifestOf(link)
    const all = now ? await this.#repairs.run() : await this.#repairs.reports()
    const reports = all.filter(({ of }) => only === undefined || of === only)
    const names = new Map(
      uploads.map(({ manifest, files }) => [pieceCid(manifest), files.map(({ name }) => name)]),
    )
    const shown = reports.filter(({ health, repairs }) => !isWhole(health) || repairs.length > 0)
    return {
      groups: reports.length,
      whole: reports.filter(({ health }) => isWhole(health)).length,
      repaired: this.#repairs.totals.repaired,
      shown: shown.slice(0, SHOWN_MAX).map(report => groupView(report, names.get(report.of) ?? [])),
      more: Math.max(0, shown.length - SHOWN_MAX),
    }
  }

  /** How the last run of repairs left all groups. */
  get totals(): RepairTotals {
    return this.#repairs.totals
  }

  /** Called after each run of repairs. */
  onRun(listener: (totals: RepairTotals) => void): void {
    this.#repairs.onRun(listener)
  }

  async remove(link: string): Promise<RemovedFile> {
    const { file } = await this.#index.remove(link)
    return { name: file.name, link: file.link, bytes: file.bytes }
  }

  #terms() {
    const { storagePrice, minDealEpochs } = this.#init.profile
    return { epochs: minDealEpochs * DURATION, pricePerGiB: storagePrice }
  }

  async *#groups(): AsyncGenerator<OwnGroup> {
    for (const upload of await this.#index.list()) {
      const of = pieceCid(upload.manifest)
      for (const group of await this.#index.groups(upload)) yield { ...group, of }
    }
  }

  /** Throws `badLink` and `notListed`. */
  async #manifestOf(link: string): Promise<string> {
    return pieceCid((await this.#index.find(link)).manifest)
  }

  #providerAt(index: number): Sited | undefined {
    const { peerOf, addressOf } = this.#components
    const entry = this.#kept.base()?.node(index)
    if (entry === undefined) return undefined
    const network = networkOf(addressOf(peerOf(entry)) ?? '')
    return { entry, ...(network === undefined ? {} : { network }) }
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

/** Of an upload's groups the one that has the fewest places left, and how many manifests there are. */
function healthOf(
  reports: readonly GroupReport[],
): Pick<FileView, 'shards' | 'manifests' | 'repairing'> {
  const manifest = reports.find(({ isManifest }) => isManifest)
  const shards = reports.filter(({ isManifest }) => !isManifest).map(({ health }) => kept(health))
  return {
    shards: shards.length === 0 ? undefined : Math.min(...shards),
    manifests: manifest === undefined ? 0 : kept(manifest.health),
    repairing: reports.some(({ underWay }) => underWay),
  }
}

/** Places under a deal that nobody disputes, or that is on its way into a checkpoint. */
function kept({ counts: { live, coming } }: GroupHealth): number {
  return live + coming
}

function groupView(
  { id, health, data, isManifest, isLost, underWay, losses, repairs, error }: GroupReport,
  files: readonly string[],
): GroupView {
  return {
    group: id,
    files: files.slice(0, NAMES_MAX),
    isManifest,
    k: data,
    n: health.places.length,
    ...health.counts,
    threshold: health.threshold,
    repairing: underWay,
    lost: isLost,
    losses: losses.slice(-HISTORY_MAX),
    repairs: repairs.slice(-HISTORY_MAX),
    ...(error === undefined
      ? {}
      : { error: error.code, ...(error.next === undefined ? {} : { next: error.next }) }),
  }
}
