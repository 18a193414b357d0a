import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startBucket } from '../../node/test/pieces/s3rver.ts'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { manifestOf } from './manifest.ts'
import { type CairnFailure, cairn, jsonOf, spawnCairn, temporaryDirectory } from './process.ts'

interface Listed {
  volumes: { location: string; state: string; used: number; quota: number; next?: string }[]
}

describe('volumes of a daemon', () => {
  const directory = temporaryDirectory()

  it('are listed, refused when their disk is gone, and given up when the operator says so', async () => {
    const network = join(directory(), 'net.json')
    const dataDir = join(directory(), 'node')
    const place = join(directory(), 'disk2')
    await writeFile(network, manifestOf())
    await writeFile(join(directory(), 'genesis.ssz'), '')
    await cairn(['init', '--data-dir', dataDir, '--network', network, '--json'])
    const settings = [
      'p2p.listen=/ip4/127.0.0.1/tcp/0',
      'api.port=0',
      'p2p.privateAddresses=true',
      'storage.quota=1 GB',
      `storage.volumes=${place}=2 GB`,
    ]
    const flags = settings.flatMap(setting => ['--set', setting])
    const of = (...args: string[]) => [...args, '--data-dir', dataDir, '--json']
    const started = async () => {
      const child = spawnCairn([...of('start'), ...flags])
      const ended = once(child, 'close')
      await once(createInterface(child.stdout), 'line')
      return async () => {
        child.kill('SIGINT')
        assert.deepEqual(await ended, [0, null])
      }
    }
    const list = async () => {
      const { volumes } = jsonOf<Listed>(await cairn(of('volumes')))
      return volumes
    }

    const stop = await started()
    const states = (await list()).map(({ location, state, quota }) => [location, state, quota])
    assert.deepEqual(states, [
      [join(dataDir, 'pieces'), 'present', 1e9],
      [place, 'present', 2e9],
    ])
    const present = await cairn(of('volumes', 'forget', place))
    assert.equal(jsonOf<CairnFailure>(present).error.code, 'volumePresent')
    const rebuilt = jsonOf<{ rebuilt: object[] }>(await cairn(of('volumes', 'rebuild')))
    assert.equal(rebuilt.rebuilt.length, 2)

    await rename(place, `${place}.away`)
    await mkdir(place)
    const away = await cairn(of('volumes', 'rebuild', 'disk2'), { cwd: directory() })
    assert.equal(jsonOf<CairnFailure>(away).error.code, 'volumeMissing')
    assert.deepEqual(
      (await list()).map(({ state }) => state),
      ['present', 'volumeMissing'],
    )
    const status = await cairn(of('status'))
    assert.equal(status.code, EXIT_CODES.notReady.code)
    assert.match(status.stdout, /"volumeAway"/)
    await stop()

    const restarted = await started()
    assert.equal((await list())[1]?.state, 'volumeMissing', 'a place keeps its volume')
    const forgotten = jsonOf(await cairn(of('volumes', 'forget', place)))
    assert.deepEqual(forgotten, { location: place, lost: [] })
    await restarted()
    const again = await started()
    assert.equal((await list())[1]?.state, 'present')
    const label = async (at: string) =>
      JSON.parse(await readFile(join(at, 'volume.json'), 'utf8')) as { volume: string }
    assert.notEqual((await label(place)).volume, (await label(`${place}.away`)).volume)
    await again()
  })

  it('may be buckets, for which keys are needed', async () => {
    const network = join(directory(), 'net.json')
    const dataDir = join(directory(), 'node')
    await writeFile(network, manifestOf())
    await writeFile(join(directory(), 'genesis.ssz'), '')
    await cairn(['init', '--data-dir', dataDir, '--network', network, '--json'])
    const { url, stop, accessKeyId, secretAccessKey } = await startBucket(join(directory(), 's3'))
    const settings = [
      'p2p.listen=/ip4/127.0.0.1/tcp/0',
      'api.port=0',
      'p2p.privateAddresses=true',
      `storage.volumes=${url}/pieces=3 GB`,
    ]
    const flags = settings.flatMap(setting => ['--set', setting])
    const start = ['start', '--data-dir', dataDir, '--json', ...flags]
    const env = {
      CAIRN_STORAGE_S3_ACCESS_KEY_ID: accessKeyId,
      CAIRN_STORAGE_S3_SECRET_ACCESS_KEY: secretAccessKey,
    }
    try {
      const keyless = await cairn(start)
      assert.equal(keyless.code, EXIT_CODES.config.code)
      assert.equal(jsonOf<CairnFailure>(keyless).error.code, 'badConfig')
      const child = spawnCairn(start, { env })
      const ended = once(child, 'close')
      await once(createInterface(child.stdout), 'line')
      const { volumes } = jsonOf<Listed>(await cairn(['volumes', '--data-dir', dataDir, '--json']))
      const [volume] = volumes
      assert.deepEqual([volume?.location, volume?.state], [`${url}/pieces`, 'present'])
      child.kill('SIGINT')
      assert.deepEqual(await ended, [0, null])
    } finally {
      await stop()
    }
  })
})
