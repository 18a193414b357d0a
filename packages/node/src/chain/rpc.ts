/**
 * One chain behind several RPC endpoints. They are asked in the order given: who answers goes on
 * being asked, who fails is passed over, and the first is tried again after a while.
 *
 * One that answers and stands still, while others have newer blocks, fails too.
 *
 * What one says is held against the others by the hash of a block: whoever contradicts a majority is
 * set aside, and where there is none the node goes on without the chain rather than believe one.
 */
import { CairnError, check, equalBytes, hex, unhex } from '@cairn/protocol'
import { type Hex, RpcRequestError } from 'viem'
import type { BlockHeader, Clock, Log } from '../ports.ts'
import { type Client, Endpoint, type EndpointComponents, type EndpointInit } from './endpoint.ts'

/** How long a later endpoint is kept before the first is tried again, ms. */
const RETURN_MS = 60_000
/**
 * How long an endpoint that contradicts the others is not asked, ms: longer than a fork lasts. One that
 * is behind is not gone back to for as long.
 */
const ASIDE_MS = 300_000

export type { Client } from './endpoint.ts'

export interface RpcComponents extends EndpointComponents {
  clock: Clock
  log: Log
}

export interface RpcInit extends Omit<EndpointInit, 'url' | 'signal'> {
  /** In order of preference, at least one. */
  urls: readonly string[]
  /** What every endpoint must say; another chain's is never used. */
  chainId: number
  /** Endpoints that must have a block before it is believed; absent: one. */
  agree?: number
}

export class Rpc {
  readonly chainId: number
  readonly #components: RpcComponents
  readonly #endpoints: Endpoint[]
  readonly #agree: number
  readonly #stopped = new AbortController()
  /** Until when one that failed is not asked whether it agrees: a dead one takes long to fail. */
  readonly #silentUntil = new Map<Endpoint, number>()
  /** Why each failed last; absent where it answered since. */
  readonly #failures = new Map<Endpoint, unknown>()
  #current = 0
  #returnAt = 0
  #healthy = false
  /** The endpoints contradict each other, without a majority. */
  #divided = false

  constructor(components: RpcComponents, { urls, chainId, agree = 1, ...limits }: RpcInit) {
    check(urls.length > 0, 'noRpc', 'expected at least one RPC endpoint', {
      next: 'add the URL of an RPC endpoint to the manifest',
    })
    check(agree <= urls.length, 'noRpc', `expected ${agree} RPC endpoints, found ${urls.length}`, {
      next: 'add endpoints to chain.rpc, or lower chain.agree',
    })
    this.chainId = chainId
    this.#components = components
    this.#agree = agree
    const { signal } = this.#stopped
    this.#endpoints = urls.map(url => new Endpoint(components, { url, signal, ...limits }))
  }

  /** False until an endpoint answered, while none does, and while they contradict each other. */
  healthy(): boolean {
    return this.#healthy && !this.#divided
  }

  /** The endpoints contradict each other, so that none is believed. */
  get divided(): boolean {
    return this.#divided
  }

