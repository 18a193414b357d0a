import { strict as assert } from 'node:assert'
import { MessageType } from '@cairn/protocol'
import { FileWorld } from './file-world.ts'
import { pattern, stream } from './world.ts'

/** From a deal's signature until it has begun and ended again, epochs. */
const OVER_WITHIN = 12

describe('files that are removed', function () {
  this.timeout(600_000)

  it('cost nothing any more, nor do uploads that fail, and the others stay', async () => {
    const network = new FileWorld({ nodes: 7, providers: 5, seed: 3 })
    await network.begin()
    await network.toEpoch(1)
    const kept = await network.put(['kept'], 1, 2)
    const [packed = '', beside = ''] = (await network.put(['packed', 'beside'], 1, 2)).keys()
    await assert.rejects(network.run(breakingPut(network)), /the source broke/)
    const aborted = new AbortController()
    const failing = network.client.files.put([{ name: 'x', bytes: stream(pattern(3_000, 1)) }], {
      shape: { data: 2, total: 5 },
      signal: aborted.signal,
    })
    const waiting = () => network.client.node.ingest.pendingStanding(MessageType.deal).length
    const { clock } = network.world
    // As soon as somebody has signed the rest is given up.
    for (const already = waiting(); waiting() === already; ) {
      await clock.run({ until: clock.now() + 5 })
    }
    aborted.abort()
    await assert.rejects(network.run(failing), { name: 'AbortError' })
    await network.toEpoch(3)
    const carried = (await network.deals()).length
    assert.ok(carried > 8, `of ${carried} deals some are of the upload that was given up`)
    const { files } = network.client
    const first = await network.run(files.remove(packed))
    assert.deepEqual([first.ending, first.others], [0, 1])
    const last = await network.run(files.remove(beside))
    assert.deepEqual([last.ending, last.others], [4, 0])
    await network.toEpoch(3 + OVER_WITHIN)
    assert.equal((await network.deals()).length, 4)
    const [[link, bytes] = assert.fail()] = kept
    assert.deepEqual(await network.get(link), bytes)
    const listed = await network.run(files.list())
    assert.deepEqual(
      listed.map(({ name, shards }) => [name, shards]),
      [['kept', 2]],
    )
    await assert.rejects(network.run(files.remove(beside)), { code: 'notListed' })
  })
})

async function breakingPut(network: FileWorld): Promise<void> {
  const { signal } = new AbortController()
  const broken = (async function* () {
    yield pattern(100, 1)
    throw new Error('the source broke')
  })()
  await network.client.files.put([{ name: 'x', bytes: broken }], {
    shape: { data: 1, total: 2 },
    signal,
  })
}
