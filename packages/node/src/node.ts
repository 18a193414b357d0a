/**
 * The core of a node over its ports: the same in a daemon, in a testnet and in the simulator. Parts
 * are built in order of dependence, and stopped in reverse.
 */
import {
  type Attestation,
  CairnError,
  check,
  decodeState,
  Envelope,
  type EpochBase,
  type EpochMessage,
  emptyState,
  epochAt,
  epochStart,
  equalBytes,
  hex,
  type Kind,
  type Known,
  MessageType,
  nodeName,
  type Profile,
  plainReader,
  type Reader,
  type RegistryEntry,
  type Rulebook,
  roundStart,
  rulebook,
  type State,
  slotStart,
  type Verifier,
  type Vote,
} from '@cairn/protocol'
import { Checkpointer } from './checkpoints/checkpointer.ts'
import { Fallback } from './checkpoints/fallback.ts'
import { Funding } from './checkpoints/funding.ts'
import { Penalties } from './checkpoints/penalties.ts'
import { Vetoes } from './checkpoints/vetoes.ts'
import { ClockCheck } from './clock-check.ts'
import type { NodeKind, Voice } from './kinds/kind.ts'
import { type DrandInit, Epochs } from './ledger/epochs.ts'
import { type Arrival, Ingest } from './ledger/ingest.ts'
import { type FoundAs, Ledger } from './ledger/ledger.ts'
import { Offences } from './ledger/offences.ts'
import { Settlements } from './ledger/settlements.ts'
import { StateCache } from './ledger/states.ts'
import { Sync } from './ledger/sync.ts'
import { dealsTopic, kernelTopic, kindTopic } from './ledger/topics.ts'
import type {
  Acceptance,
  Chain,
  Clock,
  ClosingMark,
  Log,
  Network,
  Randomness,
  Store,
  Timer,
} from './ports.ts'
import { Seat } from './seat.ts'
import type { Signer } from './signer.ts'
import type { Speaker } from './voice.ts'

/** The world, as one node meets it. */
export interface NodePorts {
  clock: Clock
  network: Network
  chain: Chain
  randomness: Randomness
  store: Store
  /** Tells a copied store from the one that was closed; absent where nobody can copy it. */
  mark?: ClosingMark
  signer: Signer
  verifier: Verifier
  /** `plainReader` unless given. */
  reader?: Reader
  log: Log
  /** Counts judged messages: accept, ignore or reject, and why. */
  count(outcome: Acceptance, reason: string): void
}

/** What a proof kind may use; its own ports (a radio, a piece store) are the composition's. */
export interface KindServices {
  clock: Clock
  network: Network
  store: Store
  voice: Voice
  epochs: Epochs
  signer: Signer
  verifier: Verifier
  log: Log
  peerOf(entry: RegistryEntry): string
  /** A message of an epoch as it was signed. */
  envelopeOf(epoch: number, id: Uint8Array): Envelope | undefined
  /** Takes a complete deal in and gossips it. */
  publishDeal(envelope: Envelope): Promise<void>
  /** Why a message that belongs to no epoch yet would not be taken in here. */
  refusalOf(type: MessageType, message: Known<unknown>): string | undefined
}

export interface CairnNodeInit {
  /** Network id. */
  network: Uint8Array
  profile: Profile
  /** Seconds since 1970. */
  genesis: number
  drand: DrandInit
  /** The network's proof kinds, by ascending code. */
  kinds: readonly Kind<unknown>[]
  /** Builds this node's half of each kind. */
  halves(services: KindServices): NodeKind[]
  /** Further nodes that the daemon speaks for. */
  tenants?: readonly Tenant[]
  /** The genesis state's bytes from beside the manifest; undefined: ask peers. */
  genesisState(): Promise<Uint8Array | undefined>
  /** Keep every message and state; by default those of `retainEpochs`. */
  archive?: boolean
  /** libp2p peer id of a registered node. */
  peerOf(entry: RegistryEntry): string
}

