/**
 * fr32: the payload's bits in order, two zero bits after every 254, so that each 32-byte word is
 * below the modulus of the field that Filecoin's proofs work in.
 *
 * 508 bytes are 127 words of 32 bits and 16 leaves: within such a group every leaf begins at a bit
 * that is the same in all groups, and whole words can be moved. Words are little-endian, as on
 * every platform that runs JavaScript today; the published vectors fail on any other.
 */
import { QUAD_BYTES, QUAD_PAYLOAD } from './piece.ts'

const GROUP_PAYLOAD = 4 * QUAD_PAYLOAD
const GROUP_BYTES = 4 * QUAD_BYTES
const WORDS_PER_LEAF = 8
const LEAVES_PER_GROUP = 16
/** The upper two bits of a leaf's last word. */
const LAST_WORD_MASK = 0x3fff_ffff

/** Buffers for payloads of one length at most, to be used again and again. */
export class Fr32 {
  /** Where the payload goes. What follows it, up to a group's end, must be zero. */
  readonly payload: Uint8Array
  readonly #source: Uint32Array
  readonly #padded: Uint32Array

  /** Room for so many bytes. */
  constructor(payloadMax: number) {
    const groups = Math.ceil(payloadMax / GROUP_PAYLOAD)
    // One word more: a leaf whose bits end on a word's boundary reads the next word for nothing.
    this.#source = new Uint32Array((groups * GROUP_PAYLOAD) / 4 + 1)
    this.#padded = new Uint32Array((groups * GROUP_BYTES) / 4)
    this.payload = new Uint8Array(this.#source.buffer, 0, groups * GROUP_PAYLOAD)
  }

  /** 128 bytes for each 127 of the first `length`, valid until the next call. */
  pad(length: number): Uint8Array {
    const groups = Math.ceil(length / GROUP_PAYLOAD)
    for (let group = 0; group < groups; group++) {
      const from = (group * GROUP_PAYLOAD) / 4
      padGroup(this.#source, from, this.#padded, (group * GROUP_BYTES) / 4)
    }
    const quads = Math.ceil(length / QUAD_PAYLOAD)
    return new Uint8Array(this.#padded.buffer, 0, quads * QUAD_BYTES)
  }
}

/** Pads a payload; its last quad is filled up with zeros. 128 bytes out for each 127 in. */
export function fr32Pad(payload: Uint8Array): Uint8Array {
  const fr32 = new Fr32(payload.length)
  fr32.payload.set(payload)
  return fr32.pad(payload.length)
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
