/**
 * What a beacon transmits and how. The frame follows from the challenge's output, which is public,
 * and the gateway's nonce, which is not until the reveal: nobody else knows beforehand what is
 * sent, on which channel, at which data rate and how loud. The hash of the frame's whole hash
 * gives four words: channel, spreading factor, power and the time within the slot.
 */
import { sha256 } from '#crypto'
import type { Profile } from '../../profile.ts'
import { airtime } from '../../radio/airtime.ts'
import { REGIONAL_PLANS } from '../../radio/plans.ts'
import { bandOf, channelsOf, type RegionalPlan } from '../../radio/regions.ts'
import type { RegistryEntry } from '../../registry.ts'
import { Bytes32, Bytes96, ContainerType } from '../../ssz.ts'

/** Type byte and 24 bytes of hash: distinct on the air from any LoRaWAN frame (MType 111). */
export const FRAME_BYTES = 25
export const FRAME_TYPE = 0xe0
/** kHz: beacons use the channels of 125 kHz of every plan. */
export const FRAME_BANDWIDTH = 125

const FrameInput = new ContainerType(
  { output: Bytes96, nonce: Bytes32 },
  { typeName: 'FrameInput' },
)
const EmissionInput = new ContainerType({ frameHash: Bytes32 }, { typeName: 'EmissionInput' })

/** What was, or was to be, on the air. */
export interface Emission {
  readonly payload: Uint8Array
  /** Hz. */
  readonly frequency: number
  readonly spreadingFactor: number
  /** kHz. */
  readonly bandwidth: number
  /** EIRP in 0.1 dBm. */
  readonly power: number
}

export interface BeaconPlan extends Emission {
  /** When to begin, ms after the start of the transmission slot: neighbours spread over the slot. */
  readonly delayMs: number
}

export interface BeaconPlanInit {
  /** The challenge's output, 96 bytes. */
  readonly output: Uint8Array
  readonly nonce: Uint8Array
  readonly gateway: Pick<RegistryEntry, 'region' | 'subBand'>
  readonly profile: Profile
}

/** The 25 bytes on the air. */
export function framePayload(output: Uint8Array, nonce: Uint8Array): Uint8Array {
  return payloadOf(frameHash(output, nonce))
}

/** True for what a witness commits to. */
export function isBeaconFrame(payload: Uint8Array): boolean {
  return payload.length === FRAME_BYTES && payload[0] === FRAME_TYPE
}

/** Undefined where the registered plan, sub-band and profile leave nothing to transmit with. */
export function beaconPlan(init: BeaconPlanInit): BeaconPlan | undefined {
  const { gateway, profile } = init
  const plan = planOf(gateway)
  if (plan === undefined) return undefined
  const factors = spreadingFactors(plan, profile)
  const channels = channelsOf(plan, gateway.subBand) ?? []
  const hash = frameHash(init.output, init.nonce)
  const next = sha256(EmissionInput.serialize({ frameHash: hash }))
  const words = new DataView(next.buffer, next.byteOffset, next.length)
  const frequency = pick(channels, words.getUint32(0))
  const spreadingFactor = pick(factors, words.getUint32(4))
  if (frequency === undefined || spreadingFactor === undefined) return undefined
  const band = bandOf(plan, frequency)
  if (band === undefined) return undefined
  const { step, count } = plan.powerSteps
  const air = Math.ceil(frameMicroseconds(spreadingFactor) / 1_000)
  const spread = Math.max(1, profile.slotMs - 2 * profile.skewMs - air)
  return {
    payload: payloadOf(hash),
    frequency,
    spreadingFactor,
    bandwidth: FRAME_BANDWIDTH,
    power: band.maxEirp - step * (words.getUint32(8) % count),
    delayMs: profile.skewMs + (words.getUint32(12) % spread),
  }
}

/** The registered regional plan, where it is known and has the registered sub-band. */
export function planOf({
  region,
  subBand,
}: Pick<RegistryEntry, 'region' | 'subBand'>): RegionalPlan | undefined {
  const plan = REGIONAL_PLANS.find(({ code }) => code === region)
  return plan === undefined || channelsOf(plan, subBand) === undefined ? undefined : plan
}

/** Most that may be radiated on a frequency, 0.1 dBm EIRP. */
export function powerLimit(plan: RegionalPlan, frequency: number): number | undefined {
  return bandOf(plan, frequency)?.maxEirp
}

/** Spreading factors of profile and plan whose frame stays within the plan's dwell time. */
function spreadingFactors(plan: RegionalPlan, { spreadingFactors: own }: Profile): number[] {
  const first = Math.max(own[0], plan.spreadingFactors[0])
  const last = Math.min(own[1], plan.spreadingFactors[1])
  const all = Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at)
  return all.filter(factor => plan.dwell === undefined || frameMicroseconds(factor) <= plan.dwell)
}

function frameMicroseconds(spreadingFactor: number): number {
  return airtime({ bytes: FRAME_BYTES, spreadingFactor, bandwidth: FRAME_BANDWIDTH })
}

function pick<T>(choices: readonly T[], word: number): T | undefined {
  return choices[word % choices.length]
}

function frameHash(output: Uint8Array, nonce: Uint8Array): Uint8Array {
  return sha256(FrameInput.serialize({ output, nonce }))
}

function payloadOf(hash: Uint8Array): Uint8Array {
  const payload = new Uint8Array(FRAME_BYTES)
  payload[0] = FRAME_TYPE
  payload.set(hash.subarray(0, FRAME_BYTES - 1), 1)
  return payload
}
