/** What the HTTP API shows of a node, read from its parts. */
import {
  check,
  Deal,
  dealIndex,
  epochAt,
  epochStart,
  equalBytes,
  hex,
  isLive,
  MessageType,
  messageId,
  type NonceChain,
  nodeName,
  type Obligations,
  obligationsOf,
  type ProofFile,
  pieceCid,
  type RegionalPlan,
  type StorageState,
  slotAt,
  storageKind,
  termStart,
} from '@cairn/protocol'
import { accountView } from './account-view.ts'
import type {
  AuditView,
  Content,
  ContentRange,
  DealView,
  DelegatedView,
  DepositView,
  EarningsView,
  EpochView,
  FileView,
  ForgottenView,
  GatewaysView,
  GrantedView,
  GrantView,
  MessagePage,
  MessageQuery,
  MessageView,
  NodeEvent,
  NodeView,
  PacketsOrder,
  PeerView,
  PenaltyDetails,
  PenaltyView,
  PieceView,
  PreviewView,
  PurchaseView,
  PutFile,
  PutOptions,
  PutResult,
  RadioView,
  RebuiltView,
  RecomputeView,
  RemovedFile,
  RepairView,
  ServiceView,
  Status,
  TransactionsView,
  VerdictsView,
  VolumeView,
} from './api/node-view.ts'
import type { AccountChain } from './chain/chain.ts'
import type { ClaimDone, Claims, ClaimWish, EarningsStanding } from './chain/claims.ts'
import type { DepositMove, Depositor } from './chain/depositor.ts'
import type {
  Choice,
  Done,
  Operator,
  OperatorStanding,
  Order,
  OrderOptions,
} from './chain/operator.ts'
import type { Support, Voter } from './chain/voter.ts'
import type { RepairTotals } from './client/repairs.ts'
import { type Health, type HealthFacts, healthOf, readiness } from './health.ts'
import { History } from './history-view.ts'
import type { BoughtPacket, Purchases } from './kinds/coverage/purchases.ts'
import type { Sales } from './kinds/coverage/sales.ts'
import type { AuditOutcome } from './kinds/storage/auditor.ts'
import type { Outlook, Prospect } from './kinds/storage/outlook.ts'
import type { Service } from './kinds/storage/storage.ts'
import type { Manifest } from './manifest.ts'
import { typeName, verdictName } from './message-names.ts'
import type { CairnNode } from './node.ts'
import { Penalties } from './penalties-view.ts'
import type { Volumes } from './pieces/volumes.ts'
import type { Chain, Clock, Network } from './ports.ts'
import type { Gateway } from './radio/gateway.ts'
import type { Door } from './radio/gwmp-server.ts'
import type { MqttBridge } from './radio/mqtt-bridge.ts'
import { lacksOf } from './radio/outlook.ts'
import type { Signer } from './signer.ts'

/** What the view needs of the client's side of storage. */
export interface FileClient {
  put(files: Iterable<PutFile> | AsyncIterable<PutFile>, options: PutOptions): Promise<PutResult>
  get(link: string, range: ContentRange, signal: AbortSignal): Promise<Content>
  list(): Promise<FileView[]>
  remove(link: string): Promise<RemovedFile>
  repairs(link: string | undefined, options: { now: boolean }): Promise<RepairView>
  delegate(link: string, delegates: readonly number[]): Promise<DelegatedView>
  /** How the last run of repairs left all groups. */
  readonly totals: RepairTotals
  grant(link: string, peerId: string, options: { again: boolean }): Promise<GrantedView>
  revoke(link: string, peerId: string): Promise<GrantView>
  grants(): Promise<GrantView[]>
}

/** What the view needs of the provider's side. */
export type PieceShelf = Pick<Volumes, 'list' | 'report' | 'rebuild' | 'forget'>

/** What the view needs of this node's part in storage. */
export interface DealDesk {
  outlook(): Outlook
  prospectOf(deal: Deal): Prospect
  service(): Service
  /** Rejects where the deal or the other side does not allow it. */
  end(id: Uint8Array): Promise<void>
  audit(): Promise<readonly AuditOutcome[]>
}

