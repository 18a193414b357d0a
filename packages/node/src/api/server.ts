/**
 * The HTTP API on the loopback. Any program on the machine reaches it, and so does any web page in
 * its browser: hence the token, the check of the host header (DNS rebinding) and no CORS.
 */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { CairnError, check } from '@cairn/protocol'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { issuesOf, issuesText } from '../issues.ts'
import type { Metrics } from '../metrics.ts'
import { Rate } from '../network/rate.ts'
import type { Clock, Log } from '../ports.ts'
import { AS_DESCRIBED, errorAnswer } from './errors.ts'
import { toJson } from './json.ts'
import * as limits from './limits.ts'
import type { NodeView } from './node-view.ts'
import { openApiDocument } from './openapi.ts'
import { ROUTES, type Route, STREAM_ROUTES, StreamQuery, type StreamRoute } from './routes.ts'
import { eventStream, linesOf, packOf, primed, uploadOf } from './streams.ts'
import { carriesToken } from './token.ts'

export interface ApiComponents {
  view: NodeView
  clock: Clock
  log: Log
  metrics: Pick<Metrics, 'count' | 'observe'>
}

export interface ApiInit {
  /** 0: any free one. */
  port: number
  token: string
  /** For tests of the bounds; ms. */
  bodyTimeoutMs?: number
  streamIdleMs?: number
}

export interface Api {
  /** `http://127.0.0.1:port`. */
  readonly url: string
  readonly port: number
  /** Closes every connection, streams too. */
  stop(): Promise<void>
}

const HOST = '127.0.0.1'
/** Names that a browser or a person may call this machine. */
const HOST_NAMES = new Set([HOST, 'localhost', '[::1]'])

/** Listens before it resolves. Throws `apiPortTaken`. */
export async function startApi(components: ApiComponents, init: ApiInit): Promise<Api> {
  const server = new ApiServer(components, init)
  return await server.start()
}

class ApiServer implements Api {
  readonly #components: ApiComponents
  readonly #init: Required<ApiInit>
  readonly #app: FastifyInstance
  readonly #authorized: Rate
  readonly #anonymous: Rate
  /** Ends of open event streams. */
  readonly #events = new Set<() => void>()
  readonly #stopping = new AbortController()
  #contents = 0
  #requests = 0
  port = 0

