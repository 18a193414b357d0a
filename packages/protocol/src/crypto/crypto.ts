/**
 * What `#crypto` exports, once over native code (condition `node`) and once over portable code
 * (condition `default`, browsers). Everything is synchronous and deterministic: a simulator that
 * replays from a seed must never wait for a thread pool.
 */
export interface Crypto {
  /** SHA-256 of the whole input, 32 bytes. */
  sha256(data: Uint8Array): Uint8Array
  /**
   * One Merkle level: hashes each 64-byte node of `level` (n x 64 bytes) to 32 bytes (n x 32
   * bytes), in memory of its own or in that of `into`. Throws a plain Error unless the length is a
   * multiple of 64 and that of `into` the half of it.
   */
  sha256Pairs(level: Uint8Array, into?: Uint8Array): Uint8Array
  /** Keccak-256 as the EVM has it (not SHA3-256), 32 bytes. Chain addresses and ids only. */
  keccak256(data: Uint8Array): Uint8Array
  ed25519: Ed25519
  bls: Bls
}

/** RFC 8032 with the project's stricter acceptance rule (`docs/protocol.md`, Keys). */
export interface Ed25519 {
  /** 32-byte public key of a 32-byte secret seed. */
  publicKey(secret: Uint8Array): Uint8Array
  /** 64-byte signature. */
  sign(message: Uint8Array, secret: Uint8Array): Uint8Array
  /**
   * True iff S < L, R is no encoding of a small-order point, and encode(S*B - k*A) equals R byte
   * for byte. Never throws for bytes of any content; the key is assumed to have passed
   * `isValidKey` once (of small order it is refused here too, since libraries disagree on it).
   */
  verify(message: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): boolean
  /** False for keys that are not canonical, of small or of mixed order: refused at registration. */
  isValidKey(publicKey: Uint8Array): boolean
}

/**
 * BLS12-381 min-pk: keys 48 bytes in G1, signatures 96 bytes in G2, hash to G2 with the
 * proof-of-possession tag `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_`. Every point that comes
 * from outside is checked for encoding, group and infinity.
 */
export interface Bls {
  /** 48-byte public key of a 32-byte big-endian secret scalar. */
  publicKey(secret: Uint8Array): Uint8Array
  /** 96-byte compressed signature. */
  sign(message: Uint8Array, secret: Uint8Array): Uint8Array
  /** False for anything malformed; never throws. */
  verify(message: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): boolean
  /** True iff the bytes are a point of the right group and not infinity. */
  isValidKey(publicKey: Uint8Array): boolean
  /**
   * Sum of at least one valid signature, 96 bytes. Throws `blsPoint` on a malformed one. Opposite
   * points add up to infinity, which every other function here refuses.
   */
  aggregateSignatures(signatures: readonly Uint8Array[]): Uint8Array
  /** Sum of at least one valid key, 48 bytes; as `aggregateSignatures`. */
  aggregateKeys(keys: readonly Uint8Array[]): Uint8Array
  /** EIP-2537 layout of a G1 point: x, y, each 64 bytes big-endian with 16 leading zeros. */
  keyToEvm(publicKey: Uint8Array): Uint8Array
  /** EIP-2537 layout of a G2 point: x.c0, x.c1, y.c0, y.c1, each 64 bytes big-endian. */
  signatureToEvm(signature: Uint8Array): Uint8Array
}
