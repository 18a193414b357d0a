/**
 * What a signature covers: sha256(SSZ{domain, root}), the domain naming protocol, message type and
 * network, so that nothing signed for one purpose or network is valid for another.
 */
import { sha256 } from '#crypto'
import { Bytes8, Bytes20, Bytes32, ContainerType, Uint16, Uint64 } from './ssz.ts'

/** Message types. A code is never used again for another meaning. */
export const MessageType = {
  challenge: 1,
  attestation: 2,
  seal: 3,
  commit: 4,
  beacon: 5,
  report: 6,
  ready: 7,
  deal: 8,
  vote: 9,
  proposal: 10,
  dealEnd: 11,
  receipt: 12,
  strangerFetch: 13,
  delegation: 14,
  audit: 15,
  measurement: 16,
} as const
export type MessageType = (typeof MessageType)[keyof typeof MessageType]

/** Domains of hashes and signatures that are not messages of an epoch. */
export const DomainType = {
  ...MessageType,
  seed: 0x100,
  vrf: 0x101,
  possession: 0x102,
  registration: 0x103,
  delivered: 0x104,
  introduction: 0x105,
  stranger: 0x106,
  entrusting: 0x107,
  bought: 0x108,
  pinged: 0x109,
  checkIn: 0x10a,
  depositKey: 0x10b,
} as const
export type DomainType = (typeof DomainType)[keyof typeof DomainType]

/** "cairn/1" padded: the protocol's name and major version. */
const PROTOCOL = Uint8Array.of(0x63, 0x61, 0x69, 0x72, 0x6e, 0x2f, 0x31, 0)

const Domain = new ContainerType({ protocol: Bytes8, type: Uint16, network: Bytes32 })
const SigningData = new ContainerType({ domain: Bytes32, root: Bytes32 })
const NetworkIdentity = new ContainerType({
  chainId: Uint64,
  checkpoints: Bytes20,
  genesis: Uint64,
})

export interface NetworkIdentityInit {
  /** EIP-155 id of the home chain. */
  chainId: bigint
  /** Address of the Checkpoints contract, 20 bytes. */
  checkpoints: Uint8Array
  /** Start of epoch 0, seconds since 1970. */
  genesis: bigint
}

/** The 32-byte network id. */
export function networkId(init: NetworkIdentityInit): Uint8Array {
  return sha256(NetworkIdentity.serialize(init))
}

/** Domains already hashed, by network id; there are as many as `DomainType` has members. */
const domains = new WeakMap<Uint8Array, Map<DomainType, Uint8Array>>()

/** The 32-byte domain of a type in a network. Do not change the array that is given out. */
export function domain(type: DomainType, network: Uint8Array): Uint8Array {
  let known = domains.get(network)
  if (known === undefined) {
    known = new Map()
    domains.set(network, known)
  }
  let found = known.get(type)
  if (found === undefined) {
    found = sha256(Domain.serialize({ protocol: PROTOCOL, type, network }))
    known.set(type, found)
  }
  return found
}

/** The 32 bytes that a key signs for an object whose root is `root`. */
export function signingRoot(type: DomainType, network: Uint8Array, root: Uint8Array): Uint8Array {
  return sha256(SigningData.serialize({ domain: domain(type, network), root }))
}