  /** What ails the endpoints, each by name, while none answers. */
  get trouble(): string | undefined {
    if (this.#healthy || this.#failures.size === 0) return undefined
    return Array.from(this.#failures, ([{ name }, error]) => failureText(name, error)).join('; ')
  }

  /** Ends all calls under way; later ones fail. */
  stop(): void {
    this.#stopped.abort()
    this.#healthy = false
  }

  /**
   * Calls `ask` with one endpoint after the other until one does not throw; `ask` returns what an
   * endpoint refuses and throws what it got wrong. Throws `chainUnavailable` with the last cause, or
   * `wrongChain` where all are of another chain.
   */
  async call<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const { clock, log } = this.#components
    if (this.#current !== 0 && clock.now() >= this.#returnAt) this.#current = 0
    let cause: unknown
    for (let tried = 0; tried < this.#endpoints.length; tried++) {
      const at = this.#current
      const endpoint = this.#endpoints[at] as Endpoint
      try {
        check(!endpoint.isAway, 'rpcAway', `${endpoint.name} is not asked at present`)
        await this.#identify(endpoint)
        const answer = await ask(endpoint.client)
        this.#healthy = true
        this.#failures.delete(endpoint)
        return answer
      } catch (error) {
        if (this.#stopped.signal.aborted) throw this.#unavailable(error)
        // That it is left alone says less than why.
        if (cause === undefined || !isAway(error)) cause = error
        if (!this.#failures.has(endpoint) || !isAway(error)) this.#failures.set(endpoint, error)
        log.debug({ endpoint: endpoint.name, err: error }, 'an RPC endpoint failed')
        // Another call may have moved on meanwhile.
        if (this.#current === at) this.#current = (at + 1) % this.#endpoints.length
        this.#returnAt = clock.now() + (isBehind(error) ? ASIDE_MS : RETURN_MS)
      }
    }
    this.#healthy = false
    throw this.#unavailable(cause)
  }

  /** As `call`, and where the answer is `good` asks all others too, whose answers nobody waits for. */
  async spread<T>(ask: (client: Client) => Promise<T>, good: (answer: T) => boolean): Promise<T> {
    const { log } = this.#components
    const first = await this.call(async client => ({ client, answer: await ask(client) }))
    if (!good(first.answer)) return first.answer
    for (const endpoint of this.#endpoints) {
      if (endpoint.client === first.client || endpoint.isAway) continue
      this.#identify(endpoint)
        .then(() => ask(endpoint.client))
        .catch((error: unknown) =>
          log.debug({ endpoint: endpoint.name, err: error }, 'an endpoint takes no copy'),
        )
    }
    return first.answer
  }

  /** Throws `chainUnavailable` while the endpoints contradict each other. */
  requireUndivided(): void {
    check(!this.#divided, 'chainUnavailable', 'the RPC endpoints contradict each other', {
      next: 'take the endpoint that is on another fork out of chain.rpc, or add a third',
    })
  }

  /**
   * Holds a block that one endpoint has against the others. Who is in the minority is set aside. Throws
   * `endpointsDisagree` where that is the one asked, or nobody has a majority, and `tooFewAgree` where
   * fewer have the block than must. Endpoints that do not answer, or are behind, say nothing.
   */
  async requireAgreement(client: Client, { number, hash }: BlockHeader): Promise<void> {
    if (this.#endpoints.length === 1) return
    const asked = this.#endpoints.find(endpoint => endpoint.client === client)
    const heard = await Promise.all(
      this.#endpoints.map(async endpoint => ({
        endpoint,
        hash: endpoint === asked ? hash : (await this.#headerOf(endpoint, number))?.hash,
      })),
    )
    const voices = heard.filter(voice => voice.hash !== undefined)
    const agrees = (voice: { hash: Uint8Array | undefined }) =>
      voice.hash !== undefined && equalBytes(voice.hash, hash)
    const found = voices.filter(agrees).length
    if (found < voices.length) this.#judge(voices, number)
    // One that was contradicted is not believed because the other fell silent.
    const isBelieved = found * 2 > voices.length && (!this.#divided || found > 1)
    check(isBelieved, 'endpointsDisagree', 'other endpoints have another block', {
      facts: { block: number, hash: hex(hash), found, asked: voices.length },
    })
    check(found >= this.#agree, 'tooFewAgree', `${found} of ${this.#agree} endpoints agree`, {
      facts: { block: number, found, expected: this.#agree },
      next: 'see why the others do not answer, or lower chain.agree',
    })
    this.#divided = false
  }

  /**
   * Throws `endpointBehind` where another endpoint has a newer block than this one's newest. It is not
   * set aside for that: what the other says of blocks that both have is held against it still.
   */
  async requireNewest(client: Client, latest: bigint): Promise<void> {
    const others = this.#endpoints.filter(endpoint => endpoint.client !== client)
    const heads = await Promise.all(others.map(endpoint => this.#headerOf(endpoint, 'latest')))
    const newest = heads.reduce((high, head) => bigger(high, head?.number ?? 0n), latest)
    check(newest === latest, 'endpointBehind', `an endpoint stands still at block ${latest}`, {
      facts: { block: latest, newest },
    })
  }

  /** Sets those aside that contradict a majority; without one there is nobody to believe. */
  #judge(
    voices: readonly { endpoint: Endpoint; hash: Uint8Array | undefined }[],
    block: bigint,
  ): void {
    const { log } = this.#components
    const byHash = Map.groupBy(voices, voice => hex(voice.hash as Uint8Array))
    const right = [...byHash.values()].find(group => group.length * 2 > voices.length)
    if (right === undefined) {
      const hashes = voices.map(voice => `${voice.endpoint.name} ${hex(voice.hash as Uint8Array)}`)
      const text = 'the RPC endpoints contradict each other; going on without the chain'
      if (!this.#divided) log.warn({ block, hashes: hashes.join(', ') }, text)
      this.#divided = true
      return
    }
    for (const voice of voices) {
      if (right.includes(voice)) continue
      const { name } = voice.endpoint
      log.warn(
        { endpoint: name, block },
        `${name} contradicts the other endpoints; it is set aside`,
      )
      voice.endpoint.leave(ASIDE_MS)
    }
  }

  /** Of an endpoint that answers and has the block. */
  async #headerOf(
    endpoint: Endpoint,
    number: bigint | 'latest',
  ): Promise<LinkedHeader | undefined> {
    const { clock, log } = this.#components
    if (endpoint.isAway || clock.now() < (this.#silentUntil.get(endpoint) ?? 0)) return undefined
    try {
      await this.#identify(endpoint)
      return await readHeader(endpoint.client, number)
    } catch (error) {
      if (this.#stopped.signal.aborted) throw error
      this.#silentUntil.set(endpoint, clock.now() + RETURN_MS)
      log.debug({ endpoint: endpoint.name, err: error }, 'an endpoint is silent')
      return undefined
    }
  }

  async #identify(endpoint: Endpoint): Promise<void> {
    if (endpoint.checked) return
    const found = await endpoint.client.getChainId()
    const text = `${endpoint.name} is of chain ${found}, expected one of chain ${this.chainId}`
    check(found === this.chainId, 'wrongChain', text, {
      facts: { endpoint: endpoint.name, expected: this.chainId, found },
      next: 'set endpoints of that chain with chain.rpc, or correct its id where it was given',
    })
    endpoint.checked = true
  }

  #unavailable(cause: unknown): CairnError {
    const failures = this.#endpoints.map(endpoint => this.#failures.get(endpoint))
    if (isWrongChain(cause) && failures.every(isWrongChain)) return cause
    const text = this.trouble ?? 'it is no longer asked'
    return new CairnError('chainUnavailable', `the chain cannot be asked: ${text}`, {
      cause,
      facts: { endpoints: this.#endpoints.length },
      next: 'see that this machine reaches it, or set other endpoints with chain.rpc',
    })
  }
}

/** The innermost cause, by the endpoint's name: our own errors name it already. */
function failureText(name: string, error: unknown): string {
  let text = 'it failed'
  for (let at = error; at instanceof Error; at = at.cause) {
    text = (at instanceof RpcRequestError ? at.details : at.message).split('\n', 1)[0] as string
    if (at instanceof CairnError) break
  }
  return text.startsWith(name) ? text : `${name}: ${text}`
}

function isWrongChain(error: unknown): error is CairnError {
  return error instanceof CairnError && error.code === 'wrongChain'
}

function isAway(error: unknown): boolean {
  return error instanceof CairnError && error.code === 'rpcAway'
}

function isBehind(error: unknown): boolean {
  return error instanceof CairnError && error.code === 'endpointBehind'
}

function bigger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
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
