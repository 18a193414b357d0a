/**
 * A whole network on this machine: chain, contracts, randomness, nodes, packet forwarders and the
 * air between them, each real but for the air. Built in order, and taken down in reverse so that no
 * process and no port is left.
 */
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Anvil,
  anvilTransport,
  type ContractAddresses,
  checkpointsAbi,
  type DeployParameters,
  deployFunded,
  FUNDED_OPERATORS,
  startAnvil,
  TESTNET_PARAMETERS,
  testAccounts,
  testDeployer,
  testnetContracts,
} from '@cairn/contracts'
import {
  type Clock,
  type Daemon,
  encodeManifest,
  GATEWAYS_PER_DAEMON,
  HashPool,
  type Log,
  type Manifest,
  startDaemon,
  systemClock,
} from '@cairn/node'
import { makeDirectory } from '@cairn/node/directory'
import { acquireLock, type Lock } from '@cairn/node/lock'
import {
  Checkpoint,
  check,
  checkFounding,
  committeeWord,
  type Deal,
  deriveKeys,
  drawCommittee,
  emptyState,
  genesisCheckpoint,
  hex,
  KINDS,
  MessageType,
  mnemonicOf,
  type NodeKeys,
  networkId,
  type Profile,
  plainVerifier,
  type State,
  sha256,
  storageKind,
  storageWith,
  TESTNET_PROFILE,
  TOKEN,
  unhex,
} from '@cairn/protocol'
import {
  createPublicClient,
  createTestClient,
  createWalletClient,
  type Hex,
  parseEther,
  toHex,
} from 'viem'
import { LocalBeacon } from './beacon.ts'
import { ControlServer, controlToken, type Fault, type TestnetStatus } from './control.ts'
import { RadioField } from './field/field.ts'
import { VirtualForwarder } from './field/forwarder.ts'
import { testnetCells } from './field/places.ts'
import {
  type CheatGroup,
  type FieldCheat,
  type Resident,
  testnetResidents,
} from './field/residents.ts'
import { Monitor } from './monitor.ts'
import { depositAll } from './payouts.ts'
import { type RegistrationPlan, registerNodes } from './registration.ts'
import { RpcGate } from './rpc-gate.ts'
import { memoVerifier } from './sim/verifier.ts'
import {
  readTestnetFile,
  TESTNET_FILE,
  type TestnetFile,
  writeTestnetFile,
} from './testnet-file.ts'

export interface TestnetInit {
  dataDir: string
  nodes: number
  /** The first so many offer disk. */
  providers: number
  /** The first so many have a radio. */
  gateways: number
  /** Radios of each that has one, each with a node key of its own; 1 unless given. */
  radiosPerNode?: number
  seed: number
  /** The last gateways cheat in the radio field. */
  cheats?: readonly CheatGroup[]
  log: Log
  /** Seconds from now to genesis; `preparationOf(nodes)` unless given. */
  preparationS?: number
  /** What its contracts are deployed with beside the testnet's parameters; unless given, nothing. */
  parameters?: Partial<DeployParameters>
  /** What the network runs on; epochs of twelve seconds unless given. */
  profile?: Profile
  /** Told what has been done, a line each, for people. */
  progress?(text: string): void
}

/** What a testnet's antennas have, 0.1 dBi. */
const ANTENNA_GAIN = 20
const QUOTA_BYTES = 4 * 1024 ** 3
const DEPOSIT = 100_000n * TOKEN
const ACCOUNT_BALANCE = parseEther('100')
/** Start of everything before genesis: a part that is always there and one per node, s. */
const PREPARATION_S = 7
const PREPARATION_PER_NODE_S = 0.4
/** Whom a daemon of one's own meets first: more than the three that a node wants at least. */
const BOOTSTRAP_PEERS = 4
/** A machine that is busy takes many times the second that it takes otherwise. */
const MESH_TIMEOUT_MS = 60_000
const MESH_POLL_MS = 50
const STOP_TIMEOUT_MS = 15_000

