/**
 * Reed-Solomon over GF(2^8), systematic: at each offset the bytes of the k data shards are the
 * values at 0 to k - 1 of the one polynomial of degree below k that passes through them, and the
 * byte of shard p is its value at p. Any k shards give the polynomial, hence every other shard, for
 * every k <= n <= 256, since there are 256 points to evaluate at.
 *
 * The matrix is the Vandermonde matrix times the inverse of its upper square, and the bytes are
 * those of Backblaze's JavaReedSolomon, klauspost/reedsolomon (by default) and
 * rust-rse/reed-solomon-erasure. Lagrange's formula gives its rows without inverting anything.
 */
import { check } from '../errors.ts'
import { interpolation } from './interpolation.ts'
import { fastestKernel, type Kernel } from './kernel.ts'

/** A shard's place is a point of the field, which has no more. */
export const SHARDS_MAX = 256

export interface Shape {
  /** k: shards that suffice. */
  data: number
  /** n: all shards, at most 256. */
  total: number
}

export class ReedSolomon {
  readonly shape: Shape
  readonly #kernel: Kernel
  /** A row per parity shard. */
  readonly #parity: Uint8Array[]

  /** Throws `badShape` unless 1 <= data <= total <= 256. */
  constructor(shape: Shape, kernel: Kernel = platformKernel()) {
    const { data, total } = shape
    check(
      Number.isInteger(data) &&
        Number.isInteger(total) &&
        data >= 1 &&
        data <= total &&
        total <= SHARDS_MAX,
      'badShape',
      `expected 1 <= k <= n <= ${SHARDS_MAX} for k data shards of n, found k = ${data}, n = ${total}`,
      { facts: { data, total, max: SHARDS_MAX } },
    )
    this.shape = { data, total }
    this.#kernel = kernel
    this.#parity = interpolation(placesFrom(0, data), placesFrom(data, total))
  }

  /**
   * The k data shards, in order and of one length, to the n - k parity shards, in order. Throws
   * `shardPlace` for another number of them, `shardLength` for lengths that differ.
   *
   * `into` takes the parity and is given back: n - k buffers of the shards' length that share no
   * memory with them. Used again and again they save what new memory costs, a quarter of the time or more.
   */
  encode(data: readonly Uint8Array[], into?: Uint8Array[]): Uint8Array[] {
    checkCount('data', this.shape.data, data)
    if (into !== undefined) checkCount('parity', this.#parity.length, into)
    checkLengths([...data, ...(into ?? [])])
    return this.#multiply(this.#parity, data, into)
  }

  /**
   * Shards by their place, undefined where missing, to those at the wanted places, in the order of
   * `wanted`. A wanted shard that is known is given back itself, not a copy. Throws `tooFewShards` when
   * fewer than k are known, `shardLength` for lengths that differ, `shardPlace` for a place beyond n.
   */
  reconstruct(
    shards: readonly (Uint8Array | undefined)[],
    wanted: readonly number[],
  ): Uint8Array[] {
    const { data, total } = this.shape
    check(
      shards.length <= total,
      'shardPlace',
      `expected ${total} shards, found ${shards.length}`,
      {
        facts: { expected: total, found: shards.length },
      },
    )
    for (const place of wanted) {
      check(
        Number.isInteger(place) && place >= 0 && place < total,
        'shardPlace',
        `expected a place from 0 to ${total - 1}, found ${place}`,
        { facts: { place, total } },
      )
    }
    const known = shards.flatMap((shard, place) => (shard === undefined ? [] : [{ shard, place }]))
    check(
      known.length >= data,
      'tooFewShards',
      `expected ${data} shards, of which any suffice, found ${known.length}`,
      { facts: { needed: data, found: known.length }, next: 'fetch more shards' },
    )
    checkLengths(known.map(({ shard }) => shard))
    const used = known.slice(0, data)
    const missing = [...new Set(wanted)].filter(place => shards[place] === undefined)
    const rows = interpolation(
      Uint8Array.from(used, ({ place }) => place),
      Uint8Array.from(missing),
    )
    const computed = this.#multiply(
      rows,
      used.map(({ shard }) => shard),
    )
    return wanted.map(place => shards[place] ?? (computed[missing.indexOf(place)] as Uint8Array))
  }

  #multiply(
    rows: readonly Uint8Array[],
    inputs: readonly Uint8Array[],
    outputs: Uint8Array[] = rows.map(() => new Uint8Array((inputs[0] as Uint8Array).length)),
  ): Uint8Array[] {
    this.#kernel.multiply(rows, inputs, outputs)
    return outputs
  }
}

/** Made when it is first needed: it holds its memory from then on. */
let ownKernel: Kernel | undefined

function platformKernel(): Kernel {
  ownKernel ??= fastestKernel()
  return ownKernel
}

function checkCount(what: string, expected: number, shards: readonly Uint8Array[]): void {
  check(
    shards.length === expected,
    'shardPlace',
    `expected ${expected} ${what} shards, found ${shards.length}`,
    { facts: { expected, found: shards.length } },
  )
}

function checkLengths(shards: readonly Uint8Array[]): void {
  const expected = shards[0]?.length
  for (const { length } of shards) {
    check(
      length === expected,
      'shardLength',
      `expected shards of one length, found ${expected} and ${length} bytes`,
      { facts: { expected, found: length } },
    )
  }
}

function placesFrom(first: number, end: number): Uint8Array {
  return Uint8Array.from({ length: end - first }, (_, i) => first + i)
}
