/** Runs the real command in a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** What Node made of the sources stays here: half of what a start takes. */
const COMPILED = fileURLToPath(new URL('../../../node_modules/.cache/compiled', import.meta.url))

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  env?: Record<string, string>
  cwd?: string
  input?: string
}

export function spawnCairn(
  args: string[],
  options: RunOptions = {},
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ['--conditions=cairn-source', MAIN, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      NODE_COMPILE_CACHE: COMPILED,
      ...options.env,
    },
  })
}

export async function cairn(args: string[], options: RunOptions = {}): Promise<Ended> {
  const child = spawnCairn(args, options)
  child.stdin.end(options.input ?? '')
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { code, stdout, stderr }
}

/** One line of JSON on standard output, and nothing else. */
export function jsonOf<T = Record<string, unknown>>({ stdout }: Ended): T {
  const [line = '', ...rest] = stdout.trimEnd().split('\n')
  if (rest.length > 0) throw new Error(`expected one line of JSON, found:\n${stdout}`)
  return JSON.parse(line) as T
}

export interface CairnFailure {
  error: { code: string; message: string; facts: Record<string, unknown>; next?: string }
}

/** A directory that is removed after each test of the suite it is called in. */
export function temporaryDirectory(): () => string {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-cli-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))
  return () => directory
}
