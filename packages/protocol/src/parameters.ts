/**
 * The numbers of a network that its token holders vote on. On the chain each is a name with a value;
 * an epoch runs on those in its base's block, so all nodes take a new one up in the same epoch. All
 * other fields of a profile are the manifest's for ever: whatever shapes time or committees, what
 * state that is carried was made by, and what bounds a message.
 *
 * Bounds and steps stand here once: the contract is deployed with them, and a node keeps to them even
 * where a contract was deployed with others.
 */
import { CairnError, check } from './errors.ts'
import { checkProfile, PPM, type Profile, TOKEN } from './profile.ts'

/** How a value is written for people: `tokens` and `share` have a fraction. */
export type ParameterUnit = 'tokens' | 'share' | 'weight'

/** A number that is voted on. */
export interface VotedNumber {
  /** At most 31 ASCII characters: on the chain left-aligned in 32 bytes. */
  readonly name: string
  readonly unit: ParameterUnit
  /** By the profile that the network began with. */
  limits(founding: Profile): ParameterLimits
  /** What it is, and why it is bounded so: one sentence for who votes. */
  readonly about: string
}

/** One that epochs are settled by. */
export interface Parameter extends VotedNumber {
  of(profile: Profile): bigint
  with(profile: Profile, value: bigint): Profile
}

/** One that contracts alone read: no epoch pays otherwise for it. */
export interface ContractNumber extends VotedNumber {
  /** What networks begin with. */
  readonly begins: bigint
}

/** In what the chain holds: base units, parts per million, or the weight itself. */
export interface ParameterLimits {
  readonly least: bigint
  readonly most: bigint
  /** What one vote changes it by at most. */
  readonly step: bigint
}

/** A value that the chain was given, as an event of `Parameters` says it. */
export interface ParameterChange {
  readonly name: string
  readonly value: bigint
  /** Number of the block that it is in. */
  readonly block: bigint
}

/** Digits behind the point: a token has 10^18 base units, a share is in millionths. */
const FRACTION: Record<ParameterUnit, number> = { tokens: 18, share: 6, weight: 0 }
const UNIT_TEXTS: Record<ParameterUnit, string> = {
  tokens: 'a number of tokens, as in 0.001',
  share: 'a share of 1, as in 0.25',
  weight: 'a whole number',
}

export const PARAMETERS: readonly Parameter[] = [
  {
    name: 'emission',
    unit: 'tokens',
    about:
      'minted for an epoch at most; never more than the network began with, which the token’s yearly cap has room for, and never nothing, so that signing a checkpoint pays',
    limits: ({ emission }) => ({
      least: emission / 100n,
      most: emission,
      step: emission / 4n,
    }),
    ...field('emission'),
  },
  weight(1, 'share of storage in the emission, beside the other weights'),
  weight(2, 'share of coverage in the emission, beside the other weights'),
  share('baseShare', [0n, PPM, PPM / 10n], {
    about: 'part of a kind’s emission that is shared by what is proven; the rest by what is served',
  }),
  share('dutyShare', [PPM / 100n, PPM / 2n, PPM / 20n], {
    about: 'part of a kind’s emission for challengers and verifiers; without any nobody would ask',
  }),
  share('voteShare', [PPM / 1_000n, PPM / 5n, PPM / 100n], {
    about: 'part of the emission for votes on checkpoints; without any nobody would sign',
  }),
  share('submitReward', [PPM / 1_000n, PPM / 10n, PPM / 100n], {
    about: 'part of the emission for landing checkpoints, which costs gas',
  }),
  share('feeBurn', [PPM / 100n, PPM / 2n, PPM / 20n], {
    about: 'part of every fee that is burned; emission by fees is matched against it',
  }),
  share('burnMatch', [0n, PPM, PPM / 10n], {
    about: 'emission by fees for each unit burned; above 1 dealing with oneself would gain',
  }),
  share('penalty', [PPM / 100n, PPM / 2n, PPM / 20n], {
    about: 'part of a bond lost for what is proven; half at most, since a fault may be a bug',
  }),
  share('penaltyCap', [PPM / 1_000n, PPM / 5n, PPM / 100n], {
    about: 'part of all bonds that one epoch takes at most, so that no bug ruins a network',
  }),
  price('servedPrice', [TOKEN / 10n ** 6n, TOKEN, TOKEN / 500n], {
    about: 'for a GiB delivered to a client; never nothing, since receipts claim by it',
  }),
  price('packetPrice', [TOKEN / 10n ** 9n, TOKEN / 1_000n, TOKEN / 500_000n], {
    about: 'for a packet bought of a gateway; never nothing, since receipts claim by it',
  }),
  {
    name: 'withheldWeight',
    unit: 'weight',
    about: 'times its price that a withheld deal takes from its provider’s score',
    limits: () => ({ least: 0n, most: 100n, step: 10n }),
    of: ({ withheldWeight }) => BigInt(withheldWeight),
    with: (profile, value) => ({ ...profile, withheldWeight: Number(value) }),
  },
]

