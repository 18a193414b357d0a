/** Penalties of the protocol's own trees and votes of its own keys, taken by `Slasher`. */
import { strict as assert } from 'node:assert'
import { keyWords, nodeRegistryAbi, signatureWords, slasherAbi } from '@cairn/contracts'
import {
  bls,
  inclusionProof,
  ListDepth,
  listRoot,
  type PenaltyRecord,
  penaltyLeaves,
  sha256,
  voteSigningRoot,
} from '@cairn/protocol'
import { bytesToHex, parseEther, parseEventLogs } from 'viem'
import { nodeSecrets, refusalOf, register, startNetwork, worldForEach } from './world.ts'

describe('Slasher', () => {
  const world = worldForEach()
  beforeEach(async () => {
    for (let i = 0; i < 3; i++) await register(world, i, { bond: parseEther('5000') })
  })

  const slasher = () => ({ address: world.contracts.slasher, abi: slasherAbi }) as const

  it('takes what the penalties of a checkpoint say, once, and of nothing else', async () => {
    const network = await startNetwork(world, 1)
    const penalties: PenaltyRecord[] = [0, 2].map(node => ({
      node,
      amount: parseEther('100') + BigInt(node),
      evidence: sha256(Uint8Array.of(node)),
    }))
    const leaves = penaltyLeaves(penalties)
    const checkpoint = network.next(network.first, {
      penalties: listRoot(leaves, ListDepth.penalties),
    })
    await network.submit(network.argumentsOf(checkpoint))
    const { path } = inclusionProof({ checkpoint, field: 'penalties', leaves, position: 1 })
    const nodes = path.map(node => bytesToHex(node))
    const leaf = (change = {}) => ({
      node: 2,
      amount: parseEther('100') + 2n,
      evidence: bytesToHex(sha256(Uint8Array.of(2))),
      ...change,
    })
    const penalise = (of: ReturnType<typeof leaf>, index = 1n) =>
      ({
        ...slasher(),
        functionName: 'penalise',
        args: [0n, of, index, nodes],
        account: world.operator(5).account,
      }) as const
    const refusal = (call: ReturnType<typeof penalise>) =>
      refusalOf(world.client.simulateContract(call))
    assert.equal(await refusal(penalise(leaf({ amount: parseEther('101') }))), 'NotInPenalties')
    assert.equal(await refusal(penalise(leaf({ node: 1 }))), 'NotInPenalties')
    assert.equal(await refusal(penalise(leaf(), 0n)), 'NotInPenalties')
    const receipt = await world.mined(await world.operator(5).writeContract(penalise(leaf())))
    const [log] = parseEventLogs({
      abi: nodeRegistryAbi,
      eventName: 'BondChanged',
      logs: receipt.logs,
    })
    assert.deepEqual(log?.args, { index: 2, bond: parseEther('4900') - 2n })
    assert.equal(await refusal(penalise(leaf())), 'AlreadyPunished')
  })

  it('takes what is left of a bond that is less than the penalty', async () => {
    await register(world, 3, { bond: parseEther('100') })
    const network = await startNetwork(world, 1)
    const evidence = sha256(Uint8Array.of(3))
    const leaves = penaltyLeaves([{ node: 3, amount: parseEther('150'), evidence }])
    const penalties = listRoot(leaves, ListDepth.penalties)
    const checkpoint = network.next(network.first, { penalties })
    await network.submit(network.argumentsOf(checkpoint))
    const { path } = inclusionProof({ checkpoint, field: 'penalties', leaves, position: 0 })
    const leaf = { node: 3, amount: parseEther('150'), evidence: bytesToHex(evidence) }
    const receipt = await world.mined(
      await world.operator(5).writeContract({
        ...slasher(),
        functionName: 'penalise',
        args: [0n, leaf, 0n, path.map(node => bytesToHex(node))],
      }),
    )
    const [log] = parseEventLogs({ abi: slasherAbi, eventName: 'Slashed', logs: receipt.logs })
    assert.equal(log?.args.amount, parseEther('100'))
    const [changed] = parseEventLogs({
      abi: nodeRegistryAbi,
      eventName: 'BondChanged',
      logs: receipt.logs,
    })
    assert.deepEqual(changed?.args, { index: 3, bond: 0n })
  })

  it('takes of who signed two checkpoints of one round, as a node signs them', async () => {
    const network = await startNetwork(world, 1)
    const { voting } = nodeSecrets(1)
    const vote = (label: number, round = 4n) => {
      const checkpoint = sha256(Uint8Array.of(label))
      const root = voteSigningRoot({ epoch: 9n, round, checkpoint }, network.network)
      return {
        checkpoint: bytesToHex(checkpoint),
        signature: signatureWords(bls.signatureToEvm(bls.sign(root, voting))),
      }
    }
    const proof = (votes: [ReturnType<typeof vote>, ReturnType<typeof vote>]) =>
      ({
        ...slasher(),
        functionName: 'doubleVote',
        args: [1, keyWords(bls.keyToEvm(bls.publicKey(voting))), 9n, 4n, votes],
        account: world.operator(5).account,
      }) as const
    // Two roots in two rounds are no offence: an epoch is voted again where no quorum was found.
    const later = world.client.simulateContract(proof([vote(1), vote(2, 5n)]))
    assert.equal(await refusalOf(later), 'BadSignature')
    const same = world.client.simulateContract(proof([vote(1), vote(1)]))
    assert.equal(await refusalOf(same), 'SameVote')
    const receipt = await world.mined(
      await world.operator(5).writeContract(proof([vote(1), vote(2)])),
    )
    const [log] = parseEventLogs({ abi: slasherAbi, eventName: 'Slashed', logs: receipt.logs })
    // A tenth of the bond is 500; all nodes together lose 300 of 15,000 at most.
    assert.equal(log?.args.amount, parseEther('300'))
    assert.equal(log?.args.epoch, 10n)
  })
})
