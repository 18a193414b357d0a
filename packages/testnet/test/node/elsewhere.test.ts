/** The same words at work in two places, and ledgers that are older than what their node said. */
import { strict as assert } from 'node:assert'
import type { Network } from '@cairn/node'
import type { CairnError } from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { complaints, NodeWorld, peerName, type WorldNode } from './world.ts'

/** Contradictions in any set that a node holds of the epochs up to this one. */
function contradictions({ node }: WorldNode, last: number) {
  return Array.from({ length: last + 1 }, (_, epoch) =>
    (node.epochs.record(epoch)?.set.contradictions() ?? []).map(found => ({ epoch, ...found })),
  ).flat()
}

/** Nothing that is gossiped arrives; what is published is noted. */
function deaf(network: Network, said: string[]): Network {
  return new Proxy(network, {
    get(target, name) {
      if (name === 'subscribe') return () => {}
      if (name === 'publish') return async (topic: string) => void said.push(topic)
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function empty(store: MemoryStore, ...names: string[]): Promise<void> {
  for (const name of names) {
    const level = store.sublevel(name)
    const range = { gte: new Uint8Array(0), lt: new Uint8Array(80).fill(255) }
    for await (const [key] of level.range(range)) await level.batch([{ key }])
  }
}

describe('a node whose words are at work elsewhere', () => {
  it('says nothing when it is started second, stops, and costs the first nothing', async () => {
    const world = new NodeWorld()
    const nodes = await world.start(0, 1, 2, 3)
    await world.run(1, 6)

    const store = new MemoryStore()
    const second = world.node(0, { store, peer: 'another machine' })
    const told: CairnError[] = []
    second.node.onKeyElsewhere(error => told.push(error))
    await world.until(second.node.start())
    assert.equal(second.node.muted(1), 'reopened', 'an empty ledger may lack what was said')
    assert.equal(second.node.muted(3), 'reopened')
    assert.equal(second.node.muted(4), undefined)
    await world.run(2, 11)
    assert.deepEqual(
      told.map(({ code }) => code),
      ['keyElsewhere'],
    )
    assert.equal(second.node.muted(20), 'keyElsewhere')
    assert.equal(second.node.mutedRound(20, 0), 'keyElsewhere')
    await world.until(second.node.stop())
    world.network.crash('another machine')

    const third = world.node(0, { store, peer: 'another machine' })
    await world.until(third.node.start())
    assert.equal(third.node.muted(3), 'reopened', 'nor does it speak at once when started again')
    await world.run(6, 0)
    assert.equal(third.node.muted(5), 'keyElsewhere')
    assert.equal(nodes[0]?.node.muted(6), undefined, 'the first goes on')
    for (const node of nodes) assert.deepEqual(contradictions(node, 5), [])
    assert.deepEqual(complaints(nodes), [])
  })

  it('says nothing where it learns of the first from the sets of epochs alone', async () => {
    const world = new NodeWorld()
    const nodes = await world.start(0, 1, 2, 3)
    // Late, so that the set of this epoch tells nothing of what the first says from now on.
    await world.run(1, world.profile.slotsPerEpoch - 1, 900)
    const said: string[] = []
    const second = world.node(0, {
      peer: 'another machine',
      // Peers keep one connection to a peer id, and it is the first's.
      wrapNetwork: network => deaf(network, said),
    })
    const told: CairnError[] = []
    second.node.onKeyElsewhere(error => told.push(error))
    await world.until(second.node.start())
    // Checkpoints are late: the set of this epoch is had in the one after the next.
    await world.run(2, 1)
    for (const { chain } of [...nodes, second]) chain.setDown(true)
    await world.run(3, 8)
    for (const { chain } of [...nodes, second]) chain.setDown(false)
    await world.run(6, 0)
    assert.deepEqual(
      told.map(({ code }) => code),
      ['keyElsewhere'],
    )
    assert.deepEqual(said, [])
    for (const node of nodes) assert.deepEqual(contradictions(node, 5), [])
    await world.until(second.node.stop())
  })

  it('stops when both were started at once, with at most what they said before they met', async () => {
    const world = new NodeWorld()
    const nodes = [...(await world.start(0, 1, 2, 3))]
    const twin = world.node(0, { peer: 'another machine', halves: () => [] })
    await twin.node.start()
    await world.run(2, 0)
    assert.equal(twin.node.muted(2), 'keyElsewhere')
    for (const node of nodes) assert.deepEqual(contradictions(node, 1), [])
  })
})

describe('a ledger that is older than what its node said', () => {
  it('silences the node as long when it was empty and the node is killed meanwhile', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    await world.run(1, 6)
    await world.until(world.node(0, { store }).node.start())
    world.network.crash(peerName(0))
    // It was not closed: by itself that silences it until epoch 3.
    const second = world.node(0, { store })
    await world.until(second.node.start())
    assert.equal(second.node.mutedUntil, 4)
    await world.until(second.node.stop())
  })

  it('silences the node for an epoch when it is a copy', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    let left = 0
    const mark = { leave: async () => String(++left), found: async () => String(left) }
    const first = world.node(0, { store, mark })
    await first.node.start()
    await world.run(1, 6)
    await first.node.stop()
    world.network.crash(peerName(0))
    left++
    const second = world.node(0, { store, mark })
    await second.node.start()
    assert.equal(second.node.mutedUntil, 3)
    await second.node.stop()
  })

  it('silences the node once it hears what it said, where nothing else shows it', async () => {
    const world = new NodeWorld()
    const store = new MemoryStore()
    const others = await world.start(1, 2, 3)
    const first = world.node(0, { store })
    await first.node.start()
    await world.run(1, 9)
    await world.until(first.node.stop())
    world.network.crash(peerName(0))
    // As an image of its disk brings it back: it was closed, and holds nothing of epoch 1.
    await empty(store, 'own', 'messages')

    const second = world.node(0, { store })
    const told: CairnError[] = []
    second.node.onKeyElsewhere(error => told.push(error))
    await world.until(second.node.start())
    assert.equal(second.node.mutedUntil, 0)
    await world.run(2, 6)
    assert.equal(second.node.mutedUntil, 3)
    await world.run(5, 0)
    assert.equal(second.node.muted(5), undefined)
    assert.deepEqual(told, [], 'what it said itself is nobody else’s')
    for (const node of [...others, second]) assert.deepEqual(contradictions(node, 4), [])
  })
})

describe('an empty ledger', () => {
  it('silences nobody before genesis', async () => {
    const world = new NodeWorld()
    const [first] = await world.start(0)
    assert.equal(first?.node.mutedUntil, 0)
  })
})
