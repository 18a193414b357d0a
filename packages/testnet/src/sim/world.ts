/**
 * A whole network in memory, on virtual time, replayable from one seed: the node's own code over
 * simulated ports.
 */
import {
  CairnNode,
  CoverageNode,
  type DrandInit,
  Fetches,
  Files,
  type KindServices,
  type Log,
  Measured,
  type NodeKind,
  openGrant,
  type Pieces,
  type Randomness,
  type Signer,
  Spool,
  StorageNode,
  StorageVerifier,
  type Store,
  servePieces,
  type Voice,
} from '@cairn/node'
import {
  bls,
  COVERAGE,
  cellDistance,
  committeeWord,
  type Deal,
  type Deposit,
  drawCommittee,
  EU868,
  ed25519,
  emptyState,
  type FileLink,
  genesisCheckpoint,
  invariant,
  KINDS,
  MessageType,
  NonceChain,
  networkId,
  PARAMETERS,
  PIECE_PAYLOAD_MAX,
  type Profile,
  plainReader,
  plainVerifier,
  type RegistryEntry,
  STORAGE,
  type State,
  sha256,
  storageKind,
  storageWith,
  TESTNET_PROFILE,
  TOKEN,
  type Verifier,
} from '@cairn/protocol'
import { LocalBeacon } from '../beacon.ts'
import { RadioField } from '../field/field.ts'
import { testnetCells } from '../field/places.ts'
import {
  type CheatGroup,
  type FieldCheat,
  type Resident,
  testnetResidents,
} from '../field/residents.ts'
import { initialDeposit, SimulatedChain, type SimulatedFallback } from './chain.ts'
import { VirtualClock } from './clock.ts'
import { SimulatedNetwork } from './network.ts'
import { MemoryPieces } from './pieces.ts'
import { Prng } from './prng.ts'
import { SimRadio } from './radio.ts'
import { localRandomness } from './randomness.ts'
import { memoReader } from './reader.ts'
import { MemoryStore } from './store.ts'
import { memoVerifier } from './verifier.ts'

export interface WorldInit {
  nodes: number
  /** The first so many offer disk. */
  providers: number
  /** The first so many have a radio. */
  gateways: number
  /** Radios of each that has one, each with a node key of its own; 1 unless given. */
  radiosPerNode?: number
  /** Everything random follows from it. */
  seed: number
  /** Share of deliveries lost, from 0 to below 1. */
  loss: number
  log(node: string): Log
  /** The testnet's unless given. */
  profile?: Profile
  /** By default every provider keeps a few pieces for the last node. */
  founding?(world: World): Promise<Founding>
  /** Cells that gateways register, by node index; a town's unless given. Radios stand in them. */
  cells?: readonly bigint[]
  /** Cells that machines stand in, by node index: what lies between takes time. Unless given, one room. */
  sites?: readonly bigint[]
  /** Of every delivery one way, ms; `LATENCY_MS` unless given. */
  latency?: { min: number; max: number }
  /** Nodes that run other code than the others, by node index. */
  cheats?: ReadonlyMap<number, Cheat>
  /** The last radios cheat in the field. */
  fieldCheats?: readonly CheatGroup[]
}

/** What the genesis checkpoint holds. */
export interface Founding {
  readonly deposits: readonly Deposit[]
  readonly deals: readonly Deal[]
}

/** Other code in a node's half of storage, in place of its own or around it. */
export interface Cheat {
  services?(own: KindServices): KindServices
  /** What it proves from; `own` holds what it was given. */
  pieces?(own: MemoryPieces, services: KindServices): Pieces
  half?(own: StorageNode, services: KindServices): NodeKind
}

