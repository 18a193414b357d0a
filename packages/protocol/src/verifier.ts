/**
 * Signature checks as the core receives them: a composition decides whether they are memoised. The
 * simulator shares one memo over all its nodes.
 */
import { bls, ed25519 } from '#crypto'
import { type DrandRound, verifyRound } from './randomness.ts'

export interface Verifier {
  ed25519(message: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): boolean
  bls(message: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): boolean
  drand(round: DrandRound): boolean
}

/** Checks everything anew. */
export const plainVerifier: Verifier = {
  ed25519: ed25519.verify,
  bls: bls.verify,
  drand: verifyRound,
}
