/** Solidity and TypeScript on the same random inputs. */
import { strict as assert } from 'node:assert'
import { keyOfWords, keyWords, PayoutClaims, slasherAbi, submitArguments } from '@cairn/contracts'
import {
  bls,
  Checkpoint,
  CheckpointField,
  COUNTED_KINDS,
  COUNTED_TYPES,
  checkInSigningRoot,
  checkpointFieldProof,
  checkpointRoot,
  inclusionIndex,
  inclusionProof,
  ListDepth,
  type ListField,
  listRoot,
  networkId,
  Payout,
  Penalty,
  sha256,
  verifyPath,
  voteSigningRoot,
} from '@cairn/protocol'
import fc from 'fast-check'
import { cellToParent, getRes0Cells, isValidCell, latLngToCell } from 'h3-js'
import { bytesToHex, type Hex, hexToBytes } from 'viem'
import { compileHarness } from './harness.ts'
import {
  committeeOf,
  emptyCheckpoint,
  nodeSecrets,
  openWorld,
  startNetwork,
  type World,
} from './world.ts'

/** Calls to the chain per property; each is several random values wide. */
const RUNS = 25

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const u128 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n })
const counts = (n: number) => fc.array(u32, { minLength: n, maxLength: n })

const anyCheckpoint: fc.Arbitrary<Checkpoint> = fc.record({
  epoch: u64,
  base: fc.record({ number: u64, hash: bytes32 }),
  parent: bytes32,
  messages: bytes32,
  state: bytes32,
  payouts: bytes32,
  penalties: bytes32,
  deals: bytes32,
  counts: fc.record({
    messages: counts(COUNTED_TYPES),
    verdicts: counts(3 * COUNTED_KINDS),
  }),
  earnedTotal: u128,
  spentTotal: u128,
  nextCommittee: bytes32,
  rulesVersion: u32,
})

