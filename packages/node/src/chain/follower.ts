/**
 * Keeps the view at the chain's head less the finality depth. Each round asks one endpoint for
 * what is new: the headers of all blocks, linked by their parents, and the contracts' logs, each
 * of a block that was just read. What does not fit together is a reorganisation in between or
 * an endpoint's fault, and the next round sees which.
 *
 * A block of the view that the chain no longer has is rolled back to the last one both have.
 * Nothing historical but headers, logs and receipts is ever asked for: nodes prune states. Of the
 * newest final block the contracts' counts of their own events are, and the committee that signs next:
 * an exit or a new committee that an endpoint leaves out shows by nothing else.
 */
import { CairnError, equalBytes, hex, unhex } from '@cairn/protocol'
import { formatLog, type Hex } from 'viem'
import type { BlockHeader, Clock, Log } from '../ports.ts'
import { backoffMs } from './backoff.ts'
import { chainEvents, type MinedLog, type Receipt } from './events.ts'
import { FOLLOWED, type FollowedContracts } from './followed.ts'
import { contractCommitteeWord, contractLogCount } from './log-count.ts'
import { type RangesTaken, readLogs } from './logs.ts'
import { readFounding } from './parameters.ts'
import { type Client, follows, type LinkedHeader, type Rpc, readHeader } from './rpc.ts'
import { readFallbackAfter } from './succession.ts'
import type { Advance, ChainView } from './view.ts'

/** Blocks read at once, with all their headers. */
const CHUNK_BLOCKS = 256n
/** Blocks whose logs alone are read at once: what public endpoints commonly allow. */
const LOGS_BLOCKS = 2_000n
/** Headers compared at once on the way back to a fork. */
const FORK_STEP = 32n
/** Rounds in a row that a reorganisation is taken to explain; after them it is the endpoint. */
const MISFITS_MAX = 3
/** Receipts asked for in a chunk; older checkpoints of a long catch-up go without their gas. */
const RECEIPTS_MAX = 64
/** Without a new block for so long the other endpoints are asked for theirs, ms: several blocks' time. */
const STILL_MS = 60_000
/** Between looks at what never changes, ms. */
const CONSTANTS_MS = 600_000
/** Of the contract before its start. */
const NO_COMMITTEE = new Uint8Array(32)

export interface FollowerComponents {
  rpc: Rpc
  view: ChainView
  clock: Clock
  /** So many random bytes: no secret hangs on them. */
  random(length: number): Uint8Array
  log: Log
}

export interface FollowerInit {
  contracts: FollowedContracts
  /** Blocks on top of one before it is final. */
  finality: number
  /** Between rounds, ms. */
  pollMs: number
  /** First block that can hold an event: the contracts' deployment. */
  fromBlock: bigint
}

export class Follower {
  readonly #components: FollowerComponents
  readonly #init: FollowerInit
  /** In the last round: others ask the endpoints too. */
  #answered = false
  /** Rounds in a row in which blocks and logs did not fit. */
  #misfits = 0
  readonly #taken: RangesTaken = new WeakMap()
  readonly #listeners = new Set<() => void>()
  readonly #stopped = new AbortController()
  #loop: Promise<void> | undefined
  /** When what never changes was read last, ms. */
  #constantsAt = 0
  /** When the view last went on, or the others were asked why it does not, ms. */
  #movedAt: number
  /** Hash of the block up to which all counts and what was read agreed. */
  #complete: Uint8Array | undefined

  constructor(components: FollowerComponents, init: FollowerInit) {
    this.#components = components
    this.#init = init
    this.#movedAt = components.clock.now()
  }

