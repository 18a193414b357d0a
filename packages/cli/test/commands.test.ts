import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Api, apiToken, networkIdOf, parseManifest, startApi, systemClock } from '@cairn/node'
import { acquireLock, isAlive, lockPath, readLock } from '@cairn/node/lock'
import { hex } from '@cairn/protocol'
import {
  BROKEN,
  BROKEN_BYTES,
  ENDLESS,
  EPOCH,
  PROPOSAL,
  STALLED,
  STALLED_AFTER,
  STALLED_BYTES,
  type TestView,
  testView,
} from '../../node/test/api/view.ts'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { manifestOf } from './manifest.ts'
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

  it('show what cost bond, and refuse evidence that proves nothing', async () => {
    const plain = ['--data-dir', directory()]
    const listed = await cairn(['penalties', ...plain])
    assert.match(listed.stdout, /epoch 3 {2}node 2 .*100.* two attestations, not taken yet/)
    const shown = await cairn(['penalties', 'show', '3', '2', ...plain])
    assert.match(shown.stdout, /message 2 +02020202\n.*cairn penalties verify 3 2/)
    const verified = await cairn(['penalties', 'verify', '3', '2', ...plain])
    assert.equal(verified.code, EXIT_CODES.notTrue.code)
    assert.match(verified.stdout, /wrong: the checkpoint does not record it/)
    const none = await cairn(['penalties', 'show', '3', '9', ...base])
    assert.equal(none.code, EXIT_CODES.notFound.code)
    assert.match(
      jsonOf<CairnFailure>(none).error.message,
      /^no penalty of node 9 in epoch 3 is kept/,
    )
    const later = await cairn(['penalties', 'show', '9999', '2', ...base])
    assert.match(jsonOf<CairnFailure>(later).error.message, /^epoch 9999 is not accepted yet/)
  })

  it('explain what cost bond beside what was settled', async () => {
    const { stdout } = await cairn(['storage', 'explain', String(EPOCH), '--data-dir', directory()])
    assert.match(
      stdout,
      /\nnode 2: penalised \S+ tokens for two attestations, not taken yet, as far as this node knows\n/,
    )
    assert.match(
      stdout,
      /\n {2}evidence [0-9a-f]{64} against [0-9a-f]{64}\n.*penalties verify 3 2$/m,
    )
    const other = ['storage', 'explain', String(EPOCH), '--node', '1', '--data-dir', directory()]
    assert.doesNotMatch((await cairn(other)).stdout, /penalised/)
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
    assert.match(
      shown.stdout,
      /radio able-able-able \(node 3\), EUI 0016c001f00d0001, EU868: not heard\n {7}it has fallen silent: restart it/,
    )
  })

  it('preview a vote: to the last unit for programs, by gain for people', async () => {
    const asked = ['vote', 'preview', '--set', 'weight.2=2', '--set', 'feeBurn=0.2']
    const found = jsonOf<Record<string, unknown>>(await cairn([...asked, '--epochs', '2', ...base]))
    assert.deepEqual(found.changes, [
      { name: 'weight.2', before: '1', after: '2' },
      { name: 'feeBurn', before: '1', after: '200000' },
    ])
    assert.deepEqual(found.asked, 2)
    const { stdout } = await cairn([...asked, '--data-dir', directory()])
    assert.match(
      stdout,
      /^weight\.2 1 -> 2, feeBurn 0\.000001 -> 0\.2, had it been so in epochs 2 to 3:\n/,
    )
    assert.match(stdout, /\nthis ledger has 2 of the 10 epochs asked for\n/)
    assert.match(stdout, /\n0xab +1180\.591620 -> +0\.000000 +-1180\.591620\n {2}storage +1180/)
    const ofProposal = jsonOf<Record<string, unknown>>(
      await cairn(['vote', 'preview', PROPOSAL.id.slice(0, 12), ...base]),
    )
    assert.deepEqual(ofProposal.changes, [{ name: 'baseShare', before: '1', after: '400000' }])
    assert.match(stdout, /\npaid 0\.000000000000000008 -> 0\.000000000000000008, burned /)
  })

  it('say what is wrong with a vote that is to be previewed', async () => {
    const refused = async (args: string[]) => {
      const { code, stdout } = await cairn(['vote', 'preview', ...args, ...base])
      return [code, jsonOf<CairnFailure>({ code, stdout, stderr: '' }).error.code]
    }
    const usage = EXIT_CODES.usage.code
    assert.deepEqual(await refused([]), [usage, 'usage'])
    assert.deepEqual(await refused(['ffffffffffff']), [EXIT_CODES.notFound.code, 'unknownProposal'])
    assert.deepEqual(await refused(['--set', 'weight.2']), [usage, 'usage'])
    assert.deepEqual(await refused(['--set', 'slotMs=5']), [usage, 'badParameter'])
    assert.deepEqual(await refused(['--set', 'feeBurn=20%']), [usage, 'badParameter'])
    assert.deepEqual(await refused(['--set', 'weight.2=2', '--epochs', '0']), [usage, 'usage'])
    // Elsewhere it is no setting.
    const status = await cairn(['status', '--set', 'weight.2=2', ...base])
    assert.equal(jsonOf<CairnFailure>(status).error.code, 'unknownConfigKey')
  })

  it('do what an operator does with the chain, and say what it came to', async () => {
    const plain = ['--data-dir', directory()]
    const said = async (...args: string[]) => {
      const ended = await cairn([...args, ...plain])
      assert.equal(ended.code, 0, ended.stderr)
      return ended.stdout
    }
    const registered = await said('register', '--kinds', 'coverage', '--at', '64.99,25.43')
    assert.match(registered, /^this is node 3 already, with a bond of 1000 tokens\n/)
    const shown = await said('bond')
    assert.match(shown, /holds +1 ether, 500 tokens\nnode 3, registered\n +bond +1000 tokens/)
    assert.match(shown, /offers +storage and coverage; cell 8c2a100d2c8a1ff, EU868, gain 2 dBi/)
    assert.match(
      await said('bond', 'add', '250.5', '--reference', 'spring'),
      /^node 3 has a bond of 1000 tokens\n +cost 50000 gas, 0.0001 ether, transaction spring/,
    )
    assert.match(
      await said('place', '--gain', '7'),
      /would move for 0 tokens, which are burned; pass --yes/,
    )
    assert.match(
      await said('offer', '--kinds', 'none', '--payout', '07'.repeat(20)),
      /^node 3 offers/,
    )
    assert.match(
      await said('exit'),
      /takes part.*\n.*the bond is free 72 seconds later\n.*kept: .*\n.*lost: /,
    )
    assert.deepEqual(
      node.orders.map(({ act }) => act),
      ['register', 'bond', 'place', 'offer'],
    )
    const [first, bond, place, offer] = node.orders
    assert.ok(first?.act === 'register')
    assert.deepEqual([first.kinds, first.region, (first.cell >> 52n) & 15n], [4, 1, 12n])
    assert.equal(bond?.act === 'bond' && bond.amount, 2505n * 10n ** 17n)
    assert.deepEqual(place, { act: 'place', gain: 7 })
    assert.deepEqual(offer, { act: 'offer', kinds: 0, payout: new Uint8Array(20).fill(7) })
    const dry = await said('offer', '--kinds', 'storage', '--payout', '07'.repeat(20), '--dry-run')
    assert.match(
      dry,
      /^node 3 would offer storage, rewards would go to 0x0707\S+\n +at present it offers storage and/,
    )
    for (const wrong of [
      ['register', '--kinds', 'coverage', '--cell', '8c2a100d2c8a1ff', '--at', '64.99,25.43'],
      ['register', '--kinds', 'storage', '--region', 'EU869'],
    ]) {
      const { error } = jsonOf<CairnFailure>(await cairn([...wrong, '--dry-run', ...base]))
      assert.equal(error.code, 'usage', wrong.join(' '))
    }
    const region = await cairn(['place', '--region', 'EU869', ...plain])
    assert.match(region.stderr, /expected .*EU868/)
    const nowhere = await cairn(['register', '--kinds', 'coverage', ...base])
    assert.equal(jsonOf<CairnFailure>(nowhere).error.code, 'usage')
    const nothing = await cairn(['offer', ...base])
    assert.equal(jsonOf<CairnFailure>(nothing).error.code, 'usage')
  })

  it('refuse to ask the daemon of another network than the one that is named', async () => {
    const file = join(directory(), 'net.json')
    const refused = async (...args: string[]) => {
      const ended = await cairn([...args, '--network', file, ...base])
      assert.equal(ended.code, EXIT_CODES.config.code)
      return jsonOf<CairnFailure>(ended).error.code
    }
    const before = node.orders.length
    assert.equal(await refused('earnings'), 'badManifest')
    assert.equal(await refused('bond', 'add', '5'), 'badManifest')
    await writeFile(file, manifestOf())
    assert.equal(await refused('bond', 'add', '5'), 'otherNetwork')
    assert.equal(node.orders.length, before)
    const { status } = node.view
    const id = networkIdOf(parseManifest(await readFile(file, 'utf8')))
    node.view.status = async () => ({
      ...(await status.call(node.view)),
      network: { id, name: 'demo' },
    })
    assert.equal((await cairn(['bond', 'add', '5', '--network', file, ...base])).code, 0)
  })

  it('say of another operator’s node whose it is, and give it nothing unasked', async () => {
    const plain = ['--data-dir', directory()]
    const standing = node.view.operator
    const other = new Uint8Array(20).fill(9)
    node.view.operator = async choice => {
      const { node: found, ...rest } = await standing(choice)
      return found === undefined ? rest : { ...rest, node: { ...found, operator: other } }
    }
    const shown = await cairn(['bond', ...plain])
    assert.match(shown.stdout, /operator +0x0909\S+, not this account/)
    const exit = await cairn(['exit', ...plain])
    assert.match(exit.stdout, /only its operator 0x0909\S+ takes it out/)
    assert.doesNotMatch(exit.stdout, /exit request/)
    const before = node.orders.length
    const refused = await cairn(['bond', 'add', '5', ...base])
    assert.equal(jsonOf<CairnFailure>(refused).error.code, 'notOperator')
    assert.equal(node.orders.length, before)
    assert.equal((await cairn(['bond', 'add', '5', '--yes', ...plain])).code, 0)
    const claims: boolean[] = []
    const claim = node.view.claim.bind(node.view)
    node.view.claim = async wish => {
      claims.push(wish.dryRun)
      return await claim(wish)
    }
    const kept = jsonOf<CairnFailure>(await cairn(['claim', '--bond', '3', ...base]))
    assert.deepEqual(kept, jsonOf<CairnFailure>(refused))
    const dry = await cairn(['claim', '--bond', '3', '--dry-run', ...plain])
    assert.match(dry.stdout, /^would pay .* the bond of node 3, which is of 0x0909/)
    assert.deepEqual(claims, [true])
    assert.equal((await cairn(['claim', '--bond', '3', '--yes', ...plain])).code, 0)
    assert.deepEqual(claims, [true, false])
  })

  it('show what a registration would be, and that a place is of use to coverage alone', async () => {
    const plain = ['--data-dir', directory()]
    const { operator: standing, order } = node.view
    const bare = { region: 0, gain: 0, cell: 0n, kinds: 2 }
    node.view.operator = async choice => {
      const { node: found, ...rest } = await standing(choice)
      return found === undefined ? rest : { ...rest, node: { ...found, ...bare } }
    }
    node.view.order = async (wish, options) => {
      const { node: found, ...rest } = await order(wish, options)
      if (wish.act === 'register') return { ...rest, done: 'dryRun' }
      return found === undefined ? rest : { ...rest, node: { ...found, ...bare } }
    }
    const where = ['--kinds', 'coverage', '--at', '64.99,25.43', '--gain', '21']
    const registering = await cairn(['register', ...where, '--dry-run', ...plain])
    assert.match(
      registering.stdout,
      /^would register .*\n +offers +coverage; cell 8c\S+, EU868, gain 2\.1 dBi\n +rewards go to +0x/,
    )
    const placed = await cairn(['place', '--at', '64.99,25.43', ...plain])
    assert.match(placed.stdout, /pass --yes.*\n +to +cell 8c\S+, EU868, .*\n.*coverage only, which/)
    const last = node.orders.at(-1)
    assert.equal(last?.act === 'place' && last.region, 1)
  })

  it('claim, and show exactly what was earned and claimed', async () => {
    const plain = ['--data-dir', directory()]
    const { stdout: paid } = await cairn(['claim', ...plain])
    assert.match(paid, /^paid 1 tokens up to epoch 2\n +0x0505.* 1\n +opened the checkpoint/)
    const { stdout: dry } = await cairn(['claim', '--for', '07'.repeat(20), '--dry-run', ...plain])
    assert.match(dry, /^would pay 1 tokens.*\n +0x0707.*\n.*nothing was sent/)
    const { stdout: shown } = await cairn(['earnings', ...plain])
    assert.match(
      shown,
      /earned +3.000000000000000001 tokens up to epoch 3\n +spent +0\n +claimed +1\n/,
    )
    assert.match(
      shown,
      /claimable +1\n +waiting +1.000000000000000001\n.*`cairn claim` opens first/,
    )
    assert.match(shown, /can be claimed from at 2027-01-15T08:00:00.000Z/)
    const both = await cairn(['claim', '--all', '--bond', '3', ...base])
    assert.equal(jsonOf<CairnFailure>(both).error.code, 'usage')
    const wrong = await cairn(['claim', '--for', 'me', ...base])
    assert.equal(jsonOf<CairnFailure>(wrong).error.code, 'usage')
  })

  it('put a file and get it back', async () => {
    const source = join(directory(), 'photo.jpg')
    await writeFile(source, new Uint8Array(3_000_000).fill(1))
    const put = await cairn(['put', source, '--shards', '2/4', ...base])
    const { link, bytes, k, n } = jsonOf<Record<string, unknown>>(put)
    assert.deepEqual([bytes, k, n], [3_000_000, 2, 4])
    assert.equal(node.puts.get(String(link))?.name, 'photo.jpg')
    assert.deepEqual(node.puts.get(String(link))?.options.shape, { data: 2, total: 4 })

    const target = join(directory(), 'again.jpg')
    const got = jsonOf(await cairn(['get', String(link), '-o', target, ...base]))
    assert.deepEqual([got.path, got.bytes], [target, 3_000_000])
    assert.equal(`cairn:${String(got.sha256)}`, link)
    assert.equal((await readFile(target)).length, 3_000_000)
    const again = await cairn(['get', String(link), '-o', target, ...base])
    assert.equal(jsonOf<CairnFailure>(again).error.code, 'fileExists')

    const part = join(directory(), 'part')
    const ranged = jsonOf(
      await cairn(['get', String(link), '-o', part, '--range', '5-14', ...base]),
    )
    assert.equal(ranged.bytes, 10)
    const wrong = await cairn(['get', String(link), '-o', part, '--range', '9-5', ...base])
    assert.equal(wrong.code, EXIT_CODES.usage.code)
  })

  it('tell people what may be lost, and who refused', async () => {
    const source = join(directory(), 'note')
    await writeFile(source, 'x')
    const { stdout, stderr } = await cairn(['put', source, '--data-dir', directory()])
    assert.match(stdout, /^cairn:[0-9a-f]+\n$/)
    assert.match(stderr, /1 B in 1 pieces, 2 of 4: any 2 of the 4 providers may be lost/)
    assert.match(stderr, /node 3 refused: busy\n/)
    assert.match(
      stderr,
      /node 4 refused: priceTooLow \(asked 1152921504606846976, least 2305843009213693952\)/,
    )
  })

  it('go on where a get broke off', async () => {
    const target = join(directory(), 'broken')
    const failed = await cairn(['get', BROKEN, '-o', target, ...base])
    const { error } = jsonOf<CairnFailure>(failed)
    assert.equal(error.code, 'incomplete')
    await assert.rejects(access(target), { code: 'ENOENT' })
    const had = (await readFile(`${target}.part`)).length
    assert.ok(had > 0 && had < BROKEN_BYTES)
    // What is behind the bytes that are safe is fetched again.
    await appendFile(`${target}.part`, 'torn')

    const given = node.given()
    const got = jsonOf(await cairn(['get', BROKEN, '-o', target, ...base]))
    const whole = new Uint8Array(BROKEN_BYTES).fill(1)
    assert.equal(got.bytes, BROKEN_BYTES)
    assert.equal(got.sha256, createHash('sha256').update(whole).digest('hex'))
    assert.ok((await readFile(target)).equals(whole))
    assert.equal(node.given() - given, BROKEN_BYTES - had)
    for (const path of [`${target}.part`, `${target}.part.json`]) {
      await assert.rejects(access(path), { code: 'ENOENT' })
    }
  })

  it('go on after they were killed in the middle', async () => {
    const target = join(directory(), 'killed')
    const child = spawnCairn(['get', STALLED, '-o', target, ...base])
    const record = `${target}.part.json`
    await exists(record)
    child.kill('SIGKILL')
    await once(child, 'close')
    await assert.rejects(access(target), { code: 'ENOENT' })
    const { bytes: had } = JSON.parse(await readFile(record, 'utf8'))
    assert.ok(had > 0 && had <= STALLED_AFTER)

    const given = node.given()
    const got = jsonOf(await cairn(['get', STALLED, '-o', target, ...base]))
    const whole = createHash('sha256').update(new Uint8Array(STALLED_BYTES).fill(1)).digest('hex')
    assert.deepEqual([got.bytes, got.sha256], [STALLED_BYTES, whole])
    assert.equal(node.given() - given, STALLED_BYTES - had)
    const read = await readFile(target)
    assert.equal(createHash('sha256').update(read).digest('hex'), whole)
  })

  it('end in a sentence when the reader of their pipe goes', async () => {
    const child = spawnCairn(['get', ENDLESS, '-o', '-', '--data-dir', directory()])
    const said = text(child.stderr)
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [code] = await once(child, 'close')
    assert.equal(code, EXIT_CODES.failed.code)
    assert.equal(
      await said,
      'error: cannot write to standard output\n  see what has become of its reader\n',
    )
  })

  it('begin anew where the part is of something else', async () => {
    const target = join(directory(), 'mixed')
    await cairn(['get', BROKEN, '-o', target, ...base])
    const source = join(directory(), 'other')
    await writeFile(source, new Uint8Array(10).fill(1))
    const { link } = jsonOf<{ link: string }>(await cairn(['put', source, ...base]))
    const got = jsonOf(await cairn(['get', link, '-o', target, ...base]))
    assert.equal(got.bytes, 10)
    assert.equal((await readFile(target)).length, 10)
  })

  it('say in a sentence why a file cannot be written or read', async () => {
    const source = join(directory(), 'source')
    await writeFile(source, 'abc')
    const { link } = jsonOf<{ link: string }>(await cairn(['put', source, ...base]))
    const nowhere = join(directory(), 'none', 'file')
    const failed = await cairn(['get', link, '-o', nowhere, '--data-dir', directory()])
    assert.equal(
      failed.stderr,
      `error: cannot write ${nowhere}: the directory does not exist\n  name another file with -o, or mend this\n`,
    )
    const folder = await cairn(['get', link, '-o', directory(), '--force', ...base])
    assert.equal(jsonOf<CairnFailure>(folder).error.code, 'cannotWrite')
    assert.match(jsonOf<CairnFailure>(folder).error.message, /it is a directory$/)
    await assert.rejects(access(`${directory()}.part`), { code: 'ENOENT' })
    const missing = await cairn(['put', join(directory(), 'missing'), ...base])
    assert.equal(jsonOf<CairnFailure>(missing).error.code, 'fileNotFound')
    const isFolder = await cairn(['put', directory(), ...base])
    assert.equal(jsonOf<CairnFailure>(isFolder).error.code, 'notAFile')
  })

  it('pack small files and store large ones alone', async () => {
    const paths: string[] = []
    for (const [name, bytes] of Object.entries({ a: 10, large: 5_000_000, empty: 0, b: 20 })) {
      paths.push(join(directory(), name))
      await writeFile(paths.at(-1) as string, new Uint8Array(bytes).fill(bytes % 251))
    }
    const put = jsonOf<{ files: { name: string }[]; uploads: { files: unknown[] }[] }>(
      await cairn(['put', ...paths, ...base]),
    )
    assert.deepEqual(put.uploads.map(({ files }) => files.length).sort(), [1, 3])
    assert.deepEqual(put.files.map(({ name }) => name).sort(), ['a', 'b', 'empty', 'large'])
    assert.deepEqual([...node.puts.values()].map(({ name }) => name).sort(), [
      'a',
      'b',
      'empty',
      'large',
    ])
    const named = await cairn(['put', ...paths, '--name', 'x', ...base])
    assert.equal(named.code, EXIT_CODES.usage.code)
  })

  it('tell what was stored before a put failed', async () => {
    const large = join(directory(), 'large')
    await writeFile(large, new Uint8Array(5_000_000))
    // It is there, and its first byte cannot be read.
    const paths = [large, '/proc/self/mem']
    const failed = await cairn(['put', ...paths, ...base])
    const { error } = jsonOf<CairnFailure>(failed)
    const [link] = [...node.puts.keys()]
    assert.equal(error.code, 'fileUnreadable')
    assert.equal(error.facts.stored, `${link} large`)
    const shown = await cairn(['put', ...paths, '--data-dir', directory()])
    assert.equal(shown.stdout, `${link}\n`)
    assert.match(shown.stderr, /error: .*mem cannot be read.*\n {2}1 of the files are stored: put/)
  })

  it('list what was stored, and take it off the list', async () => {
    const source = join(directory(), 'listed')
    await writeFile(source, 'abc')
    const { link } = jsonOf<{ link: string }>(await cairn(['put', source, ...base]))
    const listed = jsonOf<{ files: { link: string }[] }>(await cairn(['ls', ...base]))
    assert.deepEqual(
      listed.files.map(file => file.link),
      [link],
    )
    const shown = await cairn(['ls', '--data-dir', directory()])
    assert.match(shown.stdout, /3 of 4, needs 2, repairing +listed\n {2}cairn:/)
    const removed = await cairn(['rm', link, '--data-dir', directory()])
    assert.equal(
      removed.stdout,
      'removed listed; 7 deals end by agreement, as their providers can be asked\n',
    )
    const again = await cairn(['rm', link, ...base])
    assert.deepEqual(
      [again.code, jsonOf<CairnFailure>(again).error.code],
      [EXIT_CODES.notFound.code, 'notListed'],
    )
    assert.equal((await cairn(['ls', '--data-dir', directory()])).stdout, 'no files\n')
  })

  it('call no file empty of which nothing is known yet', async () => {
    for (const [name, text] of Object.entries({ 'unseen a': 'x', 'unseen b': '' })) {
      await writeFile(join(directory(), name), text)
      await cairn(['put', join(directory(), name), ...base])
    }
    const shown = await cairn(['ls', '--data-dir', directory()])
    assert.match(shown.stdout, /1 B {2}not known yet +unseen a\n/)
    assert.match(shown.stdout, /0 B {2}empty +unseen b\n/)
  })

  it('show what is left of files and what was repaired, and repair at once', async () => {
    const shown = await cairn(['repairs', 'cairn:x', '--data-dir', directory()])
    assert.equal(
      shown.stdout,
      [
        '1 of 2 groups of pieces are whole; 0 pieces made again since the node started',
        'cairn:x  2 of 4 pieces, needs 2, 1 on their way into a checkpoint, 1 gone; being repaired; delegates 4',
        '  not repaired: tooFewProviders; wait for more providers',
        '  epoch 7  node 5 keeps place 1 no more (gone)',
        '  epoch 9  place 1 made again for node 6',
        '',
      ].join('\n'),
    )
    assert.equal(jsonOf<{ repaired: number }>(await cairn(['repairs', ...base])).repaired, 0)
    const named = await cairn(['delegate', 'cairn:x', '4', '7', '--data-dir', directory()])
    assert.equal(named.stdout, 'nodes 4, 7 may repair its 2 groups, once a checkpoint says so\n')
    const nobody = await cairn(['delegate', 'cairn:x', ...base])
    assert.deepEqual(jsonOf<{ delegates: number[] }>(nobody).delegates, [])
    assert.equal(
      (await cairn(['delegate', 'cairn:x', 'four', ...base])).code,
      EXIT_CODES.usage.code,
    )
    const now = await cairn(['repairs', '--now', ...base])
    assert.equal(jsonOf<{ repaired: number }>(now).repaired, 1)
  })

  it('grant a file to a peer, revoke it and list both', async () => {
    const [link, peer] = ['cairn:some', '12D3KooWAnna']
    const grant = () => cairn(['grant', link, '--to', peer, ...base])
    assert.deepEqual(jsonOf(await grant()).grant, 'cairn-grant:sealed')
    const shown = await cairn(['grant', link, '--to', peer, '--data-dir', directory()])
    assert.equal(shown.stdout, 'cairn-grant:sealed\n')
    assert.match(shown.stderr, /the file can be read by 12D3KooWAnna with\n/)

    const revoked = await cairn(['revoke', link, '--to', peer, '--data-dir', directory()])
    assert.match(revoked.stderr, /its grant still opens the file/)
    const refused = jsonOf<CairnFailure>(await grant())
    assert.equal(refused.error.code, 'grantRevoked')
    const listed = await cairn(['grants', '--data-dir', directory()])
    assert.match(listed.stdout, /^1970-01-01 00:00 {2}12D3KooWAnna {2}bafkzcib 0 {2}revoked 1970/)
    const again = await cairn(['grant', link, '--to', peer, '--again', ...base])
    assert.equal(jsonOf(again).revokedAt, undefined)

    const other = await cairn(['revoke', link, '--to', '12D3KooWBen', ...base])
    assert.deepEqual(
      [other.code, jsonOf<CairnFailure>(other).error.code],
      [EXIT_CODES.notFound.code, 'notGranted'],
    )
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

  it('explain why a witness did not count, and what to do', async () => {
    const where = ['--data-dir', directory()]
    const sentence =
      'node 2 is 120.0 km away, and 100.0 km is the most\n    -> check the cells of both, and the gains that they registered\n'
    const penalised = `node 2: penalised 100 tokens for two attestations, not taken yet, as far as this node knows\n  evidence ${'01'.repeat(32)} against ${'02'.repeat(32)}\n  -> cairn penalties verify 3 2\n`
    const { stdout } = await cairn(['coverage', 'explain', String(EPOCH), ...where])
    assert.equal(
      stdout,
      `node 1: does not count: no gateway that could witness it is within 10 km; node 2 is 120.0 km away, and 100.0 km is the most\n  -> node 2: check the cells of both, and the gains that they registered\n  ${sentence}node 5: withholding: withheld 1, scoreLost 10\n${penalised}`,
    )
    const its = await cairn(['coverage', 'explain', '--node', '2', ...where])
    assert.equal(its.stdout, `beacon of node 1:\n  ${sentence}${penalised}`)
    const numbers = await cairn(['coverage', 'explain', '--node', '2', '--numbers', ...where])
    assert.equal(
      numbers.stdout,
      `node 1: inconclusive (unheard): reports 1\n  witness 2: tooFar: distance 120000\n${penalised}`,
    )
    const json = jsonOf<{ verdicts: unknown[]; explained: { witnesses: unknown[] }[] }>(
      await cairn(['coverage', 'explain', String(EPOCH), '--node', '2', ...base]),
    )
    assert.deepEqual([json.verdicts.length, json.explained[0]?.witnesses.length], [1, 1])
  })

  it('say why a gateway is in no verdict', async () => {
    const where = ['--data-dir', directory()]
    const absent = await cairn(['coverage', 'explain', String(EPOCH), '--node', '9', ...where])
    assert.match(absent.stdout, /^node 9 is no gateway of this epoch\n-> register it for coverage/)
    const idle = await cairn(['coverage', 'explain', String(EPOCH), '--node', '3', ...where])
    assert.match(idle.stdout, /^node 3 was not drawn in this epoch, .*last in epoch 0\)\n-> /)
    const others = await cairn(['coverage', 'explain', String(EPOCH), '--node', '9', ...base])
    assert.deepEqual(jsonOf(others).verdicts, [])
  })

  it('draw a map of an epoch, as GeoJSON and as SVG', async () => {
    const where = ['--data-dir', directory()]
    const printed = await cairn(['coverage', 'map', ...where])
    const { type, features } = JSON.parse(printed.stdout) as { type: string; features: unknown[] }
    assert.deepEqual([type, features.length], ['FeatureCollection', 4])
    const file = join(directory(), 'coverage.svg')
    const written = await cairn(['coverage', 'map', String(EPOCH), '-o', file, ...where])
    assert.equal(written.stdout, `${file}\n`)
    assert.match(await readFile(file, 'utf8'), /^<svg xmlns=[\s\S]*tooFar[\s\S]*<\/svg>\n$/)
    const svg = await cairn(['coverage', 'map', '--format', 'svg', ...where])
    assert.match(svg.stdout, /^<svg /)
    const json = jsonOf<{ format: string }>(await cairn(['coverage', 'map', '-o', file, ...base]))
    assert.equal(json.format, 'svg')
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

  it('say of each deal how it goes on, and what its provider owes', async () => {
    const { stdout } = await cairn(['deals', '--data-dir', directory()])
    const remarks =
      'deposit lasts 12, renewal priceTooLow, owes an answer since epoch 5, withheld, lost from epoch 8 on, contained: a wrong leaf was sealed'
    assert.equal(
      stdout,
      `${'07'.repeat(32)}  client    provider 3          127 B  to epoch 9  ${remarks}\n`,
    )
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
    await assert.rejects(access(join(directory(), 'endless')), { code: 'ENOENT' })
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
