import { strict as assert } from 'node:assert'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDirectory } from '@cairn/node/directory'

describe('a directory that an operator names', () => {
  let place = ''
  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'cairn-directory-'))
  })
  afterEach(() => rm(place, { recursive: true, force: true }))

  const modeOf = async (path: string) => (await stat(path)).mode & 0o777

  it('is made with those above it, for the owner alone', async () => {
    await makeDirectory(join(place, 'a/b/c'))
    for (const path of ['a', 'a/b', 'a/b/c']) assert.equal(await modeOf(join(place, path)), 0o700)
  })

  it('stays as it is when it is there', async () => {
    await chmod(place, 0o755)
    await makeDirectory(place)
    assert.equal(await modeOf(place), 0o755)
  })

  it('is refused where a file is, or where the file system has no place for it', async () => {
    const file = join(place, 'file')
    await writeFile(file, '')
    for (const path of [file, join(file, 'below'), '/proc/none', '/proc/none/node']) {
      await assert.rejects(makeDirectory(path), { code: 'badDirectory', facts: { path } })
    }
  })
})