/** Virtual time at which a world begins, ms since 1970: a fixed instant, so that runs are equal. */
const BEGINNING_MS = 1_767_225_600_000
/** From the beginning to genesis, for connections and the first block, s. */
const PREPARATION_S = 5
const CHAIN_ID = 31337n
const LATENCY_MS = { min: 5, max: 60 }
/** Glass fibre, one way. */
const METRES_PER_MS = 200_000
/** What the emulated antennas have, 0.1 dBi. */
const ANTENNA_GAIN = 20
const DEPOSIT = 1_000_000n * TOKEN
const PIECES_PER_PROVIDER = 2
/** Small: what a proof costs here grows with it, and what it shows does not. */
const PIECE_BYTES = 4_000
const PRICE_PER_EPOCH = TOKEN
const DEAL_EPOCHS = 100_000
const BOND = 100n * TOKEN

export interface SimulatedNode {
  readonly name: string
  readonly peer: string
  readonly node: CairnNode
  /** Puts, gets and repairs files. */
  readonly files: Files
}

/** What the simulator decides of one node before it exists. */
export interface Place {
  readonly name: string
  readonly index: number
  readonly signer: Signer
  /** 32 bytes that only this node knows. */
  readonly secret: Uint8Array
  /** What a grant leads to that is sealed for this node. */
  openGrant(text: string): Promise<FileLink>
  readonly chain: NonceChain
  readonly provider: boolean
  readonly gateway: boolean
  /** H3 index; 0n without a radio. */
  readonly cell: bigint
}

/** A further radio of a place: a registered node that its host speaks for. */
export interface TenantPlace
  extends Pick<Place, 'name' | 'index' | 'signer' | 'secret' | 'chain' | 'cell'> {
  /** Index of the place. */
  readonly host: number
}

interface HalvesInit {
  readonly services: KindServices
  readonly spool: Spool
  readonly measured: Measured
  readonly fetches: Fetches
}

export class World {
  readonly clock: VirtualClock
  readonly network: SimulatedNetwork
  readonly chain: SimulatedChain
  readonly nodes: SimulatedNode[] = []
  readonly genesis: number
  readonly profile: Profile
  readonly id: Uint8Array
  readonly registry: readonly RegistryEntry[]
  readonly places: readonly Place[]
  readonly tenants: readonly TenantPlace[]
  /** Who cheats in the field, by node index. */
  readonly fieldCheats: ReadonlyMap<number, FieldCheat>
  readonly #init: WorldInit
  readonly #verifier: Verifier
  readonly #reader = memoReader(plainReader)
  readonly #seed: Uint8Array
  readonly #stores = new Map<string, MemoryStore>()
  readonly #radios: SimRadio[] = []
  readonly #views: ReturnType<SimulatedChain['port']>[] = []
  readonly #shelves = new Map<number, MemoryPieces>()
  readonly #field: RadioField
  readonly #drand: DrandInit
  readonly #randomness: Randomness
  #settled: readonly Resident[] | undefined
  #begun: State | undefined

