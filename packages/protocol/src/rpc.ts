/**
 * JSON-RPC of an Ethereum endpoint, as far as the network and its light clients ask it: calls and
 * their answers, none of which is believed to be well formed, and how endpoints say that they were
 * asked for too much.
 */
import { CairnError, check } from './errors.ts'
import { unhex } from './ssz.ts'

/** An endpoint's longest answer: logs of 128 epochs, each voted again a few times. */
export const RPC_ANSWER_MAX_CHARS = 4 * 1024 * 1024

const RATE_TEXT =
  /rate.?(limit|exceeded)|too many requests|requests? (count|limit)|compute units|per second/i
/** EIP-1474: limit exceeded. */
export const RPC_LIMIT_CODE = -32_005

/**
 * One JSON-RPC call of an endpoint. Rejects with `rpcRefused`, whose facts hold the error's `data`,
 * or `rateLimited` where the endpoint answers with an error, and with anything else where it does
 * not answer.
 */
export type RpcRequest = (method: string, params: readonly unknown[]) => Promise<unknown>

/** JSON-RPC over `post`, which carries a body to one endpoint and resolves with what that answers. */
export function jsonRpc(post: (body: string) => Promise<string>): RpcRequest {
  let id = 0
  return async (method, params) => {
    const text = await post(JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }))
    check(text.length <= RPC_ANSWER_MAX_CHARS, 'badRpc', 'an endpoint’s answer is too long', {
      facts: { method, most: RPC_ANSWER_MAX_CHARS, found: text.length },
    })
    const { result, error } = answerOf(text, method)
    if (error === undefined) return result
    const { code, message, data } = error
    check(!isTooOften({ code, message }, method), 'rateLimited', 'an endpoint limits the rate', {
      facts: { method },
      next: 'ask again later, or ask another endpoint',
    })
    throw new CairnError('rpcRefused', `an endpoint refuses ${method}: ${message}`, {
      facts: { method, ...(typeof data === 'string' ? { data } : {}) },
      next: 'ask another endpoint',
    })
  }
}

/** True of the error of who was asked too often. The code alone means too much of a query for logs. */
export function isTooOften(error: { code?: unknown; message?: unknown }, method: string): boolean {
  if (RATE_TEXT.test(String(error.message))) return true
  return error.code === RPC_LIMIT_CODE && method !== 'eth_getLogs'
}

/**
 * How many blocks one endpoint looks through at once. Each bounds that, or what it may find there, in
 * numbers of its own: what is too much is asked for in halves, and what it took is remembered.
 */
export class BlockSpan {
  #most: bigint | undefined
  readonly #isTooMuch: (error: unknown) => boolean

  /** `most`: blocks to begin with; absent: as many as there are. */
  constructor(isTooMuch: (error: unknown) => boolean, most?: bigint) {
    this.#isTooMuch = isTooMuch
    this.#most = most
  }

  /**
   * What `query` answers for as many of `blocks` as the endpoint takes. Rejects as it does, where
   * one block is too much as well.
   */
  async ask<T>(blocks: bigint, query: (blocks: bigint) => Promise<T>) {
    for (;;) {
      const asked = this.#most !== undefined && this.#most < blocks ? this.#most : blocks
      try {
        return { answer: await query(asked), blocks: asked }
      } catch (error) {
        if (asked <= 1n || !this.#isTooMuch(error)) throw error
        this.#most = asked / 2n
      }
    }
  }
}

export function recordOf(value: unknown): Record<string, unknown> {
  check(typeof value === 'object' && value !== null, 'badRpc', 'an endpoint sent no object')
  return value as Record<string, unknown>
}

/** Throws `badRpc` for anything but hexadecimal bytes, of that length where one is given. */
export function bytesOf(value: unknown, length?: number): Uint8Array {
  const wellFormed = typeof value === 'string' && /^0x([0-9a-fA-F]{2})*$/.test(value)
  check(wellFormed, 'badRpc', 'an endpoint sent no bytes')
  const bytes = unhex(value.slice(2).toLowerCase())
  check(
    length === undefined || bytes.length === length,
    'badRpc',
    bytes.length === 0
      ? 'no such contract answers at this address'
      : `expected ${length} bytes, found ${bytes.length}`,
    { next: 'check the contract’s address and the endpoint' },
  )
  return bytes
}

/** Throws `badRpc` for anything but a number of 64 bits. */
export function quantityOf(value: unknown): bigint {
  const wellFormed = typeof value === 'string' && /^0x[0-9a-fA-F]{1,16}$/.test(value)
  check(wellFormed, 'badRpc', 'an endpoint sent no number')
  return BigInt(value)
}

export function quantity(value: bigint): string {
  return `0x${value.toString(16)}`
}

function answerOf(text: string, method: string) {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new CairnError('badRpc', `an endpoint answers ${method} with what is no JSON`, { cause })
  }
  const { result, error } = recordOf(json)
  return { result, error: error === undefined || error === null ? undefined : recordOf(error) }
}
