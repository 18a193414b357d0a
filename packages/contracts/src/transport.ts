/** How a chain on this machine is talked to, by tests and by what sets a network up. */
import { type EIP1193RequestFn, type Hex, type HttpTransport, http, numberToHex } from 'viem'

/** A busy machine's chain answers in seconds; after this long it never will, ms. */
const TIMEOUT_MS = 120_000
/**
 * Gas allowed beyond an estimate: histories of bonds and votes have one entry for a block and a
 * second, which the estimate may find written by the block before. Two new slots and two lengths.
 */
export const GAS_HISTORIES = 50_000n

/**
 * Sends each call once. viem sends one again that is not answered in 10 s, and on a busy machine the
 * first is carried out too: blocks are mined twice, a transaction's nonce is used already.
 */
export function anvilTransport(rpcUrl: string): HttpTransport {
  const open = http(rpcUrl, { retryCount: 0, timeout: TIMEOUT_MS })
  return options => {
    const transport = open(options)
    const request = async (call: { method: string; params?: unknown }) =>
      withRoom(call.method, await transport.request(call))
    return { ...transport, request: request as EIP1193RequestFn }
  }
}

/** viem has the chain fill in transactions where it can, and asks for an estimate elsewhere. */
function withRoom(method: string, answer: unknown): unknown {
  if (method === 'eth_estimateGas') return withHistories(answer as Hex)
  if (method !== 'eth_fillTransaction') return answer
  const filled = answer as { tx: { gas: Hex } }
  return { ...filled, tx: { ...filled.tx, gas: withHistories(filled.tx.gas) } }
}

function withHistories(gas: Hex): Hex {
  return numberToHex(BigInt(gas) + GAS_HISTORIES)
}
