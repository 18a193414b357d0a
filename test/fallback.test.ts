/**
 * A network of which more than a third of the weight is gone: real daemons, a real chain, and contracts
 * that wait a few epochs before nodes check in.
 */
import { strict as assert } from 'node:assert'
import { accepted, quickTestnet, type Running, until } from './network.ts'

/** Three epochs of five seconds, and two, s. */
const FALLBACK = { fallbackAfter: 15n, fallbackWindow: 10n }
/** Twenty epochs, on a machine that has other work, ms. */
const SOON_MS = 240_000
const TEST_MS = 400_000

describe('a network of real daemons of which two of five are gone', function () {
  this.timeout(TEST_MS)
  let running: Running | undefined
  after(() => running?.end())

  it('goes on with those who check in, and sums stay exact', async () => {
    running = await quickTestnet({ nodes: 5, parameters: FALLBACK, seed: 31 })
    const { testnet } = running
    await accepted(testnet, 1)
    await testnet.fault('stop', ['node1', 'node5'])
    const { chain } = testnet.daemon('node2')
    const all = () => chain.checkpointsAt(chain.head()?.number ?? 0n)
    const found = await until(
      SOON_MS,
      () => all().find(({ formed }) => formed !== undefined),
      formed => formed !== undefined,
    )
    assert.ok(found !== undefined)
    assert.equal(found.formed?.members.length, 3)
    await until(
      SOON_MS,
      () => testnet.running().map(({ daemon }) => daemon.node.checkpointer.adopted),
      adopted => adopted.length === 3 && adopted.every(epoch => epoch >= found.epoch + 4),
    )
    assert.deepEqual(chain.cancelled(), [])
    for (const { name, daemon } of testnet.running()) {
      const recomputed = await daemon.node.settlements.recompute(found.epoch)
      assert.equal(recomputed?.equal, true, name)
    }
    // Sums exact to the last unit, and no penalties: the monitor looks at every epoch.
    assert.deepEqual(testnet.monitor.violations, [])
  })
})
