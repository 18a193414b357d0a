/**
 * Public randomness in the format of drand's quicknet (`bls-unchained-g1-rfc9380`): key in G2,
 * signature in G1 over sha256(round), each round on its own, randomness = sha256(signature).
 */

import { bls12_381 } from '@noble/curves/bls12-381.js'
import { sha256 } from '#crypto'
import { DomainType, domain } from './domain.ts'
import { invariant } from './errors.ts'
import { Bytes32, ContainerType, Uint32 } from './ssz.ts'

export const DRAND_KEY_BYTES = 96
export const DRAND_SIGNATURE_BYTES = 48

/** quicknet's tag; RFC 9380 names the suite, the basic scheme of the BLS draft the suffix. */
const TAG = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_'

const { shortSignatures } = bls12_381
type G1Point = ReturnType<typeof shortSignatures.hash>

/** What a seed hashes: 100 bytes. */
const Seed = new ContainerType(
  { domain: Bytes32, network: Bytes32, epoch: Uint32, randomness: Bytes32 },
  { typeName: 'Seed' },
)

export interface DrandRound {
  /** The beacon's key, 96 bytes compressed in G2. */
  publicKey: Uint8Array
  /** From 1. */
  round: number
  /** 48 bytes compressed in G1. */
  signature: Uint8Array
}

export interface RoundTime {
  /** When round 1 is due, seconds since 1970. */
  genesis: number
  /** Seconds between rounds. */
  period: number
  /** Seconds since 1970. */
  seconds: number
}

export interface SeedInit {
  /** The 32-byte network id. */
  network: Uint8Array
  epoch: number
  /** `randomnessOf` the epoch's round. */
  randomness: Uint8Array
}

/** False for anything malformed; never throws. About 20 ms: once per round and process. */
export function verifyRound({ publicKey, round, signature }: DrandRound): boolean {
  if (!Number.isSafeInteger(round) || round < 1) return false
  const key = point(bls12_381.G2.Point, publicKey, DRAND_KEY_BYTES)
  const signed = point(bls12_381.G1.Point, signature, DRAND_SIGNATURE_BYTES)
  if (key === undefined || signed === undefined) return false
  return shortSignatures.verify(signed, messageOf(round), key)
}

/** The 32 bytes of randomness in a round's signature. */
export function randomnessOf(signature: Uint8Array): Uint8Array {
  return sha256(signature)
}

/** Signs a round as a local beacon does; `secret` is a 32-byte big-endian scalar. */
export function signRound(secret: Uint8Array, round: number): Uint8Array {
  return shortSignatures.sign(messageOf(round), secret).toBytes()
}

/** The 96-byte key of a local beacon. */
export function beaconKey(secret: Uint8Array): Uint8Array {
  return shortSignatures.getPublicKey(secret).toBytes()
}

/** The first round due at `seconds` or later; round 1 before genesis. */
export function roundAt({ genesis, period, seconds }: RoundTime): number {
  return Math.max(0, Math.ceil((seconds - genesis) / period)) + 1
}

/** The 32-byte seed of an epoch. */
export function epochSeed({ network, epoch, randomness }: SeedInit): Uint8Array {
  return sha256(
    Seed.serialize({ domain: domain(DomainType.seed, network), network, epoch, randomness }),
  )
}

/** sha256 of the round as u64 big-endian, on the curve: drand's definition, not SSZ. */
function messageOf(round: number): G1Point {
  invariant(Number.isSafeInteger(round) && round >= 1, 'rounds count from 1')
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(round))
  return shortSignatures.hash(sha256(bytes), TAG)
}

/** A point of the group other than infinity, in the one compressed form; undefined otherwise. */
function point<P extends { is0(): boolean }>(
  group: { fromBytes(bytes: Uint8Array): P },
  bytes: Uint8Array,
  length: number,
): P | undefined {
  if (bytes.length !== length) return undefined
  try {
    const found = group.fromBytes(bytes)
    return found.is0() ? undefined : found
  } catch {
    // The library throws for every encoding that is not a point of the group.
    return undefined
  }
}
