import { strict as assert } from 'node:assert'
import {
  Bytes48,
  bls,
  Checkpoint as CheckpointCodec,
  ContainerType,
  committeeWord,
  decode,
  drawCommittee,
  Uint64,
  type WeightedKey,
  WIRE_LIST_MAX,
} from '@cairn/protocol'
import { ListCompositeType } from '@chainsafe/ssz'
import { bytes32, votingSecret } from '../../../protocol/test/kernel-world.ts'
import { landForged } from './forgery.ts'
import { complaints, NodeWorld, peerName, type WorldNode } from './world.ts'

/** Nothing is ever active, s. */
const HOUR_S = 3_600
const NODES = 4
const STRANGER = 9

/** Independent of the node's: what a peer that knows the members says. */
const CommitteeResponse = new ContainerType({
  members: new ListCompositeType(
    new ContainerType({ key: Bytes48, weight: Uint64 }),
    WIRE_LIST_MAX,
  ),
})

/** While the chain is away, the whole committee signs a checkpoint that hands over to another. */
async function forged(change: (members: readonly WeightedKey[]) => WeightedKey[]) {
  const world = new NodeWorld({ nodes: NODES, activationDelay: HOUR_S })
  const nodes = await world.start(0, 1, 2, 3)
  await world.run(2, 11)
  for (const { chain } of nodes) chain.setDown(true)
  assert.equal(world.chain.accepted.at(-1)?.epoch, 1)
  await world.run(3, 6)
  const named = change(drawCommittee(world.registry, world.profile, undefined))
  const root = await landForged(world, () => ({ nextCommittee: committeeWord(named) }))
  return { world, nodes, named, root }
}

/** A peer that tells who the committee is. */
async function tells(world: NodeWorld, members: readonly WeightedKey[]): Promise<void> {
  const network = world.network.join(peerName(STRANGER))
  const limits = { maxRequestBytes: 64, maxResponseBytes: 1_000_000, perSecond: 50 }
  network.serve('committee', limits, async () =>
    CommitteeResponse.serialize({
      members: members.map(({ key, weight }) => ({ key, weight: BigInt(weight) })),
    }),
  )
  await network.start()
}

const vetoes = (nodes: readonly WorldNode[]) =>
  nodes.flatMap(({ lines }) => lines.filter(({ text }) => text === 'had a checkpoint cancelled'))

/** Fills with the places of members that the contract is shown. */
function shown(nodes: readonly WorldNode[]): number[] {
  const places: number[] = []
  for (const { chain } of nodes) {
    const { veto } = chain
    chain.veto = (found, signal) => {
      places.push(found.place)
      return veto.call(chain, found, signal)
    }
  }
  return places
}

const stranger = { key: bls.publicKey(votingSecret(STRANGER)), weight: 50 }

describe('a checkpoint that hands over to a committee of others than registered nodes', () => {
  for (const [what, change] of Object.entries({
    'a stranger among them': (members: readonly WeightedKey[]) => [...members, stranger],
    'strangers alone': () => [stranger],
    'too much weight for one': ([first, ...others]: readonly WeightedKey[]) => [
      { ...(first as WeightedKey), weight: 9_000 },
      ...others,
    ],
  })) {
    it(`is cancelled by one node, and the network goes on: ${what}`, async () => {
      const { world, nodes, named, root } = await forged(change)
      await tells(world, named)
      const places = shown(nodes)
      for (const { chain } of nodes) chain.setDown(false)
      await world.run(6)
      assert.deepEqual(
        world.chain.cancelled.map(cancelled => cancelled.root),
        [root],
      )
      assert.equal(places.length, 1, 'the others see that it is done')
      assert.equal(vetoes(nodes).length, 1)
      assert.ok((world.chain.accepted.at(-1)?.epoch ?? 0) >= 4)
      const drawn = committeeWord(drawCommittee(world.registry, world.profile, undefined))
      for (const { checkpoint } of world.chain.accepted) {
        assert.deepEqual(decode(CheckpointCodec, checkpoint).nextCommittee, drawn)
      }
      for (const { node } of nodes) {
        assert.equal(node.checkpointer.adopted, world.chain.accepted.at(-1)?.epoch)
        assert.equal((await world.until(node.settlements.recompute(2)))?.equal, true)
      }
    })
  }

  it('is cancelled for who is not registered at all, before one whose weight is wrong', async () => {
    const { world, nodes, named } = await forged(members => [
      ...members.map(member => ({ ...member, weight: member.weight + 1 })),
      stranger,
    ])
    await tells(world, named)
    const places = shown(nodes)
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(6)
    assert.equal(world.chain.cancelled.length, 1)
    assert.deepEqual(places, [named.length - 1])
  })

  it('stays where nobody tells who they are, and every node says so', async () => {
    const { world, nodes } = await forged(() => [stranger])
    await tells(world, [{ ...stranger, weight: 51 }])
    for (const { chain } of nodes) chain.setDown(false)
    await world.run(6)
    assert.deepEqual(world.chain.cancelled, [])
    for (const node of nodes) {
      const told = complaints([node]).filter(({ text }) => text.includes('another committee'))
      assert.equal(told.length, 1)
    }
  })

  it('is not cancelled for a committee that is right', async () => {
    const world = new NodeWorld({
      nodes: NODES,
      activationDelay: HOUR_S,
      profile: { termEpochs: 2 },
    })
    const nodes = await world.start(0, 1, 2, 3)
    await world.run(7)
    assert.deepEqual(world.chain.cancelled, [])
    assert.deepEqual(vetoes(nodes), [])
    assert.deepEqual(complaints(nodes), [])
  })
})

describe('members of a committee', () => {
  it('are told by their word, to whoever asks', async () => {
    const world = new NodeWorld({ nodes: NODES })
    await world.start(0, 1, 2, 3)
    await world.run(1, 6)
    const network = world.network.join(peerName(STRANGER))
    await network.start()
    const ask = (word: Uint8Array) =>
      world.until(
        network.request(peerName(0), 'committee', word, {
          signal: new AbortController().signal,
          maxResponseBytes: 1_000_000,
        }),
      )
    const members = drawCommittee(world.registry, world.profile, undefined)
    const answer = decode(CommitteeResponse, await ask(committeeWord(members)))
    assert.deepEqual(
      answer.members.map(({ key, weight }) => ({ key, weight: Number(weight) })),
      members.map(({ key, weight }) => ({ key, weight })),
    )
    await assert.rejects(ask(bytes32('other')), { code: 'notFound' })
    await assert.rejects(ask(new Uint8Array(31)), { code: 'badLength' })
  })
})
