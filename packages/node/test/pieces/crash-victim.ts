/**
 * Puts, deletes, spoils, verifies and rebuilds pieces until it kills itself, at a step that its seed
 * gives. What it begins and what it was promised it says on standard output, at once.
 */
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashPiece, type Piece, pieceCid } from '@cairn/protocol'
// One by one: the whole package is a second's worth of modules, for each victim.
import { systemClock } from '../../src/clock.ts'
import { DirectoryVolume } from '../../src/pieces/directory.ts'
import { ownThread } from '../../src/pieces/hashing.ts'
import type { Volume } from '../../src/pieces/volume.ts'
import { Volumes } from '../../src/pieces/volumes.ts'
import type { Log, Store } from '../../src/ports.ts'
import { openLevelStore } from '../../src/store/level.ts'

/** Different pieces that it works with: few, so that each meets every other step. */
export const PIECES = 24
export const QUOTA = 3_000_000
export const PLACES = ['a', 'b'] as const
/** Works at once. */
const HANDS = 3

export interface Said {
  event: 'ready' | 'begin' | 'done' | 'refused'
  work?: 'put' | 'delete' | 'spoil' | 'verify' | 'rebuild'
  piece?: number
}

/** Payload of a piece: between nothing and three subtrees. */
export function payloadOf(piece: number): Uint8Array {
  const length = piece === 0 ? 0 : (piece * 7_919) % 190_000
  return new Uint8Array(length).map((_, i) => ((i + piece) * 2_654_435_761) >>> 13)
}

export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const silent = () => undefined
const log: Log = {
  error: silent,
  warn: silent,
  info: silent,
  debug: silent,
  child: () => log,
}

/** Opens the volumes of a directory. */
export async function openAll(
  directory: string,
  wrap: { volume(inner: Volume): Volume; store(inner: Store): Store } = {
    volume: inner => inner,
    store: inner => inner,
  },
): Promise<{ volumes: Volumes; store: Store }> {
  const level = await openLevelStore(join(directory, 'store'))
  const store = wrap.store(level)
  const volumes = await Volumes.open(
    { store, clock: systemClock(), hashing: ownThread, log, newName: randomUUID },
    {
      owner: 'somebody',
      offered: PLACES.map(place => ({
        volume: wrap.volume(new DirectoryVolume(join(directory, place))),
        quota: QUOTA,
      })),
      scrubDays: 14,
    },
  )
  return { volumes, store: level }
}

/** Dies at the step that was drawn, before or after it is done. */
class Fate {
  #left: number
  readonly #after: boolean

  constructor(random: () => number) {
    // Often during the first steps, which end what the last process left.
    this.#left = Math.floor(random() ** 2 * 400)
    this.#after = random() < 0.5
  }

  async step<T>(task: () => Promise<T>): Promise<T> {
    const last = this.#left-- === 0
    if (last && !this.#after) die()
    const result = await task()
    if (last) die()
    return result
  }

  volume(inner: Volume): Volume {
    const step = <T>(task: () => Promise<T>) => this.step(task)
    return {
      location: inner.location,
      label: () => inner.label(),
      size: name => inner.size(name),
      read: (name, offset, length) => inner.read(name, offset, length),
      list: prefix => inner.list(prefix),
      free: () => inner.free(),
      create: label => step(() => inner.create(label)),
      sweep: () => step(() => inner.sweep()),
      settle: names => step(() => inner.settle(names)),
      remove: names => step(() => inner.remove(names)),
      move: (from, to) => step(() => inner.move(from, to)),
      stage: async (source, options) => {
        const staged = await step(() => inner.stage(source, options))
        return {
          place: name => step(() => staged.place(name)),
          discard: () => step(() => staged.discard()),
        }
      },
    }
  }

  store(inner: Store): Store {
    return {
      get: key => inner.get(key),
      range: options => inner.range(options),
      close: () => inner.close(),
      batch: (writes, options) => this.step(() => inner.batch(writes, options)),
      sublevel: name => this.store(inner.sublevel(name)),
    }
  }
}

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
}

function say(said: Said): void {
  writeSync(1, `${JSON.stringify(said)}\n`)
}

async function* parts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.slice(at, at + 50_000)
}

async function main(directory: string, seed: number): Promise<void> {
  const random = seeded(seed)
  const fate = new Fate(random)
  const { volumes } = await openAll(directory, {
    volume: inner => fate.volume(inner),
    store: inner => fate.store(inner),
  })
  say({ event: 'ready' })
  const busy = new Set<number>()
  const pieces = Array.from({ length: PIECES }, (_, i) => hashPiece(payloadOf(i)).piece)

  const hand = async () => {
    for (;;) {
      const piece = Math.floor(random() * PIECES)
      if (busy.has(piece)) {
        await new Promise(resolve => setImmediate(resolve))
        continue
      }
      busy.add(piece)
      try {
        await work(piece, random())
      } finally {
        busy.delete(piece)
      }
    }
  }

  const doing = async (said: Omit<Said, 'event'>, task: () => Promise<unknown>) => {
    say({ event: 'begin', ...said })
    try {
      await task()
      say({ event: 'done', ...said })
    } catch {
      say({ event: 'refused', ...said })
    }
  }

  const work = async (index: number, choice: number) => {
    const piece = pieces[index] as Piece
    if (choice < 0.02) return await doing({ work: 'rebuild' }, () => volumes.rebuild())
    const said = { piece: index }
    if (choice < 0.5) {
      const options = random() < 0.5 ? { expected: piece } : {}
      await doing({ ...said, work: 'put' }, () => volumes.put(parts(payloadOf(index)), options))
    } else if (choice < 0.75) {
      await doing({ ...said, work: 'delete' }, () => volumes.delete(piece))
    } else if (choice < 0.85 && volumes.has(piece) && piece.payload > 0) {
      await doing({ ...said, work: 'spoil' }, () => spoil(directory, piece))
    } else if (volumes.has(piece)) {
      await doing({ ...said, work: 'verify' }, () => verify(volumes, piece))
    }
  }

  await Promise.all(Array.from({ length: HANDS }, hand))
}

/** Other bytes where the piece is, as a rotting disk gives them. */
async function spoil(directory: string, piece: Piece): Promise<void> {
  const cid = pieceCid(piece)
  for (const place of PLACES) {
    const path = join(directory, place, 'pieces', cid.slice(-3, -1), cid)
    await writeFile(path, new Uint8Array(piece.payload).fill(1), { flag: 'r+' }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      },
    )
  }
}

async function verify(volumes: Volumes, piece: Piece): Promise<void> {
  for (const store of volumes.stores) if (store.has(piece)) await store.verify(piece)
}

const [directory, seed] = process.argv.slice(2)
if (import.meta.main) await main(directory as string, Number(seed))
