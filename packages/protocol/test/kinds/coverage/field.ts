/**
 * One epoch of one beacon over the real rules: gateways around a beaconer, what they heard and
 * said, and what settlement makes of it. Messages enter the set as the kernel lets them in.
 */

import {
  ABSENT_FTIME,
  ABSENT_LEVEL,
  ABSENT_TMMS,
  Attestation,
  Beacon,
  type BeaconPlan,
  type BeaconSlots,
  beaconPlan,
  Challenge,
  COVERAGE,
  type Codec,
  Commit,
  type CoverageState,
  cellDistance,
  challengeRecords,
  commitLeaf,
  commitRoot,
  commitSalt,
  coverage,
  type DutyAnswer,
  type EpochBase,
  type EpochMessage,
  emptyCoverageState,
  emptyState,
  encodeEvidence,
  encodeLevel,
  freeSpaceLevel,
  gatewayPlaces,
  type HeardFrame,
  hex,
  invariant,
  type Kind,
  type KindSettlement,
  type Known,
  MessageSet,
  MessageType,
  messageId,
  type NonceChain,
  ownRound,
  type Profile,
  type RegistryEntry,
  Report,
  rulebook,
  type SetMessage,
  State,
  slotsOf,
  subjectOf,
  TESTNET_PROFILE,
  Verdict,
} from '@cairn/protocol'
import { latLngToCell } from 'h3-js'
import { baseOf, chainOf, entryOf } from './network.ts'

/** Everybody is drawn in every epoch. */
export const EVERY_EPOCH: Profile = { ...TESTNET_PROFILE, roundEpochs: 1 }

/** A place in the regional plan, and metres per degree there. */
const HOME = { lat: 49.2, lng: 16.6 }
const METRES_PER_DEGREE = 111_195

/** Chain end of gateways that never beacon here. */
const chainEndless = new Uint8Array(32)

const kind = coverage as unknown as Kind<unknown>

/** The cell so many metres north of home. */
export function cellNorth(metres: number, resolution = 12): bigint {
  return BigInt(`0x${latLngToCell(HOME.lat + metres / METRES_PER_DEGREE, HOME.lng, resolution)}`)
}

export interface FieldInit {
  /** Metres north of the beaconer (node 0) of nodes 1, 2, ... */
  places: readonly number[]
  epoch?: number
  /** Changes to single entries, by index. */
  changes?: Readonly<Record<number, Partial<RegistryEntry>>>
  state?: CoverageState
  profile?: Profile
}

export interface Hearing {
  /** Changes what an honest radio would have heard. */
  reception?: Partial<HeardFrame>
  /** Verifiers that held the commit in time, of those assigned; all unless given. */
  held?: number
  /** Further leaves of the commit. */
  others?: readonly Uint8Array[]
}

export interface Said<V> extends Known<V> {
  duty: DutyAnswer | 'badContent'
}

export class Field {
  readonly base: EpochBase
  readonly set = new MessageSet()
  /** Everything that was said, admitted or not. */
  readonly said: SetMessage<EpochMessage>[] = []
  readonly state: CoverageState
  readonly plan: BeaconPlan
  readonly challenge: Said<Challenge>
  readonly slots: BeaconSlots
  readonly nonce: Uint8Array
  readonly chain: NonceChain
  readonly #book = rulebook([kind])
  readonly #late = new Map<number, number>()

  constructor(init: FieldInit) {
    const { places, epoch = 8, changes = {}, profile = EVERY_EPOCH } = init
    this.state = init.state ?? emptyCoverageState()
    this.chain = chainOf(0)
    const registry = [0, ...places].map((metres, index) =>
      entryOf(index, {
        cell: cellNorth(metres),
        region: 1,
        nonceEnd: index === 0 ? this.chain.end : chainEndless,
        ...changes[index],
      }),
    )
    const state = new State(emptyState([]).core, [kind], new Map([[COVERAGE, this.state]]))
    this.base = baseOf({ epoch, profile, registry, state })
    const beaconer = registry[0] as RegistryEntry
    this.nonce = this.chain.nonce(ownRound(beaconer, this.base))
    this.challenge = this.ask(0)
    this.slots = slotsOf(this.challenge.value, this.base)
    const { output } = this.challenge.value
    const plan = beaconPlan({ output, nonce: this.nonce, gateway: beaconer, profile })
    invariant(plan !== undefined, 'the field has a regional plan')
    this.plan = plan
  }

  /** The challenge of the duty's n-th challenger; `output` is not verified here. */
  ask(order: number, fill = 5): Said<Challenge> {
    const author = this.base.duty(COVERAGE, 0).challengers[order] as number
    const output = new Uint8Array(96).fill(fill + order)
    return this.say<Challenge>(MessageType.challenge, Challenge, author, { target: 0, output })
  }

  say<V extends EpochMessage>(
    type: MessageType,
    codec: Codec<V>,
    author: number,
    fields: Omit<V, keyof EpochMessage>,
  ): Said<V> {
    const { epoch, tag } = this.base
    const value = { epoch, base: tag, kind: COVERAGE, author, ...fields } as V
    const envelope = { type, body: codec.serialize(value), signature: new Uint8Array(64) }
    const id = messageId(envelope)
    this.said.push({ id, value, envelope })
    const rule = this.#book.rule(type, COVERAGE)
    invariant(rule !== undefined, 'the kind has a rule')
    const duty = rule.duty(value, this.base, this.set)
    const content = rule.verify === undefined || type === MessageType.challenge
    const valid = content || rule.verify?.(value, this.base, neverAsked)
    if (duty === 'yes' && valid) {
      this.set.add({ id, value, envelope }, subjectOf(type, value, rule), COVERAGE)
    }
    return { id, value, duty: valid ? duty : 'badContent' }
  }

