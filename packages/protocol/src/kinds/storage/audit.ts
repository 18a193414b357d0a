/**
 * An audit: the client of a deal says that its provider did not give it a leaf. It accuses nobody. It
 * has the leaf asked by the challengers of a later epoch, and what they find is what counts.
 */
import { type Envelope, MessageType, messageSigningRoot } from '../../messages.ts'
import { Bytes32, ContainerType, Uint32, type ValueOf } from '../../ssz.ts'

export const Audit = new ContainerType(
  {
    /** The deal's Ed25519 key. */
    client: Bytes32,
    /** Id of the deal. */
    deal: Bytes32,
    leaf: Uint32,
    /** It belongs into this epoch's set or into none. */
    epoch: Uint32,
  },
  { typeName: 'Audit' },
)
export type Audit = ValueOf<typeof Audit>

/** The 32 bytes that the client's key signs. */
export function auditSigningRoot(audit: Audit, network: Uint8Array): Uint8Array {
  return messageSigningRoot(unsigned(audit), network)
}

/** `signature` is the client's, 64 bytes. */
export function auditEnvelope(audit: Audit, signature: Uint8Array): Envelope {
  return { ...unsigned(audit), signature }
}

function unsigned(audit: Audit): Pick<Envelope, 'type' | 'body'> {
  return { type: MessageType.audit, body: Audit.serialize(audit) }
}
