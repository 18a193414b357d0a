/**
 * How the commands `testnet status`, `fault` and `down` reach a running testnet: one small HTTP
 * server on loopback with a bearer token, and the client of it.
 */

import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { apiToken, carriesToken, ErrorShape, errorAnswer } from '@cairn/node'
import { CairnError } from '@cairn/protocol'
import { z } from 'zod'
import { Violation } from './monitor.ts'
import { readTestnetFile } from './testnet-file.ts'

export const FAULTS = ['stop', 'start', 'partition', 'heal', 'rpc-down', 'rpc-up'] as const
export type Fault = (typeof FAULTS)[number]

const FaultRequest = z.strictObject({
  fault: z.enum(FAULTS),
  /** Names of nodes, as `testnet.json` lists them. */
  nodes: z.array(z.string().max(64)).max(256),
})

/** A request's body is a short list of names. */
const BODY_MAX_BYTES = 64 * 1024

const MemberStatus = z.object({
  name: z.string(),
  running: z.boolean(),
  /** Whether its way to the chain is open. */
  rpc: z.boolean(),
  /** These two while it runs. */
  peers: z.number().optional(),
  /** Last epoch of which it holds the accepted checkpoint. */
  accepted: z.number().optional(),
})
export type MemberStatus = z.infer<typeof MemberStatus>

export const TestnetStatus = z.object({
  /** Network id, hex. */
  network: z.string(),
  /** Seconds since 1970. */
  genesis: z.number(),
  nodes: z.array(MemberStatus),
  violations: z.array(Violation),
})
export type TestnetStatus = z.infer<typeof TestnetStatus>

export interface ControlTarget {
  fault(fault: Fault, nodes: readonly string[]): Promise<object>
  status(): Promise<TestnetStatus>
  /** Begins to stop; returns at once. */
  down(): void
}

export class ControlServer {
  readonly #target: ControlTarget
  readonly #token: string
  #server: Server | undefined

  constructor({ target }: { target: ControlTarget }, { token }: { token: string }) {
    this.#target = target
    this.#token = token
  }

  /** Listens on a free loopback port; resolves with the base URL. */
  async listen(): Promise<string> {
    const server = createServer((request, response) => {
      this.#answer(request).then(
        body => send(response, 200, body),
        (error: unknown) => {
          const { status, body } = errorAnswer(error)
          send(response, status, body)
        },
      )
    })
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: '127.0.0.1', port: 0 }, resolve)
    })
    const address = server.address()
    if (address === null || typeof address === 'string') {
      throw new CairnError('noPort', 'the control server has no port')
    }
    return `http://127.0.0.1:${address.port}`
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => resolve()))
  }

  async #answer(request: IncomingMessage): Promise<object> {
    if (!carriesToken(request.headers.authorization, this.#token)) {
      throw new CairnError('unauthorized', 'the request lacks the token of the testnet', {
        next: 'send the content of the file at control.tokenPath as a bearer token',
      })
    }
    const route = `${request.method} ${request.url}`
    if (route === 'GET /status') return await this.#target.status()
    if (route === 'POST /down') {
      this.#target.down()
      return { stopping: true }
    }
    if (route === 'POST /fault') {
      const parsed = FaultRequest.safeParse(await jsonBody(request))
      if (!parsed.success) {
        throw new CairnError('badRequest', z.prettifyError(parsed.error))
      }
      return await this.#target.fault(parsed.data.fault, parsed.data.nodes)
    }
    throw new CairnError('notFound', `the testnet has no ${route}`)
  }
}

/** Asks the testnet that runs from `dataDir`. Throws `noTestnet`, or the code it answers with. */
export async function askTestnet(
  dataDir: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const { control, pid } = await readTestnetFile(dataDir)
  const token = (await readFile(control.tokenPath, 'utf8')).trim()
  let response: Response
  try {
    response = await fetch(`${control.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch (cause) {
    throw new CairnError('noTestnet', `the testnet in ${dataDir} does not answer`, {
      cause,
      facts: { pid, url: control.url },
      next: 'it was ended without cleaning up; start it again with `cairn testnet up`',
    })
  }
  const answer = (await response.json()) as Record<string, unknown>
  if (response.ok) return answer
  const { code, message, facts, next } = ErrorShape.parse(answer).error
  throw new CairnError(code, message, next === undefined ? { facts } : { facts, next })
}

/** Makes the token's file, mode 0600. */
export async function controlToken(path: string): Promise<string> {
  return await apiToken(path)
}

async function jsonBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_MAX_BYTES) throw new CairnError('tooLarge', 'the request is too long')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new CairnError('badRequest', 'the body is not JSON')
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
