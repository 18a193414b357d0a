import { strict as assert } from 'node:assert'
import { CairnError } from '@cairn/protocol'
import { complaints, NodeWorld, type WorldNode } from './world.ts'

/** Of twelve in a term four are funded. */
const EVERY = 3

/** Fills with the chain's times, s, at which nodes try to open a checkpoint. */
function recorded(nodes: readonly WorldNode[]): number[] {
  const times: number[] = []
  for (const { chain } of nodes) {
    const { fund } = chain
    chain.fund = (payouts, signal) => {
      times.push(chain.head()?.timestamp ?? 0)
      return fund.call(chain, payouts, signal)
    }
  }
  return times
}

const openings = (nodes: readonly WorldNode[]) =>
  nodes.map(({ lines }) =>
    lines.flatMap(({ text, facts }) =>
      text === 'opened a checkpoint for claims' ? [Number(facts.epoch)] : [],
    ),
  )

describe('checkpoints', () => {
  it('are opened for claims a few times a term, each by one node', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const nodes = await world.start(0, 1, 2, 3)
    await world.run(10)
    assert.deepEqual(world.chain.funded, [2, 5, 8])
    assert.deepEqual(openings(nodes).flat().toSorted(), [2, 5, 8])
    for (const epoch of world.chain.funded) {
      const { round } = world.chain.accepted[epoch + 1] ?? {}
      const by = openings(nodes).findIndex(epochs => epochs.includes(epoch))
      assert.equal(by, world.proposer(epoch, round), 'the proposer comes first')
    }
    assert.deepEqual(complaints(nodes), [])
  })

  it('are opened by the next in rank where the first has no chain', async () => {
    const world = new NodeWorld({ nodes: 4 })
    const nodes = await world.start(0, 1, 2, 3)
    const proposer = world.proposer(EVERY - 1)
    // It has adopted the checkpoint by then, and its turn has not come.
    await world.run(EVERY, 0, 500)
    let adopted = false
    nodes[proposer]?.node.checkpointer.onAdopted(({ accepted }) => {
      if (accepted.epoch !== EVERY - 1) return
      adopted = true
      nodes[proposer]?.chain.setDown(true)
    })
    await world.run(EVERY + 1)
    assert.ok(adopted)
    assert.deepEqual(world.chain.funded, [EVERY - 1])
    assert.deepEqual(openings(nodes)[world.proposer(EVERY - 1, 1)], [EVERY - 1])
  })

  it('are tried once by each where the contract refuses', async () => {
    const world = new NodeWorld({ nodes: 3 })
    const nodes = await world.start(0, 1, 2)
    const tried = new Map<number, number>()
    for (const { index, chain } of nodes) {
      chain.fund = async () => {
        tried.set(index, (tried.get(index) ?? 0) + 1)
        throw new CairnError('reverted', 'the contract refuses')
      }
    }
    await world.run(2 * EVERY)
    assert.deepEqual(
      [...tried].sort(([a], [b]) => a - b),
      nodes.map(({ index }) => [index, 1]),
    )
    assert.deepEqual(complaints(nodes), [])
  })

  it('are opened once they are active, not before', async () => {
    const delay = 20
    const world = new NodeWorld({ nodes: 3, activationDelay: delay })
    const nodes = await world.start(0, 1, 2)
    await world.run(EVERY, 8)
    const landed = world.chain.accepted[EVERY]?.block.timestamp as number
    await world.clock.run({ until: (landed + delay) * 1_000 - 1 })
    assert.deepEqual(world.chain.funded, [])
    await world.run(6)
    assert.deepEqual(world.chain.funded, [EVERY - 1])
    assert.deepEqual(complaints(nodes), [])
  })

  it('are not opened when they were cancelled before; what comes in their place is', async () => {
    const world = new NodeWorld({ nodes: 4, activationDelay: 20 })
    const nodes = await world.start(0, 1, 2, 3)
    const tried = recorded(nodes)
    await world.run(EVERY, 8)
    const [gone] = world.chain.accepted.slice(-1)
    assert.equal(gone?.epoch, EVERY - 1)
    world.chain.cancel(EVERY - 1)
    // Until all have heard of it.
    await world.run(EVERY, 9)
    tried.length = 0
    await world.run(EVERY + 4)
    const [landed] = world.chain.accepted.slice(EVERY)
    assert.notDeepEqual(landed?.block, gone.block)
    assert.ok(tried.length > 0 && tried.every(at => at > (landed?.block.timestamp ?? 0)))
    assert.deepEqual(world.chain.funded, [EVERY - 1])
    assert.deepEqual(openings(nodes).flat(), [EVERY - 1])
    assert.deepEqual(complaints(nodes), [])
  })
})
