import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BucketVolume, DirectoryVolume, systemClock, volumeCases } from '@cairn/node'
import { startBucket } from './s3rver.ts'

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
