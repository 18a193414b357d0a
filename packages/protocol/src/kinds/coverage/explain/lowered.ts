/** Why somebody who counts earns less than in full: one sentence per factor that is below one. */
import type { VerdictFacts } from '../../../kind.ts'
import { SCALE_ONE } from '../../../radio/density.ts'
import { CONSISTENCY_PARTS } from '../graph/consistency.ts'
import { FULL, ramp } from '../graph/ramp.ts'
import type { Sentence, Subject } from './reason.ts'
import { amount, decibels, fact, metres, number } from './wording.ts'

export type FactorName = 'density' | 'consistency' | 'independence' | 'mutuality' | 'antenna'

export interface Lowered extends Sentence {
  readonly factor: FactorName
  /** Parts per million. */
  readonly value: number
}

type Part = keyof typeof CONSISTENCY_PARTS

/** Factors of one who earns, in the order in which they are multiplied; empty: in full. */
export function loweredFactors({ role, facts }: Subject): Lowered[] {
  const scale = amount(facts, 'densityScale')
  if (scale === undefined) return []
  const found = [
    lowered('density', Number((scale * BigInt(FULL)) / SCALE_ONE), density),
    lowered('consistency', number(facts, 'consistency'), () => consistency(facts)),
    lowered('independence', number(facts, 'independence'), () => independence(facts)),
    lowered('mutuality', number(facts, role === 'beacon' ? 'beaconing' : 'witnessing'), () =>
      mutuality(role, facts),
    ),
    role === 'beacon' ? lowered('antenna', antennaPart(facts), () => antenna(facts)) : undefined,
  ]
  return found.filter(item => item !== undefined)
}

function lowered(
  factor: FactorName,
  value: number | undefined,
  explain: () => Sentence,
): Lowered | undefined {
  return value === undefined || value >= FULL ? undefined : { factor, value, ...explain() }
}

function density(): Sentence {
  return {
    cause: 'many gateways share its neighbourhood',
    next: 'a place with fewer gateways earns more',
  }
}

/** By the part that is least: it is the one that counts. */
function consistency(facts: VerdictFacts): Sentence {
  const parts = (Object.keys(CONSISTENCY_PARTS) as Part[]).map(name => ({
    name,
    factor: partFactor(name, facts),
  }))
  const least = parts.reduce((a, b) => (b.factor < a.factor ? b : a))
  return PARTS[least.name](facts)
}

function partFactor(name: Part, facts: VerdictFacts): number {
  const value = number(facts, name)
  const { ramp: bounds, eitherWay } = CONSISTENCY_PARTS[name]
  return ramp(value === undefined || !eitherWay ? value : Math.abs(value), bounds)
}

const thousandths = (value: number) => (value / 1_000).toFixed(3)
const hundredths = (value: number) => (value / 100).toFixed(2)
const promille = (value: number) => `${(value / 10).toFixed(1)} %`

const PARTS: Readonly<Record<Part, (facts: VerdictFacts) => Sentence>> = {
  fit: facts => ({
    cause: `over its ${fact(facts, 'links')} links loss should grow with distance, and hardly does (correlation ${fact(facts, 'fit', thousandths)}, in full from ${thousandths(CONSISTENCY_PARTS.fit.ramp.full)})`,
    next: 'register it with the cell in which its antenna stands',
  }),
  excess: facts => {
    const excess = number(facts, 'excess') ?? 0
    const limit = decibels(CONSISTENCY_PARTS.excess.ramp.full)
    const more = excess > 0
    return {
      cause: `its links lose ${decibels(Math.abs(excess))} ${more ? 'more' : 'less'} than those of others over the same distance, and up to ${limit} is in full`,
      next: more
        ? 'check antenna, cable and connectors, and the cell that it registered'
        : 'check the cell and the antenna gain that it registered',
    }
  },
  asymmetry: facts => {
    const asymmetry = number(facts, 'asymmetry') ?? 0
    const louder = asymmetry < 0
    return {
      cause: `others hear it ${decibels(Math.abs(asymmetry))} ${louder ? 'louder' : 'more weakly'} than it hears them, and up to ${decibels(CONSISTENCY_PARTS.asymmetry.ramp.full)} is in full`,
      next: louder
        ? 'it sends louder than it says: check antenna_gain and the powers in its packet forwarder'
        : 'it sends more weakly than it says, or its registered gain is too low: check both',
    }
  },
  oneSided: facts => ({
    cause: `${fact(facts, 'oneSided', promille)} of the frames that it heard are of gateways that never heard it, and up to ${promille(CONSISTENCY_PARTS.oneSided.ramp.full)} is in full`,
    next: 'check that it transmits: antenna, power, and "beacon not sent" in its log',
  }),
  doubt: facts => ({
    cause: `its links fit a place ${fact(facts, 'likelierAt', metres)} from its cell better than the cell (doubt ${fact(facts, 'doubt', hundredths)}, in full up to ${hundredths(CONSISTENCY_PARTS.doubt.ramp.full)})`,
    next: 'register it with the cell in which its antenna stands',
  }),
  heardShare: facts => ({
    cause: `gateways near its cell took ${fact(facts, 'heardShare', promille)} of their chances to hear its beacons, and from ${promille(CONSISTENCY_PARTS.heardShare.ramp.full)} on is in full`,
    next: 'check its antenna, and the cell that it registered',
  }),
}

/** Parts per million, floor, that each node on an antenna has of its beacons. */
function antennaPart(facts: VerdictFacts): number {
  return Math.floor(FULL / Math.max(number(facts, 'antennaShared') ?? 1, 1))
}

function antenna(facts: VerdictFacts): Sentence {
  const shared = `${fact(facts, 'antennaShared')} nodes are on one antenna by how others hear them, the first is node ${fact(facts, 'antenna')}`
  const spread = number(facts, 'antennaSpread')
  const likeness =
    spread === undefined
      ? ''
      : `, from which it differs by ${decibels(spread)} at ${fact(facts, 'antennaReceivers')} receivers`
  return {
    cause: `${shared}${likeness}: they share what it earns by beacons`,
    next: 'several nodes on one mast earn as one: another roof earns more',
  }
}

function independence(facts: VerdictFacts): Sentence {
  const trust = number(facts, 'trust')
  const next = 'links heard both ways with gateways of other operators raise it'
  const degree = fact(facts, 'degree')
  return trust === undefined
    ? {
        cause: `no chain of links heard both ways joins it to an anchor (its own links weigh ${degree})`,
        next,
      }
    : {
        cause: `little trust reaches it from the anchors: ${thousandths(trust)} of the mean over links that weigh ${degree}`,
        next,
      }
}

function mutuality(role: Subject['role'], facts: VerdictFacts): Sentence {
  const frames = (value: number) => (value / 1_000).toFixed(1)
  const hears = fact(facts, 'hears', frames)
  const heardBy = fact(facts, 'heardBy', frames)
  return role === 'beacon'
    ? {
        cause: `its own beacons were heard ${heardBy} times and it heard others ${hears} times: who is heard must hear`,
        next: 'check that it receives: antenna, concentrator, channels',
      }
    : {
        cause: `it heard others ${hears} times and its own beacons were heard ${heardBy} times: who hears must be heard`,
        next: 'check that it transmits: antenna, power, and "beacon not sent" in its log',
      }
}
