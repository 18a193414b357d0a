/**
 * One JSON-RPC endpoint, taken as it is: it may be slow, limit what it is asked, answer nonsense or
 * without end, or send its caller elsewhere. Calls of one moment go out together, matched to their
 * answers by id. Nothing of its URL but scheme and host is ever told: paths and credentials are keys.
 */
import { CairnError, check, isTooOften, RPC_LIMIT_CODE } from '@cairn/protocol'
import { createPublicClient, custom, type PublicClient, RpcRequestError } from 'viem'
import { deadline } from '../clock.ts'
import type { Clock } from '../ports.ts'

/** Time for the whole of an answer: a block's logs over a slow line, ms. */
const TIMEOUT_MS = 10_000
/** Calls in one HTTP request: what public endpoints commonly allow. */
const BATCH_MAX = 100
/** Of one HTTP answer: a hundred full blocks' headers, or the logs of some thousand registrations. */
const ANSWER_MAX_BYTES = 32 * 1024 * 1024
/** Calls that wait to be sent or answered: many times what the follower asks at once. */
const CALLS_MAX = 4_096
/** Rest of an endpoint that limits the rate and says not for how long, and the longest it may say, ms. */
const REST_MS = 1_000
const REST_MAX_MS = 300_000

/** How endpoints say that a query spans too much or finds too much. */
const RANGE_TEXT =
  /block range|range (is )?too (large|wide)|query (returned|exceeds)|too many (results|logs|blocks)|response (size|is too)|limited to a|max(imum)? results/i
/** How Nethermind and OpenEthereum say that a call failed in the EVM; others say 3 of a revert. */
const VM_FAILED = -32_015
const REVERTED = 3

export type Client = PublicClient

export interface EndpointComponents {
  clock: Clock
  /** Counts calls by method and outcome. */
  count?: (method: string, outcome: 'answered' | 'refused' | 'failed') => void
}

export interface EndpointInit {
  url: string
  /** Ends all that is under way. */
  signal: AbortSignal
  /** For the whole of an answer, ms; absent: `TIMEOUT_MS`. */
  timeoutMs?: number
  /** Of one answer; absent: `ANSWER_MAX_BYTES`. */
  answerMaxBytes?: number
  /** Calls in a second; absent: as many as there are. */
  callsPerSecond?: number
}

interface Call {
  id: number
  method: string
  params: unknown
  resolve(result: unknown): void
  reject(error: unknown): void
}

interface RpcError {
  code: number
  message: string
  data?: unknown
}

type Answer = { result: unknown } | { error: RpcError } | { limited: CairnError }

export class Endpoint {
  /** Scheme and host. */
  readonly name: string
  readonly client: Client
  /** It said that it serves the right chain. */
  checked = false
  readonly #components: EndpointComponents
  readonly #init: EndpointInit
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  #batchMax = BATCH_MAX
  #queue: Call[] = []
  #pending = 0
  #nextId = 1
  /** When the next call may go out. */
  #freeAt = 0
  #awayUntil = 0

