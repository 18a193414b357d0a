import { strict as assert } from 'node:assert'
import {
  COVERAGE,
  draws,
  firstRound,
  GATEWAYS_MAX,
  gatewayPlaces,
  hasNonce,
  isDrawn,
  ownRound,
  roundOf,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import fc from 'fast-check'
import { baseOf, bytes32, entryOf, GENESIS } from './network.ts'

const { roundEpochs, slotMs, slotsPerEpoch } = TESTNET_PROFILE
// Computed with hashlib from the SSZ layout.
const GOLDEN = '0010001000000110'
const EPOCH_SECONDS = (slotMs * slotsPerEpoch) / 1_000

/** The bases of one whole round, with the seeds of its epochs. */
function roundOfBases(round: number, salt: number) {
  const seeds = Array.from({ length: roundEpochs }, (_, place) => bytes32(place, salt))
  return seeds.map((seed, place) => {
    const epoch = round * roundEpochs + place
    const earlier = seeds.slice(0, place)
    const earlierSeeds = new Map(earlier.map((s, at) => [round * roundEpochs + at, s]))
    return baseOf({ epoch, seed, earlierSeeds })
  })
}

describe('coverage draw', () => {
  it('has the golden vector', () => {
    const drawn = Array.from({ length: 16 }, (_, index) => draws(bytes32(1, 7), index, 4))
    assert.equal(drawn.map(Number).join(''), GOLDEN)
  })

  it('draws every gateway exactly once a round', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.nat(255), fc.nat(50), (index, salt, round) => {
        const bases = roundOfBases(round, salt)
        return bases.filter(base => isDrawn(base, index)).length === 1
      }),
    )
  })

  it('draws about as many gateways in each epoch of a round', () => {
    const gateways = Array.from({ length: 1_000 }, (_, index) => index)
    for (const base of roundOfBases(1, 11)) {
      const drawn = gateways.filter(index => isDrawn(base, index)).length
      assert.ok(drawn > 200 && drawn < 300, `${drawn} drawn in epoch ${base.epoch}`)
    }
  })

  it('names the missing seed of an earlier epoch rather than guess', () => {
    const base = baseOf({ epoch: roundEpochs + 2 })
    assert.throws(() => isDrawn(base, 0), { code: 'seedUnknown' })
  })

  it('needs no earlier seed in the first epoch of a round', () => {
    assert.equal(typeof isDrawn(baseOf({ epoch: 2 * roundEpochs }), 0), 'boolean')
  })
})

describe('rounds of a gateway', () => {
  const first = (epoch: number) =>
    firstRound(entryOf(0, { registeredAt: GENESIS + epoch * EPOCH_SECONDS }), baseOf())

  it('count from 1 in the first round for those registered before genesis', () => {
    const entry = entryOf(0)
    assert.equal(firstRound(entry, baseOf()), 0)
    assert.equal(ownRound(entry, baseOf({ epoch: 0 })), 1)
    assert.equal(ownRound(entry, baseOf({ epoch: roundEpochs })), 2)
  })

  it('begin with the first round whose first epoch finds it active', () => {
    // Registered in epoch 2, active from epoch 4 (lookback 1): the second round begins there.
    assert.equal(first(2), 1)
    // Registered in epoch 3, active from epoch 5: only from the third round.
    assert.equal(first(3), 2)
  })

  it('leave a gateway without a nonce before its first round and after its chain', () => {
    const entry = entryOf(0, { registeredAt: GENESIS + 3 * EPOCH_SECONDS })
    assert.ok(!hasNonce(entry, baseOf({ epoch: 2 * roundEpochs - 1 })))
    assert.ok(hasNonce(entry, baseOf({ epoch: 2 * roundEpochs })))
    assert.ok(hasNonce(entry, baseOf({ epoch: (2 + 8191) * roundEpochs })))
    assert.ok(!hasNonce(entry, baseOf({ epoch: (2 + 8192) * roundEpochs })))
  })

  it('are global', () => {
    assert.equal(roundOf(roundEpochs - 1, TESTNET_PROFILE), 0)
    assert.equal(roundOf(roundEpochs, TESTNET_PROFILE), 1)
  })
})

describe('gateways of a place', () => {
  it('are the active nodes that offer coverage, by ascending index', () => {
    const registry = [entryOf(5), entryOf(1, { kinds: 1 << 1 }), entryOf(3), entryOf(2)]
    const exited = entryOf(4, { exitAt: GENESIS + 1 })
    const places = gatewayPlaces(baseOf({ registry: [...registry, exited] }))
    assert.deepEqual(
      [...places],
      [
        [2, 0],
        [3, 1],
        [5, 2],
      ],
    )
  })

  it('are at most as many as the evidence has bits', () => {
    const registry = Array.from({ length: GATEWAYS_MAX + 1 }, (_, index) => entryOf(index))
    const places = gatewayPlaces(baseOf({ registry }))
    assert.equal(places.size, GATEWAYS_MAX)
    assert.ok(!places.has(GATEWAYS_MAX))
  })

  it('have the kind code of the wire', () => {
    assert.equal(COVERAGE, 2)
  })
})
