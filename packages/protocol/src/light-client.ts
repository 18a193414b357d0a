/**
 * The light client: whether a chain accepted, and acts upon, the checkpoint that a proof file climbs
 * to. It needs endpoints of that chain and nothing else of the network.
 *
 * Trust begins with the contract's address and its chain's id. The endpoints are believed for what
 * that contract holds, and only where all that are asked say the same of the same block. Roots that
 * the contract keeps no more are reached by hashes: each checkpoint names its parent's root, so
 * whoever hands out the checkpoints between cannot lie about one.
 */
import { keccak256 } from '#crypto'
import { networkId } from './domain.ts'
import { CairnError, check, invariant } from './errors.ts'
import { type KeptRoot, LIGHT_LINKS_MAX, rootBelow } from './links.ts'
import { type ProofFile, verifyProofFile } from './proof-file.ts'
import { bytesOf, quantity, quantityOf, type RpcRequest, recordOf } from './rpc.ts'
import { concatBytes, equalBytes, hex, unhex } from './ssz.ts'

/** Endpoints asked at once: as many as anybody compares. */
export const LIGHT_ENDPOINTS_MAX = 16
/** Roots that `Checkpoints` keeps: its `KEPT`. */
const KEPT = 256

const WORD_BYTES = 32
const EPOCH_NOT_KEPT = `0x${hex(selector('EpochNotKept(uint64)'))}`

/** What is trusted from the start. */
export interface TrustedContract {
  /** EIP-155. */
  chainId: bigint
  /** Address of `Checkpoints`, 20 bytes. */
  checkpoints: Uint8Array
  /** Id of the network whose checkpoints it holds; absent: its own, the chain being its home. */
  network?: Uint8Array
}

export interface LightClientInit {
  contract: TrustedContract
  /** Of the contract's chain; all must say the same. */
  endpoints: readonly RpcRequest[]
  /** Blocks on top of the one that is asked about. */
  finality: number
  /** Block of the contract's deployment or earlier: no event is older. */
  fromBlock?: bigint
  /** Hears how many of the checkpoints between a kept root and the proof's are found: a year takes minutes. */
  onLinks?: (found: number, links: number) => void
}

/** That the chain acts upon a proof's checkpoint, and by what it was found. */
export interface LightVerdict {
  /** The checkpoint's. */
  root: Uint8Array
  contract: TrustedContract
  /** The block that the answers are of. */
  block: { number: bigint; hash: Uint8Array; timestamp: number }
  /** Newest block that all endpoints have. */
  newest: bigint
  endpoints: number
  /** Newest epoch that the contract has accepted. */
  lastEpoch: number
  /** Epoch whose root the contract was asked for: the proof's own, or a later one linked to it. */
  keptEpoch: number
  /** When that one was acted upon, in seconds since 1970. */
  activeAt: number
}

/**
 * Checks a proof file against the chain. Throws
 *
 * - `badProof`: it does not hold in itself, or the chain accepted another checkpoint for its epoch
 * - `otherNetwork`, `wrongChain`: the contract or an endpoint is of another network or chain
 * - `checkpointNotAccepted`, `checkpointCancelled`, `checkpointNotActive`: the chain does not act upon the checkpoint
 * - `endpointsDisagree`, `badRpc`, `missingLinks`: the endpoints cannot be relied upon
 * - `rpcRefused` and what a request rejects with, where one does not answer
 */
export async function verifyOnChain(
  proof: ProofFile,
  init: LightClientInit,
): Promise<LightVerdict> {
  const { contract, endpoints } = init
  const root = verifyProofFile(proof)
  check(
    endpoints.length > 0 && endpoints.length <= LIGHT_ENDPOINTS_MAX,
    'usage',
    `expected 1 to ${LIGHT_ENDPOINTS_MAX} endpoints, found ${endpoints.length}`,
  )
  const { block, newest } = await commonBlock(init)
  const reads = new ContractReads(init, block.hash)
  await requireNetwork(proof, contract, reads)
  const found = await requireAccepted(proof, { root, reads, block, init })
  const active = block.timestamp >= found.activeAt
  const from = new Date(1_000 * found.activeAt).toISOString()
  check(active, 'checkpointNotActive', `the chain acts upon this checkpoint from ${from}`, {
    facts: { epoch: proof.epoch, activeAt: found.activeAt, now: block.timestamp },
    next: 'it may still be cancelled: verify again when it is active',
  })
  return { root, contract, block, newest, endpoints: endpoints.length, ...found }
}