  constructor(components: EndpointComponents, init: EndpointInit) {
    this.#components = components
    this.#init = init
    const url = new URL(init.url)
    this.name = `${url.protocol}//${url.host}`
    const { username, password } = url
    url.username = ''
    url.password = ''
    this.#url = url.href
    this.#headers = {
      'content-type': 'application/json',
      ...(username !== '' && { authorization: basic(username, password) }),
    }
    this.client = createPublicClient({
      transport: custom({ request: call => this.#request(call) }, { retryCount: 0 }),
      cacheTime: 0,
    })
  }

  /** It is not to be asked at present: it limits the rate, failed just now, or was set aside. */
  get isAway(): boolean {
    return this.#components.clock.now() < this.#awayUntil
  }

  /** Is not asked for so long, ms. */
  leave(ms: number): void {
    this.#awayUntil = Math.max(this.#awayUntil, this.#components.clock.now() + ms)
  }

  #request({ method, params }: { method: string; params?: unknown }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#pending >= CALLS_MAX) {
        reject(this.#failure('queueFull', `${CALLS_MAX} calls wait already`))
        return
      }
      const { clock } = this.#components
      if (this.#queue.length === 0) clock.at(clock.now(), () => this.#flush())
      this.#pending++
      this.#queue.push({ id: this.#nextId++, method, params: params ?? [], resolve, reject })
    })
  }

  #flush(): void {
    const calls = this.#queue
    this.#queue = []
    const { callsPerSecond = Number.POSITIVE_INFINITY } = this.#init
    const size = Math.max(1, Math.min(this.#batchMax, callsPerSecond))
    for (let at = 0; at < calls.length; at += size) void this.#send(calls.slice(at, at + size))
  }

  /** Settles every call of a batch. */
  async #send(calls: readonly Call[]): Promise<void> {
    const outcome = (call: Call, name: 'answered' | 'refused' | 'failed') => {
      this.#pending--
      this.#components.count?.(call.method, name)
    }
    let answers: Map<number, Answer> | 'smaller'
    try {
      await this.#turn(calls.length)
      answers = await this.#post(calls)
    } catch (error) {
      for (const call of calls) {
        outcome(call, 'failed')
        call.reject(error)
      }
      return
    }
    if (answers === 'smaller') {
      const half = Math.ceil(calls.length / 2)
      await Promise.all([this.#send(calls.slice(0, half)), this.#send(calls.slice(half))])
      return
    }
    for (const call of calls) {
      const answer = answers.get(call.id)
      if (answer === undefined) {
        outcome(call, 'failed')
        call.reject(this.#failure('badRpc', `leaves a call of ${call.method} without an answer`))
      } else if ('limited' in answer) {
        outcome(call, 'failed')
        call.reject(answer.limited)
      } else if ('error' in answer) {
        outcome(call, 'refused')
        call.reject(this.#refusal(call, answer.error))
      } else {
        outcome(call, 'answered')
        call.resolve(answer.result)
      }
    }
  }

  /** Waits until so many calls may go out. */
  async #turn(calls: number): Promise<void> {
    const { clock } = this.#components
    const { callsPerSecond, signal } = this.#init
    if (callsPerSecond === undefined) return
    const at = Math.max(clock.now(), this.#freeAt)
    this.#freeAt = at + (calls * 1_000) / callsPerSecond
    if (at > clock.now()) await clock.until(at, signal)
  }

  /** Answers by id; `smaller`: the endpoint takes fewer calls at once. */
  async #post(calls: readonly Call[]) {
    const asked = calls.map(({ id, method, params }) => ({ jsonrpc: '2.0', id, method, params }))
    const [only] = asked
    const { status, headers, text } = await this.#fetch(
      JSON.stringify(asked.length === 1 ? only : asked),
    )
    if (status === 429) throw this.#tooOften(headers.get('retry-after'))
    const isSuccess = status >= 200 && status < 300
    let body: unknown
    try {
      body = JSON.parse(text)
    } catch {
      const what = isSuccess ? 'sends what is no JSON' : `answers with status ${status}`
      throw this.#failure('badRpc', what)
    }
    const items = Array.isArray(body) ? body : [body]
    const answers = new Map<number, Answer>()
    let limited: CairnError | undefined
    for (const item of items) {
      const answer = answerOf(item)
      if (answer === undefined) continue
      const { id } = item as { id?: unknown }
      const method = calls.find(call => call.id === id || !Array.isArray(body))?.method ?? ''
      if ('error' in answer && isTooOften(answer.error, method)) {
        limited = this.#tooOften(null)
        // Others of the batch may be answered, and one of them be a transaction that was taken.
        if (Array.isArray(body) && typeof id === 'number') answers.set(id, { limited })
        continue
      }
      if (typeof id === 'number') answers.set(id, answer)
      if (Array.isArray(body) || !('error' in answer)) continue
      // One error for all.
      if (calls.length > 1 && /batch/i.test(answer.error.message)) {
        this.#batchMax = Math.ceil(calls.length / 2)
        return 'smaller' as const
      }
      for (const call of calls) answers.set(call.id, answer)
    }
    if (limited !== undefined && answers.size === 0) throw limited
    check(answers.size > 0, 'badRpc', `${this.name} answers with status ${status} and nothing else`)
    return answers
  }

  async #fetch(body: string): Promise<{ status: number; headers: Headers; text: string }> {
    const { clock } = this.#components
    const { signal, timeoutMs = TIMEOUT_MS } = this.#init
    const limit = deadline(clock, clock.now() + timeoutMs, signal)
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: this.#headers,
        body,
        // Elsewhere would learn the key, and is no endpoint that the operator chose.
        redirect: 'error',
        signal: limit.signal,
      })
      const { status, headers } = response
      return { status, headers, text: await this.#read(response) }
    } catch (error) {
      if (error instanceof CairnError) throw error
      if (signal.aborted) throw this.#failure('rpcFailed', 'is no longer asked')
      if (error instanceof Error && error.name === 'TimeoutError') {
        throw this.#failure('rpcFailed', `gave no whole answer within ${timeoutMs} ms`)
      }
      throw this.#failure('rpcFailed', `cannot be reached: ${reasonOf(error)}`)
    } finally {
      limit.clear()
    }
  }

  async #read({ body }: Response): Promise<string> {
    const max = this.#init.answerMaxBytes ?? ANSWER_MAX_BYTES
    const decoder = new TextDecoder()
    let text = ''
    let bytes = 0
    for await (const chunk of body ?? []) {
      bytes += chunk.length
      if (bytes > max) throw this.#failure('rpcTooLarge', `answers with more than ${max} bytes`)
      text += decoder.decode(chunk, { stream: true })
    }
    return text + decoder.decode()
  }

  #tooOften(retryAfter: string | null): CairnError {
    const now = this.#components.clock.now()
    const seconds = Number(retryAfter ?? Number.NaN)
    const asked = Number.isNaN(seconds) ? Date.parse(retryAfter ?? '') - now : seconds * 1_000
    const rest = Number.isNaN(asked) ? REST_MS : Math.min(Math.max(asked, REST_MS), REST_MAX_MS)
    this.leave(rest)
    return this.#failure('rateLimited', `limits the rate, and is asked again in ${rest} ms`)
  }

  #refusal({ method }: Call, error: RpcError): RpcRequestError {
    return new RpcRequestError({ body: { method }, error: inCommonWords(error), url: this.name })
  }

  #failure(code: string, what: string): CairnError {
    return new CairnError(code, `${this.name} ${what}`, { facts: { endpoint: this.name } })
  }
}

