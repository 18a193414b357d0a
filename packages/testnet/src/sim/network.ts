/**
 * A network in memory, on virtual time, replayable from its seed.
 *
 * The model of gossip: the publisher sends its message to every subscriber it can reach, each copy
 * with its own latency and its own chance to be lost. Who accepts a message offers it once to its
 * neighbours (two on each of a few seeded rings over the topic's subscribers, so that the graph is
 * connected and each node has several ways in), which take it unless they have it: what the direct
 * copy lost arrives over the mesh, as in gossipsub. What a node ignored or rejected it neither
 * relays nor judges again while it remembers the message. There is no score: a rejected message
 * counts in `tally` and has no further consequence.
 *
 * The model of requests: one latency each way, and what the distance of the two adds, either of which may be lost, and then the requester's
 * signal is what ends the wait. A peer that is down or across a partition is `unreachable` after one
 * latency.
 *
 * Copies that arrive in the same millisecond are handed out in one event, in the order in which
 * they were sent. The bytes of a message are shared by all who get it: nobody may change them.
 */
import {
  type Acceptance,
  assertServable,
  busy,
  checkGossipSize,
  checkRequestSize,
  codeFor,
  type Network,
  Rate,
  REQUEST_MAX_MS,
  type RequestOptions,
  refused,
  responseTooLarge,
  type ServeOptions,
  timedOut,
  unreachable,
  unsupported,
} from '@cairn/node'
import { type CairnError, invariant, sha256 } from '@cairn/protocol'
import type { VirtualClock } from './clock.ts'
import { Prng } from './prng.ts'

/** Rings of neighbours per topic; two neighbours on each, so that the degree is gossipsub's six. */
const RINGS = 3

/** How long a message is remembered, ms: gossipsub's `seenTTL`. */
const REMEMBER_MS = 120_000

/** Nodes of one world; a route is packed into one number of twice this many bits. */
const NODES_MAX = 2 ** 16

export interface SimulatedNetworkInit {
  /** 32 bytes. */
  seed: Uint8Array
  /** One way, ms, whole numbers, drawn evenly from both ends inclusive. */
  latency: { min: number; max: number }
  /** What the way between two peers adds to it one way, whole ms; nothing unless given. */
  way?: (a: string, b: string) => number
  /** Share of copies, requests and responses that are lost, from 0 to below 1. */
  loss: number
}

/** What happened since the beginning. */
export interface Tally {
  published: number
  /** Copies that arrived first at a node, by what the node said. */
  accepted: number
  ignored: number
  rejected: number
  /** Copies of what the node had already. */
  duplicates: number
  lost: number
  requests: number
}

type Validate = (data: Uint8Array, from: string) => Promise<Acceptance>

interface Topic {
  name: string
  members: Map<Node, Validate>
  /** Undefined after a change of the members, until somebody needs them. */
  neighbours: Map<Node, Node[]> | undefined
}

interface Message {
  topic: Topic
  data: Uint8Array
  /** By node number: has it. */
  seen: Uint8Array
  expires: number
}

/** All copies that arrive in one millisecond. */
interface Arrivals {
  messages: Message[]
  /** Receiver and sender of each. */
  routes: number[]
}

interface Served {
  options: ServeOptions
  answer: (request: Uint8Array, from: string) => Promise<Uint8Array>
  rates: Map<string, Rate>
}

interface Asked extends Call {
  request: Uint8Array
  /** The peer that the other side sees. */
  as: string
}

interface World {
  clock: VirtualClock
  publish(from: Node, topic: string, data: Uint8Array): void
  topic(name: string): Topic
  request(from: Node, asked: Asked, options: RequestOptions): Promise<Uint8Array>
  /** A peer id that nobody had. */
  stranger(): string
  peersOf(node: Node): string[]
}

export class SimulatedNetwork {
  readonly tally: Tally = {
    published: 0,
    accepted: 0,
    ignored: 0,
    rejected: 0,
    duplicates: 0,
    lost: 0,
    requests: 0,
  }
  readonly #clock: VirtualClock
  readonly #init: SimulatedNetworkInit
  readonly #prng: Prng
  readonly #world: World
  /** By number; numbers are never used again, so a restarted node has a new one. */
  readonly #nodes: Node[] = []
  readonly #byPeer = new Map<string, Node>()
  readonly #topics = new Map<string, Topic>()
  readonly #messages = new Map<string, Message>()
  readonly #arrivals = new Map<number, Arrivals>()
  /** Group of each peer that a partition names; the others are in group 0. */
  #groups = new Map<string, number>()
  /** Pairs of peers without a link, each way round. */
  readonly #severed = new Set<string>()
  #strangers = 0