/** What was checked and against what, one sentence each. */
export function verdictSentences(verdict: LightVerdict, { epoch }: ProofFile): string[] {
  const { root, contract, block, newest, endpoints, lastEpoch, keptEpoch, activeAt } = verdict
  const home = contract.network === undefined ? '' : ', of the network that you named,'
  const links = keptEpoch - epoch
  return [
    `contract 0x${hex(contract.checkpoints)} on chain ${contract.chainId}${home} ${
      links === 0
        ? `accepted checkpoint ${hex(root)} for epoch ${epoch}`
        : `keeps the root of epoch ${keptEpoch}, and ${links} checkpoints link it to ${hex(root)} of epoch ${epoch}`
    }`,
    `it said so in block ${block.number} (${hex(block.hash)}), ${newest - block.number} blocks below the newest, by ${
      endpoints === 1 ? 'one endpoint, which is believed' : `${endpoints} endpoints alike`
    }`,
    `the checkpoint${links === 0 ? '' : ` of epoch ${keptEpoch}`} is active since ${new Date(1_000 * activeAt).toISOString()}; the last one accepted is of epoch ${lastEpoch}`,
  ]
}

/** Views of the contract as of one block, as all endpoints say. */
class ContractReads {
  readonly #init: LightClientInit
  readonly #block: Uint8Array

  constructor(init: LightClientInit, block: Uint8Array) {
    this.#init = init
    this.#block = block
  }

  /** One word; undefined where the contract says that it keeps no such epoch. */
  async word(signature: string, argument?: bigint | Uint8Array): Promise<Uint8Array | undefined> {
    const to = `0x${hex(this.#init.contract.checkpoints)}`
    const data = `0x${hex(selector(signature))}${argument === undefined ? '' : wordOf(argument)}`
    const call = [{ to, data }, { blockHash: `0x${hex(this.#block)}` }]
    return await agreed(this.#init.endpoints, signature, async request => {
      try {
        return bytesOf(await request('eth_call', call), WORD_BYTES)
      } catch (error) {
        if (isNotKept(error)) return undefined
        throw error
      }
    })
  }

  async number(signature: string, argument?: bigint | Uint8Array): Promise<bigint> {
    const word = await this.word(signature, argument)
    check(word !== undefined, 'badRpc', `the contract gives no ${signature}`)
    return BigInt(`0x${hex(word)}`)
  }
}

/** The newest block that all have `finality` blocks upon, the same for all. */
async function commonBlock({ endpoints, contract, finality }: LightClientInit) {
  const tips = await Promise.all(
    endpoints.map(async request => {
      const chainId = quantityOf(await request('eth_chainId', []))
      check(
        chainId === contract.chainId,
        'wrongChain',
        `expected an endpoint of chain ${contract.chainId}, found one of ${chainId}`,
        { facts: { expected: contract.chainId, found: chainId } },
      )
      return Number(quantityOf(await request('eth_blockNumber', [])))
    }),
  )
  const newest = Math.min(...tips)
  const number = Math.max(0, newest - finality)
  const header = await agreed(endpoints, `block ${number}`, async request => {
    const block = await request('eth_getBlockByNumber', [quantity(BigInt(number)), false])
    const { hash, timestamp } = recordOf(block)
    return concatBytes([bytesOf(hash, 32), unhex(wordOf(quantityOf(timestamp)))])
  })
  check(header !== undefined, 'badRpc', `an endpoint does not have block ${number}`)
  const timestamp = Number(BigInt(`0x${hex(header.subarray(32))}`))
  return {
    newest: BigInt(newest),
    block: { number: BigInt(number), hash: header.slice(0, 32), timestamp },
  }
}

/** The contract is of the proof's network: by what is trusted, and by its own word. */
async function requireNetwork(
  { network }: ProofFile,
  { chainId, checkpoints, network: named }: TrustedContract,
  reads: ContractReads,
): Promise<void> {
  const genesis = await reads.number('genesis()')
  check(genesis !== 0n, 'checkpointNotAccepted', 'the contract’s network has not started')
  const expected = named ?? networkId({ chainId, checkpoints, genesis })
  const found = await reads.word('networkId(uint64)', genesis)
  const facts = { contract: `0x${hex(checkpoints)}`, chainId, expected: hex(expected) }
  check(
    found !== undefined && equalBytes(found, expected),
    'otherNetwork',
    'the contract is of another network',
    {
      facts: { ...facts, found: found && hex(found) },
      next: 'pass the contract of the proof’s network; of a mirror pass the network’s manifest too, since a mirror cannot tell its home (`--network`)',
    },
  )
  check(equalBytes(network, expected), 'otherNetwork', 'the proof is of another network', {
    facts: { ...facts, found: hex(network) },
    next: 'pass the contract of the proof’s network',
  })
}

interface AcceptedInit {
  root: Uint8Array
  reads: ContractReads
  block: LightVerdict['block']
  init: LightClientInit
}

