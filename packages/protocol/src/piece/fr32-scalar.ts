/**
 * fr32 in JavaScript, for platforms whose WebAssembly has no SIMD.
 *
 * 508 bytes are 127 words of 32 bits and 16 leaves: within such a group every leaf begins at a bit
 * that is the same in all groups, and whole words can be moved. Words are little-endian, as on
 * every platform that runs JavaScript today; the published vectors fail on any other.
 */
import { invariant } from '../errors.ts'
import type { Fr32 } from './fr32.ts'
import { QUAD_BYTES, QUAD_PAYLOAD } from './piece.ts'

const GROUP_PAYLOAD = 4 * QUAD_PAYLOAD
const GROUP_BYTES = 4 * QUAD_BYTES
const WORDS_PER_LEAF = 8
const LEAVES_PER_GROUP = 16
/** The upper two bits of a leaf's last word. */
const LAST_WORD_MASK = 0x3fff_ffff

export function scalarFr32(payloadMax: number): Fr32 {
  const groupsMax = Math.ceil(payloadMax / GROUP_PAYLOAD)
  // One word more: a leaf whose bits end on a word's boundary reads the next word for nothing.
  const source = new Uint32Array((groupsMax * GROUP_PAYLOAD) / 4 + 1)
  const padded = new Uint32Array((groupsMax * GROUP_BYTES) / 4)
  const bytes = new Uint8Array(source.buffer)
  return payload => {
    invariant(payload.length <= payloadMax, 'the payload fits')
    const groups = Math.ceil(payload.length / GROUP_PAYLOAD)
    bytes.set(payload)
    bytes.fill(0, payload.length, groups * GROUP_PAYLOAD)
    for (let group = 0; group < groups; group++) {
      padGroup(source, (group * GROUP_PAYLOAD) / 4, padded, (group * GROUP_BYTES) / 4)
    }
    const quads = Math.ceil(payload.length / QUAD_PAYLOAD)
    return new Uint8Array(padded.buffer, 0, quads * QUAD_BYTES)
  }
}

function padGroup(source: Uint32Array, from: number, padded: Uint32Array, to: number): void {
  // The first leaf begins on a word's boundary, where the shifts of the others do not work.
  for (let word = 0; word < WORDS_PER_LEAF; word++) {
    padded[to + word] = source[from + word] as number
  }
  padded[to + WORDS_PER_LEAF - 1] = (source[from + WORDS_PER_LEAF - 1] as number) & LAST_WORD_MASK
  for (let leaf = 1; leaf < LEAVES_PER_GROUP; leaf++) {
    const right = 32 - 2 * leaf
    const left = 2 * leaf
    // Leaf n begins at bit 254 n, that is 256 n - 2 n.
    const start = from + WORDS_PER_LEAF * leaf - 1
    const end = to + WORDS_PER_LEAF * leaf
    let low = source[start] as number
    for (let word = 0; word < WORDS_PER_LEAF; word++) {
      const high = source[start + word + 1] as number
      padded[end + word] = (low >>> right) | (high << left)
      low = high
    }
    padded[end + WORDS_PER_LEAF - 1] = (padded[end + WORDS_PER_LEAF - 1] as number) & LAST_WORD_MASK
  }
}
