/**
 * The direct protocols by which ledgers agree: lists of ids, messages by id, states by root, and
 * `status`, which also tells how far a peer's clock is from this one's.
 */

import {
  Bytes32,
  Bytes48,
  bls,
  CairnError,
  ContainerType,
  check,
  committeeWord,
  concatBytes,
  DIRECT_MAX_BYTES,
  decode,
  decodeState,
  Envelope,
  equalBytes,
  GOSSIP_MAX_BYTES,
  hex,
  type Kind,
  ListDepth,
  listRoot,
  messageId,
  type State,
  Uint8,
  Uint32,
  Uint64,
  type ValueOf,
  type WeightedKey,
  WIRE_LIST_MAX,
} from '@cairn/protocol'
import { ByteListType, ListCompositeType } from '@chainsafe/ssz'
import type { Clock, Network } from '../ports.ts'
import type { Epochs } from './epochs.ts'
import type { Ledger } from './ledger.ts'

export const Protocol = {
  epoch: 'epoch',
  fetch: 'fetch',
  state: 'state',
  committee: 'committee',
  status: 'status',
} as const

/** One page of a state. */
const STATE_PAGE_BYTES = 512 * 1024
const REQUEST_MAX_BYTES = 64 * 1024
/** A peer may ask each protocol so often per second. */
const REQUESTS_PER_SECOND = 200
/** Messages fetched for one epoch at most: bounds what a lying peer can make us ask for. */
const IDS_MAX = 1_000_000
const STATE_MAX_BYTES = 256 * 1024 * 1024
/** What one `fetch` takes from a peer: the set of a whole shard is about half of it. */
const FETCH_MAX_BYTES = 64 * 1024 * 1024
/** Whole tokens: the sum of as many members is a number that floats hold exactly. */
const WEIGHT_MAX = BigInt(Math.floor(Number.MAX_SAFE_INTEGER / WIRE_LIST_MAX))
/** A page of messages ends where the next one might not fit. */
const FETCH_PAGE_BYTES = DIRECT_MAX_BYTES - 1024
/** A shorter page was not cut by its size: what it lacks the peer does not have. */
const FETCH_PAGE_FULL_BYTES = FETCH_PAGE_BYTES - GOSSIP_MAX_BYTES
/** All pages of one exchange with one peer take at most so many times the deadline of one request. */
const EXCHANGE_TIMEOUTS = 8
/** A state may take longer, by its size: slower than this a peer is passed over. */
const STATE_BYTES_PER_MS = 1024
/** Sets and states remembered for the next page: peers that are behind ask for the newest ones. */
const SERVED_SETS_MAX = 4
const SERVED_STATES_MAX = 2

/**
 * With `exact` 1, the set with that root or none; with 0, the set as the peer holds it now, to be
 * compared with that root.
 */
const EpochRequest = new ContainerType(
  { epoch: Uint32, root: Bytes32, offset: Uint32, exact: Uint8 },
  { typeName: 'EpochRequest' },
)
/** `ids` is empty when the set's root is the one to be compared with. */
const EpochResponse = new ContainerType(
  { root: Bytes32, total: Uint32, ids: new ListCompositeType(Bytes32, WIRE_LIST_MAX) },
  { typeName: 'EpochResponse' },
)
const FetchRequest = new ContainerType(
  { ids: new ListCompositeType(Bytes32, WIRE_LIST_MAX) },
  { typeName: 'FetchRequest' },
)
const FetchResponse = new ContainerType(
  { messages: new ListCompositeType(Envelope, WIRE_LIST_MAX) },
  { typeName: 'FetchResponse' },
)
const StateRequest = new ContainerType(
  { root: Bytes32, offset: Uint32 },
  { typeName: 'StateRequest' },
)
const StateResponse = new ContainerType(
  { total: Uint32, bytes: new ByteListType(STATE_PAGE_BYTES) },
  { typeName: 'StateResponse' },
)
const CommitteeRequest = new ContainerType({ word: Bytes32 }, { typeName: 'CommitteeRequest' })
const MemberType = new ContainerType({ key: Bytes48, weight: Uint64 }, { typeName: 'Member' })
/** In the order of their tree. */
const CommitteeResponse = new ContainerType(
  { members: new ListCompositeType(MemberType, WIRE_LIST_MAX) },
  { typeName: 'CommitteeResponse' },
)
const StatusRequest = new ContainerType({ sent: Uint64 }, { typeName: 'StatusRequest' })
/** Time in ms since 1970, and one more than the last accepted epoch (0: the genesis one). */
const StatusResponse = new ContainerType(
  { time: Uint64, accepted: Uint32 },
  { typeName: 'StatusResponse' },
)

