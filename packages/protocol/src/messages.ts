/**
 * The envelope every signed message travels, is stored and is proven in, and the containers of the
 * kernel's messages. The bodies of a proof kind's own messages stand in its folder under `kinds/`.
 *
 * The ledger id hashes type and body without the signature; the gossip id hashes topic and all.
 */
import { sha256 } from '#crypto'
import { MessageType, signingRoot } from './domain.ts'
import {
  ByteListType,
  Bytes8,
  Bytes32,
  Bytes96,
  type Codec,
  ContainerType,
  decode,
  Uint8,
  Uint16,
  Uint32,
  type ValueOf,
} from './ssz.ts'

/** A message on gossip is at most this long; the direct protocols allow `DIRECT_MAX_BYTES`. */
export const GOSSIP_MAX_BYTES = 16 * 1024
export const DIRECT_MAX_BYTES = 1024 * 1024

const BODY_MAX_BYTES = GOSSIP_MAX_BYTES - 256

const Unsigned = new ContainerType(
  { type: Uint16, body: new ByteListType(BODY_MAX_BYTES) },
  { typeName: 'Unsigned' },
)

/** `signature` is 64 bytes (Ed25519), 96 (BLS, votes) or 128 (client, then provider). */
export const Envelope = new ContainerType(
  { type: Uint16, body: new ByteListType(BODY_MAX_BYTES), signature: new ByteListType(128) },
  { typeName: 'Envelope' },
)
export type Envelope = ValueOf<typeof Envelope>

/** Fields that begin every message of an epoch, so that the kernel can judge any kind's message. */
export const epochFields = { epoch: Uint32, base: Bytes8, kind: Uint8, author: Uint32 }
export interface EpochMessage {
  epoch: number
  /** First 8 bytes of the base's block hash. */
  base: Uint8Array
  kind: number
  /** Node index of the signer. */
  author: number
}

/** Kind code of messages that belong to no proof kind. */
export const KERNEL_KIND = 0

export const Challenge = new ContainerType(
  { ...epochFields, target: Uint32, output: Bytes96 },
  { typeName: 'Challenge' },
)
export type Challenge = ValueOf<typeof Challenge>

/** The longest evidence: a sealed wrong leaf with its paths is under 3 KiB. */
const EVIDENCE_MAX_BYTES = 4096

export const Attestation = new ContainerType(
  {
    ...epochFields,
    challenge: Bytes32,
    seenSlot: Uint16,
    verdict: Uint8,
    reason: Uint8,
    evidence: new ByteListType(EVIDENCE_MAX_BYTES),
  },
  { typeName: 'Attestation' },
)
export type Attestation = ValueOf<typeof Attestation>

export const Seal = new ContainerType(
  { ...epochFields, challenge: Bytes32, proofRoot: Bytes32 },
  { typeName: 'Seal' },
)
export type Seal = ValueOf<typeof Seal>

/** "I am back": lets a node that was idle be drawn again. */
export const Ready = new ContainerType({ ...epochFields }, { typeName: 'Ready' })
export type Ready = ValueOf<typeof Ready>

/** A committee member's vote; its signature is BLS over `VoteData`, which every voter shares. */
export const Vote = new ContainerType(
  { ...epochFields, round: Uint32, checkpoint: Bytes32 },
  { typeName: 'Vote' },
)
export type Vote = ValueOf<typeof Vote>

export const Verdict = { pass: 1, fail: 2, inconclusive: 3 } as const
export type Verdict = (typeof Verdict)[keyof typeof Verdict]
export type VerdictName = keyof typeof Verdict

/** Id in the ledger and in the checkpoint's tree of messages. */
export function messageId(envelope: Pick<Envelope, 'type' | 'body'>): Uint8Array {
  return sha256(Unsigned.serialize({ type: envelope.type, body: envelope.body }))
}

/** Types of messages that belong to no epoch of their own. */
const WITHOUT_EPOCH: ReadonlySet<number> = new Set([
  MessageType.deal,
  MessageType.dealEnd,
  MessageType.audit,
  MessageType.delegation,
])

/** Where `author` stands in every epoch message: behind epoch, base and kind. */
const AUTHOR_OFFSET = 13

/** Node index of who signed; undefined for messages that belong to no epoch of their own. */
export function authorOf({ type, body }: Pick<Envelope, 'type' | 'body'>): number | undefined {
  if (WITHOUT_EPOCH.has(type) || body.length < AUTHOR_OFFSET + 4) return undefined
  return new DataView(body.buffer, body.byteOffset + AUTHOR_OFFSET, 4).getUint32(0, true)
}

/** The 32 bytes an Ed25519 key signs for this message (votes: see `checkpoint.ts`). */
export function messageSigningRoot(
  envelope: Pick<Envelope, 'type' | 'body'>,
  network: Uint8Array,
): Uint8Array {
  return signingRoot(envelope.type as MessageType, network, messageId(envelope))
}

/** Builds and signs an envelope; `sign` receives the 32-byte signing root. */
export function seal<V>(
  type: MessageType,
  codec: Codec<V>,
  value: V,
  network: Uint8Array,
  sign: (root: Uint8Array) => Uint8Array,
): Envelope {
  const body = codec.serialize(value)
  return { type, body, signature: sign(messageSigningRoot({ type, body }, network)) }
}

export function decodeEnvelope(bytes: Uint8Array, limit = GOSSIP_MAX_BYTES): Envelope {
  return decode(Envelope, bytes, { limit })
}

export { MessageType }
