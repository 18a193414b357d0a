/**
 * Builds a whole daemon, part by part in order of dependence, and closes it in reverse. Everything
 * the core needs of the world is made here and nowhere else.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  Bytes8,
  Bytes32,
  type CairnError,
  ContainerType,
  check,
  EU868,
  hex,
  invariant,
  KINDS,
  type NodeKeys,
  NonceChain,
  PIECE_PAYLOAD_MAX,
  plainVerifier,
  type RegionalPlan,
  type RegistryEntry,
  regionalPlan,
  sha256,
  type Verifier,
} from '@cairn/protocol'
import { startApi } from './api/server.ts'
import { apiToken } from './api/token.ts'
import { type ChainSettings, JOURNAL_SPACE } from './chain/account.ts'
import { evmChain } from './chain/chain.ts'
import { Claims, claimableOf } from './chain/claims.ts'
import { Depositor } from './chain/depositor.ts'
import { Operator } from './chain/operator.ts'
import { Voter } from './chain/voter.ts'
import { SPOOL_QUOTA } from './client/client.ts'
import { Files } from './client/files.ts'
import { openGrant } from './client/grant-seal.ts'
import { Spool } from './client/spool.ts'
import { systemClock } from './clock.ts'
import { makeDirectory } from './directory.ts'
import { drandRelays } from './drand.ts'
import { CoverageNode } from './kinds/coverage/coverage.ts'
import { Measured } from './kinds/coverage/measured.ts'
import { Purchases } from './kinds/coverage/purchases.ts'
import { Sales } from './kinds/coverage/sales.ts'
import { identityKey } from './kinds/storage/deal-keys.ts'
import { StorageNode } from './kinds/storage/storage.ts'
import { Fetches } from './kinds/storage/stranger.ts'
import { StorageVerifier } from './kinds/storage/verifier.ts'
import { type Manifest, networkIdOf } from './manifest.ts'
import { countNetwork, meter } from './metering.ts'
import { Metrics } from './metrics.ts'
import { peerIdOf } from './network/identity.ts'
import { Libp2pNetwork } from './network/network.ts'
import { CairnNode, type KindServices } from './node.ts'
import { type BucketKeys, BucketVolume, isBucket } from './pieces/bucket.ts'
import { DirectoryVolume } from './pieces/directory.ts'
import { HashPool } from './pieces/hash-pool.ts'
import type { Hashing } from './pieces/hashing.ts'
import type { Pieces } from './pieces/pieces.ts'
import { createVolume, openPieceStore, type PieceStore } from './pieces/store.ts'
import { servePieces } from './pieces/transfer.ts'
import { Volumes } from './pieces/volumes.ts'
import type { Chain, Clock, Log, Store } from './ports.ts'
import { GwmpServer } from './radio/gwmp-server.ts'
import { salePacketOf } from './radio/lorawan.ts'
import { MqttBridge, type MqttBridgeInit } from './radio/mqtt-bridge.ts'
import { signerOf } from './signer.ts'
import { closingMark } from './store/closing-mark.ts'
import { openLevelStore } from './store/level.ts'
import { VERSION } from './version.ts'
import { DaemonView } from './view.ts'

export interface DaemonOptions extends ChainSettings {
  dataDir: string
  manifest: Manifest
  /** Directory of the manifest: its genesis state lies beside it. */
  manifestDir: string
  keys: NodeKeys
  /** Multiaddresses to listen on. */
  listen: readonly string[]
  announce?: readonly string[]
  /** Peers to meet first, besides the manifest's. */
  bootstrap?: readonly string[]
  /** Port of the HTTP API on 127.0.0.1; 0: a free one. */
  apiPort: number
  /** Present: offers disk. */
  storage?: {
    volumes: readonly {
      /** A directory, or the address of a bucket: `https://host/bucket`. */
      location: string
      quotaBytes: number
    }[]
    /** For buckets. */
    keys?: BucketKeys
    /** Days in which everything is hashed again. */
    scrubDays?: number
    pricePerGiB?: bigint
    /** Epochs that one deal may last. */
    longestDeal?: number
    /** Payload bytes of one piece. */
    largestPiece?: number
  }
  /** What this node does as a client. */
  client?: {
    /** Paid for a GiB and epoch at most, base units, where a provider asks for more. */
    maxPrice?: bigint
    /** Lets providers out of their deals when they ask. */
    releaseProviders?: boolean
  }
  /** Present: serves packet forwarders. */
  radio?: {
    host: string
    port: number
    gateways: readonly GatewayOptions[]
    /** Present: LoRaWAN uplinks are handed on, and downlinks taken. */
    mqtt?: MqttBridgeInit
  }
  /** Weight of the penalty for peers that share an address; 0 where honest ones do. */
  colocationWeight: number
  /** Peers may use private and loopback addresses. */
  privateAddresses: boolean
  log: Log
  /** Checks signatures; several daemons in one process may share a memo. */
  verifier?: Verifier
  /** Hashes pieces; several daemons in one process may share threads. */
  hashing?: Hashing
}

