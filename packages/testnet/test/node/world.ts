/**
 * Whole nodes of a small network with the trivial kind, over simulated ports and with real keys; and
 * what stands beside them: peers that answer as a test tells them, and messages made up from outside.
 */
import { strict as assert } from 'node:assert'
import {
  CairnNode,
  type Chain,
  type Clock,
  type ClosingMark,
  type KindServices,
  type Log,
  type Network,
  type NodeKind,
  type Randomness,
  type Store,
  signerOf,
} from '@cairn/node'
import {
  beaconKey,
  committeeWord,
  type Deposit,
  drawCommittee,
  type EpochBase,
  emptyState,
  epochSeed,
  epochStart,
  genesisCheckpoint,
  type Kind,
  MessageType,
  type Profile,
  plainVerifier,
  proposerOf,
  type RegistryEntry,
  randomnessOf,
  roundAt,
  Seal,
  type State,
  sha256,
  signRound,
  slotStart,
  TESTNET_PROFILE,
  Verdict,
} from '@cairn/protocol'
import { initialDeposit, MemoryStore, SimulatedNetwork, VirtualClock } from '@cairn/testnet'
import {
  bytes32,
  entryOf,
  GENESIS,
  identitySecret,
  KernelWorld,
  NETWORK,
  votingSecret,
} from '../../../protocol/test/kernel-world.ts'
import { ECHO, echo } from '../../../protocol/test/kinds/trivial.ts'
import { SimulatedChain } from '../../src/sim/chain.ts'
import { memoVerifier } from '../../src/sim/verifier.ts'

export const echoKind = echo as unknown as Kind<unknown>
export const peerName = (index: number) => `peer${index}`

/** Before genesis, for blocks that the first epochs rest on, s. */
const PREPARATION_S = 5
const BEACON_SECRET = bytes32('beacon').with(0, 0)
export const DRAND = { publicKey: beaconKey(BEACON_SECRET), genesis: GENESIS - 1, period: 1 }

/** One memo for every world: keys and rounds are the same in all of them. */
const verifier = memoVerifier(plainVerifier)
const rounds = new Map<number, Uint8Array>()

export function roundSignature(round: number): Uint8Array {
  const signature = rounds.get(round) ?? signRound(BEACON_SECRET, round)
  rounds.set(round, signature)
  return signature
}

export interface Line {
  level: 'error' | 'warn' | 'info' | 'debug'
  facts: Record<string, unknown>
  text: string
}

/** Keeps what is logged, so that a test can say that nothing went wrong. */
function journalLog(lines: Line[]): Log {
  const at = (level: Line['level']) => (facts: object, text: string) => {
    lines.push({ level, facts: facts as Record<string, unknown>, text })
  }
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => journalLog(lines),
  }
}

export interface WorldInit {
  /** What the chain began with; nothing to vote on unless given. */
  parameters?: ReadonlyMap<string, bigint>
  /** What happens on the chain before the network's start. */
  before?(chain: SimulatedChain): void
  /** The genesis checkpoint names the block that the first epochs rest on: that before `before`. */
  named?: true
  /** Registered; a test starts those that it needs. */
  nodes?: number
  entry?: (index: number) => Partial<RegistryEntry>
  kinds?: readonly Kind<unknown>[]
  profile?: Partial<Profile>
  deposits?: readonly Deposit[]
  genesisState?: (founding: State) => State
  loss?: number
  /** Of every delivery one way, ms; 1 to 5 unless given. */
  latency?: { min: number; max: number }
  /** Everything that the network does by chance follows from it. */
  seed?: string
  /** Of checkpoints, s. */
  activationDelay?: number
  /** When nodes check in where none signs, s; never unless given. */
  fallback?: { after: number; window: number }
}

export interface NodeInit {
  halves?: (services: KindServices) => NodeKind[]
  store?: MemoryStore
  /** Its peer id, where it is not the one that goes with its keys. */
  peer?: string
  mark?: ClosingMark
  /** Where it is not the world's. */
  clock?: Clock
  /** What stands between the node and its store. */
  wrapStore?: (store: Store) => Store
  wrapNetwork?: (network: Network) => Network
  randomness?: Randomness
  archive?: boolean
  genesisState?: () => Promise<Uint8Array | undefined>
}