/** A registered node that has no daemon of its own. */
export interface Tenant {
  signer: Signer
  /** Builds its half of each kind; the network is the daemon's, and serves its halves already. */
  halves(services: KindServices): NodeKind[]
}

/** Deadline of a direct request, in slots' parts: a round has two slots for several of them. */
const REQUESTS_PER_SLOT = 2
/** Why a ledger does not hold for certain all that its node said. */
const UNSURE: Readonly<Record<Exclude<FoundAs, 'clean'>, string>> = {
  empty: 'the ledger is empty, and this node may have spoken elsewhere before',
  unclean: 'the ledger was not closed cleanly',
  copied: 'the ledger is a copy or was restored',
}
/**
 * Whole epochs that pass in silence. What else was said with the keys of an empty ledger is known at the
 * latest from the set of an epoch, which is had in the next: another daemon may be at work.
 */
const SILENT_EPOCHS: Readonly<Record<Exclude<FoundAs, 'clean'>, number>> = {
  empty: 2,
  unclean: 1,
  copied: 1,
}
/** While the chain is away, clocks are compared with nodes of a base at most so many epochs old. */
const CLOCK_BASE_AGE = 8

export class CairnNode {
  readonly ledger: Ledger
  readonly epochs: Epochs
  readonly ingest: Ingest
  readonly settlements: Settlements
  readonly checkpointer: Checkpointer
  /** Its own, then its tenants'. */
  readonly seats: readonly Seat[]
  readonly clockCheck: ClockCheck
  readonly book: Rulebook
  readonly #ports: NodePorts
  readonly #init: CairnNodeInit
  readonly #sync: Sync
  /** What cost bond, or will. */
  readonly offences: Offences
  readonly #funding: Funding
  readonly #penalties: Penalties
  readonly #vetoes: Vetoes
  readonly fallback: Fallback
  readonly #own: Seat
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #elsewhere: ((error: CairnError) => void)[] = []
  #muteUntil = 0
  /** Ms since 1970. */
  #startedAt = 0
  /** Set once its own key was seen at work elsewhere. */
  #usedElsewhere = false
  #timer: Timer | undefined
  /** The epoch that is followed next. */
  #next = 0
  #leave: () => void = () => {}
  #started = false