  constructor(components: ApiComponents, init: ApiInit) {
    const { clock } = components
    this.#components = components
    this.#init = {
      bodyTimeoutMs: limits.BODY_TIMEOUT_MS,
      streamIdleMs: limits.STREAM_IDLE_MS,
      ...init,
    }
    this.#authorized = new Rate({ clock }, { perSecond: limits.AUTHORIZED_PER_SECOND })
    this.#anonymous = new Rate({ clock }, { perSecond: limits.ANONYMOUS_PER_SECOND })
    this.#app = Fastify({
      bodyLimit: limits.BODY_MAX_BYTES,
      exposeHeadRoutes: false,
      forceCloseConnections: true,
      genReqId: () => `r${++this.#requests}`,
      routerOptions: { maxParamLength: limits.URL_MAX_CHARS },
      http: {
        headersTimeout: limits.HEAD_TIMEOUT_MS,
        connectionsCheckingInterval: 1_000,
        maxHeaderSize: limits.URL_MAX_CHARS * 2,
      },
      // An upload takes as long as its bytes keep coming; other bodies have a deadline below.
      requestTimeout: 0,
      clientErrorHandler: answerBadHttp,
      frameworkErrors: (error, request, reply) => this.#sendError(error, request, reply),
    })
    this.#app.server.maxConnections = limits.CONNECTIONS_MAX
    this.#hooks()
    this.#routes()
  }

  get url(): string {
    return `http://${HOST}:${this.port}`
  }

  async start(): Promise<Api> {
    const { port } = this.#init
    try {
      await this.#app.listen({ host: HOST, port })
    } catch (cause) {
      throw new CairnError('apiPortTaken', `cannot listen on ${HOST}:${port}`, {
        facts: { port },
        cause,
        next: 'stop what listens there, or set another api.port',
      })
    }
    const address = this.#app.server.address()
    check(address !== null && typeof address === 'object', 'apiPortTaken', 'the API has no port')
    this.port = address.port
    return this
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const end of this.#events) end()
    await this.#app.close()
  }

  #hooks(): void {
    const app = this.#app
    const { metrics, clock } = this.#components
    const began = new WeakMap<FastifyRequest, number>()
    app.addHook('onRequest', async (request, reply) => {
      began.set(request, clock.now())
      reply.header('x-request-id', request.id)
      reply.header('cache-control', 'no-store')
      reply.header('x-content-type-options', 'nosniff')
      this.#checkHost(request.headers.host)
      this.#admit(request)
    })
    app.addHook('preParsing', async (request, _, payload) => {
      // A request without a body is not read, and so does not end before its answer is on its way.
      if (this.#streams(request) || !hasBody(request)) return payload
      const { bodyTimeoutMs } = this.#init
      const timer = clock.at(clock.now() + bodyTimeoutMs, () => request.raw.destroy())
      request.raw.once('end', () => timer.cancel())
      request.raw.once('close', () => timer.cancel())
      return payload
    })
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'none'
      metrics.count('api_requests_total', { route, status: reply.statusCode })
      const start = began.get(request)
      if (start === undefined || this.#streams(request)) return
      metrics.observe('api_seconds', (clock.now() - start) / 1_000, { route })
    })
    app.setErrorHandler((error, request, reply) => this.#sendError(error, request, reply))
    app.setNotFoundHandler((request, reply) => {
      const error = new CairnError('notFound', 'no such route', {
        facts: { method: request.method, path: request.url.slice(0, 256) },
        next: AS_DESCRIBED,
      })
      return this.#sendError(error, request, reply)
    })
  }

  #routes(): void {
    for (const route of ROUTES) {
      this.#app.route({
        method: route.method,
        url: fastifyPath(route),
        config: { open: route.open === true, stream: false },
        handler: async (request, reply) => {
          const input = {
            params: parse(route.params, request.params),
            query: parse(route.query, request.query),
          }
          const { status, body } = await route.answer(this.#components.view, input)
          return await reply.code(status ?? 200).send(body)
        },
      })
    }
    // In a scope of its own, since its body is handed on as it comes, whatever its type.
    this.#app.register(async scope => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
      for (const route of STREAM_ROUTES) {
        scope.route({
          method: route.method,
          url: fastifyPath(route),
          config: { open: route.open === true, stream: true },
          handler: async (request, reply) => await this.#stream(route, request, reply),
        })
      }
    })
  }

  async #stream(route: StreamRoute, request: FastifyRequest, reply: FastifyReply) {
    const { view } = this.#components
    reply.type(route.content)
    switch (route.stream) {
      case 'put':
        return await this.#put(request, reply)
      case 'pack':
        return await this.#pack(request, reply)
      case 'get':
        return await this.#get(request, reply)
      case 'packets':
        return await this.#packets(request, reply)
      case 'events':
        return this.#eventStream(request, reply)
      case 'metrics':
        return await reply.send(await view.metrics())
      case 'openapi':
        return await reply.send(openApiDocument())
    }
  }

  async #put(request: FastifyRequest, reply: FastifyReply) {
    const { name, ...query } = parse(StreamQuery.put, request.query)
    const body = this.#upload(request, reply)
    return await this.#content(request, async signal => {
      const options = { ...shapeOf(query), signal }
      const { files, ...rest } = await this.#components.view.put([{ name, bytes: body }], options)
      return await reply.type('application/json').send(toJson({ link: files[0]?.link, ...rest }))
    })
  }

  async #pack(request: FastifyRequest, reply: FastifyReply) {
    const query = parse(StreamQuery.pack, request.query)
    const body = this.#upload(request, reply)
    return await this.#content(request, async signal => {
      const options = { ...shapeOf(query), signal }
      const stored = await this.#components.view.put(packOf(body), options)
      return await reply.type('application/json').send(toJson(stored))
    })
  }

  #upload(request: FastifyRequest, reply: FastifyReply): AsyncIterable<Uint8Array> {
    check(request.body instanceof Readable, 'badRequest', 'expected the data as the body', {
      next: 'send the bytes with content-type application/octet-stream',
    })
    // What follows an upload that was not read to its end is not a request.
    reply.header('connection', 'close')
    return uploadOf(request.body, {
      clock: this.#components.clock,
      idleMs: this.#init.streamIdleMs,
      maxBytes: limits.UPLOAD_MAX_BYTES,
    })
  }

  async #get(request: FastifyRequest, reply: FastifyReply) {
    const { link, first, last } = parse(StreamQuery.get, request.query)
    const { streamIdleMs } = this.#init
    return await this.#content(request, async signal => {
      const range = {
        ...(first === undefined ? {} : { first }),
        ...(last === undefined ? {} : { end: last + 1 }),
      }
      const content = await this.#components.view.get(link, range, signal)
      const readable = Readable.from(await primed(content.stream), { objectMode: false })
      request.raw.socket.setTimeout(streamIdleMs, () => request.raw.socket.destroy())
      reply.raw.once('finish', () => request.raw.socket.setTimeout(0))
      const { name, bytes, first: from, end } = content
      reply.header('content-length', end - from)
      reply.header('content-disposition', `attachment; filename*=UTF-8''${quoted(name)}`)
      if (first !== undefined || last !== undefined) {
        reply.code(206)
        // HTTP has no way to say that a range is empty.
        if (end > from) reply.header('content-range', `bytes ${from}-${end - 1}/${bytes}`)
      }
      await reply.send(readable)
      return reply
    })
  }

  async #packets(request: FastifyRequest, reply: FastifyReply) {
    const query = parse(StreamQuery.packets, request.query)
    const { addresses = [], joins, perSecond, gateways } = query
    const most = perSecond === undefined ? {} : { perSecond }
    const order = { gateways, addresses, joins: joins === 'true', ...most }
    return await this.#content(request, async signal => {
      const lines = await primed(linesOf(this.#components.view.packets(order, signal)))
      await reply.send(Readable.from(lines, { objectMode: false }))
      return reply
    })
  }

  /** Counts a content stream for as long as its connection lives. */
  async #content<T>(request: FastifyRequest, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    check(
      this.#contents < limits.CONTENT_STREAMS_MAX,
      'tooManyStreams',
      `at most ${limits.CONTENT_STREAMS_MAX} transfers run at once`,
      { next: 'try again when one has ended' },
    )
    const gone = new AbortController()
    const { socket } = request.raw
    const abort = () => gone.abort(new CairnError('badRequest', 'the client went away'))
    socket.once('close', abort)
    this.#contents++
    try {
      return await run(AbortSignal.any([gone.signal, this.#stopping.signal]))
    } finally {
      this.#contents--
      socket.off('close', abort)
    }
  }

  #eventStream(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    check(
      this.#events.size < limits.EVENT_STREAMS_MAX,
      'tooManyStreams',
      `at most ${limits.EVENT_STREAMS_MAX} event streams are open at once`,
    )
    const { clock, view } = this.#components
    reply.hijack()
    const end = eventStream({
      clock,
      subscribe: listener => view.subscribe(listener),
      request: request.raw,
      response: reply.raw,
    })
    this.#events.add(end)
    request.raw.once('close', () => this.#events.delete(end))
    return reply
  }

  #checkHost(host: string | undefined): void {
    const [, name, port] = host?.match(/^(\[[0-9a-f:]+\]|[^:]+)(?::([0-9]+))?$/i) ?? []
    const ours =
      name !== undefined &&
      HOST_NAMES.has(name.toLowerCase()) &&
      (port === undefined || Number(port) === this.port)
    check(ours, 'badHost', 'the host header names another machine', {
      next: `call this API as http://${HOST}:${this.port}`,
    })
  }

  #admit(request: FastifyRequest): void {
    const authorized = carriesToken(request.headers.authorization, this.#init.token)
    const rate = authorized ? this.#authorized : this.#anonymous
    check(rate.take(), 'rateLimited', 'too many requests', { next: 'wait a second' })
    const { config } = request.routeOptions
    if (authorized || (config as { open?: boolean }).open === true) return
    throw new CairnError('unauthorized', 'expected the API token', {
      next: 'send `Authorization: Bearer` with the content of the token file',
    })
  }

  #streams(request: FastifyRequest): boolean {
    return (request.routeOptions.config as { stream?: boolean }).stream === true
  }

  #sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { status, body } = errorAnswer(error)
    const { log } = this.#components
    if (status === 500) log.error({ err: error, request: request.id }, 'the API failed to answer')
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    if (status === 429) reply.header('retry-after', 1)
    // The rest of a refused body is not read.
    if (status === 413 || status === 408) reply.header('connection', 'close')
    return reply.code(status).type('application/json').send(body)
  }
}

