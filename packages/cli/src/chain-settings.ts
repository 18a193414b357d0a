/** What the operator has set about the chain, as the daemon and every command that pays take it. */
import type { ChainSettings } from '@cairn/node'
import type { Values } from './config/keys.ts'

/** Base units of ether. */
const GWEI = 1_000_000_000n

export function chainSettingsOf(values: Values): ChainSettings {
  const rpc = values['chain.rpc']
  const callsPerSecond = values['chain.callsPerSecond']
  const budgetPerDay = values['chain.budgetPerDay']
  return {
    ...(rpc.length === 0 ? {} : { rpc }),
    rpcLimits: {
      agree: values['chain.agree'],
      ...(callsPerSecond === 0 ? {} : { callsPerSecond }),
    },
    spending: {
      maxFeePerGas: BigInt(values['chain.maxGasPrice']) * GWEI,
      ...(budgetPerDay === 0n ? {} : { budgetPerDay }),
    },
  }
}
