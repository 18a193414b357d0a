import { strict as assert } from 'node:assert'
import { Checkpoint, committeeWord, decode, drawCommittee, equalBytes } from '@cairn/protocol'
import { complaints, formed, lastEpoch, NodeWorld, type WorldNode, wrongSums } from './world.ts'

const NODES = 5
const TERM = 8
const EPOCH_S = 12
const PROFILE = { termEpochs: TERM, idleEpochs: 3 }

interface Held {
  world: NodeWorld
  nodes: WorldNode[]
}

/** Nodes check in after so many epochs without acceptance, for one epoch. */
async function begun(patience = 2): Promise<Held> {
  const fallback = { after: patience * EPOCH_S, window: EPOCH_S }
  const world = new NodeWorld({ nodes: NODES, fallback, profile: PROFILE })
  return { world, nodes: await world.start(0, 1, 2, 3, 4) }
}

/** From now on it says everything but votes, of all epochs or of these, and checks in nowhere. */
function withhold({ node, chain }: WorldNode, withheld = (_epoch: number) => true): void {
  const { speaker } = node
  const vote = speaker.vote.bind(speaker)
  speaker.vote = async (base, ...said) =>
    withheld(base.epoch) ? undefined : await vote(base, ...said)
  chain.checkIn = async () => 'done'
}

/** First epochs of the terms after the first whose committee is that of the nodes given. */
function termsOf({ chain, registry, profile }: NodeWorld, ...indices: number[]): number[] {
  const members = registry.filter(({ index }) => indices.includes(index))
  const word = committeeWord(drawCommittee(members, profile, undefined))
  return chain.accepted.flatMap(({ epoch, checkpoint }) => {
    const { nextCommittee } = decode<Checkpoint>(Checkpoint, checkpoint)
    const isLast = epoch >= 0 && (epoch + 1) % TERM === 0
    return isLast && equalBytes(nextCommittee, word) ? [epoch + 1] : []
  })
}

/** How many votes of a node were missing after each epoch, from the first on. */
async function missed({ world, nodes }: Held, node: number): Promise<number[]> {
  const [first] = nodes as [WorldNode]
  const counts: number[] = []
  for (let epoch = 0; epoch <= lastEpoch(world); epoch++) {
    const accepted = await world.until(first.node.settlements.accepted(epoch))
    const { absent } = accepted?.state.core ?? {}
    counts.push(absent?.find(entry => entry.node === node)?.missed ?? 0)
  }
  return counts
}

describe('a network of which more than a third of the weight talks and withholds its votes', () => {
  it('halts in every second term at most: those are not drawn for the next', async () => {
    const held = await begun()
    const { world, nodes } = held
    await world.run(TERM, 6)
    for (const node of nodes.slice(3)) withhold(node)
    await world.run(4 * TERM + 6)
    assert.deepEqual(formed(world), [TERM, 3 * TERM])
    assert.deepEqual(termsOf(world, 0, 1, 2), [2 * TERM, 4 * TERM])
    assert.deepEqual(termsOf(world, 0, 1, 2, 3, 4), [TERM, 3 * TERM])
    assert.ok(lastEpoch(world) >= 4 * TERM + 3, `last ${lastEpoch(world)}`)
    const { core } = (await held.nodes[0]?.node.settlements.accepted(lastEpoch(world)))?.state ?? {}
    const talked = core?.activity.filter(({ epoch }) => epoch === lastEpoch(world))
    assert.equal(talked?.length, NODES, 'none of them is idle')
    assert.equal(Math.max(...(await missed(held, 0))), 0, 'late in the halts, and absent in none')
    assert.deepEqual(await wrongSums(held), [])
    assert.deepEqual(world.chain.slashed, [])
    assert.deepEqual(complaints(nodes), [])
  })

  it('knows them apart from who voted late, although the next term is drawn in the halt', async () => {
    const held = await begun(4)
    const { world, nodes } = held
    await world.run(2 * TERM - 5, 6)
    for (const node of nodes.slice(3)) withhold(node)
    await world.run(2 * TERM + 5)
    assert.deepEqual(formed(world), [2 * TERM - 5])
    assert.deepEqual(termsOf(world, 0, 1, 2), [2 * TERM])
    assert.ok(lastEpoch(world) >= 2 * TERM + 2, `last ${lastEpoch(world)}`)
    assert.deepEqual(complaints(nodes), [])
  })

  it('halts once more where they begin too late in a term to be missed in it', async () => {
    const held = await begun()
    const { world, nodes } = held
    await world.run(2 * TERM - 3, 6)
    for (const node of nodes.slice(3)) withhold(node)
    await world.run(3 * TERM + 6)
    assert.deepEqual(formed(world), [2 * TERM - 3, 2 * TERM])
    assert.deepEqual(termsOf(world, 0, 1, 2), [3 * TERM])
    assert.deepEqual(complaints(nodes), [])
  })
})

describe('a member of less than a third of the weight', () => {
  it('is not drawn for the term after one in which it withheld its votes, and is for the next', async () => {
    const held = await begun()
    const { world, nodes } = held
    withhold(nodes[4] as WorldNode)
    await world.run(3 * TERM + 2)
    assert.deepEqual(formed(world), [])
    assert.deepEqual(termsOf(world, 0, 1, 2, 3), [TERM, 3 * TERM])
    assert.deepEqual(termsOf(world, 0, 1, 2, 3, 4), [2 * TERM])
    const why = [0, 1, 2, 3].map(term => nodes[0]?.node.epochs.leftOut(term * TERM, 4))
    assert.deepEqual(why, [undefined, 'absent', undefined, 'absent'])
    const counts = await missed(held, 4)
    const first = Array.from({ length: TERM + 1 }, (_, epoch) => epoch)
    assert.deepEqual(counts.slice(0, TERM + 1), first, 'kept while it was drawn')
    assert.deepEqual(counts.slice(TERM + 1, 2 * TERM + 1), new Array(TERM).fill(0))
    assert.deepEqual(counts.slice(2 * TERM + 1, 2 * TERM + 3), [1, 2])
    assert.deepEqual(await wrongSums(held), [])
    assert.deepEqual(complaints(nodes), [])
  })

  it('is always drawn while one vote of so many comes in time', async () => {
    const held = await begun()
    const { world, nodes } = held
    withhold(nodes[4] as WorldNode, epoch => epoch % PROFILE.idleEpochs !== 0)
    await world.run(4 * TERM + 2)
    assert.deepEqual(termsOf(world, 0, 1, 2, 3, 4), [TERM, 2 * TERM, 3 * TERM, 4 * TERM])
    assert.equal(Math.max(...(await missed(held, 4))), PROFILE.idleEpochs - 1)
    assert.deepEqual(complaints(nodes), [])
  })
})
