/**
 * Nodes of one epoch in one process: one clock that is moved by hand, one set of messages judged by
 * the real rules (signatures apart), one air that carries every frame to every other radio.
 */
import {
  type Clock,
  CoverageNode,
  type Finding,
  type Log,
  Measured,
  type Network,
  type Radio,
  type Reception,
  type Signer,
  type Transmission,
  type TransmitResult,
  untilTime,
  type Voice,
} from '@cairn/node'
import {
  Attestation,
  CairnError,
  Challenge,
  COVERAGE,
  type Codec,
  type CoverageState,
  cellDistance,
  challengeRecords,
  coverage,
  type EpochBase,
  type EpochMessage,
  freeSpaceLevel,
  type Kind,
  type KindSettlement,
  type Known,
  MessageSet,
  MessageType,
  messageId,
  type RegistryEntry,
  rulebook,
  slotAt,
  slotStart,
  subjectOf,
} from '@cairn/protocol'
import { cellNorth, EVERY_EPOCH } from '../../../../protocol/test/kinds/coverage/field.ts'
import {
  baseOf,
  bytes32,
  chainOf,
  entryOf,
} from '../../../../protocol/test/kinds/coverage/network.ts'

const kind = coverage as unknown as Kind<unknown>

/** Time that stands still until `run` moves it, from timer to timer. */
export class HandClock implements Clock {
  #now: number
  #timers: { time: number; task: () => void }[] = []

  constructor(start: number) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now * 1_000
  }

  get pending(): number {
    return this.#timers.length
  }

  at(time: number, task: () => void) {
    const timer = { time, task }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter(other => other !== timer)
      },
    }
  }

  until(time: number, signal?: AbortSignal): Promise<void> {
    return untilTime((at, task) => this.at(at, task), time, signal)
  }

  async run(until: number): Promise<void> {
    await rest()
    for (;;) {
      const [first] = this.#timers.toSorted((a, b) => a.time - b.time)
      if (first === undefined || first.time > until) break
      this.#timers = this.#timers.filter(other => other !== first)
      this.#now = Math.max(this.#now, first.time)
      first.task()
      await rest()
    }
    this.#now = Math.max(this.#now, until)
  }
}

