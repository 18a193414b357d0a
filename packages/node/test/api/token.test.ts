import { strict as assert } from 'node:assert'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apiToken, carriesToken } from '../../src/api/token.ts'

describe('API token', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-token-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('is made once, for the owner alone', async () => {
    const path = join(directory, 'token')
    const [first, second] = [await apiToken(path), await apiToken(path)]
    assert.match(first, /^[0-9a-f]{64}$/)
    assert.equal(second, first)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.notEqual(await apiToken(join(directory, 'other')), first)
  })

  it('is refused in a form that nobody made', async () => {
    const path = join(directory, 'token')
    await writeFile(path, '')
    await assert.rejects(apiToken(path), { code: 'badToken' })
  })

  it('is read from a bearer header only', () => {
    assert.equal(carriesToken('Bearer abc', 'abc'), true)
    assert.equal(carriesToken('bearer abc', 'abc'), true)
    for (const header of [
      undefined,
      '',
      'abc',
      'Bearer',
      'Bearer ab',
      'Bearer abcd',
      'Basic abc',
    ]) {
      assert.equal(carriesToken(header, 'abc'), false, header)
    }
  })
})
