import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import {
  beaconKey,
  epochSeed,
  randomnessOf,
  roundAt,
  signRound,
  verifyRound,
} from '../src/randomness.ts'

interface Quicknet {
  periodS: number
  genesisS: number
  publicKey: string
  rounds: { round: number; signature: string }[]
}

const quicknet: Quicknet = JSON.parse(
  readFileSync(new URL('./vectors/drand.json', import.meta.url), 'utf8'),
)
const publicKey = hexToBytes(quicknet.publicKey)
const SECRET = new Uint8Array(32).fill(3)

function first(): { round: number; signature: Uint8Array } {
  const [found] = quicknet.rounds
  assert.ok(found)
  return { round: found.round, signature: hexToBytes(found.signature) }
}

describe('drand round', () => {
  for (const { round, signature } of quicknet.rounds) {
    it(`holds for round ${round} of quicknet`, () => {
      assert.ok(verifyRound({ publicKey, round, signature: hexToBytes(signature) }))
    })
  }

  it('does not hold for another round, nor for another key', () => {
    const { round, signature } = first()
    assert.ok(!verifyRound({ publicKey, round: round + 1, signature }))
    assert.ok(!verifyRound({ publicKey: beaconKey(SECRET), round, signature }))
  })

  it('does not hold with any bit of the signature changed', () => {
    const { round, signature } = first()
    fc.assert(
      fc.property(fc.nat({ max: 48 * 8 - 1 }), bit => {
        const spoiled = signature.slice()
        spoiled[bit >> 3] = (spoiled[bit >> 3] as number) ^ (1 << (bit & 7))
        assert.ok(!verifyRound({ publicKey, round, signature: spoiled }))
      }),
      { numRuns: 15 },
    )
  })

  it('is refused without an exception when malformed', () => {
    const { round, signature } = first()
    const infinity = (length: number) => hexToBytes(`c0${'00'.repeat(length - 1)}`)
    for (const bad of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      assert.ok(!verifyRound({ publicKey, round: bad, signature }))
    }
    const uncompressed = bls12_381.G1.Point.fromBytes(signature).toBytes(false)
    for (const bad of [new Uint8Array(0), new Uint8Array(48), uncompressed, infinity(48)]) {
      assert.ok(!verifyRound({ publicKey, round, signature: bad }))
    }
    for (const bad of [new Uint8Array(96), publicKey.subarray(1), infinity(96)]) {
      assert.ok(!verifyRound({ publicKey: bad, round, signature }))
    }
    assert.ok(!verifyRound({ publicKey: infinity(96), round, signature: infinity(48) }))
  })

  it('of a local beacon holds under its key', () => {
    const signature = signRound(SECRET, 77)
    assert.ok(verifyRound({ publicKey: beaconKey(SECRET), round: 77, signature }))
    assert.ok(!verifyRound({ publicKey: beaconKey(SECRET), round: 78, signature }))
  })

  it('is not signed for round 0', () => {
    assert.throws(() => signRound(SECRET, 0), /rounds count from 1/)
  })

  it('gives the hash of its signature as randomness', () => {
    const { signature } = first()
    assert.deepEqual(randomnessOf(signature), sha256(signature))
    assert.equal(
      bytesToHex(randomnessOf(signature)),
      'fb8f7bc29bf24db51871ec8c79f3a1e4bd0557bc0dfcee9ed1d924e69d1c60dc',
    )
  })
})

describe('round at a time', () => {
  const { genesisS: genesis, periodS: period } = quicknet

  it('is the first round due then or later', () => {
    assert.equal(roundAt({ genesis, period, seconds: genesis }), 1)
    assert.equal(roundAt({ genesis, period, seconds: genesis + 1 }), 2)
    assert.equal(roundAt({ genesis, period, seconds: genesis + period }), 2)
    assert.equal(roundAt({ genesis, period, seconds: genesis + period + 1 }), 3)
  })

  it('is round 1 before genesis', () => {
    assert.equal(roundAt({ genesis, period, seconds: genesis - 1000 }), 1)
  })

  it('is due at or after the time, and its predecessor before', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 60 }), fc.nat(), (start, every, after) => {
        const seconds = start + after
        const round = roundAt({ genesis: start, period: every, seconds })
        const due = start + (round - 1) * every
        assert.ok(due >= seconds && (round === 1 || due - every < seconds))
      }),
    )
  })
})

describe('epoch seed', () => {
  const init = {
    network: new Uint8Array(32).fill(1),
    epoch: 5,
    randomness: new Uint8Array(32).fill(2),
  }

  it('is fixed by network, epoch and randomness', () => {
    assert.equal(
      bytesToHex(epochSeed(init)),
      'fe5ca3f221b89a1a1e2da974a902cd06c95e54653cb5201e605585e7ec4ea171',
    )
  })

  it('differs with each of them', () => {
    const seeds = [
      init,
      { ...init, network: new Uint8Array(32).fill(9) },
      { ...init, epoch: 6 },
      { ...init, randomness: new Uint8Array(32).fill(9) },
    ].map(each => bytesToHex(epochSeed(each)))
    assert.equal(new Set(seeds).size, seeds.length)
  })
})
