/**
 * What a founder chooses, read and checked: all else follows from the profile, or has a default that
 * says why. What would be seen only once it is paid for is refused here.
 */
import { type DeployParameters, deployedAt, foundingParameters, type Grant } from '@cairn/contracts'
import { CairnError, check, PPM, unitsGiven } from '@cairn/protocol'
import { isAddress } from 'viem'
import { z } from 'zod'
import { issuesOf, issuesText } from '../issues.ts'
import { type Manifest, parseManifest } from '../manifest.ts'

const SETTINGS_MAX_CHARS = 64 * 1024
/** File beside the manifest that has the state before epoch 0. */
export const GENESIS_STATE = 'genesis.ssz'
/** What to do about a field. */
const CORRECT = 'correct the named fields; docs/operations.md has an example'
const DAY_S = 86_400
const YEAR_DAYS = 365

/** drand's quicknet, from https://api.drand.sh/v2/beacons/quicknet/info: one round in 3 s. */
const QUICKNET = {
  publicKey:
    '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a',
  genesis: 1_692_803_367,
  period: 3,
}

const account = z
  .templateLiteral(['0x', z.string().regex(/^[0-9a-fA-F]{40}$/, 'expected 40 hexadecimal digits')])
  .refine(address => !/^0x0+$/.test(address), 'expected an account that somebody has')
  .refine(
    address => address === address.toLowerCase() || isAddress(address),
    'expected an account whose capitals are right: a digit may be wrong',
  )
const tokens = z
  .string()
  .regex(/^[0-9]{1,15}(\.[0-9]{1,18})?$/, 'expected a decimal string of tokens, such as "1000.5"')
  .transform(text => unitsGiven(text) as bigint)
const seconds = (least: number, most: number) => z.int().min(least).max(most)

const SettingsFile = z.strictObject({
  schema: z.literal(1),
  // As in a manifest, whose schema looks at them.
  name: z.string(),
  chainId: z.int().min(1),
  rpc: z.array(z.string()).min(1),
  finality: z.int().min(0),
  genesis: z.int().min(1),
  profile: z.record(z.string(), z.unknown()),
  drand: z.record(z.string(), z.unknown()).default(QUICKNET),
  bootstrap: z.array(z.string()).default([]),
  /** Who has the tokens that the network begins with. */
  supply: z.array(z.strictObject({ account, tokens })).min(1),
  guardian: account,
  bonds: z
    .strictObject({
      /** Ten nodes' least bond: whoever runs one has as much to lose as who runs ten small ones. */
      operatorMinimum: tokens.optional(),
    })
    .default({}),
  governance: z
    .strictObject({
      /** A day: who is away for a night can still gather votes, or delegate. */
      votingDelay: seconds(0, 30 * DAY_S).default(DAY_S),
      /** A week, with whatever else its days bring. */
      votingPeriod: seconds(1, 60 * DAY_S).default(7 * DAY_S),
      /** Two days to answer those who vote in the last minute. */
      lateExtension: seconds(0, 30 * DAY_S).default(2 * DAY_S),
      /** Two days in which who disagrees can leave, and the guardian can cancel. */
      timelockDelay: seconds(1, 60 * DAY_S).default(2 * DAY_S),
      /** A step a week: what a vote did is seen in the ledger before the next. */
      parameterPeriod: seconds(1, 365 * DAY_S).default(7 * DAY_S),
      /** 4 % of all tokens, as most networks have: fewer could pass for the whole by accident. */
      quorum: z.int().min(1).max(Number(PPM)).default(40_000),
      /** A thousandth of the supply unless given: low enough for a group, too dear for noise. */
      proposalThreshold: tokens.optional(),
    })
    .prefault({}),
})

export interface FoundingSettings {
  parameters: DeployParameters
  grants: readonly Grant[]
  /** For the contracts that stand at these addresses from this block on. */
  manifest(at: Pick<Manifest['chain'], 'contracts'> & { fromBlock: number }): Manifest
}

