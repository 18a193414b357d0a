/**
 * sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, four additions and three shifts per
 * number. Not for secrets.
 */
import { ByteListType, Bytes32, ContainerType, sha256 } from '@cairn/protocol'

/** Longest label of a stream, bytes. */
const LABEL_MAX = 256

const PrngSeed = new ContainerType({ seed: Bytes32, label: new ByteListType(LABEL_MAX) })

export class Prng {
  #a: number
  #b: number
  #c: number
  #d: number

  /** One stream per (`seed` of 32 bytes, label): what draws from one never shifts another. */
  constructor(seed: Uint8Array, label: string) {
    const state = sha256(PrngSeed.serialize({ seed, label: new TextEncoder().encode(label) }))
    const view = new DataView(state.buffer, state.byteOffset)
    this.#a = view.getInt32(0)
    this.#b = view.getInt32(4)
    this.#c = view.getInt32(8)
    this.#d = view.getInt32(12)
  }

  /** 0 to 2^32 - 1. */
  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    this.#c |= 0
    return t >>> 0
  }

  /** An integer in [0, n), n up to 2^21: the bias of the product is below 2^-11 of a part. */
  below(n: number): number {
    return Math.floor((this.u32() * n) / 0x1_0000_0000)
  }

  /** True with probability `share`. */
  chance(share: number): boolean {
    return this.u32() < share * 0x1_0000_0000
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffled<T>(list: readonly T[]): T[] {
    const copy = [...list]
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const swap = copy[i] as T
      copy[i] = copy[j] as T
      copy[j] = swap
    }
    return copy
  }
}
