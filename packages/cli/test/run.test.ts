import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MNEMONIC_WORDS } from '@cairn/protocol'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { manifestOf } from './manifest.ts'
import { type CairnFailure, cairn, jsonOf, temporaryDirectory } from './process.ts'

const BIN = fileURLToPath(new URL('../bin/cairn.js', import.meta.url))
const WORDS = `${'abandon '.repeat(23)}art`

describe('cairn', () => {
  const directory = temporaryDirectory()

  it('shows examples and grouped commands', async () => {
    const { code, stdout } = await cairn(['--help'])
    assert.equal(code, 0)
    assert.match(stdout, /^Examples:/)
    for (const group of ['Run:', 'Storage:', 'Ledger:', 'Develop:'])
      assert.ok(stdout.includes(group))
  })

  it('prints its version', async () => {
    const ended = await cairn(['version', '--json'])
    assert.match(jsonOf<{ version: string }>(ended).version, /^\d+\.\d+\.\d+$/)
  })

  it('runs from its bin file, sources in the workspace', () => {
    const args = ['--conditions=cairn-source', BIN, 'version']
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    assert.deepEqual([status, stdout.startsWith('cairn ')], [0, true])
  })

  it('says what to do where Node is too old', () => {
    const old = `Object.defineProperty(process, 'versions', {
      value: { ...process.versions, node: '20.1.0' },
    })`
    const args = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, BIN, 'version']
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    assert.equal(status, EXIT_CODES.usage.code)
    assert.match(stderr, /needs Node.js 22.13 or newer; this is 20.1.0 .*\nInstall/)
  })

  it('suggests what an unknown option or command was meant to be', async () => {
    const option = await cairn(['put', 'x', '--shard', '2/4'])
    assert.equal(option.code, EXIT_CODES.usage.code)
    assert.match(option.stderr, /unknown option '--shard'\n\(Did you mean --shards\?\)/)
    const command = await cairn(['stats', '--json'])
    assert.equal(command.code, EXIT_CODES.usage.code)
    const { error } = jsonOf<CairnFailure>(command)
    assert.deepEqual([error.code, /Did you mean status/.test(error.message)], ['usage', true])
    assert.equal(command.stderr, '')
  })

  it('ends with 2 for every value that cannot be', async () => {
    const wrong = [
      ['testnet', 'up', '--nodes', '0'],
      ['testnet', 'up', '--nodes', '65'],
      ['testnet', 'up', '--nodes', '4', '--providers', '5'],
      ['testnet', 'up', '--checkpoints', '0'],
      ['testnet', 'fault', 'explode'],
      ['simulate', '--nodes', '0'],
      ['simulate', '--epochs', '0'],
      ['simulate', '--nodes', '2', '--crashed', '3'],
      ['simulate', '--loss', '1'],
      ['ledger', 'show'],
      ['ledger', 'show', '--epoch', 'now'],
      ['ledger', 'show', '--epoch', '1', '--limit', '0'],
      ['ledger', 'prove'],
      ['ledger', 'recompute', '-1'],
      ['coverage', 'explain', 'all'],
      ['coverage', 'explain', '1', '--node', 'me'],
      ['config', 'show', '--log-level', 'loud'],
      ['status', '--set', 'api.port'],
      ['nonsense'],
      ['ledger'],
    ]
    const codes = await Promise.all(
      wrong.map(async args => {
        const dirs = ['--data-dir', join(directory(), 'none'), '--json']
        return [...args, (await cairn([...args, ...dirs])).code].join(' ')
      }),
    )
    assert.deepEqual(
      codes,
      wrong.map(args => [...args, EXIT_CODES.usage.code].join(' ')),
    )
  })

  it('says what was expected of a value, and what was found', async () => {
    const said = [
      [['coverage', 'explain', 'abc'], "epoch: expected a whole number, found 'abc'"],
      [
        ['coverage', 'explain', '--node', 'me'],
        "--node <index>: expected a whole number, found 'me'",
      ],
    ] as const
    for (const [args, expected] of said) {
      const { code, stderr } = await cairn([...args])
      assert.equal(code, EXIT_CODES.usage.code)
      assert.ok(stderr.startsWith(`error: ${expected}\n`), stderr)
    }
  })

  it('shows an unexpected error short, and whole when debugging', async () => {
    // A directory in the place of the seed is nothing that the command foresees.
    const dataDir = join(directory(), 'a')
    await mkdir(join(dataDir, 'seed'), { recursive: true, mode: 0o700 })
    const args = ['start', '--data-dir', dataDir]
    const short = await cairn(args)
    assert.equal(short.code, EXIT_CODES.bug.code)
    assert.match(short.stderr, /^error: unexpected: EISDIR.*\n {2}run with --log-level debug/)
    assert.doesNotMatch(short.stderr, /\n\s+at /)
    const whole = await cairn([...args, '--log-level', 'debug'])
    assert.match(whole.stderr, /\n\s+at /)
  })

  it('writes no colour into a pipe', async () => {
    const { stdout } = await cairn(['init', '--data-dir', join(directory(), 'a')])
    assert.equal(stdout.includes('\x1b'), false)
  })

  describe('init', () => {
    it('makes a directory and a seed for the owner alone, and shows the words once', async () => {
      const dataDir = join(directory(), 'node')
      const ended = await cairn(['init', '--data-dir', dataDir, '--json'])
      assert.equal(ended.code, 0)
      const { mnemonic, name, account, peerId, missing } = jsonOf<Record<string, string>>(ended)
      assert.equal(mnemonic?.split(' ').length, MNEMONIC_WORDS)
      assert.match(name ?? '', /^\w+-\w+-\w+$/)
      assert.match(account ?? '', /^0x[0-9a-f]{40}$/)
      assert.match(peerId ?? '', /^12D3KooW/)
      assert.equal(missing?.length, 3)
      assert.equal((await stat(dataDir)).mode & 0o777, 0o700)
      const seed = join(dataDir, 'seed')
      assert.equal((await stat(seed)).mode & 0o777, 0o600)
      assert.equal(await readFile(seed, 'utf8'), `${mnemonic}\n`)
    })

    it('takes words from a file, and does not print them', async () => {
      const file = join(directory(), 'words')
      await writeFile(file, `  ${WORDS.toUpperCase()}\n`)
      const args = ['init', '--mnemonic-file', file, '--json', '--data-dir']
      const first = await cairn([...args, join(directory(), 'a')])
      const second = await cairn([...args, join(directory(), 'b')])
      assert.equal(first.stdout.includes('abandon'), false)
      assert.equal(jsonOf(first).peerId, jsonOf(second).peerId)
      // The first account of the words in every wallet.
      assert.equal(jsonOf(first).account, '0xf278cf59f82edcf871d630f28ecc8056f25c1cdb')
    })

    it('refuses words that are none, before it writes anything', async () => {
      const file = join(directory(), 'words')
      await writeFile(file, 'abandon abandon')
      const dataDir = join(directory(), 'a')
      const ended = await cairn(['init', '--mnemonic-file', file, '--json', '--data-dir', dataDir])
      assert.equal(jsonOf<CairnFailure>(ended).error.code, 'mnemonicLength')
      await assert.rejects(stat(dataDir), { code: 'ENOENT' })
    })

    it('never overwrites a seed', async () => {
      const dataDir = join(directory(), 'node')
      await cairn(['init', '--data-dir', dataDir])
      const seed = await readFile(join(dataDir, 'seed'), 'utf8')
      const again = await cairn(['init', '--data-dir', dataDir, '--json'])
      assert.equal(again.code, EXIT_CODES.taken.code)
      assert.equal(jsonOf<CairnFailure>(again).error.code, 'alreadyInitialised')
      assert.equal(await readFile(join(dataDir, 'seed'), 'utf8'), seed)
    })

    it('gives up at once where there can be no directory', async () => {
      const ended = await cairn(['init', '--data-dir', '/proc/none/node', '--json'])
      assert.equal(jsonOf<CairnFailure>(ended).error.code, 'badDirectory')
      assert.equal(ended.code, EXIT_CODES.config.code)
    })

    it('refuses a manifest that is none, and leaves no half of a node', async () => {
      const file = join(directory(), 'net.json')
      await writeFile(file, '{}')
      const dataDir = join(directory(), 'node')
      const ended = await cairn(['init', '--data-dir', dataDir, '--network', file, '--json'])
      assert.equal(ended.code, EXIT_CODES.config.code)
      assert.equal(jsonOf<CairnFailure>(ended).error.code, 'badManifest')
      await assert.rejects(stat(dataDir), { code: 'ENOENT' })
    })

    it('refuses a manifest without its genesis state, and takes it once that is there', async () => {
      const file = join(directory(), 'net.json')
      await writeFile(file, manifestOf())
      const dataDir = join(directory(), 'node')
      const args = ['init', '--data-dir', dataDir, '--network', file, '--json']
      const ended = await cairn(args)
      assert.equal(ended.code, EXIT_CODES.config.code)
      const { error } = jsonOf<CairnFailure>(ended)
      assert.equal(error.code, 'badManifest')
      assert.match(error.message, /genesis\.ssz is not there/)
      await assert.rejects(stat(dataDir), { code: 'ENOENT' })
      await writeFile(join(directory(), 'genesis.ssz'), 'state')
      assert.equal((await cairn(args)).code, 0)
      assert.equal(await readFile(join(dataDir, 'genesis.ssz'), 'utf8'), 'state')
    })
  })

  describe('start', () => {
    const startCode = async (dataDir: string) => {
      const ended = await cairn(['start', '--data-dir', dataDir, '--json'])
      return jsonOf<CairnFailure>(ended).error
    }

    it('says what is missing first', async () => {
      const dataDir = join(directory(), 'node')
      const nothing = await startCode(dataDir)
      assert.deepEqual(
        [nothing.code, /cairn init/.test(nothing.next ?? '')],
        ['notInitialised', true],
      )
      await cairn(['init', '--data-dir', dataDir])
      const { code, message } = await startCode(dataDir)
      assert.deepEqual([code, message.includes('network.json')], ['badManifest', true])
    })

    it('refuses a seed that others may read', async () => {
      const dataDir = join(directory(), 'node')
      await cairn(['init', '--data-dir', dataDir])
      await chmod(join(dataDir, 'seed'), 0o644)
      const { code, next } = await startCode(dataDir)
      assert.deepEqual([code, next], ['seedReadable', `run: chmod 600 ${join(dataDir, 'seed')}`])
    })
  })

  it('says that no daemon runs, for every command that needs one', async () => {
    const commands = [
      ['status'],
      ['stop'],
      ['peers'],
      ['ledger', 'show', '--epoch', '1'],
      ['get', 'x', '-o', '-'],
    ]
    for (const args of commands) {
      const ended = await cairn([...args, '--data-dir', directory(), '--json'])
      assert.equal(ended.code, EXIT_CODES.notRunning.code, args.join(' '))
      assert.equal(jsonOf<CairnFailure>(ended).error.code, 'notRunning')
    }
  })

  describe('piece cid', () => {
    it('prints both names of a file and of standard input', async () => {
      const file = join(directory(), 'zeros')
      await writeFile(file, new Uint8Array(127))
      // The commitment of 127 zero bytes is the published one of an empty 128-byte piece.
      const v1 = 'baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy'
      const fromFile = await cairn(['piece', 'cid', file, '--json'])
      assert.deepEqual([jsonOf(fromFile).v1, jsonOf(fromFile).bytes], [v1, 127])
      assert.match(String(jsonOf(fromFile).v2), /^bafkzcib/)
      const piped = await cairn(['piece', 'cid', '-', '--json'], { input: '\0'.repeat(127) })
      assert.deepEqual(jsonOf(piped), jsonOf(fromFile))
    })

    it('says what is wrong with a file', async () => {
      const missing = await cairn(['piece', 'cid', 'nowhere', '--json'])
      assert.deepEqual(
        [missing.code, jsonOf<CairnFailure>(missing).error.code],
        [EXIT_CODES.notFound.code, 'fileNotFound'],
      )
      const folder = await cairn(['piece', 'cid', directory(), '--json'])
      assert.equal(jsonOf<CairnFailure>(folder).error.code, 'notAFile')
    })
  })
})