export const CONTRACT_NUMBERS: readonly ContractNumber[] = [
  {
    name: 'reporterShare',
    unit: 'share',
    about:
      'part of a bond taken that goes to who brings the proof; half at most, since a node may report itself',
    begins: PPM / 4n,
    limits: () => ({ least: 0n, most: PPM / 2n, step: PPM / 20n }),
  },
  {
    name: 'placeFee',
    unit: 'tokens',
    about: 'burned for each change of a node’s place, so that none goes where it is asked next',
    begins: 10n * TOKEN,
    limits: () => ({ least: 0n, most: 1_000n * TOKEN, step: 10n * TOKEN }),
  },
]

/** All that a vote can change. */
export const VOTED_NUMBERS: readonly VotedNumber[] = [...PARAMETERS, ...CONTRACT_NUMBERS]

/** Undefined for a name that no rule of settlement reads. */
export function parameterOf(name: string): Parameter | undefined {
  return PARAMETERS.find(parameter => parameter.name === name)
}

/** Undefined for a name that no command sets: the contract may be given more. */
export function votedNumberOf(name: string): VotedNumber | undefined {
  return VOTED_NUMBERS.find(number => number.name === name)
}

/** Throws `badParameter`, naming those that there are. */
export function requireVotedNumber(name: string): VotedNumber {
  const number = votedNumberOf(name)
  check(number !== undefined, 'badParameter', `${name} is no parameter that can be voted on`, {
    facts: { name },
    next: `choose of ${VOTED_NUMBERS.map(known => known.name).join(', ')}`,
  })
  return number
}

/** Throws `badParameter` for a name that no epoch is settled by. */
function requireParameter(name: string): Parameter {
  requireVotedNumber(name)
  const parameter = parameterOf(name)
  check(parameter !== undefined, 'badParameter', `no epoch pays otherwise for ${name}`, {
    facts: { name },
    next: 'contracts alone read it: what it is for says `cairn vote parameters`',
  })
  return parameter
}

/** A value as people write it: tokens and shares as decimal fractions, weights whole. */
export function parameterText({ unit }: Pick<Parameter, 'unit'>, value: bigint): string {
  const digits = FRACTION[unit]
  const one = 10n ** BigInt(digits)
  const part = String(value % one)
    .padStart(digits, '0')
    .replace(/0+$/, '')
  return part === '' || digits === 0 ? `${value / one}` : `${value / one}.${part}`
}

/** What `parameterText` writes. Throws `badParameter`, also for a name that is none. */
export function parseParameter(name: string, text: string): bigint {
  const { unit } = requireVotedNumber(name)
  const digits = FRACTION[unit]
  const [, whole, part = ''] = /^([0-9]{1,20})(?:\.([0-9]+))?$/.exec(text) ?? []
  check(
    whole !== undefined && part.length <= digits,
    'badParameter',
    `${name} is ${UNIT_TEXTS[unit]}, found ${text}`,
    { facts: { name, found: text } },
  )
  return BigInt(whole + part.padEnd(digits, '0'))
}