export interface GatewayOptions {
  /** Of the gateway's own node; absent in at most one: it is the daemon's. */
  keys?: Pick<NodeKeys, 'identity' | 'voting'>
  /** Not needed where there is one gateway: the first that is heard. */
  eui?: string
  /** Name of its regional plan; EU868 unless given. */
  plan?: string
  /** Antenna gain less cable loss, 0.1 dBi. */
  gain?: number
}

export interface Daemon {
  readonly node: CairnNode
  readonly network: Libp2pNetwork
  readonly chain: Chain
  readonly view: DaemonView
  readonly api: { readonly url: string; readonly tokenPath: string }
  /** UDP port of the GWMP server; undefined without a radio. */
  readonly gwmpPort: number | undefined
  /** Resolves when the daemon has stopped, whoever asked for it; rejects with `keyElsewhere`. */
  readonly stopped: Promise<void>
  stop(): Promise<void>
}

/** Derives secrets of the node's parts from its identity: none can be found from another. */
const PartSecret = new ContainerType({ identity: Bytes32, part: Bytes8 })

/**
 * Starts every part and resolves when the node takes part. What was started is closed again when a
 * later part fails.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const closers: (() => Promise<void>)[] = []
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close()
  }
  try {
    return await build(options, closers, closeAll)
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function build(
  options: DaemonOptions,
  closers: (() => Promise<void>)[],
  closeAll: () => Promise<void>,
): Promise<Daemon> {
  const { dataDir, manifest, keys, log } = options
  const { profile, genesis, drand } = manifest
  const id = networkIdOf(manifest)
  const clock = systemClock()
  const metrics = new Metrics()
  await makeDirectory(dataDir)

  const store = await openLevelStore(join(dataDir, 'ledger'))
  closers.push(() => store.close())

  const signer = signerOf(keys)
  const chain = evmChain(
    {
      clock,
      random: length => randomBytes(length),
      log: log.child({ part: 'chain' }),
      store: store.sublevel(JOURNAL_SPACE),
      count: (method, outcome) => metrics.count('chain_calls_total', { method, outcome }),
    },
    {
      chainId: manifest.chain.chainId,
      rpc: options.rpc ?? manifest.chain.rpc,
      contracts: manifest.chain.contracts,
      finality: manifest.chain.finality,
      fromBlock: BigInt(manifest.chain.fromBlock ?? 0),
      epochs: { genesis, seconds: (profile.slotMs * profile.slotsPerEpoch) / 1_000 },
      account: keys.account.secret,
      ...(options.spending && { limits: options.spending }),
      ...(options.rpcLimits && { rpcLimits: options.rpcLimits }),
    },
  )
  const network = new Libp2pNetwork(
    { clock, log: log.child({ part: 'network' }) },
    {
      secret: keys.identity.secret,
      networkId: id,
      listen: options.listen,
      announce: options.announce ?? [],
      bootstrap: [...manifest.bootstrap, ...(options.bootstrap ?? [])],
      privateAddresses: options.privateAddresses,
      limits: options.privateAddresses ? LOCAL_LIMITS : {},
      scoring: { colocationWeight: options.colocationWeight },
      count: countNetwork(metrics),
    },
  )
  const sites = sitesOf(options, id)
  const gwmp =
    options.radio &&
    new GwmpServer(
      { clock, log: log.child({ part: 'radio' }), count: metrics.count },
      {
        gateways: sites.map(({ name, plan, eui, gain }) => ({
          store: store.sublevel(name),
          plan,
          ...(eui === undefined ? {} : { eui }),
          ...(gain === undefined ? {} : { gain }),
        })),
        transmitTimeoutMs: profile.transmitTimeoutMs,
        host: options.radio.host,
        port: options.radio.port,
      },
    )
  await gwmp?.start()
  if (gwmp !== undefined) closers.push(() => gwmp.stop())
  const radios = (gwmp?.gateways ?? []).map((gateway, place) => ({
    ...(sites[place] as Site),
    gateway,
    door: () => (gwmp as GwmpServer).door,
  }))
  const bridge =
    gwmp &&
    options.radio?.mqtt &&
    new MqttBridge(
      { clock, log: log.child({ part: 'mqtt' }), server: gwmp, count: metrics.count },
      options.radio.mqtt,
    )
  await bridge?.start()
  if (bridge !== undefined) closers.push(() => bridge.stop())

  const hashing = options.hashing ?? ownPool(closers)
  const pieces =
    options.storage &&
    (await openVolumes({ store, clock, hashing, log, metrics }, { ...options.storage, node: keys }))
  if (pieces !== undefined) {
    pieces.start()
    closers.push(() => pieces.stop())
  }
  const cache = await openCache({ log, hashing }, join(dataDir, 'cache'))
  const verifier = options.verifier ?? plainVerifier

  const peerOf = ({ identity }: Pick<RegistryEntry, 'identity'>) => peerIdOf(identity)
  const measured = new Measured({ network, peerOf })
  // One for all nodes of the daemon: made with the first.
  let sales: Sales | undefined
  let purchases: Purchases | undefined
  const coverageNode = (services: KindServices, own: SeatKeys) => {
    const radio = radios.find(site => site.keys === own)
    const { store: itsStore, voice, epochs } = services
    const desk = { ...services, view: epochs, log: services.log.child({ part: 'packets' }) }
    sales ??= new Sales(desk, epochs)
    purchases ??= new Purchases(
      { ...desk, store: itsStore.sublevel(BOUGHT), key: identityKey(signer) },
      epochs,
    )
    if (radio !== undefined) {
      const offer = sales.add({ voice, store: itsStore.sublevel(SOLD) })
      gwmp?.onPacket(heard => {
        const packet = heard.eui === radio.gateway.eui ? salePacketOf(heard) : undefined
        if (packet !== undefined) offer(packet)
      })
    }
    return new CoverageNode(
      {
        ...services,
        measured,
        sales,
        view: services.epochs,
        log: services.log.child({ part: 'coverage' }),
        random: length => randomBytes(length),
        ...(radio === undefined ? {} : { radio: radio.gateway }),
      },
      {
        calendar: services.epochs.calendar,
        chain: radio?.chain ?? nonceChainOf(own, id),
        secret: partSecret(own, 'witness'),
      },
    )
  }
  const fetches = new Fetches()
  const tenants = sites
    .filter(site => site.keys !== keys)
    .map(site => ({
      signer: signerOf(site.keys),
      halves: (services: KindServices) => [
        new StorageVerifier(
          {
            ...services,
            fetches,
            view: services.epochs,
            log: services.log.child({ part: 'storage' }),
          },
          { calendar: services.epochs.calendar },
        ),
        coverageNode(services, site.keys),
      ],
    }))
  const node = new CairnNode(
    {
      clock,
      network,
      chain,
      randomness: drandRelays(
        { log: log.child({ part: 'randomness' }) },
        { urls: drand.url === undefined ? DRAND_RELAYS : [drand.url] },
      ),
      store,
      mark: closingMark(join(dataDir, 'closed')),
      signer,
      verifier,
      log,
      count: (outcome, reason) => metrics.count('messages_total', { outcome, reason }),
    },
    {
      network: id,
      profile,
      genesis,
      drand,
      kinds: KINDS,
      halves: services => [
        storageNode(services, { options, pieces, fetches, log }),
        coverageNode(services, keys),
      ],
      tenants,
      genesisState: () => readOptional(join(options.manifestDir, manifest.genesisState)),
      peerOf,
    },
  )
  invariant(sales !== undefined && purchases !== undefined, 'halves are built with the node')
  const desk = node.kinds.find(half => half instanceof StorageNode)
  invariant(desk !== undefined, 'storage is one of the halves')
  pieces?.onQuarantined(() => desk.tellLosses())
  const spool = new Spool(cache)
  servePieces(network, desk.shelf === undefined ? [spool] : [spool, desk.shelf])
  const client = new Files(
    {
      node,
      network: desk.paying(),
      clock,
      store: store.sublevel('files'),
      spool,
      unwanted: desk.unwanted,
      ...(pieces === undefined ? {} : { shelf: pieces }),
      signer,
      verifier,
      log: log.child({ part: 'client' }),
      peerOf,
      random: length => randomBytes(length),
      openGrant: text => openGrant(text, keys.identity.secret),
      addressOf: peer => network.addressOf(peer),
    },
    { network: id, profile, maxPrice: options.client?.maxPrice ?? profile.storagePrice },
  )
  meter({ node, chain, network, files: client, metrics, pieces, radios, broker: bridge })
  let stop = () => {}
  let failure: CairnError | undefined
  const stopped = new Promise<void>((resolve, reject) => {
    stop = once(() => {
      closeAll().then(() => (failure === undefined ? resolve() : reject(failure)), reject)
    })
  })
  node.onKeyElsewhere(error => {
    failure = error
    // A daemon that stops by itself may have nobody who waits for it.
    stopped.catch(() => {})
    stop()
  })
  const depositor = new Depositor(
    {
      chain,
      rpc: chain.rpc,
      transactions: chain.transactions,
      async payoutsOf(epoch) {
        const found = await node.settlements.accepted(epoch)
        return found?.state.core.payouts
      },
    },
    {
      chainId: manifest.chain.chainId,
      contracts: manifest.chain.contracts,
      dealKey: identityKey(signer),
    },
  )
  const { rpc, transactions } = chain
  const operator = new Operator(
    { rpc, transactions, clock },
    {
      chainId: manifest.chain.chainId,
      contracts: manifest.chain.contracts,
      account: keys.account.secret,
      nodes: [
        { signer, nonceEnd: nonceChainOf(keys, id).end },
        ...sites
          .filter(site => site.keys !== keys)
          .map(site => ({ signer: signerOf(site.keys), nonceEnd: site.chain.end })),
      ],
    },
  )
  const { checkpoints, distributor } = manifest.chain.contracts
  const claims =
    distributor &&
    new Claims(
      {
        rpc,
        transactions,
        clock,
        payouts: {
          last: () => node.checkpointer.adopted,
          async of(epoch) {
            const found = epoch < 0 ? undefined : await node.settlements.accepted(epoch)
            if (found === undefined) return undefined
            const { checkpoint, state } = found
            return claimableOf({ checkpoint, payouts: state.core.payouts })
          },
        },
      },
      { contracts: { checkpoints, distributor } },
    )
  const { contracts, fromBlock } = manifest.chain
  const voter = new Voter(
    { chain, rpc, transactions },
    { contracts, fromBlock: fromBlock === undefined ? undefined : BigInt(fromBlock) },
  )
  const view = new DaemonView(
    {
      node,
      chain,
      depositor,
      operator,
      claims,
      voter,
      clock,
      network,
      signer,
      client,
      pieces,
      desk,
      radios,
      broker: bridge,
      sales,
      purchases,
      metrics: () => metrics.text(),
      stop,
    },
    {
      manifest,
      network: id,
      version: VERSION,
      account: keys.account.address,
      addresses: () => network.addresses(),
      peerOf: identity => peerIdOf(identity),
    },
  )
  closers.push(() => node.stop())
  closers.push(async () => {
    purchases?.stop()
    await sales?.stop()
  })
  closers.push(() => client.stop())
  client.start()
  await node.start()
  const tokenPath = join(dataDir, 'api.token')
  const api = await startApi(
    { view, clock, log: log.child({ part: 'api' }), metrics },
    { port: options.apiPort, token: await apiToken(tokenPath) },
  )
  closers.push(() => api.stop())
  return {
    node,
    network,
    chain,
    view,
    api: { url: api.url, tokenPath },
    gwmpPort: gwmp?.port,
    stopped,
    stop: () => {
      stop()
      return stopped
    },
  }
}

function storageNode(
  services: KindServices,
  {
    options,
    pieces,
    fetches,
    log,
  }: { options: DaemonOptions; pieces: Pieces | undefined; fetches: Fetches; log: Log },
): StorageNode {
  const { calendar } = services.epochs
  const { storagePrice } = calendar.profile
  const { storage, client } = options
  return new StorageNode(
    {
      ...services,
      view: services.epochs,
      log: log.child({ part: 'storage' }),
      random: length => randomBytes(length),
      fetches,
      ...(pieces === undefined ? {} : { pieces }),
    },
    {
      calendar,
      terms: {
        pricePerGiB: storage?.pricePerGiB ?? storagePrice,
        longestDeal: storage?.longestDeal ?? LONGEST_DEAL,
        largestPiece: storage?.largestPiece ?? PIECE_PAYLOAD_MAX,
      },
      maxPrice: client?.maxPrice ?? storagePrice,
      releaseProviders: client?.releaseProviders ?? false,
    },
  )
}

/** Key spaces of packets sold and bought. */
const SOLD = 'coverage-sold'
const BOUGHT = 'coverage-bought'

