/**
 * The deployment of a network's contracts, where each transaction costs money and a process may end
 * between any two. What is sent is in the journal of the directory first, under a key of its own, so
 * that who comes back sends only what is missing.
 */
import { join } from 'node:path'
import {
  type DeploymentCall,
  deployedAt,
  type FoundingPlan,
  foundingCalls,
  readFoundingFaults,
  readFoundingGround,
} from '@cairn/contracts'
import { CairnError, check, emptyState, KINDS } from '@cairn/protocol'
import {
  bytesToHex,
  concatHex,
  formatEther,
  getContractAddress,
  type Hex,
  isAddressEqual,
  keccak256,
  zeroAddress,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { type ChainSettings, type OpenedAccount, openAccount } from '../chain/account.ts'
import { makeDirectory } from '../directory.ts'
import { encodeManifest, type Manifest } from '../manifest.ts'
import type { Clock, Log } from '../ports.ts'
import { type FoundingRecord, readRecord, recordPath, writeOnce, writeRecord } from './record.ts'
import { type FoundingSettings, GENESIS_STATE } from './settings.ts'

export interface DeployNetworkInit extends ChainSettings {
  settings: FoundingSettings
  /** Where the manifest goes, and what an interrupted deployment goes on from. */
  directory: string
  /** Secret of the deploying account, 32 bytes. */
  account: Uint8Array
  clock: Clock
  log: Log
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
 * `badFounding`, `genesisPassed`, `wrongChain`, `noPrecompiles`, `noFunds`, `foundingDamaged`,
 * `foundingChanged`, `nonceTaken`, `deployReverted`, `rolesLeft`, `fileExists`, `dataDirLocked` where
 * another process deploys there, and as `Transactions.send`.
 */
export async function deployNetwork(
  init: DeployNetworkInit,
  signal: AbortSignal,
): Promise<DeployedNetwork> {
  const { settings, directory, clock, log } = init
  const deployer = privateKeyToAccount(bytesToHex(init.account)).address
  const { parameters, grants } = settings
  const plan = { deployer, parameters, grants }
  const named = settings.manifest({ contracts: deployedAt(deployer, 0), fromBlock: 0 })
  const text = 'genesis has passed: a network is started before it'
  check(named.genesis * 1_000 > clock.now(), 'genesisPassed', text, {
    facts: { genesis: named.genesis },
    next: 'name a later genesis in the settings',
  })
  foundingCalls(plan, 0)
  await makeDirectory(directory)
  const { chainId } = named.chain
  const account = await openAccount(
    { clock, log },
    {
      ...init,
      chainId,
      rpc: init.rpc ?? named.chain.rpc,
      secret: init.account,
      directory: join(directory, 'journal'),
    },
  )
  try {
    const { nonce, fromBlock } = await begin(account, { directory, plan, chain: named.chain })
    const contracts = deployedAt(deployer, nonce)
    const { gasUsed, faults } = await orGoOn(async () => ({
      gasUsed: await sendAll(account, { ...init, plan, nonce }, signal),
      faults: await account.rpc.call(client => readFoundingFaults(client, plan, contracts)),
    }))
    check(faults.length === 0, 'rolesLeft', `not so: ${faults.join('; ')}`, {
      facts: { faults: faults.length },
      next: 'run it again, as an endpoint may be behind; if it stays so, deploy another network',
    })
    const manifest = settings.manifest({ contracts, fromBlock })
    const path = join(directory, 'network.json')
    await writeOnce(join(directory, GENESIS_STATE), emptyState(KINDS).encode())
    await writeOnce(path, Buffer.from(encodeManifest(manifest)))
    return { manifest, path, deployer, gasUsed }
  } finally {
    await account.close()
  }
}

/** What was begun before, if it is the same; else it begins now. */
async function begin(
  { rpc }: OpenedAccount,
  { directory, plan, chain }: { directory: string; plan: FoundingPlan; chain: Manifest['chain'] },
): Promise<FoundingRecord> {
  const { deployer: account } = plan
  const { chainId } = chain
  const digest = (nonce: number) => keccak256(concatHex(foundingCalls(plan, nonce).map(bytesOf)))
  const path = recordPath(directory)
  const known = await readRecord(path)
  if (known !== undefined) {
    const same =
      known.chainId === chainId &&
      isAddressEqual(known.account, account) &&
      known.calls === digest(known.nonce)
    check(same, 'foundingChanged', `${path} was begun with other settings, account or chain`, {
      facts: { account: known.account, chainId: known.chainId },
      next: 'take the settings and the account that it was begun with, or begin in another directory',
    })
    return known
  }
  const ground = await rpc.call(client => readFoundingGround(client, account))
  check(ground.pairs, 'noPrecompiles', 'the chain cannot check BLS12-381 signatures', {
    facts: { chainId },
    next: 'choose a chain that has the precompiles of EIP-2537, as those with the Prague rules have',
  })
  const { balance, wanted, nonce, block } = ground
  check(balance >= wanted, 'noFunds', `the account ${account} has too little ether`, {
    facts: { account, balance, wanted },
    next: `send it ${formatEther(wanted - balance)} ether at least`,
  })
  // A reorganisation may put the first transaction into an earlier block than comes next.
  const fromBlock = Math.max(0, block - chain.finality)
  const record = { schema: 1 as const, chainId, account, nonce, fromBlock, calls: digest(nonce) }
  await writeRecord(path, record)
  return record
}

/** Resolves with the gas of all. */
async function sendAll(
  { rpc, transactions }: OpenedAccount,
  { plan, nonce, progress }: { plan: FoundingPlan; nonce: number } & DeployNetworkInit,
  signal: AbortSignal,
): Promise<bigint> {
  const calls = foundingCalls(plan, nonce)
  const { deployer: from } = plan
  let gasUsed = 0n
  for (const [i, { text, ...call }] of calls.entries()) {
    const key = `found/${i}/${keccak256(call.data)}`
    const next = { account: from, nonce: nonce + i }
    if (call.to === undefined && !(await transactions.knows(key))) {
      const count = await rpc.call(client =>
        client.getTransactionCount({ address: from, blockTag: 'latest' }),
      )
      requireNext(count === next.nonce, next)
    }
    const { transaction, contract, gasUsed: gas } = await transactions.send(call, { signal, key })
    if (call.to === undefined) {
      const address = getContractAddress({ from, nonce: BigInt(next.nonce) })
      // Another sender may come in between after all.
      const isThere = contract !== undefined && isAddressEqual(contract, address)
      requireNext(isThere, { ...next, transaction })
    }
    gasUsed += gas
    progress?.(`${i + 1} of ${calls.length}: ${text}`)
  }
  return gasUsed
}

function requireNext(isNext: boolean, facts: Record<string, string | number>): void {
  check(isNext, 'nonceTaken', 'another transaction of the account came in between', {
    facts,
    next: 'begin anew in another directory, and let nothing else send with this account meanwhile',
  })
}

/** What a founder does about a failure on the way. */
async function orGoOn<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    if (!(cause instanceof CairnError) || cause.code === 'nonceTaken') throw cause
    const { code, facts, message } = cause
    if (code === 'reverted') {
      throw new CairnError('deployReverted', message, {
        cause,
        facts,
        next: 'a deployment that failed is not gone on with: begin anew in another directory',
      })
    }
    const first = cause.next === undefined ? '' : `${cause.next}; then `
    const next = `${first}run the same command again: it goes on from here`
    throw new CairnError(code, message, { cause, facts, next })
  }
}

function bytesOf({ to = zeroAddress, data }: DeploymentCall): Hex {
  return concatHex([to, keccak256(data)])
}
