/**
 * `npm run smt`: asks the compiler's model checker about each contract, one JSON line for each and for
 * each engine: targets that it proved to hold, those that it did not, and whether it came to an end.
 * `npm run smt -- NAME ...` asks about these alone. Needs `z3` of Debian on the path.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compilerInput } from '@cairn/contracts/compile'

const require = createRequire(import.meta.url)
const SOLIDITY = join(import.meta.dirname, '../solidity')
const ENGINES = ['bmc', 'chc'] as const
/** What does not end in two minutes did not in ten. */
const TIMEOUT_MS = 120_000
const TARGETS = ['assert', 'overflow', 'underflow', 'divByZero', 'outOfBounds']

type Engine = (typeof ENGINES)[number]

export interface ModelCheck {
  contract: string
  engine: Engine
  seconds: number
  ended: boolean
  /** Targets that hold whatever the arguments are. */
  proven: number
  /** Those that may not, or of which the solver does not say, by file and line. */
  unproved: string[]
}

interface CompilerError {
  message: string
  sourceLocation?: { file: string; start: number }
}

/** Asks in a process of its own, which is ended after `timeoutMs`. Throws what the compiler throws. */
export function modelCheck(contract: string, engine: Engine, timeoutMs = TIMEOUT_MS): ModelCheck {
  const began = performance.now()
  // timeout(1) ends the solver too, which leaves the queries that it reads behind.
  const command = [process.execPath, '--conditions=cairn-source', import.meta.filename]
  const args = ['--signal=KILL', String(timeoutMs / 1_000), ...command, '--asked', contract, engine]
  const TMPDIR = mkdtempSync(join(tmpdir(), 'cairn-smt-'))
  const env = { ...process.env, TMPDIR }
  const { status, stdout, stderr } = spawnSync('timeout', args, { encoding: 'utf8', env })
  rmSync(TMPDIR, { recursive: true })
  const seconds = Math.round((performance.now() - began) / 1_000)
  const about = { contract, engine, seconds }
  if (status === null) return { ...about, ended: false, proven: 0, unproved: [] }
  if (status !== 0) throw new Error(stderr)
  return { ...about, ended: true, ...JSON.parse(stdout) }
}

function ask(contract: string, engine: Engine): Pick<ModelCheck, 'proven' | 'unproved'> {
  const name = `${contract}.sol`
  const input = compilerInput({ [name]: readFileSync(join(SOLIDITY, name), 'utf8') })
  const settings = {
    evmVersion: input.settings.evmVersion,
    outputSelection: {},
    modelChecker: {
      contracts: { [name]: [contract] },
      engine,
      targets: TARGETS,
      solvers: ['smtlib2'],
      showUnproved: true,
      showProvedSafe: true,
    },
  }
  const solc = require('solc') as {
    compile(input: string, callbacks: object): string
  }
  const { smtSolver, availableSolvers } = require('solc/smtsolver') as {
    smtSolver(query: string): string
    availableSolvers: readonly unknown[]
  }
  if (availableSolvers.length === 0) throw new Error('no SMT solver on the path: install z3')
  const callbacks = { smtSolver: (query: string) => ({ contents: solved(() => smtSolver(query)) }) }
  const output = JSON.parse(solc.compile(JSON.stringify({ ...input, settings }), callbacks))
  const said = (output.errors ?? []) as CompilerError[]
  const isAbout = ({ message }: CompilerError) => /^(BMC|CHC): .*(happens?|safe)/.test(message)
  const results = said.filter(isAbout)
  const proven = results.filter(({ message }) => /check is safe/.test(message))
  const open = results.filter(error => !proven.includes(error))
  return {
    proven: proven.length,
    unproved: open.map(({ message, sourceLocation: at }) => {
      const source = at && input.sources[at.file]?.content.slice(0, at.start)
      const [what] = message.replace(/^\w+: /, '').split(' (')
      return `${at?.file}:${source?.split('\n').length} ${what?.split(' might')[0]?.split(' happens')[0]}`
    }),
  }
}

/** A query that the solver gives up, or cannot read, is one that nothing is known of. */
function solved(solve: () => string): string {
  try {
    return solve()
  } catch {
    return 'unknown\n'
  }
}

function main(args: readonly string[]): void {
  if (args[0] === '--asked') {
    process.stdout.write(JSON.stringify(ask(args[1] as string, args[2] as Engine)))
    return
  }
  const all = readdirSync(SOLIDITY).map(file => file.replace(/\.sol$/, ''))
  for (const contract of args.length > 0 ? args : all.sort()) {
    for (const engine of ENGINES) {
      process.stdout.write(`${JSON.stringify(modelCheck(contract, engine))}\n`)
    }
  }
}

if (process.argv[1] === import.meta.filename) main(process.argv.slice(2))
