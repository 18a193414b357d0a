/** Who may call what, asked of every function of every contract as a network is deployed. */
import { strict as assert } from 'node:assert'
import {
  accessAbi,
  cairnGovernorAbi,
  cairnTokenAbi,
  checkpointsAbi,
  depositsAbi,
  nodeRegistryAbi,
  parametersAbi,
  rewardDistributorAbi,
  slasherAbi,
  testGuardian,
  timelockAbi,
} from '@cairn/contracts'
import {
  type Abi,
  type AbiFunction,
  type AbiParameter,
  BaseError,
  decodeErrorResult,
  encodeFunctionData,
  type Hex,
  type RawContractError,
} from 'viem'
import { openWorld, type World } from './world.ts'

const ABIS = {
  access: accessAbi,
  checkpoints: checkpointsAbi,
  deposits: depositsAbi,
  distributor: rewardDistributorAbi,
  governor: cairnGovernorAbi,
  parameters: parametersAbi,
  registry: nodeRegistryAbi,
  slasher: slasherAbi,
  timelock: timelockAbi,
  token: cairnTokenAbi,
} as const

/** Refusals that are about who calls. */
const UNAUTHORIZED = new Set([
  'AccessManagedUnauthorized',
  'AccessManagerUnauthorizedAccount',
  'AccessManagerUnauthorizedCall',
  'AccessManagerUnauthorizedCancel',
  'AccessManagerUnauthorizedConsume',
  'AccessControlUnauthorizedAccount',
  'GovernorOnlyExecutor',
  'MinterIsSet',
  'NotDeployer',
  'NotDistributor',
  'NotMinter',
  'NotSlasher',
  'NotStarter',
  'TimelockUnauthorizedCaller',
])

const ADMIN_OF_ACCESS = [
  'grantRole',
  'labelRole',
  'revokeRole',
  'setGrantDelay',
  'setRoleAdmin',
  'setRoleGuardian',
  'setTargetAdminDelay',
  'setTargetClosed',
  'setTargetFunctionRole',
  'updateAuthority',
]
const OF_GOVERNOR = [
  'relay',
  'setLateQuorumVoteExtension',
  'setProposalThreshold',
  'setVotingDelay',
  'setVotingPeriod',
  'updateQuorumNumerator',
  'updateTimelock',
]

/** Whatever is not here anyone may call, for what is their own. */
const RESTRICTED: Record<string, string[]> = {
  ...Object.fromEntries(ADMIN_OF_ACCESS.map(name => [`access.${name}`, ['timelock']])),
  ...Object.fromEntries(OF_GOVERNOR.map(name => [`governor.${name}`, ['timelock']])),
  'checkpoints.cancel': ['guardian'],
  // `Access` calls it when its admin has it do so.
  'checkpoints.setAuthority': ['access'],
  // On a mirror, whose council a network's chain has nobody for.
  'checkpoints.repeatCommittee': ['timelock'],
  'checkpoints.setCommittee': ['timelock'],
  // Once, before genesis.
  'checkpoints.start': ['deployer'],
  'deposits.collect': ['distributor'],
  'parameters.add': ['timelock'],
  'parameters.set': ['timelock'],
  'parameters.setAuthority': ['access'],
  'registry.slash': ['slasher'],
  'timelock.cancel': ['governor'],
  'timelock.grantRole': ['timelock'],
  'timelock.revokeRole': ['timelock'],
  'timelock.schedule': ['governor'],
  'timelock.scheduleBatch': ['governor'],
  'timelock.updateDelay': ['timelock'],
  'token.mint': ['distributor'],
  'token.setMinter': [],
}

