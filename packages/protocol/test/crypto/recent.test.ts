import { strict as assert } from 'node:assert'
import { Recent } from '../../src/crypto/recent.ts'

describe('Recent', () => {
  const counting = () => {
    const made: number[] = []
    const make = ([first]: Uint8Array) => made.push(first as number)
    return { made, make }
  }

  it('makes each value once while it is remembered', () => {
    const { made, make } = counting()
    const recent = new Recent<number>(2)
    for (const byte of [1, 2, 1, 2]) recent.get(Uint8Array.of(byte), make)
    assert.deepEqual(made, [1, 2])
  })

  it('forgets the one least recently used at its bound', () => {
    const { made, make } = counting()
    const recent = new Recent<number>(2)
    for (const byte of [1, 2, 1, 3, 1, 2]) recent.get(Uint8Array.of(byte), make)
    assert.deepEqual(made, [1, 2, 3, 2])
    assert.equal(recent.size, 2)
  })

  it('keeps nothing when the value cannot be made', () => {
    const recent = new Recent<number>(2)
    const failing = () => {
      throw new Error('no such key')
    }
    assert.throws(() => recent.get(Uint8Array.of(1), failing), /no such key/)
    assert.equal(recent.size, 0)
  })

  it('tells keys apart by every byte', () => {
    const recent = new Recent<number>(4)
    assert.equal(
      recent.get(Uint8Array.of(1, 0), () => 10),
      10,
    )
    assert.equal(
      recent.get(Uint8Array.of(1), () => 20),
      20,
    )
  })
})
