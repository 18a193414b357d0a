import { strict as assert } from 'node:assert'
import { FileWorld } from './file-world.ts'

const EPOCHS = 50
/** All but two offer disk; the last one is the client. */
const NODES = 12
const PROVIDERS = 10
/** A dead provider's shards are found out and made again in at most so many epochs. */
const HEALED_WITHIN = 12
const DEATHS_MIN = 4

describe('files whose providers die one after another for fifty epochs', function () {
  this.timeout(600_000)

  it('stay readable in every epoch, and are whole again after every death', async () => {
    const network = new FileWorld({ nodes: NODES, providers: PROVIDERS, seed: 11 })
    await network.begin()
    await network.toEpoch(1)
    const files = new Map([
      ...(await network.put(['alone'], 3, 6)),
      ...(await network.put(['packed', 'beside'], 2, 5)),
    ])
    const repairs = () => network.run(network.client.files.repairs(undefined, { now: false }))
    let wholeSince = 0
    let spare = Number.POSITIVE_INFINITY
    for (let epoch = 2; epoch <= EPOCHS; epoch++) {
      await network.toEpoch(epoch)
      for (const [link, bytes] of files) assert.deepEqual(await network.get(link), bytes)
      for (const { shards = 0, k } of await network.run(network.client.files.list())) {
        spare = Math.min(spare, shards - k)
      }
      const { groups, whole, shown } = await repairs()
      assert.equal(groups, 4, 'a group of shards and one of manifests for each upload')
      wholeSince = whole === groups ? wholeSince + 1 : 0
      const dead = network.died.at(-1)
      const isNoticed =
        dead === undefined ||
        shown.some(({ losses }) => losses.some(loss => loss.epoch > dead.epoch))
      const sick = dead === undefined || (isNoticed && wholeSince > 0) ? 0 : epoch - dead.epoch
      assert.ok(sick <= HEALED_WITHIN, `not whole ${sick} epochs after ${dead?.name} died`)
      // Somebody else dies once the last death was noticed and healed.
      if (epoch > 3 && isNoticed && wholeSince > 1) await network.kill(epoch)
    }
    const { repaired, shown } = await repairs()
    const lost = shown.reduce((sum, { losses }) => sum + losses.length, 0)
    assert.ok(network.died.length >= DEATHS_MIN, `${network.died.length} deaths`)
    assert.ok(lost > network.died.length && spare > 0, `${lost} losses, ${spare} shards to spare`)
    assert.equal(repaired, lost, 'each place is made again once')
    assert.deepEqual(network.failures, [])
  })
})