export interface SyncComponents {
  network: Network
  clock: Clock
  ledger: Ledger
  epochs: Epochs
  /** Ids of a proposed or accepted set, by its root. */
  setOf(epoch: number, root: Uint8Array): Promise<readonly Uint8Array[] | undefined>
  /** Root of the state of an accepted or proposed checkpoint: states are named by that root. */
  accepted(): number
}

export interface SyncInit {
  kinds: readonly Kind<unknown>[]
  /** Deadline of one request, ms. */
  timeoutMs: number
}

export interface PeerStatus {
  /**
   * The least that the peer's clock can be from this one's, ms: 0 where its reading lies between
   * request and answer. A middle between the two would take a delay of one way for a wrong clock.
   */
  offsetMs: number
  /** Last epoch the peer saw accepted; -1: the genesis checkpoint. */
  accepted: number
}

export class Sync {
  readonly #components: SyncComponents
  readonly #init: SyncInit
  readonly #servedSets = new Recent<readonly Uint8Array[]>(SERVED_SETS_MAX)
  readonly #servedStates = new Recent<Uint8Array>(SERVED_STATES_MAX)
  /** The last peer that had not the state it was asked for: the next search begins behind it. */
  #failedPeer: string | undefined

  constructor(components: SyncComponents, init: SyncInit) {
    this.#components = components
    this.#init = init
  }