/** True of a refusal to find so much, or to look through so many blocks. */
export function isTooMuch(error: unknown): boolean {
  if (error instanceof CairnError) return error.code === 'rpcTooLarge'
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof RpcRequestError)
      return at.code === RPC_LIMIT_CODE || RANGE_TEXT.test(at.details)
  }
  return false
}

function answerOf(item: unknown): { result: unknown } | { error: RpcError } | undefined {
  if (typeof item !== 'object' || item === null) return undefined
  const { error, result } = item as { error?: unknown; result?: unknown }
  if (error === undefined || error === null) return 'result' in item ? { result } : undefined
  const { code, message, data } = error as Partial<RpcError>
  if (typeof code !== 'number' || typeof message !== 'string') return undefined
  return { error: { code, message, data } }
}

/** A revert has one code whatever the node, and its data is bytes. */
function inCommonWords(error: RpcError): RpcError {
  if (error.code !== VM_FAILED) return error
  const [data] = /0x[0-9a-f]*$/i.exec(String(error.data ?? '')) ?? []
  const isRevert = data !== undefined || /revert/i.test(error.message)
  return isRevert ? { ...error, code: REVERTED, data } : error
}

function basic(username: string, password: string): string {
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(text).toString('base64')}`
}

/** Of what `fetch` throws: the name of the trouble beneath, which holds no address of ours. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { cause } = error
  if (!(cause instanceof Error)) return error.name
  return (cause as { code?: string }).code ?? cause.message
}