  /** Resolves after the first round, whether or not an endpoint answered. */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#loop !== undefined) return
    const abort = () => this.#stopped.abort()
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    const first = this.#round()
    this.#loop = first
      .then(ok => this.#follow(ok))
      .finally(() => signal.removeEventListener('abort', abort))
    await first
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#listeners.clear()
    await this.#loop
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #follow(ok: boolean): Promise<void> {
    const { clock, random } = this.#components
    const { pollMs } = this.#init
    let failures = ok ? 0 : 1
    const { signal } = this.#stopped
    while (!signal.aborted) {
      if (!(await passed(clock, backoffMs(failures, { pollMs, random }), signal))) return
      failures = (await this.#round()) ? 0 : failures + 1
    }
  }

  /** True unless no endpoint answered. */
  async #round(): Promise<boolean> {
    const { rpc, log } = this.#components
    const wasHealthy = this.#answered
    let advanced = false
    try {
      await rpc.call(client => this.#advance(client, () => (advanced = true)))
      if (!wasHealthy) log.info({}, 'the chain answers')
      this.#answered = true
      return true
    } catch (error) {
      if (this.#stopped.signal.aborted) return false
      this.#answered = false
      if (wasHealthy) log.warn({ err: error }, 'the chain does not answer; going on without it')
      else log.debug({ err: error }, 'the chain still does not answer')
      return false
    } finally {
      if (advanced) this.#tell()
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        this.#components.log.error({ err: error }, 'a listener to the chain failed')
      }
    }
  }

  async #advance(client: Client, changed: () => void): Promise<void> {
    const { view, rpc } = this.#components
    const { finality, fromBlock } = this.#init
    const latest = await readHeader(client, 'latest')
    if (latest === undefined) return
    await this.#requireMoving(client, latest.number)
    const final = latest.number - BigInt(finality)
    const head = view.head()
    if (head !== undefined && latest.number <= head.number) {
      // The endpoint may only be behind the one asked before.
      const ours = view.block(latest.number)
      if (ours === undefined || equalBytes(ours.hash, latest.hash)) return
      await rpc.requireAgreement(client, latest)
      await this.#rollback(client, final)
      return changed()
    }
    for (;;) {
      const known = view.head()
      const from = known === undefined ? fromBlock : known.number + 1n
      if (from > final || this.#stopped.signal.aborted) return
      const read = await this.#readChunk(client, from, final, known)
      if (read === undefined) {
        if (known === undefined || !(await this.#hasOther(client, known))) {
          if (++this.#misfits < MISFITS_MAX) return
          this.#misfits = 0
          throw new CairnError('badRpc', 'an endpoint’s blocks and logs do not fit together')
        }
        this.#misfits = 0
        await this.#rollback(client, known.number)
        return changed()
      }
      this.#misfits = 0
      await rpc.requireAgreement(client, read.headers.at(-1) as BlockHeader)
      await this.#readConstants(client)
      if (read.headers.at(-1)?.number === final) await this.#requireComplete(client, read, changed)
      view.append(read)
      this.#movedAt = this.#components.clock.now()
      changed()
    }
  }

  /** A chain that stands still and an endpoint that does look alike, until another one is asked. */
  async #requireMoving(client: Client, latest: bigint): Promise<void> {
    const { rpc, clock } = this.#components
    const now = clock.now()
    if (now < this.#movedAt + STILL_MS) return
    // First, so that one who lies about its head has not all the others fail.
    this.#movedAt = now
    await rpc.requireNewest(client, latest)
  }

  /**
   * What never changes, of who has the others' chain: without it nodes wait. It is asked for again at
   * times, since who said it may have been wrong.
   */
  async #readConstants(client: Client): Promise<void> {
    const { view, clock } = this.#components
    const { parameters, checkpoints } = this.#init.contracts
    const known = view.founding !== undefined && view.fallbackAfter !== undefined
    if (known && clock.now() < this.#constantsAt + CONSTANTS_MS) return
    view.founding = (await readFounding(client, parameters)) ?? view.founding
    view.fallbackAfter = (await readFallbackAfter(client, checkpoints)) ?? view.fallbackAfter
    this.#constantsAt = clock.now()
  }

  /**
   * Holds what was read, up to the newest final block, against each contract's count and the committee's word. Throws
   * `missingLogs` when one is another, so that another endpoint is asked; what was taken in since
   * they agreed is forgotten.
   */
  async #requireComplete(client: Client, read: Advance, changed: () => void): Promise<void> {
    const { view, log } = this.#components
    const { contracts } = this.#init
    const block = read.headers.at(-1) as BlockHeader
    const counts = await Promise.all(
      FOLLOWED.map(async contract => {
        const expected = await contractLogCount(client, contracts[contract], block)
        const fresh = read.events.filter(event => event.contract === contract).length
        return { contract, expected, found: view.logs(contract) + fresh }
      }),
    )
    const word = await contractCommitteeWord(client, contracts.checkpoints, block)
    const ours = hex(view.committeeWord(read.events) ?? NO_COMMITTEE)
    const signs = { contract: 'checkpoints', expected: word && hex(word), found: ours }
    const claims = [...counts, signs]
    const wrong = claims.find(({ expected, found }) => expected !== undefined && expected !== found)
    if (wrong === undefined) {
      if (claims.every(({ expected }) => expected !== undefined)) this.#complete = block.hash
      else log.debug({ block: block.number }, 'an endpoint does not say how many events there are')
      return
    }
    const head = view.head()
    const complete = this.#complete !== undefined && head && equalBytes(head.hash, this.#complete)
    if (head !== undefined && !complete) {
      log.warn(wrong, 'events of a contract are missing; reading the chain again')
      view.reset()
      changed()
    }
    const { contract, expected, found } = wrong
    throw new CairnError(
      'missingLogs',
      `an endpoint left out events: ${contract} says ${expected}, found ${found}`,
      { facts: { block: block.number, contract, expected, found } },
    )
  }

  /** True when the chain has another block of this number. */
  async #hasOther(client: Client, { number, hash }: BlockHeader): Promise<boolean> {
    const theirs = await readHeader(client, number)
    if (theirs === undefined || equalBytes(hash, theirs.hash)) return false
    await this.#components.rpc.requireAgreement(client, theirs)
    return true
  }

  /** Returns the view to the last block before `number` that the chain has too. */
  async #rollback(client: Client, number: bigint): Promise<void> {
    const { view, log } = this.#components
    const from = view.head()?.number
    // Older blocks that the view has, for their events or epochs, are none to go on from.
    const oldest = view.oldest()?.number ?? 0n
    for (let high = number; high >= oldest; high -= FORK_STEP) {
      const low = high - FORK_STEP + 1n > oldest ? high - FORK_STEP + 1n : oldest
      const theirs = await Promise.all(range(low, high).map(at => readHeader(client, at)))
      const common = theirs.findLast(header => {
        const ours = header && view.block(header.number)
        return header !== undefined && ours !== undefined && equalBytes(ours.hash, header.hash)
      })
      if (common !== undefined) {
        view.rollback(common.number)
        log.warn({ from, to: common.number }, 'the chain was reorganised; rolled back to the fork')
        return
      }
    }
    log.error({ from }, 'the chain was reorganised beyond what is kept; reading it again')
    view.reset()
  }

