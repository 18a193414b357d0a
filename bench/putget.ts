/** A file put and got by a client in a process of its own: what it takes, and how fast Helia is. */
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { HashPool, type PieceStore } from '@cairn/node'
import type { Done, Task } from './client-process.ts'
import { startHelia } from './helia-node.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'
import { startProviders } from './providers.ts'
import { openStore } from './volume.ts'

const PROVIDERS = 30
const SHAPE = { data: 10, total: PROVIDERS }
/** The share of the whole that is compared with Helia: several rounds of it take as long. */
const COMPARED = 1 / 4
const BLOCK_BYTES = 2 ** 20
const MIB = 2 ** 20

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TSC = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))

export interface PutGetInit {
  directory: string
  /** Of the file, MiB. */
  size: number
}

export async function* putGet(init: PutGetInit): AsyncGenerator<Line> {
  await run(process.execPath, [TSC, '-b', 'packages/node'], { cwd: ROOT })
  yield* await resources(init)
  yield* await againstHelia(init)
}

async function resources({ directory, size }: PutGetInit): Promise<Line[]> {
  const { source, target } = await filesIn(directory, size)
  const hashing = new HashPool()
  const stores = await storesIn(join(directory, 'providers'), PROVIDERS, hashing)
  const providers = await startProviders(stores)
  const client = new ClientProcess()
  try {
    await client.do({ do: 'cairn', market: providers.market, directory: join(directory, 'client') })
    const put = await client.do({ do: 'put', path: source, shape: SHAPE })
    const get = await client.do({ do: 'get', link: put.link as string, path: target })
    await checkSame(source, target)
    const gib = size / 1024
    const rate = (ms: number) => `${rounded(perSecond(size * 1.048576, ms))} MB/s`
    const against = `put ${rate(put.ms)}, get ${rate(get.ms)} of ${size} MiB at 10 of 30`
    return [
      { name: 'putget.rss', value: get.peakRss / MIB, unit: 'MiB', against },
      ...cpuLines('put', put, gib),
      ...cpuLines('get', get, gib),
    ]
  } finally {
    await client.stop()
    await providers.stop()
    await hashing.close()
    for (const name of ['providers', 'client']) await rm(join(directory, name), { recursive: true })
    await rm(source)
    await rm(target, { force: true })
  }
}

/** All of it, then by stage: of the main thread by what it did, and of all others together. */
function cpuLines(what: string, { cpuMs, stages }: Done, gib: number): Line[] {
  const main = Object.values(stages).reduce((sum, ms) => sum + ms, 0)
  const parts = Object.entries({ ...stages, threads: Math.max(0, cpuMs - main) })
  const sorted = parts.sort(([, a], [, b]) => b - a)
  return [['all', cpuMs] as const, ...sorted].map(([stage, ms]) => ({
    name: `putget.cpu.${what}.${stage}`,
    value: ms / 1_000 / gib,
    unit: 's/GiB',
  }))
}

