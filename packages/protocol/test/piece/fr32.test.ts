import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { FR32_PAYLOAD_MAX, fastestFr32, fr32Pad } from '../../src/piece/fr32.ts'
import { hex } from '../../src/ssz.ts'
import { pattern } from './vectors.ts'

const IMPLEMENTATIONS = {
  simd: fastestFr32(),
  scalar: fastestFr32(() => false),
}

/** The definition, one bit at a time. */
function padByBits(payload: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(payload.length / 127) * 128)
  for (let bit = 0; bit < payload.length * 8; bit++) {
    const value = ((payload[bit >> 3] as number) >> (bit & 7)) & 1
    const to = Math.floor(bit / 254) * 256 + (bit % 254)
    padded[to >> 3] = (padded[to >> 3] as number) | (value << (to & 7))
  }
  return padded
}

for (const [name, fr32] of Object.entries(IMPLEMENTATIONS)) {
  describe(`fr32, ${name}`, () => {
    it('puts two zero bits after every 254', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 1100 }), payload => {
          assert.equal(hex(fr32(payload)), hex(padByBits(payload)))
        }),
      )
    })

    it('keeps every bit of a payload of ones, whatever was padded before', () => {
      fr32(pattern(4_000))
      const ones = new Uint8Array(2032).fill(0xff)
      assert.equal(hex(fr32(ones)), hex(padByBits(ones)))
      assert.equal(hex(fr32(ones.subarray(0, 5))), hex(padByBits(ones.subarray(0, 5))))
    })

    it('reads bytes that begin anywhere in their buffer', () => {
      const bytes = new Uint8Array(300).map((_, i) => i * 7)
      assert.equal(hex(fr32(bytes.subarray(3, 257))), hex(padByBits(bytes.slice(3, 257))))
    })

    it('pads as much at once as it says, and no more', () => {
      const payload = pattern(FR32_PAYLOAD_MAX)
      assert.ok(Buffer.from(fr32(payload)).equals(padByBits(payload)))
      const short = payload.subarray(0, FR32_PAYLOAD_MAX - 100)
      assert.ok(Buffer.from(fr32(short)).equals(padByBits(short)))
      assert.throws(() => fr32(new Uint8Array(FR32_PAYLOAD_MAX + 1)), /the payload fits/)
    })
  })
}

describe('fr32Pad', () => {
  it('pads payloads of any length, and keeps what it gave', () => {
    const payload = pattern(2 * FR32_PAYLOAD_MAX + 1)
    const padded = fr32Pad(payload)
    fr32Pad(pattern(5_000, 2))
    assert.ok(Buffer.from(padded).equals(padByBits(payload)))
    assert.equal(fr32Pad(new Uint8Array()).length, 0)
  })
})
