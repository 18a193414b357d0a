/** An endpoint of a chain over HTTP, as `ledger verify` asks it: no more of an answer is read than is looked at. */
import { setTimeout as after } from 'node:timers/promises'
import { CairnError, check, jsonRpc, RPC_ANSWER_MAX_CHARS, type RpcRequest } from '@cairn/protocol'

/** An endpoint that has not answered by then does not, ms. */
const TIMEOUT_MS = 20_000
/** Before what an endpoint was asked too soon is asked again: half a minute in all, ms. */
const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 16_000]

/** Rejects with `chainUnavailable` where it does not answer, and where it limits the rate for longer than half a minute. */
export function rpcEndpoint(url: string, stop: AbortSignal): RpcRequest {
  const request = jsonRpc(async body => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT_MS)])
    const headers = { 'content-type': 'application/json' }
    try {
      const response = await fetch(url, { method: 'POST', headers, body, signal })
      check(response.status !== 429, 'rateLimited', 'an endpoint limits the rate')
      return await textOf(response)
    } catch (cause) {
      if (stop.aborted || cause instanceof CairnError) throw cause
      throw unanswered(cause, nameOf(url))
    }
  })
  return async (method, params) => {
    for (const wait of WAITS_MS) {
      try {
        return await request(method, params)
      } catch (error) {
        if (!isTooOften(error)) throw error
        await after(wait, undefined, { signal: stop }).catch(() => stop.throwIfAborted())
      }
    }
    return await request(method, params).catch((error: unknown) => {
      throw isTooOften(error) ? unanswered(error, nameOf(url)) : error
    })
  }
}

/** `asked`: an endpoint by scheme and host alone, since keys stand in paths; or a contract. */
export function unanswered(cause: unknown, asked: string): CairnError {
  const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
  return new CairnError('chainUnavailable', `the chain did not answer, ${asked}: ${why}`, {
    facts: { asked },
    cause,
    next: 'check --rpc and --contract',
  })
}

function isTooOften(error: unknown): boolean {
  return error instanceof CairnError && error.code === 'rateLimited'
}

function nameOf(url: string): string {
  return `endpoint ${new URL(url).origin}`
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    check(text.length <= RPC_ANSWER_MAX_CHARS, 'badRpc', 'an endpoint’s answer is too long')
  }
  return text + decoder.decode()
}
