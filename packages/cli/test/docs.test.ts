import { strict as assert } from 'node:assert'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { EXIT_CODES } from '@cairn/cli'
import { errorCodes, generatedPages } from '../../../docs/generate.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

describe('documentation', () => {
  it('is what the code generates; else run `npm run docs`', async () => {
    for (const [path, content] of await generatedPages()) {
      assert.equal(await readFile(ROOT + path, 'utf8'), content, `${path} is stale: npm run docs`)
    }
  })

  it('lists the code of every error in the sources', async () => {
    const page = await readFile(`${ROOT}docs/interfaces.md`, 'utf8')
    for (const file of globSync('packages/*/src/**/*.ts', { cwd: ROOT })) {
      if (file.includes('/conformance/')) continue
      const source = await readFile(ROOT + file, 'utf8')
      for (const [, code] of source.matchAll(/CairnError\(\s*'(\w+)'/g)) {
        assert.ok(page.includes(`| \`${code}\` |`), `${code} of ${file}: npm run docs`)
      }
    }
  })

  it('gives exit codes only to errors that somebody makes', async () => {
    const made = new Set([...(await errorCodes()).keys(), 'usage', 'internal'])
    const listed = Object.values(EXIT_CODES).flatMap(({ errors }) => errors as readonly string[])
    assert.equal(new Set(listed).size, listed.length, 'an error ends with one code')
    const codes = Object.values(EXIT_CODES).map(({ code }) => code)
    assert.equal(new Set(codes).size, codes.length)
    assert.deepEqual(
      listed.filter(code => !made.has(code)),
      [],
    )
  })
})
