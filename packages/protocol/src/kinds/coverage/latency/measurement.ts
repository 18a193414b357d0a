/**
 * What a measurer says of the round trips to a gateway, and who may say it. The measured one's
 * signature proves that it answered; how fast it did is the measurer's word alone, which is why the
 * measurers are drawn, one of each operator, and why it takes more than half of them.
 */
import { MessageType } from '../../../domain.ts'
import { shuffle } from '../../../duties.ts'
import type { EpochBase, MessageRule } from '../../../kind.ts'
import { epochFields } from '../../../messages.ts'
import type { RegistryEntry } from '../../../registry.ts'
import { Bytes32, Bytes64, ContainerType, hex, Uint8, Uint32, type ValueOf } from '../../../ssz.ts'
import { hasCell } from '../place.ts'
import { PINGS_MAX, PINGS_MIN, pingedRoot } from './ping.ts'

/** Nodes that measure one gateway in the epoch that draws it: as many as verify its beacon. */
export const MEASURERS_MAX = 8

/** In place of a kind's code, of which there are seven: a ring that no duty shares. */
const MEASURING_RING = 0x82

export const Measurement = new ContainerType(
  {
    ...epochFields,
    target: Uint32,
    /** Last value of the chain of answers. */
    nonce: Bytes32,
    /** Pings that were answered. */
    count: Uint8,
    /** Least round trip among them, microseconds, rounded up. */
    micros: Uint32,
    /** The target's Ed25519 signature of `Pinged`. */
    signature: Bytes64,
  },
  { typeName: 'Measurement' },
)
export type Measurement = ValueOf<typeof Measurement>

/** `asked`: whether the base's epoch asks this gateway for a beacon. */
export function measurementRule(
  asked: (base: EpochBase, target: number) => boolean,
): MessageRule<Measurement> {
  return {
    type: MessageType.measurement,
    codec: Measurement,
    subject: ({ target }) => String(target),
    duty: ({ author, target, count }, base) => {
      if (count < PINGS_MIN || count > PINGS_MAX || !asked(base, target)) return 'no'
      return measurersOf(base, target).includes(author) ? 'yes' : 'no'
    },
    window: (_, { profile }) => [profile.coverageReveal[0], profile.attestUntilSlot],
    verify: ({ epoch, author: measurer, target, nonce, count, signature }, base, verifier) => {
      const entry = base.node(target)
      if (entry === undefined) return false
      const pinged = { epoch, base: base.tag, measurer, target, nonce, count }
      return verifier.ed25519(pingedRoot(pinged, base.network), entry.identity, signature)
    },
  }
}

interface Ring {
  readonly members: readonly RegistryEntry[]
  readonly places: ReadonlyMap<number, number>
}

const rings = new WeakMap<EpochBase, Ring>()

/**
 * Who measures a gateway in this epoch: the first nodes behind it in a ring of all that have a cell,
 * at most one of each operator, none of its own, none that is idle. In the order of the ring.
 */
export function measurersOf(base: EpochBase, target: number): readonly number[] {
  const { members, places } = ringOf(base)
  const place = places.get(target)
  if (place === undefined) return []
  const operators = new Set([hex((members[place] as RegistryEntry).operator)])
  const found: number[] = []
  for (let step = 1; step < members.length && found.length < MEASURERS_MAX; step++) {
    const { index, operator } = members[(place + step) % members.length] as RegistryEntry
    const key = hex(operator)
    if (operators.has(key) || base.idle(index)) continue
    operators.add(key)
    found.push(index)
  }
  return found
}

function ringOf(base: EpochBase): Ring {
  let ring = rings.get(base)
  if (ring === undefined) {
    const members = shuffle(base.nodes.filter(hasCell), base.seed, MEASURING_RING)
    ring = { members, places: new Map(members.map(({ index }, place) => [index, place])) }
    rings.set(base, ring)
  }
  return ring
}
