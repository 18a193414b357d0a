import { strict as assert } from 'node:assert'
import { Mask, open, seal } from '@cairn/node'
import { hex, unhex } from '@cairn/protocol'
import fc from 'fast-check'

const key = Uint8Array.from({ length: 32 }, (_, i) => i)

describe('cipher', () => {
  it('is AES-256-GCM as published', () => {
    // Test case 14 of the GCM specification: key and nonce of zeros, one block of zeros.
    const sealed = seal(new Uint8Array(32), 0, new Uint8Array(16))
    assert.equal(hex(sealed), 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919')
  })

  it('opens what it sealed, under the same key and number alone', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.maxSafeNat(), (plain, number) => {
        const sealed = seal(key, number, plain)
        assert.equal(sealed.length, plain.length + 16)
        assert.deepEqual(new Uint8Array(open(key, number, sealed)), plain)
        assert.throws(() => open(key, number === 0 ? 1 : 0, sealed), { code: 'wrongKey' })
      }),
    )
    const sealed = seal(key, 1, Uint8Array.of(1, 2, 3))
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice()
      changed[at] = (changed[at] as number) ^ 1
      assert.throws(() => open(key, 1, changed), { code: 'wrongKey' })
    }
    for (const length of [0, 15, 16]) {
      assert.throws(() => open(key, 1, sealed.subarray(0, length)), { code: 'wrongKey' })
    }
  })
})

describe('mask', () => {
  it('is AES-256-CTR as published', () => {
    // SP 800-38A F.5.5 with a counter that begins at zero has no vector; its key stream is AES of it.
    const stream = new Mask(unhex('00'.repeat(32))).apply(new Uint8Array(32))
    assert.equal(hex(stream), 'dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738b')
  })

  it('begins anywhere, and undoes itself', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i)
    const whole = new Mask(key).apply(bytes)
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), (a, b) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)]
        const part = new Mask(key, start).apply(whole.subarray(start, end))
        assert.deepEqual(new Uint8Array(part), bytes.subarray(start, end))
      }),
    )
    const mask = new Mask(key)
    const parts = [mask.apply(bytes.subarray(0, 7)), mask.apply(bytes.subarray(7))]
    assert.ok(Buffer.concat(parts).equals(whole))
  })
})
