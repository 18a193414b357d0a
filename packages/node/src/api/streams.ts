/** What goes through the API without being held in memory: uploads, downloads and events. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { CairnError } from '@cairn/protocol'
import type { Clock, Timer } from '../ports.ts'
import { toJson } from './json.ts'
import { EVENT_BACKLOG_MAX_BYTES, EVENT_HEARTBEAT_MS } from './limits.ts'
import type { NodeEvent } from './node-view.ts'

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
