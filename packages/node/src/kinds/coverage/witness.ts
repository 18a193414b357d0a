/**
 * Listens: commits after each transmission slot to the beacon frames heard in it, and reports a
 * reception when the beacon that it belongs to is revealed.
 */
import {
  ABSENT_FTIME,
  ABSENT_LEVEL,
  ABSENT_TMMS,
  type Beacon,
  type Calendar,
  COVERAGE,
  Commit,
  commitLeaf,
  commitRoot,
  commitSalt,
  type EpochBase,
  encodeLevel,
  epochAt,
  equalBytes,
  FRAMES_MAX,
  framePayload,
  gatewayPlaces,
  type HeardFrame,
  isBeaconFrame,
  type Known,
  MessageType,
  Report,
  slotAt,
  slotStart,
  slotsAround,
  transmissionSlots,
} from '@cairn/protocol'
import type { Clock, Log, Radio, Reception } from '../../ports.ts'
import { Errands } from '../errands.ts'
import type { EpochView, Voice } from '../kind.ts'

export interface WitnessComponents {
  clock: Clock
  voice: Voice
  view: EpochView
  radio: Radio
  log: Log
}

export interface WitnessInit {
  calendar: Calendar
  /** 32 bytes that only this node knows: salts follow from it. */
  secret: Uint8Array
}

/** What was heard in one slot, and the leaves once they are committed to. */
interface HeardSlot {
  readonly base: EpochBase
  readonly slot: number
  readonly witness: number
  readonly frames: HeardFrame[]
  closed: boolean
  leaves: Uint8Array[] | undefined
}

export class Witness {
  readonly #components: WitnessComponents
  readonly #init: WitnessInit
  readonly #errands: Errands
  /** At most the transmission slots of two epochs. */
  readonly #slots = new Map<string, HeardSlot>()
  #unsubscribe: (() => void) | undefined

  constructor(components: WitnessComponents, init: WitnessInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  start(): void {
    this.#unsubscribe ??= this.#components.radio.onReception(heard => this.#received(heard))
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    await this.#errands.stop()
  }

  /** Forgets what belongs to epochs before the last. */
  epoch({ epoch }: EpochBase): void {
    for (const [key, heard] of this.#slots)
      if (heard.base.epoch < epoch - 1) this.#slots.delete(key)
  }

  /** Reports the reception of a revealed beacon, if one was committed to. */
  revealed({ value: beacon }: Known<Beacon>, base: EpochBase): void {
    const heard = this.#slots.get(keyOf(base.epoch, beacon.slot))
    const challenge = this.#components.view.known(base.epoch).challenge(beacon.challenge)
    if (heard?.leaves === undefined || challenge === undefined) return
    if (beacon.author === heard.witness) return
    const payload = framePayload(challenge.value.output, beacon.nonce)
    const place = heard.frames.findIndex(frame => equalBytes(frame.payload, payload))
    if (place !== -1) this.#errands.run(() => this.#report(heard, place, beacon.challenge))
  }

  #received(reception: Reception): void {
    if (!isBeaconFrame(reception.payload)) return
    const heard = this.#slotOf(reception.at)
    if (heard === undefined || heard.closed || heard.frames.length >= FRAMES_MAX) return
    if (heard.frames.some(({ payload }) => equalBytes(payload, reception.payload))) return
    const frame = heardFrame(reception)
    if (frame === undefined) {
      this.#components.log.warn(
        { rssi: reception.rssi, snr: reception.snr },
        'impossible reception',
      )
      return
    }
    heard.frames.push(frame)
  }

  /** The slot in which a beacon heard at that time was sent; undefined where none is expected. */
  #slotOf(at: number): HeardSlot | undefined {
    const { voice, view } = this.#components
    const { calendar } = this.#init
    const epoch = epochAt(calendar, at)
    const slot = slotAt(calendar, epoch, at)
    const known = this.#slots.get(keyOf(epoch, slot))
    if (known !== undefined) return known
    const base = view.base(epoch)
    const witness = base && voice.index(base)
    if (base === undefined || witness === undefined || !gatewayPlaces(base).has(witness)) {
      return undefined
    }
    const [first, last] = transmissionSlots(base.profile)
    if (slot < first || slot > last) return undefined
    const heard = { base, slot, witness, frames: [], closed: false, leaves: undefined }
    this.#slots.set(keyOf(epoch, slot), heard)
    const { commit } = slotsAround(slot, base.profile)
    const due = slotStart(calendar, epoch, commit) + base.profile.skewMs
    this.#errands.at(due, () => this.#commit(heard))
    return heard
  }

  async #commit(heard: HeardSlot): Promise<void> {
    const { base, slot, witness, frames } = heard
    heard.closed = true
    if (frames.length === 0) return
    const leaves = frames.map((reception, place) =>
      commitLeaf({ witness, reception, salt: this.#salt(heard, place) }),
    )
    const said = await this.#components.voice.say<Commit>(MessageType.commit, Commit, base, {
      kind: COVERAGE,
      slot,
      root: commitRoot(leaves),
    })
    if (said !== undefined) heard.leaves = leaves
  }

  async #report(heard: HeardSlot, place: number, challenge: Uint8Array): Promise<void> {
    const { base, slot, frames, leaves } = heard
    const reception = frames[place]
    if (leaves === undefined || reception === undefined) return
    await this.#components.voice.say<Report>(MessageType.report, Report, base, {
      kind: COVERAGE,
      challenge,
      slot,
      leaves,
      place,
      reception,
      salt: this.#salt(heard, place),
    })
  }

  /** Derived: needs no randomness, and one that is opened tells nothing of another. */
  #salt({ base, slot }: HeardSlot, place: number): Uint8Array {
    return commitSalt({ secret: this.#init.secret, epoch: base.epoch, slot, place })
  }
}

function keyOf(epoch: number, slot: number): string {
  return `${epoch}/${slot}`
}

/** Undefined for numbers no radio gives: GWMP is not authenticated. */
function heardFrame(reception: Reception): HeardFrame | undefined {
  const { payload, frequency, spreadingFactor, bandwidth, rssi, rssis, snr, tmst } = reception
  const { ftime = ABSENT_FTIME, tmms = ABSENT_TMMS } = reception
  const levels = [rssi, rssis ?? 0, snr].map(Math.round)
  const fits =
    isUint(frequency, 0xffff_ffff) &&
    isUint(spreadingFactor, 0xff) &&
    isUint(bandwidth, 0xffff) &&
    isUint(tmst, 0xffff_ffff) &&
    isUint(ftime, 0xffff_ffff) &&
    tmms >= 0n &&
    tmms <= ABSENT_TMMS &&
    levels.every(level => Math.abs(level) < LEVEL_MAX)
  if (!fits) return undefined
  return {
    payload,
    frequency,
    spreadingFactor,
    bandwidth,
    rssi: encodeLevel(Math.round(rssi)),
    rssis: rssis === undefined ? ABSENT_LEVEL : encodeLevel(Math.round(rssis)),
    snr: encodeLevel(Math.round(snr)),
    tmst,
    ftime,
    tmms,
  }
}

/** 0.1 dB; within what `encodeLevel` takes. */
const LEVEL_MAX = 32_000

function isUint(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}
