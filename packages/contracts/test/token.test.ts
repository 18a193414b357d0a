import { strict as assert } from 'node:assert'
import { cairnTokenAbi, TESTNET_PARAMETERS } from '@cairn/contracts'
import { parseEther } from 'viem'
import { openWorld, refusalOf, type World } from './world.ts'

const YEAR = 365 * 86_400

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

  it('lets one minter, named once by the deployer, mint up to the cap of each year', async () => {
    const { client } = world
    const minter = world.operator(1)
    const { address } = minter.account
    const cap = TESTNET_PARAMETERS.yearlyCap
    const mint = (amount: bigint, account = minter.account) =>
      client.simulateContract({
        ...token(),
        functionName: 'mint',
        args: [address, amount],
        account,
      })
    const name = (account = world.deployer.account) =>
      client.simulateContract({ ...token(), functionName: 'setMinter', args: [address], account })
    assert.equal(await refusalOf(name(minter.account)), 'NotDeployer')
    assert.equal(await refusalOf(mint(1n)), 'NotMinter')
    await world.mined(await world.deployer.writeContract((await name()).request))
    assert.equal(await refusalOf(name()), 'MinterIsSet')
    assert.equal(await refusalOf(mint(1n, world.deployer.account)), 'NotMinter')
    assert.equal(await refusalOf(mint(cap + 1n)), 'AboveYearlyCap')
    await world.mined(await minter.writeContract((await mint(cap)).request))
    assert.equal(await refusalOf(mint(1n)), 'AboveYearlyCap')
    await client.increaseTime({ seconds: YEAR })
    await client.mine({ blocks: 1 })
    await mint(cap)
  })
})
