/** Leave to take tokens that an account gives by its signature alone (ERC-2612). */
import { type Hex, parseSignature } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import type { ContractAddresses } from './deploy.ts'

export interface PermitInit {
  contracts: Pick<ContractAddresses, 'token' | 'registry'>
  chainId: number
  account: Pick<PrivateKeyAccount, 'address' | 'signTypedData'>
  /** `CairnToken.nonces` of the account. */
  nonce: bigint
  /** Base units. */
  amount: bigint
  /** Seconds since 1970 until which it can be handed in. */
  deadline: bigint
}

const Permit = [
  { name: 'owner', type: 'address' },
  { name: 'spender', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'nonce', type: 'uint256' },
  { name: 'deadline', type: 'uint256' },
] as const

/** Arguments of `NodeRegistry.permit`, signed by the account. */
export async function permitArguments(init: PermitInit) {
  const { contracts, chainId, account, nonce, amount, deadline } = init
  const signature = await account.signTypedData({
    domain: { name: 'Cairn', version: '1', chainId, verifyingContract: contracts.token },
    types: { Permit },
    primaryType: 'Permit',
    message: {
      owner: account.address,
      spender: contracts.registry,
      value: amount,
      nonce,
      deadline,
    },
  })
  const { r, s, yParity } = parseSignature(signature)
  return [amount, deadline, 27 + yParity, r, s] as const satisfies [
    bigint,
    bigint,
    number,
    Hex,
    Hex,
  ]
}