/** Lets every promise that is under way come to rest. */
function rest(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

export class AirRadio implements Radio {
  readonly sent: (Transmission & { at: number })[] = []
  /** What the next transmissions come to; undefined: they never end by themselves. */
  outcome: TransmitResult | undefined
  /** Ms until that is known. */
  answersAfter = 0
  up = true
  readonly #listeners = new Set<(reception: Reception) => void>()
  readonly #air: (transmission: Transmission) => void
  readonly #clock: Clock

  constructor(clock: Clock, air: (transmission: Transmission) => void) {
    this.#clock = clock
    this.#air = air
    this.outcome = { sent: true, power: 140 }
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  online(): boolean {
    return this.up
  }

  get listeners(): number {
    return this.#listeners.size
  }

  async transmit(transmission: Transmission, signal: AbortSignal): Promise<TransmitResult> {
    const { outcome, answersAfter } = this
    if (answersAfter > 0) await this.#clock.until(this.#clock.now() + answersAfter, signal)
    if (outcome === undefined) {
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    }
    if (outcome.sent) {
      this.sent.push({ ...transmission, at: this.#clock.now() })
      this.#air(transmission)
    }
    return outcome
  }

  reserve(): void {}

  onReception(listener: (reception: Reception) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  hear(reception: Reception): void {
    for (const listener of this.#listeners) listener(reception)
  }
}

export interface Line {
  level: keyof Omit<Log, 'child'>
  text: string
}

export interface WorldNode {
  readonly half: CoverageNode
  readonly radio: AirRadio
  readonly lines: Line[]
  /** Says nothing while true. */
  muted: boolean
}

export interface Said {
  type: MessageType
  author: number
  slot: number
  value: EpochMessage
}

export interface WorldInit {
  /** Metres north of the beaconer, node 0, of the other nodes. */
  places: readonly number[]
  /** Nodes without a radio. */
  deaf?: readonly number[]
  changes?: Readonly<Record<number, Partial<RegistryEntry>>>
}

export class World {
  readonly clock: HandClock
  readonly base: EpochBase
  readonly set = new MessageSet()
  readonly nodes: WorldNode[]
  readonly said: Said[] = []
  readonly findings: { author: number; challenge: Uint8Array; finding: Finding; slot: number }[] =
    []
  readonly #book = rulebook([kind])
  readonly #end = new AbortController()

  constructor({ places, deaf = [], changes = {} }: WorldInit) {
    const registry = [0, ...places].map((metres, index) =>
      entryOf(index, {
        cell: cellNorth(metres),
        region: 1,
        nonceEnd: chainOf(index).end,
        ...changes[index],
      }),
    )
    this.base = baseOf({
      epoch: 8,
      profile: EVERY_EPOCH,
      registry,
      state: { of: () => coverage.emptyState(), core: { activity: [] } } as never,
    })
    this.clock = new HandClock(slotStart(this.base, 8, 0))
    this.nodes = registry.map(({ index }) => this.#node(index, deaf.includes(index)))
  }

  async start(): Promise<void> {
    for (const { half } of this.nodes) {
      await half.start()
      half.epoch(this.base)
    }
  }

  async stop(): Promise<void> {
    this.#end.abort()
    for (const { half } of this.nodes) await half.stop()
  }

  get slot(): number {
    return slotAt(this.base, this.base.epoch, this.clock.now())
  }

  /** Moves the clock into a slot, `skews` skews after its start. */
  to(slot: number, ms = 0): Promise<void> {
    return this.clock.run(slotStart(this.base, this.base.epoch, slot) + ms)
  }

  /** The duty's n-th challenger asks node 0; its verifiers set to work. */
  ask(order: number, fill = 5): Known<Challenge> {
    const { challengers, verifiers } = this.base.duty(COVERAGE, 0)
    const author = challengers[order] as number
    const challenge = this.#add<Challenge>(MessageType.challenge, Challenge, author, {
      kind: COVERAGE,
      target: 0,
      output: new Uint8Array(96).fill(fill),
    })
    if (challenge === undefined) throw new Error('a challenge of the duty is valid')
    this.nodes[0]?.half.challenged(challenge, this.base)
    for (const verifier of verifiers) this.#attest(verifier, challenge)
    return challenge
  }

  of(type: MessageType): Said[] {
    return this.said.filter(said => said.type === type)
  }

  settle(): KindSettlement<CoverageState> {
    return coverage.settle({
      base: this.base,
      state: coverage.emptyState(),
      challenges: challengeRecords(this.base, kind, this.set),
      messages: this.set,
      available: () => 0n,
    })
  }

  #attest(verifier: number, challenge: Known<Challenge>): void {
    const seenSlot = this.slot
    this.nodes[verifier]?.half
      .attest(challenge, this.base, this.#end.signal)
      .then(finding => {
        if (finding === undefined) return
        const { id } = challenge
        this.findings.push({ author: verifier, challenge: id, finding, slot: this.slot })
        const value = { kind: COVERAGE, challenge: id, seenSlot, ...finding }
        this.#add<Attestation>(MessageType.attestation, Attestation, verifier, value)
      })
      .catch((error: unknown) => queueMicrotask(() => Promise.reject(error)))
  }

  /** Judges, keeps and delivers; undefined when the rules refuse it. */
  #add<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    author: number,
    fields: Omit<V, 'epoch' | 'base' | 'author'>,
  ): Known<V> | undefined {
    const { base, set, slot } = this
    const value = { epoch: base.epoch, base: base.tag, author, ...fields } as unknown as V
    const envelope = { type, body: codec.serialize(value), signature: new Uint8Array(64) }
    const message = { id: messageId(envelope), value, envelope }
    const rule = this.#book.rule(type, COVERAGE)
    if (rule === undefined || rule.duty(value, base, set) !== 'yes') return undefined
    const window = rule.window(value, base, set)
    const timed = type === MessageType.challenge || type === MessageType.attestation
    if (!timed && ('awaits' in window || slot < window[0] || slot > window[1])) return undefined
    const subject = subjectOf(type, value, rule)
    if (set.probe(message.id, subject) !== 'new') return undefined
    set.add(message, subject, COVERAGE)
    this.said.push({ type, author, slot, value })
    if (type !== MessageType.challenge && type !== MessageType.attestation) {
      for (const { half } of this.nodes) half.heard(type, message, base)
    }
    return message
  }

  #node(index: number, deaf: boolean): WorldNode {
    const lines: Line[] = []
    const log = logTo(lines)
    const radio = new AirRadio(this.clock, transmission => this.#carry(index, transmission))
    const voice: Voice = {
      index: () => index,
      say: async (type, codec, _, value) => {
        return node.muted ? undefined : this.#add(type, codec, index, value)
      },
      sign: () => Promise.reject(new Error('coverage has no seals')),
      relay: () => Promise.reject(new Error('coverage relays nothing')),
    }
    const view = {
      base: (epoch: number) => (epoch === this.base.epoch ? this.base : undefined),
      known: () => this.set,
    }
    const network = alone()
    const peerOf = () => 'nobody'
    const components = {
      clock: this.clock,
      network,
      measured: new Measured({ network, peerOf }),
      signer: unsigned,
      voice,
      view,
      log,
      random: (length: number) => new Uint8Array(length),
      peerOf,
    }
    const half = new CoverageNode(deaf ? components : { ...components, radio }, {
      calendar: this.base,
      chain: chainOf(index),
      secret: bytes32(index, 8),
    })
    const node: WorldNode = { half, radio, lines, muted: false }
    return node
  }

  /** Every other radio hears what free space and 20 dB leave of it. */
  #carry(from: number, { power, ...frame }: Transmission): void {
    const cell = (index: number) => this.base.node(index)?.cell ?? 0n
    for (const [index, { radio }] of this.nodes.entries()) {
      if (index === from) continue
      const distance = cellDistance(cell(from), cell(index))
      const { frequency } = frame
      const level = freeSpaceLevel({ eirp: power, gain: 20, distance, frequency }) - 200
      radio.hear({
        ...frame,
        rssi: level,
        snr: Math.min(100, level + 1_170),
        tmst: 1_000,
        at: this.clock.now(),
      })
    }
  }
}

/** A network in which nobody is. */
function alone(): Network {
  const unreachable = () => Promise.reject(new CairnError('unreachable', 'nobody is there'))
  return {
    self: 'alone',
    start: async () => {},
    stop: async () => {},
    peers: () => [],
    subscribe: () => {},
    unsubscribe: () => {},
    publish: async () => {},
    serve: () => {},
    request: unreachable,
    requestAsStranger: unreachable,
  }
}

const unsigned: Signer = {
  identity: bytes32(0),
  voting: new Uint8Array(48),
  signIdentity: () => new Uint8Array(64),
  signVoting: () => new Uint8Array(96),
}

function logTo(lines: Line[]): Log {
  const at = (level: Line['level']) => (_: object, text: string) => {
    lines.push({ level, text })
  }
  const log: Log = {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => log,
  }
  return log
}
