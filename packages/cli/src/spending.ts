import type { Values } from './config/keys.ts'

/** Base units of ether. */
const GWEI = 1_000_000_000n

/** How RPC endpoints are asked. */
export function rpcLimitsOf(values: Values): { agree: number; callsPerSecond?: number } {
  const callsPerSecond = values['chain.callsPerSecond']
  return {
    agree: values['chain.agree'],
    ...(callsPerSecond === 0 ? {} : { callsPerSecond }),
  }
}

/** What the node's account may pay for gas. */
export function spendingOf(values: Values): { maxFeePerGas: bigint; budgetPerDay?: bigint } {
  const budgetPerDay = values['chain.budgetPerDay']
  return {
    maxFeePerGas: BigInt(values['chain.maxGasPrice']) * GWEI,
    ...(budgetPerDay === 0n ? {} : { budgetPerDay }),
  }
}
