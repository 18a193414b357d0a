/**
 * What a client and a provider say to each other about bytes delivered (`tab`). The client names the
 * key that pays, shows that the key speaks for this peer, and signs how much it got, all told; the
 * provider answers with the latest receipt that it holds.
 */
import { Bytes32, Bytes64, ContainerType, Uint64, type ValueOf } from '@cairn/protocol'

export const TAB_PROTOCOL = 'tab'

/** A client signs again after so many bytes, and when it stops fetching. */
export const RECEIPT_STEP = 4 * 1024 * 1024
/**
 * A provider delivers so many bytes that no receipt covers yet: what it may lose to one client. Four
 * steps, so that a client with a few transfers under way never waits.
 */
export const UNPAID_MAX = 4 * RECEIPT_STEP

export const TabRequest = new ContainerType(
  {
    /** Ed25519 deal key, whose deposit pays. */
    client: Bytes32,
    bytes: Uint64,
    /** The client's, of `Delivered`. */
    signature: Bytes64,
    /** The client's, of `Introduction`. */
    introduction: Bytes64,
  },
  { typeName: 'TabRequest' },
)
export type TabRequest = ValueOf<typeof TabRequest>

/** The latest receipt; all zero before the first. */
export const TabAnswer = new ContainerType(
  { bytes: Uint64, signature: Bytes64 },
  { typeName: 'TabAnswer' },
)
export type TabAnswer = ValueOf<typeof TabAnswer>
