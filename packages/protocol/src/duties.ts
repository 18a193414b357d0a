/**
 * Who asks whom. The epoch's seed shuffles the active nodes into a ring per kind; a target's
 * challengers and verifiers are found by walking the ring once from the place after it. Nodes of
 * the target's operator are never taken, and operators already taken only when no others are left.
 */
import { sha256 } from '#crypto'
import { Bytes32, ContainerType, Uint8, Uint32 } from './ssz.ts'

/** At most so many ask one target, and so many check its answers. */
export const CHALLENGERS_MAX = 3
export const VERIFIERS_MAX = 8

const ShuffleWord = new ContainerType({ seed: Bytes32, kind: Uint8, counter: Uint32 })

export interface RingMember {
  index: number
  /** Hexadecimal, for comparison. */
  operator: string
  /** Idle nodes keep their place, so that they can be asked, but are given nothing to do. */
  idle: boolean
}

export interface Duty {
  challengers: readonly number[]
  verifiers: readonly number[]
}

/** Uniform words below a bound by rejection, from sha256(SSZ{seed, kind, counter}). */
function* words(seed: Uint8Array, kind: number): Generator<number, never> {
  for (let counter = 0; ; counter++) {
    const hash = sha256(ShuffleWord.serialize({ seed, kind, counter }))
    const view = new DataView(hash.buffer, hash.byteOffset, 32)
    for (let i = 0; i < 8; i++) yield view.getUint32(4 * i)
  }
}

function below(bound: number, source: Generator<number, never>): number {
  const limit = 2 ** 32 - (2 ** 32 % bound)
  for (;;) {
    const word = source.next().value
    if (word < limit) return word % bound
  }
}

/** Fisher-Yates from the end. */
export function shuffle<T>(items: readonly T[], seed: Uint8Array, kind: number): T[] {
  const ring = [...items]
  const source = words(seed, kind)
  for (let i = ring.length - 1; i > 0; i--) {
    const j = below(i + 1, source)
    const kept = ring[i] as T
    ring[i] = ring[j] as T
    ring[j] = kept
  }
  return ring
}

/** The duties of one epoch and kind; a target's is computed when first asked for. */
export class Ring {
  readonly #ring: readonly RingMember[]
  readonly #place = new Map<number, number>()
  readonly #duties = new Map<number, Duty>()

  /** `members` by ascending node index. */
  constructor(members: readonly RingMember[], seed: Uint8Array, kind: number) {
    this.#ring = shuffle(members, seed, kind)
    for (const [place, member] of this.#ring.entries()) this.#place.set(member.index, place)
  }

  /** Empty where the target is not in the ring or nobody else's node is (`alone`). */
  duty(target: number): Duty {
    const known = this.#duties.get(target)
    if (known !== undefined) return known
    const duty = this.#walk(target)
    this.#duties.set(target, duty)
    return duty
  }

  #walk(target: number): Duty {
    const place = this.#place.get(target)
    if (place === undefined) return { challengers: [], verifiers: [] }
    const wanted = CHALLENGERS_MAX + VERIFIERS_MAX
    const own = (this.#ring[place] as RingMember).operator
    const operators = new Set<string>()
    const found: number[] = []
    const passedOver: number[] = []
    for (let step = 1; step < this.#ring.length && found.length < wanted; step++) {
      const member = this.#ring[(place + step) % this.#ring.length] as RingMember
      if (member.operator === own || member.idle) continue
      if (operators.has(member.operator)) {
        passedOver.push(member.index)
      } else {
        operators.add(member.operator)
        found.push(member.index)
      }
    }
    for (const index of passedOver) if (found.length < wanted) found.push(index)
    return divide(found)
  }
}

function divide(found: readonly number[]): Duty {
  const m = found.length
  if (m === 1) return { challengers: found, verifiers: found }
  const c = Math.min(CHALLENGERS_MAX, Math.ceil(m / 3))
  return { challengers: found.slice(0, c), verifiers: found.slice(c, c + VERIFIERS_MAX) }
}

/** More than half of those assigned. */
export function isMajority(count: number, assigned: number): boolean {
  return 2 * count > assigned
}
