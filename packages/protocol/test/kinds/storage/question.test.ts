import { strict as assert } from 'node:assert'
import {
  askedLeaves,
  type Deal,
  dataLeaves,
  dealId,
  hex,
  inventoryOf,
  storageInventory,
  storageKind,
} from '@cairn/protocol'
import fc from 'fast-check'
import { baseOf, bytes32, dealOf, EPOCH, stateOf } from './world.ts'

/** Deals of provider 0 over pieces of the given payloads; roots are of no interest here. */
const dealsOver = (payloads: readonly number[]): Deal[] =>
  payloads.map((payload, i) =>
    dealOf({ piece: { root: bytes32(i, 4), payload }, nonce: BigInt(i) }),
  )

const payload = fc.integer({ min: 1, max: 1_065_353_216 })
const output = fc.uint8Array({ minLength: 96, maxLength: 96 })

describe('storage question', () => {
  it('has known leaves', () => {
    const inventory = inventoryOf(stateOf(dealsOver([100_000, 70_000, 5])), 0, EPOCH)
    const asked = askedLeaves(inventory, new Uint8Array(96).fill(7))
    const text = asked.map(({ deal, leaf }) => `${deal.key.slice(0, 4)}:${leaf}`).join(' ')
    // Computed apart from this code, with nothing but SHA-256.
    assert.equal(
      text,
      [
        '8054:1632 8054:2606 fc88:1189 fc88:36 8054:875 8054:544 fc88:470 fc88:1466 fc88:66',
        '8054:2987 fc88:732 8054:1865 8054:1469 fc88:1776 fc88:1800 fc88:1506 8054:1438',
        'fc88:1570 8054:1072 8054:540',
      ].join(' '),
    )
  })

  it('asks twenty leaves, each one that carries payload', () => {
    fc.assert(
      fc.property(fc.array(payload, { minLength: 1, maxLength: 20 }), output, (payloads, bytes) => {
        const inventory = inventoryOf(stateOf(dealsOver(payloads)), 0, EPOCH)
        const asked = askedLeaves(inventory, bytes)
        assert.equal(asked.length, 20)
        for (const { deal, leaf } of asked) {
          assert.ok(leaf >= 0 && leaf < dataLeaves(deal.deal.piece))
        }
      }),
    )
  })

  it('draws evenly over all leaves of all deals', () => {
    const inventory = inventoryOf(stateOf(dealsOver([31, 31 * 7, 31 * 2])), 0, EPOCH)
    assert.equal(inventory.leaves, 1 + 7 + 2)
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 200; seed++) {
      for (const { deal, leaf } of askedLeaves(inventory, new Uint8Array(96).fill(seed))) {
        assert.ok(leaf < dataLeaves(deal.deal.piece))
        const key = `${deal.key}/${leaf}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
    }
    assert.equal(counts.size, 10)
    for (const count of counts.values()) assert.ok(count > 300 && count < 500, String(count))
  })

  it('asks what is live in the epoch, in order of the deals’ ids', () => {
    const deals = [
      dealOf({ nonce: 1n }),
      dealOf({ nonce: 2n, startEpoch: EPOCH + 1 }),
      dealOf({ nonce: 3n, startEpoch: EPOCH - 5, endEpoch: EPOCH }),
      dealOf({ nonce: 4n, startEpoch: EPOCH - 5, endEpoch: EPOCH + 1 }),
      dealOf({ nonce: 5n, provider: 1 }),
    ]
    const base = baseOf({ state: stateOf(deals) })
    const live = storageInventory(base, 0).deals.map(({ key }) => key)
    const wanted = [deals[0], deals[3]].map(deal => hex(dealId(deal as Deal))).sort()
    assert.deepEqual(live, wanted)
  })

  it('has those as targets who have something to keep', () => {
    const deals = [
      dealOf({ provider: 3 }),
      dealOf({ provider: 5, startEpoch: EPOCH + 1 }),
      dealOf({ provider: 7, nonce: 2n }),
      dealOf({ provider: 99, nonce: 3n }),
    ]
    assert.deepEqual(storageKind.targets(baseOf({ state: stateOf(deals) })), [3, 7])
    assert.deepEqual(storageKind.targets(baseOf()), [])
  })

  it('is due in a reveal slot that follows from the output', () => {
    const base = baseOf()
    const slots = new Set<number>()
    for (let fill = 0; fill < 100; fill++) {
      slots.add(storageKind.revealSlot(base, 0, new Uint8Array(96).fill(fill)))
    }
    assert.deepEqual(
      [...slots].sort((a, b) => a - b),
      [1, 2, 3, 4, 5, 6, 7],
    )
  })
})