  start(): void {
    const { network } = this.#components
    const options = {
      maxRequestBytes: REQUEST_MAX_BYTES,
      maxResponseBytes: DIRECT_MAX_BYTES,
      perSecond: REQUESTS_PER_SECOND,
    }
    network.serve(Protocol.epoch, options, request => this.#answerEpoch(request))
    network.serve(Protocol.fetch, options, request => this.#answerFetch(request))
    network.serve(Protocol.state, options, request => this.#answerState(request))
    network.serve(Protocol.committee, options, async request => this.#answerCommittee(request))
    network.serve(Protocol.status, options, request => this.#answerStatus(request))
  }

  /**
   * Ids of a peer's set of an epoch. Without `root`: the set as the peer holds it now, or undefined
   * when its root equals `mine`; else exactly the one with that root. Throws `wrongSet`, `badPage`
   * and `tooLarge` when the peer lies, `timeout` when it takes too long, `notFound` when it has no
   * set with that root, and what the request throws.
   */
  async ids(
    peer: string,
    epoch: number,
    { root, mine, signal }: { root?: Uint8Array; mine?: Uint8Array; signal?: AbortSignal },
  ): Promise<Uint8Array[] | undefined> {
    const inTime = this.#exchange(peer)
    const wanted = { epoch, root: root ?? mine ?? ZERO, exact: root === undefined ? 0 : 1 }
    let ids: Uint8Array[] = []
    let first: EpochPage | undefined
    let restarted = false
    for (;;) {
      const body = EpochRequest.serialize({ ...wanted, offset: ids.length })
      const page = decode(EpochResponse, await this.#ask(peer, Protocol.epoch, body, signal))
      if (root === undefined && mine !== undefined && equalBytes(page.root, mine)) return undefined
      if (root !== undefined && !equalBytes(page.root, root)) throw wrongSet(peer, epoch)
      if (page.total > IDS_MAX) throw tooMany(page.total)
      first ??= page
      if (!equalBytes(page.root, first.root)) {
        // A set that somebody adds to may grow while it is read, but not for as long as one likes.
        if (restarted) throw wrongSet(peer, epoch)
        restarted = true
        first = undefined
        ids = []
        continue
      }
      const full = Math.min(WIRE_LIST_MAX, first.total - ids.length)
      if (page.total !== first.total || page.ids.length !== full) throw badPage(peer)
      ids.push(...page.ids)
      if (ids.length === page.total) break
      inTime()
    }
    if (!equalBytes(listRoot(ids, ListDepth.messages), first.root)) throw wrongSet(peer, epoch)
    return ids
  }

  /**
   * Messages by id; what the peer lacks is left out. Throws `tooLarge` beyond `FETCH_MAX_BYTES`, and
   * `timeout` when the peer takes too long.
   */
  async fetch(
    peer: string,
    ids: readonly Uint8Array[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Envelope[]> {
    const inTime = this.#exchange(peer)
    const found: Envelope[] = []
    let bytes = 0
    let wanted = [...ids]
    while (wanted.length > 0) {
      inTime()
      const page = wanted.slice(0, WIRE_LIST_MAX)
      const body = FetchRequest.serialize({ ids: page })
      const response = await this.#ask(peer, Protocol.fetch, body, signal)
      bytes += response.length
      if (bytes > FETCH_MAX_BYTES) throw tooMany(bytes)
      const missing = new Map(page.map(id => [hex(id), id]))
      for (const envelope of decode(FetchResponse, response).messages) {
        if (missing.delete(hex(messageId(envelope)))) found.push(envelope)
      }
      const cut = response.length > FETCH_PAGE_FULL_BYTES && missing.size < page.length
      wanted = [...(cut ? missing.values() : []), ...wanted.slice(page.length)]
    }
    return found
  }

  /**
   * The members behind a committee's word, from the first peer that knows them; undefined when none
   * does.
   */
  async committee(word: Uint8Array): Promise<readonly WeightedKey[] | undefined> {
    const body = CommitteeRequest.serialize({ word })
    for (const peer of this.#components.network.peers()) {
      const found = await this.#committeeFrom(peer, body).catch(passCoded)
      if (found !== undefined && equalBytes(committeeWord(found), word)) return found
    }
    return undefined
  }

  /** Throws `badMembers` for what can be no committee. */
  async #committeeFrom(peer: string, body: Uint8Array): Promise<readonly WeightedKey[]> {
    const { members } = decode(CommitteeResponse, await this.#ask(peer, Protocol.committee, body))
    const safe = members.every(({ key, weight }) => weight <= WEIGHT_MAX && bls.isValidKey(key))
    check(members.length > 0 && safe, 'badMembers', 'a peer sent what can be no committee', {
      facts: { peer },
    })
    return members.map(({ key, weight }) => ({ key, weight: Number(weight) }))
  }

  #answerCommittee(request: Uint8Array): Uint8Array {
    const { word } = decode(CommitteeRequest, request)
    const known = this.#components.epochs.committeeOf(word)
    check(known !== undefined, 'notFound', 'no committee of this word is known here')
    const members = known.map(({ key, weight }) => ({ key, weight: BigInt(weight) }))
    return CommitteeResponse.serialize({ members })
  }

  /** A state by its root, from the first peer that has it; verified before it is stored. */
  async fetchState(root: Uint8Array): Promise<State | undefined> {
    const { network, ledger } = this.#components
    const peers = network.peers()
    // One slow or lying peer must not be what every search begins with.
    const begin = this.#failedPeer === undefined ? 0 : peers.indexOf(this.#failedPeer) + 1
    for (const peer of [...peers.slice(begin), ...peers.slice(0, begin)]) {
      const found = await this.#stateFrom(peer, root).catch(passCoded)
      if (found === undefined) {
        this.#failedPeer = peer
        continue
      }
      await ledger.putState(root, found.bytes)
      return found.state
    }
    return undefined
  }

  /** Clock offsets and progress of those peers that answer. */
  async statuses(peers: readonly string[]): Promise<PeerStatus[]> {
    const answers = await Promise.all(peers.map(peer => this.#statusOf(peer).catch(passCoded)))
    return answers.filter(answer => answer !== undefined)
  }

  async #statusOf(peer: string): Promise<PeerStatus> {
    const { clock, network } = this.#components
    const ask = () => {
      const body = StatusRequest.serialize({ sent: BigInt(Math.round(clock.now())) })
      return this.#ask(peer, Protocol.status, body)
    }
    // What it takes to connect is no part of the way of an answer.
    if (!network.peers().includes(peer)) await ask()
    const sent = clock.now()
    const { time, accepted } = decode(StatusResponse, await ask())
    const theirs = Number(time)
    const earliest = Math.floor(sent)
    const latest = Math.ceil(clock.now())
    const offsetMs = theirs - Math.min(Math.max(theirs, earliest), latest)
    return { offsetMs, accepted: accepted - 1 }
  }

  async #stateFrom(peer: string, root: Uint8Array): Promise<{ state: State; bytes: Uint8Array }> {
    const inTime = this.#exchange(peer)
    const pages: Uint8Array[] = []
    let offset = 0
    let announced: number | undefined
    for (;;) {
      const body = StateRequest.serialize({ root, offset })
      const page = decode(StateResponse, await this.#ask(peer, Protocol.state, body))
      if (page.total > STATE_MAX_BYTES) throw tooMany(page.total)
      announced ??= page.total
      const full = Math.min(STATE_PAGE_BYTES, announced - offset)
      if (page.total !== announced || page.bytes.length !== full) throw badPage(peer)
      pages.push(page.bytes)
      offset += page.bytes.length
      if (offset === announced) break
      inTime(offset)
    }
    const bytes = concatBytes(pages)
    const state = decodeState(bytes, this.#init.kinds)
    if (equalBytes(state.root(), root)) return { state, bytes }
    throw new CairnError('wrongState', 'a peer sent another state than the one it was asked for', {
      facts: { peer },
    })
  }

  /**
   * What throws `timeout` once an exchange of several requests has lasted too long for the bytes that
   * came; each request has its own deadline besides.
   */
  #exchange(peer: string): (bytes?: number) => void {
    const { clock } = this.#components
    const began = clock.now()
    return (bytes = 0) => {
      const ms = EXCHANGE_TIMEOUTS * this.#init.timeoutMs + bytes / STATE_BYTES_PER_MS
      if (clock.now() <= began + ms) return
      throw new CairnError('timeout', 'a peer took too long for all it was asked', {
        facts: { peer, ms },
      })
    }
  }

  async #answerEpoch(request: Uint8Array): Promise<Uint8Array> {
    const { epoch, root, offset, exact } = decode(EpochRequest, request)
    if (exact !== 0) {
      const ids = await this.#exactSet(epoch, root)
      return EpochResponse.serialize({ root, total: ids.length, ids: pageOf(ids, offset) })
    }
    const set = this.#components.epochs.record(epoch)?.set
    const found = set?.root() ?? NO_MESSAGES
    const ids = set?.ids() ?? []
    const page = equalBytes(found, root) ? [] : pageOf(ids, offset)
    return EpochResponse.serialize({ root: found, total: ids.length, ids: page })
  }

  /** The proposed, accepted or present set of an epoch with that root; throws `notFound`. */
  async #exactSet(epoch: number, root: Uint8Array): Promise<readonly Uint8Array[]> {
    const { epochs, setOf } = this.#components
    const served = this.#servedSets.get(root)
    if (served !== undefined) return served
    const named = await setOf(epoch, root)
    if (named !== undefined) return this.#servedSets.put(root, named)
    const set = epochs.record(epoch)?.set
    if (set === undefined || !equalBytes(set.root(), root)) {
      throw new CairnError('notFound', 'no set with that root here', { facts: { epoch } })
    }
    return this.#servedSets.put(root, set.ids())
  }

  async #answerFetch(request: Uint8Array): Promise<Uint8Array> {
    const { ids } = decode(FetchRequest, request)
    const messages: Envelope[] = []
    let bytes = 0
    for (const id of ids) {
      const found = await this.#components.ledger.get(id)
      if (found === undefined) continue
      bytes += Envelope.serialize(found.envelope).length + 4
      if (bytes > FETCH_PAGE_BYTES) break
      messages.push(found.envelope)
    }
    return FetchResponse.serialize({ messages })
  }

  async #answerState(request: Uint8Array): Promise<Uint8Array> {
    const { root, offset } = decode(StateRequest, request)
    const served = this.#servedStates.get(root)
    const state = served ?? (await this.#components.ledger.state(root))
    if (state === undefined) throw new CairnError('notFound', 'no state with that root here')
    if (served === undefined) this.#servedStates.put(root, state)
    const bytes = state.slice(offset, offset + STATE_PAGE_BYTES)
    return StateResponse.serialize({ total: state.length, bytes })
  }

  async #answerStatus(request: Uint8Array): Promise<Uint8Array> {
    decode(StatusRequest, request)
    const { clock, accepted } = this.#components
    return StatusResponse.serialize({
      time: BigInt(Math.round(clock.now())),
      accepted: accepted() + 1,
    })
  }

  async #ask(
    peer: string,
    protocol: string,
    request: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const { network, clock } = this.#components
    return await withDeadline(clock, this.#init.timeoutMs, deadline =>
      network.request(peer, protocol, request, {
        signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
        maxResponseBytes: DIRECT_MAX_BYTES,
      }),
    )
  }
}

/** The last few values that were asked for, by the root that names them. */
class Recent<V> {
  readonly #values = new Map<string, V>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  get(root: Uint8Array): V | undefined {
    return this.#values.get(hex(root))
  }

  put(root: Uint8Array, value: V): V {
    this.#values.set(hex(root), value)
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#max) break
      this.#values.delete(oldest)
    }
    return value
  }
}

type EpochPage = ValueOf<typeof EpochResponse>

const ZERO = new Uint8Array(32)
const NO_MESSAGES = listRoot([], ListDepth.messages)

/** Runs `task` with a signal that aborts after `ms` on the given clock. */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const timer = clock.at(clock.now() + ms, () =>
    controller.abort(new CairnError('timeout', `no answer within ${ms} ms`, { facts: { ms } })),
  )
  try {
    return await task(controller.signal)
  } finally {
    timer.cancel()
  }
}

/** A peer's coded failure means "not from this one"; anything else is a bug and goes on. */
export function passCoded(error: unknown): undefined {
  if (error instanceof CairnError) return undefined
  throw error
}

function tooMany(found: number): CairnError {
  return new CairnError('tooLarge', 'a peer announced more than it may', { facts: { found } })
}

function pageOf(ids: readonly Uint8Array[], offset: number): Uint8Array[] {
  return ids.slice(offset, offset + WIRE_LIST_MAX)
}

function wrongSet(peer: string, epoch: number): CairnError {
  return new CairnError('wrongSet', 'a peer listed other messages than those it was asked for', {
    facts: { peer, epoch },
  })
}

/** Every page but the last is full: short ones could make an exchange go on for as long as they like. */
function badPage(peer: string): CairnError {
  return new CairnError('badPage', 'a peer sent a page that is not what it announced', {
    facts: { peer },
  })
}
