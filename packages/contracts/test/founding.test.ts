/** The deployment of a network on a real chain, step by step. */
import { strict as assert } from 'node:assert'
import {
  type Anvil,
  anvilTransport,
  checkFounded,
  checkFoundingGround,
  deployedAt,
  deploymentCalls,
  FOUNDING_GAS,
  type FoundInit,
  found,
  startAnvil,
  TESTNET_PARAMETERS,
  testAccounts,
  testDeployer,
} from '@cairn/contracts'
import { CairnError, TOKEN } from '@cairn/protocol'
import { createPublicClient, createTestClient, createWalletClient, type Hex } from 'viem'

const OTHERS = testAccounts(8)
const PARAMETERS = { ...TESTNET_PARAMETERS, supply: 8_000n * TOKEN }

describe('the deployment of a network', function () {
  this.timeout(240_000)
  let anvil: Anvil | undefined
  afterEach(() => anvil?.stop())

  async function world(init: Parameters<typeof startAnvil>[0] = {}) {
    anvil = await startAnvil({ genesis: 'empty', blockTime: 0, ...init })
    const transport = anvilTransport(anvil.rpcUrl)
    const client = createPublicClient({ transport, pollingInterval: 20 })
    const { account } = testDeployer()
    await createTestClient({ mode: 'anvil', transport }).setBalance({
      address: account.address,
      value: 10n ** 19n,
    })
    const kept: Hex[] = []
    const founding: FoundInit = {
      client,
      account,
      chainId: anvil.chainId,
      parameters: PARAMETERS,
      grants: OTHERS.map(({ address }) => ({ account: address, amount: 1_000n * TOKEN })),
      nonce: 0,
      signed: [],
      async keep(signed) {
        kept.push(signed)
      },
    }
    return { client, transport, account, kept, founding }
  }

  it('leaves every role where it belongs, for less gas than the account is asked to have', async () => {
    const { client, founding } = await world()
    await checkFoundingGround(founding)
    const { contracts, gasUsed } = await found(founding)
    assert.deepEqual(contracts, deployedAt(founding.account.address, 0))
    assert.ok(gasUsed <= FOUNDING_GAS, `${gasUsed} gas`)
    assert.ok(gasUsed * 2n > FOUNDING_GAS, `${gasUsed} gas: the bound is far off`)
    await checkFounded(client, { ...founding, contracts })
  })

  it('goes on where it ended, whether the last transaction was sent or not', async () => {
    const { client, kept, founding } = await world()
    const ended = new Error('the process ended')
    for (const stop of [3, 14]) {
      const signed = [...kept]
      const keep = async (transaction: Hex) => {
        kept.push(transaction)
        if (kept.length === stop) throw ended
      }
      await assert.rejects(found({ ...founding, signed, keep }), error => error === ended)
    }
    const sent = await client.getTransactionCount({ address: founding.account.address })
    assert.equal(sent, 13)
    // Sent, and then the process ended.
    await client.sendRawTransaction({ serializedTransaction: kept[13] as Hex })
    const { contracts } = await found({ ...founding, signed: [...kept] })
    await checkFounded(client, { ...founding, contracts })
    const all = [...kept]
    await found({ ...founding, signed: all })
    assert.equal(kept.length, all.length, 'nothing is signed twice')
  })

  it('refuses to go on with other settings', async () => {
    const { kept, founding } = await world()
    await found(founding)
    const parameters = { ...PARAMETERS, guardian: OTHERS[0]?.address as Hex }
    await rejects(found({ ...founding, parameters, signed: kept }), 'foundingChanged')
  })

  it('tells that the account sent something else in between', async () => {
    const { client, transport, account, founding } = await world()
    const wallet = createWalletClient({ account, transport })
    const hash = await wallet.sendTransaction({ to: account.address, chain: null })
    await client.waitForTransactionReceipt({ hash })
    await rejects(found(founding), 'nonceTaken')
  })

  it('names each role that is not as it should be', async () => {
    const { client, account, founding, transport } = await world()
    const wallet = createWalletClient({ account, transport })
    // All but the last, by which the deployer gives up what it has.
    for (const call of deploymentCalls(PARAMETERS, account.address, 0).slice(0, -1)) {
      const hash = await wallet.sendTransaction({ ...call, chain: null })
      await client.waitForTransactionReceipt({ hash })
    }
    const contracts = deployedAt(account.address, 0)
    await assert.rejects(checkFounded(client, { ...founding, contracts }), /admin of deployer/)
  })

  it('is not begun without ether, on another chain, or with more or less than the supply', async () => {
    const { founding, account, transport } = await world()
    await rejects(checkFoundingGround({ ...founding, chainId: 1 }), 'wrongChain')
    const less = { ...founding, grants: founding.grants.slice(1) }
    await rejects(checkFoundingGround(less), 'badFounding')
    const test = createTestClient({ mode: 'anvil', transport })
    await test.setBalance({ address: account.address, value: 1n })
    await rejects(checkFoundingGround(founding), 'noFunds')
  })

  it('is not begun on a chain that cannot check the committee’s signatures', async () => {
    const { founding } = await world({ hardfork: 'cancun' })
    await rejects(checkFoundingGround(founding), 'noPrecompiles')
  })
})

async function rejects(attempt: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(attempt, error => error instanceof CairnError && error.code === code)
}