  constructor({ clock }: { clock: VirtualClock }, init: SimulatedNetworkInit) {
    const { min, max } = init.latency
    invariant(Number.isInteger(min) && Number.isInteger(max), 'latencies are whole milliseconds')
    invariant(min >= 1 && min <= max, 'a latency is positive and its range is not empty')
    invariant(init.loss >= 0 && init.loss < 1, 'loss is a share below one')
    this.#clock = clock
    this.#init = init
    this.#prng = new Prng(init.seed, 'network')
    this.#world = {
      clock,
      publish: (from, topic, data) => this.#publish(from, topic, data),
      topic: name => this.#topic(name),
      request: (from, asked, options) => this.#request(from, asked, options),
      stranger: () => `${STRANGER}${++this.#strangers}`,
      peersOf: node => this.#peersOf(node),
    }
  }

  /** The port of a new node, not started yet. The peer must be new, or have crashed. */
  join(peer: string): Network {
    invariant(!this.#byPeer.has(peer), `${peer} is one node at a time`)
    invariant(this.#nodes.length < NODES_MAX, 'a world has a bounded number of nodes')
    const node = new Node(this.#world, { peer, number: this.#nodes.length })
    this.#nodes.push(node)
    this.#byPeer.set(peer, node)
    return node
  }

  /** Ends a node at once: nothing it sent waits, nothing it hears of arrives. */
  crash(peer: string): void {
    const node = this.#byPeer.get(peer)
    invariant(node !== undefined, `${peer} is a node`)
    node.leave()
    this.#byPeer.delete(peer)
  }

  /** Peers of different groups cannot reach each other; those named in none form one more. */
  partition(groups: readonly (readonly string[])[]): void {
    this.#groups = new Map(groups.flatMap((group, i) => group.map(peer => [peer, i + 1] as const)))
  }

  /** Takes away the link between two peers; what others relay still gets from one to the other. */
  sever(a: string, b: string): void {
    this.#severed.add(`${a} ${b}`).add(`${b} ${a}`)
  }

  /** Undoes every partition and gives every link back. */
  heal(): void {
    this.#groups.clear()
    this.#severed.clear()
  }

  #publish(from: Node, topicName: string, data: Uint8Array): void {
    const topic = this.#topic(topicName)
    const id = `${topicName}\n${Buffer.from(sha256(data)).toString('latin1')}`
    const message = this.#remember(id, topic, data)
    if (has(message, from)) return
    see(message, from)
    this.tally.published++
    for (const to of topic.members.keys()) {
      if (to !== from && this.#connected(from, to)) this.#send(message, from, to)
    }
  }

  #remember(id: string, topic: Topic, data: Uint8Array): Message {
    const now = this.#clock.now()
    const known = this.#messages.get(id)
    if (known !== undefined && known.expires > now) return known
    this.#messages.delete(id)
    // Insertion order is order of expiry, so what has expired is at the front.
    for (const [old, { expires }] of this.#messages) {
      if (expires > now) break
      this.#messages.delete(old)
    }
    const seen = new Uint8Array(this.#nodes.length)
    const message = { topic, data: data.slice(), seen, expires: now + REMEMBER_MS }
    this.#messages.set(id, message)
    return message
  }

  #send(message: Message, from: Node, to: Node): void {
    if (this.#prng.chance(this.#init.loss)) {
      this.tally.lost++
      return
    }
    const time = this.#arrival(from.self, to.self)
    let arrivals = this.#arrivals.get(time)
    if (arrivals === undefined) {
      arrivals = { messages: [], routes: [] }
      this.#arrivals.set(time, arrivals)
      this.#clock.at(time, () => this.#arrive(time))
    }
    arrivals.messages.push(message)
    arrivals.routes.push(to.number * NODES_MAX + from.number)
  }

  #arrive(time: number): void {
    const { messages, routes } = this.#arrivals.get(time) as Arrivals
    this.#arrivals.delete(time)
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i] as Message
      const route = routes[i] as number
      const to = this.#nodes[Math.floor(route / NODES_MAX)] as Node
      const from = this.#nodes[route % NODES_MAX] as Node
      if (has(message, to)) this.tally.duplicates++
      else if (this.#connected(from, to)) this.#judge(message, from, to)
    }
  }

  #judge(message: Message, from: Node, to: Node): void {
    const validate = message.topic.members.get(to)
    if (validate === undefined) return
    see(message, to)
    validate(message.data, from.self).then(
      acceptance => {
        if (acceptance === 'reject') this.tally.rejected++
        else if (acceptance === 'ignore') this.tally.ignored++
        else this.#accept(message, to)
      },
      (error: unknown) => {
        // A validator answers, it does not throw: stop the run where it happened.
        this.#clock.at(this.#clock.now(), () => {
          throw error
        })
      },
    )
  }

  #accept(message: Message, node: Node): void {
    this.tally.accepted++
    for (const to of this.#neighbours(message.topic, node)) {
      if (!has(message, to) && this.#connected(node, to)) this.#send(message, node, to)
    }
  }

  #neighbours(topic: Topic, node: Node): readonly Node[] {
    topic.neighbours ??= this.#rings(topic)
    return topic.neighbours.get(node) ?? []
  }

  /** From the sorted names, not from the order of arrival: who joins last changes no more than it must. */
  #rings(topic: Topic): Map<Node, Node[]> {
    const members = [...topic.members.keys()].sort((a, b) => (a.self < b.self ? -1 : 1))
    const links = new Map<Node, Set<Node>>(members.map(node => [node, new Set()]))
    const prng = new Prng(this.#init.seed, `rings ${topic.name}`)
    for (let ring = 0; ring < RINGS; ring++) {
      const order = prng.shuffled(members)
      order.forEach((node, i) => {
        const next = order[(i + 1) % order.length] as Node
        if (next === node) return
        links.get(node)?.add(next)
        links.get(next)?.add(node)
      })
    }
    return new Map([...links].map(([node, set]) => [node, [...set]]))
  }

  async #request(
    from: Node,
    { peer, protocol, request, as }: Asked,
    { signal, maxResponseBytes, onRoundTrip }: RequestOptions,
  ): Promise<Uint8Array> {
    checkRequestSize(request)
    const call = { peer, protocol }
    if (signal.aborted) throw timedOut(call, signal.reason)
    this.tally.requests++
    return new Promise((resolve, reject) => {
      const to = this.#byPeer.get(peer)
      const way = [from.self, peer] as const
      const sentAt = this.#clock.monotonic()
      const settle = (outcome: Uint8Array | CairnError) => {
        limit.cancel()
        from.calls.delete(cut)
        to?.calls.delete(cut)
        signal.removeEventListener('abort', abort)
        if (outcome instanceof Uint8Array) resolve(outcome)
        else reject(outcome)
      }
      const cut = () => settle(unreachable(call))
      const abort = () => settle(timedOut(call, signal.reason))
      const limit = this.#clock.at(this.#clock.now() + REQUEST_MAX_MS, abort)
      signal.addEventListener('abort', abort, { once: true })

      from.calls.add(cut)
      to?.calls.add(cut)
      const arrive = () => {
        if (to === undefined || !this.#connected(from, to)) return cut()
        void to.answer(protocol, request, as).then(outcome => {
          this.#later(way, () => {
            if (!this.#connected(from, to)) return cut()
            if (typeof outcome !== 'string') onRoundTrip?.(this.#clock.monotonic() - sentAt)
            settle(received(outcome, call, maxResponseBytes))
          })
        })
      }
      if (to === undefined || !this.#connected(from, to)) {
        this.#clock.at(this.#arrival(...way), arrive)
      } else this.#later(way, arrive)
    })
  }

  /** Runs `task` after a latency, unless that is what gets lost. */
  #later(way: readonly [string, string], task: () => void): void {
    if (this.#prng.chance(this.#init.loss)) this.tally.lost++
    else this.#clock.at(this.#arrival(...way), task)
  }

  #arrival(a: string, b: string): number {
    return this.#clock.now() + this.#latency() + (this.#init.way?.(a, b) ?? 0)
  }

  #latency(): number {
    const { min, max } = this.#init.latency
    return min + this.#prng.below(max - min + 1)
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name)
    if (topic === undefined) {
      topic = { name, members: new Map(), neighbours: undefined }
      this.#topics.set(name, topic)
    }
    return topic
  }

  #peersOf(node: Node): string[] {
    if (!node.up) return []
    return [...this.#byPeer.values()]
      .filter(other => other !== node && this.#connected(node, other))
      .map(other => other.self)
  }

  #connected(a: Node, b: Node): boolean {
    if (!a.up || !b.up) return false
    if (this.#severed.size > 0 && this.#severed.has(`${a.self} ${b.self}`)) return false
    if (this.#groups.size === 0) return true
    return (this.#groups.get(a.self) ?? 0) === (this.#groups.get(b.self) ?? 0)
  }
}

class Node implements Network {
  readonly self: string
  readonly number: number
  up = false
  /** Ends each request under way from or to this node. */
  readonly calls = new Set<() => void>()
  readonly #world: World
  readonly #subscriptions = new Map<string, Validate>()
  readonly #served = new Map<string, Served>()

  constructor(world: World, { peer, number }: { peer: string; number: number }) {
    this.#world = world
    this.self = peer
    this.number = number
  }

  async start(): Promise<void> {
    if (this.up) return
    this.up = true
    for (const [topic, validate] of this.#subscriptions) this.#enter(topic, validate)
  }

  async stop(): Promise<void> {
    this.leave()
  }

  leave(): void {
    this.up = false
    for (const topic of this.#subscriptions.keys()) this.#exit(topic)
    for (const cut of this.calls) cut()
  }

  peers(): string[] {
    return this.#world.peersOf(this)
  }

  subscribe(topic: string, validate: Validate): void {
    this.#subscriptions.set(topic, validate)
    if (this.up) this.#enter(topic, validate)
  }

  unsubscribe(topic: string): void {
    this.#subscriptions.delete(topic)
    this.#exit(topic)
  }

  async publish(topic: string, data: Uint8Array): Promise<void> {
    checkGossipSize(data)
    if (this.up) this.#world.publish(this, topic, data)
  }

  serve(protocol: string, options: ServeOptions, answer: Served['answer']): void {
    assertServable(protocol, options)
    invariant(!this.#served.has(protocol), `'${protocol}' is served once`)
    this.#served.set(protocol, { options, answer, rates: new Map() })
  }

  request(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    return this.#world.request(this, { peer, protocol, request, as: this.self }, options)
  }

  requestAsStranger(
    peer: string,
    protocol: string,
    request: Uint8Array,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    const as = this.#world.stranger()
    return this.#world.request(this, { peer, protocol, request, as }, options)
  }

  /** What this node answers: bytes, or the code of an error. Never rejects. */
  async answer(protocol: string, request: Uint8Array, from: string): Promise<Uint8Array | string> {
    const served = this.#served.get(protocol)
    if (served === undefined) return 'unsupported'
    const { maxRequestBytes, maxResponseBytes, perSecond } = served.options
    let rate = served.rates.get(from)
    if (rate === undefined) {
      rate = new Rate(this.#world, { perSecond })
      served.rates.set(from, rate)
    }
    if (!rate.take()) return 'busy'
    // Who asks once is nobody to remember.
    if (isStranger(from)) served.rates.delete(from)
    if (request.length > maxRequestBytes) return 'tooLarge'
    try {
      const response = await served.answer(request, from)
      return response.length > maxResponseBytes ? 'tooLarge' : response
    } catch (error) {
      return codeFor(error)
    }
  }

  #enter(topic: string, validate: Validate): void {
    const joined = this.#world.topic(topic)
    if (!joined.members.has(this)) joined.neighbours = undefined
    joined.members.set(this, validate)
  }

  #exit(topic: string): void {
    const left = this.#world.topic(topic)
    if (left.members.delete(this)) left.neighbours = undefined
  }
}

/** Begins the peer id of who asks once. */
const STRANGER = 'stranger-'

function isStranger(peer: string): boolean {
  return peer.startsWith(STRANGER)
}

type Call = { peer: string; protocol: string }

function received(
  outcome: Uint8Array | string,
  call: Call,
  maxResponseBytes: number,
): Uint8Array | CairnError {
  if (typeof outcome !== 'string') {
    return outcome.length > maxResponseBytes ? responseTooLarge(call, maxResponseBytes) : outcome
  }
  if (outcome === 'unsupported') return unsupported(call)
  return outcome === 'busy' ? busy(call) : refused(call, outcome)
}

function has(message: Message, node: Node): boolean {
  return message.seen[node.number] === 1
}

function see(message: Message, node: Node): void {
  if (node.number >= message.seen.length) {
    const longer = new Uint8Array(node.number + 1)
    longer.set(message.seen)
    message.seen = longer
  }
  message.seen[node.number] = 1
}
