/** One sentence per reason code: what was compared, with its numbers, and what to do about it. */
import type { VerdictFacts } from '../../../kind.ts'
import { WITNESSES_MAX } from '../../../radio/density.ts'
import { FAR_METRES, LOUD_TOLERANCE } from '../judgement.ts'
import type { CoverageReasonName } from '../reasons.ts'
import { amount, count, dbm, decibels, fact, metres, millis, number, units } from './wording.ts'

export interface Sentence {
  readonly cause: string
  /** What to do; absent: nothing. */
  readonly next?: string
}

export interface Subject {
  readonly role: 'beacon' | 'witness'
  readonly facts: VerdictFacts
}

type Explain = (subject: Subject) => Sentence

const ONE_DAEMON = 'two daemons run with one key: stop one of them'
const OWN_CODE = 'its daemon does not follow the protocol: install a release'
const CLOCK = 'check its clock and its connection'

/** The compiler refuses a code without a sentence. */
const SENTENCES: Readonly<Record<CoverageReasonName, Explain>> = {
  ok: ({ role, facts }) =>
    role === 'witness' ? { cause: `heard it at ${heard(facts)}: counts` } : beaconCounts(facts),
  challengeLate: () => ({ cause: 'the challenge came too late to count, which is not its fault' }),
  otherChallenge: () => ({ cause: 'another challenge of this epoch is the one that counts' }),
  noReveal: ({ facts }) => ({
    cause: `was asked in slot ${fact(facts, 'challengeSlot')} for a beacon in slot ${fact(facts, 'transmissionSlot')}, and never revealed one`,
    next: 'look in its log for "no beacon", "beacon not sent" or "beacon sent but not revealed"',
  }),
  late: ({ facts }) => ({
    cause: `its reveal was due by the end of slot ${fact(facts, 'revealDue')}, and reached ${fact(facts, 'revealSeenBy')} of ${fact(facts, 'assigned')} verifiers by then`,
    next: CLOCK,
  }),
  noDuty: ({ facts }) => ({
    cause: `was not drawn, or has no nonce left, in round ${fact(facts, 'round')}`,
    next: 'after 8,192 rounds a gateway has to register again; otherwise nothing',
  }),
  badNonce: () => ({
    cause: 'the nonce that it revealed is not of the chain that it registered',
    next: 'start it with the words, and on the network, that it was registered with',
  }),
  badReveal: ({ facts }) => badReveal(facts),
  unheard: () => ({
    cause: 'its beacon was sent and revealed, and no report of it counts',
    next: 'check antenna and cable; without neighbours of other operators nobody can hear it',
  }),
  unregistered: () => ({
    cause: 'was not registered and bonded when the epoch began',
    next: 'check its registration and its bond',
  }),
  noCell: () => ({
    cause: 'has registered no cell of resolution 10 or finer',
    next: 'register it with the cell in which its antenna stands',
  }),
  wrongRegion: ({ facts }) => ({
    cause: `its cell lies outside of the regional plan of code ${fact(facts, 'region')} that it registered`,
    next: 'register it with the plan of the place, and with the right cell',
  }),
  self: () => ({ cause: 'is the gateway that sent it', next: OWN_CODE }),
  sameOperator: () => ({
    cause: 'belongs to the same operator: own gateways do not witness each other',
  }),
  lateCommit: ({ facts }) => lateCommit(facts),
  wrongFrame: ({ facts }) => wrongFrame(facts),
  duplicate: ({ facts }) => ({
    cause: `reported this beacon already; this is its report of frame ${fact(facts, 'place')} of the commit`,
    next: OWN_CODE,
  }),
  tooClose: ({ facts }) => ({
    cause: `is ${fact(facts, 'distance', metres)} away, and below ${fact(facts, 'closeLimit', metres)} a pair proves nothing`,
  }),
  tooFar: ({ facts }) => tooFar(facts),
  tooLoud: ({ facts }) => ({
    cause: `heard it at ${fact(facts, 'level', dbm)}; ${fact(facts, 'distance', metres)} away it can be at most ${fact(facts, 'loudLimit', dbm)}, ${decibels(LOUD_TOLERANCE)} of tolerance included`,
    next: 'one of both cells is wrong, an antenna gains more than is registered, or the power is higher than told',
  }),
  belowDemodulation: ({ facts }) => ({
    cause: `reported an SNR of ${fact(facts, 'snr', decibels)}; nothing below ${fact(facts, 'leastSnr', decibels)} can be decoded at this spreading factor`,
    next: 'check what its packet forwarder reports as lsnr',
  }),
  notSelected: ({ facts }) => ({
    cause: `heard it at ${heard(facts)} and passed, but ${WITNESSES_MAX} others were drawn`,
  }),
  stale: () => ({
    cause: 'passed, but earns nothing this once: it had no valid beacon or report for long',
    next: 'nothing to do: from now on it earns again',
  }),
  noiseMismatch: ({ facts }) => ({
    cause: `its noise was ${fact(facts, 'noise', dbm)}, expected is ${fact(facts, 'leastNoise', dbm)} to ${fact(facts, 'mostNoise', dbm)}`,
    next: 'check its antenna for interference, and what its packet forwarder reports as rssi and lsnr',
  }),
  elsewhere: ({ facts }) => ({
    cause: `passed, but earns nothing: node ${fact(facts, 'roundTripFrom')} had its answer in ${fact(facts, 'roundTripMicros', millis)}, in which light comes ${fact(facts, 'roundTripLimit', metres)} far and back, and its cell is ${fact(facts, 'roundTripMetres', metres)} away; so say ${fact(facts, 'measuredTooFast')} of ${fact(facts, 'measurements')} measurements`,
    next: 'run it where its radio is, and register it with the cell in which that stands',
  }),
  relay: ({ facts }) => ({
    cause: `by GPS it came ${fact(facts, 'frameTook', millis)} after it was sent; it is ${fact(facts, 'airtime', millis)} long, its way takes ${fact(facts, 'flight', millis)}, and ${fact(facts, 'relayLimit', millis)} off is the most`,
    next: 'check the GPS of both gateways, and that no repeater or network carries its frames',
  }),
  sharedAntenna: ({ facts }) => ({
    cause: `heard it at ${heard(facts)} and passed, but another of the ${fact(facts, 'antennaShared')} nodes on the antenna of node ${fact(facts, 'antenna')} was drawn, or sent it`,
  }),
}

