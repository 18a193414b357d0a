/**
 * One chain behind several RPC endpoints. They are asked in the order given: who answers goes on
 * being asked, who fails is passed over, and the first is tried again after a while.
 */
import { CairnError, check, equalBytes, unhex } from '@cairn/protocol'
import { createPublicClient, type Hex, http, type PublicClient } from 'viem'
import type { BlockHeader, Clock, Log } from '../ports.ts'

/** Time for the whole of an answer: a block's logs over a slow line, ms. */
const TIMEOUT_MS = 10_000
/** Calls in one HTTP request: what public endpoints commonly allow. */
const BATCH_MAX = 100
/** How long a later endpoint is kept before the first is tried again, ms. */
const RETURN_MS = 60_000

export type Client = PublicClient

export interface RpcComponents {
  clock: Clock
  log: Log
}

export interface RpcInit {
  /** In order of preference, at least one. */
  urls: readonly string[]
  /** What every endpoint must say; another chain's is never used. */
  chainId: number
  /** An endpoint that has not answered by then is passed over, ms; absent: `TIMEOUT_MS`. */
  timeoutMs?: number
}

interface Endpoint {
  url: string
  client: Client
  /** The endpoint said that it serves the right chain. */
  checked: boolean
}

export class Rpc {
  readonly chainId: number
  readonly #components: RpcComponents
  readonly #endpoints: Endpoint[]
  readonly #timeoutMs: number
  readonly #stopped = new AbortController()
  #current = 0
  #returnAt = 0
  #healthy = false

  constructor(components: RpcComponents, { urls, chainId, timeoutMs }: RpcInit) {
    check(urls.length > 0, 'noRpc', 'expected at least one RPC endpoint', {
      next: 'add the URL of an RPC endpoint to the manifest',
    })
    this.chainId = chainId
    this.#components = components
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS
    this.#endpoints = urls.map(url => ({ url, client: this.#connect(url), checked: false }))
  }

  /** False until an endpoint answered, and while none does. */
  healthy(): boolean {
    return this.#healthy
  }

  /** Ends all calls under way; later ones fail. */
  stop(): void {
    this.#stopped.abort()
    this.#healthy = false
  }

  /**
   * Calls `ask` with one endpoint after the other until one does not throw; `ask` returns what an
   * endpoint refuses and throws what it got wrong. Throws `chainUnavailable` with the last cause.
   */
  async call<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const { clock, log } = this.#components
    if (this.#current !== 0 && clock.now() >= this.#returnAt) this.#current = 0
    let cause: unknown
    for (let tried = 0; tried < this.#endpoints.length; tried++) {
      const at = this.#current
      const endpoint = this.#endpoints[at] as Endpoint
      try {
        await this.#identify(endpoint)
        const answer = await ask(endpoint.client)
        this.#healthy = true
        return answer
      } catch (error) {
        if (this.#stopped.signal.aborted) throw this.#unavailable(error)
        cause = error
        log.debug({ url: endpoint.url, err: error }, 'an RPC endpoint failed')
        // Another call may have moved on meanwhile.
        if (this.#current === at) this.#current = (at + 1) % this.#endpoints.length
        this.#returnAt = clock.now() + RETURN_MS
      }
    }
    this.#healthy = false
    throw this.#unavailable(cause)
  }

  async #identify(endpoint: Endpoint): Promise<void> {
    if (endpoint.checked) return
    const found = await endpoint.client.getChainId()
    check(found === this.chainId, 'wrongChain', `expected chain ${this.chainId}, found ${found}`, {
      facts: { url: endpoint.url, expected: this.chainId, found },
      next: 'point the manifest at an endpoint of the home chain',
    })
    endpoint.checked = true
  }

  #unavailable(cause: unknown): CairnError {
    const text = cause instanceof Error ? cause.message.split('\n', 1)[0] : 'no endpoint answered'
    return new CairnError('chainUnavailable', `the chain cannot be reached: ${text}`, {
      cause,
      facts: { endpoints: this.#endpoints.length },
      next: 'it is tried again; check the RPC endpoints of the manifest if this lasts',
    })
  }

  #connect(url: string): Client {
    const transport = http(url, {
      batch: { batchSize: BATCH_MAX },
      retryCount: 0,
      // viem's own time limit ends with an answer's head, and falls away beside another signal.
      timeout: 0,
      fetchFn: (input, init) =>
        fetch(input, {
          ...init,
          signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(this.#timeoutMs)]),
        }),
    })
    return createPublicClient({ transport })
  }
}

/** A header with the link to the one before. */
export interface LinkedHeader extends BlockHeader {
  parent: Uint8Array
}

/** Undefined when the endpoint does not have the block. Throws `badRpc` for anything malformed. */
export async function readHeader(
  client: Client,
  number: bigint | 'latest',
): Promise<LinkedHeader | undefined> {
  const tag: Hex | 'latest' = number === 'latest' ? number : `0x${number.toString(16)}`
  const block = await client.request({ method: 'eth_getBlockByNumber', params: [tag, false] })
  if (block === null) return undefined
  const { hash, parentHash, timestamp } = block
  const wellFormed =
    isRoot(hash) && isRoot(parentHash) && isQuantity(timestamp) && isQuantity(block.number)
  check(wellFormed, 'badRpc', 'an endpoint sent a block without number, hash or time')
  check(
    number === 'latest' || BigInt(block.number as Hex) === number,
    'badRpc',
    `expected block ${number}, found ${block.number}`,
  )
  return {
    number: BigInt(block.number as Hex),
    hash: unhex(hash as Hex),
    parent: unhex(parentHash),
    timestamp: Number(BigInt(timestamp)),
  }
}

export function follows(header: LinkedHeader, before: BlockHeader): boolean {
  return header.number === before.number + 1n && equalBytes(header.parent, before.hash)
}

function isRoot(value: unknown): boolean {
  return typeof value === 'string' && /^0x[0-9a-f]{64}$/i.test(value)
}

function isQuantity(value: unknown): boolean {
  return typeof value === 'string' && /^0x[0-9a-f]{1,16}$/i.test(value)
}
