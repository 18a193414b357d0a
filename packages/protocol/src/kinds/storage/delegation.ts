/**
 * A delegation: a client names the nodes that may repair one group of its pieces, in order, when its own
 * node is away. What a delegate signs for the group is a deal at the client's expense, so it may only
 * put back what is missing, on terms that the client has agreed to before, and never with itself.
 */
import { ListBasicType } from '@chainsafe/ssz'
import { type Envelope, MessageType, messageSigningRoot } from '../../messages.ts'
import { Bytes32, ContainerType, Uint32, type ValueOf } from '../../ssz.ts'

/** Named at once: so many may be away and one still repairs. */
export const DELEGATES_MAX = 8

export const Delegation = new ContainerType(
  {
    /** Ed25519 deal key. */
    client: Bytes32,
    group: Bytes32,
    /** Node indices in order of preference; none: nobody any more. */
    delegates: new ListBasicType(Uint32, DELEGATES_MAX),
    /** Of two for a group the one with the higher number holds. */
    sequence: Uint32,
  },
  { typeName: 'Delegation' },
)
export type Delegation = ValueOf<typeof Delegation>

/** The 32 bytes that the client's key signs. */
export function delegationSigningRoot(delegation: Delegation, network: Uint8Array): Uint8Array {
  return messageSigningRoot(unsigned(delegation), network)
}

/** `signature` is the client's, 64 bytes. */
export function delegationEnvelope(delegation: Delegation, signature: Uint8Array): Envelope {
  return { ...unsigned(delegation), signature }
}

function unsigned(delegation: Delegation): Pick<Envelope, 'type' | 'body'> {
  return { type: MessageType.delegation, body: Delegation.serialize(delegation) }
}