/** What a reason means, with the numbers of its verdict. A reason of a newer release is named. */
export function explainReason(reason: string, subject: Subject): Sentence {
  if (Object.hasOwn(SENTENCES, reason)) return SENTENCES[reason as CoverageReasonName](subject)
  return {
    cause: `did not count for "${reason}", which this release does not know`,
    next: 'install a newer release of this command',
  }
}

/** `-118.0 dBm SF9`, as far as it was told. */
function heard(facts: VerdictFacts): string {
  const spreadingFactor = number(facts, 'spreadingFactor')
  const rate = spreadingFactor === undefined ? '' : ` SF${spreadingFactor}`
  const distance = number(facts, 'distance')
  const way = distance === undefined ? '' : ` over ${metres(distance)}`
  return `${fact(facts, 'level', dbm)}${rate}${way}`
}

function beaconCounts(facts: VerdictFacts): Sentence {
  const selected = number(facts, 'selected') ?? 0
  const reports = number(facts, 'reports') ?? selected
  const earned = amount(facts, 'units')
  const gain = earned === undefined ? '' : `, which is ${units(earned)} units`
  return {
    cause: `${selected} of ${count(reports, 'report')} of it ${selected === 1 ? 'counts' : 'count'}${gain}`,
  }
}

function badReveal(facts: VerdictFacts): Sentence {
  const reveals = number(facts, 'reveals') ?? 0
  if (reveals > 1) {
    return { cause: `revealed ${reveals} different beacons in one epoch`, next: ONE_DAEMON }
  }
  const hertz = (value: number) => `${(value / 1e6).toFixed(3)} MHz`
  return {
    cause: `revealed slot ${fact(facts, 'revealedSlot')}, ${fact(facts, 'frequency', hertz)}, SF${fact(facts, 'spreadingFactor')}; from challenge and nonce follow slot ${fact(facts, 'transmissionSlot')}, ${fact(facts, 'derivedFrequency', hertz)}, SF${fact(facts, 'derivedSpreadingFactor')}`,
    next: OWN_CODE,
  }
}

function lateCommit(facts: VerdictFacts): Sentence {
  const commits = number(facts, 'commits')
  const before = number(facts, 'level') === undefined ? '' : `heard it at ${heard(facts)}, but `
  if (commits === undefined) {
    return {
      cause: `${before}its commit came after the slot in which it was due: ${fact(facts, 'commitHeldBy')} of ${fact(facts, 'assigned')} verifiers had it in time`,
      next: CLOCK,
    }
  }
  if (commits > 1) {
    return { cause: `${before}it made ${commits} different commits for the slot`, next: ONE_DAEMON }
  }
  return { cause: `${before}its report is not what it had committed to`, next: OWN_CODE }
}

function wrongFrame(facts: VerdictFacts): Sentence {
  const off = Math.abs((number(facts, 'frequency') ?? 0) - (number(facts, 'sentFrequency') ?? 0))
  const differs = (one: string, other: string) => number(facts, one) !== number(facts, other)
  if (number(facts, 'payloadFits') === 0) {
    return {
      cause: 'reported other bytes than were sent',
      next: 'check that its concentrator forwards frames with a good CRC only',
    }
  }
  const next = 'check its packet forwarder and the channels of its concentrator'
  if (differs('spreadingFactor', 'sentSpreadingFactor')) {
    return {
      cause: `reported SF${fact(facts, 'spreadingFactor')} where SF${fact(facts, 'sentSpreadingFactor')} was sent`,
      next,
    }
  }
  if (differs('bandwidth', 'sentBandwidth')) {
    return {
      cause: `reported ${fact(facts, 'bandwidth')} kHz of bandwidth where ${fact(facts, 'sentBandwidth')} kHz were sent`,
      next,
    }
  }
  return {
    cause: `reported a frequency ${off} Hz off, which may be ${fact(facts, 'frequencyTolerance')} Hz`,
    next,
  }
}

function tooFar(facts: VerdictFacts): Sentence {
  const distance = number(facts, 'distance') ?? 0
  const next = 'check the cells of both, and the gains that they registered'
  if (distance - (number(facts, 'slack') ?? 0) > FAR_METRES) {
    return { cause: `is ${metres(distance)} away, and ${metres(FAR_METRES)} is the most`, next }
  }
  return {
    cause: `is ${metres(distance)} away, where free space leaves ${fact(facts, 'expectedLevel', dbm)} of the beacon; below ${fact(facts, 'sensitivity', dbm)} it cannot be decoded`,
    next,
  }
}
