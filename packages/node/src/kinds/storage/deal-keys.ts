/** The keys under which this node has things stored, and whose deposits pay for it. */
import { hex } from '@cairn/protocol'
import type { Signer } from '../../signer.ts'

export interface DealKey {
  /** Ed25519, 32 bytes. */
  readonly key: Uint8Array
  sign(root: Uint8Array): Uint8Array
}

export interface DealKeys {
  all(): readonly DealKey[]
  /** Undefined for a key that is not this node's. */
  of(key: Uint8Array): DealKey | undefined
}

/** The identity key as a deal key. */
export function identityKey(signer: Pick<Signer, 'identity' | 'signIdentity'>): DealKey {
  return { key: signer.identity, sign: signer.signIdentity }
}

/** The identity key is the one deal key. */
export function identityDealKey(signer: Pick<Signer, 'identity' | 'signIdentity'>): DealKeys {
  const own = identityKey(signer)
  return { all: () => [own], of: key => (hex(key) === hex(own.key) ? own : undefined) }
}
