import { bls, ed25519, type NodeKeys } from '@cairn/protocol'

/** The node's keys, as the core uses them: it never sees a secret. */
export interface Signer {
  /** Ed25519, 32 bytes. */
  readonly identity: Uint8Array
  /** BLS12-381 G1, 48 bytes. */
  readonly voting: Uint8Array
  signIdentity(root: Uint8Array): Uint8Array
  signVoting(message: Uint8Array): Uint8Array
}

export function signerOf({ identity, voting }: Pick<NodeKeys, 'identity' | 'voting'>): Signer {
  return {
    identity: identity.publicKey,
    voting: voting.publicKey,
    signIdentity: root => ed25519.sign(root, identity.secret),
    signVoting: message => bls.sign(message, voting.secret),
  }
}
