/**
 * Logs of a range of blocks, in as many queries as the endpoint's bounds need. What an endpoint took is
 * forgotten after some queries: where much was found in few blocks, that is no bound on others.
 */
import { BlockSpan } from '@cairn/protocol'
import { type Hex, type LogTopic, numberToHex, type RpcLog } from 'viem'
import { type Client, isTooMuch } from './endpoint.ts'

export interface BlockRange {
  /** Both included. */
  from: bigint
  to: bigint
}

interface LogQuery {
  address: readonly Hex[]
  topics?: LogTopic[]
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
    const { answer, blocks } = await spanOf(client, taken).ask(to - next + 1n, asked =>
      ask(client, { address }, { from: next, to: next + asked - 1n }),
    )
    // As many as an answer holds are too many arguments.
    for (const log of answer) logs.push(log)
    next += blocks
  }
  return logs
}

/**
 * What `find` makes of the newest logs of which it makes something: looked for from the newest block
 * down. Undefined where there are none.
 */
export async function findNewest<T>(
  client: Client,
  query: LogQuery,
  {
    from,
    to,
    taken,
    find,
  }: BlockRange & { taken: RangesTaken; find: (logs: RpcLog[]) => T | undefined },
): Promise<T | undefined> {
  for (let last = to; last >= from; ) {
    const { answer, blocks } = await spanOf(client, taken).ask(last - from + 1n, asked =>
      ask(client, query, { from: last - asked + 1n, to: last }),
    )
    const found = find(answer)
    if (found !== undefined) return found
    last -= blocks
  }
  return undefined
}

async function ask(
  client: Client,
  { address, topics }: LogQuery,
  { from, to }: BlockRange,
): Promise<RpcLog[]> {
  const range = { fromBlock: numberToHex(from), toBlock: numberToHex(to) }
  const query = { address: [...address], ...(topics && { topics }), ...range }
  return await client.request({ method: 'eth_getLogs', params: [query] })
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
