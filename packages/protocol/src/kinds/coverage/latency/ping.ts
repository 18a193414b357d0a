/**
 * Round trips between a measurer and the node whose claimed cell it tests. Ping i brings a number
 * that the measurer drew just then; its answer is the next value of a chain over all of them, so no
 * answer can be formed before its question is there. At the end the measured node signs the last
 * value and the count: it, and nobody else, answered these questions.
 */
import { sha256 } from '#crypto'
import { DomainType, signingRoot } from '../../../domain.ts'
import { Bytes8, Bytes32, ContainerType, Uint8, Uint32, type ValueOf } from '../../../ssz.ts'

/** Fewer round trips say little of the least one; more are not asked: 64 take seconds at worst. */
export const PINGS_MIN = 8
export const PINGS_MAX = 64

export const Ping = new ContainerType(
  {
    epoch: Uint32,
    /** Index of the node that asks. */
    measurer: Uint32,
    /** Index of the node that is asked; a daemon may speak for several. */
    target: Uint32,
    /** From 0. */
    place: Uint8,
    nonce: Bytes32,
  },
  { typeName: 'Ping' },
)
export type Ping = ValueOf<typeof Ping>

/** What the measured node signs: it answered so many pings, and the last answer was this. */
export const Pinged = new ContainerType(
  {
    epoch: Uint32,
    /** First 8 bytes of the base's block hash. */
    base: Bytes8,
    measurer: Uint32,
    target: Uint32,
    /** Last value of the chain. */
    nonce: Bytes32,
    count: Uint8,
  },
  { typeName: 'Pinged' },
)
export type Pinged = ValueOf<typeof Pinged>

const Beginning = new ContainerType(
  { network: Bytes32, epoch: Uint32, base: Bytes8, measurer: Uint32, target: Uint32 },
  { typeName: 'PingBeginning' },
)
const Link = new ContainerType({ before: Bytes32, nonce: Bytes32 }, { typeName: 'PingLink' })

export interface Between {
  readonly epoch: number
  readonly base: Uint8Array
  readonly measurer: number
  readonly target: number
}

/** The value before the first ping: another one for each network, epoch and pair. */
export function pingBeginning({ epoch, base, measurer, target }: Between, network: Uint8Array) {
  return sha256(Beginning.serialize({ network, epoch, base, measurer, target }))
}

/** The answer to a ping, from the answer before it. */
export function pong(before: Uint8Array, nonce: Uint8Array): Uint8Array {
  return sha256(Link.serialize({ before, nonce }))
}

/** The 32 bytes that the measured node's identity key signs. */
export function pingedRoot(pinged: Pinged, network: Uint8Array): Uint8Array {
  return signingRoot(DomainType.pinged, network, sha256(Pinged.serialize(pinged)))
}