/**
 * The profile under these values. Throws `badParameter` for a name that is none or a value out of the
 * bounds that follow from the network's founding profile, and `badProfile` where values do not fit
 * together.
 */
export function withParameters(
  profile: Profile,
  values: ReadonlyMap<string, bigint>,
  founding: Profile,
): Profile {
  let changed = profile
  for (const [name, value] of values) {
    const parameter = requireParameter(name)
    const text = (amount: bigint) => parameterText(parameter, amount)
    const { least, most } = parameter.limits(founding)
    check(
      value >= least && value <= most,
      'badParameter',
      `${name} must be from ${text(least)} to ${text(most)}, found ${text(value)}`,
      { facts: { name, least, most, value } },
    )
    changed = parameter.with(changed, value)
  }
  checkProfile(changed)
  return changed
}

/**
 * The profile that an epoch runs on: the founding one with what the chain was given up to the base's
 * block, in the chain's order. A name that is none, and a value out of bounds, are passed over. A
 * block's values are taken up together, and only if the whole profile is valid with them; those of a
 * block that does not fit stay out until a later block makes them fit. It depends on the changes
 * alone, so it is the same for everybody.
 */
export function profileAt(founding: Profile, changes: readonly ParameterChange[]): Profile {
  let profile = founding
  const values = new Map<string, bigint>()
  for (const [i, { name, value, block }] of changes.entries()) {
    if (isWithin(name, value, founding)) values.set(name, value)
    if (changes[i + 1]?.block === block) continue
    profile = fitting(founding, values) ?? profile
  }
  return profile
}

/** Throws `otherParameters` where the chain began with another value than the founding profile has. */
export function checkFounding(founding: Profile, values: ReadonlyMap<string, bigint>): void {
  for (const parameter of PARAMETERS) {
    const found = values.get(parameter.name)
    const expected = parameter.of(founding)
    check(
      found === undefined || found === expected,
      'otherParameters',
      `the manifest says that ${parameter.name} began as ${expected}, the chain says ${found}`,
      {
        facts: { name: parameter.name, expected, found },
        next: 'get the manifest again from where the network is announced',
      },
    )
  }
}

function isWithin(name: string, value: bigint, founding: Profile): boolean {
  const limits = parameterOf(name)?.limits(founding)
  return limits !== undefined && value >= limits.least && value <= limits.most
}

function fitting(founding: Profile, values: ReadonlyMap<string, bigint>): Profile | undefined {
  try {
    return withParameters(founding, values, founding)
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}

type Amounts = {
  [K in keyof Profile]: Profile[K] extends bigint ? K : never
}[keyof Profile]
type Bounds = readonly [least: bigint, most: bigint, step: bigint]
type About = Pick<Parameter, 'about'>

function price(name: Amounts, bounds: Bounds, about: About): Parameter {
  return { name, unit: 'tokens', ...about, limits: () => limitsOf(bounds), ...field(name) }
}

function share(name: Amounts, bounds: Bounds, about: About): Parameter {
  return { name, unit: 'share', ...about, limits: () => limitsOf(bounds), ...field(name) }
}

function limitsOf([least, most, step]: Bounds): ParameterLimits {
  return { least, most, step }
}

function field(name: Amounts): Pick<Parameter, 'of' | 'with'> {
  return {
    of: profile => profile[name],
    with: (profile, value) => ({ ...profile, [name]: value }),
  }
}

/** Never 0: with none at all nothing would be paid but votes. */
function weight(kind: number, about: string): Parameter {
  return {
    name: `weight.${kind}`,
    unit: 'weight',
    about,
    limits: () => ({ least: 1n, most: 1_000n, step: 10n }),
    of: ({ weights }) => BigInt(weights[kind] ?? 0),
    with: (profile, value) => ({
      ...profile,
      weights: { ...profile.weights, [kind]: Number(value) },
    }),
  }
}
