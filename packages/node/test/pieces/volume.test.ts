import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BucketVolume, DirectoryVolume, systemClock, volumeCases } from '@cairn/node'
import { spawnBucket, startBucket } from './s3rver.ts'

const clock = systemClock()

describe('volume: directory', () => {
  for (const { title, run } of volumeCases(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cairn-volume-'))
    const reopen = () => new DirectoryVolume(join(directory, 'volume'))
    return {
      volume: reopen(),
      reopen,
      remove: () => rm(directory, { recursive: true }),
    }
  })) {
    it(title, run)
  }
})

for (const prefix of ['', '/some/prefix']) {
  describe(`volume: bucket${prefix}`, () => {
    for (const { title, run } of volumeCases(async () => {
      const directory = await mkdtemp(join(tmpdir(), 'cairn-volume-'))
      const { url, stop, ...keys } = await startBucket(directory)
      const reopen = () => new BucketVolume({ clock }, { url: url + prefix, ...keys })
      return {
        volume: reopen(),
        reopen,
        async remove() {
          await stop()
          await rm(directory, { recursive: true })
        },
      }
    })) {
      it(title, run)
    }
  })
}

describe('volume: bucket', () => {
  it('lists more names than its service gives at once', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cairn-volume-'))
    const { url, stop, ...keys } = await spawnBucket(directory)
    try {
      const volume = new BucketVolume({ clock }, { url, ...keys })
      for (let at = 0; at < 1_050; at += 50) {
        const placing = Array.from({ length: 50 }, async (_, i) => {
          const staged = await volume.stage([new Uint8Array(0)])
          await staged.place(`x/${at + i}`)
        })
        await Promise.all(placing)
      }
      const names = new Set<string>()
      for await (const { name } of volume.list('x/')) names.add(name)
      assert.equal(names.size, 1_050)
    } finally {
      await stop()
      await rm(directory, { recursive: true })
    }
  }).timeout(60_000)
})
