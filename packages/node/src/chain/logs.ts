/**
 * Logs of a range of blocks, in as many queries as the endpoint's bounds need. What an endpoint took is
 * forgotten after some queries: where much was found in few blocks, that is no bound on others.
 */
import { BlockSpan } from '@cairn/protocol'
import { type Hex, numberToHex, type RpcLog } from 'viem'
import { type Client, isTooMuch } from './endpoint.ts'

export interface BlockRange {
  /** Both included. */
  from: bigint
  to: bigint
}

/** Queries by which an endpoint's bound is remembered: to find it again takes eleven at most. */
const REMEMBERED_FOR = 256

/** What each endpoint takes at once, and how many queries more it is believed. */
export type RangesTaken = WeakMap<Client, { readonly span: BlockSpan; left: number }>

/** In the chain's order. Rejects as the endpoint does, where one block is too much as well. */
export async function readLogs(
  client: Client,
  address: readonly Hex[],
  { from, to, taken }: BlockRange & { taken: RangesTaken },
): Promise<RpcLog[]> {
  const logs: RpcLog[] = []
  for (let next = from; next <= to; ) {
    const { answer, blocks } = await spanOf(client, taken).ask(to - next + 1n, asked => {
      const [fromBlock, toBlock] = [numberToHex(next), numberToHex(next + asked - 1n)]
      const query = { address: [...address], fromBlock, toBlock }
      return client.request({ method: 'eth_getLogs', params: [query] })
    })
    logs.push(...answer)
    next += blocks
  }
  return logs
}

function spanOf(client: Client, taken: RangesTaken): BlockSpan {
  let known = taken.get(client)
  if (known === undefined || known.left === 0) {
    known = { span: new BlockSpan(isTooMuch), left: REMEMBERED_FOR }
    taken.set(client, known)
  }
  known.left--
  return known.span
}
