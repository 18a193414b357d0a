import { strict as assert } from 'node:assert'
import { EpochWork, ROUNDS_MAX, type Settled } from '@cairn/node'
import { type CommitteeMember, KERNEL_KIND, MessageSet, roundIn, settle } from '@cairn/protocol'
import fc from 'fast-check'
import { bytes32, KernelWorld } from '../../../protocol/test/kernel-world.ts'

const committeeOf = (weights: readonly number[]): CommitteeMember[] =>
  weights.map((weight, index) => ({ index, key: new Uint8Array(48), weight }))

const signature = (author: number, root = 0) => new Uint8Array(96).fill(16 * root + author)

function vote(author: number, { root = 0, round = 0 } = {}) {
  return {
    epoch: 4,
    base: new Uint8Array(8),
    kind: KERNEL_KIND,
    author,
    round,
    checkpoint: bytes32('root', root),
  }
}

const equal = (count: number) => committeeOf(new Array(count).fill(100))

describe('votes of an epoch', () => {
  for (const [needed, members] of [
    [1, 1],
    [2, 2],
    [3, 3],
    [3, 4],
    [4, 5],
    [5, 6],
    [5, 7],
  ] as const) {
    it(`are a quorum when ${needed} of ${members} equal members agree`, () => {
      const work = new EpochWork(4)
      for (let author = 0; author < needed; author++) {
        const found = work.count(vote(author), signature(author), equal(members))
        const last = author === needed - 1
        assert.deepEqual(found, last ? { round: 0, root: bytes32('root', 0) } : undefined)
      }
    })
  }

  it('count by weight, and more than two thirds of it are needed', () => {
    const committee = committeeOf([2, 1, 1, 2])
    const work = new EpochWork(4)
    assert.equal(work.count(vote(0), signature(0), committee), undefined)
    assert.equal(work.count(vote(3), signature(3), committee), undefined, '4 of 6 are two thirds')
    assert.ok(work.count(vote(1), signature(1), committee))
  })

  it('of those who are no members weigh nothing', () => {
    const work = new EpochWork(4)
    for (const author of [7, 8, 9, 0, 1]) {
      assert.equal(work.count(vote(author), signature(author), equal(4)), undefined)
    }
  })

  it('of several rounds are not added up', () => {
    const work = new EpochWork(4)
    for (const author of [0, 1, 2, 3]) {
      const found = work.count(vote(author, { round: author }), signature(author), equal(4))
      assert.equal(found, undefined)
    }
  })

  it('count for neither when a member casts two in a round', () => {
    const work = new EpochWork(4)
    work.count(vote(0), signature(0), equal(4))
    work.count(vote(0, { root: 1 }), signature(0, 1), equal(4))
    work.count(vote(1), signature(1), equal(4))
    assert.equal(work.count(vote(2), signature(2), equal(4)), undefined)
    assert.ok(work.count(vote(3), signature(3), equal(4)), 'the three others are enough')
  })

  it('count once however often they are heard', () => {
    const work = new EpochWork(4)
    for (let again = 0; again < 4; again++) {
      assert.equal(work.count(vote(0), signature(0), equal(3)), undefined)
    }
    work.count(vote(1), signature(1), equal(3))
    assert.ok(work.count(vote(2), signature(2), equal(3)))
  })

  it('are said to be a quorum once, however many follow', () => {
    const work = new EpochWork(4)
    const found = [0, 1, 2, 3].map(author => work.count(vote(author), signature(author), equal(4)))
    assert.deepEqual(
      found.map(quorum => quorum !== undefined),
      [false, false, true, false],
    )
  })

  it('stay a quorum that the chain can be shown when one of them votes again', () => {
    const work = new EpochWork(4)
    for (const author of [0, 1, 2]) work.count(vote(author), signature(author), equal(4))
    const quorum = work.quorum
    assert.ok(quorum)
    work.count(vote(2, { root: 1 }), signature(2, 1), equal(4))
    assert.deepEqual(work.quorum, quorum)
    assert.deepEqual(
      work.signatures(quorum),
      new Map([0, 1, 2].map(author => [author, signature(author)])),
    )
  })

  it('of a lower round take the place of a later quorum, not the reverse', () => {
    const work = new EpochWork(4)
    for (const author of [0, 1]) {
      work.count(vote(author, { round: 5 }), signature(author), equal(2))
    }
    assert.equal(work.quorum?.round, 5)
    for (const author of [0, 1]) {
      work.count(vote(author, { round: 7, root: 1 }), signature(author), equal(2))
    }
    assert.equal(work.quorum?.round, 5)
    for (const author of [0, 1]) {
      work.count(vote(author, { round: 2, root: 2 }), signature(author), equal(2))
    }
    assert.deepEqual(work.quorum, { round: 2, root: bytes32('root', 2) })
  })

  it('of rounds that were voided are not counted', () => {
    const work = new EpochWork(4)
    for (const author of [0, 1]) work.count(vote(author), signature(author), equal(2))
    work.voidBefore(3)
    assert.equal(work.quorum, undefined)
    for (const author of [0, 1]) {
      assert.equal(work.count(vote(author, { round: 2 }), signature(author), equal(2)), undefined)
    }
    work.count(vote(0, { round: 3 }), signature(0), equal(2))
    assert.ok(work.count(vote(1, { round: 3 }), signature(1), equal(2)))
  })

  it('for a cancelled root count only in rounds after the one it had landed with', () => {
    const cast = (work: EpochWork, round: number, root = 0) => {
      for (const author of [0, 1]) {
        work.count(vote(author, { round, root }), signature(author, root), equal(2))
      }
      return work.quorum?.round
    }
    const gone = { root: bytes32('root', 0), round: 4 }
    const work = new EpochWork(4)
    assert.equal(cast(work, 4), 4)
    assert.equal(work.cancel({ ...gone, round: 3 }), false)
    assert.equal(work.cancel(gone), true)
    assert.equal(work.cancel(gone), false)
    assert.equal(cast(work, 4), undefined)
    assert.equal(work.cancel({ ...gone, round: 2 }), false)
    assert.equal(cast(work, 3), undefined, 'an earlier cancellation takes nothing back')
    assert.equal(cast(work, 2, 1), 2, 'another root')
    const again = new EpochWork(4)
    again.cancel(gone)
    assert.equal(cast(again, 5), 5)
  })

  it('for what builds on another parent than the accepted one are no quorum', () => {
    const [right, wrong] = [bytes32('parent', 0), bytes32('parent', 1)]
    const cast = (work: EpochWork, round: number, root: number, parent?: Uint8Array) => {
      for (const author of [0, 1]) {
        work.count(vote(author, { round, root }), signature(author, root), equal(2), parent)
      }
      return work.quorum?.round
    }
    const work = new EpochWork(4)
    work.heard(bytes32('root', 0), wrong)
    work.heard(bytes32('root', 1), right)
    assert.equal(cast(work, 2, 0, right), undefined)
    assert.equal(cast(work, 3, 1, right), 3)
    assert.equal(cast(work, 1, 0, right), 3, 'nor does it take the place of one that fits')
    assert.equal(cast(new EpochWork(4), 0, 0, right), 0, 'what nobody proposed may fit')
    const early = new EpochWork(4)
    early.heard(bytes32('root', 0), wrong)
    assert.equal(cast(early, 0, 0), 0, 'before one is accepted')
  })

  /** One member's votes in so many rounds from one on. */
  const flood = (work: EpochWork, from: number, count = 2 * ROUNDS_MAX) => {
    for (let round = from; round < from + count; round++) {
      work.count(vote(3, { round }), signature(3), equal(4))
    }
  }

  const isQuorumIn = (work: EpochWork, round: number) => {
    const found = [0, 1, 2].map(author => {
      return work.count(vote(author, { round }), signature(author), equal(4))
    })
    return found.at(-1) !== undefined
  }

  it('are remembered for a bounded number of rounds', () => {
    const work = new EpochWork(4)
    for (let round = 0; round <= ROUNDS_MAX; round++) {
      work.goesOn(round + 1)
      work.count(vote(0, { round }), signature(0), equal(2))
    }
    assert.equal(work.count(vote(1), signature(1), equal(2)), undefined, 'round 0 is forgotten')
    assert.ok(work.count(vote(1, { round: ROUNDS_MAX }), signature(1), equal(2)))
  })

  for (const [name, from] of [
    ['long past', 0],
    ['to come', 1_001],
  ] as const) {
    it(`of one member in rounds ${name} take no room from those of the present`, () => {
      const work = new EpochWork(4)
      work.goesOn(1_000)
      flood(work, from)
      for (const author of [0, 1]) {
        work.count(vote(author, { round: 999 }), signature(author), equal(4))
        flood(work, from)
      }
      assert.ok(work.count(vote(2, { round: 999 }), signature(2), equal(4)))
    })
  }

  it('of a committee that did not sign take no room from those of who formed', () => {
    const work = new EpochWork(4)
    work.goesOn(500)
    flood(work, 400)
    work.goesOn(roundIn(1, 501))
    const round = roundIn(1, 500)
    for (const author of [0, 1]) {
      work.count(vote(author, { round }), signature(author), equal(4))
      flood(work, 0, 500)
    }
    assert.ok(work.count(vote(2, { round }), signature(2), equal(4)))
  })

  it('that are a quorum stay, however long it waits for the chain', () => {
    const work = new EpochWork(4)
    work.goesOn(1)
    assert.ok(isQuorumIn(work, 0))
    work.goesOn(1_000)
    flood(work, 990 - 2 * ROUNDS_MAX)
    assert.ok(work.quorum)
    assert.deepEqual([...work.signatures(work.quorum).keys()], [0, 1, 2])
  })

  it('of a committee that formed are counted from the moment that it is known', () => {
    const work = new EpochWork(4)
    work.goesOn(7)
    assert.ok(isQuorumIn(work, 6))
    work.goesOn(roundIn(1, 8))
    assert.equal(work.quorum, undefined)
    assert.equal(isQuorumIn(work, 7), false, 'of the one that did not sign')
    assert.ok(isQuorumIn(work, roundIn(1, 7)))
  })

  it('give a quorum just when more than two thirds cast one vote for one root', () => {
    const casts = fc.array(fc.record({ author: fc.nat(6), root: fc.nat(2) }), { maxLength: 20 })
    const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 7 })
    fc.assert(
      fc.property(casts, weights, (casts, weights) => {
        const committee = committeeOf(weights)
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const work = new EpochWork(4)
        const said = new Map<number, Set<number>>()
        let expected = false
        for (const { author, root } of casts) {
          said.set(author, (said.get(author) ?? new Set()).add(root))
          const signed = committee
            .filter(({ index }) => said.get(index)?.size === 1 && said.get(index)?.has(root))
            .reduce((sum, { weight }) => sum + weight, 0)
          expected ||= 3 * signed > 2 * total
          work.count(vote(author, { root }), signature(author, root), committee)
          assert.equal(work.quorum !== undefined, expected)
        }
      }),
    )
  })
})

