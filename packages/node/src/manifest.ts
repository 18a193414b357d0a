/**
 * The network manifest: the JSON file that defines a network. Whoever holds the same file is on the
 * same network; its id follows from the chain, the Checkpoints contract and genesis.
 */
import {
  CairnError,
  checkProfile,
  hex,
  networkId,
  type Profile,
  PUBLIC_PROFILE,
  TESTNET_PROFILE,
  unhex,
} from '@cairn/protocol'
import { z } from 'zod'
import { issuesOf, issuesText } from './issues.ts'

export const MANIFEST_SCHEMA = 1

/** A manifest is a page of text; anything longer is something else. */
export const MANIFEST_MAX_CHARS = 64 * 1024

const RPC_MAX = 16
const MIRRORS_MAX = 16
const BOOTSTRAP_MAX = 64
/** drand's quicknet key is in G2: 96 bytes. */
const DRAND_KEY_DIGITS = 192

export type ProfileName = keyof typeof PROFILES

const PROFILES = { public: PUBLIC_PROFILE, testnet: TESTNET_PROFILE } as const

export interface Mirror {
  /** EIP-155. */
  chainId: number
  /** Tried in this order. */
  rpc: readonly string[]
  checkpoints: `0x${string}`
  /** Blocks on top of one before it counts as final. */
  finality: number
  /** Block of the contract's deployment: no event is older. */
  fromBlock?: number | undefined
}

export interface Manifest {
  /** For people; not part of the network id. */
  name: string
  chain: {
    /** EIP-155. */
    chainId: number
    /** Tried in this order. */
    rpc: readonly string[]
    contracts: {
      checkpoints: `0x${string}`
      registry: `0x${string}`
      token: `0x${string}`
      deposits: `0x${string}`
      parameters: `0x${string}`
      /** What no node needs: who claims or withdraws does. */
      distributor?: `0x${string}` | undefined
      access?: `0x${string}` | undefined
      slasher?: `0x${string}` | undefined
      timelock?: `0x${string}` | undefined
      governor?: `0x${string}` | undefined
    }
    /** Blocks on top of one before it counts as final. */
    finality: number
    /** Block of the contracts' deployment: no event is older. */
    fromBlock?: number
  }
  /** Further chains that repeat the home chain's checkpoints; no node needs them. */
  mirrors?: readonly Mirror[]
  /** Start of epoch 0, seconds since 1970. */
  genesis: number
  drand: {
    /** 96 bytes. */
    publicKey: Uint8Array
    /** When round 1 is due, and between rounds: seconds. */
    genesis: number
    period: number
    /** Where rounds are fetched from. */
    url?: string
  }
  bootstrap: readonly string[]
  /** The named set that `profile` was derived from. */
  profileName: ProfileName
  profile: Profile
  /** File beside the manifest that holds the encoded genesis state. */
  genesisState: string
}

/** Gateways that a network names as known to be of use. */
const ANCHORS_MAX = 64

const count = z.int().min(0)
const positive = z.int().min(1)
const slots = z.tuple([count, count])
const amount = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,38})$/, 'expected a decimal string of base units')
  .transform(BigInt)
const address = z.templateLiteral([
  '0x',
  z.string().regex(/^[0-9a-fA-F]{40}$/, 'expected 40 hexadecimal digits'),
])

const endpoints = z
  .array(z.url({ protocol: /^(https?|wss?)$/ }))
  .min(1)
  .max(RPC_MAX)

/** One schema per field, so that a profile field without one does not compile. */
const profileFields: { [K in keyof Profile]: z.ZodType<Profile[K]> } = {
  slotMs: positive,
  slotsPerEpoch: positive,
  skewMs: positive,
  lookback: positive,
  storageReveal: slots,
  coverageReveal: slots,
  proofDeadlineMs: positive,
  transmitTimeoutMs: positive,
  transmitStep: count,
  commitStep: count,
  revealStep: count,
  reportStep: count,
  attestUntilSlot: positive,
  sealSlot: positive,
  proposeDelay: count,
  roundSlots: positive,
  spreadingFactors: slots,
  roundEpochs: positive,
  idleEpochs: positive,
  termEpochs: positive,
  committeeMax: positive,
  activationEpochs: count,
  exitEpochs: count,
  retainEpochs: positive,
  carryEpochs: count,
  minDealEpochs: positive,
  strangerBytes: count,
  debtsPerChallenge: positive,
  repairAfterEpochs: positive,
  withheldWeight: count,
  staleEpochs: positive,
  graphEpochs: positive,
  anchors: z.array(count).max(ANCHORS_MAX),
  anchorEpochs: positive,
  emission: amount,
  weights: z.record(z.string().regex(/^[1-7]$/, 'expected a kind code'), count),
  baseShare: amount,
  dutyShare: amount,
  voteShare: amount,
  submitReward: amount,
  feeBurn: amount,
  burnMatch: amount,
  penalty: amount,
  penaltyCap: amount,
  storagePrice: amount,
  servedPrice: amount,
  packetPrice: amount,
  receiptBytes: positive,
  bondMinimum: amount,
  bondCap: amount,
  rulesVersion: positive,
}