  constructor(ports: NodePorts, init: CairnNodeInit) {
    this.#ports = ports
    this.#init = init
    const { clock, network, chain, randomness, store, signer, verifier, log } = ports
    const { reader = plainReader } = ports
    const { network: id, profile, genesis, drand, kinds, peerOf } = init
    const muted = (epoch: number) => this.muted(epoch)
    const mutedRound = (epoch: number, round: number) => this.mutedRound(epoch, round)

    const { mark } = ports
    this.ledger = new Ledger({ store, ...(mark && { mark }) }, { network: id })
    const { ledger } = this
    const states = new StateCache({ ledger, fetch: root => this.#fetchState(root) }, { kinds })
    this.epochs = new Epochs(
      { chain, clock, randomness, ledger, states, verifier, log },
      { network: id, profile, genesis, drand, founding: emptyState(kinds) },
    )
    const { epochs } = this
    const book = rulebook(kinds)
    this.book = book
    this.ingest = new Ingest(
      { clock, ledger, epochs, verifier, reader, log, count: ports.count },
      { network: id, book },
    )
    const { ingest } = this
    const shared = { clock, network, ledger, epochs, ingest }
    const seatOf = ({ signer: its, halves }: Tenant, tenant?: string) =>
      new Seat(
        { ...shared, signer: its, log: tenant === undefined ? log : log.child({ tenant }) },
        {
          network: id,
          kinds,
          book,
          muted,
          mutedRound,
          ...(tenant === undefined ? {} : { claimant: hex(its.identity) }),
          halves: voice =>
            halves({
              clock,
              network,
              store: tenant === undefined ? store : store.sublevel(`tenant-${hex(its.identity)}`),
              voice,
              epochs,
              signer: its,
              verifier,
              log: tenant === undefined ? log : log.child({ tenant }),
              peerOf,
              envelopeOf: (epoch, messageId) => epochs.record(epoch)?.set.get(messageId)?.envelope,
              publishDeal: envelope => this.publishDeal(envelope),
              refusalOf: (type, message) => ingest.refusalOf(type, message),
            }),
        },
      )
    this.#own = seatOf({ signer, halves: init.halves })
    const tenants = init.tenants ?? []
    this.seats = [
      this.#own,
      ...tenants.map(tenant => seatOf(tenant, nodeName(tenant.signer.identity))),
    ]
    const speakers = this.seats.map(({ speaker }) => speaker)
    this.settlements = new Settlements({ chain, ledger, epochs, states }, { kinds, book })
    this.#sync = new Sync(
      {
        network,
        clock,
        ledger,
        epochs,
        setOf: (epoch, root) => this.checkpointer.setOf(epoch, root),
        accepted: () => this.checkpointer.adopted,
      },
      { kinds, timeoutMs: profile.slotMs / REQUESTS_PER_SLOT },
    )
    const sync = this.#sync
    const { settlements } = this
    this.checkpointer = new Checkpointer(
      {
        chain,
        clock,
        network,
        epochs,
        ingest,
        ledger,
        settlements,
        states,
        sync,
        speakers,
        verifier,
        log,
        count: ports.count,
      },
      { network: id, peerOf, mutedRound, archive: init.archive ?? false },
    )
    const { checkpointer } = this
    this.#funding = new Funding({ chain, clock, checkpointer, epochs, speakers, log })
    this.offences = new Offences({ store })
    const { offences } = this
    this.#penalties = new Penalties({
      chain,
      clock,
      checkpointer,
      epochs,
      ledger,
      offences,
      speakers,
      log,
    })
    this.#vetoes = new Vetoes({ chain, clock, epochs, sync, speakers, log })
    const signers = [signer, ...tenants.map(tenant => tenant.signer)]
    this.fallback = new Fallback(
      { chain, clock, epochs, checkpointer, signers, log },
      { network: id, muted },
    )
    for (const seat of this.seats) seat.takeDuties()
    ingest.onArrival(arrival => this.#overhear(arrival))
    this.clockCheck = new ClockCheck(
      { sync, registered: () => this.#clockPeers() },
      { skewMs: profile.skewMs },
    )
  }

  /** This node's own voice. */
  get speaker(): Speaker {
    return this.#own.speaker
  }

  /** This node's own half of each kind. */
  get kinds(): readonly NodeKind[] {
    return this.#own.kinds
  }

  /** Why this node signs nothing in an epoch; undefined: it may. */
  muted(epoch: number): string | undefined {
    if (this.#usedElsewhere) return 'keyElsewhere'
    if (epoch < this.#muteUntil) return 'reopened'
    if (this.clockCheck.off) return 'clockOff'
    return undefined
  }

  /**
   * Why this node proposes nothing and casts no vote in a round. What it may have voted before it was
   * reopened was in earlier rounds: in those that begin after its silence it votes about any epoch,
   * or a committee that lost power at once could never again agree on the epochs it missed.
   */
  mutedRound(epoch: number, round: number): string | undefined {
    const { calendar } = this.epochs
    if (this.#usedElsewhere) return 'keyElsewhere'
    if (roundStart(calendar, epoch, round) < epochStart(calendar, this.#muteUntil))
      return 'reopened'
    return this.clockCheck.off ? 'clockOff' : undefined
  }

  /** First epoch in which this node may sign again after an unclean stop; 0: never muted. */
  get mutedUntil(): number {
    return this.#muteUntil
  }

  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    const { network, chain, clock, log } = this.#ports
    this.#startedAt = clock.now()
    const opened = await this.ledger.open()
    this.#muteUntil = await this.ledger.muteUntil()
    // Before genesis nobody has said anything anywhere.
    if (opened !== 'clean' && (opened !== 'empty' || this.epochs.now() >= 0)) {
      log[opened === 'empty' ? 'info' : 'warn'](
        { opened, epochs: SILENT_EPOCHS[opened] },
        `${UNSURE[opened]}; this node signs nothing for a while`,
      )
      await this.#muteAfterStart(SILENT_EPOCHS[opened])
    }
    this.#sync.start()
    await this.ingest.start()
    this.#subscribe()
    for (const seat of this.seats) await seat.start()
    await network.start()
    await chain.start(this.#stopping.signal)
    this.#funding.start()
    this.#penalties.start()
    this.#vetoes.start()
    this.fallback.start()
    await this.checkpointer.start()
    this.#follow(Math.max(0, this.epochs.now()))
    this.#leave = chain.onAdvance(() => {
      const now = Math.max(0, this.epochs.now())
      // The clock ran ahead and was set back: the present epoch counts, not that clock's.
      if (this.#next > now + 1) this.#follow(now)
    })
  }

  async stop(): Promise<void> {
    if (!this.#started) return
    this.#started = false
    this.#leave()
    this.#timer?.cancel()
    this.#stopping.abort()
    this.epochs.stop()
    for (const seat of this.seats) await seat.dropDuties()
    await this.#penalties.stop()
    await this.#vetoes.stop()
    await this.fallback.stop()
    await this.#funding.stop()
    await this.checkpointer.stop()
    for (const seat of this.seats.toReversed()) await seat.stop()
    await this.#ports.network.stop()
    await this.#ports.chain.stop()
    await Promise.all(this.#running)
    await this.ledger.close({ clean: !this.#usedElsewhere })
  }

  /** Called once when this node's key is at work elsewhere: it says nothing more, and has to stop. */
  onKeyElsewhere(listener: (error: CairnError) => void): void {
    this.#elsewhere.push(listener)
  }

  /** Takes a deal with both signatures in and gossips it; rejects when it is refused here. */
  async publishDeal(envelope: Envelope): Promise<void> {
    const { acceptance, reason } = await this.ingest.standing(envelope)
    check(acceptance === 'accept' || reason === 'known', reason, 'the deal is refused here')
    await this.#ports.network.publish(dealsTopic(this.#init.network), Envelope.serialize(envelope))
  }

  /**
   * What was said before the start may not be in the ledger: so many whole epochs pass before anything
   * is said.
   */
  async #muteAfterStart(epochs = 1): Promise<void> {
    const { calendar } = this.epochs
    const until = Math.max(0, epochAt(calendar, this.#startedAt) + 1 + epochs)
    if (until <= this.#muteUntil) return
    this.#muteUntil = until
    await this.ledger.setMuteUntil(until)
  }

  /**
   * What others hand on in this node's name and its ledger does not hold was signed elsewhere with its
   * key. If that was before the start, the ledger is older than the node; if it was after, another
   * daemon is at work with the same words, and to say one thing more may cost the bond.
   */
  #overhear(arrival: Arrival): void {
    const { source, base, type, message } = arrival
    if (source === 'own' || source === 'disk' || this.#usedElsewhere) return
    const { author, epoch } = message.value
    const seat = this.seats.find(({ speaker }) => speaker.index(base) === author)
    if (seat === undefined) return
    this.#run(async () => {
      if (await seat.speaker.hasSaid(arrival)) return
      const { calendar } = this.epochs
      const sooner = earliest(calendar, type, message.value)
      const facts = { node: author, epoch, type, message: hex(message.id) }
      if (sooner <= this.#startedAt) {
        if (this.#muteUntil >= epochAt(calendar, this.#startedAt) + 2) return
        this.#ports.log.warn(
          facts,
          'this node said something that its ledger does not hold; it signs nothing for one epoch',
        )
        await this.#muteAfterStart()
        return
      }
      this.#stopSpeaking(
        new CairnError('keyElsewhere', 'another daemon signs with the key of this node', {
          facts,
          next: 'stop one of the two; if you know of no other, exit the node and register new words',
        }),
      )
    })
  }

  #stopSpeaking(error: CairnError): void {
    if (this.#usedElsewhere) return
    this.#usedElsewhere = true
    this.#ports.log.error({ err: error, ...error.facts }, 'this node says nothing more, and stops')
    for (const listener of this.#elsewhere) listener(error)
  }

  /** Resolves base and seed of each epoch as it begins. */
  #follow(epoch: number): void {
    const { clock } = this.#ports
    this.#next = epoch
    this.#timer?.cancel()
    this.#timer = clock.at(epochStart(this.epochs.calendar, epoch), () => {
      this.#follow(epoch + 1)
      this.#run(async () => {
        await Promise.all([this.clockCheck.run(epoch), this.epochs.follow(epoch)])
      })
    })
  }

  /**
   * Whom to ask for the time: one active node of each other operator, from the one after this node
   * on, so that not all ask the same; before any base is known, whoever is connected.
   */
  #clockPeers(): string[] {
    const { network, signer } = this.#ports
    const base = this.#latestBase()
    if (base === undefined) return network.peers()
    const place = base.nodes.findIndex(({ identity }) => equalBytes(identity, signer.identity))
    const asked = new Map<string, string>()
    const connected = new Set(network.peers())
    for (const entry of [...base.nodes.slice(place + 1), ...base.nodes.slice(0, place + 1)]) {
      const operator = hex(entry.operator)
      const known = asked.get(operator)
      if (known !== undefined && connected.has(known)) continue
      const peer = this.#init.peerOf(entry)
      if (known === undefined || connected.has(peer)) asked.set(operator, peer)
    }
    const own = base.nodes[place]
    if (own !== undefined) asked.delete(hex(own.operator))
    return [...asked.values()]
  }

  #latestBase(): EpochBase | undefined {
    const now = this.epochs.now()
    for (let epoch = now; epoch >= Math.max(0, now - CLOCK_BASE_AGE); epoch--) {
      const base = this.epochs.base(epoch)
      if (base !== undefined) return base
    }
    return undefined
  }

  #subscribe(): void {
    const { network } = this.#ports
    const id = this.#init.network
    for (const { kind } of this.kinds) {
      network.subscribe(kindTopic(id, kind), async data => {
        return (await this.ingest.gossip(data, kind.code)).acceptance
      })
    }
    network.subscribe(kernelTopic(id), async data => {
      return (await this.ingest.gossip(data, 0)).acceptance
    })
    network.subscribe(dealsTopic(id), async data => {
      return (await this.ingest.gossip(data, 'deals')).acceptance
    })
  }

  async #fetchState(root: Uint8Array): Promise<State | undefined> {
    const genesis = await this.#init.genesisState()
    if (genesis !== undefined) {
      const state = decodeState(genesis, this.#init.kinds)
      if (equalBytes(state.root(), root)) {
        await this.ledger.putState(root, genesis)
        return state
      }
    }
    const state = await this.#sync.fetchState(root)
    if (state === undefined) {
      this.#ports.log.debug({ root: hex(root) }, 'no peer has this state yet')
    }
    return state
  }

  #run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        this.#ports.log.error({ err: error }, 'an epoch could not be followed')
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

/** The time before which no clock within the skew lets a message be said, ms since 1970. */
function earliest(calendar: Epochs['calendar'], type: MessageType, value: EpochMessage): number {
  const { epoch } = value
  const { sealSlot, skewMs } = calendar.profile
  if (type === MessageType.vote) return roundStart(calendar, epoch, (value as Vote).round) - skewMs
  if (type === MessageType.seal) return slotStart(calendar, epoch, sealSlot) - skewMs
  if (type !== MessageType.attestation) return epochStart(calendar, epoch) - skewMs
  return slotStart(calendar, epoch, (value as Attestation).seenSlot) - skewMs
}
