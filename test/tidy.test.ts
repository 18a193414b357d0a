/** Rules of the house that no compiler knows. Each message says what to do instead. */
import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, join, relative } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** It spells what it refuses. */
const SELF = 'test/tidy.test.ts'

/** Files larger than this are data. */
const TEXT_MAX_BYTES = 512 * 1024

/** Which packages of the workspace a package may import. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  contracts: ['protocol'],
  node: ['protocol', 'contracts'],
  testnet: ['protocol', 'contracts', 'node'],
  dashboard: ['protocol'],
  cli: ['protocol', 'contracts', 'node', 'testnet'],
}

/** Parts of the node that know the ports only. */
const CORE = /^packages\/node\/src\/(kinds|ledger|checkpoints)\//
const ADAPTERS = /^packages\/node\/src\/((network|store|chain|radio)\/|pieces\/store\.ts$)/

/** The one place that meets Node's own modules in code that a browser runs. */
const NATIVE = 'packages/protocol/src/crypto/native.ts'

const SCRIPTS = new Set(['.ts', '.tsx', '.js', '.mjs'])

interface File {
  path: string
  text: string
  /** The text with comments blanked out, line for line; just the text when it is no script. */
  code: string
}

interface Rule {
  title: string
  /** Files the rule is about. */
  in: RegExp
  /** Files it does not hold for, each with the reason. */
  except?: Readonly<Record<string, string>>
  /** What must not be found; `text` looks into comments too. */
  refuse: RegExp
  where?: 'text'
  instead: string
}