  /** The next blocks after `known`; undefined when the chain moved meanwhile. */
  async #readChunk(
    client: Client,
    from: bigint,
    final: bigint,
    known: BlockHeader | undefined,
  ): Promise<Advance | undefined> {
    // Of a long absence only the last blocks' headers are needed, and those with events.
    const kept = BigInt(this.#components.view.headersMax)
    const skip = final - from >= kept
    const size = skip ? LOGS_BLOCKS : CHUNK_BLOCKS
    const last = skip ? final - kept : final
    const to = from + size - 1n < last ? from + size - 1n : last
    const [logs, headers] = await Promise.all([
      this.#readLogs(client, from, to),
      Promise.all(range(skip ? to : from, to).map(number => readHeader(client, number))),
    ])
    const linked = linkedFrom(headers, skip ? undefined : known)
    if (linked === undefined) return undefined
    // No link shows a fork below what is skipped.
    if (skip && known !== undefined && (await this.#hasOther(client, known))) return undefined
    const blocks = new Map(linked.map(header => [header.number, header]))
    for (const { blockNumber } of logs) {
      if (blocks.has(blockNumber)) continue
      const header = await readHeader(client, blockNumber)
      if (header !== undefined) blocks.set(blockNumber, header)
    }
    const fits = logs.every(({ blockNumber, blockHash }) => {
      const header = blocks.get(blockNumber)
      return header !== undefined && equalBytes(header.hash, unhex(blockHash))
    })
    if (!fits) return undefined
    const receipts = await this.#readReceipts(client, logs)
    const events = chainEvents(logs, {
      chainId: this.#components.rpc.chainId,
      contracts: this.#init.contracts,
      log: this.#components.log,
      headerOf: ({ blockNumber }) => plain(blocks.get(blockNumber) as LinkedHeader),
      receiptOf: transaction => receipts.get(transaction),
    })
    return { headers: linked.map(plain), events }
  }

  async #readLogs(client: Client, from: bigint, to: bigint): Promise<MinedLog[]> {
    const address = FOLLOWED.map(name => this.#init.contracts[name])
    const logs = await readLogs(client, address, { from, to, taken: this.#taken })
    return logs.map(log => formatLog(log) as MinedLog)
  }

  /** Of the checkpoints' transactions. */
  async #readReceipts(client: Client, logs: readonly MinedLog[]): Promise<Map<Hex, Receipt>> {
    const checkpoints = this.#init.contracts.checkpoints.toLowerCase()
    const wanted = logs.filter(({ address }) => address.toLowerCase() === checkpoints)
    const hashes = wanted.slice(-RECEIPTS_MAX).map(log => log.transactionHash)
    const found = await Promise.all(
      hashes.map(hash => client.request({ method: 'eth_getTransactionReceipt', params: [hash] })),
    )
    const receipts = found.flatMap(receipt => (receipt === null ? [] : [receipt]))
    return new Map(
      receipts.map(({ transactionHash, gasUsed, from }) => [
        transactionHash,
        { gasUsed: BigInt(gasUsed), from },
      ]),
    )
  }
}

/** The headers, if all are there and each follows the one before; the first follows `known`. */
function linkedFrom(
  headers: readonly (LinkedHeader | undefined)[],
  known: BlockHeader | undefined,
): LinkedHeader[] | undefined {
  const linked: LinkedHeader[] = []
  let before = known
  for (const header of headers) {
    if (header === undefined || (before !== undefined && !follows(header, before))) return undefined
    linked.push(header)
    before = header
  }
  return linked
}

function plain({ number, hash, timestamp }: BlockHeader): BlockHeader {
  return { number, hash, timestamp }
}

function range(from: bigint, to: bigint): bigint[] {
  return Array.from({ length: Number(to - from) + 1 }, (_, i) => from + BigInt(i))
}

/** False when the signal aborted first. */
async function passed(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.until(clock.now() + ms, signal)
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}
