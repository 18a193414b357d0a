/** Calls a running daemon's HTTP API. */
import { readFile } from 'node:fs/promises'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { hasCode, readLock } from '@cairn/node/lock'
import { CairnError, type Facts } from '@cairn/protocol'
import { z } from 'zod'

const Failure = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
    next: z.string().optional(),
  }),
})

export interface ApiClientInit {
  dataDir: string
  signal: AbortSignal
}

export interface CallOptions {
  method?: 'GET' | 'POST'
  query?: Readonly<Record<string, string | number | undefined>>
  body?: Readable
}

export class ApiClient {
  readonly #url: string
  readonly #token: string
  readonly #signal: AbortSignal

  private constructor(url: string, token: string, signal: AbortSignal) {
    this.#url = url
    this.#token = token
    this.#signal = signal
  }

  /**
   * Rejects with `notRunning` unless the directory's lock says where a daemon is: whatever else
   * listens on a port of this machine is another's.
   */
  static async connect({ dataDir, signal }: ApiClientInit): Promise<ApiClient> {
    const lock = await readLock(dataDir)
    if (lock === undefined) throw notRunning(`no daemon runs on ${dataDir}`, { dataDir })
    const { api, pid } = lock
    if (api === undefined) throw notRunning('the daemon is not ready yet', { dataDir, pid })
    const token = await readFile(api.tokenPath, 'utf8')
    return new ApiClient(api.url, token.trim(), signal)
  }

  /** The parsed body. `statuses` are taken as answers, as 503 of `/ready`. */
  async json<T>(path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.stream(path, options)
    return JSON.parse(await text(response)) as T
  }

  /** The answer as a stream. Rejects with the daemon's own error, under its code. */
  async stream(path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const response = await this.#send(path, options)
    if (response.statusCode !== undefined && response.statusCode < 400) return response
    throw failureOf(await text(response), response.statusCode)
  }

  async #send(path: string, { method = 'GET', query = {}, body }: CallOptions) {
    const url = new URL(path, this.#url)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` }
    if (body !== undefined) headers['content-type'] = 'application/octet-stream'
    return await exchange(url, { method, headers, signal: this.#signal }, body)
  }
}

async function exchange(
  url: URL,
  options: RequestOptions,
  body: Readable | undefined,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const outgoing = request(url, options, resolve)
  outgoing.on('error', error => reject(unreachable(error, url)))
  if (body === undefined) outgoing.end()
  else {
    // When the daemon answers before it has read everything, its answer says more than the pipe.
    pipeline(body, outgoing).catch((error: unknown) => reject(unreachable(error, url)))
  }
  return await promise
}

function unreachable(error: unknown, url: URL): unknown {
  if (hasCode(error, 'ECONNRESET')) {
    return new CairnError('connectionLost', 'the daemon ended the connection before it answered', {
      facts: { url: url.origin },
      next: 'see with `cairn status` whether it still runs, and run the command again',
      cause: error,
    })
  }
  if (!hasCode(error, 'ECONNREFUSED')) return error
  return notRunning('no daemon answers', { url: url.origin }, error)
}

function notRunning(text: string, facts: Facts, cause?: unknown): CairnError {
  return new CairnError('notRunning', text, {
    facts,
    cause,
    next: 'this command asks the running daemon: start it with `cairn start`, or name its directory with --data-dir',
  })
}

function failureOf(body: string, status: number | undefined): CairnError {
  const { code, message, facts, next } = Failure.parse(JSON.parse(body)).error
  return new CairnError(code, message, {
    facts: { ...facts, status },
    ...(next === undefined ? {} : { next }),
  })
}
