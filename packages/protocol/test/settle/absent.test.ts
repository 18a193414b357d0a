import { strict as assert } from 'node:assert'
import {
  type Absence,
  absentNodes,
  type CommitteeMember,
  type Envelope,
  emptyState,
  KERNEL_KIND,
  MessageSet,
  MessageType,
  type SettlementInput,
  settle,
  TESTNET_PROFILE,
  Vote,
} from '@cairn/protocol'
import fc from 'fast-check'
import { bytes32, KernelWorld } from '../kernel-world.ts'

const NODES = 6
const { idleEpochs } = TESTNET_PROFILE
const PARENT = bytes32('parent')

const world = new KernelWorld({ nodes: NODES, entry: entryWith })

/** Node 5 has left: it is of no base any more. */
function entryWith(index: number) {
  return index === 5 ? { exitAt: 1 } : {}
}

function members(...indices: number[]): CommitteeMember[] {
  return indices.map(index => ({ index, key: new Uint8Array(48), weight: 100 }))
}

function vote(author: number, checkpoint = PARENT): Envelope {
  const { tag, epoch } = world.base
  const value = { epoch: epoch - 1, base: tag, kind: KERNEL_KIND, author, round: 0, checkpoint }
  return { type: MessageType.vote, body: Vote.serialize(value), signature: new Uint8Array() }
}

function setOf(votes: readonly Envelope[]): MessageSet {
  const set = new MessageSet()
  for (const envelope of votes) {
    const value = Vote.deserialize(envelope.body)
    const id = bytes32(`vote ${value.author}`, value.checkpoint[0])
    set.add({ id, envelope, value }, `vote/${value.author}`, KERNEL_KIND)
  }
  return set
}

interface Turn {
  before?: readonly Absence[]
  drawn: readonly number[]
  /** The drawn, unless another committee formed. */
  voters?: readonly number[]
  votes: readonly Envelope[]
}

/** The list after an epoch, as [node, missed]. */
function after({ before = [], drawn, voters = drawn, votes }: Turn): [number, number][] {
  const state = world.state.with({ ...world.state.core, absent: [...before] })
  const change: Partial<SettlementInput> = {
    set: setOf(votes),
    parent: { root: PARENT, checkpoint: world.genesis, state },
    drawn: members(...drawn),
    voters: members(...voters),
  }
  const { core } = settle(world.settlement([], change)).state
  return core.absent.map(({ node, missed }) => [node, missed])
}

const voted = (...nodes: number[]) => nodes.map(node => vote(node))

