/** The start of a network whose contracts stand: it names the first committee, once, before genesis. */
import { join } from 'node:path'
import { checkpointsAbi } from '@cairn/contracts'
import {
  CairnError,
  Checkpoint,
  type CommitteeMember,
  check,
  checkpointRoot,
  committeeWord,
  decodeState,
  drawCommittee,
  genesisCheckpoint,
  isActive,
  KINDS,
} from '@cairn/protocol'
import { bytesToHex, encodeFunctionData, type Hex } from 'viem'
import { type ChainSettings, JOURNAL_SPACE } from '../chain/account.ts'
import { type AccountChain, evmChain } from '../chain/chain.ts'
import { refusalOf } from '../chain/contract-errors.ts'
import { readHeader } from '../chain/rpc.ts'
import { firstBase } from '../ledger/epochs.ts'
import type { Manifest } from '../manifest.ts'
import type { Clock, Log } from '../ports.ts'
import { openLevelStore } from '../store/level.ts'

export interface OpenStartInit extends ChainSettings {
  /** Of the account: its journal is there, and no daemon runs on it meanwhile. */
  dataDir: string
  manifest: Manifest
  /** Encoded genesis state, as it comes with the manifest. */
  genesisState: Uint8Array
  /** Secret of the account that deployed the contracts, 32 bytes. */
  account: Uint8Array
  clock: Clock
  random(length: number): Uint8Array
  log: Log
}

export interface StartDesk {
  /** Who signs the first checkpoints: those who were registered in `block`. */
  readonly committee: readonly CommitteeMember[]
  readonly block: bigint
  /** True where it was started before. */
  readonly started: boolean
  /** Rejects with `genesisPassed`, `emptyCommittee`, `startRefused`, and as `Transactions.send`. */
  start(signal: AbortSignal): Promise<{ root: Uint8Array; transaction: Hex | undefined }>
  close(): Promise<void>
}

/**
 * Reads the registry up to the newest final block. Who comes, bonds or leaves after it does not change
 * the first committee: the genesis checkpoint names the block. Rejects with `notStarter`,
 * `genesisPassed`, `dataDirLocked`, `chainUnavailable`.
 */
export async function openStart(init: OpenStartInit, signal: AbortSignal): Promise<StartDesk> {
  const { manifest, clock, log, random } = init
  const { chain: at, profile, genesis } = manifest
  const seconds = (profile.slotMs * profile.slotsPerEpoch) / 1_000
  const store = await openLevelStore(join(init.dataDir, 'ledger'))
  const chain = evmChain(
    { clock, random, log, store: store.sublevel(JOURNAL_SPACE) },
    {
      chainId: at.chainId,
      rpc: init.rpc ?? at.rpc,
      contracts: at.contracts,
      // A start of a moment ago is to be seen.
      finality: 0,
      fromBlock: BigInt(at.fromBlock ?? 0),
      epochs: { genesis, seconds },
      account: init.account,
      ...(init.spending && { limits: init.spending }),
      ...(init.rpcLimits && { rpcLimits: init.rpcLimits }),
    },
  )
  const close = async () => {
    await chain.stop()
    await store.close()
  }
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
    const started = chain.genesis()
    if (started === undefined) requireEarly(manifest, clock)
    const base = started === undefined ? await finalBase(chain, newest, at) : firstBase(started)
    const active = chain
      .registryAt(base.number)
      .filter(entry => isActive(entry, 0, { genesis, profile }))
    const committee = drawCommittee(active, profile, undefined)
    return {
      committee,
      block: base.number,
      started: started !== undefined,
      async start(aborted) {
        if (started !== undefined) return { root: started.root, transaction: undefined }
        return await startWith({ ...init, chain, committee, base }, aborted)
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

interface StartInit extends OpenStartInit {
  chain: AccountChain
  committee: readonly CommitteeMember[]
  base: Checkpoint['base']
}

async function startWith(init: StartInit, signal: AbortSignal) {
  const { manifest, chain, clock, committee, base } = init
  requireEarly(manifest, clock)
  const word = committeeWord(committee)
  const state = decodeState(init.genesisState, KINDS)
  const { rulesVersion } = manifest.profile
  const checkpoint = genesisCheckpoint({ state, kinds: KINDS, committee: word, rulesVersion, base })
  const data = encodeFunctionData({
    abi: checkpointsAbi,
    functionName: 'start',
    args: [
      BigInt(manifest.genesis),
      bytesToHex(word),
      bytesToHex(Checkpoint.serialize(checkpoint)),
    ],
  })
  const { checkpoints: to } = manifest.chain.contracts
  try {
    const { transaction } = await chain.transactions.send({ to, data }, { signal })
    return { root: checkpointRoot(checkpoint), transaction }
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
    const { text, next, facts } = refusalOf(error)
    throw new CairnError('startRefused', text, { cause: error, facts, next })
  }
}

/** The newest block that no reorganisation takes away. */
async function finalBase(
  chain: AccountChain,
  newest: bigint,
  { finality, fromBlock = 0 }: Manifest['chain'],
): Promise<Checkpoint['base']> {
  const deep = newest - BigInt(finality)
  // Nobody was registered before the contracts stood.
  const number = deep > BigInt(fromBlock) ? deep : BigInt(fromBlock)
  return await chain.rpc.call(async client => {
    const header = await readHeader(client, number)
    check(header !== undefined, 'badRpc', `an endpoint does not have block ${number}`)
    await chain.rpc.requireAgreement(client, header)
    return { number, hash: header.hash }
  })
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