/** A gateway, and what this daemon knows of the node that it is of. */
export interface RadioSite {
  keys: { identity: { publicKey: Uint8Array } }
  plan: RegionalPlan
  chain: Pick<NonceChain, 'end'>
  gateway: Pick<Gateway, 'online' | 'status'>
  door(): Door
}

export interface DaemonViewComponents {
  node: CairnNode
  chain: Chain & Pick<AccountChain, 'account' | 'divided' | 'trouble'>
  depositor: Pick<Depositor, 'standing' | 'add' | 'request' | 'withdraw'>
  operator: Pick<Operator, 'standing' | 'carryOut'>
  /** Absent where the manifest names no distributor. */
  claims: Pick<Claims, 'earnings' | 'claim'> | undefined
  voter: Pick<
    Voter,
    | 'votes'
    | 'parameters'
    | 'proposal'
    | 'propose'
    | 'cast'
    | 'queue'
    | 'execute'
    | 'cancel'
    | 'delegate'
  >
  clock: Clock
  network: Network
  signer: Signer
  client: FileClient
  pieces: PieceShelf | undefined
  desk: DealDesk
  /** Gateways of this daemon, each with the node that it is of. */
  radios: readonly RadioSite[]
  broker: Pick<MqttBridge, 'status'> | undefined
  sales: Pick<Sales, 'sold'>
  purchases: Pick<Purchases, 'buy' | 'bought'>
  metrics(): Promise<string>
  stop(): void
}

export interface DaemonViewInit {
  manifest: Manifest
  /** Network id. */
  network: Uint8Array
  version: string
  /** Chain account, 20 bytes. */
  account: Uint8Array
  addresses(): string[]
  peerOf(identity: Uint8Array): string
}

export class DaemonView implements NodeView {
  readonly #components: DaemonViewComponents
  readonly #init: DaemonViewInit
  readonly #listeners = new Set<(event: NodeEvent) => void>()
  readonly #history: History
  readonly #penalties: Penalties

