/** What founding sends, and what it reads back from a real chain. */
import { strict as assert } from 'node:assert'
import {
  type Anvil,
  anvilTransport,
  deployedAt,
  deploymentCalls,
  type FoundingPlan,
  foundingCalls,
  GRANTS_MAX,
  readFoundingFaults,
  readFoundingGround,
  startAnvil,
  TESTNET_PARAMETERS,
  testAccounts,
  testDeployer,
} from '@cairn/contracts'
import { CairnError, TOKEN } from '@cairn/protocol'
import { createPublicClient, createTestClient, createWalletClient, type Hex } from 'viem'

const { account } = testDeployer()
const OTHERS = testAccounts(8)
const PLAN: FoundingPlan = {
  deployer: account.address,
  parameters: { ...TESTNET_PARAMETERS, supply: 8_000n * TOKEN },
  grants: OTHERS.map(({ address }) => ({ account: address, amount: 1_000n * TOKEN })),
}

describe('what founding a network sends', () => {
  it('gives everybody else a transfer, after the contracts and the roles', () => {
    const calls = foundingCalls(PLAN, 5)
    const bare = deploymentCalls(PLAN.parameters, PLAN.deployer, 5)
    assert.deepEqual(calls.slice(0, bare.length), bare)
    const { token } = deployedAt(PLAN.deployer, 5)
    assert.deepEqual([...new Set(calls.slice(bare.length).map(({ to }) => to))], [token])
    const own = [{ account: PLAN.deployer.toLowerCase() as Hex, amount: 8_000n * TOKEN }]
    assert.equal(foundingCalls({ ...PLAN, grants: own }, 5).length, bare.length)
  })

  it('is refused with more or less than the supply, or to more than fit', () => {
    refused({ ...PLAN, grants: PLAN.grants.slice(1) }, /not the supply/)
    const grants = Array.from({ length: GRANTS_MAX + 1 }, () => PLAN.grants[0])
    refused({ ...PLAN, grants: grants as FoundingPlan['grants'] }, /at most 64/)
  })

  it('is refused where the guardian is who deploys, since that one keeps no role', () => {
    const guardian = PLAN.deployer.toLowerCase() as Hex
    refused({ ...PLAN, parameters: { ...PLAN.parameters, guardian } }, /guardian/)
  })
})

describe('what founding a network reads of the chain', function () {
  this.timeout(120_000)
  let anvil: Anvil | undefined
  afterEach(() => anvil?.stop())

  async function world(init: Parameters<typeof startAnvil>[0] = {}) {
    anvil = await startAnvil({ genesis: 'empty', blockTime: 0, ...init })
    const transport = anvilTransport(anvil.rpcUrl)
    const client = createPublicClient({ transport, pollingInterval: 20 })
    await createTestClient({ mode: 'anvil', transport }).setBalance({
      address: account.address,
      value: 10n ** 19n,
    })
    return { client, wallet: createWalletClient({ account, transport }) }
  }

  it('names each contract that is not there, and each role that is not as it should be', async () => {
    const { client, wallet } = await world()
    const contracts = deployedAt(account.address, 0)
    const none = await readFoundingFaults(client, PLAN, contracts)
    assert.deepEqual(none.length, Object.keys(contracts).length)
    // All but the last, by which the deployer gives up what it has.
    for (const call of deploymentCalls(PLAN.parameters, PLAN.deployer, 0).slice(0, -1)) {
      const hash = await wallet.sendTransaction({ ...call, chain: null })
      await client.waitForTransactionReceipt({ hash })
    }
    const faults = (plan: FoundingPlan) => readFoundingFaults(client, plan, contracts)
    assert.deepEqual(await faults(PLAN), ['admin of deployer: false'])
    const guardian = OTHERS[0]?.address as Hex
    const [parameter, ...rest] = PLAN.parameters.parameters
    assert.ok(parameter !== undefined)
    const other = { ...parameter, value: parameter.value + 1n }
    const parameters = { ...PLAN.parameters, guardian, parameters: [other, ...rest] }
    assert.deepEqual((await faults({ ...PLAN, parameters })).slice(1), [
      'guardian of guardian: true',
      `${parameter.name} is ${other.value}`,
    ])
  })

  it('tells whether the committee’s signatures can be checked there', async () => {
    for (const [hardfork, pairs] of [
      ['osaka', true],
      ['cancun', false],
    ] as const) {
      const { client } = await world({ hardfork })
      const ground = await readFoundingGround(client, account.address)
      assert.deepEqual([ground.pairs, ground.balance, ground.nonce], [pairs, 10n ** 19n, 0])
      await anvil?.stop()
    }
  })
})

function refused(plan: FoundingPlan, text: RegExp): void {
  assert.throws(
    () => foundingCalls(plan, 0),
    error =>
      error instanceof CairnError && error.code === 'badFounding' && text.test(error.message),
  )
}
