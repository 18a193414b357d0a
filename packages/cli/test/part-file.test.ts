import { strict as assert } from 'node:assert'
import { access, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PartFile } from '../src/part-file.ts'
import { temporaryDirectory } from './process.ts'

describe('a file that comes in parts', () => {
  const directory = temporaryDirectory()

  it('keeps what is here when it cannot have its name, and says why', async () => {
    const path = join(directory(), 'file')
    const init = { path, of: 'x', force: false }
    const part = await PartFile.open(init)
    await part.write(new Uint8Array(1_000).fill(1))
    await mkdir(path)
    await assert.rejects(part.finish(), { code: 'cannotWrite', message: /it is a directory$/ })
    await part.keep()
    await rm(path, { recursive: true })
    const again = await PartFile.open(init)
    assert.equal(again.bytes, 1_000)
    await again.finish()
    assert.equal((await readFile(path)).length, 1_000)
    for (const left of [`${path}.part`, `${path}.part.json`]) {
      await assert.rejects(access(left), { code: 'ENOENT' })
    }
  })
})
