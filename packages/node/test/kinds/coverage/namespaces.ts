/**
 * Machines of one computer that are apart: a network namespace each, with one link to a hub, and no way
 * between two of them but a relay in the hub. A link delays by netem; in a kernel that has none the
 * relay does, by both links' delays. Needs root, and programs of `.ci/system-tools.json`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { needTool } from '../../../../../test/tools.ts'
import type { RelayWay } from './relay.ts'

/** Port that every machine listens on; on the hub's side of a link each other machine has one. */
const PORT = 4_001
const FIRST_PORT = 4_100

/** A machine's end of its link. */
const LINK = 'eth0'

const RELAY = new URL('./relay.ts', import.meta.url).pathname

/** A program in a namespace, and what it prints. */
export interface Program {
  readonly child: ChildProcess
  readonly lines: Interface
}

export class Namespaces {
  /** What delays: `netem`, or `relay` in a kernel without it. */
  readonly means: 'netem' | 'relay'
  readonly #ip = needTool('ip')
  readonly #tc = needTool('tc')
  readonly #delays: readonly number[]
  readonly #children = new Set<ChildProcess>()

  /** One machine per delay of its link, ms one way. */
  constructor(delays: readonly number[]) {
    if (process.getuid?.() !== 0)
      throw new Error('network namespaces are made by root: run as root')
    this.#delays = delays
    process.once('exit', this.#clear)
    process.once('SIGTERM', this.#terminate)
    try {
      this.#run('netns', 'add', this.#hub)
      for (const place of delays.keys()) this.#link(place)
      this.means = this.#hasNetem() ? 'netem' : 'relay'
      if (this.means === 'netem') for (const place of delays.keys()) this.#delay(place)
    } catch (error) {
      this.#clear()
      throw error
    }
  }

  /** Where a machine listens. */
  listen(place: number): string {
    return `/ip4/${this.#address(place, 2)}/tcp/${PORT}`
  }

  /** Where a machine reaches another. */
  address(from: number, to: number): string {
    return `/ip4/${this.#address(from, 1)}/tcp/${FIRST_PORT + to}`
  }

  /** Opens the ways between all machines. */
  async connect(): Promise<void> {
    const places = [...this.#delays.keys()]
    const ways: RelayWay[] = places.flatMap(from =>
      places
        .filter(to => to !== from)
        .map(to => ({
          host: this.#address(from, 1),
          port: FIRST_PORT + to,
          target: this.#address(to, 2),
          targetPort: PORT,
          delayMs:
            this.means === 'netem'
              ? 0
              : (this.#delays[from] as number) + (this.#delays[to] as number),
        })),
    )
    await firstLine(this.#start(this.#hub, RELAY, ways))
  }

  /** Runs a script of this project on a machine. */
  start(place: number, script: string, init: unknown): Program {
    return this.#start(this.#name(place), script, init)
  }

  /** Ends what runs, and leaves nothing behind. */
  async stop(): Promise<void> {
    const ended = this.#running().map(child => once(child, 'exit'))
    this.#clear()
    await Promise.all(ended)
  }

  /** At once, for whoever stops a run in its middle. */
  readonly #clear = (): void => {
    process.off('exit', this.#clear)
    process.off('SIGTERM', this.#terminate)
    for (const child of this.#running()) child.kill('SIGKILL')
    this.#remove()
  }

  readonly #terminate = (): void => {
    this.#clear()
    process.kill(process.pid, 'SIGTERM')
  }

  #running(): ChildProcess[] {
    return [...this.#children].filter(({ exitCode, signalCode }) => {
      return exitCode === null && signalCode === null
    })
  }

  #start(namespace: string, script: string, init: unknown): Program {
    const node = [process.execPath, '--conditions=cairn-source', script, JSON.stringify(init)]
    const child = spawn(this.#ip, ['netns', 'exec', namespace, ...node], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#children.add(child)
    return { child, lines: createInterface({ input: child.stdout as NodeJS.ReadableStream }) }
  }

  #link(place: number): void {
    const name = this.#name(place)
    const near = ['-n', name]
    const far = ['-n', this.#hub]
    this.#run('netns', 'add', name)
    const peer = ['peer', 'name', `link${place}`, 'netns', this.#hub]
    this.#run(...near, 'link', 'add', LINK, 'type', 'veth', ...peer)
    this.#run(...near, 'address', 'add', `${this.#address(place, 2)}/30`, 'dev', LINK)
    this.#run(...far, 'address', 'add', `${this.#address(place, 1)}/30`, 'dev', `link${place}`)
    this.#run(...near, 'link', 'set', 'lo', 'up')
    this.#run(...near, 'link', 'set', LINK, 'up')
    this.#run(...far, 'link', 'set', `link${place}`, 'up')
  }

  #delay(place: number): void {
    this.#netem(this.#name(place), LINK, this.#delays[place] as number)
    this.#netem(this.#hub, `link${place}`, this.#delays[place] as number)
  }

  #hasNetem(): boolean {
    try {
      this.#netem(this.#name(0), 'lo', 1)
      return true
    } catch (error) {
      const { stderr } = error as { stderr?: Buffer }
      if (stderr?.includes('qdisc kind is unknown')) return false
      throw error
    }
  }

  #netem(namespace: string, device: string, delayMs: number): void {
    const netem = ['root', 'netem', 'delay', `${delayMs}ms`]
    const tc = [this.#tc, 'qdisc', 'add', 'dev', device, ...netem]
    execFileSync(this.#ip, ['netns', 'exec', namespace, ...tc], { stdio: 'pipe' })
  }

  #run(...args: string[]): void {
    execFileSync(this.#ip, args, { stdio: 'pipe' })
  }

  /** With its namespaces go the links. */
  #remove(): void {
    const listed = execFileSync(this.#ip, ['netns', 'list'], { encoding: 'utf8' })
    const own = listed.split('\n').map(line => line.split(' ')[0] ?? '')
    for (const name of own) if (name.startsWith(PREFIX)) this.#run('netns', 'delete', name)
  }

  get #hub(): string {
    return `${PREFIX}hub`
  }

  #name(place: number): string {
    return `${PREFIX}${place}`
  }

  #address(place: number, host: number): string {
    return `10.77.${place}.${host}`
  }
}

/** What a program prints first; rejects when it ends before. */
export async function firstLine({ child, lines }: Program): Promise<string> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`a program ended with ${code} before it was ready`)
  })
  const [line] = await Promise.race([once(lines, 'line'), ended])
  return line
}

/** No other run has it. */
const PREFIX = `cairn-${process.pid}-`
