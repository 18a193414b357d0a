import { strict as assert } from 'node:assert'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { cairn, spawnCairn } from './process.ts'

const FIELD = ['radio', 'field', '--seed', '7', '--json']

/** What a line of the command says, as far as it matters here. */
interface Line {
  gateway?: string
  eui?: string
  cell?: string
  apart?: number
  cheat?: string | null
  device?: string
  summary?: { pulled: number }
}

function linesOf(stdout: string): Line[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Line)
}

describe('cairn radio field', function () {
  this.timeout(120_000)

  it('prints the same places for the same seed', async () => {
    const server = createSocket('udp4')
    server.on('message', ([version, high, low, kind], from) => {
      if (kind !== 2) return
      server.send(Buffer.from([version, high, low, 4] as number[]), from.port, from.address)
    })
    server.bind({ address: '127.0.0.1', port: 0 })
    await once(server, 'listening')
    const args = [...FIELD, '--gateways', '8', '--seconds', '2', '--cheats', 'spoofed=2']
    args.push('--server', `127.0.0.1:${server.address().port}`)
    const [one, other] = await Promise.all([cairn(args), cairn(args)])
    server.close()
    const places = (ended: typeof one) => linesOf(ended.stdout).slice(0, 8)
    assert.deepEqual([one.code, other.code], [0, 0])
    assert.deepEqual(places(one), places(other))
    const [first, last] = [places(one)[0], places(one)[7]]
    assert.deepEqual([first?.gateway, first?.eui], ['gw1', '8e284b4d1225fc6b'])
    assert.equal(first?.cell, '8c08d1800625bff')
    assert.ok(last?.cheat === 'spoofed' && (last.apart ?? 0) > 2_980)
  })

  it('speaks to a server until it is interrupted, and says where it never answered', async () => {
    const server = createSocket('udp4')
    server.bind({ address: '127.0.0.1', port: 0 })
    await once(server, 'listening')
    const args = ['--gateways', '3', '--server', `localhost:${server.address().port}`]
    const child = spawnCairn([...FIELD, ...args, '--traffic', 'devices=1,every=60'])
    const stdout = text(child.stdout)
    const closed = once(child, 'close')
    for (const asked = new Set<string>(); asked.size < 3; ) {
      const [bytes] = (await once(server, 'message')) as [Buffer]
      if (bytes[3] === 2) asked.add(bytes.subarray(4, 12).toString('hex'))
    }
    child.kill('SIGINT')
    const [code] = await closed
    server.close()
    const lines = linesOf(await stdout)
    assert.equal(code, EXIT_CODES.failed.code)
    assert.deepEqual(
      lines.map(line => line.gateway ?? line.device ?? 'summary'),
      ['gw1', 'gw2', 'gw3', 'dev1', 'summary'],
    )
    assert.ok((lines.at(-1)?.summary?.pulled ?? 0) >= 3)
  })

  it('refuses what it cannot be', async () => {
    const wrong = [
      ['--server', 'nowhere'],
      ['--server', '127.0.0.1:0'],
      ['--model', 'none'],
      ['--cheats', 'thief=1'],
      ['--cheats', 'mute=51'],
      ['--traffic', 'often'],
      ['--gateways', '513'],
      ['--area', '1'],
    ]
    const codes = await Promise.all(
      wrong.map(async args => (await cairn([...FIELD, '--seconds', '1', ...args])).code),
    )
    assert.deepEqual(
      codes,
      wrong.map(() => EXIT_CODES.usage.code),
    )
  })
})
