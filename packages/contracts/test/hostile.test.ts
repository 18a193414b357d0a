/** What a stranger can hand to the contracts, beyond what each contract's own tests show. */
import { strict as assert } from 'node:assert'
import { deployFunded, signatureWords, submitArguments } from '@cairn/contracts'
import { Checkpoint, checkpointRoot, networkId } from '@cairn/protocol'
import { encodeFunctionData, type Hex, hexToBytes } from 'viem'
import { refusalOf, signVote, startNetwork, worldForEach } from './world.ts'

/** Gas of one transaction by EIP-7825. */
const TRANSACTION_GAS = 2n ** 24n

describe('Checkpoints in hostile hands', function () {
  this.timeout(240_000)
  const world = worldForEach()

  it('refuse a signature that is on the curve and outside the group', async () => {
    const network = await startNetwork(world, 1)
    const args = network.argumentsOf(network.next(network.first))
    const outside = signatureWords(outsideG2())
    assert.equal(
      await network.refusal([args[0], args[1], args[2], args[3], outside]),
      'InvalidPoint',
    )
  })

  it('refuse what was signed for another contract on the same chain', async () => {
    const network = await startNetwork(world, 2)
    const other = await deployFunded({ rpcUrl: world.anvil.rpcUrl, operators: 0 })
    const id = networkId({
      chainId: BigInt(world.anvil.chainId),
      checkpoints: hexToBytes(other.checkpoints),
      genesis: network.genesis,
    })
    const checkpoint = network.next(network.first)
    const vote = { checkpoint, round: 0, network: id }
    const args = submitArguments({
      checkpoint: Checkpoint.serialize(checkpoint),
      round: 0,
      committee: network.tree,
      absent: [],
      signature: signVote(vote, network.secrets),
    })
    assert.equal(await network.refusal(args), 'BadSignature')
  })

  it('refuse the checkpoint of an epoch in the place of another, with its own signature', async () => {
    const network = await startNetwork(world, 2)
    const zero = network.next(network.first)
    const args = network.argumentsOf(zero)
    await network.submit(args)
    assert.equal(await network.refusal(args), 'WrongEpoch')
    const one = { ...zero, epoch: 1n, parent: checkpointRoot(zero) }
    const replayed = [network.argumentsOf(one)[0], ...args.slice(1)] as unknown as typeof args
    assert.equal(await network.refusal(replayed), 'BadSignature')
  })

  it('take 512 members of whom nearly a third is absent in one transaction', async () => {
    const network = await startNetwork(world, 512)
    const absent = Array.from({ length: 160 }, (_, i) => 3 * i)
    const { gasUsed } = await network.submit(
      network.argumentsOf(network.next(network.first), 0, absent),
    )
    assert.ok(gasUsed < TRANSACTION_GAS / 8n, `found ${gasUsed}`)
  })

  it('cost a stranger, and nobody else, what is too long', async () => {
    const network = await startNetwork(world, 2)
    const args = network.argumentsOf(network.next(network.first))
    const many = Array.from({ length: 2_000 }, () => args[2].members)
    const absent = { members: [], proof: many }
    // Without absent members there is nothing to prove, and the rest is not looked at.
    const data = (given: typeof args) =>
      encodeFunctionData({ abi: world.checkpoints.abi, functionName: 'submit', args: given })
    const to = world.contracts.checkpoints
    const account = world.operator(7).account
    const plain = await world.client.estimateGas({ account, to, data: data(args) })
    const padded = data([args[0], args[1], args[2], absent, args[4]])
    const gas = await world.client.estimateGas({ account, to, data: padded })
    assert.ok(gas > plain, 'its sender pays for the bytes')
    const bytes = BigInt((padded.length - 2) / 2)
    assert.ok(gas - plain < 50n * bytes, `found ${gas - plain} for ${bytes} bytes`)
  })

  it('refuse calldata that is cut off, and calls of what is not there', async () => {
    const network = await startNetwork(world, 2)
    const args = network.argumentsOf(network.next(network.first))
    const data = encodeFunctionData({ abi: world.checkpoints.abi, functionName: 'submit', args })
    const to = world.contracts.checkpoints
    for (const cut of [10, 100, 1_000]) {
      const half = data.slice(0, cut) as Hex
      await assert.rejects(world.client.call({ to, data: half }))
    }
    await assert.rejects(world.client.call({ to, data: '0x12345678' }))
    await assert.rejects(world.client.call({ to, data: '0x', value: 1n }))
  })

  it('answer a proof of any length, field and place without a revert', async () => {
    const network = await startNetwork(world, 1)
    await network.submit(network.argumentsOf(network.next(network.first)))
    const leaf: Hex = `0x${'11'.repeat(32)}`
    for (const field of [0, 3, 5, 6, 12, 13, 255]) {
      for (const length of [0, 1, 4, 29, 37, 64, 300]) {
        for (const index of [0n, 2n ** 32n, 2n ** 256n - 1n]) {
          const path = Array.from({ length }, () => leaf)
          const args = [0n, field, leaf, index, path] as const
          const call = { ...world.checkpoints, functionName: 'verify', args } as const
          assert.equal(await world.client.readContract(call), false)
        }
      }
    }
    const past = { ...world.checkpoints, functionName: 'verify', args: [1n, 3, leaf, 0n, []] }
    assert.equal(await refusalOf(world.client.readContract(past as never)), 'EpochNotKept')
  })
})

/** (2, y) is on y^2 = x^3 + 4 + 4i over Fp2, and not of the group's order; as EIP-2537 has it. */
function outsideG2(): Uint8Array {
  const c0 =
    '18c6b864ae17dc9da64203ffefb966306425a7bc6aeb7c75247438372716284a4173830420cd476ba1a365b95bfcec38'
  const c1 =
    '172e93db764a8400a7d5071b6b6f5de0da2f0f4a063119abca014006b7c40a2cfe291a1924e65db0d6d0fcfbf3bf3d5c'
  return hexToBytes(`0x${['2', '0', c0, c1].map(part => part.padStart(128, '0')).join('')}`)
}