export interface WorldNode {
  readonly index: number
  readonly node: CairnNode
  readonly store: MemoryStore
  readonly chain: Chain & { setDown(down: boolean): void }
  readonly network: Network
  readonly lines: Line[]
  /** By `outcome/reason`. */
  readonly counts: Map<string, number>
}

export class NodeWorld {
  readonly clock = new VirtualClock({ start: (GENESIS - PREPARATION_S) * 1_000 })
  readonly network: SimulatedNetwork
  readonly chain: SimulatedChain
  readonly kinds: readonly Kind<unknown>[]
  readonly profile: Profile
  readonly registry: readonly RegistryEntry[]
  readonly genesis: State

  constructor(init: WorldInit = {}) {
    const { clock } = this
    this.kinds = init.kinds ?? [echoKind]
    this.profile = { ...TESTNET_PROFILE, weights: { [ECHO]: 1 }, ...init.profile }
    this.network = new SimulatedNetwork(
      { clock },
      {
        seed: bytes32(init.seed ?? 'network'),
        latency: init.latency ?? { min: 1, max: 5 },
        loss: init.loss ?? 0,
      },
    )
    this.chain = new SimulatedChain(
      { clock, verifier },
      {
        seed: bytes32('chain'),
        blockSeconds: 1,
        network: NETWORK,
        activationDelay: init.activationDelay ?? 0,
        parameters: init.parameters ?? new Map(),
        ...(init.fallback && { fallback: { genesis: GENESIS, ...init.fallback } }),
      },
    )
    this.registry = this.chain.register(
      Array.from({ length: init.nodes ?? 4 }, (_, index) => {
        const { index: _index, registeredAt: _at, ...entry } = entryOf(index, init.entry?.(index))
        return entry
      }),
    )
    this.chain.deposit((init.deposits ?? []).flatMap(initialDeposit))
    const founding = emptyState(this.kinds)
    this.genesis = init.genesisState?.(founding) ?? founding
    const committee = committeeWord(drawCommittee(this.registry, this.profile, undefined))
    const { rulesVersion } = this.profile
    const base = init.named && this.chain.setParameters({})
    init.before?.(this.chain)
    this.chain.start(
      genesisCheckpoint({
        state: this.genesis,
        kinds: this.kinds,
        committee,
        rulesVersion,
        ...(base && { base: { number: base.number, hash: base.hash } }),
      }),
    )
  }

  /** Builds a node; `start` or `open` it. */
  node(index: number, init: NodeInit = {}): WorldNode {
    const { clock, kinds, profile } = this
    const entry = this.registry[index]
    const store = init.store ?? new MemoryStore()
    const lines: Line[] = []
    const counts = new Map<string, number>()
    const joined = this.network.join(init.peer ?? peerName(index))
    const network = init.wrapNetwork?.(joined) ?? joined
    const chain = this.chain.port(entry?.payout ?? new Uint8Array(20))
    const node = new CairnNode(
      {
        clock: init.clock ?? clock,
        network,
        chain,
        randomness: init.randomness ?? this.randomness(),
        store: init.wrapStore?.(store) ?? store,
        ...(init.mark && { mark: init.mark }),
        signer: signerIn(index),
        verifier,
        log: journalLog(lines),
        count: (outcome, reason) => {
          const key = `${outcome}/${reason}`
          counts.set(key, (counts.get(key) ?? 0) + 1)
        },
      },
      {
        network: NETWORK,
        profile,
        genesis: GENESIS,
        drand: DRAND,
        kinds,
        halves: init.halves ?? (services => [echoHalf(services)]),
        genesisState: init.genesisState ?? (async () => this.genesis.encode()),
        peerOf: ({ index }) => peerName(index),
        archive: init.archive ?? false,
      },
    )
    return { index, node, store, chain, network, lines, counts }
  }

  /** A node that takes messages in and does nothing of its own. */
  async listener(index: number, init: NodeInit = {}): Promise<WorldNode> {
    const built = this.node(index, { halves: () => [], ...init })
    await built.node.ledger.open()
    await built.node.ingest.start()
    await built.network.start()
    return built
  }

  async start(...indices: number[]): Promise<WorldNode[]> {
    const nodes = indices.map(index => this.node(index))
    await Promise.all(nodes.map(({ node }) => node.start()))
    return nodes
  }

