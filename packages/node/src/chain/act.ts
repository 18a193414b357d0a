/** What a transaction is for, read back from its call: the journal keeps each one whole. */
import {
  accessAbi,
  cairnGovernorAbi,
  cairnTokenAbi,
  checkpointsAbi,
  depositsAbi,
  nodeRegistryAbi,
  rewardDistributorAbi,
  slasherAbi,
  timelockAbi,
} from '@cairn/contracts'
import { Checkpoint, decode, tokenText, unhex } from '@cairn/protocol'
import {
  BaseError,
  decodeFunctionData,
  encodeAbiParameters,
  getAbiItem,
  type Hex,
  keccak256,
  slice,
} from 'viem'
import { idText, SUPPORTS, titleOf } from './voter.ts'

/** All that a daemon calls, and who founds a network or feeds a mirror. */
const CALLS = [
  ...nodeRegistryAbi,
  ...checkpointsAbi,
  ...rewardDistributorAbi,
  ...depositsAbi,
  ...slasherAbi,
  ...cairnGovernorAbi,
  ...cairnTokenAbi,
  ...timelockAbi,
  ...accessAbi,
] as const
/** Digits of a proposal's id, as `cairn vote` shows them. */
const ID_DIGITS = 12

export interface Act {
  /** The contract's function. */
  name: string
  /** For people, as `add 20 tokens to the bond of node 3`. */
  about: string
}

/** Of a call; without a contract it makes one. A function of none of these is told by its selector. */
export function actOf({ to, data }: { to?: Hex; data: Hex }): Act {
  if (to === undefined) return { name: 'create', about: 'deploy a contract' }
  const call = decoded(data)
  if (call === undefined) return { name: slice(data, 0, 4), about: `call ${slice(data, 0, 4)}` }
  if (call.functionName !== 'multicall') return { name: call.functionName, about: aboutOf(call) }
  const parts = call.args[0].map(part => actOf({ to, data: part }))
  const acts = parts.filter(({ name }) => name !== 'permit')
  return {
    name: acts.map(({ name }) => name).join(' '),
    about: acts.map(({ about }) => about).join(', '),
  }
}

type DecodedCall = NonNullable<ReturnType<typeof decoded>>

function aboutOf(call: DecodedCall): string {
  switch (call.functionName) {
    case 'register':
      return `register a node with a bond of ${tokenText(call.args[0].bond)}`
    case 'addBond':
      return `add ${tokenText(call.args[1])} to the bond of node ${call.args[0]}`
    case 'changePlace':
      return `move node ${call.args[0]}`
    case 'changePayout':
      return `have node ${call.args[0]} paid to ${call.args[1].toLowerCase()}`
    case 'changeKinds':
      return `change what node ${call.args[0]} offers`
    case 'requestExit':
      return `ask to leave with node ${call.args[0]}`
    case 'start':
      return 'start the network'
    case 'submit':
      return `land the checkpoint of epoch ${epochOf(call.args[0])}`
    case 'veto':
      return `veto the checkpoint of epoch ${call.args[0]}`
    case 'checkIn':
      return `check in with node ${call.args[0]} for a committee`
    case 'formCommittee':
      return 'form a committee of the nodes that checked in'
    case 'fund':
      return `open epoch ${epochOf(call.args[0])} for claims`
    case 'claim':
      return `claim up to epoch ${call.args[0]} for ${call.args[1].account.toLowerCase()}`
    case 'claimMany':
      return `claim up to epoch ${call.args[0]} for ${call.args[1].length} accounts`
    case 'claimAndBond':
      return `claim up to epoch ${call.args[0]} into the bond of node ${call.args[3]}`
    case 'doubleVote':
      return `report node ${call.args[0]}: two votes for epoch ${call.args[2]}`
    case 'penalise':
      return `have the penalty of node ${call.args[1].node} in epoch ${call.args[0]} taken`
    case 'deposit':
      return `deposit ${tokenText(call.args[1])}`
    case 'nameKey':
      return 'name the key whose deals the deposit pays for'
    case 'requestWithdrawal':
      return call.args[0] === 0n
        ? 'leave the deposit as it is'
        : `ask ${tokenText(call.args[0])} of the deposit back`
    case 'withdrawUnspent':
      return 'take out of the deposit'
    case 'withdraw':
      return call.args.length === 1
        ? `take back the bond of node ${call.args[0]}`
        : 'take out of the deposit'
    case 'approve':
      return `let ${call.args[0].toLowerCase()} take ${tokenText(call.args[1])}`
    case 'transfer':
      return `send ${tokenText(call.args[1])} to ${call.args[0].toLowerCase()}`
    case 'setMinter':
      return 'name the contract that mints tokens'
    case 'grantRole':
    case 'renounceRole':
      return 'hand on a role'
    case 'delegate':
      return `have tokens vote for ${call.args[0].toLowerCase()}`
    case 'propose':
      return `propose '${titleOf(call.args[3])}'`
    case 'castVote':
      return `vote ${SUPPORTS[call.args[1]] ?? call.args[1]} on ${shortId(call.args[0])}`
    case 'queue':
      return `queue ${proposalOf(call.args)}`
    case 'execute':
      return call.args.length === 4 ? `execute ${proposalOf(call.args)}` : 'call execute'
    case 'cancel':
      if (call.args.length === 4) return `cancel ${proposalOf(call.args)}`
      return call.args.length === 2
        ? `cancel the checkpoint of epoch ${call.args[0]}`
        : 'call cancel'
    default:
      return `call ${call.functionName}`
  }
}

function decoded(data: Hex) {
  try {
    return decodeFunctionData({ abi: CALLS, data })
  } catch (error) {
    if (error instanceof BaseError) return undefined
    throw error
  }
}

function epochOf(checkpoint: Hex): bigint {
  return decode(Checkpoint, unhex(checkpoint)).epoch
}

/** As the governor names what it is told by its parts. */
function proposalOf(
  parts: readonly [readonly Hex[], readonly bigint[], readonly Hex[], Hex],
): string {
  const { inputs } = getAbiItem({ abi: cairnGovernorAbi, name: 'hashProposal' })
  return shortId(BigInt(keccak256(encodeAbiParameters(inputs, parts))))
}

function shortId(id: bigint): string {
  return idText(id).slice(0, ID_DIGITS)
}
