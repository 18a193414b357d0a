import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { manifestOf } from './manifest.ts'
import { type CairnFailure, cairn, jsonOf, spawnCairn, temporaryDirectory } from './process.ts'

describe('daemon', () => {
  const directory = temporaryDirectory()

  it('runs without chain and peers, says what it misses, and stops at Ctrl-C', async () => {
    const network = join(directory(), 'net.json')
    const dataDir = join(directory(), 'node')
    await writeFile(network, manifestOf())
    await writeFile(join(directory(), 'genesis.ssz'), '')
    const init = await cairn(['init', '--data-dir', dataDir, '--network', network, '--json'])
    assert.equal(init.code, 0)

    const settings = ['p2p.listen=/ip4/127.0.0.1/tcp/0', 'api.port=0', 'p2p.privateAddresses=true']
    const flags = settings.flatMap(setting => ['--set', setting])
    const child = spawnCairn(['start', '--data-dir', dataDir, '--json', ...flags])
    const ended = once(child, 'close')
    try {
      const [line] = await once(createInterface(child.stdout), 'line')
      const started = JSON.parse(line) as Record<string, unknown>
      assert.equal(started.peerId, jsonOf(init).peerId)

      const status = await cairn(['status', '--data-dir', dataDir, '--json'])
      assert.equal(status.code, EXIT_CODES.notReady.code)
      const { reasons } = jsonOf<{ reasons: { code: string }[] }>(status)
      assert.deepEqual(
        reasons.map(({ code }) => code),
        ['chain', 'peers'],
      )

      const mqtt = ['--set', 'radio.mqtt.url=mqtt://127.0.0.1']
      const deaf = join(directory(), 'deaf')
      await cairn(['init', '--data-dir', deaf, '--network', network, '--json'])
      const { stdout } = await cairn(['start', '--data-dir', deaf, '--json', ...flags, ...mqtt])
      assert.equal((JSON.parse(stdout) as CairnFailure).error.code, 'badConfig')

      const second = await cairn(['start', '--data-dir', dataDir, '--json', ...flags])
      assert.equal(second.code, EXIT_CODES.taken.code)
      const { error } = jsonOf<CairnFailure>(second)
      assert.deepEqual([error.code, error.facts.pid], ['dataDirLocked', child.pid])
    } finally {
      child.kill('SIGINT')
    }
    assert.deepEqual(await ended, [0, null])
    const after = await cairn(['status', '--data-dir', dataDir, '--json'])
    assert.equal(jsonOf<CairnFailure>(after).error.code, 'notRunning')
  })
})
