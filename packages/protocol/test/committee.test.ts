import { strict as assert } from 'node:assert'
import {
  absentProof,
  bls,
  committeeTree,
  committeeWord,
  keccak256,
  quorum,
  sha256,
  type WeightedKey,
} from '@cairn/protocol'
import fc from 'fast-check'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('committee', () => {
  it('has the word that the contract computes', () => {
    assert.equal(
      hex(committeeWord(members(5))),
      '362d8c194ed8db3ee110e2107392691bb6078ee742d3eb9741c05b521ef3fc70',
    )
  })

  it('of one member has its leaf as the root', () => {
    const [only] = members(1) as [WeightedKey]
    const weight = new Uint8Array(32)
    weight[30] = only.weight >> 8
    weight[31] = only.weight & 255
    const leaf = keccak256(Uint8Array.from([...bls.keyToEvm(only.key), ...weight]))
    assert.deepEqual(committeeTree([only]).root, leaf)
  })

  it('has another word with any other member, weight or order', () => {
    const five = members(5)
    const [first, second, ...rest] = five as [WeightedKey, WeightedKey, ...WeightedKey[]]
    const words = [
      five,
      five.slice(1),
      members(6),
      [second, first, ...rest],
      [{ ...first, weight: first.weight + 1 }, second, ...rest],
      [{ ...first, weight: second.weight }, { ...second, weight: first.weight }, ...rest],
    ].map(list => hex(committeeWord(list)))
    assert.equal(new Set(words).size, words.length)
  })

  it('is never empty', () => {
    assert.throws(() => committeeTree([]), { code: 'emptyCommittee' })
  })

  it('refuses a key that is no point of the group', () => {
    const [first, ...rest] = members(3) as [WeightedKey, ...WeightedKey[]]
    const spoiled = Uint8Array.from(first.key)
    spoiled[0] = (spoiled[0] as number) ^ 0x40
    assert.throws(() => committeeTree([{ ...first, key: spoiled }, ...rest]), { code: 'blsPoint' })
  })
})

describe('absent members', () => {
  const tree = committeeTree(members(13))

  it('need no proof when there are none, nor when everybody is', () => {
    assert.deepEqual(absentProof(tree, []), { members: [], proof: [] })
    // Three padding leaves remain to be shown: one, and a pair's node.
    assert.equal(absentProof(tree, [...tree.members.keys()]).proof.length, 2)
  })

  it('climb with their siblings to the root', () => {
    fc.assert(
      fc.property(fc.subarray([...tree.members.keys()], { minLength: 1 }), absent => {
        const { members: shown, proof } = absentProof(tree, absent)
        const rest = [...proof]
        let level = new Map(shown.map(({ index }) => [index, tree.levels[0]?.[index]]))
        for (let height = 0; height < tree.levels.length - 1; height++) {
          const above = new Map<number, Uint8Array>()
          for (const [index, node] of level) {
            if (above.has(index >> 1)) continue
            const sibling = level.get(index ^ 1) ?? rest.shift()
            assert.ok(node !== undefined && sibling !== undefined)
            const pair = index % 2 === 0 ? [...node, ...sibling] : [...sibling, ...node]
            above.set(index >> 1, keccak256(Uint8Array.from(pair)))
          }
          level = above
        }
        assert.deepEqual(level.get(0), tree.root)
        assert.equal(rest.length, 0)
      }),
    )
  })

  it('are refused out of order, repeated, past the end and in parts', () => {
    for (const absent of [[1, 0], [2, 2], [13], [-1], [0.5]]) {
      assert.throws(() => absentProof(tree, absent), { code: 'absentOrder' })
    }
  })
})

describe('quorum', () => {
  it('is more than two thirds: 1 of 1, 2 of 2, 3 of 3, 3 of 4', () => {
    const least = [1, 2, 3, 4, 5, 6, 7].map(total =>
      [...Array(total + 1).keys()].find(signed => quorum({ signed, total })),
    )
    assert.deepEqual(least, [1, 2, 3, 3, 4, 5, 5])
  })

  it('is exact for the largest weights', () => {
    const third = 2 ** 51
    assert.equal(quorum({ signed: 2 * third, total: 3 * third }), false)
    assert.equal(quorum({ signed: 2 * third + 1, total: 3 * third }), true)
  })
})

function members(n: number): WeightedKey[] {
  return Array.from({ length: n }, (_, i) => {
    const secret = sha256(Uint8Array.of(i))
    secret[0] = (secret[0] as number) & 0x3f
    return { key: bls.publicKey(secret), weight: 1000 + i }
  })
}
