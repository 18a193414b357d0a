/** A mirror: `Checkpoints` on a further chain, which accepts what its network's committee signed. */
import { check } from '@cairn/protocol'
import {
  encodeDeployData,
  encodeFunctionData,
  getAbiItem,
  type Hex,
  keccak256,
  toFunctionSelector,
  zeroAddress,
} from 'viem'
import { accessAbi, accessBytecode } from './artifacts/Access.ts'
import { checkpointsAbi, checkpointsBytecode } from './artifacts/Checkpoints.ts'
import { COUNCIL, type DeployParameters, GUARDIAN } from './deploy.ts'

export interface MirrorPlan
  extends Pick<DeployParameters, 'activationDelay' | 'fallbackAfter' | 'termEpochs'> {
  /** Its guardian and its council, until it hands the roles on. */
  deployer: Hex
  /** Id of the network at home, 32 bytes. */
  network: Hex
  /** Start of epoch 0, seconds since 1970. */
  genesis: bigint
  /** The checkpoint that the mirror begins with: SSZ bytes, and the committee that it names. */
  checkpoint: Hex
  nextCommittee: Hex
}

/** One transaction of a mirror's deployment; without `to` it makes a contract. */
export interface MirrorCall {
  /** The same for the same mirror and step, whatever checkpoint it begins with. */
  key: string
  to?: Hex
  data: Hex
}

export interface MirrorAddresses {
  checkpoints: Hex
  access: Hex
}

/**
 * Deploys a mirror and starts it. `send` resolves when the call is in a block, with the contract that
 * it made; a call whose key it was given before it does not send again. Throws `deployReverted`.
 */
export async function deployMirror(
  plan: MirrorPlan,
  send: (call: MirrorCall) => Promise<{ contract?: Hex }>,
): Promise<MirrorAddresses> {
  const settings = {
    activationDelay: plan.activationDelay,
    fallbackAfter: plan.fallbackAfter,
    // Nobody checks in on a mirror.
    fallbackWindow: 0n,
    fallbackDelay: plan.activationDelay,
    termEpochs: plan.termEpochs,
    home: plan.network,
  }
  const checkpointsWith = (access: Hex) =>
    encodeDeployData({
      abi: checkpointsAbi,
      bytecode: checkpointsBytecode,
      args: [access, zeroAddress, settings],
    })
  const mirror = keccak256(checkpointsWith(zeroAddress))
  const step = (name: string, call: Omit<MirrorCall, 'key'>) =>
    send({ key: `${mirror}/${name}`, ...call })
  const make = async (name: string, data: Hex) => {
    const { contract } = await step(name, { data })
    check(contract !== undefined, 'deployReverted', `${name} was not made`)
    return contract
  }

  const access = await make(
    'access',
    encodeDeployData({ abi: accessAbi, bytecode: accessBytecode, args: [plan.deployer] }),
  )
  const checkpoints = await make('checkpoints', checkpointsWith(access))
  await step('start', {
    to: checkpoints,
    data: encodeFunctionData({
      abi: checkpointsAbi,
      functionName: 'start',
      args: [plan.genesis, plan.nextCommittee, plan.checkpoint],
    }),
  })
  const roles = [
    { role: GUARDIAN, name: 'cancel' },
    { role: COUNCIL, name: 'repeatCommittee' },
  ] as const
  for (const { role, name } of roles) {
    const selector = toFunctionSelector(getAbiItem({ abi: checkpointsAbi, name }))
    await step(`may ${name}`, {
      to: access,
      data: encodeFunctionData({
        abi: accessAbi,
        functionName: 'setTargetFunctionRole',
        args: [checkpoints, [selector], role],
      }),
    })
    await step(`is ${name}`, {
      to: access,
      data: encodeFunctionData({
        abi: accessAbi,
        functionName: 'grantRole',
        args: [role, plan.deployer, 0],
      }),
    })
  }
  return { checkpoints, access }
}
