import { strict as assert } from 'node:assert'
import {
  type Anvil,
  anvilTransport,
  type ContractAddresses,
  nodeRegistryAbi,
  startAnvil,
  testAccounts,
  testnetContracts,
} from '@cairn/contracts'
import { deriveKeys, hex, mnemonicOf, NonceChain, TOKEN } from '@cairn/protocol'
import { derive } from '@cairn/testnet'
import { createPublicClient, type PublicClient, parseEventLogs } from 'viem'
import { type RegistrationPlan, registerNodes } from '../src/registration.ts'

const NETWORK = new Uint8Array(32).fill(9)
/** The least that an operator with one node must bond. */
const BOND = 1_100n * TOKEN
const CELL = 0x8a1fb46622dffffn

describe('registration of a testnet’s nodes', () => {
  let anvil: Anvil
  let contracts: ContractAddresses
  let client: PublicClient
  before(async () => {
    anvil = await startAnvil({ genesis: 'testnet', blockTime: 1 })
    contracts = testnetContracts()
    client = createPublicClient({ transport: anvilTransport(anvil.rpcUrl) })
  })
  after(() => anvil?.stop())

  const plan = (place: number, change: Partial<RegistrationPlan> = {}): RegistrationPlan => ({
    keys: deriveKeys(mnemonicOf(derive(5, `node ${place}`))),
    operator: testAccounts(place + 1)[place] as RegistrationPlan['operator'],
    cell: 0n,
    provider: false,
    gateway: false,
    gain: 20,
    ...change,
  })
  const init = (plans: RegistrationPlan[]) => ({
    rpcUrl: anvil.rpcUrl,
    chainId: anvil.chainId,
    contracts,
    network: NETWORK,
    plans,
  })
  async function registered() {
    const logs = await client.getLogs({ address: contracts.registry, fromBlock: 0n })
    return parseEventLogs({ abi: nodeRegistryAbi, logs, eventName: 'Registered' })
  }

  it('gives each node its operator, kinds, cell and nonce chain', async () => {
    const plans = [
      plan(0, { provider: true }),
      plan(1, { gateway: true, cell: CELL }),
      plan(2, { provider: true, gateway: true, cell: CELL }),
    ]
    await registerNodes(init(plans))
    const found = await registered()
    assert.equal(found.length, plans.length)
    for (const { keys, operator, provider, gateway, cell } of plans) {
      const { secret, publicKey: identity } = keys.identity
      const one = found.find(({ args }) => args.registration.identity === `0x${hex(identity)}`)
      assert.ok(one !== undefined)
      assert.equal(one.args.operator.toLowerCase(), operator.address.toLowerCase())
      const { registration } = one.args
      const { end } = new NonceChain({ secret, network: NETWORK, identity })
      assert.deepEqual(
        [registration.kinds, registration.cell, registration.nonceEnd, registration.bond],
        [(provider ? 2 : 0) | (gateway ? 4 : 0), cell, `0x${hex(end)}`, BOND],
      )
      assert.deepEqual([registration.region > 0, registration.gain], [gateway, gateway ? 20 : 0])
    }
  })

  it('says which transaction was refused', async () => {
    const before = (await registered()).length
    await assert.rejects(registerNodes(init([plan(0)])), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'registrationReverted')
      return true
    })
    assert.equal((await registered()).length, before, 'a key is registered once')
  })
})
