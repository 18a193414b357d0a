import { strict as assert } from 'node:assert'
import {
  ByteListType,
  CairnError,
  ContainerType,
  compareBytes,
  decode,
  equalBytes,
  hex,
  sha256,
  Uint32,
  u64,
  unhex,
} from '@cairn/protocol'
import fc from 'fast-check'

const Pair = new ContainerType({ number: Uint32, text: new ByteListType(16) }, { typeName: 'Pair' })

describe('decode', () => {
  it('gives back what was encoded', () => {
    const value = { number: 7, text: Uint8Array.of(1, 2) }
    assert.deepEqual(decode(Pair, Pair.serialize(value)), value)
  })

  it('gives parts of their own, also out of a Buffer that is used again', () => {
    const buffer = Buffer.from(Pair.serialize({ number: 7, text: Uint8Array.of(1, 2) }))
    const { text } = decode(Pair, buffer)
    buffer.fill(0xff)
    assert.deepEqual(text, Uint8Array.of(1, 2))
  })

  it('refuses by length first, naming type, bounds and what it found', () => {
    const facts = { type: 'Pair', min: 8, max: 24 }
    assert.throws(() => decode(Pair, new Uint8Array(7)), {
      name: 'CairnError',
      code: 'badLength',
      message: 'Pair: expected 8 to 24 bytes, found 7',
      facts: { ...facts, found: 7 },
    })
    assert.throws(() => decode(Pair, new Uint8Array(25)), { facts: { ...facts, found: 25 } })
  })

  it('takes the smaller of the limits of type and channel', () => {
    const bytes = Pair.serialize({ number: 7, text: new Uint8Array(8) })
    assert.equal(decode(Pair, bytes, { limit: 16 }).text.length, 8)
    assert.throws(() => decode(Pair, bytes, { limit: 15 }), { code: 'badLength' })
    assert.throws(() => decode(Pair, new Uint8Array(25), { limit: 1_000 }), { code: 'badLength' })
  })

  it('turns an exception of the library into badEncoding, and keeps it as the cause', () => {
    const beyond = Uint8Array.of(7, 0, 0, 0, 200, 0, 0, 0)
    assert.throws(
      () => decode(Pair, beyond),
      (error: unknown) =>
        error instanceof CairnError && error.code === 'badEncoding' && error.cause !== undefined,
    )
  })

  it('refuses bytes that decode to a value of other bytes', () => {
    const loose = new (class extends ByteListType {
      override value_deserializeFromBytes(): Uint8Array {
        return Uint8Array.of(1)
      }
    })(4)
    assert.deepEqual(decode(loose, Uint8Array.of(1)), Uint8Array.of(1))
    assert.throws(() => decode(loose, Uint8Array.of(2)), {
      code: 'badEncoding',
      message: /not the canonical encoding/,
    })
  })
})

const anyBytes = fc.uint8Array({ maxLength: 64 })

describe('bytes', () => {
  it('are equal when all are', () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        assert.equal(equalBytes(a, b), Buffer.compare(a, b) === 0)
        assert.ok(equalBytes(a, a.slice()))
      }),
    )
  })

  it('are ordered bytewise, the shorter first', () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(a, b))
      }),
    )
    assert.ok(compareBytes(Uint8Array.of(1), Uint8Array.of(1, 0)) < 0)
  })

  it('are written as lower-case hexadecimal and read with or without prefix and in any case', () => {
    fc.assert(
      fc.property(anyBytes, bytes => {
        const text = hex(bytes)
        assert.equal(text, Buffer.from(bytes).toString('hex'))
        for (const form of [text, `0x${text}`, text.toUpperCase()]) {
          assert.deepEqual(unhex(form), bytes)
        }
      }),
    )
  })

  it('are not read from anything else', () => {
    for (const text of ['0', '0x0', 'zz', '0g', ' 00', '00 ', '0x 1', '-1', '0X00', '0x0x00']) {
      assert.throws(() => unhex(text), { code: 'badHex' }, text)
    }
  })

  it('are read as a big-endian number for draws, the first eight of them', () => {
    const hash = sha256(new Uint8Array())
    assert.equal(u64(hash), 0xe3b0c44298fc1c14n)
    const within = new Uint8Array(40)
    within.set(hash, 8)
    assert.equal(u64(within.subarray(8)), 0xe3b0c44298fc1c14n)
  })
})
