import { strict as assert } from 'node:assert'
import { CairnError, type Codec, decode, equalBytes, GOSSIP_MAX_BYTES } from '@cairn/protocol'
import fc from 'fast-check'
import { anyValue, codecs } from './codecs.ts'

/** A hostile message may cost at most this long to decode; the best of a few attempts counts. */
const DECODE_MAX_MS = 1
const ATTEMPTS = 25

/** Decodes, or refuses with one of two codes; nothing else may happen. */
function attempt(codec: Codec<unknown>, bytes: Uint8Array): void {
  let value: unknown
  try {
    value = decode(codec, bytes)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    assert.ok(error.code === 'badLength' || error.code === 'badEncoding', error.code)
    return
  }
  assert.ok(equalBytes(codec.serialize(value), bytes), 'what is accepted is the encoding')
}

const numRuns = 60

describe('codecs', () => {
  it('are found among the exports', () => {
    const names = codecs().map(([name]) => name)
    for (const name of [
      ...['Envelope', 'Challenge', 'Attestation', 'Seal', 'Ready', 'Vote', 'VoteData', 'BlockRef'],
      ...['Counts', 'Checkpoint', 'Payout', 'Activity', 'CoreState', 'StateRoots'],
      ...['StateBytes', 'Absence', 'Penalty', 'Proposal'],
    ]) {
      assert.ok(names.includes(name), name)
    }
  })

  for (const [name, codec] of codecs()) {
    const anyEncoding = anyValue(codec).map(value => codec.serialize(value))

    describe(name, () => {
      it('reads what it wrote', () => {
        fc.assert(
          fc.property(anyEncoding, bytes => {
            assert.ok(equalBytes(codec.serialize(decode(codec, bytes)), bytes))
          }),
          { numRuns },
        )
      })

      it('refuses or reads random bytes', () => {
        const length = Math.min(codec.maxSize + 2, 600)
        fc.assert(
          fc.property(fc.uint8Array({ maxLength: length }), bytes => attempt(codec, bytes)),
          { numRuns },
        )
      })

      it('refuses or reads truncated, extended and altered bytes', () => {
        fc.assert(
          fc.property(
            anyEncoding,
            fc.nat(),
            fc.uint8Array({ minLength: 1, maxLength: 8 }),
            (bytes, place, noise) => {
              attempt(codec, bytes.subarray(0, place % (bytes.length + 1)))
              attempt(codec, Uint8Array.from([...bytes, ...noise]))
              attempt(codec, altered(bytes, place, noise))
            },
          ),
          { numRuns },
        )
      })

      it('refuses or reads offsets that point anywhere', () => {
        const offset = fc.oneof(fc.nat({ max: 1_000 }), fc.nat({ max: 2 ** 32 - 1 }))
        fc.assert(
          fc.property(anyEncoding, fc.nat(), offset, (bytes, place, value) => {
            if (bytes.length < 4) return
            const changed = bytes.slice()
            new DataView(changed.buffer).setUint32(place % (bytes.length - 3), value, true)
            attempt(codec, changed)
          }),
          { numRuns },
        )
      })

      it('refuses bytes beyond its maximum by length alone', () => {
        if (codec.maxSize > 2 * GOSSIP_MAX_BYTES) {
          assert.throws(() => decode(codec, new Uint8Array(9), { limit: 8 }), { code: 'badLength' })
        } else {
          const oversized = new Uint8Array(codec.maxSize + 1)
          assert.throws(() => decode(codec, oversized), { code: 'badLength' })
        }
      })

      it('takes no hostile gossip message longer than a millisecond', () => {
        const size = Math.min(codec.maxSize, GOSSIP_MAX_BYTES)
        for (const bytes of [new Uint8Array(size), new Uint8Array(size).fill(0xff), ladder(size)]) {
          assert.ok(quickest(codec, bytes) < DECODE_MAX_MS, `${size} bytes of ${bytes[0]}`)
        }
      })
    })
  }
})

function altered(bytes: Uint8Array, place: number, noise: Uint8Array): Uint8Array {
  const changed = bytes.slice()
  for (const [i, byte] of noise.entries()) {
    if (changed.length > 0) changed[(place + i) % changed.length] = byte
  }
  return changed
}

/** As many offsets as fit, all valid for a list of empty items. */
function ladder(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i + 4 <= size; i += 4) view.setUint32(i, size - (size % 4), true)
  return bytes
}

function quickest(codec: Codec<unknown>, bytes: Uint8Array): number {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < ATTEMPTS; i++) {
    const start = performance.now()
    attempt(codec, bytes)
    best = Math.min(best, performance.now() - start)
  }
  return best
}