/** A radio of a member. */
export interface MemberRadio {
  /** In the field. */
  readonly name: string
  /** Of the node that it belongs to. */
  readonly keys: NodeKeys
  readonly eui: string
  /** Where it is and what it is up to. */
  readonly resident: Resident
}

interface Member {
  readonly name: string
  readonly place: number
  readonly keys: NodeKeys
  readonly gate: RpcGate
  readonly rpc: string
  readonly dataDir: string
  /** The first belongs to the member itself. */
  readonly radios: readonly MemberRadio[]
  forwarders: VirtualForwarder[]
  daemon: Daemon | undefined
  /** By which `cairn --data-dir` finds the node. */
  lock: Lock | undefined
  /** Ports are kept over a restart, so that clients find the node again. */
  ports: { listen: string; api: number; gwmp: number }
}

export class Testnet {
  readonly monitor = new Monitor()
  readonly contracts: ContractAddresses
  readonly members: readonly Member[]
  readonly manifest: Manifest
  readonly rpcUrl: string
  /** Names of nodes that a fault touched: they may lag behind. */
  readonly disturbed = new Set<string>()
  readonly #parts: Parts
  readonly #init: TestnetInit
  /** One memo for the process: a round of randomness takes 20 ms to verify. */
  readonly #verifier = { ...plainVerifier, drand: memoVerifier(plainVerifier).drand }
  /** As many threads for all daemons as for one. */
  readonly #hashing = new HashPool()
  #control: ControlServer | undefined
  #path: string | undefined
  #down: () => void = () => {}
  #stopping: Promise<void> | undefined

  private constructor(init: TestnetInit, parts: Parts) {
    this.#init = init
    this.#parts = parts
    this.contracts = parts.contracts
    this.members = parts.members
    this.manifest = parts.manifest
    this.rpcUrl = parts.anvil.rpcUrl
  }

  /**
   * Resolves when every node runs and knows the others; genesis has not come yet. Whatever was
   * started is taken down again when something fails.
   */
  static async start(init: TestnetInit): Promise<Testnet> {
    check(
      init.nodes >= 1 && init.nodes <= FUNDED_OPERATORS,
      'badTestnet',
      `a testnet has 1 to ${FUNDED_OPERATORS} nodes`,
      { facts: { nodes: init.nodes } },
    )
    const { radiosPerNode = 1 } = init
    check(
      radiosPerNode >= 1 && radiosPerNode <= GATEWAYS_PER_DAEMON,
      'badTestnet',
      `a node has 1 to ${GATEWAYS_PER_DAEMON} radios`,
      { facts: { radiosPerNode } },
    )
    // The chain's state file holds them already.
    checkFounding(
      init.profile ?? TESTNET_PROFILE,
      new Map(TESTNET_PARAMETERS.parameters.map(({ name, value }) => [name, value])),
    )
    await claimDirectory(init.dataDir)
    const parts = await prepare(init)
    const testnet = new Testnet(init, parts)
    try {
      await testnet.#startAll()
      init.progress?.(`${init.nodes} nodes up, each connected to all others`)
      return testnet
    } catch (error) {
      await testnet.stop()
      throw error
    }
  }

  /** Path of `testnet.json`. */
  get path(): string {
    return this.#path as string
  }