  constructor(init: WorldInit) {
    this.#init = init
    this.profile = init.profile ?? TESTNET_PROFILE
    this.#seed = derive(Uint8Array.of(), `seed ${init.seed}`)
    this.#verifier = memoVerifier(plainVerifier)
    this.clock = new VirtualClock({ start: BEGINNING_MS })
    this.genesis = BEGINNING_MS / 1_000 + PREPARATION_S
    this.id = networkId({
      chainId: CHAIN_ID,
      checkpoints: derive(this.#seed, 'checkpoints').slice(0, 20),
      genesis: BigInt(this.genesis),
    })
    this.network = new SimulatedNetwork(
      { clock: this.clock },
      {
        seed: derive(this.#seed, 'network'),
        latency: init.latency ?? LATENCY_MS,
        loss: init.loss,
        ...(init.sites === undefined ? {} : { way: wayBetween(init.sites) }),
      },
    )
    this.chain = new SimulatedChain(
      { clock: this.clock, verifier: this.#verifier },
      {
        seed: derive(this.#seed, 'chain'),
        blockSeconds: 1,
        network: this.id,
        parameters: new Map(PARAMETERS.map(({ name, of }) => [name, of(this.profile)])),
        fallback: this.#fallback(),
      },
    )
    const secret = derive(this.#seed, 'beacon')
    secret[0] = 0
    const rounds = { genesis: this.genesis - 1, period: 1 }
    const beacon = new LocalBeacon({ clock: this.clock }, { ...rounds, secret })
    this.#drand = { publicKey: beacon.publicKey, ...rounds }
    this.#randomness = localRandomness(beacon)
    this.places = Array.from({ length: init.nodes }, (_, index) => this.#place(index))
    this.tenants = this.places.flatMap(place => this.#tenants(place))
    for (const { index, provider } of this.places) {
      if (provider) this.#shelves.set(index, new MemoryPieces())
    }
    this.#field = new RadioField(
      { clock: this.clock },
      {
        seed: derive(this.#seed, 'field'),
        gateways: this.#residents().map(({ gateway }) => ({ ...gateway, gain: ANTENNA_GAIN })),
      },
    )
    const cheats = [...this.places, ...this.tenants].flatMap(({ name, index }) => {
      const { cheat } = this.#residents().find(known => known.name === name) ?? {}
      return cheat === undefined ? [] : [[index, cheat] as const]
    })
    this.fieldCheats = new Map(cheats)
    this.registry = this.chain.register([
      ...this.places.map(place => this.#registration(place)),
      ...this.tenants.map(tenant => {
        const { host: index } = tenant
        return this.#registration({ ...tenant, index, provider: false, gateway: true })
      }),
    ])
  }

  /** As long as on a testnet. */
  #fallback(): SimulatedFallback {
    const { slotMs, slotsPerEpoch } = this.profile
    const epoch = (slotMs * slotsPerEpoch) / 1_000
    return { genesis: this.genesis, after: 6 * epoch, window: 3 * epoch }
  }

  /** Stores the founding pieces, posts the genesis checkpoint and builds every node. */
  async begin(): Promise<void> {
    const { deposits, deals } = await (this.#init.founding?.(this) ?? this.#founding())
    this.chain.deposit(deposits.flatMap(initialDeposit))
    const founding = emptyState(KINDS)
    const genesis = founding.with(founding.core, new Map([[storageKind.code, storageWith(deals)]]))
    const committee = committeeWord(drawCommittee(this.registry, this.profile, undefined))
    const { rulesVersion } = this.profile
    this.chain.start(genesisCheckpoint({ state: genesis, kinds: KINDS, committee, rulesVersion }))
    this.#begun = genesis
    for (const place of this.places) this.nodes.push(this.#build(place, genesis))
  }

  /** Resolves when every node takes part; the clock must run meanwhile. */
  async start(): Promise<void> {
    for (const radio of this.#radios) await radio.start()
    for (const { files } of this.nodes) files.start()
    await Promise.all(this.nodes.map(({ node }) => node.start()))
  }

  /** What a provider was given to keep before the world began. */
  shelf(index: number): MemoryPieces {
    const shelf = this.#shelves.get(index)
    invariant(shelf !== undefined, `node ${index} offers disk`)
    return shelf
  }

  /** Where a node is paid to and its deposit is moved from, 20 bytes. */
  account(index: number): Uint8Array {
    return derive(this.#seed, `account ${index}`).slice(0, 20)
  }

  /** What a node's disk holds beside its pieces, while it runs and after. */
  store(name: string): MemoryStore {
    return this.#store(name)
  }

  /** Ends a node as a power cut does; what it stored stays. */
  crash(name: string): SimulatedNode | undefined {
    const at = this.nodes.findIndex(node => node.name === name)
    const [crashed] = this.nodes.splice(at, 1)
    if (crashed !== undefined) this.network.crash(crashed.peer)
    return crashed
  }

  /** Resolves when a node that was crashed has ended what it was at; its disks are lost or not. */
  async bury({ node, files }: SimulatedNode): Promise<void> {
    await files.stop()
    await node.stop()
  }

  /** A buried node begins again over its ledger; what it kept as a provider is lost. */
  async revive(name: string): Promise<SimulatedNode> {
    const place = this.places.find(known => known.name === name)
    invariant(place !== undefined && this.#begun !== undefined, `${name} is a node of the world`)
    if (place.provider) this.#shelves.set(place.index, new MemoryPieces())
    this.#store(name).reopen()
    const revived = this.#build(place, this.#begun)
    this.nodes.push(revived)
    revived.files.start()
    await revived.node.start()
    return revived
  }

  /** Takes every node's view of the chain away, or gives it back. */
  setChainDown(down: boolean): void {
    for (const view of this.#views) view.setDown(down)
  }

  #place(index: number): Place {
    const { providers, gateways } = this.#init
    const { identity, ...keys } = this.#keys(`node ${index}`)
    const gateway = index < gateways
    return {
      name: placeName(index),
      index,
      ...keys,
      openGrant: text => openGrant(text, identity),
      provider: index < providers,
      gateway,
      cell: gateway ? (this.#residents()[index]?.cell ?? 0n) : 0n,
    }
  }

  #tenants({ name, index, gateway }: Place): TenantPlace[] {
    const { nodes, gateways } = this.#init
    const more = gateway ? this.#radiosPerNode - 1 : 0
    return tenantNames(name, more).map((tenant, number) => {
      const place = index * more + number
      const { signer, secret, chain } = this.#keys(`node ${index} radio ${number + 1}`)
      return {
        name: tenant,
        index: nodes + place,
        host: index,
        signer,
        secret,
        chain,
        cell: this.#residents()[gateways + place]?.cell ?? 0n,
      }
    })
  }

  #keys(label: string) {
    const own = derive(this.#seed, label)
    const identity = derive(own, 'identity')
    const voting = derive(own, 'voting')
    // Below the group order whatever the hash.
    voting[0] = 0
    const secret = derive(own, 'secret')
    const signer: Signer = {
      identity: ed25519.publicKey(identity),
      voting: bls.publicKey(voting),
      signIdentity: root => ed25519.sign(root, identity),
      signVoting: message => bls.sign(message, voting),
    }
    const chain = new NonceChain({ secret, network: this.id, identity: signer.identity })
    return { identity, signer, secret, chain }
  }

  get #radiosPerNode(): number {
    return this.#init.radiosPerNode ?? 1
  }

  #halves(place: Place, { services, spool, measured, fetches }: HalvesInit): NodeKind[] {
    const { epochs, store } = services
    const cheat = this.#init.cheats?.get(place.index) ?? {}
    const shelf = this.#shelves.get(place.index)
    const radio = place.gateway ? this.#radio(place.name, store) : undefined
    const random = this.#random(String(place.index))
    const own = cheat.services?.(services) ?? services
    const storage = new StorageNode(
      {
        ...own,
        fetches,
        view: epochs,
        random,
        ...(shelf === undefined ? {} : { pieces: cheat.pieces?.(shelf, own) ?? shelf }),
      },
      {
        calendar: epochs.calendar,
        terms: {
          pricePerGiB: this.profile.storagePrice,
          longestDeal: DEAL_EPOCHS,
          largestPiece: PIECE_PAYLOAD_MAX,
        },
        maxPrice: this.profile.storagePrice,
        releaseProviders: false,
      },
    )
    servePieces(own.network, storage.shelf === undefined ? [spool] : [spool, storage.shelf])
    return [
      cheat.half?.(storage, own) ?? storage,
      new CoverageNode(
        {
          ...services,
          voice: this.#voice(place.name, services),
          view: epochs,
          measured,
          random,
          ...(radio === undefined ? {} : { radio }),
        },
        { calendar: epochs.calendar, chain: place.chain, secret: place.secret },
      ),
    ]
  }

  #tenantHalves(
    { name, chain, secret }: TenantPlace,
    { services, measured, fetches }: Omit<HalvesInit, 'spool'>,
  ): NodeKind[] {
    const all = { ...services, view: services.epochs }
    const { calendar } = services.epochs
    const radio = this.#radio(name, services.store)
    return [
      new StorageVerifier({ ...all, fetches }, { calendar }),
      new CoverageNode(
        {
          ...all,
          voice: this.#voice(name, services),
          radio,
          measured,
          random: this.#random(name),
        },
        { calendar, chain, secret },
      ),
    ]
  }

  /** What a radio's node says with: all but its reveals, where withholding them is its cheat. */
  #voice(gateway: string, { voice }: KindServices): Voice {
    const resident = this.#residents().find(({ name }) => name === gateway)
    return resident?.cheat === 'withheld' ? withholding(voice) : voice
  }

  #random(label: string): (length: number) => Uint8Array {
    const prng = new Prng(this.#seed, `random ${label}`)
    return length => Uint8Array.from({ length }, () => prng.u32() & 0xff)
  }

  #radio(gateway: string, store: Store): SimRadio {
    const components = { clock: this.clock, field: this.#field, store: store.sublevel('radio') }
    const radio = new SimRadio(components, { plan: EU868, gateway })
    this.#radios.push(radio)
    return radio
  }

  /** Every provider keeps a few pieces for one client from the first epoch on. */
  async #founding(): Promise<Founding> {
    const client = this.places.at(-1) as Place
    const { identity: key } = client.signer
    const deals: Deal[] = []
    for (const [index, pieces] of this.#shelves) {
      for (let number = 0; number < PIECES_PER_PROVIDER; number++) {
        const prng = new Prng(this.#seed, `piece ${index} ${number}`)
        const payload = Uint8Array.from({ length: PIECE_BYTES }, () => prng.u32() & 0xff)
        const piece = await pieces.put(once(payload))
        deals.push({
          client: key,
          provider: index,
          piece,
          group: derive(this.#seed, `group ${index}`),
          place: number,
          startEpoch: 0,
          endEpoch: DEAL_EPOCHS,
          pricePerEpoch: PRICE_PER_EPOCH,
          nonce: BigInt(number),
        })
      }
    }
    return { deposits: [{ account: this.account(client.index), key, amount: DEPOSIT }], deals }
  }

  #store(name: string): MemoryStore {
    const known = this.#stores.get(name)
    if (known !== undefined) return known
    const store = new MemoryStore()
    this.#stores.set(name, store)
    return store
  }

  /** Radios of places, then those of their tenants. */
  #residents(): readonly Resident[] {
    this.#settled ??= this.#settle()
    return this.#settled
  }

  #settle(): Resident[] {
    const { gateways, fieldCheats = [] } = this.#init
    const more = this.#radiosPerNode - 1
    const places = Array.from({ length: gateways }, (_, index) => placeName(index))
    const names = [...places, ...places.flatMap(name => tenantNames(name, more))]
    const cells = this.#init.cells ?? testnetCells(names.length, derive(this.#seed, 'cells'))
    const homes = names.flatMap((name, i) => {
      const at = cells[i]
      return at === undefined ? [] : [{ name, at }]
    })
    return testnetResidents(homes, fieldCheats, derive(this.#seed, 'claims'))
  }

  #registration({ signer, chain, provider, gateway, cell, index }: Omit<Place, 'openGrant'>) {
    const account = this.account(index)
    return {
      operator: account,
      payout: account,
      identity: signer.identity,
      voting: signer.voting,
      cell,
      region: gateway ? EU868.code : 0,
      subBand: 0,
      gain: gateway ? ANTENNA_GAIN : 0,
      kinds: (provider ? 1 << STORAGE : 0) | (gateway ? 1 << COVERAGE : 0),
      nonceEnd: chain.end,
      bond: BOND,
      exitAt: 0,
    }
  }

  #build(place: Place, genesis: State): SimulatedNode {
    const { name, signer } = place
    const peer = peerName(place.index)
    const log = this.#init.log(name)
    const entry = this.registry[place.index] as RegistryEntry
    const view = this.chain.port(entry.payout)
    this.#views.push(view)
    const network = this.network.join(peer)
    const store = this.#store(name)
    const spool = new Spool(new MemoryPieces())
    const peerOf = ({ index }: RegistryEntry) => peerName(index)
    const measured = new Measured({ network, peerOf })
    const fetches = new Fetches()
    const node = new CairnNode(
      {
        clock: this.clock,
        network,
        chain: view,
        randomness: this.#randomness,
        store,
        signer,
        verifier: this.#verifier,
        reader: this.#reader,
        log,
        count: () => {},
      },
      {
        network: this.id,
        profile: this.profile,
        genesis: this.genesis,
        drand: this.#drand,
        kinds: KINDS,
        halves: services => this.#halves(place, { services, spool, measured, fetches }),
        tenants: this.tenants
          .filter(({ host }) => host === place.index)
          .map(tenant => ({
            signer: tenant.signer,
            halves: services => this.#tenantHalves(tenant, { services, measured, fetches }),
          })),
        genesisState: async () => genesis.encode(),
        peerOf: ({ index }) => peerName(index),
      },
    )
    const shelf = this.#shelves.get(place.index)
    const desk = node.kinds.find(half => half instanceof StorageNode)
    invariant(desk !== undefined, 'storage is one of the halves')
    const prng = new Prng(this.#seed, `client ${name} ${this.clock.now()}`)
    const files = new Files(
      {
        node,
        network: desk.paying(),
        clock: this.clock,
        store: store.sublevel('files'),
        spool,
        unwanted: desk.unwanted,
        ...(shelf === undefined ? {} : { shelf }),
        signer,
        verifier: this.#verifier,
        log,
        peerOf: ({ index }) => peerName(index),
        random: length => Uint8Array.from({ length }, () => prng.u32() & 0xff),
        openGrant: text => place.openGrant(text),
        addressOf: () => undefined,
      },
      { network: this.id, profile: this.profile },
    )
    return { name, peer, node, files }
  }
}

async function* once(payload: Uint8Array): AsyncGenerator<Uint8Array> {
  yield payload
}

function placeName(index: number): string {
  return `node${index + 1}`
}

function tenantNames(place: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) => `${place}-${number + 1}`)
}

/** Never reveals a beacon. */
function withholding(voice: Voice): Voice {
  return {
    index: base => voice.index(base),
    say: async (type, codec, base, value) =>
      type === MessageType.beacon ? undefined : await voice.say(type, codec, base, value),
    sign: (type, codec, base, value) => voice.sign(type, codec, base, value),
    relay: envelope => voice.relay(envelope),
  }
}

/** Ms one way between the machines of two peers, by their places; each pair is looked at once. */
function wayBetween(sites: readonly bigint[]): (a: string, b: string) => number {
  const cells = new Map(sites.map((cell, index) => [peerName(index), cell]))
  const known = new Map<string, number>()
  return (a, b) => {
    const pair = `${a} ${b}`
    const [from, to] = [cells.get(a), cells.get(b)]
    if (from === undefined || to === undefined) return 0
    const way = known.get(pair) ?? Math.ceil(cellDistance(from, to) / METRES_PER_MS)
    known.set(pair, way)
    return way
  }
}

function peerName(index: number): string {
  return `peer${index + 1}`
}

/** 32 bytes that follow from others and a label. */
function derive(from: Uint8Array, label: string): Uint8Array {
  const text = new TextEncoder().encode(label)
  const bytes = new Uint8Array(from.length + text.length)
  bytes.set(from)
  bytes.set(text, from.length)
  return sha256(bytes)
}
