/** Peer ids and the Ed25519 keys they are made of (libp2p peer-ids specification, identity hash). */
import { CairnError, ed25519, invariant } from '@cairn/protocol'
import { privateKeyFromRaw, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'

/** The peer id, in text form, of a 32-byte Ed25519 public key: a registry entry's `identity`. */
export function peerIdOf(publicKey: Uint8Array): string {
  invariant(publicKey.length === 32, 'an Ed25519 public key has 32 bytes')
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString()
}

/** The 32-byte Ed25519 public key in a peer id. Throws `badPeerId` where there is none. */
export function publicKeyOf(peerId: string): Uint8Array {
  const parsed = parse(peerId)
  if (parsed.type !== 'Ed25519') throw badPeerId(peerId)
  return Uint8Array.from(parsed.publicKey.raw)
}

/** libp2p's form of a 32-byte Ed25519 secret. */
export function privateKeyOf(secret: Uint8Array): Ed25519PrivateKey {
  invariant(secret.length === 32, 'an Ed25519 secret has 32 bytes')
  const pair = new Uint8Array(64)
  pair.set(secret)
  pair.set(ed25519.publicKey(secret), 32)
  const key = privateKeyFromRaw(pair)
  invariant(key.type === 'Ed25519', '64 bytes are an Ed25519 key pair')
  return key
}

function parse(peerId: string) {
  try {
    return peerIdFromString(peerId)
  } catch (cause) {
    throw badPeerId(peerId, cause)
  }
}

function badPeerId(peerId: string, cause?: unknown): CairnError {
  return new CairnError('badPeerId', 'expected a peer id with an Ed25519 key', {
    facts: { peerId: peerId.slice(0, 80) },
    cause,
  })
}