/** Reads settings. Throws `badFounding`; `badProfile` where the profile's numbers do not fit together. */
export function parseFounding(text: string): FoundingSettings {
  const settings = parsed(text)
  const { supply, guardian, governance, bonds, chainId, rpc, finality, ...rest } = settings
  const manifest: FoundingSettings['manifest'] = ({ contracts, fromBlock }) =>
    asManifest({
      schema: 1,
      name: rest.name,
      chain: { chainId, rpc, contracts, finality, fromBlock },
      genesis: rest.genesis,
      drand: rest.drand,
      bootstrap: rest.bootstrap,
      profile: rest.profile,
      genesisState: GENESIS_STATE,
    })
  const nobody = deployedAt(guardian, 0)
  const { profile } = manifest({ contracts: nobody, fromBlock: 0 })
  const grants = supply.map(({ account: to, tokens: amount }) => ({ account: to, amount }))
  const total = grants.reduce((sum, { amount }) => sum + amount, 0n)
  const epoch = BigInt((profile.slotMs * profile.slotsPerEpoch) / 1_000)
  const perDay = (profile.emission * BigInt(DAY_S)) / epoch
  const operatorMinimum = bonds.operatorMinimum ?? 10n * profile.bondMinimum
  check(operatorMinimum <= total, 'badFounding', 'nobody could bond: the supply is too small', {
    facts: { supply: total, operatorMinimum },
    next: 'give supply.tokens more, or bonds.operatorMinimum less',
  })
  const voted = foundingParameters(profile)
  for (const { name, value, least, most } of voted) {
    const fits = value >= least && value <= most
    check(fits, 'badFounding', `${name}: expected ${least} to ${most}, found ${value}`, {
      facts: { name, value, least, most },
      next: 'correct it in profile.overrides: no vote may go there either',
    })
  }
  const parameters: DeployParameters = {
    supply: total,
    yearlyCap: perDay * BigInt(YEAR_DAYS),
    operatorMinimum,
    nodeMinimum: profile.bondMinimum,
    exitDelay: BigInt(profile.exitEpochs) * epoch,
    weightCap: profile.bondCap,
    // Twice what a day emits: a fault or a theft shows before it has taken much.
    outflowMax: 2n * perDay,
    activationDelay: BigInt(profile.activationEpochs) * epoch,
    // Six epochs lie between a committee that is slow and one that is gone.
    fallbackAfter: 6n * epoch,
    fallbackWindow: 3n * epoch,
    fallbackDelay: 3n * epoch,
    termEpochs: BigInt(profile.termEpochs),
    parameterPeriod: BigInt(governance.parameterPeriod),
    parameters: voted,
    guardian,
    votingDelay: governance.votingDelay,
    votingPeriod: governance.votingPeriod,
    lateExtension: governance.lateExtension,
    proposalThreshold: governance.proposalThreshold ?? total / 1_000n,
    quorum: BigInt(governance.quorum),
    timelockDelay: BigInt(governance.timelockDelay),
  }
  return { parameters, grants, manifest }
}

function asManifest(file: object): Manifest {
  try {
    return parseManifest(JSON.stringify(file))
  } catch (cause) {
    if (!(cause instanceof CairnError) || cause.code !== 'badManifest') throw cause
    const text = cause.message.replace('the network manifest', 'the settings')
    throw new CairnError('badFounding', text, { cause, facts: cause.facts, next: CORRECT })
  }
}

function parsed(text: string): z.infer<typeof SettingsFile> {
  const next = 'docs/operations.md has an example'
  let value: unknown
  try {
    check(text.length <= SETTINGS_MAX_CHARS, 'badFounding', 'the settings are too long', { next })
    value = JSON.parse(text)
  } catch (cause) {
    if (cause instanceof CairnError) throw cause
    throw new CairnError('badFounding', 'the settings are not JSON', { cause, next })
  }
  const result = SettingsFile.safeParse(value)
  if (result.success) return result.data
  const [first] = issuesOf(result.error)
  throw new CairnError('badFounding', `the settings: ${issuesText(result.error)}`, {
    facts: { path: first?.path, expected: first?.expected },
    next: CORRECT,
  })
}