  constructor(components: DaemonViewComponents, init: DaemonViewInit) {
    this.#components = components
    this.#init = init
    const { node } = components
    node.epochs.onBase(({ epoch }) => {
      // Bases of old epochs are found again when their sums are redone.
      if (epoch >= node.epochs.now()) this.#emit('epoch', { epoch })
    })
    node.ingest.onArrival(({ type, message: { id, value } }) =>
      this.#emit('message', { id: hex(id), type: typeName(type), epoch: value.epoch }),
    )
    const { network } = init
    this.#history = new History(components, { network })
    this.#penalties = new Penalties({ node, registry: () => this.#registry() }, { network })
    node.checkpointer.onAdopted(({ accepted, settled }) => {
      const { epoch, root, transaction } = accepted
      this.#emit('checkpoint', { epoch, root: hex(root), transaction })
      for (const { name, verdicts } of settled?.settlement.kinds ?? []) {
        for (const { target, verdict, reason } of verdicts) {
          this.#emit('verdict', {
            epoch,
            kind: name,
            target,
            verdict: verdictName(verdict),
            reason,
          })
        }
      }
    })
  }

  async status(): Promise<Status> {
    const { node, chain, clock, network, signer } = this.#components
    const { manifest, account, addresses, version } = this.#init
    const { calendar } = node.epochs
    const now = node.epochs.now()
    const head = chain.head()
    const index = this.#index()
    const health = this.#health(await this.#obligations(), await this.#penalties.lastOwn())
    const { ready, reasons } = readiness(health)
    return {
      name: nodeName(signer.identity),
      peerId: network.self,
      account,
      ...(index === undefined ? {} : { index }),
      network: { id: this.#init.network, name: manifest.name },
      version,
      addresses: addresses(),
      epoch: {
        number: now,
        slot: slotAt(calendar, now, clock.now()),
        slotsPerEpoch: calendar.profile.slotsPerEpoch,
        startsAt: epochStart(calendar, now),
        endsAt: epochStart(calendar, now + 1),
      },
      accepted: node.checkpointer.adopted,
      chain: {
        healthy: chain.healthy(),
        ...(head === undefined ? {} : { head: { number: head.number, timestamp: head.timestamp } }),
      },
      peers: network.peers().length,
      radios: this.#radios(),
      ready,
      reasons,
      health,
    }
  }

  async transactions(): Promise<TransactionsView> {
    return accountView(this.#components.chain.account())
  }

  async peers(): Promise<PeerView[]> {
    const byPeer = new Map(
      this.#registry().map(entry => [this.#init.peerOf(entry.identity), entry]),
    )
    return this.#components.network.peers().map(peerId => {
      const entry = byPeer.get(peerId)
      return entry === undefined
        ? { peerId }
        : { peerId, index: entry.index, name: nodeName(entry.identity) }
    })
  }

  accepted(): number {
    return this.#components.node.checkpointer.adopted
  }

  async penalties(): Promise<PenaltyView[]> {
    return await this.#penalties.all()
  }

  async penalty(epoch: number, node: number): Promise<PenaltyDetails | undefined> {
    return await this.#penalties.one(epoch, node)
  }

  async epoch(epoch: number): Promise<EpochView | undefined> {
    return await this.#history.epoch(epoch)
  }

  async messages(query: MessageQuery): Promise<MessagePage> {
    return await this.#history.messages(query)
  }

  async message(id: Uint8Array): Promise<MessageView | undefined> {
    return await this.#history.message(id)
  }

  async prove(id: Uint8Array): Promise<ProofFile | undefined> {
    return await this.#history.prove(id)
  }

  async provePayout(account: Uint8Array, epoch?: number): Promise<ProofFile | undefined> {
    return await this.#history.provePayout(account, epoch)
  }

  async recompute(epoch: number): Promise<RecomputeView | undefined> {
    return await this.#history.recompute(epoch)
  }

  async preview(
    values: ReadonlyMap<string, bigint>,
    epochs: number,
  ): Promise<PreviewView | undefined> {
    return await this.#history.preview(values, epochs)
  }

  async verdicts(epoch: number, kind: string): Promise<VerdictsView | undefined> {
    const found = await this.#history.verdicts(epoch, kind)
    return found && { ...found, penalties: await this.#penalties.of(epoch) }
  }

  async earnings(epoch: number): Promise<EarningsView | undefined> {
    return await this.#history.earnings(epoch)
  }

  async gateways(epoch: number): Promise<GatewaysView | undefined> {
    return await this.#history.gateways(epoch)
  }

  async put(
    files: Iterable<PutFile> | AsyncIterable<PutFile>,
    options: PutOptions,
  ): Promise<PutResult> {
    return await this.#components.client.put(files, options)
  }

  async get(link: string, range: ContentRange, signal: AbortSignal): Promise<Content> {
    return await this.#components.client.get(link, range, signal)
  }

  async files(): Promise<FileView[]> {
    return await this.#components.client.list()
  }

  async removeFile(link: string): Promise<RemovedFile> {
    return await this.#components.client.remove(link)
  }

  async delegate(link: string, delegates: readonly number[]): Promise<DelegatedView> {
    return await this.#components.client.delegate(link, delegates)
  }

  async repairs(link: string | undefined, options: { now: boolean }): Promise<RepairView> {
    return await this.#components.client.repairs(link, options)
  }

  async grant(link: string, peerId: string, options: { again: boolean }): Promise<GrantedView> {
    return await this.#components.client.grant(link, peerId, options)
  }

  async revoke(link: string, peerId: string): Promise<GrantView> {
    return await this.#components.client.revoke(link, peerId)
  }

  async grants(): Promise<GrantView[]> {
    return await this.#components.client.grants()
  }

  async pieces(): Promise<PieceView[]> {
    const pieces = this.#components.pieces?.list() ?? []
    return pieces.map(piece => ({ cid: pieceCid(piece), bytes: piece.payload }))
  }

  async volumes(): Promise<VolumeView[]> {
    const volumes = this.#components.pieces?.report() ?? []
    return volumes.map(({ damaged, ...volume }) => ({ ...volume, damaged: damaged.map(pieceCid) }))
  }

  async rebuildVolumes(location?: string): Promise<RebuiltView[]> {
    const done = await this.#shelf().rebuild(location)
    return done.map(({ location: place, rebuilt: { lost, ...rest } }) => ({
      location: place,
      ...rest,
      lost: lost.map(pieceCid),
    }))
  }

  async forgetVolume(location: string): Promise<ForgottenView> {
    const { lost } = await this.#shelf().forget(location)
    return { location, lost: lost.map(pieceCid) }
  }

  async deals(): Promise<DealView[]> {
    const { node, desk } = this.#components
    const parent = await node.settlements.accepted(node.checkpointer.adopted)
    if (parent === undefined) return []
    const epoch = node.epochs.now()
    return parent.state
      .of<StorageState>(storageKind)
      .deals.filter(deal => isLive(deal, epoch) || deal.startEpoch > epoch)
      .map(deal => ({ ...dealView(deal), ...desk.prospectOf(deal) }))
  }

  async endDeal(id: Uint8Array): Promise<void> {
    await this.#components.desk.end(id)
  }

  async audit(): Promise<AuditView[]> {
    const outcomes = await this.#components.desk.audit()
    return outcomes.map(({ deal: { id, deal }, leaf, outcome, reported }) => ({
      deal: id,
      piece: pieceCid(deal.piece),
      provider: deal.provider,
      leaf,
      outcome,
      reported,
    }))
  }

  async service(): Promise<ServiceView> {
    const { desk, sales, purchases } = this.#components
    const { clients, providers, ...free } = desk.service()
    const packets = { sold: sales.sold(), bought: await purchases.bought() }
    return { clients: [...clients], providers: [...providers], ...free, ...packets }
  }

  async *packets(order: PacketsOrder, signal: AbortSignal): AsyncGenerator<PurchaseView> {
    const { addresses: filters, ...rest } = order
    const wish = { ...rest, filters }
    for await (const purchase of this.#components.purchases.buy(wish, signal)) {
      yield 'failure' in purchase ? purchase : { packet: packetView(purchase.packet) }
    }
  }

  async deposit(): Promise<DepositView> {
    const { depositor, node, signer } = this.#components
    const standing = await depositor.standing()
    const { requestedAt } = standing
    const base = node.epochs.base(node.epochs.now())
    const paidFrom = requestedAt === 0n ? undefined : this.#firstBasedOn(requestedAt)
    return {
      ...standing,
      dealKey: signer.identity,
      available: base?.available(hex(signer.identity)) ?? 0n,
      ...(paidFrom === undefined ? {} : { paidFrom }),
    }
  }

  async addDeposit(amount: bigint, reference?: string): Promise<DepositMove> {
    return await this.#components.depositor.add(amount, unbroken(), reference)
  }

  async requestDeposit(amount: bigint | undefined): Promise<DepositMove> {
    return await this.#components.depositor.request(amount, unbroken())
  }

  async withdrawDeposit(): Promise<DepositMove> {
    return await this.#components.depositor.withdraw(unbroken())
  }

  async operator(choice: Choice): Promise<OperatorStanding> {
    return await this.#components.operator.standing(choice)
  }

  async order(order: Order, options: Omit<OrderOptions, 'signal'>): Promise<Done> {
    return await this.#components.operator.carryOut(order, { ...options, signal: unbroken() })
  }

  async accounts(accounts: readonly Uint8Array[]): Promise<EarningsStanding> {
    return await this.#desk().earnings(accounts.length === 0 ? this.#paid() : accounts)
  }

  async claim(wish: Omit<ClaimWish, 'signal'>): Promise<ClaimDone> {
    const accounts =
      wish.accounts.length > 0
        ? wish.accounts
        : wish.bond === undefined
          ? this.#paid()
          : [this.#init.account]
    return await this.#desk().claim({ ...wish, accounts, signal: unbroken() })
  }

  async votes() {
    return await this.#components.voter.votes()
  }

  async voteParameters() {
    return await this.#components.voter.parameters()
  }

  async proposal(id: string) {
    return await this.#components.voter.proposal(id)
  }

  async propose(values: ReadonlyMap<string, bigint>, title: string) {
    return await this.#components.voter.propose(values, title, unbroken())
  }

  async castVote(id: string, support: Support) {
    return await this.#components.voter.cast(id, support, unbroken())
  }

  async moveProposal(id: string, act: 'queue' | 'execute' | 'cancel') {
    return await this.#components.voter[act](id, unbroken())
  }

  async delegateVotes(to: Uint8Array | undefined) {
    const account = to === undefined ? undefined : (`0x${hex(to)}` as const)
    return await this.#components.voter.delegate(account, unbroken())
  }

  subscribe(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  metrics(): Promise<string> {
    return this.#components.metrics()
  }

  stop(): void {
    this.#components.stop()
  }

  #emit(type: NodeEvent['type'], data: object): void {
    const event = { type, at: this.#components.clock.now(), data }
    for (const listener of this.#listeners) listener(event)
  }

  /** Undefined for a node without deals. */
  async #obligations(): Promise<Obligations | undefined> {
    const { node } = this.#components
    const index = this.#index()
    const parent = await node.settlements.accepted(node.checkpointer.adopted)
    if (index === undefined || parent === undefined) return undefined
    const state = parent.state.of<StorageState>(storageKind)
    if (!dealIndex(state).byProvider.has(index)) return undefined
    return obligationsOf(state, index, node.epochs.profile())
  }

  /** The first of the nodes of this daemon that sign nothing in this term, and until when. */
  #leftOut(epoch: number): HealthFacts['leftOut'] {
    const { epochs, seats } = this.#components.node
    const { profile } = epochs.calendar
    const until = termStart(epoch, profile) + profile.termEpochs
    const own = new Set(seats.map(({ signer }) => hex(signer.identity)))
    for (const { index: node, identity } of this.#registry()) {
      const why = own.has(hex(identity)) ? epochs.leftOut(epoch, node) : undefined
      if (why !== undefined) return { node, why, until }
    }
    return undefined
  }

  #health(storage: Obligations | undefined, penalty: PenaltyView | undefined): Health[] {
    const { node, chain, clock, network, pieces, broker, desk, client } = this.#components
    const radios = this.#radios()
    const { profile } = this.#init.manifest
    const epoch = node.epochs.now()
    const head = chain.head()
    const { offsetMs } = node.clockCheck
    const entry = this.#registry().find(({ index }) => index === this.#index())
    const wait = node.fallback.waiting()
    const leftOut = this.#leftOut(epoch)
    return healthOf({
      skewMs: profile.skewMs,
      chain: {
        healthy: chain.healthy(),
        divided: chain.divided(),
        trouble: chain.trouble(),
        ...(head === undefined ? {} : { ageMs: clock.now() - head.timestamp * 1_000 }),
      },
      ...(offsetMs === undefined ? {} : { clockOffsetMs: offsetMs }),
      peers: network.peers().length,
      registered: entry !== undefined,
      bonded: entry !== undefined && entry.bond > 0n && entry.exitAt === 0,
      ...(node.epochs.mismatch === undefined ? {} : { otherParameters: node.epochs.mismatch }),
      // Before genesis there is nothing to rest on yet.
      baseKnown: epoch < 0 || node.epochs.base(epoch) !== undefined,
      epoch,
      slot: slotAt(node.epochs.calendar, epoch, clock.now()),
      ...(node.mutedUntil > epoch ? { mutedUntil: node.mutedUntil } : {}),
      ...(wait === undefined ? {} : { wait }),
      ...(radios.length === 0 ? {} : { radios }),
      ...(broker === undefined ? {} : { broker: broker.status() }),
      ...(pieces === undefined ? {} : { volumes: pieces.report() }),
      ...(storage === undefined ? {} : { storage }),
      ...(penalty === undefined ? {} : { penalty }),
      ...(leftOut === undefined ? {} : { leftOut }),
      deals: { outlook: desk.outlook(), profile },
      files: client.totals,
      account: chain.account(),
    })
  }

  #radios(): RadioView[] {
    const registry = this.#registry()
    return this.#components.radios.map(({ keys, plan, chain, gateway, door }) => {
      const { publicKey } = keys.identity
      const entry = registry.find(({ identity }) => equalBytes(identity, publicKey))
      const online = gateway.online()
      const status = gateway.status()
      const { eui, heardAt, forwarder } = status
      return {
        name: nodeName(publicKey),
        identity: publicKey,
        ...(entry === undefined ? {} : { index: entry.index }),
        ...(eui === undefined ? {} : { eui }),
        plan: plan.name,
        online,
        ...(heardAt === undefined ? {} : { heardAt }),
        ...(forwarder === undefined ? {} : { forwarder }),
        lacks: lacksOf({
          online,
          status,
          plan: plan.name,
          entry,
          nonceEnd: chain.end,
          door: door(),
        }),
      }
    })
  }

  #desk(): Pick<Claims, 'earnings' | 'claim'> {
    const { claims } = this.#components
    check(claims !== undefined, 'noDistributor', 'the manifest names no contract that pays', {
      next: 'get the manifest again from where the network is announced',
    })
    return claims
  }

  /** Accounts that the rewards of this daemon's nodes go to, and its own. */
  #paid(): Uint8Array[] {
    const { signer, radios } = this.#components
    const own = [signer.identity, ...radios.map(({ keys }) => keys.identity.publicKey)]
    const payouts = this.#registry()
      .filter(({ identity }) => own.some(key => equalBytes(key, identity)))
      .map(({ payout }) => payout)
    const all = [...payouts, this.#init.account]
    return all.filter((account, i) => all.findIndex(other => equalBytes(other, account)) === i)
  }

  #shelf(): PieceShelf {
    const { pieces } = this.#components
    check(pieces !== undefined, 'notOffering', 'this node offers no storage', {
      next: 'set storage.quota or storage.volumes',
    })
    return pieces
  }

  #registry() {
    const { chain } = this.#components
    const head = chain.head()
    return head === undefined ? [] : chain.registryAt(head.number)
  }

  /** The first epoch whose base is at this block or later; undefined of a block long past. */
  #firstBasedOn(block: bigint): number | undefined {
    const { node, chain } = this.#components
    const { calendar } = node.epochs
    const header = chain.block(block)
    if (header === undefined) return undefined
    const { lookback } = calendar.profile
    return Math.max(0, epochAt(calendar, header.timestamp * 1_000) + 1 + lookback)
  }

  #index(): number | undefined {
    const { identity } = this.#components.signer
    return this.#registry().find(entry => equalBytes(entry.identity, identity))?.index
  }
}

/** Once it is sent it is looked after, whoever still waits. */
function unbroken(): AbortSignal {
  return new AbortController().signal
}

function dealView(deal: Deal): Omit<DealView, keyof Prospect> {
  const { client, provider, piece, startEpoch, endEpoch, pricePerEpoch } = deal
  return {
    id: messageId({ type: MessageType.deal, body: Deal.serialize(deal) }),
    piece: pieceCid(piece),
    bytes: piece.payload,
    client,
    provider,
    firstEpoch: startEpoch,
    lastEpoch: endEpoch - 1,
    price: pricePerEpoch,
  }
}

function packetView({ address, type, rssi, snr, ...rest }: BoughtPacket) {
  // Only a join request has an address of 64 bits.
  const text = address.toString(16).padStart(type === 0 ? 16 : 8, '0')
  return {
    ...rest,
    type,
    address: text,
    ...(rssi !== undefined && { rssi: rssi / 10 }),
    ...(snr !== undefined && { snr: snr / 10 }),
  }
}
