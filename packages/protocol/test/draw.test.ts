import { strict as assert } from 'node:assert'
import {
  type CommitteeMember,
  candidatesOf,
  drawCommittee,
  type RegistryEntry,
  sha256,
  TOKEN,
  termStart,
} from '@cairn/protocol'
import fc from 'fast-check'
import { entryOf } from './kernel-world.ts'

const cap = 10_000n * TOKEN
const seed = new Uint8Array(32).fill(6)

function entries(bonds: readonly bigint[]): RegistryEntry[] {
  return bonds.map((bond, index) => entryOf(index, { bond }))
}

function draw(
  bonds: readonly bigint[],
  committeeMax: number,
  by: Uint8Array = seed,
): CommitteeMember[] {
  return drawCommittee(entries(bonds), { committeeMax, bondCap: cap }, by)
}

const indices = (members: readonly CommitteeMember[]) => members.map(({ index }) => index)

describe('committee draw', () => {
  it('takes everybody while they fit, with or without a seed', () => {
    const bonds = [100n * TOKEN, 200n * TOKEN, 300n * TOKEN]
    assert.deepEqual(indices(draw(bonds, 3)), [0, 1, 2])
    const all = drawCommittee(entries(bonds), { committeeMax: 3, bondCap: cap }, undefined)
    assert.deepEqual(indices(all), [0, 1, 2])
  })

  it('weighs whole tokens of bond up to the cap, and leaves out those of none', () => {
    const members = draw([TOKEN - 1n, TOKEN, 2n * TOKEN - 1n, cap, cap * 5n, 0n], 10)
    assert.deepEqual(
      members.map(({ index, weight }) => [index, weight]),
      [
        [1, 1],
        [2, 1],
        [3, 10_000],
        [4, 10_000],
      ],
    )
  })

  it('names the voting key of each member', () => {
    const [entry] = entries([TOKEN]) as [RegistryEntry]
    assert.deepEqual(draw([TOKEN], 1)[0]?.key, entry.voting)
  })

  it('draws the same members as an independent implementation', () => {
    const bonds = Array.from({ length: 12 }, (_, i) => BigInt((i % 5) + 1) * TOKEN)
    assert.deepEqual(indices(draw(bonds, 4)), [5, 7, 8, 10])
  })

  it('fills every place, without repetition, by ascending index, whatever the order given', () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 0n, max: 20_000n }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (tokens, committeeMax, by) => {
          const all = entries(tokens.map(amount => amount * TOKEN))
          const profile = { committeeMax, bondCap: cap }
          const members = drawCommittee(all, profile, by)
          const bonded = tokens.filter(amount => amount > 0n).length
          assert.equal(members.length, Math.min(committeeMax, bonded))
          assert.deepEqual(
            indices(members),
            [...new Set(indices(members))].sort((a, b) => a - b),
          )
          assert.deepEqual(drawCommittee(all.toReversed(), profile, by), members)
        },
      ),
    )
  })

  it('draws in proportion to bonds', () => {
    const seats = [0, 0, 0]
    const terms = 3_000
    for (let term = 0; term < terms; term++) {
      const [member] = draw(
        [TOKEN, 3n * TOKEN, 6n * TOKEN],
        1,
        sha256(Uint8Array.of(term, term >> 8)),
      )
      const index = member?.index as number
      seats[index] = (seats[index] as number) + 1
    }
    for (const [index, share] of [0.1, 0.3, 0.6].entries()) {
      assert.ok(Math.abs((seats[index] as number) / terms - share) < 0.03, `${seats}`)
    }
  })

  it('keeps a committee for a term', () => {
    assert.deepEqual(
      [0, 11, 12, 23, 24].map(epoch => termStart(epoch, { termEpochs: 12 })),
      [0, 0, 12, 12, 24],
    )
  })
})

describe('candidates of a committee', () => {
  const all = entries([100n, 100n, 100n, 100n].map(bond => bond * TOKEN))
  const from = (idle: readonly number[], absent: readonly number[] = []) => {
    const left = { idle: new Set(idle), absent: new Set(absent) }
    return candidatesOf(all, left, { bondCap: 1_000n * TOKEN }).map(({ index }) => index)
  }

  it('are those who are not idle, while these hold a majority', () => {
    assert.deepEqual(from([]), [0, 1, 2, 3])
    assert.deepEqual(from([2]), [0, 1, 3])
  })

  it('are everybody where half of the weight or more is idle', () => {
    assert.deepEqual(from([1, 2]), [0, 1, 2, 3])
    assert.deepEqual(from([0, 1, 2, 3]), [0, 1, 2, 3])
  })

  it('are those who vote, while these hold a majority of all weight', () => {
    assert.deepEqual(from([], [3]), [0, 1, 2])
    assert.deepEqual(from([], [2, 3]), [0, 1, 2, 3])
    assert.deepEqual(from([3], [3]), [0, 1, 2])
  })

  it('are the absent too rather than the idle, where only one can be left out', () => {
    assert.deepEqual(from([2], [3]), [0, 1, 3])
    assert.deepEqual(from([1, 2], [3]), [0, 1, 2])
  })
})