  /** Who cheats in the radio field, by node index. */
  fieldCheats(): Map<number, FieldCheat> {
    const indices = new Map(this.#registry().map(entry => [hex(entry.identity), entry.index]))
    const cheats = this.members.flatMap(({ radios }) =>
      radios.flatMap(({ keys, resident: { cheat } }) => {
        const index = indices.get(hex(keys.identity.publicKey))
        return index === undefined || cheat === undefined ? [] : [[index, cheat] as const]
      }),
    )
    return new Map(cheats)
  }

  daemon(name: string): Daemon {
    const { daemon } = this.#member(name)
    check(daemon !== undefined, 'nodeStopped', `${name} is stopped`, {
      next: `start it with \`cairn testnet fault start ${name}\``,
    })
    return daemon
  }

  /** Daemons that run, by the order of their names. */
  running(): { name: string; daemon: Daemon }[] {
    return this.members.flatMap(({ name, daemon }) => (daemon ? [{ name, daemon }] : []))
  }

  /** Does what belongs before genesis; where that fails for coming late, says so: `genesisPassed`. */
  async early<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#requireEarly(error)
      throw error
    }
  }

  /** Posts the genesis checkpoint with the deals that were made until now. Once, before genesis. */
  async begin(): Promise<void> {
    const { manifest } = this.#parts
    const state = this.#genesisState()
    await writeFile(join(this.#init.dataDir, manifest.genesisState), state.encode())
    const registry = this.#registry()
    const committee = committeeWord(drawCommittee(registry, manifest.profile, undefined))
    const { rulesVersion } = manifest.profile
    const checkpoint = genesisCheckpoint({ state, kinds: KINDS, committee, rulesVersion })
    this.#requireEarly()
    const transport = anvilTransport(this.rpcUrl)
    const { account } = testDeployer()
    const wallet = createWalletClient({ transport, account })
    const hash = await wallet.writeContract({
      address: this.contracts.checkpoints,
      abi: checkpointsAbi,
      functionName: 'start',
      args: [BigInt(manifest.genesis), toHex(committee), toHex(Checkpoint.serialize(checkpoint))],
      chain: null,
    })
    const client = createPublicClient({ transport, pollingInterval: 100 })
    const receipt = await client.waitForTransactionReceipt({ hash })
    // The contract refuses a genesis that has passed when the block is made.
    if (receipt.status !== 'success') this.#requireEarly()
    check(receipt.status === 'success', 'startReverted', 'Checkpoints.start was refused')
  }

  /** Serves the control routes and writes `testnet.json`; `down` is called when somebody asks. */
  async open(down: () => void): Promise<string> {
    this.#down = down
    const tokenPath = join(this.#init.dataDir, 'control.token')
    const token = await controlToken(tokenPath)
    this.#control = new ControlServer(
      {
        target: {
          fault: (fault, nodes) => this.fault(fault, nodes),
          status: () => this.status(),
          down: () => this.#down(),
        },
      },
      { token },
    )
    const url = await this.#control.listen()
    this.#path = await writeTestnetFile(this.#init.dataDir, this.#file({ url, tokenPath }))
    return this.#path
  }

  /** Rejects with `testnetStopped` once it is being taken down. */
  async fault(fault: Fault, names: readonly string[]): Promise<object> {
    check(this.#stopping === undefined, 'testnetStopped', 'the testnet is being taken down')
    const members = names.map(name => this.#member(name))
    check(fault === 'heal' || members.length > 0, 'badRequest', 'name at least one node')
    for (const { name } of members) this.disturbed.add(name)
    for (const member of members) {
      if (fault === 'stop') await this.#stopMember(member)
      if (fault === 'start') await this.#startMember(member)
      if (fault === 'rpc-down') member.gate.setOpen(false)
      if (fault === 'rpc-up') member.gate.setOpen(true)
    }
    if (fault === 'partition') this.#partition(members)
    if (fault === 'heal') for (const { daemon } of this.running()) daemon.network.isolate(undefined)
    return { fault, nodes: names }
  }

  async status(): Promise<TestnetStatus> {
    const nodes = await Promise.all(
      this.members.map(async ({ name, daemon, gate }) => ({
        name,
        running: daemon !== undefined,
        rpc: gate.open,
        ...(daemon === undefined
          ? {}
          : {
              peers: daemon.network.peers().length,
              accepted: daemon.node.checkpointer.adopted,
            }),
      })),
    )
    return {
      network: hex(this.#parts.network),
      genesis: this.manifest.genesis,
      nodes,
      violations: this.monitor.violations,
    }
  }

  /** Takes everything down in reverse; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #startAll(): Promise<void> {
    const { clock } = this.#parts
    // The first one is whom the others meet.
    for (const member of this.members.slice(0, 1)) await this.#startMember(member)
    await Promise.all(this.members.slice(1).map(member => this.#startMember(member)))
    const until = clock.now() + MESH_TIMEOUT_MS
    const wanted = this.members.length - 1
    while (this.running().some(({ daemon }) => daemon.network.peers().length < wanted)) {
      check(clock.now() < until, 'meshTimeout', 'the nodes did not find each other', {
        facts: {
          wanted,
          least: Math.min(...this.running().map(n => n.daemon.network.peers().length)),
        },
      })
      await clock.until(clock.now() + MESH_POLL_MS)
    }
    await writeFile(this.#manifestPath, encodeManifest(this.#manifestForOthers()))
  }

  /** With the peers to meet first, whose ports are known only once they run. */
  #manifestForOthers(): Manifest {
    const peers = this.running().slice(0, BOOTSTRAP_PEERS)
    return { ...this.manifest, bootstrap: peers.flatMap(peer => peer.daemon.network.addresses()) }
  }

  get #manifestPath(): string {
    return join(this.#init.dataDir, MANIFEST_FILE)
  }

  async #startMember(member: Member): Promise<void> {
    if (member.daemon !== undefined) return
    const { clock, field, manifest, log } = this.#parts
    const { providers } = this.#init
    const { name, place, ports, radios } = member
    await makeDirectory(member.dataDir)
    member.lock ??= await acquireLock(member.dataDir, process.pid, {
      stopWith: `cairn testnet fault stop ${name} --dir ${this.#init.dataDir}`,
    })
    const first = this.members[0]?.daemon?.network.addresses() ?? []
    const daemon = await startDaemon({
      dataDir: member.dataDir,
      manifest,
      manifestDir: this.#init.dataDir,
      keys: member.keys,
      listen: [ports.listen],
      bootstrap: first,
      apiPort: ports.api,
      rpc: [member.rpc],
      ...(place < providers
        ? {
            storage: {
              volumes: [{ location: join(member.dataDir, 'pieces'), quotaBytes: QUOTA_BYTES }],
            },
          }
        : {}),
      ...(radios.length === 0
        ? {}
        : {
            radio: {
              host: '127.0.0.1',
              port: ports.gwmp,
              gateways: radios.map(({ keys, eui }) => ({
                ...(keys === member.keys ? {} : { keys }),
                eui,
                gain: ANTENNA_GAIN,
              })),
            },
          }),
      colocationWeight: 0,
      privateAddresses: true,
      log: log.child({ node: name }),
      verifier: this.#verifier,
      hashing: this.#hashing,
    })
    member.daemon = daemon
    if (this.#stopping !== undefined) {
      await this.#stopMember(member)
      return
    }
    await member.lock.publish(daemon.api)
    member.ports = {
      listen: withoutPeer(daemon.network.addresses()[0] ?? ports.listen),
      api: Number(new URL(daemon.api.url).port),
      gwmp: daemon.gwmpPort ?? 0,
    }
    for (const { name: gateway, eui, resident } of daemon.gwmpPort === undefined ? [] : radios) {
      const server = { host: '127.0.0.1', port: daemon.gwmpPort as number }
      // The daemon is an honest one: what it does not know to be sent it does not reveal.
      const silent = resident.cheat === 'withheld'
      const forwarder = new VirtualForwarder({ clock, field }, { gateway, eui, server, silent })
      member.forwarders.push(forwarder)
      await forwarder.start()
    }
    this.monitor.watch(name, daemon.node)
  }

  async #stopMember(member: Member): Promise<void> {
    const { daemon, lock } = member
    const forwarders = member.forwarders.splice(0)
    member.daemon = undefined
    member.lock = undefined
    this.monitor.unwatch(member.name)
    for (const forwarder of forwarders) await forwarder.stop()
    await daemon?.stop()
    await lock?.release()
  }

  /** The named nodes on one side, all others on the other. */
  #partition(members: readonly Member[]): void {
    const inside = new Set(members.map(({ name }) => name))
    const peers = (within: boolean) =>
      this.running()
        .filter(({ name }) => inside.has(name) === within)
        .map(({ daemon }) => daemon.network.self)
    for (const { name, daemon } of this.running()) daemon.network.isolate(peers(!inside.has(name)))
  }

  async #stopAll(): Promise<void> {
    const { beacon, anvil, clock } = this.#parts
    await this.#control?.stop()
    const stops = this.members.map(member => this.#stopMember(member))
    const limit = new AbortController()
    const late = clock.until(clock.now() + STOP_TIMEOUT_MS, limit.signal).catch(() => {})
    await Promise.race([Promise.allSettled(stops), late])
    limit.abort()
    for (const { gate } of this.members) await gate.stop()
    await this.#hashing.close()
    await beacon.stop()
    await anvil.stop()
    if (this.#path !== undefined) await rm(this.#path, { force: true })
  }

  /** Throws `genesisPassed` once it is too late for what a network begins with. */
  #requireEarly(cause?: unknown): void {
    const { manifest, clock } = this.#parts
    const late = clock.now() - manifest.genesis * 1_000
    check(late < 0, 'genesisPassed', `${Math.ceil(late)} ms after genesis it was not ready`, {
      next: 'start it with fewer nodes, or on a machine that is less busy',
      cause,
    })
  }

  #member(name: string): Member {
    const member = this.members.find(candidate => candidate.name === name)
    check(member !== undefined, 'unknownNode', `no node is called ${name}`, {
      facts: { name, known: this.members.map(known => known.name).join(' ') },
    })
    return member
  }

  /** Every deal that any node knows. */
  #genesisState(): State {
    const deals = new Map<string, Deal>()
    for (const { daemon } of this.running()) {
      for (const { id, value } of daemon.node.ingest.pendingStanding<Deal>(MessageType.deal)) {
        deals.set(hex(id), value)
      }
    }
    const state = emptyState(KINDS)
    return state.with(state.core, new Map([[storageKind.code, storageWith([...deals.values()])]]))
  }

  #registry() {
    const chain = this.running()[0]?.daemon.chain
    const head = chain?.head()
    return chain === undefined || head === undefined ? [] : chain.registryAt(head.number)
  }

  #file(control: TestnetFile['control']): TestnetFile {
    const { anvil, beacon, beaconUrl, network, manifest } = this.#parts
    const registry = this.#registry()
    return {
      schema: 1,
      pid: process.pid,
      network: hex(network),
      manifest: this.#manifestPath,
      control,
      chain: {
        rpc: anvil.rpcUrl,
        chainId: manifest.chain.chainId,
        contracts: this.contracts,
        accounts: [testDeployer(), ...testAccounts(this.members.length)].map(
          ({ address, privateKey }) => ({ address, privateKey }),
        ),
      },
      randomness: { url: beaconUrl, publicKey: hex(beacon.publicKey) },
      nodes: this.running().map(({ name, daemon }) => {
        const { keys, dataDir } = this.#member(name)
        const identity = hex(keys.identity.publicKey)
        const entry = registry.find(candidate => hex(candidate.identity) === identity)
        return {
          name,
          peerId: daemon.network.self,
          index: entry?.index ?? 0,
          multiaddrs: daemon.network.addresses(),
          api: daemon.api.url,
          tokenPath: daemon.api.tokenPath,
          gwmp: daemon.gwmpPort === undefined ? null : `127.0.0.1:${daemon.gwmpPort}`,
          dataDir,
        }
      }),
    }
  }
}