  /** What a radio at the node's place receives over a path 20 dB worse than free space. */
  reception(node: number, change: Partial<HeardFrame> = {}): HeardFrame {
    const { payload, frequency, spreadingFactor, bandwidth, power } = this.plan
    const [own, entry] = [this.base.node(0), this.base.node(node)]
    invariant(own !== undefined && entry !== undefined, 'both are active')
    const distance = cellDistance(own.cell, entry.cell)
    const level = freeSpaceLevel({ eirp: power, gain: entry.gain, distance, frequency }) - 200
    return {
      payload,
      frequency,
      spreadingFactor,
      bandwidth,
      rssi: encodeLevel(level),
      rssis: ABSENT_LEVEL,
      // Over the noise of an ordinary receiver, up to where the estimate saturates.
      snr: encodeLevel(Math.min(level + 1_170, 100)),
      tmst: 1_000_000,
      ftime: ABSENT_FTIME,
      tmms: ABSENT_TMMS,
      ...change,
    }
  }

  /** Commit and report of one witness. Call after `reveal`. */
  hear(node: number, { held, ...hearing }: Hearing = {}): Said<Report> {
    const { slot, leaves } = this.#opening(node, hearing)
    this.say<Commit>(MessageType.commit, Commit, node, { slot, root: commitRoot(leaves) })
    if (held !== undefined) this.#late.set(node, held)
    return this.open(node, hearing)
  }

  /** The report alone. */
  open(node: number, hearing: Hearing = {}): Said<Report> {
    return this.say<Report>(MessageType.report, Report, node, this.#opening(node, hearing))
  }

  #opening(node: number, { reception: change, others = [] }: Hearing) {
    const { transmission: slot } = this.slots
    const reception = this.reception(node, change)
    const place = others.length
    const salt = commitSalt({ secret: this.nonce, epoch: this.base.epoch, slot, place })
    const leaves = [...others, commitLeaf({ witness: node, reception, salt })]
    return { challenge: this.challenge.id, slot, leaves, place, reception, salt }
  }

  reveal(change: Partial<Beacon> = {}): Said<Beacon> {
    return this.say<Beacon>(MessageType.beacon, Beacon, 0, {
      challenge: this.challenge.id,
      nonce: this.nonce,
      slot: this.slots.transmission,
      frequency: this.plan.frequency,
      spreadingFactor: this.plan.spreadingFactor,
      power: encodeLevel(this.plan.power),
      tmms: ABSENT_TMMS,
      ...change,
    })
  }

  /** Reveals for another challenge than the first, in the slot that follows from it. */
  revealFor({ id, value }: Said<Challenge>, change: Partial<Beacon> = {}): Said<Beacon> {
    const { transmission: slot } = slotsOf(value, this.base)
    return this.reveal({ challenge: id, slot, ...change })
  }

  /** Attestations of all assigned verifiers; the first `late` of them saw the reveal too late. */
  attest({
    late = 0,
    challenge = this.challenge,
    seenSlot = slotsOf(challenge.value, this.base).challenge,
  } = {}): void {
    const { verifiers } = this.base.duty(COVERAGE, 0)
    const places = gatewayPlaces(this.base)
    const commits = this.set.anyOfType<Commit>(MessageType.commit, COVERAGE)
    const authors = new Set(commits.map(({ value }) => value.author))
    for (const [at, verifier] of verifiers.entries()) {
      const onTime = at >= late
      const held = [...authors].filter(node => at < (this.#late.get(node) ?? verifiers.length))
      const evidence = encodeEvidence({
        revealSlot: onTime ? this.slots.reveal : this.slots.reveal + 1,
        gateways: places.size,
        committed: held.map(node => places.get(node) as number),
      })
      this.say<Attestation>(MessageType.attestation, Attestation, verifier, {
        challenge: challenge.id,
        seenSlot,
        verdict: onTime ? Verdict.pass : Verdict.inconclusive,
        reason: onTime ? 0 : 4,
        evidence,
      })
    }
  }

  settle(set: MessageSet = this.set): KindSettlement<CoverageState> {
    return coverage.settle({
      base: this.base,
      state: this.state,
      challenges: challengeRecords(this.base, kind, set),
      messages: set,
      available: () => 0n,
    })
  }

  /** Reasons of the one challenge that was asked: the beacon's, and each report's by node. */
  reasons(): { beacon: string; witnesses: Record<number, string> } {
    const id = hex(this.challenge.id)
    const verdict = this.settle().verdicts.find(({ challenge }) => hex(challenge) === id)
    invariant(verdict !== undefined, 'every challenge has a verdict')
    const parts = verdict.parts ?? []
    return {
      beacon: verdict.reason,
      witnesses: Object.fromEntries(parts.map(({ node, reason }) => [node, reason])),
    }
  }
}

const neverAsked = { ed25519: () => false, bls: () => false, drand: () => false }
