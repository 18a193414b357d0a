/**
 * What nodes do when the chain takes checkpoints back: real daemons, a real chain, and contracts that
 * leave time to do it.
 */
import { strict as assert } from 'node:assert'
import { checkpointsAbi, submitArguments, testDeployer, testGuardian } from '@cairn/contracts'
import {
  type AcceptedCheckpoint,
  type Libp2pNetwork,
  libp2pNetwork,
  networkIdOf,
  systemClock,
} from '@cairn/node'
import {
  Bytes48,
  bls,
  Checkpoint as CheckpointCodec,
  ContainerType,
  checkpointRoot,
  committeeTree,
  committeeWord,
  decode,
  drawCommittee,
  hex,
  Uint64,
  unhex,
  voteSigningRoot,
  type WeightedKey,
  WIRE_LIST_MAX,
} from '@cairn/protocol'
import type { Testnet } from '@cairn/testnet'
import { ListCompositeType } from '@chainsafe/ssz'
import { createPublicClient, createWalletClient, http, toHex } from 'viem'
import { accepted, quickTestnet, type Running, silent, until } from './network.ts'

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

describe('a checkpoint that hands over to strangers', function () {
  this.timeout(TEST_MS)
  let running: Running | undefined
  let witness: Libp2pNetwork | undefined
  after(async () => {
    await witness?.stop()
    await running?.end()
  })

  it('is cancelled by a node that learns who they are, and the network goes on', async () => {
    running = await quickTestnet({ parameters: { activationDelay: HOUR }, seed: 22 })
    const { testnet } = running
    await accepted(testnet, 0)
    const names = testnet.members.map(({ name }) => name)
    // All sign, and none of their daemons is heard: what they compute is not what they sign.
    await testnet.fault('rpc-down', names)
    const strangers = [{ key: bls.publicKey(new Uint8Array(32).fill(7)), weight: 5_000 }]
    const { epoch, root } = await landForged(testnet, strangers)
    witness = await tellingOf(testnet, strangers)
    await testnet.fault('rpc-up', names)

    await until(
      SOON_MS,
      () => testnet.daemon('node1').chain.cancelled(),
      cancelled => cancelled.length > 0,
    )
    const { chain } = testnet.daemon('node1')
    assert.deepEqual(
      chain.cancelled().map(gone => [gone.epoch, hex(gone.root)]),
      [[epoch, hex(root)]],
    )
    await until(
      SOON_MS,
      () => testnet.running().map(({ daemon }) => daemon.node.checkpointer.adopted),
      all => all.every(adopted => adopted >= epoch + 2),
    )
    const landed = checkpoints(testnet)
    assert.notDeepEqual(landed[epoch + 1]?.root, root)
    for (const { daemon } of testnet.running()) {
      assert.equal((await daemon.node.settlements.recompute(epoch))?.equal, true)
    }
  })
})

/**
 * Lands a checkpoint after the last one, signed by all keys of the committee, that is the last one
 * again but for the committee that it names.
 */
async function landForged(testnet: Testnet, named: readonly WeightedKey[]) {
  const { chain } = testnet.daemon('node1')
  const members = drawCommittee(
    chain.registryAt(chain.head()?.number ?? 0n),
    testnet.manifest.profile,
    undefined,
  )
  const secrets = new Map(
    testnet.members.map(({ keys: { voting } }) => [hex(voting.publicKey), voting.secret]),
  )
  const transport = http(testnet.rpcUrl)
  const client = createPublicClient({ transport, pollingInterval: 100 })
  const contract = { address: testnet.contracts.checkpoints, abi: checkpointsAbi } as const
  // What a daemon sent before it was cut off may still land.
  return await until(SOON_MS, attempt, found => found !== undefined).then(found => {
    assert.ok(found)
    return found
  })

  async function attempt() {
    const events = await client.getContractEvents({
      ...contract,
      eventName: 'Accepted',
      fromBlock: 0n,
    })
    const last = events.at(-1)?.args
    assert.ok(last?.checkpoint && last.root)
    const before = decode(CheckpointCodec, unhex(last.checkpoint))
    const checkpoint = {
      ...before,
      epoch: before.epoch + 1n,
      parent: unhex(last.root),
      nextCommittee: committeeWord(named),
    }
    const root = checkpointRoot(checkpoint)
    const vote = { epoch: checkpoint.epoch, round: 0n, checkpoint: root }
    const message = voteSigningRoot(vote, networkIdOf(testnet.manifest))
    const signatures = members.map(({ key }) =>
      bls.sign(message, secrets.get(hex(key)) as Uint8Array),
    )
    const wallet = createWalletClient({ transport, account: testDeployer().account })
    const hash = await wallet
      .writeContract({
        ...contract,
        functionName: 'submit',
        args: submitArguments({
          checkpoint: CheckpointCodec.serialize(checkpoint),
          round: 0,
          committee: committeeTree(members),
          absent: [],
          signature: bls.aggregateSignatures(signatures),
        }),
        chain: null,
      })
      .catch(error => {
        assert.match(String(error), /WrongEpoch|WrongParent/)
        return undefined
      })
    if (hash === undefined) return undefined
    const { status } = await client.waitForTransactionReceipt({ hash })
    return status === 'success' ? { epoch: Number(checkpoint.epoch), root } : undefined
  }
}

/** A peer that says who is behind a committee's word. */
async function tellingOf(
  testnet: Testnet,
  members: readonly WeightedKey[],
): Promise<Libp2pNetwork> {
  const network = libp2pNetwork(
    { clock: systemClock(), log: silent },
    {
      secret: new Uint8Array(32).fill(9),
      networkId: networkIdOf(testnet.manifest),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      bootstrap: testnet.running().flatMap(({ daemon }) => daemon.network.addresses()),
      privateAddresses: true,
      scoring: { colocationWeight: 0 },
    },
  )
  const limits = { maxRequestBytes: 64, maxResponseBytes: 1_000_000, perSecond: 50 }
  network.serve('committee', limits, async () =>
    CommitteeResponse.serialize({
      members: members.map(({ key, weight }) => ({ key, weight: BigInt(weight) })),
    }),
  )
  await network.start()
  await until(
    SOON_MS,
    () => network.peers().length,
    peers => peers === testnet.members.length,
  )
  return network
}

/** Independent of the node's. */
const CommitteeResponse = new ContainerType({
  members: new ListCompositeType(
    new ContainerType({ key: Bytes48, weight: Uint64 }),
    WIRE_LIST_MAX,
  ),
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
  const wallet = createWalletClient({ transport, account: testGuardian().account })
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
