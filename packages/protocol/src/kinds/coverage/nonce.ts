/**
 * A gateway's share of a beacon's randomness, fixed before any seed exists: at registration it
 * commits to the end of a hash chain and reveals it backwards, one preimage per round.
 *
 * Each step hashes the gateway's Ed25519 identity key with the value, so that no part of a chain
 * is a part of another gateway's. (The node index is not known yet when the end is registered.)
 * The chain's first value is derived per network: what one network reveals tells nothing in
 * another.
 */
import { sha256 } from '#crypto'
import { invariant } from '../../errors.ts'
import { Bytes32, ContainerType, equalBytes } from '../../ssz.ts'

/** Rounds one chain lasts for: 5.6 years of six-hour rounds. */
export const NONCE_ROUNDS = 8192

/** Values kept of a chain stand so far apart: about the square root of its length. */
const CHECKPOINT_STEP = 128

const NonceLink = new ContainerType(
  { identity: Bytes32, value: Bytes32 },
  { typeName: 'NonceLink' },
)
const NonceSecret = new ContainerType(
  { secret: Bytes32, network: Bytes32 },
  { typeName: 'NonceSecret' },
)

/** H: one step towards the end of the chain. All three are 32 bytes. */
export function nonceStep(identity: Uint8Array, value: Uint8Array): Uint8Array {
  return sha256(NonceLink.serialize({ identity, value }))
}

export interface NonceChainInit {
  /** 32 bytes that only this node knows. */
  secret: Uint8Array
  /** Network id, 32 bytes. */
  network: Uint8Array
  /** Ed25519 identity key, 32 bytes. */
  identity: Uint8Array
  /** Links of the chain. */
  rounds?: number
}

/** The chain as its owner holds it: 65 values, a nonce costs at most 127 hashes. */
export class NonceChain {
  readonly rounds: number
  /** What is registered, 32 bytes: the nonce of the round before the first. */
  readonly end: Uint8Array
  readonly #identity: Uint8Array
  readonly #checkpoints: readonly Uint8Array[]

  constructor({ secret, network, identity, rounds = NONCE_ROUNDS }: NonceChainInit) {
    this.rounds = rounds
    this.#identity = identity
    const checkpoints: Uint8Array[] = []
    let value = sha256(NonceSecret.serialize({ secret, network }))
    for (let step = 0; step < rounds; step++) {
      if (step % CHECKPOINT_STEP === 0) checkpoints.push(value)
      value = nonceStep(identity, value)
    }
    this.#checkpoints = checkpoints
    this.end = value
  }

  /** The preimage for the gateway's own round, counted from 1 to `rounds`. */
  nonce(round: number): Uint8Array {
    invariant(round >= 1 && round <= this.rounds, `nonce of round ${round}`)
    const steps = this.rounds - round
    const start = this.#checkpoints[Math.floor(steps / CHECKPOINT_STEP)] as Uint8Array
    return walk(this.#identity, start, steps % CHECKPOINT_STEP)
  }
}

/** A revealed value of a chain; the registered end is that of round 0. */
export interface NonceAnchor {
  round: number
  nonce: Uint8Array
}

/** True iff `nonce` belongs to `round` of the chain; costs one hash per round since the anchor. */
export function isNonce(
  identity: Uint8Array,
  anchor: NonceAnchor,
  { round, nonce }: NonceAnchor,
): boolean {
  if (round <= anchor.round || round > NONCE_ROUNDS) return false
  return equalBytes(walk(identity, nonce, round - anchor.round), anchor.nonce)
}

function walk(identity: Uint8Array, from: Uint8Array, steps: number): Uint8Array {
  let value = from
  for (let step = 0; step < steps; step++) value = nonceStep(identity, value)
  return value
}
