/**
 * A client in a process of its own, ours or Helia's, told what to do by messages: so its memory and
 * its processor time are its own, and providers do not run on its thread.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { HashPool } from '@cairn/node'
import type { Market } from './market.ts'
import { startClient } from './market-client.ts'
import { type Profile, stagesOf } from './stages.ts'
import { openStore } from './volume.ts'

/** Coarse enough to cost nothing, μs. */
const SAMPLE_US = 2_000

export type Task =
  | { do: 'cairn'; market: Market; directory: string }
  | { do: 'helia'; directory?: string; dial?: string }
  | { do: 'put'; path: string; shape?: { data: number; total: number } }
  | { do: 'get'; link: string; path: string }
  | { do: 'stop' }

export interface Done {
  /** Of a put. */
  link?: string
  address?: string
  ms: number
  /** Processor time of all threads, ms. */
  cpuMs: number
  /** Of the main thread by what it did, ms. */
  stages: Record<string, number>
  /** The most that the process ever had, bytes. */
  peakRss: number
}

interface Client {
  address?: string
  put(source: AsyncIterable<Uint8Array>, shape: { data: number; total: number }): Promise<string>
  get(link: string): Promise<AsyncIterable<Uint8Array>>
  stop(): Promise<void>
}

let client: Client | undefined

process.on('message', (task: Task) => {
  if (task.do === 'stop') {
    void stop()
    return
  }
  measured(task).then(
    done => process.send?.(done),
    (error: unknown) => {
      process.send?.({ error: error instanceof Error ? error.stack : String(error) })
    },
  )
})

type Work = Exclude<Task, { do: 'stop' }>

async function measured(task: Work): Promise<Done> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  await session.post('Profiler.start')
  const began = performance.now()
  const before = { all: process.cpuUsage(), main: process.threadCpuUsage() }
  const result = await run(task)
  const cpuMs = msOf(process.cpuUsage(before.all))
  const mainMs = msOf(process.threadCpuUsage(before.main))
  const ms = performance.now() - began
  const { profile } = (await session.post('Profiler.stop')) as { profile: Profile }
  session.disconnect()
  return {
    ...result,
    ms,
    cpuMs,
    stages: scaled(stagesOf(profile), mainMs),
    peakRss: process.resourceUsage().maxRSS * 1024,
  }
}

function msOf({ user, system }: { user: number; system: number }): number {
  return (user + system) / 1_000
}

/** Samples count the time in which the machine did something else; processor time does not. */
function scaled(stages: Record<string, number>, mainMs: number): Record<string, number> {
  const sampled = Object.values(stages).reduce((sum, ms) => sum + ms, 0)
  return Object.fromEntries(
    Object.entries(stages).map(([stage, ms]) => [stage, (ms * mainMs) / sampled]),
  )
}

async function run(task: Work): Promise<{ link?: string; address?: string }> {
  switch (task.do) {
    case 'cairn':
      client = await cairn(task.market, task.directory)
      return {}
    case 'helia':
      client = await helia(task)
      return client.address === undefined ? {} : { address: client.address }
    case 'put':
      return { link: await started().put(createReadStream(task.path), task.shape ?? ONE_COPY) }
    case 'get': {
      await pipeline(await started().get(task.link), createWriteStream(task.path))
      const file = await open(task.path)
      await file.sync()
      await file.close()
      return {}
    }
  }
}

/** Then nothing is left to wait for, and the process ends. */
async function stop(): Promise<void> {
  await client?.stop()
  process.disconnect()
}

const ONE_COPY = { data: 1, total: 1 }

function started(): Client {
  if (client === undefined) throw new Error('no client was started')
  return client
}

async function cairn(market: Market, directory: string): Promise<Client> {
  const hashing = new HashPool()
  const { put, get, stop } = await startClient(
    market,
    await openStore(join(directory, 'spool'), { hashing }),
  )
  return {
    put,
    get,
    async stop() {
      await stop()
      await hashing.close()
    },
  }
}

async function helia({ directory, dial }: { directory?: string; dial?: string }): Promise<Client> {
  // Not into the memory of ours.
  const { startHelia } = await import('./helia-node.ts')
  const { add, cat, stop, addresses, dial: meet } = await startHelia(directory)
  if (dial !== undefined) await meet(dial)
  return { put: add, get: async link => cat(link), stop, address: addresses()[0] as string }
}