async function againstHelia({ directory, size }: PutGetInit): Promise<Line[]> {
  const mib = Math.max(1, Math.round(size * COMPARED))
  const { source, target } = await filesIn(directory, mib)
  const hashing = new HashPool()
  const [store] = (await storesIn(join(directory, 'one'), 1, hashing)) as [PieceStore]
  const providers = await startProviders([store])
  const ours = new ClientProcess()
  const links: { ours: string; other: string } = { ours: '', other: '' }
  let heliaProvider = await startHelia(join(directory, 'blocks'))
  let helia = new ClientProcess()
  const restartHelia = async (clientBlocks: string | undefined) => {
    await helia.stop()
    helia = new ClientProcess()
    const [dial] = heliaProvider.addresses() as [string]
    const blocks = clientBlocks === undefined ? {} : { directory: clientBlocks }
    await helia.do({ do: 'helia', dial, ...blocks })
  }
  try {
    await ours.do({ do: 'cairn', market: providers.market, directory: join(directory, 'client') })
    const put = await compare({
      rounds: 3,
      warmUps: 1,
      async prepare() {
        for (const piece of store.list()) await store.delete(piece)
        await heliaProvider.stop()
        for (const name of ['blocks', 'added']) {
          await rm(join(directory, name), { recursive: true, force: true })
        }
        heliaProvider = await startHelia(join(directory, 'blocks'))
        await restartHelia(join(directory, 'added'))
      },
      ours: async () => {
        links.ours = (await ours.do({ do: 'put', path: source })).link as string
      },
      other: async () => {
        links.other = (await helia.do({ do: 'put', path: source })).link as string
        for await (const _ of heliaProvider.cat(links.other));
        // Ours are synced one by one; once for all is the least that makes these as durable.
        await run('sync', ['-f', join(directory, 'blocks')])
      },
    })
    // The last round left both with what they put.
    links.other = (await helia.do({ do: 'put', path: source })).link as string
    for await (const _ of heliaProvider.cat(links.other));
    links.ours = (await ours.do({ do: 'put', path: source })).link as string
    const get = await compare({
      rounds: 3,
      warmUps: 1,
      async prepare() {
        await rm(target, { force: true })
        // What it fetched once it would have.
        await restartHelia(undefined)
      },
      ours: () => ours.do({ do: 'get', link: links.ours, path: target }),
      other: () => helia.do({ do: 'get', link: links.other, path: target }),
    })
    await checkSame(source, target)
    const speed = (ms: number) => perSecond(mib * 1.048576, ms)
    const line = (name: string, { ours: ms, other, ratio }: typeof put): Line => ({
      name,
      value: speed(ms),
      unit: 'MB/s',
      ratio,
      against: `helia, ${mib} MiB to one provider: ${rounded(speed(other))} MB/s`,
    })
    return [line('put.vs.helia', put), line('get.vs.helia', get)]
  } finally {
    await ours.stop()
    await helia.stop()
    await heliaProvider.stop()
    await providers.stop()
    await hashing.close()
  }
}

async function filesIn(directory: string, size: number) {
  await mkdir(directory, { recursive: true })
  const source = join(directory, 'source')
  const file = await open(source, 'w')
  try {
    for (let i = 0; i < size; i++) await file.write(randomBytes(BLOCK_BYTES))
    await file.sync()
  } finally {
    await file.close()
  }
  return { source, target: join(directory, 'target') }
}

async function storesIn(
  directory: string,
  count: number,
  hashing: HashPool,
): Promise<PieceStore[]> {
  const stores: PieceStore[] = []
  for (let i = 0; i < count; i++) stores.push(await openStore(join(directory, `${i}`), { hashing }))
  return stores
}

async function checkSame(a: string, b: string): Promise<void> {
  if ((await hashOf(a)) !== (await hashOf(b))) throw new Error('what came is not what was put')
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part)
  return hash.digest('hex')
}

/** `client-process.ts`, one task at a time. */
class ClientProcess {
  readonly #child: ChildProcess
  #started = false

  constructor() {
    const path = fileURLToPath(new URL('./client-process.ts', import.meta.url))
    // Without the sources' condition: it is the built packages that are measured, as they are installed.
    this.#child = fork(path, { execArgv: [] })
  }

  async do(task: Task): Promise<Done> {
    this.#started = true
    const answered = new AbortController()
    const { signal } = answered
    const answer = Promise.race([
      once(this.#child, 'message', { signal }),
      once(this.#child, 'exit', { signal }).then(([code]) => {
        throw new Error(`the client's process ended with ${code}`)
      }),
    ])
    this.#child.send(task)
    const [done] = (await answer.finally(() => answered.abort())) as [Done | { error: string }]
    if ('error' in done) throw new Error(`in the client's process: ${done.error}`)
    return done
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    if (this.#started) this.#child.send({ do: 'stop' } satisfies Task)
    else this.#child.kill()
    await ended
  }
}
