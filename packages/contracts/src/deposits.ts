/**
 * What a client's key signs so that an account's deposit may pay for its deals. Without it anybody
 * could name a key first whose deals others count on; without the account's transaction anybody could
 * have an account pay for theirs.
 */
import { Bytes20, Bytes32, ContainerType, DomainType, sha256, signingRoot } from '@cairn/protocol'
import { bytesToHex, type Hex } from 'viem'
import { contractNetwork } from './registration.ts'
import { words } from './submission.ts'

const DepositKey = new ContainerType({ account: Bytes20, key: Bytes32 })

export interface DepositKeyInit {
  /** EIP-155 id of the chain. */
  chainId: bigint
  /** Address of `Deposits`, 20 bytes. */
  deposits: Uint8Array
  /** Account that pays, 20 bytes. */
  account: Uint8Array
  /** Ed25519 key, 32 bytes. */
  key: Uint8Array
}

/** The 32 bytes that the key signs; every follower verifies it. */
export function depositKeyRoot({ chainId, deposits, account, key }: DepositKeyInit): Uint8Array {
  const network = contractNetwork({ chainId, address: deposits })
  return signingRoot(DomainType.depositKey, network, sha256(DepositKey.serialize({ account, key })))
}

/** Arguments of `Deposits.nameKey`; the signature is that of `depositKeyRoot`, 64 bytes. */
export function nameKeyArguments(key: Uint8Array, signature: Uint8Array) {
  const [r, s] = words(signature) as [Hex, Hex]
  return [bytesToHex(key), [r, s]] as const
}
