import { strict as assert } from 'node:assert'
import {
  CHALLENGERS_MAX,
  type Duty,
  isMajority,
  Ring,
  type RingMember,
  sha256,
  shuffle,
  VERIFIERS_MAX,
} from '@cairn/protocol'
import fc from 'fast-check'

const KIND = 2

function seedOf(number: number): Uint8Array {
  return sha256(Uint8Array.of(number, number >> 8, number >> 16))
}

function members(operators: readonly string[], idle: readonly number[] = []): RingMember[] {
  return operators.map((operator, index) => ({ index, operator, idle: idle.includes(index) }))
}

/** Everybody with an operator of its own. */
function strangers(count: number): RingMember[] {
  return members(Array.from({ length: count }, (_, index) => `operator ${index}`))
}

function taken({ challengers, verifiers }: Duty): number[] {
  return challengers.length === 1 && challengers[0] === verifiers[0]
    ? [...challengers]
    : [...challengers, ...verifiers]
}

const anySeed = fc.uint8Array({ minLength: 32, maxLength: 32 })
const anyMembers = fc
  .array(fc.record({ operator: fc.nat({ max: 15 }).map(String), idle: fc.boolean() }), {
    minLength: 1,
    maxLength: 40,
  })
  .map(list => list.map((member, index): RingMember => ({ index, ...member })))

describe('shuffle', () => {
  it('gives the order of an independent implementation', () => {
    const items = Array.from({ length: 20 }, (_, i) => i)
    assert.deepEqual(
      shuffle(items, new Uint8Array(32).fill(5), 2),
      [7, 1, 11, 14, 4, 2, 6, 13, 15, 17, 12, 3, 10, 19, 18, 5, 8, 16, 9, 0],
    )
  })

  it('keeps every item once and leaves what it was given', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer()), anySeed, (items, seed) => {
        const before = [...items]
        const shuffled = shuffle(items, seed, KIND)
        assert.deepEqual(items, before)
        assert.deepEqual(new Set(shuffled), new Set(items))
        assert.equal(shuffled.length, items.length)
      }),
    )
  })

  it('gives each order of four about equally often', () => {
    const rounds = 9_600
    const counts = new Map<string, number>()
    for (let i = 0; i < rounds; i++) {
      const order = shuffle([0, 1, 2, 3], seedOf(i), KIND).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    assert.equal(counts.size, 24)
    const expected = rounds / 24
    let chiSquare = 0
    for (const count of counts.values()) chiSquare += (count - expected) ** 2 / expected
    // 49.7 is exceeded once in a thousand by 23 degrees of freedom.
    assert.ok(chiSquare < 49.7, `chi square ${chiSquare}`)
  })

  it('gives another order for another kind or seed', () => {
    const items = Array.from({ length: 20 }, (_, i) => i)
    const order = shuffle(items, seedOf(1), 1)
    assert.notDeepEqual(shuffle(items, seedOf(1), 2), order)
    assert.notDeepEqual(shuffle(items, seedOf(2), 1), order)
    assert.deepEqual(shuffle(items, seedOf(1), 1), order)
  })
})

