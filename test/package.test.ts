/** The packages as a stranger gets them: packed, unpacked elsewhere, run without our sources. */
import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import { hashPiece, pieceCid } from '@cairn/protocol'
import { bundled } from './browser/bundle.ts'

const execute = promisify(execFile)

const ROOT = join(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules/.bin')
const NAMES = ['protocol', 'contracts', 'node', 'testnet', 'cli'] as const

const BUILD_TIMEOUT_MS = 240_000

interface Manifest {
  name: string
  version: string
  type: string
  files: string[]
  exports: Record<string, unknown>
  imports?: Record<string, unknown>
  bin?: Record<string, string>
  dependencies?: Record<string, string>
}

describe('the packages', () => {
  /** Inside the tree, so that what others wrote is found in the workspace's node_modules. */
  let place: string

  const unpacked = (name: string) => join(place, 'node_modules/@cairn', name)
  const manifestOf = (name: string): Manifest =>
    JSON.parse(readFileSync(join(unpacked(name), 'package.json'), 'utf8'))
  const filesOf = (name: string) =>
    readdirSync(unpacked(name), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(unpacked(name).length + 1))
  const node = (...args: string[]) => run(process.execPath, args, { cwd: place, env: ENVIRONMENT })

  before(async function () {
    this.timeout(BUILD_TIMEOUT_MS)
    mkdirSync(join(ROOT, 'dist'), { recursive: true })
    place = mkdtempSync(join(ROOT, 'dist/pack-'))
    await run('npm', ['run', '--silent', 'build'], { cwd: ROOT })
    const workspaces = NAMES.flatMap(name => ['-w', `packages/${name}`])
    await run('npm', ['pack', '--silent', '--pack-destination', place, ...workspaces], {
      cwd: ROOT,
    })
    for (const name of NAMES) {
      const { version } = JSON.parse(
        readFileSync(join(ROOT, `packages/${name}/package.json`), 'utf8'),
      ) as Manifest
      mkdirSync(unpacked(name), { recursive: true })
      const tarball = join(place, `cairn-${name}-${version}.tgz`)
      await run('tar', ['-xzf', tarball, '--strip-components=1'], { cwd: unpacked(name) })
    }
  })

  after(() => rmSync(place, { recursive: true, force: true }))

  for (const name of NAMES) {
    describe(`@cairn/${name}`, () => {
      it('exports its sources to the workspace and what was built of them to all others', () => {
        const { exports, type } = manifestOf(name)
        assert.equal(type, 'module')
        assert.deepEqual(exports['.'], {
          'cairn-source': './src/index.ts',
          types: './dist/index.d.ts',
          default: './dist/index.js',
        })
      })

      it('ships built code and nothing else', () => {
        const others = filesOf(name).filter(
          path =>
            !/^dist\/.+(\.js|\.js\.map|\.d\.ts)$/.test(path) &&
            !/^(package\.json|README\.md|LICENSE[^/]*|bin\/[^/]+\.js)$/.test(path),
        )
        assert.deepEqual(others, [])
      })

      it('ships every file that its manifest names', () => {
        const { exports, imports, bin } = manifestOf(name)
        const named = [...targets(exports), ...targets(imports), ...targets(bin)]
        const shipped = new Set(filesOf(name))
        const missing = named.filter(path => !shipped.has(path.replace(/^\.\//, '')))
        assert.deepEqual(missing, [])
      })

      it('depends on every package that its code imports, and imports no source', () => {
        const { dependencies = {}, name: self } = manifestOf(name)
        const undeclared = filesOf(name)
          .filter(path => path.endsWith('.js'))
          .flatMap(path => {
            const code = readFileSync(join(unpacked(name), path), 'utf8')
            return importsOf(code).map(wanted => ({ path, wanted }))
          })
          .filter(({ wanted }) => {
            if (wanted.startsWith('.')) return wanted.endsWith('.ts')
            if (wanted.startsWith('#') || isBuiltin(wanted)) return false
            const packageName = wanted.split('/', wanted.startsWith('@') ? 2 : 1).join('/')
            return packageName !== self && dependencies[packageName] === undefined
          })
          // The command runs its sources in the workspace, and says so in plain JavaScript.
          .filter(({ path }) => !path.startsWith('bin/'))
        assert.deepEqual(undeclared, [])
      })

      it('loads', async () => {
        const { stdout } = await node(
          '--input-type=module',
          '--eval',
          `await import('@cairn/${name}')
           process.stdout.write(import.meta.resolve('@cairn/${name}'))`,
        )
        assert.ok(stdout.endsWith(`${unpacked(name)}/dist/index.js`), stdout)
      })
    })
  }

  it('resolve #crypto to what was built, native under Node', async () => {
    const { stdout } = await node(
      '--input-type=module',
      '--eval',
      `import { hex, sha256 } from '@cairn/protocol'
       const { sha256: native } = await import('./node_modules/@cairn/protocol/dist/crypto/native.js')
       process.stdout.write(String(sha256 === native && hex(sha256(new Uint8Array()))))`,
    )
    assert.equal(stdout, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })

  it('resolve #crypto to what was built, portable in a browser', async () => {
    const code = await bundled(
      `import { hex, sha256 } from '@cairn/protocol'
       import { sha256 as portable } from './node_modules/@cairn/protocol/dist/crypto/portable.js'
       export const result = sha256 === portable && hex(sha256(new Uint8Array()))`,
      null,
      { from: place, conditions: [] },
    )
    assert.equal(
      runInNewContext(`${code}; page.result`, { TextEncoder, TextDecoder }),
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    )
  })

  it('type-check for one who imports them', async () => {
    const uses = NAMES.map(name => `import * as ${name} from '@cairn/${name}'\n`).join('')
    const used = `const digest: Uint8Array = protocol.sha256(new Uint8Array(1))\n`
    writeFileSync(join(place, 'package.json'), '{ "type": "module" }\n')
    writeFileSync(
      join(place, 'consumer.ts'),
      `${uses}${used}export const all = [${NAMES.join(', ')}, digest]\n`,
    )
    // A type of ours that got lost on the way would be `any`, and this no error.
    writeFileSync(
      join(place, 'refused.ts'),
      `import { sha256 } from '@cairn/protocol'\nexport const wrong: number = sha256(new Uint8Array(1))\n`,
    )
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--types', 'node']
    const check = (file: string) =>
      run(
        join(BIN, 'tsc'),
        [...options, '--module', 'nodenext', '--target', 'es2024', '--ignoreConfig', file],
        { cwd: place },
      )
    await check('consumer.ts')
    await assert.rejects(check('refused.ts'), /TS2322/)
  })

  it('start the threads that hash pieces', async () => {
    // Longer than one row, which is hashed without a thread.
    writeFileSync(join(place, 'two-rows'), new Uint8Array(2 ** 21))
    const { bin } = manifestOf('cli')
    const command = join(unpacked('cli'), bin?.cairn as string)
    const { stdout } = await node(command, 'piece', 'cid', 'two-rows')
    assert.ok(stdout.includes(pieceCid(hashPiece(new Uint8Array(2 ** 21)).piece)), stdout)
  })

  it('give the command, which says its version', async () => {
    const { bin, version } = manifestOf('cli')
    assert.ok(bin?.cairn !== undefined)
    const { stdout } = await node(join(unpacked('cli'), bin.cairn), 'version')
    assert.ok(stdout.includes(version), stdout)
  })
})

interface Surroundings {
  cwd: string
  env?: NodeJS.ProcessEnv
}

/** Runs to the end; a failure says what the program printed. */
function run(file: string, args: string[], { cwd, env = process.env }: Surroundings) {
  return execute(file, args, { cwd, env }).catch(cause => {
    const { message, stdout, stderr } = cause as Error & Record<'stdout' | 'stderr', string>
    throw new Error(`${message}\n${stdout}${stderr}`, { cause })
  })
}

/** Without what a workspace's own scripts set: a stranger's shell has no conditions. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|npm_)/.test(name)),
)

/** Files that a map of conditions leads to, the workspace's own sources left out. */
function targets(map: unknown): string[] {
  if (typeof map === 'string') return [map]
  if (typeof map !== 'object' || map === null) return []
  return Object.entries(map)
    .filter(([condition]) => condition !== 'cairn-source')
    .flatMap(([, target]) => targets(target))
}

function importsOf(code: string): string[] {
  const pattern =
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
  return [...code.matchAll(pattern)].map(match => match.slice(1).find(Boolean) as string)
}
