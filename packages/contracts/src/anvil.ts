/**
 * A private chain on this machine. The platform's binary is spawned itself, not through the
 * package's launcher, so that its pid is known and nothing else has to be started.
 *
 * The chain never outlives its parent: an exit hook ends it, and where there is a shell a watchdog
 * whose standard input is the parent's pipe ends it when the parent was killed outright.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { CairnError } from '@cairn/protocol'

/** Ready in 37 ms when the machine is idle; a loaded one is given this long, ms. */
const START_TIMEOUT_MS = 20_000
/** Writing its state takes well under a second; then it is killed, ms. */
const STOP_TIMEOUT_MS = 5_000
/** States kept in memory, in blocks; without pruning anvil writes 0.15 MB per block to disk. */
const STATES_KEPT = 64
/** Room for the registration of 64 nodes in one block; Ethereum's own since 2025. */
const BLOCK_GAS_LIMIT = 60_000_000
/** What is kept of its output for an error's text, characters. */
const OUTPUT_KEPT = 2_000

export const ANVIL_CHAIN_ID = 31337

export interface AnvilInit {
  chainId?: number
  /** Whose rules it goes by; the newest unless given. */
  hardfork?: 'cancun' | 'osaka'
  /** Seconds between blocks; 0: one block for each transaction. */
  blockTime?: number
  /** TCP port on 127.0.0.1; 0: a free one. */
  port?: number
  /** What a new chain begins with: the testnet's contracts and accounts, or nothing at all. */
  genesis?: 'testnet' | 'empty'
  /** File that keeps the chain from one run to the next; absent: nothing is kept. */
  stateFile?: string
  /** Seconds since 1970 at which the chain's clock starts; absent: now. */
  timestamp?: number
  /** Ends the chain, and the wait for its start. */
  signal?: AbortSignal
}

export interface Anvil {
  readonly rpcUrl: string
  readonly chainId: number
  readonly pid: number
  /** Resolves when the process is gone and its state is written. */
  stop(): Promise<void>
}

/** Throws `anvilMissing`, `anvilStart`, or the signal's reason. */
export async function startAnvil(init: AnvilInit = {}): Promise<Anvil> {
  init.signal?.throwIfAborted()
  const chainId = init.chainId ?? ANVIL_CHAIN_ID
  const binary = anvilBinary()
  const directory = mkdtempSync(join(tmpdir(), 'cairn-anvil-'))
  const state = await beginning(init, directory)
  const child = spawn(binary, [...chainArguments(init, chainId), ...state], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: directory,
    env: { HOME: directory, PATH: process.env.PATH },
    // A Ctrl-C in the terminal is for the parent, which stops its nodes first.
    detached: true,
  })
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const guard = guardChild(child, directory)
  const end = async () => {
    init.signal?.removeEventListener('abort', abort)
    await endChild(child, exited)
    guard.release()
    rmSync(directory, { recursive: true, force: true })
  }
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= end()
    return stopped
  }
  const abort = () => void stop()
  init.signal?.addEventListener('abort', abort, { once: true })
  void exited.then(stop)
  try {
    const port = await listening(child, exited)
    init.signal?.throwIfAborted()
    return { rpcUrl: `http://127.0.0.1:${port}`, chainId, pid: child.pid as number, stop }
  } catch (error) {
    await stop()
    init.signal?.throwIfAborted()
    throw error
  }
}

function chainArguments(init: AnvilInit, chainId: number): string[] {
  const args = ['--host', '127.0.0.1', '--port', String(init.port ?? 0), '--accounts', '0']
  args.push('--chain-id', String(chainId), '--hardfork', init.hardfork ?? 'osaka')
  args.push('--enable-tx-gas-limit')
  args.push('--prune-history', String(STATES_KEPT), '--gas-limit', String(BLOCK_GAS_LIMIT))
  const blockTime = init.blockTime ?? 1
  if (blockTime > 0) args.push('--block-time', String(blockTime))
  if (init.timestamp !== undefined) args.push('--timestamp', String(init.timestamp))
  return args
}

/** Arguments that say where the chain's state comes from and where it goes. */
async function beginning(init: AnvilInit, directory: string): Promise<string[]> {
  const { stateFile } = init
  const keep = stateFile === undefined ? [] : ['--dump-state', stateFile]
  if (stateFile !== undefined && existsSync(stateFile)) return ['--load-state', stateFile, ...keep]
  if (init.genesis === 'empty') return keep
  const { testnetState } = await import('./artifacts/state.ts')
  const path = join(directory, 'genesis.json')
  writeFileSync(path, gunzipSync(Buffer.from(testnetState, 'base64')))
  return ['--load-state', path, ...keep]
}

/** Path of the binary that npm installed for this platform. Throws `anvilMissing`. */
function anvilBinary(): string {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const file = process.platform === 'win32' ? 'anvil.exe' : 'anvil'
  const name = `@foundry-rs/anvil-${platform}`
  try {
    // It is a dependency of the launcher's package, not of this one.
    const launcher = createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json')
    return createRequire(launcher).resolve(`${name}/bin/${file}`)
  } catch (cause) {
    throw new CairnError('anvilMissing', `anvil is not installed for ${platform}`, {
      cause,
      facts: { package: name },
      next: 'install again with optional dependencies, or run a chain of your own',
    })
  }
}

/** Resolves with the port once the chain listens. Throws `anvilStart`. */
async function listening(child: ChildProcess, exited: Promise<void>): Promise<number> {
  let output = ''
  let found: (port: number) => void
  const port = new Promise<number>(resolve => {
    found = resolve
  })
  // Read to the end: anvil fails when it cannot write its log.
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_KEPT)
      const match = /Listening on [^\s]*:(\d+)\s/.exec(output)
      if (match !== null) found(Number(match[1]))
    })
  }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>(resolve => {
    timer = setTimeout(resolve, START_TIMEOUT_MS, `did not listen within ${START_TIMEOUT_MS} ms`)
  })
  const gone = exited.then(() => `ended with ${child.signalCode ?? `code ${child.exitCode}`}`)
  const first = await Promise.race([port, late, gone])
  clearTimeout(timer)
  if (typeof first === 'number') return first
  throw new CairnError('anvilStart', `anvil ${first}: ${output.trim()}`, {
    facts: { output: output.trim() },
    next: 'see its last words above; a fixed port may be in use, a state file of another version',
  })
}

interface Guard {
  release(): void
}

/** Ends the child when this process ends, in whatever way, and takes away its files. */
function guardChild(child: ChildProcess, directory: string): Guard {
  const { pid } = child
  if (pid === undefined) return { release() {} }
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  const watchdog =
    process.platform === 'win32'
      ? undefined
      : spawn('/bin/sh', ['-c', 'read -r _; kill -9 "$0"; rm -rf "$1"', String(pid), directory], {
          stdio: ['pipe', 'ignore', 'ignore'],
          detached: true,
        })
  watchdog?.on('error', kill)
  return {
    release() {
      process.removeListener('exit', kill)
      watchdog?.kill('SIGKILL')
      watchdog?.stdin?.destroy()
    },
  }
}

async function endChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  // Anvil writes its state upon SIGINT.
  child.kill('SIGINT')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(timer)
}
