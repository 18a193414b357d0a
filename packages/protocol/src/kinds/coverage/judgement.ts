/**
 * The rules of a radio witness, each a pure function of the numbers it compares. Integers only:
 * metres, Hz, and levels in 0.1 dB. A rule that lacks a number is `notJudged`, never a failure.
 */
import type { VerdictFacts } from '../../kind.ts'
import { airtime } from '../../radio/airtime.ts'
import { noiseLevel, signalLevel } from '../../radio/levels.ts'
import { equalBytes, hex } from '../../ssz.ts'
import type { Emission } from './frame.ts'
import { ABSENT_FTIME, ABSENT_TMMS, decodeLevel, type HeardFrame } from './messages.ts'
import type { CoverageReasonName } from './reasons.ts'

/** Metres between cell centres below which two gateways are one place. */
export const CLOSE_METRES = 300
/** Metres beyond which nothing is believed to be heard on the ground. */
export const FAR_METRES = 100_000
/** What a level may exceed free space by, 0.1 dB: two-ray 6 dB, chip 3 dB, place 1 dB. */
export const LOUD_TOLERANCE = 100
/** What an SNR may lie below its spreading factor's limit, 0.1 dB. */
export const SNR_TOLERANCE = 40

/** What the noise of a radio that works lies between, in 125 kHz, 0.1 dBm. */
export const NOISE_RANGE = [-1_250, -1_000] as const
/** Above this SNR a concentrator's estimate saturates and says nothing of the noise, 0.1 dB. */
export const NOISE_SNR_MAX = 50
/** What the noise may lie off the gateway's own median, 0.1 dB. */
export const NOISE_TOLERANCE = 120

/** What a frame may take longer, or seem shorter, than airtime and light need, microseconds. */
export const RELAY_LIMIT = 10_000
/** The same where the concentrator stamps nanoseconds. */
export const RELAY_FINE_LIMIT = 1_000
const METRES_PER_SECOND = 299_792_458
/** Microseconds. */
const SECOND = 1_000_000n

export type Outcome = 'passed' | 'failed' | 'notJudged'

export interface Finding {
  readonly reason: CoverageReasonName
  readonly outcome: Outcome
  readonly facts: VerdictFacts
}

/** The way from a beaconer to a witness as their cells and antennas give it. */
export interface Link {
  /** Metres between the centres of the cells. */
  readonly distance: number
  /** Metres that the gateways may be nearer or farther apart than the centres of wide cells. */
  readonly slack: number
  /** Free-space loss at the least distance, 0.1 dB. */
  readonly loss: number
  /** EIRP and the witness's gain, 0.1 dBm: the level without any loss. */
  readonly sent: number
  /** Least level and SNR that a gateway can decode, 0.1 dBm and 0.1 dB. */
  readonly sensitivity: number
  readonly snrLimit: number
}

export function judgeSelf(target: number, witness: number): Finding {
  return finding('self', target !== witness, { beaconer: target })
}

export function judgeOperator(target: Uint8Array, witness: Uint8Array): Finding {
  return finding('sameOperator', !equalBytes(target, witness), {
    operator: `0x${hex(witness)}`,
    beaconOperator: `0x${hex(target)}`,
  })
}

/** `held`: verifiers that held the commit in time, of those assigned. */
export function judgeCommit(held: number, assigned: number): Finding {
  return finding('lateCommit', 2 * held > assigned, { commitHeldBy: held, assigned })
}

/**
 * `commits`: those of the witness for the slot; of two neither counts. `opened`: its leaves have the
 * root of the one.
 */
export function judgeOpening(commits: number, opened: boolean): Finding {
  return finding('lateCommit', commits === 1 && opened, {
    commits,
    leavesCommitted: opened ? 1 : 0,
  })
}

/** Payload, spreading factor and bandwidth equal; frequency within a quarter of the bandwidth. */
export function judgeFrame(heard: HeardFrame, sent: Emission): Finding {
  const tolerance = sent.bandwidth * 250
  const samePayload = equalBytes(heard.payload, sent.payload)
  const same =
    samePayload &&
    heard.spreadingFactor === sent.spreadingFactor &&
    heard.bandwidth === sent.bandwidth &&
    Math.abs(heard.frequency - sent.frequency) <= tolerance
  return finding('wrongFrame', same, {
    payloadFits: samePayload ? 1 : 0,
    frequency: heard.frequency,
    sentFrequency: sent.frequency,
    frequencyTolerance: tolerance,
    spreadingFactor: heard.spreadingFactor,
    sentSpreadingFactor: sent.spreadingFactor,
    bandwidth: heard.bandwidth,
    sentBandwidth: sent.bandwidth,
  })
}

/** Too close only if even the farthest points of the cells are. */
export function judgeClose({ distance, slack }: Link): Finding {
  return finding('tooClose', distance + slack >= CLOSE_METRES, {
    distance,
    slack,
    closeLimit: CLOSE_METRES,
  })
}

/** Too far only if even the nearest points of the cells are, or free space leaves too little. */
export function judgeFar({ distance, slack, loss, sent, sensitivity }: Link): Finding {
  const near = distance - slack <= FAR_METRES && sent - loss >= sensitivity
  return finding('tooFar', near, {
    distance,
    slack,
    farLimit: FAR_METRES,
    expectedLevel: sent - loss,
    sensitivity,
  })
}

