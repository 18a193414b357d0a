/** One node's registration, asked of an endpoint by who follows no chain. */
import { type ContractAddresses, nodeRegistryAbi } from '@cairn/contracts'
import { type RegistryEntry, unhex } from '@cairn/protocol'
import { createPublicClient, http } from 'viem'
import type { BlockHeader, Log } from '../ports.ts'
import { registryEvents } from './events.ts'

export interface ReadEntryInit {
  rpcUrl: string
  chainId: number
  contracts: Pick<ContractAddresses, 'registry'>
  /** Node index. */
  index: number
}

/**
 * The node as it registered, its identity's signature checked; undefined where no event says so.
 * `exitAt` and `bond` are those of the registration. Rejects as the endpoint does.
 */
export async function readEntry(init: ReadEntryInit): Promise<RegistryEntry | undefined> {
  const { rpcUrl, chainId, contracts, index } = init
  const client = createPublicClient({ transport: http(rpcUrl) })
  const registry = { address: contracts.registry, abi: nodeRegistryAbi }
  const node = await client.readContract({ ...registry, functionName: 'nodes', args: [index] })
  const [, , registeredIn] = node
  if (registeredIn === 0) return undefined
  // Of one block any endpoint gives the logs that keeps them at all.
  const block = BigInt(registeredIn)
  const logs = await client.getContractEvents({
    ...registry,
    eventName: 'Registered',
    args: { index },
    fromBlock: block,
    toBlock: block,
  })
  const headers = new Map<bigint, BlockHeader>()
  for (const { blockNumber } of logs) {
    const { hash, timestamp } = await client.getBlock({ blockNumber })
    headers.set(blockNumber, {
      number: blockNumber,
      hash: unhex(hash),
      timestamp: Number(timestamp),
    })
  }
  const source = {
    chainId,
    contracts,
    log: SILENT,
    headerOf: ({ blockNumber }: { blockNumber: bigint }) => headers.get(blockNumber) as BlockHeader,
    receiptOf: () => undefined,
  }
  const events = logs.flatMap(log => registryEvents(log, source))
  const found = events.find(event => event.type === 'registered' && event.index === index)
  return found?.type === 'registered' ? found.entry : undefined
}

/** Who asks for one entry learns from the answer that it is none. */
const SILENT: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => SILENT,
}
