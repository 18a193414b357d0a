/**
 * What a node's two keys sign so that an operator may register them. A network's id is fixed only
 * after its first nodes have registered, so the domain's network is the registry itself:
 * sha256(SSZ{chain id, registry address}).
 */
import {
  Bytes20,
  Bytes32,
  Bytes48,
  bls,
  ContainerType,
  DomainType,
  invariant,
  type RegistryEntry,
  sha256,
  signingRoot,
  Uint64,
} from '@cairn/protocol'
import { bytesToHex } from 'viem'
import { keyWords, signatureWords, words } from './submission.ts'

const ContractIdentity = new ContainerType({ chainId: Uint64, address: Bytes20 })

/** Both keys belong to one node, and this operator may register it. */
const Possession = new ContainerType({ identity: Bytes32, voting: Bytes48, operator: Bytes20 })

export interface PossessionInit {
  /** EIP-155 id of the registry's chain. */
  chainId: bigint
  /** Address of `NodeRegistry`, 20 bytes. */
  registry: Uint8Array
  /** Ed25519 key, 32 bytes. */
  identity: Uint8Array
  /** BLS key, 48 bytes compressed. */
  voting: Uint8Array
  /** Account that registers, 20 bytes. */
  operator: Uint8Array
}

/** A node as its operator registers it; the operator is the transaction's sender. */
export interface RegistrationInit
  extends Omit<RegistryEntry, 'index' | 'operator' | 'registeredAt' | 'exitAt'> {
  /** BLS signature of `possessionRoot`, 96 bytes. */
  possession: Uint8Array
  /** Ed25519 signature of `registrationRoot`, 64 bytes. */
  identitySignature: Uint8Array
}

/** Arguments of `NodeRegistry.register` in its order. Throws `blsPoint`. */
export function registerArguments(init: RegistrationInit) {
  const [r, s] = words(init.identitySignature)
  invariant(r !== undefined && s !== undefined, 'an Ed25519 signature has 64 bytes')
  return [
    {
      payout: bytesToHex(init.payout),
      identity: bytesToHex(init.identity),
      voting: keyWords(bls.keyToEvm(init.voting)),
      cell: init.cell,
      region: init.region,
      subBand: init.subBand,
      gain: init.gain,
      kinds: init.kinds,
      nonceEnd: bytesToHex(init.nonceEnd),
      bond: init.bond,
    },
    signatureWords(bls.signatureToEvm(init.possession)),
    [r, s],
  ] as const
}

export function registrationNetwork({
  chainId,
  registry,
}: Pick<PossessionInit, 'chainId' | 'registry'>): Uint8Array {
  return contractNetwork({ chainId, address: registry })
}

/** A domain's network for what is signed to one contract: sha256(SSZ{chain id, its address}). */
export function contractNetwork(init: { chainId: bigint; address: Uint8Array }): Uint8Array {
  return sha256(ContractIdentity.serialize(init))
}

/** The 32 bytes that the voting key signs; `NodeRegistry` verifies it. */
export function possessionRoot(init: PossessionInit): Uint8Array {
  return signingRoot(DomainType.possession, registrationNetwork(init), statement(init))
}

/** The 32 bytes that the identity key signs; every follower verifies it. */
export function registrationRoot(init: PossessionInit): Uint8Array {
  return signingRoot(DomainType.registration, registrationNetwork(init), statement(init))
}

function statement(init: PossessionInit): Uint8Array {
  return sha256(Possession.serialize(init))
}
