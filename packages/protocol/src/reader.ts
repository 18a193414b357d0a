/**
 * Decoding and hashing of messages as the core receives them: a composition decides whether they
 * are memoised. The simulator reads each message once for all its nodes.
 */
import { decodeEnvelope, type Envelope, messageId, messageSigningRoot } from './messages.ts'
import { type Peeked, peek, type Rulebook } from './rules.ts'

/** What it returns is shared: nobody may change it. */
export interface Reader {
  /** A gossiped message from its bytes; throws as `decodeEnvelope`. */
  envelope(bytes: Uint8Array): Envelope
  /** `messageId`. */
  id(envelope: Envelope): Uint8Array
  /** `messageSigningRoot`. */
  root(envelope: Envelope, network: Uint8Array): Uint8Array
  /** Throws as `peek`. */
  peek(envelope: Envelope, book: Rulebook): Peeked
}

/** Reads everything anew. */
export const plainReader: Reader = {
  envelope: bytes => decodeEnvelope(bytes),
  id: messageId,
  root: messageSigningRoot,
  peek,
}
