import { keccak_256 } from '@noble/hashes/sha3.js'

/** Keccak-256 as the EVM has it (not SHA3-256): 32 bytes. Chain addresses and ids only. */
export function keccak256(data: Uint8Array): Uint8Array {
  return keccak_256(data)
}
