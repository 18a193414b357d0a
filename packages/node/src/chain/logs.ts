/** Logs of a range of blocks, in as many queries as the endpoint's bounds need. */
import { BlockSpan } from '@cairn/protocol'
import { type Hex, numberToHex, type RpcLog } from 'viem'
import { type Client, isTooMuch } from './endpoint.ts'

export interface BlockRange {
  /** Both included. */
  from: bigint
  to: bigint
}

/** What each endpoint takes at once. */
export type RangesTaken = WeakMap<Client, BlockSpan>

/** In the chain's order. Rejects as the endpoint does, where one block is too much as well. */
export async function readLogs(
  client: Client,
  address: readonly Hex[],
  { from, to, taken }: BlockRange & { taken: RangesTaken },
): Promise<RpcLog[]> {
  const span = taken.get(client) ?? new BlockSpan(isTooMuch)
  taken.set(client, span)
  const logs: RpcLog[] = []
  for (let next = from; next <= to; ) {
    const { answer, blocks } = await span.ask(to - next + 1n, asked => {
      const [fromBlock, toBlock] = [numberToHex(next), numberToHex(next + asked - 1n)]
      const query = { address: [...address], fromBlock, toBlock }
      return client.request({ method: 'eth_getLogs', params: [query] })
    })
    logs.push(...answer)
    next += blocks
  }
  return logs
}
