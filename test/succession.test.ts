/**
 * What nodes do when the chain takes checkpoints back: real daemons, a real chain, and contracts that
 * leave time to do it.
 */
import { strict as assert } from 'node:assert'
import { checkpointsAbi, testDeployer } from '@cairn/contracts'
import type { AcceptedCheckpoint } from '@cairn/node'
import { Checkpoint as CheckpointCodec, checkpointRoot, decode } from '@cairn/protocol'
import type { Testnet } from '@cairn/testnet'
import { createPublicClient, createWalletClient, http, toHex } from 'viem'
import { accepted, quickTestnet, type Running, until } from './network.ts'

/** Nothing is ever active, s. */
const HOUR = 3_600n
/** A few epochs of five seconds, on a machine that has other work, ms. */
const SOON_MS = 120_000
const TEST_MS = 300_000

describe('a cancelled checkpoint', function () {
  this.timeout(TEST_MS)
  let running: Running | undefined
  after(() => running?.end())

  it('is voted again by all, whoever restarts meanwhile, and the network goes on', async () => {
    running = await quickTestnet({ parameters: { activationDelay: HOUR }, seed: 21 })
    const { testnet } = running
    const first = await accepted(testnet, 1)
    const { epoch } = first
    const retreats = new Map(
      testnet.running().map(({ name, daemon }) => [name, lastKept(daemon.node.checkpointer)]),
    )
    await cancel(testnet, epoch)
    await testnet.fault('stop', ['node3'])
    for (const [name, kept] of retreats) {
      if (name !== 'node3') assert.ok((await kept) < epoch, `${name} goes back`)
    }
    await testnet.fault('start', ['node3'])

    await until(
      SOON_MS,
      () => testnet.running().map(({ daemon }) => daemon.node.checkpointer.adopted),
      all => all.length === 4 && all.every(adopted => adopted >= epoch + 2),
    )
    const landed = checkpoints(testnet)
    const again = landed[epoch + 1]
    assert.ok(again && again.round > first.round, `round ${again?.round} after ${first.round}`)
    for (const [at, { checkpoint, root }] of landed.entries()) {
      const { parent } = decode(CheckpointCodec, checkpoint)
      assert.deepEqual(checkpointRoot(decode(CheckpointCodec, checkpoint)), root)
      if (at > 0) assert.deepEqual(parent, landed[at - 1]?.root)
    }
    for (const { name, daemon } of testnet.running()) {
      for (let at = 0; at <= epoch + 2; at++) {
        const recomputed = await daemon.node.settlements.recompute(at)
        if (name !== 'node3') assert.equal(recomputed?.equal, true, `${name}, epoch ${at}`)
      }
    }
    // Sums exact to the last unit, and no penalties: the monitor looks at every epoch.
    assert.deepEqual(testnet.monitor.violations, [])
  })
})

function lastKept(checkpointer: { onRetreat(listener: (last: number) => void): void }) {
  return new Promise<number>(resolve => checkpointer.onRetreat(resolve))
}

function checkpoints(testnet: Testnet): readonly AcceptedCheckpoint[] {
  const { chain } = testnet.daemon('node1')
  return chain.checkpointsAt(chain.head()?.number ?? 0n)
}

/** As the guardian. */
async function cancel(testnet: Testnet, epoch: number): Promise<void> {
  const transport = http(testnet.rpcUrl)
  const wallet = createWalletClient({ transport, account: testDeployer().account })
  const before = checkpoints(testnet)[epoch]
  assert.ok(before)
  const hash = await wallet.writeContract({
    address: testnet.contracts.checkpoints,
    abi: checkpointsAbi,
    functionName: 'cancel',
    args: [BigInt(epoch), toHex(before.checkpoint)],
    chain: null,
  })
  const client = createPublicClient({ transport, pollingInterval: 100 })
  const { status } = await client.waitForTransactionReceipt({ hash })
  assert.equal(status, 'success')
}
