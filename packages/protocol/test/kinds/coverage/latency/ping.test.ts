import { strict as assert } from 'node:assert'
import {
  CairnError,
  type Codec,
  decode,
  hex,
  Measurement,
  Ping,
  Pinged,
  pingBeginning,
  pingedRoot,
  pong,
  Timings,
} from '@cairn/protocol'
import fc from 'fast-check'
import { bytes32 } from '../network.ts'

// Computed with hashlib from the SSZ layouts.
const GOLDEN = {
  beginning: 'e3166dfd99a18b2781cb01fa759b6b2500bed7512c5971b47a3b50c1a90eef0a',
  first: '73008dbe0c6b2a05c4efb25ab9866648e4509ccc16a203de439bdfb21630275f',
  second: '9cc33aa238b7081a11a3eb3ea896a437e71b8e4dd0f46422c738a215e60f3fbf',
  pinged: '7d7ade43d9ecd7b2f92330d758c11bb01afbd407c6e273dcac92bc60c27da4bf',
  measurement:
    '0400000006060606060606060203000000050000009cc33aa238b7081a11a3eb3ea896a437e71b8e4dd0f46422c738a215e60f3fbf206153000007070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707',
  ping: '040000000300000005000000070000000800000000000000000000000000000000000000000000000000000000',
}
const network = bytes32(9, 9)
const base = new Uint8Array(8).fill(6)
const between = { epoch: 4, base, measurer: 3, target: 5 }
const beginning = pingBeginning(between, network)
const first = pong(beginning, bytes32(1))
const second = pong(first, bytes32(2))
const ping: Ping = { epoch: 4, measurer: 3, target: 5, place: 7, nonce: bytes32(8) }
const pinged: Pinged = { ...between, nonce: second, count: 2 }
const measurement: Measurement = {
  epoch: 4,
  base,
  kind: 2,
  author: 3,
  target: 5,
  nonce: second,
  count: 32,
  micros: 21_345,
  signature: new Uint8Array(64).fill(7),
}

describe('pings', () => {
  it('have the encodings of the golden vectors', () => {
    assert.equal(hex(beginning), GOLDEN.beginning)
    assert.equal(hex(first), GOLDEN.first)
    assert.equal(hex(second), GOLDEN.second)
    assert.equal(hex(pingedRoot(pinged, network)), GOLDEN.pinged)
    assert.equal(hex(Measurement.serialize(measurement)), GOLDEN.measurement)
    assert.equal(hex(Ping.serialize(ping)), GOLDEN.ping)
  })

  it('begin differently for every network, epoch, base and pair, either way round', () => {
    const others = [
      pingBeginning(between, bytes32(8, 9)),
      pingBeginning({ ...between, epoch: 5 }, network),
      pingBeginning({ ...between, base: base.with(0, 7) }, network),
      pingBeginning({ ...between, measurer: 4 }, network),
      pingBeginning({ ...between, target: 6 }, network),
      pingBeginning({ ...between, measurer: 5, target: 3 }, network),
    ].map(hex)
    assert.equal(new Set([hex(beginning), ...others]).size, others.length + 1)
  })

  it('have an answer that no other question and no other order of questions gives', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(), { minLength: 2, maxLength: 8 }), numbers => {
        const answer = (list: readonly number[]) =>
          hex(list.reduce((value, number) => pong(value, bytes32(number)), beginning))
        const swapped = [numbers[1] as number, numbers[0] as number, ...numbers.slice(2)]
        assert.notEqual(answer(numbers), answer(swapped))
        assert.notEqual(answer(numbers), answer(numbers.slice(1)))
      }),
    )
  })

  it('are signed with everything they were between', () => {
    const changes: Partial<Pinged>[] = [
      { epoch: 5 },
      { base: base.with(0, 7) },
      { measurer: 4 },
      { target: 6 },
      { nonce: first },
      { count: 3 },
    ]
    const roots = changes.map(change => hex(pingedRoot({ ...pinged, ...change }, network)))
    assert.equal(new Set([hex(pingedRoot(pinged, network)), ...roots]).size, changes.length + 1)
  })

  const codecs: Record<string, Codec<unknown>> = { Ping, Pinged, Measurement, Timings }
  for (const [name, codec] of Object.entries(codecs)) {
    it(`never throw anything but a coded error at hostile bytes (${name})`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
          try {
            decode(codec, bytes)
          } catch (error) {
            assert.ok(error instanceof CairnError)
          }
        }),
      )
    })
  }

  it('refuse every truncation and every appended byte', () => {
    for (const [codec, value] of [
      [Ping, ping],
      [Pinged, pinged],
      [Measurement, measurement],
    ] as [Codec<unknown>, unknown][]) {
      const bytes = codec.serialize(value)
      assert.deepEqual(decode(codec, bytes), value)
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decode(codec, bytes.slice(0, length)), CairnError)
      }
      assert.throws(() => decode(codec, Uint8Array.of(...bytes, 0)), CairnError)
    }
  })
})