type Kept = Pick<LightVerdict, 'lastEpoch' | 'keptEpoch' | 'activeAt'>

async function requireAccepted({ epoch }: ProofFile, found: AcceptedInit): Promise<Kept> {
  const { root, reads } = found
  const last = BigInt.asIntN(64, await reads.number('lastEpoch()'))
  if (BigInt(epoch) > last) {
    await requireNotCancelled(epoch, found)
    const text = `the chain has no checkpoint of epoch ${epoch} yet`
    throw new CairnError('checkpointNotAccepted', text, {
      facts: { epoch, last },
      next: 'verify again when it is accepted',
    })
  }
  const lastEpoch = Number(last)
  const kept = await keptRoot(reads, { epoch, lastEpoch })
  const linked = kept.epoch === epoch ? kept.root : await linkedRoot(epoch, kept, found)
  if (!equalBytes(linked, root)) {
    await requireNotCancelled(epoch, found)
    const text = 'the chain accepted another checkpoint for this epoch'
    throw new CairnError('badProof', text, {
      facts: { epoch, expected: hex(linked), found: hex(root) },
      next: 'ask another node for the proof; do not rely on this file',
    })
  }
  const activeAt = Number(await reads.number('activeAt(uint64)', BigInt(kept.epoch)))
  return { lastEpoch, keptEpoch: kept.epoch, activeAt }
}

/** One that was cancelled can be voted again: this says only why it is not there now. */
async function requireNotCancelled(epoch: number, { root, reads }: AcceptedInit): Promise<void> {
  const below = await reads.number('cancelledBelow(bytes32)', root)
  check(below === 0n, 'checkpointCancelled', `this checkpoint of epoch ${epoch} is cancelled`, {
    facts: { epoch, root: hex(root) },
    next: 'ask a node for the proof in the checkpoint that was accepted in its place',
  })
}

/**
 * The root of an epoch, or of the oldest later one that the contract keeps: after a cancellation
 * those whose places the cancelled ones took are missing.
 */
async function keptRoot(
  reads: ContractReads,
  { epoch, lastEpoch }: { epoch: number; lastEpoch: number },
): Promise<KeptRoot> {
  for (let at = Math.max(epoch, lastEpoch - KEPT + 1); at <= lastEpoch; at++) {
    const root = await reads.word('rootOf(uint64)', BigInt(at))
    if (root !== undefined) return { epoch: at, root }
  }
  throw new CairnError('badRpc', 'the contract keeps not even its last root')
}

/** One endpoint after the other is asked for the checkpoints between. */
async function linkedRoot(
  epoch: number,
  kept: KeptRoot,
  { init, block }: AcceptedInit,
): Promise<Uint8Array> {
  const links = kept.epoch - epoch
  check(links <= LIGHT_LINKS_MAX, 'missingLinks', `${links} checkpoints lie between`, {
    facts: { epoch, kept: kept.epoch, most: LIGHT_LINKS_MAX },
  })
  const { contract, fromBlock = 0n, onLinks } = init
  const about = { checkpoints: contract.checkpoints, from: fromBlock, to: block.number }
  let cause: unknown
  for (const request of init.endpoints) {
    try {
      const told = onLinks && ((found: number) => onLinks(found, links))
      return await rootBelow(epoch, kept, { ...about, request, onLinks: told })
    } catch (error) {
      cause = error
    }
  }
  throw cause
}

/** What all endpoints answer alike. Throws `endpointsDisagree`. */
async function agreed(
  endpoints: readonly RpcRequest[],
  what: string,
  ask: (request: RpcRequest) => Promise<Uint8Array | undefined>,
): Promise<Uint8Array | undefined> {
  const [first, ...others] = await Promise.all(endpoints.map(ask))
  for (const [i, other] of others.entries()) {
    const alike =
      first === undefined || other === undefined ? first === other : equalBytes(first, other)
    check(alike, 'endpointsDisagree', `endpoints 1 and ${i + 2} differ on ${what}`, {
      facts: { what, first: first && hex(first), other: other && hex(other) },
      next: 'ask endpoints that you have reason to trust; one of these is wrong or behind',
    })
  }
  return first
}

function isNotKept(error: unknown): boolean {
  if (!(error instanceof CairnError) || error.code !== 'rpcRefused') return false
  const { data } = error.facts
  return typeof data === 'string' && data.startsWith(EPOCH_NOT_KEPT)
}

function selector(signature: string): Uint8Array {
  return keccak256(utf8(signature)).subarray(0, 4)
}

/** 64 digits. */
function wordOf(value: bigint | Uint8Array): string {
  if (typeof value === 'bigint') return value.toString(16).padStart(2 * WORD_BYTES, '0')
  invariant(value.length === WORD_BYTES, 'a word has 32 bytes')
  return hex(value)
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