/** By the level of the signal alone, as given or reckoned from that of signal and noise. */
export function judgeLoud(heard: HeardFrame, { loss, sent }: Link): Finding {
  const level = signalOf(heard)
  const limit = sent - loss + LOUD_TOLERANCE
  if (level === undefined) return notJudged('tooLoud', { loudLimit: limit })
  return finding('tooLoud', level <= limit, { level, loudLimit: limit })
}

/** 0.1 dBm; undefined where the radio gave too little to tell it from the noise. */
export function signalOf(heard: HeardFrame): number | undefined {
  const rssis = decodeLevel(heard.rssis)
  if (rssis !== undefined) return rssis
  const rssi = decodeLevel(heard.rssi)
  const snr = decodeLevel(heard.snr)
  return rssi === undefined || snr === undefined ? undefined : signalLevel({ rssi, snr })
}

export function judgeSnr({ snr: encoded }: HeardFrame, { snrLimit }: Link): Finding {
  const snr = decodeLevel(encoded)
  const limit = snrLimit - SNR_TOLERANCE
  if (snr === undefined) return notJudged('belowDemodulation', { leastSnr: limit })
  return finding('belowDemodulation', snr >= limit, { snr, leastSnr: limit })
}

/** Noise in 125 kHz, 0.1 dBm; undefined where the radio gave too little, or the SNR is too high. */
export function noiseOf(heard: HeardFrame): number | undefined {
  const rssi = decodeLevel(heard.rssi)
  const rssis = decodeLevel(heard.rssis)
  const snr = decodeLevel(heard.snr)
  if (rssi === undefined || snr === undefined || snr > NOISE_SNR_MAX) return undefined
  return noiseLevel({ rssi, rssis, snr, bandwidth: heard.bandwidth })
}

/** `usual`: median of the gateway's noise, where there are samples enough. */
export function judgeNoise(heard: HeardFrame, usual: number | undefined): Finding {
  const [leastNoise, mostNoise] = NOISE_RANGE
  const limits = {
    leastNoise: Math.max(leastNoise, (usual ?? leastNoise) - NOISE_TOLERANCE),
    mostNoise: Math.min(mostNoise, (usual ?? mostNoise) + NOISE_TOLERANCE),
  }
  const noise = noiseOf(heard)
  if (noise === undefined) return notJudged('noiseMismatch', limits)
  const fits = noise >= limits.leastNoise && noise <= limits.mostNoise
  return finding('noiseMismatch', fits, { noise, ...limits })
}

/**
 * A frame that came by another way than the air took longer. `began`: GPS ms of the transmission as
 * revealed. Only where both ends tell GPS time: who relays tells none, so this adds to the rules and
 * carries none of them.
 */
export function judgeRelay(
  heard: HeardFrame,
  { began, distance }: { began: bigint } & Pick<Link, 'distance'>,
): Finding {
  const fine = heard.ftime !== ABSENT_FTIME
  const limit = fine ? RELAY_FINE_LIMIT : RELAY_LIMIT
  if (began === ABSENT_TMMS || heard.tmms === ABSENT_TMMS) {
    return notJudged('relay', { relayLimit: limit })
  }
  const { payload, spreadingFactor, bandwidth } = heard
  const air = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
  const flight = Math.floor((distance * 1_000_000) / METRES_PER_SECOND)
  const took = Number(endOf(heard) - 1_000n * began)
  const off = took - air - flight
  return finding('relay', Math.abs(off) <= limit, {
    frameTook: took,
    airtime: air,
    flight,
    relayLimit: limit,
  })
}

/** GPS microseconds, floor: `ftime` counts within the second that is nearest to `tmms`. */
function endOf({ tmms, ftime }: HeardFrame): bigint {
  const coarse = 1_000n * tmms
  if (ftime === ABSENT_FTIME) return coarse
  const within = BigInt(Math.floor(ftime / 1_000))
  const fine = coarse - (coarse % SECOND) + within
  if (fine - coarse > SECOND / 2n) return fine - SECOND
  return coarse - fine > SECOND / 2n ? fine + SECOND : fine
}

export function finding(reason: CoverageReasonName, passed: boolean, facts: VerdictFacts): Finding {
  return { reason, outcome: passed ? 'passed' : 'failed', facts }
}

export function notJudged(reason: CoverageReasonName, facts: VerdictFacts): Finding {
  return { reason, outcome: 'notJudged', facts }
}

/** What a sequence of rules came to. */
export interface Assessment {
  /** `ok`, or the first rule that failed. */
  readonly reason: CoverageReasonName
  readonly facts: VerdictFacts
}

/**
 * Asks the rules in order until one fails, and keeps the numbers of all that were asked; `notJudged`
 * lists those that could not be computed.
 */
export function judgeAll(rules: readonly (() => Finding)[]): Assessment {
  let facts: VerdictFacts = {}
  const open: string[] = []
  for (const rule of rules) {
    const found = rule()
    facts = { ...facts, ...found.facts }
    if (found.outcome === 'failed') return { reason: found.reason, facts: withOpen(facts, open) }
    if (found.outcome === 'notJudged') open.push(found.reason)
  }
  return { reason: 'ok', facts: withOpen(facts, open) }
}

function withOpen(facts: VerdictFacts, open: readonly string[]): VerdictFacts {
  return open.length === 0 ? facts : { ...facts, notJudged: open.join(' ') }
}
