/** The fuzz and invariant tests in Solidity, run by forge, each as a test of its own here. */
import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))
const LIMIT_MS = 600_000
/** Contracts with tests: should forge find none, that is no success. */
const SUITES = [
  'CairnGovernor',
  'CairnToken',
  'Checkpoints',
  'Deposits',
  'Money',
  'NodeRegistry',
  'Parameters',
  'RewardDistributor',
  'Signers',
  'Slasher',
]

interface ForgeResult {
  status: 'Success' | 'Failure' | 'Skipped'
  reason: string | null
  counterexample: unknown
}

type Suites = Record<string, { test_results: Record<string, ForgeResult> }>

describe('forge', () => {
  it('passes every test in Solidity', async function () {
    this.timeout(LIMIT_MS)
    const suites = await forgeTest(AbortSignal.timeout(LIMIT_MS - 10_000))
    const failures = Object.entries(suites).flatMap(([suite, { test_results }]) =>
      Object.entries(test_results)
        .filter(([, { status }]) => status !== 'Success')
        .map(([name, { status, reason, counterexample }]) => {
          const example = JSON.stringify(counterexample)?.slice(0, 2_000)
          return `${suite} ${name}: ${status} ${reason ?? ''} ${example}`
        }),
    )
    assert.deepEqual(failures, [])
    const found = Object.keys(suites).map(name => name.replace(/^.*:(.*)Test$/, '$1'))
    assert.deepEqual(found.sort(), SUITES.toSorted())
    for (const [name, { test_results }] of Object.entries(suites)) {
      assert.ok(Object.keys(test_results).length > 0, `${name} has no tests`)
    }
  })
})

/** Rejects with what forge and the compiler said when it did not get as far as the tests. */
async function forgeTest(signal: AbortSignal): Promise<Suites> {
  const home = await mkdtemp(join(tmpdir(), 'cairn-forge-'))
  try {
    const child = spawn(forgeBinary(), ['test', '--json', '-R', openZeppelin()], {
      cwd: PACKAGE,
      // The compiler's script is run by the Node that runs this; forge's own files go with the home.
      env: {
        HOME: home,
        PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
        NO_COLOR: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    })
    const exit = once(child, 'close')
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), exit])
    const json = output.slice(output.indexOf('{'))
    assert.ok(json.startsWith('{'), `${errors}${output}`.slice(-4_000))
    return JSON.parse(json) as Suites
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

function openZeppelin(): string {
  const path = createRequire(import.meta.url).resolve('@openzeppelin/contracts/package.json')
  return `@openzeppelin/contracts/=${dirname(path)}/`
}

/** The platform's binary that npm installed. */
function forgeBinary(): string {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const launcher = createRequire(import.meta.url).resolve('@foundry-rs/forge/package.json')
  const file = process.platform === 'win32' ? 'forge.exe' : 'forge'
  return createRequire(launcher).resolve(`@foundry-rs/forge-${platform}/bin/${file}`)
}
