/** Nodes that do storage and nothing else, over simulated ports, in one epoch. */
import {
  type Candidate,
  Client,
  type ClientComponents,
  type DealKeys,
  type Log,
  type Network,
  type OwnTerms,
  pullRange,
  Spool,
  StandingMessages,
  StorageNode,
  servePieces,
  signerOf,
  standingMessage,
  type Voice,
} from '@cairn/node'
import {
  Attestation,
  bls,
  CairnError,
  Challenge,
  type Codec,
  challengeInput,
  challengeRecords,
  type Deal,
  type Deposit,
  decode,
  type Envelope,
  type EpochBase,
  type EpochMessage,
  ed25519,
  epochStart,
  equalBytes,
  judge,
  type Kind,
  type Known,
  MessageSet,
  MessageType,
  messageId,
  type Piece,
  peek,
  pieceKey,
  plainVerifier,
  type RegistryEntry,
  rulebook,
  STORAGE,
  type StorageState,
  seal,
  slotStart,
  storageKind,
  subjectOf,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import { MemoryPieces, MemoryStore, SimulatedNetwork, VirtualClock } from '@cairn/testnet'
import {
  baseOf,
  bytes32,
  clientKey,
  clientSecret,
  EPOCH,
  entryOf,
  nodeSecret,
  stateOf,
} from '../../../protocol/test/kinds/storage/world.ts'

export { dealOf, EPOCH } from '../../../protocol/test/kinds/storage/world.ts'

const BOOK = rulebook([storageKind as unknown as Kind<unknown>])
export const peerName = (index: number) => `peer${index}`
const votingSecret = (index: number) => bytes32(0, index + 1)

const NO_KEYS: DealKeys = { all: () => [], of: () => undefined }

export interface WorldInit {
  nodes?: number
  deals?: Deal[]
  quota?: number
  loss?: number
  floorPrice?: bigint
  terms?: Partial<OwnTerms>
  releaseProviders?: boolean
  maxPrice?: bigint
  /** What clients pay at most where providers ask for more; what they offer by default. */
  pays?: bigint
  /** Length of a slot; the testnet profile's by default. */
  slotMs?: number
  /** What providers give away in an epoch; the testnet profile's by default. */
  strangerBytes?: number
  /** Operator of each node by index; its own by default. */
  operator?(index: number): number
  deposits?: Deposit[]
  /** What a base carries beside deals. */
  state?(): Partial<StorageState>
  /** Deal keys of each node by index; none by default. */
  keys?(index: number): DealKeys
  /** What stands between a node and its network. */
  wrapNetwork?(network: Network, index: number): Network
}

export interface TestNode {
  index: number
  peer: string
  network: Network
  pieces: MemoryPieces
  store: MemoryStore
  voice: TestVoice
  half: StorageNode
  published: Envelope[]
}

/** A voice over one message set that all nodes share at once, as after a perfect gossip. */
export class TestVoice implements Voice {
  readonly relayed: { envelope: Envelope; at: number }[] = []
  readonly #index: number
  readonly #claims: MemoryStore
  readonly #world: World

  constructor(world: World, index: number, claims: MemoryStore) {
    this.#world = world
    this.#index = index
    this.#claims = claims
  }

  index(): number {
    return this.#index
  }

  async say<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    base: EpochBase,
    value: Omit<V, 'epoch' | 'base' | 'author'>,
  ): Promise<Known<V> | undefined> {
    const envelope = await this.sign(type, codec, base, value)
    const peeked = peek(envelope, BOOK)
    const judgement = judge({
      envelope,
      ...peeked,
      base,
      known: this.#world.set,
      verifier: plainVerifier,
      slots: undefined,
    })
    if (judgement.verdict !== 'valid') return undefined
    this.#world.add(envelope)
    return { id: messageId(envelope), value: peeked.value as V }
  }

  async sign<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    base: EpochBase,
    value: Omit<V, 'epoch' | 'base' | 'author'>,
  ): Promise<Envelope> {
    const author = this.#index
    const whole = { ...value, epoch: base.epoch, base: base.tag, author } as unknown as V
    const sign = (root: Uint8Array) => ed25519.sign(root, nodeSecret(author))
    const envelope = seal(type, codec, whole, base.network, sign)
    const { rule, value: decoded } = peek(envelope, BOOK)
    const subject = `${base.epoch}/${subjectOf(type, decoded, rule)}`
    const key = new TextEncoder().encode(subject)
    const before = await this.#claims.get(key)
    const id = messageId(envelope)
    if (before !== undefined && !equalBytes(before, id)) {
      throw new CairnError('equivocation', 'this node already said something else about it')
    }
    await this.#claims.batch([{ key, value: id }])
    return envelope
  }

  async relay(envelope: Envelope): Promise<void> {
    this.relayed.push({ envelope, at: this.#world.clock.now() })
    this.#world.add(envelope)
  }
}

export class World {
  readonly clock: VirtualClock
  readonly network: SimulatedNetwork
  base: EpochBase
  /** No base holds a checkpoint of a later epoch. */
  settled = Number.POSITIVE_INFINITY
  /** Of the present epoch. */
  set = new MessageSet()
  /** Deals that everybody knows and no state carries. */
  readonly waiting = new StandingMessages()
  readonly nodes: TestNode[] = []
  readonly lines: { text: string; facts: object }[] = []
  readonly log: Log
  readonly #init: WorldInit
  readonly #registry: readonly RegistryEntry[]
  #random = 0
  readonly #stores = new Map<number, MemoryStore>()
  readonly #pieces = new Map<number, MemoryPieces>()

  constructor(init: WorldInit = {}) {
    this.#init = init
    const { nodes = 8, deals = [], operator = index => index } = init
    const { slotMs = TESTNET_PROFILE.slotMs } = init
    const registry: RegistryEntry[] = Array.from({ length: nodes }, (_, index) =>
      entryOf(index, {
        voting: bls.publicKey(votingSecret(index)),
        operator: bytes32(operator(index), 3).slice(0, 20),
      }),
    )
    this.#registry = registry
    this.base = this.#baseAt(EPOCH, { deals, slotMs })
    this.clock = new VirtualClock({ start: epochStart(this.base, EPOCH) })
    this.network = new SimulatedNetwork(
      { clock: this.clock },
      { seed: bytes32(1), latency: { min: 5, max: 40 }, loss: init.loss ?? 0 },
    )
    const line = (facts: object, text: string) => this.lines.push({ facts, text })
    this.log = { error: line, warn: line, info: line, debug: line, child: () => this.log }
    for (let index = 0; index < nodes; index++) this.nodes.push(this.#build(index))
  }

  async start(): Promise<void> {
    for (const { half, network } of this.nodes) {
      await half.start()
      await network.start()
    }
  }

  async stop(): Promise<void> {
    for (const { half, network } of this.nodes) {
      await half.stop()
      await network.stop()
    }
  }

  /** Begins another epoch, whose base carries these deals. */
  async toEpoch(
    epoch: number,
    deals: readonly Deal[],
    more: Partial<StorageState> = {},
  ): Promise<void> {
    this.base = this.#baseAt(epoch, { deals, more, slotMs: this.base.profile.slotMs })
    this.set = new MessageSet()
    await this.clock.run({ until: epochStart(this.base, epoch) })
    for (const { half } of this.nodes) half.epoch(this.base)
  }

  #baseAt(
    epoch: number,
    {
      deals,
      more,
      slotMs,
    }: { deals: readonly Deal[]; more?: Partial<StorageState>; slotMs: number },
  ): EpochBase {
    const { deposits, state, strangerBytes = TESTNET_PROFILE.strangerBytes } = this.#init
    const base = baseOf({
      epoch,
      registry: this.#registry,
      state: stateOf([...deals], [], { ...state?.(), ...more }),
      profile: { ...TESTNET_PROFILE, slotMs, strangerBytes },
      ...(deposits === undefined ? {} : { deposits }),
    })
    const stateEpoch = Math.min(epoch - TESTNET_PROFILE.lookback - 2, this.settled)
    return Object.assign(base, { stateEpoch })
  }

  node(index: number): TestNode {
    return this.nodes[index] as TestNode
  }

  /** Ends a node as a power cut does and starts it again over what it stored. */
  async restart(index: number): Promise<TestNode> {
    const { half } = this.node(index)
    this.network.crash(peerName(index))
    await half.stop()
    const node = this.#build(index)
    this.nodes[index] = node
    await node.half.start()
    await node.network.start()
    return node
  }

  /** Runs a task while virtual time passes. */
  async run<T>(task: Promise<T>, ms = 600_000): Promise<T> {
    let outcome: { value: T } | { error: unknown } | undefined
    task.then(
      value => {
        outcome = { value }
      },
      (error: unknown) => {
        outcome = { error }
      },
    )
    const end = this.clock.now() + ms
    while (outcome === undefined && this.clock.now() < end) {
      await this.clock.run({ until: this.clock.now() + 50 })
    }
    if (outcome === undefined) throw new Error('the task did not end in time')
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  async toSlot(slot: number, plus = 0): Promise<void> {
    await this.clock.run({ until: slotStart(this.base, EPOCH, slot) + plus })
  }

  add(envelope: Envelope): void {
    const { value, rule } = peek(envelope, BOOK)
    const subject = subjectOf(envelope.type, value, rule)
    this.set.add({ id: messageId(envelope), value, envelope }, subject, value.kind)
  }

  /** The challenge of the duty's challenger at `order`, in everybody's ledger. */
  challenge(target: number, order = 0): Known<Challenge> & { envelope: Envelope; slot: number } {
    const { base } = this
    const author = base.duty(STORAGE, target).challengers[order] as number
    const { network, seed, epoch, tag } = base
    const input = challengeInput({ network, seed, kind: STORAGE, target })
    const output = bls.sign(input, votingSecret(author))
    const value: Challenge = { epoch, base: tag, kind: STORAGE, author, target, output }
    const envelope = seal(MessageType.challenge, Challenge, value, network, root =>
      ed25519.sign(root, nodeSecret(author)),
    )
    this.add(envelope)
    const slot = storageKind.revealSlot(base, order, output)
    return { id: messageId(envelope), value: decode(Challenge, envelope.body), envelope, slot }
  }

  /** Has every assigned verifier ask and attest. */
  async attestAll(challenge: Known<Challenge>, slot: number): Promise<Attestation[]> {
    const { verifiers } = this.base.duty(STORAGE, challenge.value.target)
    const { signal } = new AbortController()
    const attesting = verifiers.map(async author => {
      const finding = await this.node(author).half.attest(challenge, this.base, signal)
      if (finding === undefined) return undefined
      const { epoch, tag } = this.base
      const value: Attestation = {
        epoch,
        base: tag,
        kind: STORAGE,
        author,
        challenge: challenge.id,
        seenSlot: slot,
        ...finding,
      }
      const sign = (root: Uint8Array) => ed25519.sign(root, nodeSecret(author))
      this.add(seal(MessageType.attestation, Attestation, value, this.base.network, sign))
      return value
    })
    const said = await this.run(Promise.all(attesting), 30_000)
    return said.filter(value => value !== undefined)
  }

  settle() {
    return storageKind.settle({
      base: this.base,
      state: this.base.state(storageKind),
      challenges: challengeRecords(this.base, storageKind, this.set),
      messages: this.set,
      available: client => this.base.deposits.get(client)?.amount ?? 0n,
    })
  }

  /** A client of its own peer; holders are the peers of the nodes that have a piece. */
  async client(change: Partial<ClientComponents> = {}, number = 1) {
    const network = this.network.join(`client${number}`)
    const cache = new MemoryPieces()
    const spool = new Spool(cache)
    servePieces(network, [spool])
    await network.start()
    const deals: Envelope[] = []
    let random = number * 1_000
    const candidates: Candidate[] = this.base.nodes.map(entry => ({
      entry,
      peer: peerName(entry.index),
    }))
    const client = new Client(
      {
        clock: this.clock,
        network,
        spool,
        signer: {
          key: clientKey(1),
          sign: root => ed25519.sign(root, clientSecret(1)),
        },
        verifier: plainVerifier,
        log: this.log,
        random: length => bytes32(random++, 7).slice(0, length),
        epoch: () => EPOCH,
        candidates: () => candidates,
        range: (peer, range, signal) => pullRange({ network }, { peer, range, signal }),
        holders: async pieces =>
          new Map(pieces.map(piece => [pieceKey(piece), this.holders(piece)])),
        publishDeal: async envelope => {
          deals.push(envelope)
        },
        ...change,
      },
      {
        network: this.base.network,
        profile: this.base.profile,
        ...(this.#init.pays === undefined ? {} : { maxPrice: this.#init.pays }),
      },
    )
    return { client, cache, deals, network, candidates }
  }

  holders(piece: Piece): string[] {
    return this.nodes.filter(({ pieces }) => pieces.has(piece)).map(({ peer }) => peer)
  }

  /** As a node's ingest does with what waits for a checkpoint. */
  #wait(envelope: Envelope): void {
    const rule = BOOK.standing(envelope.type)?.rule
    if (rule === undefined) return
    const message = standingMessage({ id: messageId(envelope), envelope }, rule)
    if (!this.waiting.has(message.id)) this.waiting.add(message)
  }

  #refusalOf(type: MessageType, message: Known<unknown>): string | undefined {
    const rule = BOOK.standing(type)?.rule
    if (rule === undefined || this.waiting.has(message.id)) return undefined
    if (!rule.pending(message, this.base)) return 'notPending'
    const beside = this.waiting.beside(rule, message.value)
    return rule.fits?.(message, beside, this.base) === false ? 'notCovered' : undefined
  }

  #build(index: number): TestNode {
    const peer = peerName(index)
    const joined = this.network.join(peer)
    const network = this.#init.wrapNetwork?.(joined, index) ?? joined
    const store = this.#stores.get(index) ?? new MemoryStore()
    const { quota, floorPrice = 0n } = this.#init
    const pieces = this.#pieces.get(index) ?? new MemoryPieces(quota === undefined ? {} : { quota })
    this.#stores.set(index, store)
    this.#pieces.set(index, pieces)
    const voice = new TestVoice(this, index, store.sublevel('claims') as MemoryStore)
    const published: Envelope[] = []
    const identity = { secret: nodeSecret(index), publicKey: ed25519.publicKey(nodeSecret(index)) }
    const voting = {
      secret: votingSecret(index),
      publicKey: bls.publicKey(votingSecret(index)),
    }
    const half = new StorageNode(
      {
        clock: this.clock,
        network,
        store,
        voice,
        view: {
          base: epoch => (epoch === this.base.epoch ? this.base : undefined),
          known: () => this.set,
        },
        signer: signerOf({ identity, voting }),
        keys: this.#init.keys?.(index) ?? NO_KEYS,
        verifier: plainVerifier,
        log: this.log,
        pieces,
        envelopeOf: (_, id) => this.set.get(id)?.envelope,
        peerOf: entry => peerName(entry.index),
        random: length => bytes32(this.#random++, 7).slice(0, length),
        publishDeal: async envelope => {
          published.push(envelope)
          this.#wait(envelope)
        },
        refusalOf: (type, message) => this.#refusalOf(type, message),
      },
      {
        calendar: this.base,
        terms: {
          pricePerGiB: floorPrice,
          longestDeal: 1_000,
          largestPiece: 1_000_000,
          ...this.#init.terms,
        },
        maxPrice: this.#init.maxPrice ?? 2n ** 40n,
        releaseProviders: this.#init.releaseProviders ?? false,
      },
    )
    servePieces(network, half.shelf === undefined ? [] : [half.shelf])
    return { index, peer, network, pieces, store, voice, half, published }
  }
}

/** Bytes that look random and are the same in every run. */
export { pattern } from '../../../protocol/test/piece/vectors.ts'

export async function* stream(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size)
}

/** The network with another way to ask. */
export function over(network: Network, request: Network['request']): Network {
  return new Proxy(network, {
    get: (target, name) => {
      if (name === 'request') return request
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