const ManifestFile = z.strictObject({
  schema: z.literal(MANIFEST_SCHEMA),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected a-z, 0-9 and -, at most 32'),
  chain: z.strictObject({
    chainId: positive,
    rpc: endpoints,
    contracts: z.strictObject({
      checkpoints: address,
      registry: address,
      token: address,
      deposits: address,
      parameters: address,
      distributor: address.optional(),
      access: address.optional(),
      slasher: address.optional(),
      timelock: address.optional(),
      governor: address.optional(),
    }),
    finality: count,
    fromBlock: count.optional(),
  }),
  mirrors: z
    .array(
      z.strictObject({
        chainId: positive,
        rpc: endpoints,
        checkpoints: address,
        finality: count,
        fromBlock: count.optional(),
      }),
    )
    .max(MIRRORS_MAX)
    .refine(
      mirrors => new Set(mirrors.map(({ chainId }) => chainId)).size === mirrors.length,
      'expected one mirror per chain',
    )
    .optional(),
  genesis: positive,
  drand: z.strictObject({
    publicKey: z
      .string()
      .regex(/^[0-9a-fA-F]*$/, 'expected hexadecimal digits')
      .length(DRAND_KEY_DIGITS),
    genesis: positive,
    period: positive,
    url: z.url({ protocol: /^https?$/ }).optional(),
  }),
  bootstrap: z.array(z.string().regex(/^\//, 'expected a multiaddr')).max(BOOTSTRAP_MAX),
  profile: z.strictObject({
    name: z.enum(['public', 'testnet']),
    overrides: z.strictObject(profileFields).partial().optional(),
  }),
  genesisState: z
    .string()
    .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/, 'expected the name of a file beside this one'),
})

/**
 * Reads a manifest. Throws `badManifest`, naming the path and what was expected there, or
 * `badProfile` when the profile's numbers do not fit together.
 */
export function parseManifest(text: string): Manifest {
  const result = ManifestFile.safeParse(json(text))
  if (!result.success) {
    const [first] = issuesOf(result.error)
    throw new CairnError('badManifest', `the network manifest: ${issuesText(result.error)}`, {
      facts: { path: first?.path, expected: first?.expected },
      next: 'correct the named fields, or get the manifest again from where the network is announced',
    })
  }
  const { profile, drand, ...rest } = result.data
  const manifest: Manifest = {
    name: rest.name,
    chain: chainOf(rest.chain),
    ...(rest.mirrors === undefined ? {} : { mirrors: rest.mirrors }),
    genesis: rest.genesis,
    drand: {
      publicKey: unhex(drand.publicKey),
      genesis: drand.genesis,
      period: drand.period,
      ...(drand.url === undefined ? {} : { url: drand.url }),
    },
    bootstrap: rest.bootstrap,
    profileName: profile.name,
    profile: { ...PROFILES[profile.name], ...given(profile.overrides ?? {}) },
    genesisState: rest.genesisState,
  }
  checkProfile(manifest.profile)
  return manifest
}

/** The manifest as text; its profile as the named one and the fields that differ from it. */
export function encodeManifest(manifest: Manifest): string {
  const named = PROFILES[manifest.profileName]
  const overrides = Object.entries(manifest.profile)
    .filter(([field, value]) => text(value) !== text(named[field as keyof Profile]))
    .map(([field, value]) => [field, typeof value === 'bigint' ? String(value) : value])
  const { publicKey, ...drand } = manifest.drand
  const file = {
    schema: MANIFEST_SCHEMA,
    name: manifest.name,
    chain: manifest.chain,
    ...(manifest.mirrors === undefined ? {} : { mirrors: manifest.mirrors }),
    genesis: manifest.genesis,
    drand: { publicKey: hex(publicKey), ...drand },
    bootstrap: manifest.bootstrap,
    profile: {
      name: manifest.profileName,
      ...(overrides.length === 0 ? {} : { overrides: Object.fromEntries(overrides) }),
    },
    genesisState: manifest.genesisState,
  }
  return `${JSON.stringify(file, undefined, 2)}\n`
}

/** The 32-byte network id. */
export function networkIdOf({ chain, genesis }: Pick<Manifest, 'chain' | 'genesis'>): Uint8Array {
  return networkId({
    chainId: BigInt(chain.chainId),
    checkpoints: unhex(chain.contracts.checkpoints),
    genesis: BigInt(genesis),
  })
}

function json(source: string): unknown {
  if (source.length > MANIFEST_MAX_CHARS) {
    throw new CairnError(
      'badManifest',
      `expected at most ${MANIFEST_MAX_CHARS} characters, found ${source.length}`,
      { facts: { found: source.length } },
    )
  }
  try {
    return JSON.parse(source)
  } catch (cause) {
    throw new CairnError('badManifest', 'the network manifest is not JSON', { cause })
  }
}

function chainOf({
  fromBlock,
  ...chain
}: z.infer<typeof ManifestFile>['chain']): Manifest['chain'] {
  return { ...chain, ...(fromBlock === undefined ? {} : { fromBlock }) }
}

function given(overrides: { [K in keyof Profile]?: Profile[K] | undefined }): Partial<Profile> {
  return Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined))
}

function text(value: Profile[keyof Profile]): string {
  return typeof value === 'bigint' ? `${value}` : JSON.stringify(value)
}