describe('Solidity and TypeScript agree', () => {
  let world: World
  let address: Hex
  const { abi, bytecode } = compileHarness()

  before(async () => {
    world = await openWorld()
    const hash = await world.operator(0).deployContract({ abi, bytecode })
    const { contractAddress } = await world.mined(hash)
    assert.ok(contractAddress)
    address = contractAddress
  })
  after(() => world.anvil.stop())

  const call = (functionName: string, ...args: unknown[]) =>
    world.client.readContract({ address, abi, functionName, args })

  it('on the root of any checkpoint', async () => {
    await fc.assert(
      fc.asyncProperty(anyCheckpoint, async checkpoint => {
        const root = await call('hashTreeRoot', bytesToHex(Checkpoint.serialize(checkpoint)))
        assert.equal(root, bytesToHex(checkpointRoot(checkpoint)))
      }),
      { numRuns: 4 * RUNS },
    )
  })

  it('on the point that a message hashes to', async () => {
    // With the secret 1 a signature is the hash itself.
    const one = Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? 1 : 0))
    await fc.assert(
      fc.asyncProperty(bytes32, async message => {
        const words = (await call('hashToG2', bytesToHex(message))) as Hex[]
        const expected = bls.signatureToEvm(bls.sign(message, one))
        assert.equal(words.map(word => word.slice(2)).join(''), bytesToHex(expected).slice(2))
      }),
      { numRuns: RUNS },
    )
  })

  it('on the compressed form of any key', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(65_535), async number => {
        const key = bls.publicKey(nodeSecrets(number).voting)
        const words = keyWords(bls.keyToEvm(key))
        assert.equal(await call('compress', words), bytesToHex(key))
        assert.deepEqual(keyOfWords(words), key)
      }),
      { numRuns: RUNS },
    )
  })

  it('on the word of any committee, and on who of it signed', async () => {
    const subset = fc.tuple(
      fc.integer({ min: 1, max: 33 }),
      fc.array(fc.boolean(), { minLength: 33, maxLength: 33 }),
    )
    await fc.assert(
      fc.asyncProperty(subset, async ([n, missing]) => {
        const { tree } = committeeOf(n)
        const absent = [...tree.members.keys()].filter(i => missing[i] && i !== n - 1)
        const args = submitArguments({
          checkpoint: new Uint8Array(468),
          round: 0,
          committee: tree,
          absent,
          signature: bls.sign(new Uint8Array(32), nodeSecrets(0).voting),
        })
        assert.equal(await call('word', args[2]), bytesToHex(tree.word))
        const [key, weight] = (await call('present', args[2], args[3])) as [Hex[], bigint]
        const present = tree.members.filter((_, i) => !absent.includes(i))
        assert.equal(weight, BigInt(present.reduce((sum, member) => sum + member.weight, 0)))
        assert.deepEqual(
          key,
          keyWords(bls.keyToEvm(bls.aggregateKeys(present.map(member => member.key)))),
        )
      }),
      { numRuns: RUNS },
    )
  })

  it('on the cells there are, and on the cells that hold them', async () => {
    const place = fc.tuple(
      fc.double({ min: -90, max: 90, noNaN: true }),
      fc.double({ min: -180, max: 180, noNaN: true }),
      fc.integer({ min: 0, max: 15 }),
      fc.integer({ min: 0, max: 15 }),
    )
    await fc.assert(
      fc.asyncProperty(place, async ([latitude, longitude, resolution, other]) => {
        const cell = latLngToCell(latitude, longitude, resolution)
        const wanted = Math.min(resolution, other)
        assert.equal(await call('isCell', cellOf(cell)), true)
        assert.equal(
          await call('parent', cellOf(cell), BigInt(wanted)),
          cellOf(cellToParent(cell, wanted)),
        )
      }),
      { numRuns: 2 * RUNS },
    )
  })

  it('on which words are cells, pentagons and deleted sequences among them', async () => {
    const base = fc.constantFrom(...getRes0Cells())
    // Digits of a base cell changed, and any bits.
    const word = fc.oneof(
      fc
        .tuple(base, fc.integer({ min: 0, max: 15 }), fc.bigInt({ min: 0n, max: 2n ** 45n - 1n }))
        .map(([cell, resolution, digits]) => {
          const unused = 2n ** BigInt(3 * (15 - resolution)) - 1n
          const head = cellOf(cell) & ~(2n ** 45n - 1n) & ~(15n << 52n)
          return head | (BigInt(resolution) << 52n) | digits | unused
        }),
      fc
        .tuple(base, fc.integer({ min: 0, max: 63 }))
        .map(([cell, bit]) => cellOf(cell) ^ (1n << BigInt(bit))),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    )
    let cells = 0
    await fc.assert(
      fc.asyncProperty(word, async cell => {
        const expected = isValidCell(cell.toString(16).padStart(15, '0'))
        if (expected) cells++
        assert.equal(await call('isCell', cell), expected, cell.toString(16))
      }),
      { numRuns: 10 * RUNS },
    )
    assert.ok(cells > 0)
  })

  it('on payouts: leaves, the way to the trunk, and the root of the list', async () => {
    const lists = fc.uniqueArray(
      fc.record({
        account: fc.uint8Array({ minLength: 20, maxLength: 20 }),
        earned: u128,
        spent: u128,
      }),
      { minLength: 1, maxLength: 40, selector: ({ account }) => bytesToHex(account) },
    )
    await fc.assert(
      fc.asyncProperty(lists, fc.nat(), async (list, pick) => {
        const payouts = list.toSorted((a, b) =>
          bytesToHex(a.account) < bytesToHex(b.account) ? -1 : 1,
        )
        const leaves = payouts.map(payout => Payout.hashTreeRoot(payout))
        const checkpoint = emptyCheckpoint({
          epoch: 7n,
          payouts: listRoot(leaves, ListDepth.payouts),
        })
        const claims = new PayoutClaims({ checkpoint, payouts })
        const [, trunk, length] = claims.fund()
        assert.equal(await call('payoutsRoot', trunk, length), bytesToHex(checkpoint.payouts))
        const place = pick % payouts.length
        const claim = claims.claim((payouts[place] as Payout).account)
        assert.ok(claim !== undefined)
        const [epoch, payout, path] = claim
        assert.equal(epoch, 7n)
        assert.equal(await call('payoutLeaf', payout), bytesToHex(leaves[place] as Uint8Array))
        const leaf = bytesToHex(leaves[place] as Uint8Array)
        assert.equal(await call('climb', leaf, BigInt(place), path), trunk)
      }),
      { numRuns: RUNS },
    )
  })

  it('on what stands in the penalties, and on what a vote and a check-in sign', async () => {
    const penalty = fc.record({ node: u32, amount: u128, evidence: bytes32 })
    const signed = fc.record({ epoch: u64, round: u64, checkpoint: bytes32, genesis: u64 })
    await fc.assert(
      fc.asyncProperty(penalty, signed, async ({ node, amount, evidence }, vote) => {
        const leaf = await world.client.readContract({
          address: world.contracts.slasher,
          abi: slasherAbi,
          functionName: 'leafRoot',
          args: [{ node, amount, evidence: bytesToHex(evidence) }],
        })
        assert.equal(leaf, bytesToHex(Penalty.hashTreeRoot({ node, amount, evidence })))
        const { epoch, round, checkpoint, genesis } = vote
        const network = networkId({
          chainId: BigInt(world.anvil.chainId),
          checkpoints: hexToBytes(world.contracts.checkpoints),
          genesis,
        })
        const read = (functionName: string, ...args: unknown[]) =>
          world.client.readContract({ ...world.checkpoints, functionName, args } as never)
        assert.equal(await read('networkId', genesis), bytesToHex(network))
        assert.equal(
          await read('voteSigningRoot', genesis, epoch, round, bytesToHex(checkpoint)),
          bytesToHex(voteSigningRoot({ epoch, round, checkpoint }, network)),
        )
        assert.equal(
          await read('checkInSigningRoot', genesis, epoch, round),
          bytesToHex(checkInSigningRoot({ epoch, window: round }, network)),
        )
      }),
      { numRuns: RUNS },
    )
  })

  it('on what a checkpoint commits to', async () => {
    const network = await startNetwork(world, 1)
    const lists: Record<ListField, Uint8Array[]> = {
      messages: leaves(5, 1),
      payouts: leaves(1, 2),
      penalties: leaves(8, 3),
      deals: leaves(3, 4),
    }
    const roots = Object.fromEntries(
      Object.entries(lists).map(([field, list]) => [
        field,
        listRoot(list, ListDepth[field as ListField]),
      ]),
    )
    const checkpoint = network.next(network.first, roots)
    await network.submit(network.argumentsOf(checkpoint))
    const verify = (field: number, leaf: Uint8Array, index: number, path: readonly Uint8Array[]) =>
      world.client.readContract({
        ...world.checkpoints,
        functionName: 'verify',
        args: [0n, field, bytesToHex(leaf), BigInt(index), path.map(node => bytesToHex(node))],
      })
    for (const [name, list] of Object.entries(lists)) {
      const field = name as ListField
      const code = CheckpointField[field]
      for (const [position, leaf] of list.entries()) {
        const { path } = inclusionProof({ checkpoint, field, leaves: list, position })
        assert.equal(await verify(code, leaf, position, path), true)
        assert.equal(await verify(code, leaf, position ^ 1, path), false)
        assert.equal(await verify(code, leaf, position + 2 ** 24, path), false)
        assert.equal(await verify(code, sha256(leaf), position, path), false)
        assert.equal(await verify(code ^ 1, leaf, position, path), false)
        assert.equal(await verify(code, leaf, position, path.slice(1)), false)
        const spoiled = path.map((node, i) => (i === path.length - 1 ? sha256(node) : node))
        assert.equal(await verify(code, leaf, position, spoiled), false)
      }
    }
    // The empty leaf after the last of five climbs to the root too, and is no element.
    const last = lists.messages[4] as Uint8Array
    const { path: beside } = inclusionProof({
      checkpoint,
      field: 'messages',
      leaves: lists.messages,
      position: 4,
    })
    const padding = { leaf: new Uint8Array(32), path: [last, ...beside.slice(1)] }
    const root = checkpointRoot(checkpoint)
    assert.ok(verifyPath({ ...padding, index: inclusionIndex('messages', 5), root }))
    assert.equal(await verify(CheckpointField.messages, padding.leaf, 5, padding.path), false)
    const path = checkpointFieldProof(checkpoint, 'state')
    assert.equal(await verify(CheckpointField.state, checkpoint.state, 0, path), true)
    assert.equal(await verify(CheckpointField.state, checkpoint.state, 1, path), false)
    assert.equal(await verify(CheckpointField.messages, checkpoint.state, 0, path), false)
    assert.equal(await verify(255, checkpoint.state, 0, path), false)
  })
})

function cellOf(text: string): bigint {
  return BigInt(`0x${text}`)
}

/** `n` distinct leaves. */
function leaves(n: number, label: number): Uint8Array[] {
  return Array.from({ length: n }, (_, i) => sha256(Uint8Array.of(label, i)))
}
