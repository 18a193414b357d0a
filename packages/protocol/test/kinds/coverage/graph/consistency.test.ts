import { strict as assert } from 'node:assert'
import { latLngToCell } from 'h3-js'
import { judgeConsistency } from '../../../../src/kinds/coverage/graph/consistency.ts'
import type { Tie } from '../../../../src/kinds/coverage/graph/links.ts'
import { placesOf } from '../../../../src/kinds/coverage/graph/places.ts'

interface Peer {
  /** Beacons of it that were heard, and own ones that it heard. */
  readonly hears?: number
  readonly heardBy?: number
  /** Chances that it had, and took. */
  readonly had?: number
  readonly taken?: number
}

/** What is found of gateway 0, whose peers have no links but with it. */
function found(peers: readonly Peer[]) {
  const nodes = [0, ...peers.map((_, at) => at + 1)]
  const places = placesOf(
    nodes.map(index => {
      const cell = latLngToCell(49.2 + index / 100, 16.6, 12)
      return { index, cell: BigInt(`0x${cell}`) }
    }),
  )
  const way = (heard: number, loss: number) => ({ heard, measured: heard, loss: heard * loss })
  const ties = new Map<number, Tie[]>(nodes.map(node => [node, []]))
  ties.set(
    0,
    peers.map(({ hears = 1, heardBy = 1 }, at) => {
      const loss = 1_000 + 10 * at
      return {
        peer: at + 1,
        spreading: 600 + 10 * at,
        hears: way(hears, loss),
        heardBy: way(heardBy, loss),
      }
    }),
  )
  const chances = {
    neighbours: {
      places: Int32Array.from(nodes.slice(1)),
      spreading: new Int32Array(peers.length),
    },
    had: Int32Array.from(peers, ({ had = 0 }) => had),
    taken: Int32Array.from(peers, ({ taken = 0 }) => taken),
  }
  const scores = judgeConsistency({ ties, places, chances: new Map([[0, chances]]) })
  const own = scores.get(0)
  assert.ok(own)
  return own
}

const alike = (count: number, peer: Peer = {}): Peer[] => Array.from({ length: count }, () => peer)

describe('consistency of few numbers', () => {
  it('has a correlation of 32 links, and of fewer none', () => {
    assert.equal(found(alike(32)).fit, 1_000)
    assert.equal(found(alike(31)).fit, undefined)
  })

  it('compares the level of 24 links with others, and of fewer not', () => {
    assert.equal(found(alike(24)).level, 0)
    assert.equal(found(alike(23)).level, undefined)
  })

  it('compares places by 12 links, and by fewer not', () => {
    assert.equal(found(alike(12)).doubt, 0)
    assert.equal(found(alike(11)).doubt, undefined)
  })

  it('compares both ways of 12 pairs, and of fewer not', () => {
    assert.equal(found(alike(12)).asymmetry, 0)
    assert.equal(found(alike(11)).asymmetry, undefined)
  })

  it('takes frames for told when 48 of 8 peers were heard, and no fewer', () => {
    const told = (peers: number, frames: number) =>
      found([
        { hears: frames - 6 * (peers - 1), heardBy: 0 },
        ...alike(peers - 1, { hears: 6, heardBy: 6 }),
      ]).oneSided
    assert.equal(told(8, 48), 125)
    assert.equal(told(8, 47), undefined)
    assert.equal(told(7, 48), undefined)
  })

  it('counts for told only peers that were heard twice', () => {
    const peers = [...alike(7, { hears: 8, heardBy: 8 }), { hears: 1, heardBy: 0 }]
    assert.equal(found(peers).oneSided, undefined)
    assert.equal(found([...peers, { hears: 2, heardBy: 0 }]).oneSided, Math.floor(2_000 / 58))
  })

  it('takes silence for an answer when 8 neighbours had 24 chances, and no fewer', () => {
    const silent = (neighbours: number, chances: number) =>
      found([
        { had: chances - 3 * (neighbours - 1), taken: 0 },
        ...alike(neighbours - 1, { had: 3, taken: 3 }),
      ]).heard
    assert.equal(silent(8, 24), 875)
    assert.equal(silent(8, 23), undefined)
    assert.equal(silent(7, 24), undefined)
  })
})