/** Any length that a deal can have. */
const LONGEST_DEAL = 2 ** 32 - 1

interface VolumesComponents {
  store: Store
  clock: Clock
  hashing: Hashing
  log: Log
  metrics: Metrics
}

/** Everything is read once in two weeks: a slow disk has time for it, and rot is found in time. */
const SCRUB_DAYS = 14

async function openVolumes(
  { store, clock, hashing, log, metrics }: VolumesComponents,
  { volumes, keys, scrubDays, node }: NonNullable<DaemonOptions['storage']> & { node: NodeKeys },
): Promise<Volumes> {
  const offered = volumes.map(({ location, quotaBytes }) => {
    if (!isBucket(location)) {
      return { volume: new DirectoryVolume(resolve(location)), quota: quotaBytes }
    }
    check(keys !== undefined, 'badConfig', 'a bucket is offered without keys for it', {
      facts: { location },
      next: 'set storage.s3AccessKeyId and storage.s3SecretAccessKey',
    })
    return { volume: new BucketVolume({ clock }, { url: location, ...keys }), quota: quotaBytes }
  })
  return await Volumes.open(
    {
      store: store.sublevel('volumes'),
      clock,
      hashing,
      log: log.child({ part: 'volumes' }),
      newName: randomUUID,
      count: (operation, bytes) => metrics.count('stored_bytes_total', { operation }, bytes),
    },
    {
      owner: hex(node.identity.publicKey).slice(0, 16),
      offered,
      scrubDays: scrubDays ?? SCRUB_DAYS,
    },
  )
}

