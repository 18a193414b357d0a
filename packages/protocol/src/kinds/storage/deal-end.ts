/**
 * The end of a deal by agreement: client and provider both sign that it is over. It ends with the
 * epoch whose checkpoint first holds the message, and is charged up to that one.
 */
import { type Envelope, MessageType, messageSigningRoot } from '../../messages.ts'
import { Bytes32, ContainerType, type ValueOf } from '../../ssz.ts'
import { type Deal, type DealSignatures, joinSignatures } from './deal.ts'

export const DealEnd = new ContainerType(
  {
    /** Id of the deal. */
    deal: Bytes32,
  },
  { typeName: 'DealEnd' },
)
export type DealEnd = ValueOf<typeof DealEnd>

/** The 32 bytes that the client's and the provider's key sign. */
export function dealEndSigningRoot(end: DealEnd, network: Uint8Array): Uint8Array {
  return messageSigningRoot(unsigned(end), network)
}

export function dealEndEnvelope(end: DealEnd, signatures: DealSignatures): Envelope {
  return { ...unsigned(end), signature: joinSignatures(signatures) }
}

/**
 * Only a deal that has begun can be ended. One that has not could be taken in again afterwards, by
 * anybody who kept it; one that has is never taken in again.
 */
export function canEnd({ startEpoch }: Deal, epoch: number): boolean {
  return startEpoch <= epoch
}

function unsigned(end: DealEnd): Pick<Envelope, 'type' | 'body'> {
  return { type: MessageType.dealEnd, body: DealEnd.serialize(end) }
}
