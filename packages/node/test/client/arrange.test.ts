import { strict as assert } from 'node:assert'
import { arrange, type Candidate, networkOf } from '@cairn/node'
import fc from 'fast-check'
import { entryOf } from '../../../protocol/test/kinds/storage/world.ts'

interface Form {
  operator?: number
  network?: string
  cell?: bigint
  score?: number
}

function candidate(index: number, { operator = index, cell = 0n, network, score }: Form = {}) {
  const entry = entryOf(index, { operator: new Uint8Array(20).fill(operator + 1), cell })
  return {
    entry,
    peer: `peer${index}`,
    ...(network === undefined ? {} : { network }),
    ...(score === undefined ? {} : { score }),
  } satisfies Candidate
}

const first = () => 0
const order = (candidates: readonly Candidate[], draw: (below: number) => number = first) =>
  arrange(candidates, draw).map(({ entry }) => entry.index)

/** Cells of resolution 12 in Berlin, beside it, and in Lisbon. */
const BERLIN = 0x8c1f1d489a003ffn
const BERLIN_TOO = 0x8c1f1d489a007ffn
const LISBON = 0x8c393360102c1ffn

describe('arranging providers', () => {
  it('takes every operator once before any twice', () => {
    const candidates = [0, 1, 2, 3, 4, 5].map(i => candidate(i, { operator: i % 3 }))
    const operators = order(candidates).map(index => index % 3)
    assert.deepEqual(new Set(operators.slice(0, 3)), new Set([0, 1, 2]))
  })

  it('takes other networks first, then other regions', () => {
    const candidates = [
      candidate(0, { network: 'a', cell: BERLIN }),
      candidate(1, { network: 'a', cell: LISBON }),
      candidate(2, { network: 'b', cell: BERLIN_TOO }),
      candidate(3, { network: 'c', cell: LISBON }),
    ]
    for (const draw of [0, 1, 2, 3]) {
      const found = order(candidates, below => draw % below)
      // Two share a network: one of them comes last, and the regions of the others are as mixed as
      // can be.
      assert.ok([0, 1].includes(found[3] as number))
      const regions = found.slice(0, 2).map(index => (index % 2 === 0 ? 'Berlin' : 'Lisbon'))
      assert.equal(new Set(regions).size, 2)
    }
  })

  it('takes the better before the worse, and those not yet known in between', () => {
    const candidates = [
      candidate(0, { score: 0.2 }),
      candidate(1, { score: 1 }),
      candidate(2),
      candidate(3, { score: 0.7 }),
    ]
    assert.deepEqual(order(candidates), [1, 2, 3, 0])
  })

  it('lets chance decide between equals, and loses nobody', () => {
    const candidates = [0, 1, 2, 3].map(i => candidate(i))
    const firsts = [0, 1, 2, 3].map(draw => order(candidates, below => draw % below)[0])
    assert.ok(new Set(firsts).size > 1)
    const any = fc.array(fc.record({ operator: fc.nat(3), network: fc.constantFrom('a', 'b') }))
    fc.assert(
      fc.property(any, fc.nat(), (forms, draw) => {
        const all = forms.map((form, i) => candidate(i, form))
        const found = order(all, below => draw % below)
        assert.deepEqual(
          found.toSorted((a, b) => a - b),
          [...all.keys()],
        )
      }),
    )
  })

  it('knows the network of an address', () => {
    const cases: [string, string | undefined][] = [
      ['/ip4/192.0.2.7/tcp/4001', '192.0.2'],
      ['/ip4/127.0.0.1/tcp/4001/p2p/12D3', '127.0.0'],
      ['/ip6/2001:db8:1:2:3:4:5:6/tcp/1', '2001:db8:1:2'],
      ['/ip6/2001:DB8::1/tcp/1', '2001:db8:0:0'],
      ['/ip6/::1/tcp/1', '0:0:0:0'],
      ['/ip6/2001:0db8:0001::/tcp/1', '2001:db8:1:0'],
      ['/ip6/::ffff:192.0.2.7/tcp/1', '192.0.2'],
      ['/dns4/example.org/tcp/1', undefined],
      ['', undefined],
    ]
    for (const [address, network] of cases) assert.equal(networkOf(address), network, address)
  })
})