describe('duties', () => {
  it('divide those found into challengers and verifiers for every number of them', () => {
    const expected = [
      [0, 0],
      [1, 1],
      [1, 1],
      [1, 2],
      [2, 2],
      [2, 3],
      [2, 4],
      [3, 4],
      [3, 5],
      [3, 6],
      [3, 7],
      [3, 8],
      [3, 8],
      [3, 8],
    ]
    for (const [m, numbers] of expected.entries()) {
      const { challengers, verifiers } = new Ring(strangers(m + 1), seedOf(m), KIND).duty(0)
      assert.deepEqual([challengers.length, verifiers.length], numbers, `${m} found`)
    }
  })

  it('give the only other node both parts', () => {
    const duty = new Ring(strangers(2), seedOf(1), KIND).duty(0)
    assert.deepEqual(duty, { challengers: [1], verifiers: [1] })
  })

  it('leave a target alone when all others are idle or of its operator', () => {
    const ring = new Ring(members(['a', 'a', 'b', 'a'], [2]), seedOf(1), KIND)
    assert.deepEqual(ring.duty(0), { challengers: [], verifiers: [] })
  })

  it('are empty for a node that is not in the ring', () => {
    const ring = new Ring(strangers(5), seedOf(1), KIND)
    assert.deepEqual(ring.duty(5), { challengers: [], verifiers: [] })
  })

  it('exist for an idle target: it can be asked', () => {
    const ring = new Ring(members(['a', 'b', 'c', 'd'], [0]), seedOf(1), KIND)
    assert.equal(taken(ring.duty(0)).length, 3)
  })

  it('never fall to the target, its operator or the idle, and to nobody twice', () => {
    fc.assert(
      fc.property(anyMembers, anySeed, (all, seed) => {
        const ring = new Ring(all, seed, KIND)
        for (const target of all) {
          const duty = ring.duty(target.index)
          const nodes = taken(duty)
          assert.equal(new Set(nodes).size, nodes.length)
          for (const index of nodes) {
            const member = all[index] as RingMember
            assert.notEqual(member.operator, target.operator)
            assert.equal(member.idle, false)
          }
          const eligible = all.filter(m => m.operator !== target.operator && !m.idle).length
          assert.equal(nodes.length, Math.min(eligible, CHALLENGERS_MAX + VERIFIERS_MAX))
        }
      }),
    )
  })

  it('fall to different operators first, and a second time only when no other is left', () => {
    fc.assert(
      fc.property(anyMembers, anySeed, (all, seed) => {
        const ring = new Ring(all, seed, KIND)
        for (const target of all) {
          const operators = taken(ring.duty(target.index)).map(
            index => (all[index] as RingMember).operator,
          )
          const eligible = all.filter(m => m.operator !== target.operator && !m.idle)
          const distinct = new Set(eligible.map(({ operator }) => operator)).size
          const first = operators.slice(0, Math.min(distinct, operators.length))
          assert.equal(new Set(first).size, first.length)
        }
      }),
    )
  })

  it('follow the ring from the place after the target', () => {
    fc.assert(
      fc.property(anyMembers, anySeed, (all, seed) => {
        const order = shuffle(all, seed, KIND)
        const ring = new Ring(all, seed, KIND)
        for (const [place, target] of order.entries()) {
          const after = [...order.slice(place + 1), ...order.slice(0, place)].filter(
            ({ operator, idle }) => operator !== target.operator && !idle,
          )
          const isFirst = (member: RingMember, at: number) =>
            after.findIndex(({ operator }) => operator === member.operator) === at
          const wanted = [
            ...after.filter(isFirst),
            ...after.filter((member, at) => !isFirst(member, at)),
          ]
          assert.deepEqual(
            taken(ring.duty(target.index)),
            wanted.slice(0, CHALLENGERS_MAX + VERIFIERS_MAX).map(({ index }) => index),
          )
        }
      }),
    )
  })

  it('are the same for the same input, in whatever order targets are asked for', () => {
    fc.assert(
      fc.property(anyMembers, anySeed, (all, seed) => {
        const one = new Ring(all, seed, KIND)
        const other = new Ring(all, seed, KIND)
        const targets = all.map(({ index }) => index)
        const forwards = new Map(targets.map(target => [target, one.duty(target)]))
        for (const target of targets.toReversed()) {
          assert.deepEqual(other.duty(target), forwards.get(target))
          assert.equal(other.duty(target), other.duty(target))
        }
      }),
    )
  })

  it('fall to every node about equally often', () => {
    const epochs = 2_400
    const counts = new Map<number, number>()
    for (let epoch = 0; epoch < epochs; epoch++) {
      const [first] = new Ring(strangers(9), seedOf(epoch), KIND).duty(4).challengers
      counts.set(first as number, (counts.get(first as number) ?? 0) + 1)
    }
    assert.equal(counts.size, 8)
    for (const count of counts.values()) assert.ok(count > 240 && count < 360, `${count}`)
  })
})

describe('majority', () => {
  it('is more than half of those assigned', () => {
    assert.deepEqual(
      [isMajority(0, 0), isMajority(1, 1), isMajority(1, 2), isMajority(2, 2), isMajority(2, 3)],
      [false, true, false, true, true],
    )
    assert.deepEqual([isMajority(4, 8), isMajority(5, 8)], [false, true])
  })
})
