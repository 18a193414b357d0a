/**
 * Logs of a range of blocks, from endpoints that bound how many blocks a query may span or how much it
 * may find, each in words of its own. What is too much is asked for in halves, and the size that an
 * endpoint took is remembered.
 */
import { type Hex, numberToHex, type RpcLog } from 'viem'
import { type Client, isTooMuch } from './endpoint.ts'

export interface BlockRange {
  /** Both included. */
  from: bigint
  to: bigint
}

/** Blocks that each endpoint took at once when it had refused more. */
export type RangesTaken = WeakMap<Client, bigint>

/** In the chain's order. Rejects as the endpoint does, where one block is too much as well. */
export async function readLogs(
  client: Client,
  address: readonly Hex[],
  { from, to, taken }: BlockRange & { taken: RangesTaken },
): Promise<RpcLog[]> {
  const logs: RpcLog[] = []
  let next = from
  while (next <= to) {
    const known = taken.get(client)
    const last = known !== undefined && next + known - 1n < to ? next + known - 1n : to
    try {
      const query = {
        address: [...address],
        fromBlock: numberToHex(next),
        toBlock: numberToHex(last),
      }
      logs.push(...(await client.request({ method: 'eth_getLogs', params: [query] })))
      next = last + 1n
    } catch (error) {
      if (last === next || !isTooMuch(error)) throw error
      taken.set(client, (last - next + 1n) / 2n)
    }
  }
  return logs
}
