import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type FoundingRecord,
  readRecord,
  recordPath,
  writeOnce,
  writeRecord,
} from '../../src/founding/record.ts'

const RECORD: FoundingRecord = {
  schema: 1,
  chainId: 1,
  account: `0x${'aB'.repeat(20)}`,
  nonce: 3,
  fromBlock: 17,
  calls: `0x${'01'.repeat(32)}`,
}

describe('the record of a founding', () => {
  let directory: string
  let path: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-record-'))
    path = recordPath(directory)
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  it('reads back what it wrote, and nothing where nothing was begun', async () => {
    assert.equal(await readRecord(path), undefined)
    await writeRecord(path, RECORD)
    assert.deepEqual(await readRecord(path), RECORD)
    assert.deepEqual(await readdir(directory), ['founding.json'])
  })

  it('says that it is damaged, and what to do, whatever is in the file', async () => {
    const { nonce: _, ...short } = RECORD
    const damages = [
      '',
      '{',
      'null',
      '[]',
      JSON.stringify(RECORD).slice(0, -1),
      JSON.stringify(short),
      JSON.stringify({ ...RECORD, more: 1 }),
      JSON.stringify({ ...RECORD, schema: 2 }),
      JSON.stringify({ ...RECORD, nonce: -1 }),
      JSON.stringify({ ...RECORD, account: '0x12' }),
      JSON.stringify({ ...RECORD, calls: `0x${'zz'.repeat(32)}` }),
    ]
    for (const text of damages) {
      await writeFile(path, text)
      await assert.rejects(readRecord(path), { code: 'foundingDamaged', next: /another directory/ })
    }
    await rm(path)
    await mkdir(path)
    await assert.rejects(readRecord(path), { code: 'foundingDamaged' })
  })

  it('writes a file once, and lets nobody have another', async () => {
    const file = join(directory, 'network.json')
    const bytes = Uint8Array.of(1, 2)
    // Left by a process that died while it wrote.
    await writeFile(`${file}.new`, 'half')
    await writeOnce(file, bytes)
    await writeOnce(file, bytes)
    assert.deepEqual(new Uint8Array(await readFile(file)), bytes)
    await assert.rejects(writeOnce(file, Uint8Array.of(1)), { code: 'fileExists' })
  })
})
