import { strict as assert } from 'node:assert'
import {
  criticalThreshold,
  type GroupHealthInit,
  groupHealth,
  isDue,
  isWhole,
  placesToRepair,
  repairThreshold,
} from '@cairn/node'
import {
  Deal,
  dealId,
  dealIndex,
  type StorageState,
  storageWith,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import fc from 'fast-check'

const EPOCH = 20
const SETTLED = EPOCH - 1
const bytes32 = (value: number) => new Uint8Array(32).fill(value)
const CLIENT = bytes32(1)
const GROUP = bytes32(2)

const pieceOf = (place: number) => ({ root: bytes32(100 + place), payload: 1_000 })

function dealOf(place: number, change: Partial<Deal> = {}): Deal {
  return {
    ...Deal.defaultValue(),
    client: CLIENT,
    provider: place,
    piece: pieceOf(place),
    group: GROUP,
    place,
    startEpoch: 2,
    endEpoch: 1_000,
    pricePerEpoch: 1n,
    ...change,
  }
}

const groupOf = (data: number, total: number) => ({
  id: GROUP,
  data,
  pieces: Array.from({ length: total }, (_, place) => pieceOf(place)),
})

function init(
  deals: readonly Deal[],
  change: Partial<GroupHealthInit> & { of?: Partial<StorageState> } = {},
): GroupHealthInit {
  const { of = {}, ...rest } = change
  return {
    client: CLIENT,
    epoch: EPOCH,
    settled: SETTLED,
    profile: TESTNET_PROFILE,
    state: { ...storageWith(deals), ...of },
    pending: [],
    ...rest,
  }
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i)
const statesOf = (group: ReturnType<typeof groupOf>, present: GroupHealthInit) =>
  groupHealth(group, present).places.map(({ state }) => state)

describe('health of a group', () => {
  it('is that of the best deal of each place', () => {
    const deals = range(4).map(place => dealOf(place))
    assert.deepEqual(statesOf(groupOf(2, 5), init(deals)), ['live', 'live', 'live', 'live', 'gone'])
    const [owing, contained] = deals.map(dealId) as [Uint8Array, Uint8Array]
    const present = init(deals, {
      of: {
        debts: [{ deal: owing, leaf: 0, since: 9, again: 10, asked: 11 }],
        contained: [{ deal: contained, since: 9 }],
      },
    })
    assert.deepEqual(statesOf(groupOf(2, 4), present), ['owing', 'contained', 'live', 'live'])
    // Another provider keeps place 0 as well.
    const beside = dealOf(0, { provider: 9 })
    const both = { ...present, state: { ...present.state, deals: [...deals, beside] } }
    assert.equal(statesOf(groupOf(2, 4), both)[0], 'live')
  })

  it('counts a deal that waits as coming until no checkpoint can hold it any more', () => {
    const waiting = dealOf(0, { startEpoch: EPOCH + 1 })
    const state = (settled: number) =>
      statesOf(groupOf(1, 1), init([], { pending: [waiting], settled }))[0]
    assert.equal(state(EPOCH), 'coming')
    assert.equal(state(EPOCH + 1), 'gone')
  })

  it('sees an end that nobody renewed, and none where a successor follows', () => {
    const old = dealOf(0, { endEpoch: EPOCH + 1 })
    assert.equal(statesOf(groupOf(1, 1), init([old]))[0], 'ending')
    const next = dealOf(0, { startEpoch: EPOCH + 1, endEpoch: 1_000 })
    assert.equal(statesOf(groupOf(1, 1), init([old], { pending: [next] }))[0], 'live')
  })

  it('takes nobody else’s deals, and no piece but its own, for a place', () => {
    const foreign = dealOf(0, { client: bytes32(9) })
    const other = dealOf(0, { group: bytes32(9) })
    const piece = dealOf(0, { piece: pieceOf(1) })
    for (const deal of [foreign, other, piece, dealOf(7)]) {
      assert.deepEqual(statesOf(groupOf(1, 1), init([deal])), ['gone'])
    }
  })

  it('is repaired below k + 5, and below n where n is smaller', () => {
    assert.equal(repairThreshold({ data: 10, total: 30 }), 15)
    assert.equal(repairThreshold({ data: 4, total: 8 }), 8)
    assert.equal(repairThreshold({ data: 1, total: 1 }), 1)
    const group = groupOf(10, 30)
    const kept = (count: number) => groupHealth(group, init(range(count).map(i => dealOf(i))))
    assert.equal(isDue(kept(15)), false)
    assert.equal(isDue(kept(14)), true)
    assert.equal(isWhole(kept(29)), false)
    assert.equal(isWhole(kept(30)), true)
    assert.deepEqual(placesToRepair(kept(28)), [28, 29])
  })

  it('leaves a provider that owes an answer its time, unless too few others are left', () => {
    const group = groupOf(4, 8)
    const owe = (count: number) => {
      const deals = range(8).map(i => dealOf(i))
      const debts = deals
        .slice(0, count)
        .map(deal => ({ deal: dealId(deal), leaf: 0, since: 9, again: 0, asked: 9 }))
      return groupHealth(group, init(deals, { of: { debts } }))
    }
    assert.equal(criticalThreshold({ data: 4, total: 8 }), 5)
    assert.equal(isDue(owe(3)), false)
    assert.deepEqual(placesToRepair(owe(3)), [])
    assert.equal(isDue(owe(4)), true)
    assert.deepEqual(placesToRepair(owe(4)), [0, 1, 2, 3])
  })

  it('has a threshold from k to n, and is due whenever k or fewer are kept of more', () => {
    const shapes = fc
      .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 40 }))
      .map(([data, spare]) => ({ data, total: data + spare }))
    fc.assert(
      fc.property(shapes, shape => {
        const threshold = repairThreshold(shape)
        assert.ok(threshold >= shape.data && threshold <= shape.total)
        assert.ok(criticalThreshold(shape) <= shape.total)
        const deals = range(shape.data).map(i => dealOf(i))
        const health = groupHealth(groupOf(shape.data, shape.total), init(deals))
        assert.equal(isDue(health), shape.total > shape.data)
        assert.equal(placesToRepair(health).length, shape.total - shape.data)
        assert.equal(dealIndex(storageWith(deals)).byId.size, shape.data)
      }),
    )
  })
})
