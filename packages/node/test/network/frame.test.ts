import { strict as assert } from 'node:assert'
import { DIRECT_MAX_BYTES, encodeHeader, FrameReader, HEADER_BYTES, type Header } from '@cairn/node'
import { CairnError } from '@cairn/protocol'
import fc from 'fast-check'

interface Frame {
  header: Header
  payload: Uint8Array
}

const frames = fc.array(
  fc
    .record({
      id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      status: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
      limit: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      payload: fc.uint8Array({ maxLength: 300 }),
    })
    .map(({ id, status, limit, payload }): Frame => {
      const header = { length: payload.length, id, status, limit: status === 0 ? limit : 0 }
      return { header, payload }
    }),
  { maxLength: 20 },
)

function wire(list: readonly Frame[]): Uint8Array {
  return Buffer.concat(list.flatMap(({ header, payload }) => [encodeHeader(header), payload]))
}

function reader(keep: (header: Header) => boolean = () => true) {
  const read: { header: Header; payload: Uint8Array | undefined }[] = []
  const frames = new FrameReader({
    keep,
    frame: (header, payload) => read.push({ header, payload }),
  })
  return { read, frames }
}

describe('frames', () => {
  it('come out as they went in, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 200 })), (list, cuts) => {
        const { read, frames } = reader()
        let rest = wire(list)
        for (const cut of cuts) {
          frames.push(rest.subarray(0, cut))
          rest = rest.subarray(cut)
        }
        frames.push(rest)
        assert.deepEqual(
          read.map(({ header, payload }) => ({ header, payload: payload as Uint8Array })),
          list.map(({ header, payload }) => ({ header, payload: Uint8Array.from(payload) })),
        )
      }),
    )
  })

  it('that are not wanted are read past, and the next one is found', () => {
    fc.assert(
      fc.property(frames, list => {
        const { read, frames } = reader(({ id }) => id % 2 === 0)
        for (const byte of wire(list)) frames.push(Uint8Array.of(byte))
        assert.equal(read.length, list.length)
        for (const { header, payload } of read) {
          assert.equal(payload === undefined, header.id % 2 === 1)
        }
      }),
    )
  })

  it('of the longest size pass, longer ones are refused by their header', () => {
    const { read, frames } = reader()
    const longest = { length: DIRECT_MAX_BYTES, id: 1, status: 0, limit: 0 } as const
    frames.push(encodeHeader(longest))
    const payload = new Uint8Array(DIRECT_MAX_BYTES).fill(5)
    for (let at = 0; at < payload.length; at += 10_000) {
      frames.push(payload.subarray(at, at + 10_000))
    }
    assert.deepEqual(read[0]?.payload, payload)
    const longer = encodeHeader({ ...longest, length: DIRECT_MAX_BYTES + 1 })
    assert.throws(() => frames.push(longer), { code: 'oversized' })
  })

  it('take no memory for what their header only promises', () => {
    const open: FrameReader[] = []
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 500; i++) {
      const { frames } = reader()
      frames.push(encodeHeader({ length: DIRECT_MAX_BYTES, id: 1, status: 0, limit: 0 }))
      open.push(frames)
    }
    const taken = process.memoryUsage().arrayBuffers - before
    assert.ok(taken < 64 * 1024 * 1024, `${open.length} headers took ${taken} bytes`)
  })

  it('made of garbage are refused with a code or not at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: HEADER_BYTES, maxLength: 400 }), bytes => {
        try {
          reader().frames.push(bytes)
        } catch (error) {
          assert.ok(error instanceof CairnError)
          assert.ok(['malformed', 'oversized'].includes(error.code))
        }
      }),
    )
  })
})
