/**
 * The measured side of location by latency: answers the pings of whoever is drawn to send them, at
 * once and with as little work as can be, and signs at the end that it did. It learns no result: a
 * daemon that knew it could refuse to sign the fast ones. There is one for all nodes that a daemon
 * speaks for, since they share its peer id.
 */
import {
  CairnError,
  coverage,
  decode,
  type EpochBase,
  equalBytes,
  measurersOf,
  PINGS_MAX,
  PINGS_MIN,
  Ping,
  Pinged,
  pingBeginning,
  pingedRoot,
  pong,
  type RegistryEntry,
} from '@cairn/protocol'
import type { Network } from '../../ports.ts'
import type { Signer } from '../../signer.ts'
import type { Voice } from '../kind.ts'

/** Names of the direct protocols. */
export const PING_PROTOCOL = 'ping'
export const PINGED_PROTOCOL = 'pinged'

/** Twice the pings of a whole measurement: one and what its repetitions take. */
const PINGS_PER_SECOND = 2 * PINGS_MAX
/** A measurer asks once for the signature, and again where the answer was lost. */
const SIGNATURES_PER_SECOND = 4

export interface MeasuredComponents {
  network: Network
  /** libp2p peer id of a registered node. */
  peerOf(entry: RegistryEntry): string
}

/** One registered node that is measured here. */
export interface MeasuredSeat {
  voice: Voice
  signer: Signer
}

/** The answers given to one measurer in one epoch. */
interface Session {
  readonly base: EpochBase
  readonly signer: Signer
  /** Peer id of the measurer. */
  readonly from: string
  count: number
  value: Uint8Array
  /** What the last ping was, and the value before it: its answer may have been lost. */
  nonce: Uint8Array
  before: Uint8Array
  signed: boolean
}

interface Measuring {
  readonly base: EpochBase
  /** By target and measurer: as many as are drawn. */
  readonly sessions: Map<string, Session>
}

export class Measured {
  readonly #components: MeasuredComponents
  /** Of this epoch and the last. */
  readonly #epochs = new Map<number, Measuring>()
  readonly #seats: MeasuredSeat[] = []
  #serving = false

  constructor(components: MeasuredComponents) {
    this.#components = components
  }

  /** Answers for this node too. */
  add(seat: MeasuredSeat): void {
    this.#seats.push(seat)
  }

  start(): void {
    if (this.#serving) return
    this.#serving = true
    const { network } = this.#components
    network.serve(
      PING_PROTOCOL,
      { maxRequestBytes: Ping.maxSize, maxResponseBytes: 32, perSecond: PINGS_PER_SECOND },
      async (request, from) => this.#pong(decode(Ping, request), from),
    )
    network.serve(
      PINGED_PROTOCOL,
      { maxRequestBytes: Pinged.maxSize, maxResponseBytes: 64, perSecond: SIGNATURES_PER_SECOND },
      async (request, from) => this.#sign(decode(Pinged, request), from),
    )
  }

  epoch(base: EpochBase): void {
    for (const known of this.#epochs.keys()) if (known < base.epoch - 1) this.#epochs.delete(known)
    if (!this.#epochs.has(base.epoch)) this.#epochs.set(base.epoch, { base, sessions: new Map() })
  }

  #pong({ place, nonce, ...asked }: Ping, from: string): Uint8Array {
    const session = this.#session(asked, from)
    const again = place === session.count - 1 && equalBytes(nonce, session.nonce)
    if (again) return session.value
    if (session.signed || place !== session.count || place >= PINGS_MAX) {
      throw new CairnError('outOfOrder', 'the pings of a measurement come one after the other', {
        facts: { expected: session.count, found: place },
      })
    }
    session.before = session.value
    session.nonce = nonce
    session.value = pong(session.value, nonce)
    session.count++
    return session.value
  }

  /** Signs what was answered; of the last answer the measurer may not know. */
  #sign(pinged: Pinged, from: string): Uint8Array {
    const { epoch, measurer, target, nonce, count } = pinged
    const session = this.#session({ epoch, measurer, target }, from)
    const { base, signer } = session
    const last = count === session.count && equalBytes(nonce, session.value)
    const lastButOne = count === session.count - 1 && equalBytes(nonce, session.before)
    if ((!last && !lastButOne) || count < PINGS_MIN) {
      throw new CairnError('otherPings', 'other pings were answered than are to be signed', {
        facts: { answered: session.count, found: count },
      })
    }
    // What it answered last is what it signs, or a second signature could be of other pings.
    Object.assign(session, { count, value: nonce, signed: true })
    const own = { epoch, base: base.tag, measurer, target, nonce, count }
    return signer.signIdentity(pingedRoot(own, base.network))
  }

  /** Of a measurer that the epoch draws for a node of this daemon. */
  #session(asked: Asked, from: string): Session {
    const measuring = this.#epochs.get(asked.epoch)
    const key = `${asked.target}/${asked.measurer}`
    const known = measuring?.sessions.get(key)
    if (known?.from === from) return known
    const signer = measuring && this.#signerFor(asked, from, measuring.base)
    if (known !== undefined || measuring === undefined || signer === undefined) {
      throw new CairnError('notDrawn', 'nobody but the measurers of an epoch is answered', {
        facts: { ...asked },
      })
    }
    const { base, sessions } = measuring
    const value = pingBeginning({ ...asked, base: base.tag }, base.network)
    const nonce = new Uint8Array(32)
    const session = { base, signer, from, count: 0, value, nonce, before: value, signed: false }
    sessions.set(key, session)
    return session
  }

  /** Undefined unless the target is a node of this daemon and the peer may measure it. */
  #signerFor({ target, measurer }: Asked, from: string, base: EpochBase): Signer | undefined {
    const seat = this.#seats.find(({ voice }) => voice.index(base) === target)
    const entry = base.node(measurer)
    if (entry === undefined || !isDrawn(base, target, measurer)) return undefined
    return this.#speaksFor(from, entry, base) ? seat?.signer : undefined
  }

  /** A daemon speaks for several nodes of its operator under the peer id of one. */
  #speaksFor(peer: string, entry: RegistryEntry, base: EpochBase): boolean {
    const { peerOf } = this.#components
    return base.nodes.some(
      node => equalBytes(node.operator, entry.operator) && peerOf(node) === peer,
    )
  }
}

type Asked = Pick<Ping, 'epoch' | 'measurer' | 'target'>

function isDrawn(base: EpochBase, target: number, measurer: number): boolean {
  return base.isTarget(coverage, target) && measurersOf(base, target).includes(measurer)
}
