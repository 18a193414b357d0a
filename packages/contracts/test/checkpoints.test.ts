import { strict as assert } from 'node:assert'
import {
  checkpointsAbi,
  signatureWords,
  submitArguments,
  keyWords as words4,
} from '@cairn/contracts'
import {
  bls,
  Checkpoint,
  checkInSigningRoot,
  checkpointRoot,
  GENESIS_EPOCH,
  networkId,
  sha256,
} from '@cairn/protocol'
import { bytesToHex, type Hex, hexToBytes, parseEventLogs } from 'viem'
import {
  committeeOf,
  emptyCheckpoint,
  refusalOf,
  signVote,
  startNetwork,
  worldForEach,
} from './world.ts'

const ORDER =
  0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn
const FULL_GAS = 235_000n
const MOST_GAS = 270_000n

describe('Checkpoints', () => {
  const world = worldForEach()

  describe('start', () => {
    const start = (
      genesis: bigint,
      word: Uint8Array,
      checkpoint: Uint8Array,
      account = world.deployer.account,
    ) =>
      refusalOf(
        world.client.simulateContract({
          ...world.checkpoints,
          functionName: 'start',
          args: [genesis, bytesToHex(word), bytesToHex(checkpoint)],
          account,
        }),
      )
    const word = sha256(Uint8Array.of(1))
    const first = emptyCheckpoint({ epoch: GENESIS_EPOCH, nextCommittee: word })
    const later = 2n ** 40n

    it('fixes the network id that the protocol computes', async () => {
      const network = await startNetwork(world, 4)
      const found = await world.client.readContract({
        ...world.checkpoints,
        functionName: 'networkId',
        args: [network.genesis],
      })
      assert.equal(found, bytesToHex(network.network))
    })

    it('has nodes sign a check-in as the protocol does', async () => {
      const network = await startNetwork(world, 4)
      for (const data of [
        { epoch: 0n, window: 1n },
        { epoch: 2n ** 40n + 7n, window: 2n ** 33n },
      ]) {
        const found = await world.client.readContract({
          ...world.checkpoints,
          functionName: 'checkInSigningRoot',
          args: [network.genesis, data.epoch, data.window],
        })
        assert.equal(found, bytesToHex(checkInSigningRoot(data, network.network)))
      }
    })

    it('publishes the genesis checkpoint and keeps its root', async () => {
      const { first: genesisCheckpoint, genesis } = await startNetwork(world, 4)
      const [log] = await world.client.getContractEvents({
        ...world.checkpoints,
        eventName: 'Started',
        fromBlock: 0n,
      })
      assert.equal(log?.args.genesis, genesis)
      assert.equal(log?.args.checkpoint, bytesToHex(Checkpoint.serialize(genesisCheckpoint)))
      const root = await world.client.readContract({
        ...world.checkpoints,
        functionName: 'rootOf',
        args: [GENESIS_EPOCH],
      })
      assert.equal(root, bytesToHex(checkpointRoot(genesisCheckpoint)))
    })

    it('is for the starter, once, before genesis', async () => {
      const bytes = Checkpoint.serialize(first)
      const stranger = world.operator(0).account
      assert.equal(await start(later, word, bytes, stranger), 'NotStarter')
      assert.equal(await start(1n, word, bytes), 'GenesisPassed')
      await startNetwork(world, 1)
      assert.equal(await start(later, word, bytes), 'AlreadyStarted')
    })

    it('refuses a checkpoint that is not a genesis checkpoint for this committee', async () => {
      const changed = (change: Partial<Checkpoint>) => Checkpoint.serialize({ ...first, ...change })
      assert.equal(await start(later, word, changed({ epoch: 0n })), 'WrongEpoch')
      assert.equal(await start(later, word, changed({ parent: word })), 'WrongParent')
      assert.equal(await start(later, sha256(word), changed({})), 'WrongCommittee')
      assert.equal(await start(later, word, changed({}).subarray(1)), 'WrongLength')
    })

    it('comes before any submission', async () => {
      const { tree, secrets } = committeeOf(1)
      const checkpoint = emptyCheckpoint({ nextCommittee: tree.word })
      const network = new Uint8Array(32)
      const signature = signVote({ checkpoint, round: 0, network }, secrets)
      const args = submitArguments({
        checkpoint: Checkpoint.serialize(checkpoint),
        round: 0,
        committee: tree,
        absent: [],
        signature,
      })
      const call = world.client.simulateContract({
        ...world.checkpoints,
        functionName: 'submit',
        args,
        account: world.operator(0).account,
      })
      assert.equal(await refusalOf(call), 'NotStarted')
    })
  })

  describe('submit', () => {
    it('accepts one checkpoint after the other from anyone, and publishes them', async () => {
      const network = await startNetwork(world, 4)
      const zero = network.next(network.first)
      const one = network.next(zero)
      await network.submit(network.argumentsOf(zero, 0))
      const receipt = await network.submit(network.argumentsOf(one, 3))
      const [log] = parseEventLogs({
        abi: checkpointsAbi,
        eventName: 'Accepted',
        logs: receipt.logs,
      })
      assert.deepEqual(log?.args, {
        epoch: 1n,
        root: bytesToHex(checkpointRoot(one)),
        round: 3n,
        submitter: world.operator(7).account.address,
        checkpoint: bytesToHex(Checkpoint.serialize(one)),
      })
    })

    for (const { members, absent, most } of [
      { members: 1, absent: [], most: FULL_GAS },
      { members: 16, absent: [], most: FULL_GAS },
      { members: 64, absent: [], most: FULL_GAS },
      { members: 64, absent: [0, 10, 21, 32, 42, 53], most: MOST_GAS },
    ]) {
      const missing = absent.length
      it(`costs at most ${most} gas with ${missing} of ${members} absent`, async () => {
        const network = await startNetwork(world, members)
        const checkpoint = network.next(network.first)
        const { gasUsed } = await network.submit(network.argumentsOf(checkpoint, 0, absent))
        assert.ok(gasUsed <= most, `found ${gasUsed}`)
      })
    }

    it('accepts any absent members while more than two thirds of the weight signed', async () => {
      const network = await startNetwork(world, 7)
      for (const absent of [[0], [6], [0, 1], [1, 2], [3, 6], [0, 6]]) {
        const checkpoint = network.next(network.first)
        const id = await world.client.snapshot()
        await network.submit(network.argumentsOf(checkpoint, 0, absent))
        await world.client.revert({ id })
      }
      const checkpoint = network.next(network.first)
      const args = network.argumentsOf(checkpoint, 0, [4, 5, 6])
      assert.equal(await network.refusal(args), 'NoQuorum')
    })

    it('refuses exactly two thirds', async () => {
      // Weights 1000, 1001, 1002: without the middle one 2002 of 3003 signed.
      const network = await startNetwork(world, 3)
      const checkpoint = network.next(network.first)
      assert.equal(await network.refusal(network.argumentsOf(checkpoint, 0, [1])), 'NoQuorum')
    })

    it('refuses when everybody is absent', async () => {
      const network = await startNetwork(world, 2)
      const args = network.argumentsOf(network.next(network.first))
      const both = network.argumentsOf(network.next(network.first), 0, [1])
      const absent = { members: [...allMembers(network.tree)], proof: [] }
      const refused = await network.refusal([args[0], args[1], both[2], absent, args[4]])
      assert.equal(refused, 'NoQuorum')
    })

    it('hands over to the committee that the last checkpoint names', async () => {
      const network = await startNetwork(world, 2)
      const other = committeeOf(5).tree
      const zero = network.next(network.first, { nextCommittee: other.word })
      await network.submit(network.argumentsOf(zero))
      const one = network.next(zero)
      assert.equal(await network.refusal(network.argumentsOf(one)), 'WrongCommittee')
    })

    it('refuses another epoch than the next', async () => {
      const network = await startNetwork(world, 2)
      for (const epoch of [1n, GENESIS_EPOCH]) {
        const checkpoint = network.next(network.first, { epoch })
        assert.equal(await network.refusal(network.argumentsOf(checkpoint)), 'WrongEpoch')
      }
      const zero = network.next(network.first)
      await network.submit(network.argumentsOf(zero))
      assert.equal(await network.refusal(network.argumentsOf(zero)), 'WrongEpoch')
    })

    it('refuses another parent than the last accepted checkpoint', async () => {
      const network = await startNetwork(world, 2)
      const checkpoint = network.next(network.first, { parent: sha256(Uint8Array.of(9)) })
      assert.equal(await network.refusal(network.argumentsOf(checkpoint)), 'WrongParent')
    })

    it('refuses a signature for another network, round or checkpoint', async () => {
      const network = await startNetwork(world, 4)
      const checkpoint = network.next(network.first)
      const right = network.argumentsOf(checkpoint)
      const elsewhere = networkId({
        chainId: 1n,
        checkpoints: hexToBytes(world.contracts.checkpoints),
        genesis: network.genesis,
      })
      const wrong = [
        { checkpoint, round: 0, network: elsewhere },
        { checkpoint, round: 1, network: network.network },
        { checkpoint: { ...checkpoint, spentTotal: 1n }, round: 0, network: network.network },
      ]
      for (const vote of wrong) {
        const signature = words(signVote(vote, network.secrets))
        const args = [...right.slice(0, 4), signature] as unknown as typeof right
        assert.equal(await network.refusal(args), 'BadSignature')
      }
    })

    it('refuses the signature of fewer or more members than it is said to be of', async () => {
      const network = await startNetwork(world, 4)
      const checkpoint = network.next(network.first)
      const all = network.argumentsOf(checkpoint)
      const some = network.argumentsOf(checkpoint, 0, [2])
      assert.equal(await network.refusal([all[0], all[1], all[2], all[3], some[4]]), 'BadSignature')
      assert.equal(await network.refusal([all[0], all[1], all[2], some[3], all[4]]), 'BadSignature')
    })

    it('refuses the negated signature and one of infinity', async () => {
      const network = await startNetwork(world, 4)
      const args = network.argumentsOf(network.next(network.first))
      const zero: Hex = `0x${'00'.repeat(32)}`
      const none = args[4].map(() => zero) as unknown as (typeof args)[4]
      assert.equal(await network.refusal([args[0], args[1], args[2], args[3], none]), 'Infinity')
      const negated = words(negateEvm(args[4]))
      assert.equal(
        await network.refusal([args[0], args[1], args[2], args[3], negated]),
        'BadSignature',
      )
    })

    it('refuses a signature that is no point, or no canonical one', async () => {
      const network = await startNetwork(world, 4)
      const args = network.argumentsOf(network.next(network.first))
      const [first, ...rest] = args[4]
      const last = rest.pop() as Hex
      const shifted = `0x${(BigInt(last) ^ 1n).toString(16).padStart(64, '0')}` as Hex
      const offCurve = [first, ...rest, shifted] as unknown as (typeof args)[4]
      const refused = await network.refusal([args[0], args[1], args[2], args[3], offCurve])
      assert.equal(refused, 'InvalidPoint')
      const above = BigInt(`${args[4][0]}${args[4][1].slice(2)}`) + ORDER
      const hex = above.toString(16).padStart(128, '0')
      const notCanonical = [`0x${hex.slice(0, 64)}`, `0x${hex.slice(64)}`, ...args[4].slice(2)]
      assert.equal(
        await network.refusal([
          args[0],
          args[1],
          args[2],
          args[3],
          notCanonical as unknown as (typeof args)[4],
        ]),
        'InvalidPoint',
      )
    })

    it('refuses truncated, extended and changed checkpoint bytes', async () => {
      const network = await startNetwork(world, 2)
      const args = network.argumentsOf(network.next(network.first))
      const [bytes, ...rest] = args
      assert.equal(await network.refusal([bytes.slice(0, -2) as Hex, ...rest]), 'WrongLength')
      assert.equal(await network.refusal([`${bytes}00`, ...rest]), 'WrongLength')
      assert.equal(await network.refusal(['0x', ...rest]), 'WrongLength')
      const last = bytes.endsWith('0') ? '1' : '0'
      const changed = `${bytes.slice(0, -1)}${last}` as Hex
      assert.equal(await network.refusal([changed, ...rest]), 'BadSignature')
    })

    it('refuses any change of the committee', async () => {
      const network = await startNetwork(world, 4)
      const args = network.argumentsOf(network.next(network.first))
      const other = committeeOf(5).tree
      const key = words4(other.key)
      for (const change of [{ count: 3n }, { weight: 1n }, { key }, { members: args[2].key[1] }]) {
        const committee = { ...args[2], ...change }
        const refused = await network.refusal([args[0], args[1], committee, args[3], args[4]])
        assert.equal(refused, 'WrongCommittee')
      }
    })

    it('refuses absent members out of order, repeated, or past the end', async () => {
      const network = await startNetwork(world, 7)
      const args = network.argumentsOf(network.next(network.first), 0, [1, 4])
      const [one, four] = args[3].members
      assert.ok(one !== undefined && four !== undefined)
      const past = { ...four, index: 7n }
      for (const members of [
        [four, one],
        [one, one],
        [one, past],
      ]) {
        const absent = { ...args[3], members }
        assert.equal(
          await network.refusal([args[0], args[1], args[2], absent, args[4]]),
          'AbsentOrder',
        )
      }
    })

    it('refuses absent members that the committee does not have', async () => {
      const network = await startNetwork(world, 7)
      const args = network.argumentsOf(network.next(network.first), 0, [1, 4])
      const [one, four] = args[3].members
      assert.ok(one !== undefined && four !== undefined)
      const proof = args[3].proof
      const wrong = [
        { members: [{ ...one, weight: 0n }, four], proof },
        { members: [{ ...one, key: four.key }, four], proof },
        { members: [{ ...one, index: 0n }, four], proof },
        { members: [one, four], proof: proof.slice(1) },
        { members: [one, four], proof: [...proof, proof[0] as Hex] },
        { members: [one, four], proof: [...proof].reverse() },
      ]
      for (const absent of wrong) {
        const refused = await network.refusal([args[0], args[1], args[2], absent, args[4]])
        assert.equal(refused, 'AbsentProof')
      }
    })
  })

  it('keeps nothing before its start', async () => {
    const rootOf = (epoch: bigint) =>
      world.client.readContract({ ...world.checkpoints, functionName: 'rootOf', args: [epoch] })
    assert.equal(await refusalOf(rootOf(0n)), 'EpochNotKept')
    assert.equal(await refusalOf(rootOf(GENESIS_EPOCH)), 'EpochNotKept')
  })
})

function* allMembers(tree: ReturnType<typeof committeeOf>['tree']) {
  for (const [index, { key, weight }] of tree.members.entries()) {
    yield { index: BigInt(index), key: words4(bls.keyToEvm(key)), weight: BigInt(weight) }
  }
}

function words(signature: Uint8Array) {
  return signatureWords(signature.length === 96 ? bls.signatureToEvm(signature) : signature)
}

/** The same point with -y, in the layout of EIP-2537. */
function negateEvm(signature: readonly Hex[]): Uint8Array {
  const y = (first: number) => {
    const value = BigInt(`${signature[first]}${signature[first + 1]?.slice(2)}`)
    return (ORDER - value).toString(16).padStart(128, '0')
  }
  const x = signature.slice(0, 4).map(word => word.slice(2))
  return hexToBytes(`0x${x.join('')}${y(4)}${y(6)}`)
}
