/** What client and provider say to each other when they agree on a deal (`piece-put`). */
import { Bytes64, ContainerType, Deal, type ValueOf } from '@cairn/protocol'

/** A deal with its client's signature. */
export const Proposal = new ContainerType(
  { deal: Deal, signature: Bytes64 },
  { typeName: 'Proposal' },
)
export type Proposal = ValueOf<typeof Proposal>

/** The provider's signature over the same root. */
export const Agreement = new ContainerType({ signature: Bytes64 }, { typeName: 'Agreement' })
