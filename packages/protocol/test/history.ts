/** Checkpoints of a long past and the logs that a chain has of them, given out as endpoints do. */
import {
  CairnError,
  type Checkpoint,
  COUNTED_KINDS,
  COUNTED_TYPES,
  Checkpoint as Container,
  checkpointRoot,
  hex,
  keccak256,
  type RpcRequest,
} from '../src/index.ts'

const ZERO = new Uint8Array(32)
const ACCEPTED = `0x${hex(
  keccak256(new TextEncoder().encode('Accepted(uint64,bytes32,uint64,address,bytes)')),
)}`

export interface PastLog {
  epoch: number
  block: bigint
  /** Of `Accepted`. */
  data: string
}

export interface History {
  checkpoints: Checkpoint[]
  /** Oldest first. */
  logs: PastLog[]
  /** Block of the newest. */
  newest: bigint
}

export interface HistoryInit {
  epochs: number
  /** Blocks from one checkpoint to the next. */
  every: bigint
  /** Block of the first. */
  from?: bigint
  /** Of the first checkpoint. */
  change?: Partial<Checkpoint>
  /** Of all. */
  nextCommittee?: Uint8Array
}

/** Epochs from 0 on; of each 50th another checkpoint was accepted and cancelled before. */
export function historyOf(init: HistoryInit): History {
  const { epochs, every, from = 1_000n, nextCommittee = ZERO } = init
  const checkpoints: Checkpoint[] = []
  const logs: PastLog[] = []
  let parent: Uint8Array = ZERO
  for (let epoch = 0; epoch < epochs; epoch++) {
    const change = epoch === 0 ? init.change : {}
    const checkpoint = { ...emptyCheckpoint(epoch), parent, nextCommittee, ...change }
    const block = from + BigInt(epoch) * every
    if (epoch % 50 === 49) logs.push(logOf({ ...checkpoint, spentTotal: 1n }, block - 1n))
    logs.push(logOf(checkpoint, block))
    checkpoints.push(checkpoint)
    parent = checkpointRoot(checkpoint)
  }
  return { checkpoints, logs, newest: from + BigInt(epochs - 1) * every }
}

export function logOf(checkpoint: Checkpoint, block: bigint): PastLog {
  const word = (value: number) => value.toString(16).padStart(64, '0')
  const container = hex(Container.serialize(checkpoint))
  const head = [hex(checkpointRoot(checkpoint)), word(0), word(7), word(128), word(468)]
  return {
    epoch: Number(checkpoint.epoch),
    block,
    data: `0x${head.join('')}${container.padEnd(2 * 480, '0')}`,
  }
}

/** What `eth_getLogs` gives for these parameters. Throws `rpcRefused` for more than `most` blocks. */
export function logsFor(history: Pick<History, 'logs'>, params: unknown, most?: bigint): unknown[] {
  const [{ fromBlock, toBlock, topics }] = params as [
    { fromBlock: string; toBlock: string; topics: [string, string[]] },
  ]
  const [from, to] = [BigInt(fromBlock), BigInt(toBlock)]
  if (most !== undefined && to - from >= most) {
    throw new CairnError('rpcRefused', `block range is too wide: at most ${most}`)
  }
  if (topics[0] !== ACCEPTED) return []
  const epochs = new Set(topics[1].map(Number))
  // Found by halves: a test asks thousands of times.
  let low = 0
  for (let high = history.logs.length; low < high; ) {
    const middle = (low + high) >> 1
    if ((history.logs[middle] as PastLog).block < from) low = middle + 1
    else high = middle
  }
  const found: unknown[] = []
  for (let i = low; i < history.logs.length; i++) {
    const { epoch, block, data } = history.logs[i] as PastLog
    if (block > to) break
    if (epochs.has(epoch)) found.push({ blockNumber: `0x${block.toString(16)}`, data })
  }
  return found
}

/** An endpoint that gives logs alone, of `most` blocks at once. */
export function logEndpoint(history: Pick<History, 'logs'>, most?: bigint) {
  const asked = { calls: 0 }
  const request: RpcRequest = async (_method, params) => {
    asked.calls++
    return logsFor(history, params, most)
  }
  return { request, asked }
}

function emptyCheckpoint(epoch: number): Checkpoint {
  return {
    epoch: BigInt(epoch),
    base: { number: 1n, hash: ZERO },
    parent: ZERO,
    messages: ZERO,
    state: ZERO,
    payouts: ZERO,
    penalties: ZERO,
    deals: ZERO,
    counts: {
      messages: new Array<number>(COUNTED_TYPES).fill(0),
      verdicts: new Array<number>(3 * COUNTED_KINDS).fill(0),
    },
    earnedTotal: 0n,
    spentTotal: 0n,
    nextCommittee: ZERO,
    rulesVersion: 1,
  }
}
