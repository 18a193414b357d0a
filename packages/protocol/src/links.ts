/**
 * The checkpoints between a root that the contract keeps and an older one. They come from the
 * contract's logs, and nobody has to be trusted for them: each must have the root that the one
 * after it names as its parent.
 *
 * A checkpoint is accepted after its parent, so the search goes down from the newest block and never
 * back up: what was looked through is looked through once, whatever part of it an endpoint gives at a
 * time. Below a link, a log of an epoch before the next link shows that this one was left out.
 */
import { keccak256 } from '#crypto'
import { Checkpoint, checkpointRoot } from './checkpoint.ts'
import { CairnError, check } from './errors.ts'
import { BlockSpan, bytesOf, quantity, quantityOf, type RpcRequest, recordOf } from './rpc.ts'
import { decode, hex } from './ssz.ts'

/** Checkpoints between a proof's and the oldest kept: seven years of hourly epochs. */
export const LIGHT_LINKS_MAX = 65_536
/**
 * Calls for logs before an endpoint is given up. A year has 2,628 times 1,000 blocks at 12 s each, and
 * 15,768 times at 2 s; most endpoints give logs of 1,000 at once or more.
 */
export const LIGHT_LOG_CALLS_MAX = 32_768
/** Epochs whose logs are asked for at once: about 250 KB of an answer. */
const LINKS_PER_CALL = 128
/** Logs of `LINKS_PER_CALL` epochs: each was voted again a few times at most. */
const LOGS_MAX = 16 * LINKS_PER_CALL
/** Blocks asked for at first: what an endpoint without a bound looks through in a moment; a half of a half comes to 1,000. */
const BLOCKS_FIRST = 128_000n

const WORD_BYTES = 32
const CHECKPOINT_BYTES = 468
/** Where the container stands in the data of `Accepted`: root, round, submitter, offset, length. */
const CONTAINER_AT = 5 * WORD_BYTES

const ACCEPTED = `0x${hex(
  keccak256(new TextEncoder().encode('Accepted(uint64,bytes32,uint64,address,bytes)')),
)}`

export interface KeptRoot {
  epoch: number
  root: Uint8Array
}

export interface LinksInit {
  request: RpcRequest
  /** Address of `Checkpoints`, 20 bytes. */
  checkpoints: Uint8Array
  /** Block of its deployment or earlier. */
  from: bigint
  /** Block in which it keeps the root. */
  to: bigint
  /** Hears how many links are found. */
  onLinks?: ((found: number) => void) | undefined
}

/**
 * The root of `epoch` by the links that one endpoint gives. Throws `missingLinks` where that leaves
 * one out, or where too many calls would be needed, `badRpc`, and what a call rejects with.
 */
export async function rootBelow(
  epoch: number,
  kept: KeptRoot,
  init: LinksInit,
): Promise<Uint8Array> {
  const { from, onLinks } = init
  const span = new BlockSpan(isRefusal, BLOCKS_FIRST)
  let { epoch: at, root } = kept
  let { to } = init
  let calls = 0
  while (at > epoch) {
    if (to < from) throw leftOut(at, root)
    const epochs = Array.from({ length: Math.min(LINKS_PER_CALL, at - epoch) }, (_, i) => at - i)
    const { answer, blocks } = await span.ask(to - from + 1n, async asked => {
      check(calls++ < LIGHT_LOG_CALLS_MAX, 'missingLinks', 'an endpoint gives logs of few blocks', {
        facts: { calls: LIGHT_LOG_CALLS_MAX, epoch: at, block: to },
        next: 'ask an endpoint that gives logs of more blocks at once',
      })
      return await accepted(init, { epochs, from: to - asked + 1n, to })
    })
    let low = to - blocks
    for (let found = answer.get(hex(root)); found && at > epoch; found = answer.get(hex(root))) {
      check(found.checkpoint.epoch === BigInt(at), 'badRpc', 'a checkpoint is of another epoch')
      root = found.checkpoint.parent
      at--
      // There may be more below of epochs that were not asked for.
      if (at < (epochs.at(-1) as number)) low = found.block
    }
    const passed = [...answer.values()].some(({ checkpoint }) => checkpoint.epoch <= BigInt(at))
    if (passed && at > epoch) throw leftOut(at, root)
    to = low
    onLinks?.(kept.epoch - at)
  }
  return root
}

interface AcceptedLog {
  checkpoint: Checkpoint
  block: bigint
}

interface LogsAsked {
  epochs: readonly number[]
  from: bigint
  to: bigint
}

/** Checkpoints of such logs by the roots that they have, whatever the logs say of them. */
async function accepted(
  { request, checkpoints }: LinksInit,
  { epochs, from, to }: LogsAsked,
): Promise<Map<string, AcceptedLog>> {
  const topics = [ACCEPTED, epochs.map(epoch => `0x${epoch.toString(16).padStart(64, '0')}`)]
  const range = { fromBlock: quantity(from), toBlock: quantity(to) }
  const logs = await request('eth_getLogs', [
    { address: `0x${hex(checkpoints)}`, topics, ...range },
  ])
  check(
    Array.isArray(logs) && logs.length <= LOGS_MAX,
    'badRpc',
    'an endpoint sent logs that are no list, or too many',
  )
  const found = new Map<string, AcceptedLog>()
  for (const log of logs) {
    const { data, blockNumber } = recordOf(log)
    const block = quantityOf(blockNumber)
    check(block >= from && block <= to, 'badRpc', 'an endpoint sent a log of another block', {
      facts: { from, to, found: block },
    })
    const bytes = bytesOf(data).subarray(CONTAINER_AT, CONTAINER_AT + CHECKPOINT_BYTES)
    check(
      bytes.length === CHECKPOINT_BYTES,
      'badRpc',
      'an endpoint sent a log without its checkpoint',
    )
    const checkpoint = decode(Checkpoint, bytes)
    found.set(hex(checkpointRoot(checkpoint)), { checkpoint, block })
  }
  return found
}

/** An endpoint answers, and does not want to: it bounds blocks or results in words of its own. */
function isRefusal(error: unknown): boolean {
  return error instanceof CairnError && error.code === 'rpcRefused'
}

function leftOut(epoch: number, root: Uint8Array): CairnError {
  return new CairnError(
    'missingLinks',
    `an endpoint does not give the checkpoint of epoch ${epoch}`,
    {
      facts: { epoch, root: hex(root) },
      next: 'ask an endpoint that keeps all logs, from the block of the contract’s deployment; a mirror has none from before its start',
    },
  )
}