describe('an epoch’s proposals', () => {
  it('are one per node and round', () => {
    const work = new EpochWork(4)
    assert.equal(work.isFirstProposal(0, 1), true)
    assert.equal(work.isFirstProposal(0, 1), false)
    assert.equal(work.isFirstProposal(0, 2), true)
    assert.equal(work.isFirstProposal(1, 1), true)
  })

  it('say what they build on, a bounded number of them', () => {
    const work = new EpochWork(4)
    for (let at = 0; at <= 2 * ROUNDS_MAX; at++) work.heard(bytes32('root', at), bytes32('of', at))
    assert.equal(work.parentOf(bytes32('root', 0)), undefined)
    assert.deepEqual(work.parentOf(bytes32('root', 1)), bytes32('of', 1))
    assert.deepEqual(work.parentOf(bytes32('root', 2 * ROUNDS_MAX)), bytes32('of', 2 * ROUNDS_MAX))
  })
})

describe('settlements of an epoch', () => {
  const world = new KernelWorld()
  const settledWith = (number: number): Settled => {
    const settlement = settle({ ...world.settlement([]), nextCommittee: bytes32('next', number) })
    return { settlement, set: new MessageSet() }
  }

  it('are found by their root and by that of their set', () => {
    const work = new EpochWork(4)
    const settled = settledWith(1)
    work.remember(settled)
    assert.equal(work.settled(settled.settlement.root), settled)
    assert.equal(work.bySet(settled.settlement.checkpoint.messages), settled)
    assert.equal(work.bySet(bytes32('other')), undefined)
  })

  it('are a bounded number, and that of the quorum stays', () => {
    const work = new EpochWork(4)
    const agreed = settledWith(0)
    work.remember(agreed)
    work.count({ ...vote(0), checkpoint: agreed.settlement.root }, signature(0), equal(1))
    const others = Array.from({ length: 40 }, (_, number) => settledWith(number + 1))
    for (const other of others) work.remember(other)
    assert.equal(work.settled(agreed.settlement.root), agreed)
    const kept = others.filter(({ settlement }) => work.settled(settlement.root) !== undefined)
    assert.ok(kept.length <= 16, `${kept.length}`)
    assert.ok(kept.includes(others.at(-1) as Settled))
  })
})
