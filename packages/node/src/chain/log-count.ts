/** How many events a contract has emitted, by its own count: what was read is held against it. */
import { nodeRegistryAbi } from '@cairn/contracts'
import { check, hex } from '@cairn/protocol'
import { BaseError, encodeFunctionData, type Hex, RpcRequestError } from 'viem'
import type { BlockHeader } from '../ports.ts'
import type { Client } from './rpc.ts'

/** The same of every contract that counts. */
const DATA = encodeFunctionData({ abi: nodeRegistryAbi, functionName: 'logCount' })

/**
 * A contract's events up to the end of a block. Undefined where the endpoint refuses the call, as
 * those do that no longer have the block's state; throws `badRpc` for what is no number.
 */
export async function contractLogCount(
  client: Client,
  contract: Hex,
  block: Pick<BlockHeader, 'hash'>,
): Promise<number | undefined> {
  // By hash (EIP-1898): a block of this number may be another one by now.
  const at = { blockHash: `0x${hex(block.hash)}`, requireCanonical: true } as const
  let answer: unknown
  try {
    answer = await client.request({
      method: 'eth_call',
      params: [{ to: contract, data: DATA }, at],
    })
  } catch (error) {
    const refused = error instanceof BaseError && error.walk(e => e instanceof RpcRequestError)
    if (!refused) throw error
    return undefined
  }
  // The answer of an address without code: there is no contract yet.
  if (answer === '0x') return 0
  const wellFormed = typeof answer === 'string' && /^0x0{56}[0-9a-f]{8}$/i.test(answer)
  check(wellFormed, 'badRpc', 'an endpoint sent no count of a contract’s events')
  return Number(answer)
}