describe('who is absent from votes', () => {
  it('was drawn, and has none for the parent in the set', () => {
    assert.deepEqual(after({ drawn: [4, 0, 1, 2, 3], votes: voted(0, 2, 3) }), [
      [1, 1],
      [4, 1],
    ])
    const before = [{ node: 4, missed: 3 }]
    assert.deepEqual(after({ before, drawn: [0, 1, 2, 4], votes: voted(0, 1, 2) }), [[4, 4]])
  })

  it('is nobody in the first epoch, and nobody at first', () => {
    assert.deepEqual(emptyState([]).core.absent, [])
    assert.deepEqual(after({ drawn: [], votes: [] }), [])
  })

  it('is no longer who votes once, nor who was not drawn', () => {
    const before = [
      { node: 1, missed: 5 },
      { node: 2, missed: 5 },
      { node: 3, missed: 50 },
    ]
    assert.deepEqual(after({ before, drawn: [0, 1, 2], votes: voted(0, 1) }), [[2, 6]])
  })

  it('is who votes for another root, or for two in one round', () => {
    const other = bytes32('another')
    const votes = [...voted(0, 1, 2), vote(3, other), vote(4), vote(4, other)]
    assert.deepEqual(after({ drawn: [0, 1, 2, 3, 4], votes }), [
      [3, 1],
      [4, 1],
    ])
  })

  it('is not who votes, although it has left since', () => {
    assert.equal(world.base.node(5), undefined)
    assert.deepEqual(after({ drawn: [3, 4, 5], votes: voted(4, 5) }), [[3, 1]])
  })

  it('is not told by a set without the votes of a majority: they came after it', () => {
    const before = [{ node: 3, missed: 2 }]
    const drawn = [0, 1, 2, 3]
    assert.deepEqual(after({ before, drawn, votes: [] }), [[3, 2]])
    assert.deepEqual(after({ before, drawn, votes: voted(0, 1) }), [[3, 2]])
    assert.deepEqual(after({ before, drawn, votes: voted(0, 3) }), [])
    assert.deepEqual(after({ before, drawn, votes: voted(0, 1, 2) }), [[3, 3]])
  })

  it('is who was drawn while a committee signs that formed without it, whatever the set says', () => {
    const formed = { drawn: [0, 1, 2, 3], voters: [0, 1, 4] }
    const before = [{ node: 1, missed: 2 }]
    assert.deepEqual(after({ before, ...formed, votes: [] }), [
      [1, 2],
      [2, 1],
      [3, 1],
    ])
    // Node 4 joined it undrawn: its votes count, and its absence does not.
    assert.deepEqual(after({ ...formed, votes: voted(0, 4, 3) }), [
      [1, 1],
      [2, 1],
      [3, 1],
    ])
    assert.deepEqual(after({ ...formed, votes: voted(0, 1) }), [
      [2, 1],
      [3, 1],
    ])
  })

  it('is left out from so many votes on as a node may be silent', () => {
    const left = (missed: number) => [
      ...absentNodes({ absent: [{ node: 7, missed }] }, TESTNET_PROFILE),
    ]
    assert.deepEqual(left(idleEpochs - 1), [])
    assert.deepEqual(left(idleEpochs), [7])
  })

  it('is never who votes on time in any one of so many epochs', () => {
    const turns = fc.array(fc.subarray([0, 1, 2, 3, 4]), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(turns, fc.nat({ max: idleEpochs - 1 }), (voting, first) => {
        let before: Absence[] = []
        for (const [epoch, nodes] of voting.entries()) {
          // Node 5 is late in all epochs but one of so many.
          const isOnTime = epoch % idleEpochs === first
          const votes = voted(...nodes, ...(isOnTime ? [5] : []))
          before = after({ before, drawn: [0, 1, 2, 3, 4, 5], votes }).map(asAbsence)
          assert.ok(!absentNodes({ absent: before }, TESTNET_PROFILE).has(5))
        }
      }),
      { numRuns: 100 },
    )
  })

  it('is at most one committee, in order, with as many as were missed in a row of what told', () => {
    const indices = [0, 1, 2, 3, 4, 5]
    const turn = fc.record({
      drawn: fc.shuffledSubarray(indices),
      formed: fc.option(fc.subarray(indices, { minLength: 1 }), { nil: undefined }),
      voting: fc.subarray(indices),
    })
    fc.assert(
      fc.property(fc.array(turn, { minLength: 1, maxLength: 30 }), all => {
        const missed = new Map<number, number>()
        let before: Absence[] = []
        for (const { drawn, formed, voting } of all) {
          const voters = formed ?? drawn
          before = after({ before, drawn, voters, votes: voted(...voting) }).map(asAbsence)
          const present = voting.filter(node => voters.includes(node))
          for (const node of indices) {
            if (!drawn.includes(node) || present.includes(node)) missed.delete(node)
            else if (present.length > voters.length / 2 || !voters.includes(node)) {
              missed.set(node, (missed.get(node) ?? 0) + 1)
            }
          }
          const expected = [...missed].sort(([a], [b]) => a - b)
          assert.deepEqual(
            before,
            expected.map(([node, missed]) => ({ node, missed })),
          )
          assert.ok(before.length <= drawn.length)
        }
      }),
      { numRuns: 200 },
    )
  })
})

function asAbsence([node, missed]: [number, number]): Absence {
  return { node, missed }
}
