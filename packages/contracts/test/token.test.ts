import { strict as assert } from 'node:assert'
import { cairnTokenAbi } from '@cairn/contracts'
import { parseEther } from 'viem'
import { openWorld, refusalOf, type World } from './world.ts'

describe('CairnToken', () => {
  let world: World
  before(async () => {
    world = await openWorld()
  })
  after(() => world.anvil.stop())

  const token = () => ({ address: world.contracts.token, abi: cairnTokenAbi }) as const

  it('counts votes by time, once they are delegated', async () => {
    const { client } = world
    const wallet = world.operator(0)
    const { address } = wallet.account
    assert.equal(
      await client.readContract({ ...token(), functionName: 'CLOCK_MODE' }),
      'mode=timestamp',
    )
    const votes = () =>
      client.readContract({ ...token(), functionName: 'getVotes', args: [address] })
    assert.equal(await votes(), 0n)
    await world.mined(
      await wallet.writeContract({ ...token(), functionName: 'delegate', args: [address] }),
    )
    assert.equal(await votes(), parseEther('100000'))
  })

  it('has the distributor as its one minter, named once by the deployer', async () => {
    const { client } = world
    const minter = await client.readContract({ ...token(), functionName: 'minter' })
    assert.equal(minter, world.contracts.distributor)
    const { address } = world.operator(1).account
    const name = (account = world.deployer.account) =>
      client.simulateContract({ ...token(), functionName: 'setMinter', args: [address], account })
    assert.equal(await refusalOf(name(world.operator(1).account)), 'NotDeployer')
    assert.equal(await refusalOf(name()), 'MinterIsSet')
    const mint = client.simulateContract({
      ...token(),
      functionName: 'mint',
      args: [address, 1n],
      account: world.deployer.account,
    })
    assert.equal(await refusalOf(mint), 'NotMinter')
  })
})
