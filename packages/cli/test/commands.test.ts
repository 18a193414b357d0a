import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Api, apiToken, startApi, systemClock } from '@cairn/node'
import { acquireLock, isAlive, lockPath, readLock } from '@cairn/node/lock'
import { hex } from '@cairn/protocol'
import { BROKEN, ENDLESS, EPOCH, type TestView, testView } from '../../node/test/api/view.ts'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { type CairnFailure, cairn, jsonOf, spawnCairn, temporaryDirectory } from './process.ts'

const silent = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silent,
}

/** No process has it: Linux counts to 2^22. */
const NO_PID = 2 ** 22 + 1

describe('commands of a running node', () => {
  const directory = temporaryDirectory()
  let node: TestView
  let api: Api
  let base: string[]

  beforeEach(async () => {
    node = await testView()
    const tokenPath = join(directory(), 'api.token')
    const token = await apiToken(tokenPath)
    const components = { view: node.view, clock: systemClock(), log: silent, metrics: node.metrics }
    api = await startApi(components, { port: 0, token })
    // Held by a process that is no more, so that `stop` waits for nobody.
    const lock = JSON.stringify({ pid: NO_PID, api: { url: api.url, tokenPath } })
    await writeFile(lockPath(directory()), lock)
    base = ['--data-dir', directory(), '--json']
  })
  afterEach(async () => {
    await api.stop()
    await node.close()
  })

  it('tell whether it is of use, by exit code too', async () => {
    const useful = await cairn(['status', ...base])
    assert.deepEqual([useful.code, jsonOf(useful).ready], [0, true])
    node.health.ready = false
    const useless = await cairn(['status', ...base])
    assert.deepEqual([useless.code, jsonOf(useless).ready], [EXIT_CODES.notReady.code, false])
    const shown = await cairn(['status', '--data-dir', directory()])
    assert.match(
      shown.stdout,
      /able-able-able .* on demo: of no use now\n.*\n {2}fail No chain RPC/,
    )
  })

  it('put a file and get it back, whole or not at all', async () => {
    const source = join(directory(), 'photo.jpg')
    await writeFile(source, new Uint8Array(3_000_000).fill(1))
    const put = await cairn(['put', source, '--copies', '3', ...base])
    const { link, bytes } = jsonOf<{ link: string; bytes: number }>(put)
    assert.equal(bytes, 3_000_000)
    assert.equal(node.puts.get(link)?.options.name, 'photo.jpg')

    const target = join(directory(), 'again.jpg')
    const got = jsonOf(await cairn(['get', link, '-o', target, ...base]))
    assert.deepEqual([got.path, got.bytes], [target, 3_000_000])
    assert.equal(`cairn:${String(got.sha256)}`, link)
    assert.equal((await readFile(target)).length, 3_000_000)

    const again = await cairn(['get', link, '-o', target, ...base])
    assert.equal(jsonOf<CairnFailure>(again).error.code, 'fileExists')
    const broken = join(directory(), 'broken')
    const failed = await cairn(['get', BROKEN, '-o', broken, ...base])
    assert.equal(jsonOf<CairnFailure>(failed).error.code, 'incomplete')
    for (const path of [broken, `${broken}.part`]) {
      await assert.rejects(access(path), { code: 'ENOENT' })
    }
  })

  it('put what comes from a pipe, and get into one', async () => {
    const put = jsonOf(await cairn(['put', '-', ...base], { input: 'ab' }))
    assert.equal(put.bytes, 2)
    const got = await cairn(['get', String(put.link), '-o', '-', '--data-dir', directory()])
    assert.deepEqual(Buffer.from(got.stdout), Buffer.from([1, 1]))
  })

  it('pass on the daemon’s own errors with their codes', async () => {
    const missing = await cairn(['get', 'cairn:none', '-o', '-', ...base])
    assert.equal(missing.code, EXIT_CODES.notFound.code)
    assert.equal(jsonOf<CairnFailure>(missing).error.code, 'notFound')
    const malformed = await cairn(['ledger', 'show', '../status', ...base])
    assert.deepEqual(
      [malformed.code, jsonOf<CairnFailure>(malformed).error.code],
      [EXIT_CODES.usage.code, 'badRequest'],
    )
  })

  it('prove, and verify without the node', async () => {
    const file = join(directory(), 'proof.json')
    const id = hex(node.ids[2] as Uint8Array)
    await cairn(['ledger', 'prove', id, '-o', file, ...base])
    await api.stop()

    const offline = jsonOf(await cairn(['ledger', 'verify', file, '--json']))
    assert.deepEqual([offline.valid, offline.against, offline.leaf], [true, 'file', id])
    const root = String(offline.checkpointRoot)
    const known = await cairn(['ledger', 'verify', file, '--checkpoint-root', root, '--json'])
    assert.deepEqual([known.code, jsonOf(known).against], [0, 'checkpointRoot'])
    const other = await cairn(['ledger', 'verify', file, '--checkpoint-root', '00', '--json'])
    assert.deepEqual(
      [other.code, jsonOf<CairnFailure>(other).error.code],
      [EXIT_CODES.notTrue.code, 'otherCheckpoint'],
    )

    const proof = JSON.parse(await readFile(file, 'utf8')) as { index: number }
    await writeFile(file, JSON.stringify({ ...proof, index: proof.index + 1 }))
    const false_ = await cairn(['ledger', 'verify', file, '--json'])
    assert.deepEqual(
      [false_.code, jsonOf<CairnFailure>(false_).error.code],
      [EXIT_CODES.notTrue.code, 'badProof'],
    )
  })

  it('prove payouts and recompute epochs', async () => {
    const account = `0x${'05'.repeat(20)}`
    const proof = jsonOf<{ field: string }>(
      await cairn(['ledger', 'prove', '--payout', account, ...base]),
    )
    assert.equal(proof.field, 'payouts')
    const redone = await cairn(['ledger', 'recompute', String(EPOCH), ...base])
    assert.deepEqual([redone.code, jsonOf(redone).equal], [0, true])
    const text = await cairn(['ledger', 'recompute', String(EPOCH), '--data-dir', directory()])
    assert.match(text.stdout, /^equal: .*\nnode 1: debts: open 2, oldest 3\n/)
    assert.match(text.stdout, /\nnode 1: penalty 10000000000000000000 for 0{64}\n$/)
    const page = jsonOf<{ messages: unknown[]; next?: string }>(
      await cairn(['ledger', 'show', '--epoch', String(EPOCH), '--limit', '2', ...base]),
    )
    assert.deepEqual([page.messages.length, typeof page.next], [2, 'string'])
  })

  it('explain why a witness did not count', async () => {
    const where = [String(EPOCH), '--node', '2', '--data-dir', directory()]
    const { stdout } = await cairn(['coverage', 'explain', ...where])
    assert.equal(
      stdout,
      'node 1: fail (tooFar): metres 120000\n  witness 2: tooFar: metres 120000\n',
    )
    const others = await cairn(['coverage', 'explain', String(EPOCH), '--node', '9', ...base])
    assert.deepEqual(jsonOf(others).verdicts, [])
  })

  it('look at what is stored, and fail where a leaf was not given', async () => {
    const { code, stdout } = await cairn(['audit', '--data-dir', directory()])
    assert.equal(code, EXIT_CODES.notTrue.code)
    assert.equal(
      stdout,
      `${'00'.repeat(32)}  provider 4  timeout, verifiers will ask it\n1 of 2 deals gave the leaf\n`,
    )
    assert.equal(jsonOf<{ audits: unknown[] }>(await cairn(['audit', ...base])).audits.length, 2)
  })

  it('explain what providers owe', async () => {
    const where = ['--data-dir', directory()]
    const { stdout } = await cairn(['storage', 'explain', String(EPOCH), '--node', '5', ...where])
    assert.equal(stdout, 'node 5: withholding: withheld 1, scoreLost 10\n')
    const none = await cairn(['storage', 'explain', String(EPOCH), '--node', '9', ...where])
    assert.equal(none.stdout, `no challenge in epoch ${EPOCH}\n`)
  })

  it('find it by its lock alone, not on the port where another may listen', async () => {
    const { port } = new URL(api.url)
    await rm(lockPath(directory()))
    const stopped = await cairn(['status', '--set', `api.port=${port}`, ...base])
    assert.equal(stopped.code, EXIT_CODES.notRunning.code)
    const { code, message } = jsonOf<CairnFailure>(stopped).error
    assert.deepEqual([code, message], ['notRunning', `no daemon runs on ${directory()}`])
    await writeFile(lockPath(directory()), JSON.stringify({ pid: process.pid }))
    const starting = await cairn(['status', ...base])
    assert.match(jsonOf<CairnFailure>(starting).error.message, /not ready yet/)
  })

  it('do not stop a process that runs other nodes too, and say what does', async () => {
    const lock = await acquireLock(directory(), process.pid, { stopWith: 'cairn testnet fault' })
    await lock.publish({ url: api.url, tokenPath: join(directory(), 'api.token') })
    const ended = await cairn(['stop', ...base])
    assert.equal(ended.code, EXIT_CODES.taken.code)
    const { code, next } = jsonOf<CairnFailure>(ended).error
    assert.deepEqual([code, next], ['sharedProcess', 'stop this one with `cairn testnet fault`'])
    assert.equal((await cairn(['status', ...base])).code, 0, 'it goes on')
  })

  it('stop it', async () => {
    const ended = await cairn(['stop', ...base])
    assert.equal(jsonOf(ended).stopped, true)
    await node.stopped
  })

  it('end well at the first Ctrl-C', async () => {
    const part = join(directory(), 'endless.part')
    const child = spawnCairn(['get', ENDLESS, '-o', join(directory(), 'endless'), ...base])
    child.stdout.setEncoding('utf8')
    let stdout = ''
    child.stdout.on('data', text => {
      stdout += text
    })
    await exists(part)
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    assert.equal(code, EXIT_CODES.interrupted.code)
    assert.equal(JSON.parse(stdout).error.code, 'interrupted')
    await assert.rejects(access(part), { code: 'ENOENT' })
  })
})

