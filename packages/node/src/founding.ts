/**
 * How a network comes to be: its contracts are deployed by one account, operators register, and the
 * same account starts it, once, before genesis. The settings say what is the founder's to choose;
 * all else follows from the profile, or has a default that says why.
 */
import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type ContractAddresses,
  checkFounded,
  checkFoundingGround,
  checkpointsAbi,
  type DeployParameters,
  deployedAt,
  type FoundInit,
  found,
  foundingParameters,
  type Grant,
} from '@cairn/contracts'
import {
  CairnError,
  Checkpoint,
  type CommitteeMember,
  check,
  checkpointRoot,
  committeeWord,
  decodeState,
  drawCommittee,
  emptyState,
  equalBytes,
  genesisCheckpoint,
  isActive,
  KINDS,
  PPM,
  TOKEN,
  unitsGiven,
} from '@cairn/protocol'
import { bytesToHex, createPublicClient, encodeFunctionData, type Hex, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { z } from 'zod'
import { type AccountChain, evmChain } from './chain/chain.ts'
import { makeDirectory } from './directory.ts'
import { issuesOf, issuesText } from './issues.ts'
import { hasCode } from './lock.ts'
import { encodeManifest, type Manifest, parseManifest } from './manifest.ts'
import type { Clock, Log } from './ports.ts'

const SETTINGS_MAX_CHARS = 64 * 1024
const JOURNAL = 'founding.json'
const MANIFEST = 'network.json'
const GENESIS_STATE = 'genesis.ssz'
/** Between looks for a block, ms. */
const POLL_MS = 1_000
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

const JournalFile = z.strictObject({
  schema: z.literal(1),
  chainId: z.int().min(1),
  account,
  nonce: z.int().min(0),
  fromBlock: z.int().min(0),
  signed: z.array(z.templateLiteral(['0x', z.string().regex(/^[0-9a-f]+$/)])).max(256),
})
type JournalFile = z.infer<typeof JournalFile>

export interface FoundingSettings {
  parameters: DeployParameters
  grants: readonly Grant[]
  /** For the contracts that stand at these addresses from this block on. */
  manifest(at: { contracts: ContractAddresses; fromBlock: number }): Manifest
}

/** Reads settings. Throws `badFounding`; as `parseManifest` for what a manifest has too. */
export function parseFounding(text: string): FoundingSettings {
  const settings = parsed(text)
  const { supply, guardian, governance, bonds, chainId, rpc, finality, ...rest } = settings
  const manifest = ({ contracts, fromBlock }: Parameters<FoundingSettings['manifest']>[0]) =>
    parseManifest(
      JSON.stringify({
        schema: 1,
        name: rest.name,
        chain: { chainId, rpc, contracts, finality, fromBlock },
        genesis: rest.genesis,
        drand: rest.drand,
        bootstrap: rest.bootstrap,
        profile: rest.profile,
        genesisState: GENESIS_STATE,
      }),
    )
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
  const voted = foundingParameters(profile, { reporterShare: PPM / 4n, placeFee: 10n * TOKEN })
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

export interface DeployNetworkInit {
  settings: FoundingSettings
  /** Where the manifest goes, and what an interrupted deployment goes on from. */
  directory: string
  /** Instead of the settings' first endpoint. */
  rpc?: string
  /** Secret of the deploying account, 32 bytes. */
  account: Uint8Array
  clock: Clock
  progress?(text: string): void
}

export interface DeployedNetwork {
  manifest: Manifest
  /** Path of the manifest; the genesis state lies beside it. */
  path: string
  deployer: Hex
  gasUsed: bigint
}

/**
 * Deploys a network's contracts, or goes on with it, and writes its manifest. Rejects with
 * `genesisPassed`, `fileExists`, and as `checkFoundingGround`, `found` and `checkFounded`.
 */
export async function deployNetwork(init: DeployNetworkInit): Promise<DeployedNetwork> {
  const { settings, directory, clock } = init
  const signer = privateKeyToAccount(bytesToHex(init.account))
  const named = settings.manifest({ contracts: deployedAt(signer.address, 0), fromBlock: 0 })
  const { chainId, rpc, finality } = named.chain
  check(
    named.genesis * 1_000 > clock.now(),
    'genesisPassed',
    'genesis has passed: a network is started before it',
    { facts: { genesis: named.genesis }, next: 'name a later genesis in the settings' },
  )
  const client = createPublicClient({
    transport: http(init.rpc ?? rpc[0]),
    pollingInterval: POLL_MS,
  })
  await makeDirectory(directory)
  const path = join(directory, JOURNAL)
  const known = await readJournal(path)
  const shared = {
    client,
    account: signer,
    chainId,
    parameters: settings.parameters,
    grants: settings.grants,
    keep: async () => undefined,
    ...(init.progress && { progress: init.progress }),
  } satisfies Partial<FoundInit>
  const signed = known?.signed ?? []
  await checkFoundingGround({ ...shared, signed, nonce: known?.nonce ?? 0 })
  const journal = known ?? (await newJournal({ ...shared, finality }))
  const same = journal.chainId === chainId && journal.account === signer.address
  check(same, 'foundingChanged', `${path} is of another account or chain`, {
    facts: { account: journal.account, chainId: journal.chainId },
    next: 'take the account and the chain that it was begun with, or begin in another directory',
  })
  const { nonce, fromBlock } = journal
  const { contracts, gasUsed } = await found({
    ...shared,
    nonce,
    signed,
    async keep(transaction) {
      journal.signed.push(transaction)
      await writeDurably(path, `${JSON.stringify(journal, undefined, 2)}\n`)
    },
  })
  await checkFounded(client, { ...shared, contracts })
  const manifest = settings.manifest({ contracts, fromBlock })
  const manifestPath = join(directory, MANIFEST)
  await writeOnce(join(directory, GENESIS_STATE), emptyState(KINDS).encode())
  await writeOnce(manifestPath, Buffer.from(encodeManifest(manifest)))
  return { manifest, path: manifestPath, deployer: signer.address, gasUsed }
}

export interface OpenStartInit {
  manifest: Manifest
  /** Encoded genesis state, as it comes with the manifest. */
  genesisState: Uint8Array
  /** RPC endpoints instead of the manifest's. */
  rpc?: readonly string[]
  /** Secret of the account that deployed the contracts, 32 bytes. */
  account: Uint8Array
  clock: Clock
  random(length: number): Uint8Array
  log: Log
}

export interface StartDesk {
  /** Who would sign the first checkpoints: those who are registered now. */
  readonly committee: readonly CommitteeMember[]
  /** True where it was started before. */
  readonly started: boolean
  /** Rejects with `genesisPassed`, `emptyCommittee`, `otherCommittee`, and as `Transactions.send`. */
  start(signal: AbortSignal): Promise<{ root: Uint8Array; transaction: Hex | undefined }>
  close(): Promise<void>
}

/** Reads the registry up to the newest block. Rejects with `notStarter`, `genesisPassed`, `chainUnavailable`. */
export async function openStart(init: OpenStartInit, signal: AbortSignal): Promise<StartDesk> {
  const { manifest, clock, log, random } = init
  const { chain: at, profile, genesis } = manifest
  const seconds = (profile.slotMs * profile.slotsPerEpoch) / 1_000
  const chain = evmChain(
    { clock, random, log },
    {
      chainId: at.chainId,
      rpc: init.rpc ?? at.rpc,
      contracts: at.contracts,
      // Those who registered a moment ago are in the committee: nodes read the block of the start.
      finality: 0,
      fromBlock: BigInt(at.fromBlock ?? 0),
      epochs: { genesis, seconds },
      account: init.account,
    },
  )
  try {
    await chain.start(signal)
    const newest = await readUpTo(chain, signal)
    const starter = await chain.rpc.call(client =>
      client.readContract({
        address: at.contracts.checkpoints,
        abi: checkpointsAbi,
        functionName: 'starter',
      }),
    )
    const own = chain.transactions.address
    check(starter === own, 'notStarter', `${starter} starts this network, not ${own}`, {
      facts: { starter, account: own },
      next: 'name the data directory whose account deployed it',
    })
    const committeeAt = (block: bigint) =>
      drawCommittee(
        chain.registryAt(block).filter(entry => isActive(entry, 0, { genesis, profile })),
        profile,
        undefined,
      )
    const started = chain.genesis()
    if (started === undefined) requireEarly(manifest, clock)
    const committee = committeeAt(started?.block.number ?? newest)
    return {
      committee,
      started: started !== undefined,
      async start(aborted) {
        if (started !== undefined) return { root: started.root, transaction: undefined }
        return await startWith({ ...init, chain, committee, committeeAt }, aborted)
      },
      close: () => chain.stop(),
    }
  } catch (error) {
    await chain.stop()
    throw error
  }
}

interface StartInit extends OpenStartInit {
  chain: AccountChain
  committee: readonly CommitteeMember[]
  committeeAt(block: bigint): readonly CommitteeMember[]
}

async function startWith(init: StartInit, signal: AbortSignal) {
  const { manifest, chain, clock, committee } = init
  requireEarly(manifest, clock)
  const word = committeeWord(committee)
  const state = decodeState(init.genesisState, KINDS)
  const { rulesVersion } = manifest.profile
  const checkpoint = genesisCheckpoint({ state, kinds: KINDS, committee: word, rulesVersion })
  const data = encodeFunctionData({
    abi: checkpointsAbi,
    functionName: 'start',
    args: [
      BigInt(manifest.genesis),
      bytesToHex(word),
      bytesToHex(Checkpoint.serialize(checkpoint)),
    ],
  })
  const { checkpoints } = manifest.chain.contracts
  const { transaction } = await chain.transactions.send({ to: checkpoints, data }, { signal })
  while (chain.genesis() === undefined) await advanced(chain, signal)
  const block = chain.genesis()?.block.number as bigint
  const now = init.committeeAt(block)
  // Every node draws the committee in the block of the start.
  check(
    now.length > 0 && equalBytes(committeeWord(now), word),
    'otherCommittee',
    'somebody registered, bonded or left while the network was started',
    {
      facts: { named: committee.length, drawn: now.length, block },
      next: 'deploy another network, and start it once all who come first are registered',
    },
  )
  return { root: checkpointRoot(checkpoint), transaction }
}

function requireEarly({ genesis }: Manifest, clock: Clock): void {
  const text = 'genesis has passed: this network cannot be started any more'
  check(genesis * 1_000 > clock.now(), 'genesisPassed', text, {
    facts: { genesis },
    next: 'deploy another with a later genesis',
  })
}

/** The newest block that there was when this was called. */
async function readUpTo(chain: AccountChain, signal: AbortSignal): Promise<bigint> {
  const newest = await chain.rpc.call(client => client.getBlockNumber({ cacheTime: 0 }))
  for (;;) {
    const head = chain.head()?.number
    if (head !== undefined && head >= newest) return head
    await advanced(chain, signal)
  }
}

async function advanced(chain: AccountChain, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  const off = chain.onAdvance(resolve)
  try {
    await promise
  } finally {
    off()
    signal.removeEventListener('abort', abort)
  }
}

function parsed(text: string): z.infer<typeof SettingsFile> {
  let value: unknown
  try {
    check(text.length <= SETTINGS_MAX_CHARS, 'badFounding', 'the settings are too long')
    value = JSON.parse(text)
  } catch (cause) {
    if (cause instanceof CairnError) throw cause
    throw new CairnError('badFounding', 'the settings are not JSON', { cause })
  }
  const result = SettingsFile.safeParse(value)
  if (result.success) return result.data
  const [first] = issuesOf(result.error)
  throw new CairnError('badFounding', `the settings: ${issuesText(result.error)}`, {
    facts: { path: first?.path, expected: first?.expected },
    next: 'correct the named fields; docs/operations.md has an example',
  })
}

async function readJournal(path: string): Promise<JournalFile | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  return JournalFile.parse(JSON.parse(text))
}

async function newJournal({
  client,
  account: { address },
  chainId,
  finality,
}: Pick<FoundInit, 'client' | 'account' | 'chainId'> & { finality: number }): Promise<JournalFile> {
  const nonce = await client.getTransactionCount({ address, blockTag: 'pending' })
  const block = Number(await client.getBlockNumber({ cacheTime: 0 }))
  return {
    schema: 1,
    chainId,
    account: address,
    nonce,
    // A reorganisation may put the first transaction into an earlier block than comes next.
    fromBlock: Math.max(0, block - finality),
    signed: [],
  }
}

/** Whole, or as it was before, whatever happens meanwhile. */
async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

async function writeOnce(path: string, bytes: Uint8Array): Promise<void> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(bytes).finally(() => file.close())
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    const there = new Uint8Array(await readFile(path))
    check(equalBytes(there, bytes), 'fileExists', `${path} says something else`, {
      facts: { path },
      next: 'operators may have it already: take the settings of before, or remove it',
    })
  }
}