/** For what the parser refuses there is no request yet: the answer is written by hand. */
function answerBadHttp(error: { code: string }, socket: Socket): void {
  if (socket.destroyed || !socket.writable) return
  const timeout = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const coded = timeout
    ? new CairnError('requestTimeout', 'the request did not come in time')
    : new CairnError('badRequest', 'expected HTTP/1.1', { facts: { code: error.code } })
  const { status, body } = errorAnswer(coded)
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`)
}

/** Throws `badRequest` for one of the two without the other. */
function shapeOf({ data, total }: { data?: number | undefined; total?: number | undefined }) {
  if (data === undefined && total === undefined) return {}
  check(data !== undefined && total !== undefined, 'badRequest', 'data and total go together', {
    next: 'name both, as in data=10&total=30, or neither',
  })
  return { shape: { data, total } }
}

/** As RFC 5987 wants it; a lone surrogate has no UTF-8. */
function quoted(name: string): string {
  return encodeURIComponent(name.toWellFormed())
}

function fastifyPath({ path }: Route | StreamRoute): string {
  return path.replace(/\{(\w+)\}/g, ':$1')
}

function hasBody({ headers }: FastifyRequest): boolean {
  const length = headers['content-length'] ?? '0'
  return length !== '0' || headers['transfer-encoding'] !== undefined
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [first] = issuesOf(result.error)
  throw new CairnError('badRequest', issuesText(result.error), {
    facts: { parameter: first?.path },
    next: AS_DESCRIBED,
  })
}
