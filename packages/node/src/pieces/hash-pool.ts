/**
 * Pieces hashed on worker threads. A gibibyte takes two seconds of one core: on the event loop's
 * thread it would cost a daemon its peers. The subtrees of a piece are independent of each other,
 * so one piece is hashed by all threads at once; only the thousandth above them is done here.
 */
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import {
  CairnError,
  checkPayload,
  type HashedPiece,
  hashPiece,
  invariant,
  pieceOfRows,
  SUBTREE_HEIGHT,
  SUBTREE_PAYLOAD,
  subtreeHeight,
} from '@cairn/protocol'
import type { BufferRow, FileRow, HashAnswer, HashRequest } from './hash-worker.ts'
import type { Hashing, StreamHasher } from './hashing.ts'

/** Threads at most: as many hash as fast as a provider's disks and line deliver. */
export const HASH_THREADS_MAX = 8
/** Rows with one thread: one that it hashes, one that it takes up next. */
const ROWS_PER_THREAD = 2
/**
 * Payload bytes of a stream that a thread is handed at once: half a millisecond. A client encodes 30
 * and more pieces at a time, each of which collects as many before it hands them on.
 */
const ROW_PAYLOAD = 4 * SUBTREE_PAYLOAD
/** Payload bytes of a file that a thread hashes in one go: a thirtieth of a second. */
const FILE_ROW_PAYLOAD = 64 * ROW_PAYLOAD
/** Buffers kept for the next rows, 16 MiB: memory made and let go at this rate is not given back. */
const SPARE_MAX = 64
/** Memory of a thread for short-lived values: it makes a few per row. */
const YOUNG_MB = 4
const EMPTY = new ArrayBuffer(0)

export interface HashPoolInit {
  /** By default one for each core, up to `HASH_THREADS_MAX`. */
  threads?: number
}

interface Row {
  request: HashRequest
  resolve(roots: Uint8Array): void
  reject(error: unknown): void
}

interface Thread {
  readonly worker: Worker
  readonly rows: Map<number, Row>
}

export class HashPool implements Hashing {
  readonly #max: number
  readonly #threads = new Set<Thread>()
  /** Rows that no thread has yet. Each piece has at most `#rowsMax` in the pool, and waits then. */
  readonly #waiting: Row[] = []
  /** Buffers that came back. */
  readonly #spare: ArrayBuffer[] = []
  #rows = 0
  #closed = false

  constructor({ threads = availableParallelism() }: HashPoolInit = {}) {
    this.#max = Math.min(threads, HASH_THREADS_MAX)
  }

  /** Threads that run now: they are started when there is work for them. */
  get threads(): number {
    return this.#threads.size
  }

  hasher(): StreamHasher {
    return new PoolHasher({
      buffer: () => this.#spare.pop() ?? new ArrayBuffer(ROW_PAYLOAD),
      hash: row => this.#hash(row),
      rowsMax: this.#rowsMax,
    })
  }