const RULES: readonly Rule[] = [
  {
    title: 'reads the environment in the command only',
    in: /^packages\/(?!cli\/)[^/]+\/src\//,
    except: { 'packages/contracts/src/anvil.ts': 'its child needs PATH' },
    refuse: /\bprocess\.env\b/,
    instead: 'take the value in `init`; packages/cli reads the environment',
  },
  {
    title: 'takes the time from a clock',
    in: /^packages\/(protocol\/src|node\/src|testnet\/src\/(sim|field))\//,
    except: {
      'packages/node/src/clock.ts': 'it is the machine’s clock behind the port',
      'packages/node/src/drand.ts':
        'how long an HTTP relay may take is no matter of the clock port',
      'packages/testnet/src/sim/clock.ts': 'it lets promises settle between events of virtual time',
    },
    refuse:
      /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|(?<![.\w#])(setTimeout|setInterval|setImmediate)\(|\bAbortSignal\.timeout\b|'node:timers/,
    instead: 'take the time as a number, or a `Clock` (packages/node/src/ports.ts) and `deadline`',
  },
  {
    title: 'takes randomness from its caller',
    in: /^packages\/[^/]+\/src\//,
    refuse: /\bMath\.random\b/,
    instead:
      'take a `Randomness` (packages/node/src/ports.ts), or a seeded generator in a simulator',
  },
  {
    title: 'draws no random bytes in logic',
    in: /^packages\/(protocol\/src|node\/src\/(kinds|ledger|checkpoints))\//,
    refuse: /\b(getRandomValues|randomBytes|randomUUID|randomInt)\b/,
    instead: 'take the bytes as a value, or a `Randomness` (packages/node/src/ports.ts)',
  },
  {
    title: 'is erasable TypeScript',
    in: /\.tsx?$/,
    refuse: /^\s*(export\s+)?(declare\s+)?((const\s+)?enum|namespace)\s+\w+\s*\{/m,
    instead: 'write `const Name = { ... } as const` and a type of its values, or a module',
  },
  {
    title: 'promises nothing for later',
    in: /./,
    refuse: /\b(TODO|FIXME|XXX)\b/,
    where: 'text',
    instead: 'do it now, or say in docs/ what is not built',
  },
  {
    title: 'runs every test',
    in: /\.tsx?$/,
    refuse: /\b(describe|context|it|specify)\.(skip|only)\b|\bx(describe|it)\(|\bthis\.skip\(/,
    instead: 'mend the test or delete it; fail loudly where a tool is missing',
  },
  {
    title: 'catches no error to forget it',
    in: /\.tsx?$/,
    refuse: /\bcatch\s*(\(\w*\))?\s*\{\s*\}/,
    where: 'text',
    instead: 'let it pass, or handle it and say why that is right',
  },
  {
    title: 'keeps the type checker on',
    in: /\.tsx?$/,
    refuse: /@ts-(ignore|nocheck|expect-error)|\bas any\b/,
    where: 'text',
    instead: 'give the value its type, or narrow it with `check`',
  },
  {
    title: 'names things for what they do',
    in: /\.tsx?$/,
    refuse:
      /\b(class|interface|type|function)\s+\w*(Manager|Helper|Helpers|Utils|Impl|Processor)\b/,
    instead: 'use the term of the vocabulary in docs/',
  },
  {
    title: 'speaks of itself alone',
    in: /./,
    refuse:
      /\bissue #\d|\b(this|an?|the|last|previous|earlier|next|another) (coding |chat )?session\b|\bsub-?agent\b|(?<![\w.\-/])\/(work|root|home\/\w+)\/\w/i,
    where: 'text',
    instead: 'say what is so now; name files by their path in the repository',
  },
]

/** Where names of topics and direct protocols are put together; conformance suites use made-up ones. */
const NAMED_IN = /^packages\/node\/src\/(ledger\/topics|network\/(network|host))\.ts$/

describe('the tree', () => {
  const files = tracked()
  const sources = files.filter(({ path }) => /^packages\/[^/]+\/src\//.test(path) && isScript(path))

  it('is read whole', () => {
    for (const name of ['protocol', 'contracts', 'node', 'testnet', 'cli']) {
      const found = sources.filter(({ path }) => path.startsWith(`packages/${name}/src/`))
      assert.ok(found.length > 0, `no source of packages/${name}`)
    }
  })

  for (const rule of RULES) {
    it(rule.title, () => {
      const exempt = Object.keys(rule.except ?? {})
      for (const path of exempt)
        assert.ok(existsSync(join(ROOT, path)), `${path} is gone; so is its exemption`)
      const subject = files.filter(({ path }) => rule.in.test(path) && !exempt.includes(path))
      report(
        subject.flatMap(file => found(file, rule)),
        rule.instead,
      )
    })
  }

  it('lets packages depend one way', () => {
    const wrong = sources.flatMap(({ path, code }) => {
      const name = packageOf(path)
      return importsOf(code)
        .filter(wanted => wanted.startsWith('@cairn/'))
        .filter(wanted => !ARROWS[name]?.includes(wanted.split('/')[1] as string))
        .map(wanted => `${path} imports ${wanted}`)
    })
    report(wrong, 'move the code to where the arrow ends, or declare a port and pass it in')
  })

  it('lists in package.json no package that the arrows refuse', () => {
    const wrong = Object.entries(ARROWS).flatMap(([name, allowed]) => {
      const path = `packages/${name}/package.json`
      if (!existsSync(join(ROOT, path))) return []
      const { dependencies = {} } = JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
      return Object.keys(dependencies)
        .filter(wanted => wanted.startsWith('@cairn/') && !allowed.includes(wanted.slice(7)))
        .map(wanted => `${path} depends on ${wanted}`)
    })
    report(wrong, 'dependencies: cli -> testnet -> node -> protocol, contracts -> protocol')
  })

  it('imports other packages by name', () => {
    const wrong = sources.flatMap(({ path, code }) =>
      relativeImports(path, code)
        .filter(target => packageOf(target) !== packageOf(path))
        .map(target => `${path} imports ${target}`),
    )
    report(wrong, 'export it from the package’s src/index.ts and import `@cairn/<package>`')
  })

  it('keeps the protocol package free of Node', () => {
    const wrong = sources
      .filter(({ path }) => packageOf(path) === 'protocol' && path !== NATIVE)
      .flatMap(({ path, code }) => [
        ...importsOf(code)
          .filter(wanted => wanted.startsWith('node:'))
          .map(wanted => `${path} imports ${wanted}`),
        ...lines({ path, code }, /\b(process|Buffer|__dirname|require)\b\s*[.(]/),
      ])
    report(wrong, `take it as a value, or use '#crypto'; only ${NATIVE} meets Node`)
  })

  it('lets proof kinds, ledger and checkpoints know ports, never adapters', () => {
    const wrong = sources
      .filter(({ path }) => CORE.test(path))
      .flatMap(({ path, code }) =>
        relativeImports(path, code)
          .filter(target => ADAPTERS.test(target))
          .map(target => `${path} imports ${target}`),
      )
    report(wrong, 'import the port from packages/node/src/ports.ts; the daemon passes the adapter')
  })

  it('starts a command without what only a daemon needs', () => {
    const pattern = /^(?:import|export)(?! type)[^'"]*from '@cairn\/(?:node|testnet|contracts)'/m
    const wrong = sources
      .filter(({ path }) => path.startsWith('packages/cli/src/'))
      .flatMap(({ path, code }) => lines({ path, code }, pattern))
    report(
      wrong,
      'await import(...) it where it is used: with libp2p and viem a start takes seconds',
    )
  })

  it('spells a topic or protocol in one place', () => {
    const wrong = sources
      .filter(({ path }) => !NAMED_IN.test(path) && !path.includes('/conformance/'))
      .flatMap(({ path, code }) => lines({ path, code }, /['"`]\/cairn\//))
    report(wrong, 'call the function in packages/node/src/ledger/topics.ts')
  })

  it('gives a direct protocol’s name by its constant', () => {
    const wrong = sources
      .filter(({ path }) => !path.includes('/conformance/'))
      .flatMap(({ path, code }) =>
        lines({ path, code }, /network\.(serve\(\s*['"`]|request\(\s*[\w.]+,\s*['"`])/),
      )
    report(wrong, 'export the name as a constant beside its codec and use that')
  })

  it('names files for what is in them', () => {
    const wrong = files
      .flatMap(({ path }) => path.split('/').map(part => ({ path, part: part.split('.')[0] })))
      .filter(({ part }) =>
        /^(utils?|helpers?|common|types|misc|shared|services|managers)$/.test(part ?? ''),
      )
      .map(({ path }) => path)
    report(wrong, 'name the file after its subject; a type lives beside its owner')
  })
})

describe('the tidy test', () => {
  const look = (code: string, pattern: RegExp) =>
    lines({ path: 'a.ts', code: blanked(code) }, pattern)

  it('reads code, not comments, and counts lines', () => {
    const code = "const a = 'http://b' // now()\n/* now()\n */\nconst b = `//` + now()\n"
    assert.deepEqual(look(code, /now\(/), ['a.ts:4: const b = `//` + now()'])
  })

  it('finds imports of every form', () => {
    const code =
      "import 'a'\nimport b from 'b'\nimport {\n  c,\n} from 'c'\nexport * from 'd'\nawait import('e')\nimport type F from 'f'\n// import 'g'\n"
    assert.deepEqual(importsOf(blanked(code)), ['a', 'b', 'c', 'd', 'e', 'f'])
  })

  it('refuses what its rules name', () => {
    const refused: Record<string, string> = {
      'reads the environment in the command only': 'const home = process.env.HOME',
      'takes the time from a clock': 'await new Promise(done => setTimeout(done, 5))',
      'takes randomness from its caller': 'const n = Math.random()',
      'draws no random bytes in logic': 'const key = randomBytes(32)',
      'is erasable TypeScript': 'export const enum A { b }',
      'promises nothing for later': '// TODO: later',
      'runs every test': "it.skip('works')",
      'catches no error to forget it': 'try { f() } catch (e) {\n}',
      'keeps the type checker on': '// @ts-ignore',
      'names things for what they do': 'class PeerManager {}',
      'speaks of itself alone': '// see /work/main/a.ts',
    }
    for (const { title, refuse } of RULES) {
      assert.match(refused[title] ?? '', refuse, title)
    }
  })
})

function tracked(): File[] {
  const list = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'],
    { cwd: ROOT, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 },
  )
  return list
    .split('\0')
    .filter(path => path !== '' && path !== SELF && path !== 'package-lock.json')
    .filter(path => existsSync(join(ROOT, path)))
    .map(path => ({ path, bytes: readFileSync(join(ROOT, path)) }))
    .filter(({ bytes }) => bytes.length <= TEXT_MAX_BYTES && !bytes.includes(0))
    .map(({ path, bytes }) => {
      const text = bytes.toString('utf8')
      return { path, text, code: isScript(path) ? blanked(text) : text }
    })
}

function isScript(path: string): boolean {
  return SCRIPTS.has(extname(path))
}

/** Strings are skipped, for a `//` in them begins no comment; regular expressions hold none here. */
function blanked(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g
  return text.replace(token, part => (part.startsWith('/') ? part.replace(/[^\n]/g, ' ') : part))
}

function importsOf(code: string): string[] {
  const pattern = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"\n]+)['"]/g
  return [...code.matchAll(pattern)].map(match => match[1] as string)
}

/** Paths from the root. */
function relativeImports(path: string, code: string): string[] {
  return importsOf(code)
    .filter(wanted => wanted.startsWith('.'))
    .map(wanted => relative(ROOT, join(ROOT, dirname(path), wanted)))
}

function packageOf(path: string): string {
  const [top, name] = path.split('/')
  return top === 'packages' && name !== undefined ? name : `(${basename(path)})`
}

function found(file: File, rule: Rule): string[] {
  return lines(
    { path: file.path, code: rule.where === 'text' ? file.text : file.code },
    rule.refuse,
  )
}

/** `path:line: the line` of each place that matches. */
function lines({ path, code }: { path: string; code: string }, pattern: RegExp): string[] {
  const all = new RegExp(pattern.source, `${pattern.flags.replace('g', '')}g`)
  return [...code.matchAll(all)].map(match => {
    const at = match.index + (match[0].length - match[0].trimStart().length)
    const line = code.slice(0, at).split('\n').length
    return `${path}:${line}: ${code.split('\n')[line - 1]?.trim()}`
  })
}

function report(wrong: readonly string[], instead: string): void {
  if (wrong.length > 0) assert.fail(`\n  ${wrong.join('\n  ')}\n  Instead: ${instead}`)
}
