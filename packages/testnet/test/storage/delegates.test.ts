import { strict as assert } from 'node:assert'
import { encodeLink, parseLink } from '@cairn/protocol'
import { FileWorld, nameOf } from './file-world.ts'

const NODES = 10
const PROVIDERS = 7
/** Neither offers disk. */
const [AWAY, DELEGATE] = [7, 8]
/** From a death until its deals have ended, and the delegates before were waited for, epochs. */
const HEALED_WITHIN = 18

describe('a file whose client is away', function () {
  this.timeout(600_000)

  it('is repaired by the next delegate that is there, who cannot read it', async () => {
    const network = new FileWorld({ nodes: NODES, providers: PROVIDERS, seed: 5 })
    await network.begin()
    await network.toEpoch(1)
    const [[link, bytes] = assert.fail()] = await network.put(['kept'], 2, 4)
    const { files } = network.client
    await network.toEpoch(4)
    const kept = await network.deals()
    // A provider keeps some of it: named as a delegate, it keeps nothing any more.
    const provider = kept[0]?.provider ?? assert.fail()
    for (const wrong of [[NODES - 1], [99], [DELEGATE, DELEGATE]]) {
      await assert.rejects(network.run(files.delegate(link, wrong)), { code: 'badDelegates' })
    }
    const named = await network.run(files.delegate(link, [AWAY, DELEGATE, provider]))
    assert.deepEqual(named, { groups: 2, delegates: [AWAY, DELEGATE, provider] })
    await network.toEpoch(9)
    assert.ok((await network.deals()).every(deal => deal.provider !== provider))
    const whole = async (epoch: number) => {
      await network.toEpoch(epoch)
      const node = network.node(nameOf(DELEGATE)) ?? assert.fail()
      const deals = await network.deals(node)
      const places = new Set(deals.map(({ group, place }) => `${group} ${place}`))
      return places.size === kept.length
    }
    let epoch = 10
    while (!(await whole(epoch))) assert.ok(++epoch < 9 + HEALED_WITHIN, 'the client repairs it')
    const entrusted = await network.entrusted(nameOf(DELEGATE))
    // The client and the first delegate go; then a provider loses its disk.
    await network.crash(nameOf(NODES - 1))
    await network.crash(nameOf(AWAY))
    const delegate = network.node(nameOf(DELEGATE)) ?? assert.fail()
    const [victim] = await network.deals(delegate)
    await network.crash(nameOf(victim?.provider ?? assert.fail()))
    const death = epoch
    while (await whole(epoch)) assert.ok(++epoch < death + HEALED_WITHIN, 'the loss is seen')
    while (!(await whole(epoch)))
      assert.ok(++epoch < death + HEALED_WITHIN, 'a delegate repairs it')
    const { repairedForOthers } = await network.run(
      delegate.files.repairs(undefined, { now: false }),
    )
    assert.ok(repairedForOthers > 0)
    // Whoever has the link reads it; what the delegate was given opens nothing.
    assert.deepEqual(await network.get(link, delegate), bytes)
    assert.ok(entrusted.length === 2 && entrusted.some(({ masked }) => masked === 1))
    for (const { key } of entrusted) {
      const guess = encodeLink({ ...parseLink(link), key })
      await assert.rejects(network.get(guess, delegate), { code: 'wrongKey' })
    }
  })
})