/** The client's own pieces do not outlive the daemon. */
async function openCache(
  components: { log: Log; hashing: Hashing },
  directory: string,
): Promise<PieceStore> {
  await rm(directory, { recursive: true, force: true })
  await createVolume({ directory, volume: 'cache' })
  return await openPieceStore(components, { directory, volume: 'cache', quota: SPOOL_QUOTA })
}

function ownPool(closers: (() => Promise<void>)[]): HashPool {
  const pool = new HashPool()
  closers.push(() => pool.close())
  return pool
}

/** Public relays of drand's quicknet. */
const DRAND_RELAYS = [
  'https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
  'https://drand.cloudflare.com/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
]

/** Where all peers share one address: every node of a testnet dials every other within a second. */
const LOCAL_LIMITS = { connections: 512, inboundPerSecond: 1_000, pendingInbound: 512 }

/** What one seat signs with. */
type SeatKeys = Pick<NodeKeys, 'identity' | 'voting'>

/** A gateway with whose it is. */
interface Site {
  keys: SeatKeys
  /** Of its key space. */
  name: string
  plan: RegionalPlan
  chain: NonceChain
  eui?: string
  gain?: number
}

/** Throws `badGateways` where two are of one node. */
function sitesOf({ radio, keys }: DaemonOptions, network: Uint8Array): Site[] {
  const gateways = radio?.gateways ?? []
  const sites = gateways.map(({ keys: its, plan, ...rest }) => ({
    ...rest,
    keys: its ?? keys,
    name: its === undefined ? 'radio' : `radio-${hex(its.identity.publicKey)}`,
    plan: regionalPlan(plan ?? EU868.name),
    chain: nonceChainOf(its ?? keys, network),
  }))
  const owners = [keys, ...gateways.map(gateway => gateway.keys)].filter(own => own !== undefined)
  const distinct = new Set(owners.map(({ identity }) => hex(identity.publicKey)))
  const own = gateways.filter(gateway => gateway.keys === undefined).length
  check(distinct.size === owners.length && own <= 1, 'badGateways', 'two gateways are one node', {
    next: 'give each gateway in radio.gateways a key number of its own',
  })
  return sites
}

function nonceChainOf({ identity }: SeatKeys, network: Uint8Array): NonceChain {
  return new NonceChain({ secret: identity.secret, network, identity: identity.publicKey })
}

function partSecret({ identity }: SeatKeys, part: 'witness'): Uint8Array {
  const label = new Uint8Array(8)
  label.set(new TextEncoder().encode(part))
  return sha256(PartSecret.serialize({ identity: identity.secret, part: label }))
}

async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function once(task: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    task()
  }
}
