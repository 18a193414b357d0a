import { strict as assert } from 'node:assert'
import {
  CairnError,
  type CoreState,
  decodeState,
  emptyState,
  hex,
  type Kind,
  State,
  StateBytes,
} from '@cairn/protocol'
import fc from 'fast-check'
import { ECHO, echo } from '../kinds/trivial.ts'

const ECHOES = [echo as unknown as Kind<unknown>]
const TWO = [...ECHOES, { ...echo, code: 6 } as unknown as Kind<unknown>]

const anyAmount = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n })
const anyAccount = fc.uint8Array({ minLength: 20, maxLength: 20 })
const anyIndex = fc.nat({ max: 2 ** 32 - 1 })
const anyCore: fc.Arbitrary<CoreState> = fc.record(
  {
    payouts: listOf({ account: anyAccount, earned: anyAmount, spent: anyAmount }),
    activity: listOf({ node: anyIndex, epoch: anyIndex }),
    absent: listOf({ node: anyIndex, missed: anyIndex }),
  },
  { noNullPrototype: true },
)

function listOf<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T[]> {
  return fc.array(fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>)
}

function stateOf(core: CoreState, passes: number): State {
  return new State(core, ECHOES, new Map([[ECHO, { passes }]]))
}

describe('carried state', () => {
  it('comes back from its bytes, with its root', () => {
    fc.assert(
      fc.property(anyCore, anyIndex, (core, passes) => {
        const state = stateOf(core, passes)
        const again = decodeState(state.encode(), ECHOES)
        assert.deepEqual(again.core, core)
        assert.deepEqual(again.of(echo), { passes })
        assert.deepEqual(again.root(), state.root())
        assert.deepEqual(again.encode(), state.encode())
      }),
    )
  })

  it('has the root of an independent implementation when empty', () => {
    assert.equal(
      hex(emptyState([]).root()),
      '5d154fb05ea641337c4cac1c1cabeaef7b160acd3d1f328e90a8f15b2b686a22',
    )
  })

  it('has another root when core or kind differ', () => {
    const core: CoreState = { payouts: [], activity: [], absent: [] }
    const busy = { ...core, activity: [{ node: 1, epoch: 2 }] }
    const mute = { ...core, absent: [{ node: 1, missed: 2 }] }
    const states = [stateOf(core, 0), stateOf(core, 1), stateOf(busy, 0), stateOf(mute, 0)]
    const roots = [...states, emptyState([])].map(state => hex(state.root()))
    assert.equal(new Set(roots).size, 5)
  })

  it('is refused with another number of kinds', () => {
    const facts = (expected: number, found: number) => ({
      code: 'badEncoding',
      facts: { expected, found },
    })
    assert.throws(() => decodeState(emptyState(ECHOES).encode(), TWO), facts(2, 1))
    assert.throws(() => decodeState(emptyState(TWO).encode(), ECHOES), facts(1, 2))
  })

  it("is refused when a kind's part is of another length", () => {
    const bytes = StateBytes.serialize({
      core: { payouts: [], activity: [], absent: [] },
      kinds: [new Uint8Array(5)],
    })
    assert.throws(() => decodeState(bytes, ECHOES), { code: 'badLength' })
  })

  it('is refused or read from hostile bytes, never anything else', () => {
    const bytes = stateOf(
      {
        payouts: [{ account: new Uint8Array(20), earned: 1n, spent: 0n }],
        activity: [{ node: 1, epoch: 2 }],
        absent: [{ node: 2, missed: 3 }],
      },
      3,
    ).encode()
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(), (place, byte, length) => {
        const changed = bytes.with(place % bytes.length, byte).subarray(0, 1 + (length % 200))
        try {
          assert.deepEqual(decodeState(changed, ECHOES).encode(), Uint8Array.from(changed))
        } catch (error) {
          if (!(error instanceof CairnError)) throw error
          assert.ok(error.code === 'badLength' || error.code === 'badEncoding', error.code)
        }
      }),
      { numRuns: 500 },
    )
  })
})
