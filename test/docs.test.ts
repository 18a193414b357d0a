/** The pages that people read: what they point to exists, and what they count is what the code says. */
import { strict as assert } from 'node:assert'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

const PAGES = [
  join(ROOT, 'README.md'),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.md'))
    .map(name => join(ROOT, 'docs', name)),
]

/** Targets of links in the page's own tree, without their fragments. */
function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => (target as string).split('#')[0] as string)
    .filter(target => target !== '' && !/^[a-z]+:/.test(target))
}

function pathsOf(text: string): string[] {
  return [...text.matchAll(/\b(?:packages|docs|test|bench)\/[A-Za-z0-9._/-]*[A-Za-z0-9_]/g)].map(
    ([path]) => path,
  )
}

/** Headings as the anchors that they become. */
function anchorsOf(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      (title as string)
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** Dependencies of all packages that their sources name, our own left out. */
function importedPackages(): string[] {
  const imported = new Set<string>()
  for (const name of readdirSync(join(ROOT, 'packages'))) {
    const manifest = join(ROOT, 'packages', name, 'package.json')
    if (!existsSync(manifest)) continue
    const { dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8'))
    const code = sourcesOf(join(ROOT, 'packages', name, 'src'))
    for (const dependency of Object.keys(dependencies)) {
      if (dependency.startsWith('@cairn/')) continue
      if (code.includes(`'${dependency}'`) || code.includes(`'${dependency}/`)) {
        imported.add(dependency)
      }
    }
  }
  return [...imported]
}

function sourcesOf(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => readFileSync(join(directory, file), 'utf8'))
    .join('\n')
}

describe('the pages', () => {
  for (const page of PAGES) {
    const name = relative(ROOT, page)
    const text = readFileSync(page, 'utf8')

    it(`${name}: every relative link leads to a file`, () => {
      const broken = linksOf(text).filter(target => !existsSync(join(dirname(page), target)))
      assert.deepEqual(broken, [])
    })

    it(`${name}: every fragment is a heading of the page`, () => {
      const anchors = anchorsOf(text)
      const broken = [...text.matchAll(/\]\(#([^)\s]+)\)/g)]
        .map(([, fragment]) => fragment as string)
        .filter(fragment => !anchors.has(fragment))
      assert.deepEqual(broken, [])
    })

    it(`${name}: every path into the tree exists`, () => {
      const broken = pathsOf(text).filter(path => !existsSync(join(ROOT, path)))
      assert.deepEqual(broken, [])
    })
  }

  it('README.md: its table of dependencies is what the packages import', () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
    const section = readme.split('\n## Dependencies\n')[1]?.split('\n## ')[0] ?? ''
    const listed = [...section.matchAll(/^\| ([^|]+) \|/gm)]
      .flatMap(([, cell]) => [...(cell as string).matchAll(/`([^`]+)`/g)])
      .map(([, name]) => name as string)
    assert.deepEqual(listed.toSorted(), importedPackages().toSorted())
  })

  it('docs/architecture.md: each bound stands in its file with its name', () => {
    const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')
    const section = text.split('\n## Bounds\n')[1] ?? ''
    const missing: string[] = []
    for (const row of section.matchAll(/^\| (`[^|]+) \|[^|]+\|[^|]+\| ([^|]+) \|$/gm)) {
      const [names, files] = [row[1], row[2]].map(cell =>
        [...(cell as string).matchAll(/`([^`]+)`/g)].map(([, item]) => item as string),
      ) as [string[], string[]]
      const code = files.map(file => readFileSync(join(ROOT, file), 'utf8')).join('\n')
      for (const bound of names) if (!code.includes(`const ${bound} =`)) missing.push(bound)
    }
    assert.deepEqual(missing, [])
  })
})
