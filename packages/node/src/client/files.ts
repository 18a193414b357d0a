/** The client in a daemon: finds providers and holders in the ledger, pays the network's price. */
import {
  check,
  DELEGATES_MAX,
  type Delegation,
  delegateOperators,
  delegationOf,
  type EpochBase,
  encodeLink,
  type FileLink,
  hex,
  isGrant,
  offersStorage,
  type PieceRange,
  type Profile,
  pieceCid,
  type RegistryEntry,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import type {
  Content,
  ContentRange,
  DelegatedView,
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
import { Errands } from '../kinds/errands.ts'
import type { Unwanted } from '../kinds/storage/unwanted.ts'
import type { CairnNode } from '../node.ts'
import type { Pieces } from '../pieces/pieces.ts'
import { pullRange, readRange } from '../pieces/transfer.ts'
import type { Clock, Log, Network, Store } from '../ports.ts'
import type { Signer } from '../signer.ts'
import type { FileClient } from '../view.ts'
import { type Candidate, networkOf, type Sited } from './arrange.ts'
import { Client } from './client.ts'
import { Delegates } from './delegates.ts'
import { Entrusted } from './entrusted.ts'
import { FileIndex } from './file-index.ts'
import { Grants } from './grants.ts'
import { dealsByGroup, type GroupHealth, isWhole } from './group-health.ts'
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
  unwanted: Pick<Unwanted, 'storing' | 'keep' | 'drop' | 'has' | 'cutOff'>
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
  /** Base units for a GiB and epoch, paid where a provider asks for more than `storagePrice`. */
  maxPrice?: bigint
}

/** Key spaces of what is remembered of repairs, of one's own groups and of others'. */
const REPAIRS = 'repairs'
const REPAIRS_FOR_OTHERS = 'repairs-for-others'
/** Key spaces of delegates that were named, and of groups that this node may repair. */
const DELEGATES = 'delegates'
const ENTRUSTED = 'entrusted'
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
  readonly #repairsForOthers: Repairs
  readonly #delegates: Delegates
  readonly #entrusted: Entrusted
  readonly #grants: Grants
  readonly #errands: Errands
  /** One at a time: the last file of an upload takes its deals with it. */
  #removing: Promise<void> = Promise.resolve()

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
    this.#errands = new Errands(components)
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
    const base = () => this.#kept.base()
    this.#delegates = new Delegates({
      ...components,
      store: components.store.sublevel(DELEGATES),
      base,
      publish: envelope => node.publishDeal(envelope),
    })
    this.#entrusted = new Entrusted({
      ...components,
      store: components.store.sublevel(ENTRUSTED),
      base,
    })
    const repairing = {
      clock,
      log,
      client: this.#client,
      look: () => this.#kept.present(signer.identity),
      providerAt: (index: number) => this.#providerAt(index),
    }
    this.#repairs = new Repairs(
      {
        ...repairing,
        store: components.store.sublevel(REPAIRS),
        groups: () => this.#groups(),
        isWanted: group => !components.unwanted.has(group),
      },
      { terms: this.#terms() },
    )
    this.#repairsForOthers = new Repairs(
      {
        ...repairing,
        store: components.store.sublevel(REPAIRS_FOR_OTHERS),
        groups: () => this.#entrusted.groups(),
        isWanted: () => true,
      },
      { terms: this.#terms() },
    )
  }

  /** Repairs from now on whenever a checkpoint shows that something is missing. */
  start(): void {
    const { node, signer, unwanted } = this.#components
    this.#entrusted.start()
    node.checkpointer.onAdopted(adopted => {
      const base = this.#kept.base()
      if (base !== undefined) this.#delegates.epoch(base)
      this.#repairsForOthers.adopted(adopted.accepted.epoch, async () => [])
      if (unwanted.cutOff.length > 0) this.#errands.run(() => this.#clear())
      this.#repairs.adopted(adopted.accepted.epoch, () =>
        this.#kept.ended(signer.identity, adopted),
      )
    })
  }

  async stop(): Promise<void> {
    await this.#repairs.stop()
    await this.#repairsForOthers.stop()
    await this.#delegates.stop()
    await this.#errands.stop()
  }

  async put(
    files: Iterable<PutFile> | AsyncIterable<PutFile>,
    { shape, signal }: PutOptions,
  ): Promise<PutResult> {
    const { unwanted, clock } = this.#components
    const groups: Uint8Array[] = []
    const storing = async (group: Uint8Array) => {
      groups.push(group)
      await unwanted.storing(group)
    }
    const stored = await this.#client
      .put(files, { ...this.#terms(), storing, signal, ...(shape === undefined ? {} : { shape }) })
      .catch(async (error: unknown) => {
        if (groups.length > 0) await unwanted.drop(groups)
        throw error
      })
    await this.#index.add(stored, clock.now())
    await unwanted.keep(groups)
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
      repairedForOthers: this.#repairsForOthers.totals.repaired,
      shown: shown
        .slice(0, SHOWN_MAX)
        .map(report => groupView(report, names.get(report.of) ?? [], this.#delegatesOf(report.id))),
      more: Math.max(0, shown.length - SHOWN_MAX),
    }
  }

  #delegatesOf(group: Uint8Array): number[] {
    const base = this.#kept.base()
    return [...((base && this.#delegation(group, base))?.delegates ?? [])]
  }

  /** How the last run of repairs left all groups. */
  get totals(): RepairTotals {
    return this.#repairs.totals
  }

  /** Called after each run of repairs. */
  onRun(listener: (totals: RepairTotals) => void): void {
    this.#repairs.onRun(listener)
  }

  /**
   * Names the nodes that may repair a file's groups while this one is away, those of its whole pack
   * included. Throws `badLink`, `notListed`, `noBase`, `badDelegates`.
   */
  async delegate(link: string, delegates: readonly number[]): Promise<DelegatedView> {
    const { signer } = this.#components
    const upload = await this.#index.find(link)
    const base = this.#kept.base()
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    const entries = delegates.map(index => base.node(index))
    const isSound =
      new Set(delegates).size === delegates.length &&
      delegates.length <= DELEGATES_MAX &&
      entries.every(entry => entry !== undefined && hex(entry.identity) !== hex(signer.identity))
    check(
      isSound,
      'badDelegates',
      `expected up to ${DELEGATES_MAX} other active nodes, once each`,
      {
        facts: { delegates: delegates.join(', '), max: DELEGATES_MAX },
        next: 'see the node indices of `cairn peers`',
      },
    )
    const groups = await this.#index.groups(upload)
    await this.#delegates.name(groups, delegates)
    return { groups: groups.length, delegates: [...delegates] }
  }

  /** With the last file of an upload its deals end. Throws `badLink` and `notListed`. */
  async remove(link: string): Promise<RemovedFile> {
    const removed = this.#removing.then(() => this.#remove(link))
    this.#removing = removed.then(
      () => undefined,
      () => undefined,
    )
    return await removed
  }

  async #remove(link: string): Promise<RemovedFile> {
    const { unwanted, signer } = this.#components
    const upload = await this.#index.find(link)
    const groups = upload.files.length === 1 ? await this.#index.groups(upload) : []
    const ids = groups.map(({ id }) => id)
    const present = await this.#kept.present(signer.identity)
    const deals = present && dealsByGroup(present)
    // First what costs money: a file that is still listed can be removed again.
    if (ids.length > 0) {
      await this.#delegates.revoke(groups)
      await unwanted.drop(ids)
    }
    const { file, upload: left } = await this.#index.remove(link)
    return {
      name: file.name,
      link: file.link,
      bytes: file.bytes,
      ending: ids.reduce((sum, id) => sum + (deals?.get(hex(id))?.length ?? 0), 0),
      others: left.files.length,
    }
  }

  /** Of uploads that a crash cut off what was listed before it is kept, and the rest ended. */
  async #clear(): Promise<void> {
    const { unwanted } = this.#components
    const listed = new Set<string>()
    for (const upload of await this.#index.list()) {
      for (const { id } of await this.#index.groups(upload)) listed.add(hex(id))
    }
    const { cutOff } = unwanted
    await unwanted.keep(cutOff.filter(id => listed.has(hex(id))))
    await unwanted.drop(cutOff.filter(id => !listed.has(hex(id))))
  }

  #delegation(group: Uint8Array, base: EpochBase): Delegation | undefined {
    const client = this.#components.signer.identity
    return delegationOf(base.state(storageKind), { client, group })
  }

  #terms() {
    const { storagePrice, minDealEpochs } = this.#init.profile
    return { epochs: minDealEpochs * DURATION, pricePerGiB: storagePrice }
  }

  async *#groups(): AsyncGenerator<OwnGroup> {
    for (const upload of await this.#index.list()) {
      const of = pieceCid(upload.manifest)
      for (const group of await this.#index.groups(upload)) {
        if (this.#components.unwanted.has(group.id)) continue
        const base = this.#kept.base()
        const delegation = base && this.#delegation(group.id, base)
        // What a delegate's operator keeps would end at once.
        const barred = delegation && delegateOperators(delegation, base)
        yield { ...group, of, ...(barred === undefined ? {} : { barred }) }
      }
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
  delegates: number[],
): GroupView {
  return {
    group: id,
    files: files.slice(0, NAMES_MAX),
    delegates,
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