  /** Rounds signed once they are due. */
  randomness(): Randomness {
    return {
      round: async round => {
        const due = (DRAND.genesis + (round - 1) * DRAND.period) * 1_000
        return this.clock.now() < due ? undefined : roundSignature(round)
      },
    }
  }

  /** Ms since 1970. */
  time(epoch: number, slot = 0, ms = 0): number {
    return slotStart({ genesis: GENESIS, profile: this.profile }, epoch, slot) + ms
  }

  epochStart(epoch: number): number {
    return epochStart({ genesis: GENESIS, profile: this.profile }, epoch)
  }

  /** Runs everything that is due until then. */
  async run(epoch: number, slot = 0, ms = 0): Promise<void> {
    await this.clock.run({ until: this.time(epoch, slot, ms) })
  }

  /** Runs the clock until the promise is settled. */
  async until<T>(promise: Promise<T>, seconds = 60): Promise<T> {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    const end = this.clock.now() + seconds * 1_000
    while (!settled && this.clock.now() < end) {
      await this.clock.run({ until: this.clock.now() + 10 })
    }
    if (!settled) throw new Error(`not settled within ${seconds} s of the world's time`)
    return await promise
  }

  /** The base of an epoch as a node found it. */
  async base({ node }: WorldNode, epoch: number): Promise<EpochBase> {
    const base = await this.until(node.epochs.resolve(epoch))
    if (base === undefined) throw new Error(`no base of epoch ${epoch}`)
    return base
  }

  seed(epoch: number): Uint8Array {
    const round = roundAt({ ...DRAND, seconds: this.epochStart(epoch) / 1_000 })
    const randomness = randomnessOf(roundSignature(round))
    return epochSeed({ network: NETWORK, epoch, randomness })
  }

  /** Node index of a round's proposer, as those know it who know the next seed. */
  proposer(epoch: number, round = 0): number {
    const committee = drawCommittee(this.registry, this.profile, undefined)
    return proposerOf(committee, this.seed(epoch + 1), round) as number
  }

  /** Makes messages of the nodes that rest on a base. */
  authors(base: EpochBase): KernelWorld {
    return new KernelWorld({ base, kinds: this.kinds, profile: this.profile })
  }
}

export function signerIn(index: number) {
  const { identity, voting } = entryOf(index)
  return signerOf({
    identity: { secret: identitySecret(index), publicKey: identity },
    voting: { secret: votingSecret(index), publicKey: voting },
  })
}

/** A node's half of the trivial kind: seals what it is asked, and takes every answer for right. */
function echoHalf({ clock, voice, epochs }: KindServices): NodeKind {
  return {
    kind: echoKind,
    challenged({ id, value }, base) {
      const { sealSlot, skewMs } = base.profile
      clock.at(slotStart(epochs.calendar, base.epoch, sealSlot) + skewMs, () => {
        void voice.say(MessageType.seal, Seal, base, {
          kind: ECHO,
          challenge: id,
          proofRoot: sha256(value.output),
        })
      })
    },
    attest: async () => ({ verdict: Verdict.pass, reason: 0, evidence: new Uint8Array() }),
  }
}

/** Lines that an operator would be told of. */
export function complaints(nodes: readonly WorldNode[]): Line[] {
  return nodes.flatMap(({ lines }) => lines.filter(({ level }) => level === 'error'))
}

/** The last one that the chain accepted; -1: none. */
export function lastEpoch({ chain }: NodeWorld): number {
  return chain.accepted.at(-1)?.epoch ?? -1
}

/** Epochs whose checkpoint a committee signed that had formed for it. */
export function formed({ chain }: NodeWorld): number[] {
  return chain.accepted.flatMap(({ epoch, formed }) => (formed === undefined ? [] : [epoch]))
}

/** Epochs whose sum a node does not come to itself; what was accepted before it began is left out. */
export async function wrongSums({
  world,
  nodes,
}: {
  world: NodeWorld
  nodes: readonly WorldNode[]
}): Promise<string[]> {
  const wrong: string[] = []
  for (const { index, node } of nodes) {
    assert.equal(node.checkpointer.adopted, lastEpoch(world))
    for (let epoch = 0; epoch <= lastEpoch(world); epoch++) {
      const redone = await world.until(node.settlements.recompute(epoch))
      if (redone?.equal !== true) wrong.push(`node ${index} epoch ${epoch}`)
    }
  }
  return wrong
}