/** What stands before the first node does. */
interface Parts {
  clock: Clock
  log: Log
  anvil: Anvil
  contracts: ContractAddresses
  beacon: LocalBeacon
  beaconUrl: string
  network: Uint8Array
  manifest: Manifest
  field: RadioField
  members: Member[]
}

const MANIFEST_FILE = 'network.json'
/** Says that a directory is a testnet's, and may be emptied by the next one. */
const MARKER_FILE = 'cairn-testnet'

/** Empties the directory of an earlier testnet. Throws `testnetRunning` or `notTestnet`. */
async function claimDirectory(dataDir: string): Promise<void> {
  await makeDirectory(dataDir)
  const entries = await readdir(dataDir)
  check(
    entries.length === 0 || entries.includes(MARKER_FILE),
    'notTestnet',
    `${dataDir} holds something else than a testnet`,
    {
      facts: { dataDir },
      next: 'name an empty directory with --dir: a testnet empties its own when it starts',
    },
  )
  if (entries.includes(TESTNET_FILE)) {
    const pid = await readTestnetFile(dataDir).then(
      file => file.pid,
      () => undefined,
    )
    check(pid === undefined || !isAlive(pid), 'testnetRunning', `a testnet runs from ${dataDir}`, {
      facts: { dataDir, pid },
      next: 'end it with `cairn testnet down`, or name another directory with --dir',
    })
  }
  for (const entry of entries) await rm(join(dataDir, entry), { recursive: true, force: true })
  await writeFile(join(dataDir, MARKER_FILE), '')
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Those of the chain's state, or others with parameters of their own. */
async function contractsOf(
  { rpcUrl }: Anvil,
  { parameters, nodes: operators }: TestnetInit,
): Promise<ContractAddresses> {
  if (parameters === undefined) return testnetContracts()
  return await deployFunded({ rpcUrl, parameters, operators })
}

async function prepare(init: TestnetInit): Promise<Parts> {
  const clock = systemClock()
  const anvil = await startAnvil({ genesis: 'testnet' })
  init.progress?.(`chain ready at ${anvil.rpcUrl}, with the contracts`)
  const gates: RpcGate[] = []
  let beacon: LocalBeacon | undefined
  try {
    const contracts = await contractsOf(anvil, init)
    const preparation = init.preparationS ?? preparationOf(init.nodes)
    const genesis = Math.floor(clock.now() / 1_000) + preparation
    const network = networkId({
      chainId: BigInt(anvil.chainId),
      checkpoints: unhex(contracts.checkpoints),
      genesis: BigInt(genesis),
    })
    const words = Array.from({ length: init.nodes }, (_, place) =>
      mnemonicOf(derive(init.seed, `node ${place}`)),
    )
    const keys = words.map(mnemonic => deriveKeys(mnemonic))
    const radiosPerNode = init.radiosPerNode ?? 1
    const drand = { genesis: genesis - 1, period: 1 }
    beacon = new LocalBeacon({ clock }, { secret: scalar(init.seed, 'beacon'), ...drand })
    const beaconUrl = await beacon.listen()
    const manifest: Manifest = {
      name: 'testnet',
      chain: { chainId: anvil.chainId, rpc: [anvil.rpcUrl], contracts, finality: 0 },
      genesis,
      drand: { publicKey: beacon.publicKey, ...drand, url: beaconUrl },
      bootstrap: [],
      profileName: 'testnet',
      profile: init.profile ?? TESTNET_PROFILE,
      genesisState: 'genesis.ssz',
    }
    const cells = testnetCells(init.gateways * radiosPerNode, derive(init.seed, 'cells'))
    const residents = testnetResidents(
      cells.map((at, i) => ({
        name: radioName(i % init.gateways, Math.floor(i / init.gateways)),
        at,
      })),
      init.cheats ?? [],
      derive(init.seed, 'claims'),
    )
    const members: Member[] = []
    for (let place = 0; place < init.nodes; place++) {
      const gate = new RpcGate(anvil.rpcUrl)
      gates.push(gate)
      const name = radioName(place, 0)
      const own = keys[place] as NodeKeys
      const radios = Array.from(
        { length: place < init.gateways ? radiosPerNode : 0 },
        (_, number) => ({
          name: radioName(place, number),
          keys: number === 0 ? own : deriveKeys(words[place] as string, number),
          eui: eui(place, number),
          resident: residents[number * init.gateways + place] as Resident,
        }),
      )
      members.push({
        name,
        place,
        keys: own,
        gate,
        rpc: await gate.listen(),
        dataDir: join(init.dataDir, name),
        radios,
        forwarders: [],
        daemon: undefined,
        lock: undefined,
        ports: { listen: '/ip4/127.0.0.1/tcp/0', api: 0, gwmp: 0 },
      })
    }
    const field = new RadioField(
      { clock },
      {
        seed: derive(init.seed, 'field'),
        gateways: residents.map(({ gateway }) => ({ ...gateway, gain: ANTENNA_GAIN })),
      },
    )
    await fund(anvil.rpcUrl, members)
    await depositAll(
      { rpcUrl: anvil.rpcUrl, chainId: anvil.chainId, contracts },
      keys.map(own => ({ ...own, amount: DEPOSIT })),
    )
    const operators = testAccounts(init.nodes)
    await registerNodes({
      rpcUrl: anvil.rpcUrl,
      chainId: anvil.chainId,
      contracts,
      network,
      plans: [
        ...members.map(({ keys, place, radios: [radio] }) => ({
          keys,
          operator: operators[place] as RegistrationPlan['operator'],
          cell: radio?.resident.cell ?? 0n,
          provider: place < init.providers,
          gateway: radio !== undefined,
          gain: ANTENNA_GAIN,
        })),
        ...members.flatMap(({ place, radios: [, ...further] }) =>
          further.map(({ keys, resident }) => ({
            keys,
            operator: operators[place] as RegistrationPlan['operator'],
            cell: resident.cell,
            provider: false,
            gateway: true,
            gain: ANTENNA_GAIN,
          })),
        ),
      ],
    })
    const log = init.log
    return { clock, log, anvil, contracts, beacon, beaconUrl, network, manifest, field, members }
  } catch (error) {
    for (const gate of gates) await gate.stop()
    await beacon?.stop()
    await anvil.stop()
    throw error
  }
}

/** Of a member's first radio the member's own. */
function radioName(place: number, number: number): string {
  return number === 0 ? `node${place + 1}` : `node${place + 1}-${number}`
}

/** Seconds in which a machine that is not busy brings up so many nodes. */
export function preparationOf(nodes: number): number {
  return Math.ceil(PREPARATION_S + PREPARATION_PER_NODE_S * nodes)
}

/** Ether for the accounts that land checkpoints. */
async function fund(rpcUrl: string, members: readonly Member[]): Promise<void> {
  const client = createTestClient({ mode: 'anvil', transport: anvilTransport(rpcUrl) })
  for (const { keys } of members) {
    await client.setBalance({ address: toHex(keys.account.address) as Hex, value: ACCOUNT_BALANCE })
  }
}

/** 32 bytes that follow from the testnet's seed and a label. */
export function derive(seed: number, label: string): Uint8Array {
  return sha256(new TextEncoder().encode(`cairn testnet ${seed} ${label}`))
}

function scalar(seed: number, label: string): Uint8Array {
  const secret = derive(seed, label)
  // Below the group order whatever the hash.
  secret[0] = 0
  return secret
}

function eui(place: number, number: number): string {
  return (0xca1_0000_0000n + BigInt(number * 0x1_0000 + place + 1)).toString(16).padStart(16, '0')
}

function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '')
}