describe('roles of a deployed network', () => {
  let world: World

  before(async () => {
    world = await openWorld()
    // A call upon no block is one at no time, when nobody has a role yet.
    await world.client.mine({ blocks: 1 })
  })
  after(() => world.anvil.stop())

  it('let each restricted function be called by the one account it is for', async () => {
    const { access, slasher, distributor, timelock, governor, registry } = world.contracts
    const callers: Record<string, Hex> = {
      deployer: world.deployer.account.address,
      guardian: testGuardian().address,
      operator: world.operator(0).account.address,
      stranger: '0x00000000000000000000000000000000000face5',
      ...{ access, slasher, distributor, timelock, governor, registry },
    }
    const found: Record<string, string[]> = {}
    for (const [name, abi] of Object.entries(ABIS)) {
      const to = world.contracts[name as keyof typeof ABIS]
      for (const item of changing(abi as Abi)) {
        const data = encodeFunctionData({ abi: [item], args: item.inputs.map(empty) })
        const allowed: string[] = []
        for (const [caller, account] of Object.entries(callers)) {
          const refusal = await refusalOf({ world, account, to, data, abi: abi as Abi })
          if (refusal === undefined || !UNAUTHORIZED.has(refusal)) allowed.push(caller)
        }
        if (allowed.length < Object.keys(callers).length) found[`${name}.${item.name}`] = allowed
      }
    }
    assert.deepEqual(found, RESTRICTED)
  })

  it('leave the account that deployed it without any role', async () => {
    const { deployer } = world
    for (const role of [0n, 1n, 2n]) {
      const [member] = await world.client.readContract({
        address: world.contracts.access,
        abi: accessAbi,
        functionName: 'hasRole',
        args: [role, deployer.account.address],
      })
      assert.equal(member, false)
    }
    const timelock = { address: world.contracts.timelock, abi: timelockAbi } as const
    for (const name of ['DEFAULT_ADMIN_ROLE', 'PROPOSER_ROLE', 'CANCELLER_ROLE'] as const) {
      const role = await world.client.readContract({ ...timelock, functionName: name })
      const args = [role, deployer.account.address] as const
      const has = await world.client.readContract({ ...timelock, functionName: 'hasRole', args })
      assert.equal(has, false)
    }
  })
})

function changing(abi: Abi): AbiFunction[] {
  return abi.filter(
    (item): item is AbiFunction =>
      item.type === 'function' &&
      item.stateMutability !== 'view' &&
      item.stateMutability !== 'pure',
  )
}

/** The type's zero; a list without elements. */
function empty(parameter: AbiParameter): unknown {
  const { type } = parameter
  const fixed = /^(.*)\[(\d+)\]$/.exec(type)
  if (fixed !== null) {
    const [, of, length] = fixed as unknown as [string, string, string]
    return Array.from({ length: Number(length) }, () => empty({ ...parameter, type: of }))
  }
  if (type.endsWith('[]')) return []
  if (type === 'tuple') {
    const { components } = parameter as AbiParameter & { components: readonly AbiParameter[] }
    return Object.fromEntries(components.map(part => [part.name, empty(part)]))
  }
  if (type === 'bool') return false
  if (type === 'string') return ''
  if (type === 'bytes') return '0x'
  if (type === 'address') return `0x${'00'.repeat(20)}`
  const bytes = /^bytes(\d+)$/.exec(type)
  if (bytes !== null) return `0x${'00'.repeat(Number(bytes[1]))}`
  return 0n
}

interface Attempt {
  world: World
  account: Hex
  to: Hex
  data: Hex
  abi: Abi
}

/** Name of the contract's error; undefined when there was none, or one without a name. */
async function refusalOf({ world, account, to, data, abi }: Attempt): Promise<string | undefined> {
  try {
    await world.client.call({ account, to, data })
    return undefined
  } catch (error) {
    assert.ok(error instanceof BaseError)
    const raw = error.walk(cause => typeof (cause as RawContractError).data === 'string')
    const revert = (raw as { data?: Hex } | null)?.data
    if (revert === undefined || revert === '0x') return undefined
    try {
      return decodeErrorResult({ abi, data: revert }).errorName
    } catch {
      return revert
    }
  }
}
