import { strict as assert } from 'node:assert'
import { type Bytes, split } from '@cairn/node'
import fc from 'fast-check'

async function pieces(source: Bytes, size: number): Promise<number[][]> {
  const found: number[][] = []
  for await (const piece of split(size)(source)) {
    const bytes: number[] = []
    for await (const part of piece) bytes.push(...part)
    found.push(bytes)
  }
  return found
}

describe('split', () => {
  it('cuts a stream at the same places however it comes', async () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 1, max: 30 }), async (source, size) => {
        const whole = source.flatMap(part => [...part])
        const expected: number[][] = []
        for (let at = 0; at < whole.length; at += size) expected.push(whole.slice(at, at + size))
        assert.deepEqual(await pieces(source, size), expected)
      }),
    )
  })

  it('asks its source for no more than it passes on', async () => {
    let given = 0
    async function* source() {
      for (;;) {
        given++
        yield new Uint8Array(10)
      }
    }
    for await (const piece of split(20)(source())) {
      for await (const part of piece) assert.equal(part.length, 10)
      break
    }
    assert.equal(given, 2)
  })

  it('closes its source when nobody wants the rest, and passes on its failure', async () => {
    let closed = false
    async function* source() {
      try {
        yield new Uint8Array(10)
        yield new Uint8Array(10)
      } finally {
        closed = true
      }
    }
    for await (const piece of split(10)(source())) {
      for await (const part of piece) assert.ok(part)
      break
    }
    assert.ok(closed)
    async function* broken() {
      yield new Uint8Array(5)
      throw new Error('the disk is gone')
    }
    await assert.rejects(pieces(broken(), 10), /the disk is gone/)
  })

  it('insists that a piece is read to its end', async () => {
    await assert.rejects(async () => {
      for await (const _ of split(5)([new Uint8Array(20)])) assert.ok(_)
    }, /broken invariant/)
  })
})
