/** What goes through the API without being held in memory: uploads, downloads and events. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { CairnError, check, concatBytes, ENTRIES_MAX, NAME_MAX_BYTES } from '@cairn/protocol'
import { z } from 'zod'
import { issuesText } from '../issues.ts'
import type { Clock, Timer } from '../ports.ts'
import { AS_DESCRIBED } from './errors.ts'
import { toJson } from './json.ts'
import {
  EVENT_BACKLOG_MAX_BYTES,
  EVENT_HEARTBEAT_MS,
  PACK_HEAD_MAX_BYTES,
  UPLOAD_MAX_BYTES,
} from './limits.ts'
import type { NodeEvent, PutFile } from './node-view.ts'

const LINE_FEED = 10

export interface FlowInit {
  clock: Clock
  /** Nothing for so long ends it with `requestTimeout`, ms. */
  idleMs: number
  /** More ends it with `tooLarge`. */
  maxBytes: number
}

/** An upload's bytes as fast as they are taken, within its bounds. */
export async function* uploadOf(
  body: AsyncIterable<Uint8Array>,
  { clock, idleMs, maxBytes }: FlowInit,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  let bytes = 0
  for (;;) {
    const next = await within(clock, idleMs, chunks.next())
    if (next.done) return
    bytes += next.value.length
    if (bytes > maxBytes) {
      throw new CairnError('tooLarge', `expected at most ${maxBytes} bytes`, {
        facts: { max: maxBytes },
        next: 'put the data in parts',
      })
    }
    yield next.value
  }
}

const PackHead = z
  .array(
    z.strictObject({
      name: z.string().max(NAME_MAX_BYTES),
      bytes: z.int().min(0).max(UPLOAD_MAX_BYTES),
    }),
  )
  .min(1)
  .max(ENTRIES_MAX)

/**
 * Several files in one body: a line of JSON, `[{"name","bytes"},...]`, then their bytes behind each
 * other. Each file is to be read to its end before the next one. Throws `badRequest`.
 */
export async function* packOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<PutFile> {
  const rest = new Rest(body)
  try {
    for (const { name, bytes } of headOf(await rest.line(PACK_HEAD_MAX_BYTES))) {
      yield { name, bytes: rest.take(bytes) }
    }
    const more = await rest.next(1)
    check(more === undefined, 'badRequest', 'there are more bytes than the files have')
  } finally {
    await rest.close()
  }
}

function headOf(line: Uint8Array): z.output<typeof PackHead> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(line))
  } catch (cause) {
    throw new CairnError('badRequest', 'expected a line of JSON that lists the files', { cause })
  }
  const result = PackHead.safeParse(value)
  if (result.success) return result.data
  throw new CairnError('badRequest', issuesText(result.error), { next: AS_DESCRIBED })
}

/** What a stream gave last and nobody took yet. */
class Rest {
  readonly #chunks: AsyncIterator<Uint8Array>
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]()
  }

  /** Up to so many of the next bytes; undefined at the end. */
  async next(atMost: number): Promise<Uint8Array | undefined> {
    while (this.#bytes.length === 0) {
      const { done, value } = await this.#chunks.next()
      if (done === true) return undefined
      this.#bytes = value
    }
    const part = this.#bytes.subarray(0, atMost)
    this.#bytes = this.#bytes.subarray(part.length)
    return part
  }

  /** The bytes up to the next line feed. */
  async line(maxBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let length = 0
    for (;;) {
      const part = await this.next(maxBytes)
      if (part === undefined) throw new CairnError('badRequest', 'the list of files has no end')
      const end = part.indexOf(LINE_FEED)
      const taken = end === -1 ? part : part.subarray(0, end)
      length += taken.length
      check(length <= maxBytes, 'badRequest', `the list of files is longer than ${maxBytes} bytes`)
      parts.push(taken)
      if (end === -1) continue
      this.#bytes = concatBytes([part.subarray(end + 1), this.#bytes])
      return concatBytes(parts)
    }
  }

  async *take(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0; ) {
      const part = await this.next(left)
      if (part === undefined) {
        throw new CairnError('badRequest', 'the upload ended before it was complete', {
          facts: { missing: left },
        })
      }
      left -= part.length
      yield part
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

/**
 * Takes the first chunk before anything is answered, so that a link which leads nowhere is an
 * error with a status and not a broken stream.
 */
export async function primed(
  stream: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array>> {
  const chunks = stream[Symbol.asyncIterator]()
  const first = await chunks.next()
  return (async function* () {
    try {
      for (let next = first; !next.done; next = await chunks.next()) yield next.value
    } finally {
      await chunks.return?.()
    }
  })()
}

/** Each value as a line of JSON. */
export async function* linesOf(values: AsyncIterable<object>): AsyncGenerator<Uint8Array> {
  for await (const value of values) yield Buffer.from(`${JSON.stringify(toJson(value))}\n`)
}

export interface EventStreamInit {
  clock: Clock
  subscribe(listener: (event: NodeEvent) => void): () => void
  request: IncomingMessage
  response: ServerResponse
}

/** Writes events until the reader goes or lags too far; returns how to end it. */
export function eventStream({ clock, subscribe, request, response }: EventStreamInit): () => void {
  let heartbeat: Timer
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  const write = (text: string) => {
    response.write(text)
    if (response.writableLength > EVENT_BACKLOG_MAX_BYTES) response.destroy()
  }
  const beat = () => {
    write(':\n\n')
    heartbeat = clock.at(clock.now() + EVENT_HEARTBEAT_MS, beat)
  }
  beat()
  const unsubscribe = subscribe(event => {
    write(`event: ${event.type}\ndata: ${JSON.stringify(toJson(event))}\n\n`)
  })
  request.on('close', () => {
    heartbeat.cancel()
    unsubscribe()
  })
  return () => response.destroy()
}

async function within<T>(clock: Clock, ms: number, task: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = clock.at(clock.now() + ms, () =>
    reject(
      new CairnError('requestTimeout', `no byte came for ${ms} ms`, { facts: { idleMs: ms } }),
    ),
  )
  try {
    return await Promise.race([task, late])
  } catch (error) {
    if (error instanceof CairnError) throw error
    throw new CairnError('badRequest', 'the upload ended before it was complete', { cause: error })
  } finally {
    timer.cancel()
  }
}
