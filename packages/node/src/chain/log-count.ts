/**
 * What a contract says of its own past at a block: how many events it has emitted, and who signs next.
 * What was read is held against it.
 */
import { checkpointsAbi, nodeRegistryAbi } from '@cairn/contracts'
import { check, hex, unhex } from '@cairn/protocol'
import { BaseError, encodeFunctionData, type Hex, RpcRequestError } from 'viem'
import type { BlockHeader } from '../ports.ts'
import type { Client } from './rpc.ts'

/** The same of every contract that counts. */
const COUNT = encodeFunctionData({ abi: nodeRegistryAbi, functionName: 'logCount' })
const WORD = encodeFunctionData({ abi: checkpointsAbi, functionName: 'committeeWord' })
/** The answer of an address without code: there is no contract yet. */
const NOTHING = '0x'

/**
 * A contract's events up to the end of a block. Undefined where the endpoint refuses the call, as
 * those do that no longer have the block's state; throws `badRpc` for what is no number.
 */
export async function contractLogCount(
  client: Client,
  contract: Hex,
  block: Pick<BlockHeader, 'hash'>,
): Promise<number | undefined> {
  const called = await callAt(client, { to: contract, data: COUNT }, block)
  if (called === undefined) return undefined
  const { answer } = called
  if (answer === NOTHING) return 0
  const wellFormed = typeof answer === 'string' && /^0x0{56}[0-9a-f]{8}$/i.test(answer)
  check(wellFormed, 'badRpc', 'an endpoint sent no count of a contract’s events')
  return Number(answer)
}

/**
 * Word of the committee that signs next, as of the end of a block; zero before the start. Undefined
 * where the endpoint refuses the call; throws `badRpc` for what is no word.
 */
export async function contractCommitteeWord(
  client: Client,
  contract: Hex,
  block: Pick<BlockHeader, 'hash'>,
): Promise<Uint8Array | undefined> {
  const called = await callAt(client, { to: contract, data: WORD }, block)
  if (called === undefined) return undefined
  const { answer } = called
  if (answer === NOTHING) return new Uint8Array(32)
  const wellFormed = typeof answer === 'string' && /^0x[0-9a-f]{64}$/i.test(answer)
  check(wellFormed, 'badRpc', 'an endpoint sent no word of a committee')
  return unhex(answer)
}

/** Undefined where the endpoint refuses the call. */
async function callAt(
  client: Client,
  call: { to: Hex; data: Hex },
  block: Pick<BlockHeader, 'hash'>,
): Promise<{ answer: unknown } | undefined> {
  // By hash (EIP-1898): a block of this number may be another one by now.
  const at = { blockHash: `0x${hex(block.hash)}`, requireCanonical: true } as const
  try {
    return { answer: await client.request({ method: 'eth_call', params: [call, at] }) }
  } catch (error) {
    const refused = error instanceof BaseError && error.walk(e => e instanceof RpcRequestError)
    if (!refused) throw error
    return undefined
  }
}
