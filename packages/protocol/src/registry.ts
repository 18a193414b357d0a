/** A node as the chain's registry knows it at a block. */
export interface RegistryEntry {
  /** u32, from 0, in order of registration. */
  index: number
  /** 20-byte accounts. */
  operator: Uint8Array
  payout: Uint8Array
  /** Ed25519 identity key, 32 bytes; the libp2p peer id follows from it. */
  identity: Uint8Array
  /** BLS12-381 G1 key, 48 bytes compressed. */
  voting: Uint8Array
  /** H3 index of resolution 12 or 10; 0n: none asserted. */
  cell: bigint
  /** Code of the regional plan (`radio/regions.ts`), and sub-band. */
  region: number
  subBand: number
  /** Antenna gain less cable loss, 0.1 dBi. */
  gain: number
  /** Bit k set: offers proof kind k. */
  kinds: number
  /** End of the gateway's nonce chain, 32 bytes. */
  nonceEnd: Uint8Array
  /** Bond in base units. */
  bond: bigint
  /** Seconds since 1970 of the block that registered it. */
  registeredAt: number
  /** Seconds of the exit request; 0: none. */
  exitAt: number
}
