/** Piece commitments: of one thread against the bare hashing, of all against both on one. */
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { HashPool, ownThread } from '@cairn/node'
import { hashPiece, PIECE_PAYLOAD_MAX, payloadCapacity } from '@cairn/protocol'
import { pattern } from '../packages/protocol/test/piece/vectors.ts'
import { compare, type Line, median, perSecond, rounded, time } from './measure.ts'
import { barePairs } from './pairs.ts'

const MIB = 2 ** 20
const ROUNDS = 7
const WARM_UPS = 1

export async function* commp(): AsyncGenerator<Line> {
  yield await single()
  yield await workers()
}

async function single(): Promise<Line> {
  const padded = pattern(64 * MIB)
  const payload = padded.subarray(0, payloadCapacity(21))
  const { ours, other, ratio } = await compare({
    ours: () => hashPiece(payload),
    other: () => barePairs(padded),
  })
  const speed = (ms: number) => perSecond(payload.length / MIB, ms)
  const against = `2^21 - 1 pair hashes alone: ${rounded(speed(other))} MiB/s`
  return { name: 'commp.single', value: speed(ours), unit: 'MiB/s', ratio, against }
}

/** How much faster all threads are than one: ours over a file of 1 GiB, and the bare pair hashes. */
async function workers(): Promise<Line> {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-bench-'))
  const threads = availableParallelism()
  const pool = new HashPool({ threads })
  const bare = await Promise.all(Array.from({ length: threads }, startBare))
  const mebibytes = (PIECE_PAYLOAD_MAX / 127) * (128 / MIB)
  try {
    const path = join(directory, 'piece')
    await writePiece(path)
    const sides = {
      ours: () => pool.file(path),
      oursAlone: () => ownThread.file(path),
      bare: () => Promise.all(bare.map(worker => hashBare(worker, mebibytes / threads))),
      bareAlone: () => hashBare(bare[0] as Worker, mebibytes),
    }
    const { ours, speedUp, bareSpeedUp } = await rounds(sides)
    return {
      name: 'commp.workers',
      value: perSecond(PIECE_PAYLOAD_MAX / MIB, ours),
      unit: 'MiB/s',
      ratio: speedUp / bareSpeedUp,
      against: `${threads} threads: ${rounded(speedUp)} times one; bare pair hashes: ${rounded(bareSpeedUp)} times`,
    }
  } finally {
    await pool.close()
    for (const worker of bare) await worker.terminate()
    await rm(directory, { recursive: true })
  }
}

type Sides = Record<'ours' | 'oursAlone' | 'bare' | 'bareAlone', () => Promise<unknown>>

async function rounds(sides: Sides) {
  const times = { ours: [] as number[], speedUp: [] as number[], bareSpeedUp: [] as number[] }
  for (let round = 0; round < WARM_UPS + ROUNDS; round++) {
    const names = Object.keys(sides) as (keyof Sides)[]
    const order = round % 2 === 0 ? names : names.toReversed()
    const took: Partial<Record<keyof Sides, number>> = {}
    for (const name of order) took[name] = await time(sides[name])
    const { ours, oursAlone, bare, bareAlone } = took as Record<keyof Sides, number>
    if (round < WARM_UPS) continue
    times.ours.push(ours)
    times.speedUp.push(oursAlone / ours)
    times.bareSpeedUp.push(bareAlone / bare)
  }
  return {
    ours: median(times.ours),
    speedUp: median(times.speedUp),
    bareSpeedUp: median(times.bareSpeedUp),
  }
}

async function writePiece(path: string): Promise<void> {
  const part = pattern(MIB)
  const file = await open(path, 'w')
  try {
    for (let left = PIECE_PAYLOAD_MAX; left > 0; left -= MIB) {
      await file.write(part.subarray(0, Math.min(MIB, left)))
    }
  } finally {
    await file.close()
  }
}

async function startBare(): Promise<Worker> {
  const worker = new Worker(new URL('./bare-worker.ts', import.meta.url))
  await hashBare(worker, 1)
  return worker
}

async function hashBare(worker: Worker, mebibytes: number): Promise<void> {
  worker.postMessage(mebibytes)
  await once(worker, 'message')
}
