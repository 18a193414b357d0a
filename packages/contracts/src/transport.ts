/** How a chain on this machine is talked to, by tests and by what sets a network up. */
import { type HttpTransport, http } from 'viem'

/** A busy machine's chain answers in seconds; after this long it never will, ms. */
const TIMEOUT_MS = 120_000

/**
 * Sends each call once. viem sends one again that is not answered in 10 s, and on a busy machine the
 * first is carried out too: blocks are mined twice, a transaction's nonce is used already.
 */
export function anvilTransport(rpcUrl: string): HttpTransport {
  return http(rpcUrl, { retryCount: 0, timeout: TIMEOUT_MS })
}