  async file(path: string, signal?: AbortSignal): Promise<HashedPiece> {
    const { size: payload } = await stat(path)
    checkPayload(payload)
    const height = subtreeHeight({ payload })
    const rows = new Rows(this.#rowsMax)
    let offset = 0
    do {
      signal?.throwIfAborted()
      const length = Math.min(FILE_ROW_PAYLOAD, payload - offset)
      await rows.add(this.#hash({ path, offset, length, height }))
      offset += length
    } while (offset < payload)
    return pieceOfRows(payload, await rows.all())
  }

  /** Ends the threads; what is being hashed rejects with `stopped`. */
  async close(): Promise<void> {
    this.#closed = true
    const ended = [...this.#threads].map(({ worker }) => worker.terminate())
    for (const row of this.#waiting.splice(0)) row.reject(stopped())
    await Promise.all(ended)
  }

  get #rowsMax(): number {
    return this.#max * ROWS_PER_THREAD
  }

  #hash(row: FileRow | BufferRow): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(stopped())
      const request = { id: this.#rows++, ...row }
      this.#waiting.push({ request, resolve, reject })
      this.#deal()
    })
  }

  /** Hands waiting rows to the threads that have fewest. */
  #deal(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#idlest()
      if (thread === undefined) return
      const row = this.#waiting.shift() as Row
      thread.rows.set(row.request.id, row)
      thread.worker.ref()
      const { request } = row
      thread.worker.postMessage(request, 'buffer' in request ? [request.buffer] : [])
    }
  }

  #idlest(): Thread | undefined {
    const [idlest] = [...this.#threads].sort((a, b) => a.rows.size - b.rows.size)
    if (idlest?.rows.size === 0) return idlest
    if (this.#threads.size < this.#max) return this.#start()
    return idlest !== undefined && idlest.rows.size < ROWS_PER_THREAD ? idlest : undefined
  }

  #start(): Thread {
    const url = fileURLToPath(import.meta.resolve('#hash-worker'))
    const worker = new Worker(url, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } })
    const thread: Thread = { worker, rows: new Map() }
    this.#threads.add(thread)
    worker.on('message', (answer: HashAnswer) => this.#answered(thread, answer))
    let failure: unknown
    worker.on('error', error => {
      failure = error
    })
    worker.on('exit', () => {
      this.#threads.delete(thread)
      for (const { reject } of thread.rows.values()) reject(failure ?? stopped())
      if (!this.#closed) this.#deal()
    })
    worker.unref()
    return thread
  }

  #answered({ worker, rows }: Thread, answer: HashAnswer): void {
    const row = rows.get(answer.id)
    invariant(row !== undefined, 'a thread answers what it was asked')
    rows.delete(answer.id)
    if (rows.size === 0) worker.unref()
    const { buffer, outcome } = answer
    if (buffer !== undefined && this.#spare.length < SPARE_MAX) this.#spare.push(buffer)
    if ('roots' in outcome) row.resolve(outcome.roots)
    else row.reject(Object.assign(new Error(outcome.message), outcome))
    this.#deal()
  }
}

interface PoolHasherInit {
  buffer(): ArrayBuffer
  hash(row: BufferRow): Promise<Uint8Array>
  rowsMax: number
}

class PoolHasher implements StreamHasher {
  readonly #init: PoolHasherInit
  readonly #rows: Rows
  #buffer: ArrayBuffer | undefined
  #staged = 0
  #payload = 0
  #digested = false

  constructor(init: PoolHasherInit) {
    this.#init = init
    this.#rows = new Rows(init.rowsMax)
  }

  get payload(): number {
    return this.#payload
  }

  async update(bytes: Uint8Array): Promise<void> {
    invariant(!this.#digested, 'a digested hasher takes no more bytes')
    checkPayload(this.#payload + bytes.length)
    this.#payload += bytes.length
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + ROW_PAYLOAD - this.#staged)
      this.#buffer ??= this.#init.buffer()
      new Uint8Array(this.#buffer).set(part, this.#staged)
      this.#staged += part.length
      at += part.length
      if (this.#staged === ROW_PAYLOAD) await this.#hashStaged()
    }
  }

  async digest(): Promise<HashedPiece> {
    invariant(!this.#digested, 'a piece is digested once')
    this.#digested = true
    if (this.#payload <= ROW_PAYLOAD && this.#staged === this.#payload) {
      // Half a millisecond here, and no thread has to be started for it.
      return hashPiece(new Uint8Array(this.#buffer ?? EMPTY, 0, this.#payload))
    }
    if (this.#staged > 0) await this.#hashStaged()
    return pieceOfRows(this.#payload, await this.#rows.all())
  }

  async #hashStaged(): Promise<void> {
    const buffer = this.#buffer
    invariant(buffer !== undefined, 'there are bytes to hash')
    const length = this.#staged
    this.#buffer = undefined
    this.#staged = 0
    await this.#rows.add(this.#init.hash({ buffer, length, height: SUBTREE_HEIGHT }))
  }
}

/** Rows of one piece in order, of which a few are under way. */
class Rows {
  readonly #max: number
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #roots: Promise<Uint8Array>[] = []

  constructor(max: number) {
    this.#max = max
  }

  /** Resolves when there is room for another; rejects when one has failed. */
  async add(roots: Promise<Uint8Array>): Promise<void> {
    this.#roots.push(roots)
    const done: Promise<void> = roots.then(() => {
      this.#underWay.delete(done)
    })
    // Rejections are met where the rows are waited for.
    void Promise.allSettled([done])
    this.#underWay.add(done)
    if (this.#underWay.size >= this.#max) await Promise.race(this.#underWay)
  }

  async all(): Promise<Uint8Array[]> {
    return await Promise.all(this.#roots)
  }
}

function stopped(): CairnError {
  return new CairnError('stopped', 'the threads that hash pieces have ended')
}
