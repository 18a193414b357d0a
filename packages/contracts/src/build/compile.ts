/**
 * Solidity to artefacts. The input is gathered whole before the compiler is asked, so its hash
 * says what the artefacts were made of without running it.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CairnError, check } from '@cairn/protocol'
import type { Abi } from 'viem'

const require = createRequire(import.meta.url)
const SOLIDITY = fileURLToPath(new URL('../../solidity/', import.meta.url))

/** Contracts that are deployed; libraries are inlined. */
export const DEPLOYED = [
  'CairnToken',
  'NodeRegistry',
  'Checkpoints',
  'RewardDistributor',
  'Deposits',
  'Access',
  'Slasher',
  'Parameters',
  'Timelock',
  'CairnGovernor',
] as const

/**
 * `osaka` is where the precompiles' prices and the limit per transaction are what the targets were
 * measured with. The intermediate representation saves 5 % on `submit`; many runs because contracts
 * are called far more often than deployed.
 */
const SETTINGS = {
  evmVersion: 'osaka',
  viaIR: true,
  optimizer: { enabled: true, runs: 1_000_000 },
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
} as const

export interface Artifact {
  name: string
  abi: Abi
  bytecode: `0x${string}`
}

export interface CompilerInput {
  language: 'Solidity'
  sources: Record<string, { content: string }>
  settings: typeof SETTINGS
}

interface CompilerOutput {
  errors?: { severity: string; formattedMessage: string }[]
  contracts?: Record<string, Record<string, { abi: Abi; evm: { bytecode: { object: string } } }>>
}

/** The compiler's standard input: `files` by name, ours without it, and all that they import. */
export function compilerInput(files: Readonly<Record<string, string>> = ours()): CompilerInput {
  const sources: Record<string, { content: string }> = {}
  const add = (name: string, content: string) => {
    if (sources[name] !== undefined) return
    sources[name] = { content }
    for (const [, found] of content.matchAll(/^import [^"]*"([^"]+)";/gm)) {
      const path = found as string
      const imported = path.startsWith('.') ? posix.join(posix.dirname(name), path) : path
      add(imported, readSource(imported))
    }
  }
  for (const [name, content] of Object.entries(files)) add(name, content)
  return { language: 'Solidity', sources, settings: SETTINGS }
}

/** SHA-256 of compiler version and input, hexadecimal. */
export function inputHash(input: CompilerInput): string {
  const { version } = require('solc/package.json') as { version: string }
  const sources = Object.entries(input.sources).sort(([a], [b]) => (a < b ? -1 : 1))
  const text = JSON.stringify({ version, sources, settings: input.settings })
  return createHash('sha256').update(text).digest('hex')
}

/** Contract `Name` stands in `Name.sol`. Throws `solidity` with the compiler's own messages, warnings in our sources included. */
export function compile(input: CompilerInput, names: readonly string[] = DEPLOYED): Artifact[] {
  const solc = require('solc') as { compile(input: string): string }
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as CompilerOutput
  const wrong = (output.errors ?? []).filter(
    ({ severity, formattedMessage }) =>
      severity === 'error' || !formattedMessage.includes('@openzeppelin/'),
  )
  if (wrong.length > 0) {
    throw new CairnError('solidity', wrong.map(error => error.formattedMessage).join('\n'))
  }
  return names.map(name => {
    const contract = output.contracts?.[`${name}.sol`]?.[name]
    check(contract !== undefined, 'solidity', `no contract is named ${name}`)
    return { name, abi: contract.abi, bytecode: `0x${contract.evm.bytecode.object}` }
  })
}

function ours(): Record<string, string> {
  const names = readdirSync(SOLIDITY).sort()
  return Object.fromEntries(names.map(name => [name, readSource(name)]))
}

function readSource(name: string): string {
  return readFileSync(name.startsWith('@') ? require.resolve(name) : `${SOLIDITY}${name}`, 'utf8')
}