describe('lock of the data directory', () => {
  const directory = temporaryDirectory()

  it('is held by one process and names it to others', async () => {
    const lock = await acquireLock(directory(), process.pid)
    await assert.rejects(acquireLock(directory(), NO_PID), error => {
      const { code, message, facts } = error as { code: string; message: string; facts: object }
      assert.equal(code, 'dataDirLocked')
      assert.ok(message.includes(String(process.pid)) && message.includes(directory()))
      assert.deepEqual(facts, { pid: process.pid, path: lockPath(directory()) })
      return true
    })
    await lock.publish({ url: 'http://127.0.0.1:1', tokenPath: '/t' })
    assert.deepEqual((await readLock(directory()))?.api, {
      url: 'http://127.0.0.1:1',
      tokenPath: '/t',
    })
    await lock.release()
    await (await acquireLock(directory(), NO_PID)).release()
  })

  it('is taken over from a process that was killed, whatever it left', async () => {
    for (const left of [JSON.stringify({ pid: NO_PID }), '{"pid":', '']) {
      await mkdir(directory(), { recursive: true })
      await writeFile(lockPath(directory()), left)
      const lock = await acquireLock(directory(), process.pid)
      await lock.release()
    }
    assert.equal(isAlive(NO_PID), false)
  })
})

const POLL_MS = 20

async function exists(path: string): Promise<void> {
  const clock = systemClock()
  for (;;) {
    const found = await access(path).then(
      () => true,
      () => false,
    )
    if (found) return
    await clock.until(clock.now() + POLL_MS)
  }
}
