/**
 * What the contracts' calls cost, as whole transactions on anvil. `container` is the part of a
 * submission that carrying, hashing and publishing the whole checkpoint costs.
 */
import { strict as assert } from 'node:assert'
import { fileURLToPath } from 'node:url'
import {
  doubleVoteArguments,
  PayoutClaims,
  penaliseArguments,
  rewardDistributorAbi,
  slasherAbi,
} from '@cairn/contracts'
import {
  bls,
  Checkpoint,
  ListDepth,
  listRoot,
  Payout,
  penaltyLeaves,
  sha256,
  voteSigningRoot,
} from '@cairn/protocol'
import { bytesToHex, encodeFunctionData, hexToBytes, parseEther } from 'viem'
import { compileHarness } from './harness.ts'
import {
  fullCheckpoint,
  nodeSecrets,
  openWorld,
  register,
  startNetwork,
  type World,
} from './world.ts'

export const SNAPSHOT = fileURLToPath(new URL('./gas.json', import.meta.url))

const FULL = 235_000
const MOST = 270_000

/** What a transaction may cost. */
export const GAS_LIMITS: Readonly<Record<string, number>> = {
  'checkpoint.16.full': FULL,
  'checkpoint.64.full': FULL,
  'checkpoint.256.full': FULL,
  'checkpoint.512.full': FULL,
  'checkpoint.16.90': MOST,
  'checkpoint.64.90': MOST,
  'claim.first': 105_000,
  'claim.later': 70_000,
  // Who reports has a share of a tenth of a bond of 1,000 tokens at least: this is little beside it.
  penalise: 360_000,
  doubleVote: 680_000,
}

const COMMITTEES = [
  { members: 16, present: 1 },
  { members: 64, present: 1 },
  { members: 256, present: 1 },
  { members: 512, present: 1 },
  { members: 16, present: 0.9 },
  { members: 64, present: 0.9 },
]
/** Accounts in a busy network's payouts: a claim's cost grows with their number's logarithm. */
const ACCOUNTS = 4_096
/** Penalties of one checkpoint: a path of ten in a list that is rarely so long. */
const PENALTIES = 1_024
/** Attestations per epoch: a checkpoint of 64 members is shared by as many. */
const ATTESTATIONS = [1_000, 10_000, 100_000]

export type GasFigures = Record<string, number>

export async function gasFigures(): Promise<GasFigures> {
  const world = await openWorld()
  try {
    // The supply is remembered by time: in one second a second mint would cost less.
    await world.client.setBlockTimestampInterval({ interval: 1 })
    const figures: GasFigures = {}
    for (const { members, present } of COMMITTEES) {
      const name = `checkpoint.${members}.${present === 1 ? 'full' : Math.round(100 * present)}`
      figures[name] = await undone(world, () => submissionGas(world, members, present))
    }
    figures.container = await containerGas(world)
    for (const n of ATTESTATIONS) {
      figures[`attestation.${n}`] = Math.round((figures['checkpoint.64.full'] as number) / n)
    }
    Object.assign(figures, await undone(world, () => claimGas(world)))
    figures.register = await undone(world, () => registrationGas(world))
    figures.penalise = await undone(world, () => penaltyGas(world))
    figures.doubleVote = await undone(world, () => doubleVoteGas(world))
    return figures
  } finally {
    await world.anvil.stop()
  }
}

/** The second submission of a network, as all but the first. */
async function submissionGas(world: World, members: number, present: number): Promise<number> {
  const network = await startNetwork(world, members)
  const missing = members - Math.ceil(members * present)
  // Spread evenly: the fewest shared siblings, so the dearest.
  const absent = Array.from({ length: missing }, (_, i) => Math.floor((i * members) / missing))
  const first = network.next(network.first)
  await network.submit(network.argumentsOf(first))
  const { gasUsed } = await network.submit(network.argumentsOf(network.next(first), 0, absent))
  return Number(gasUsed)
}

/** Calldata, SSZ root and log of one checkpoint. */
async function containerGas(world: World): Promise<number> {
  const { abi, bytecode } = compileHarness()
  const hash = await world.operator(0).deployContract({ abi, bytecode })
  const { contractAddress } = await world.mined(hash)
  const checkpoint = Checkpoint.serialize(fullCheckpoint())
  const data = encodeFunctionData({
    abi,
    functionName: 'hashTreeRoot',
    args: [bytesToHex(checkpoint)],
  })
  const sent = await world.operator(0).sendTransaction({ to: contractAddress, data })
  const { gasUsed } = await world.mined(sent)
  return Number(gasUsed) - 21_000 + 8 * checkpoint.length
}

/** Of an operator, who has tokens already; of one without any a first claim costs 17,100 more. */
async function claimGas(world: World): Promise<GasFigures> {
  const wallet = world.operator(1)
  const account = hexToBytes(wallet.account.address)
  const distributor = { address: world.contracts.distributor, abi: rewardDistributorAbi } as const
  const network = await startNetwork(world, 1)
  let parent = network.first
  const costs: GasFigures = {}
  for (const [i, name] of ['claim.first', 'claim.later'].entries()) {
    const payouts = busyPayouts(account, 10n ** 17n * BigInt(i + 1) + 12_345n)
    const checkpoint = network.next(parent, {
      payouts: listRoot(
        payouts.map(payout => Payout.hashTreeRoot(payout)),
        ListDepth.payouts,
      ),
      earnedTotal: payouts.reduce((sum, { earned }) => sum + earned, 0n),
      spentTotal: 0n,
    })
    await network.submit(network.argumentsOf(checkpoint))
    const claims = new PayoutClaims({ checkpoint, payouts })
    const funding = { ...distributor, functionName: 'fund', args: claims.fund() } as const
    const { gasUsed: fund } = await world.mined(await wallet.writeContract(funding))
    costs[`fund.${name.slice(6)}`] = Number(fund)
    const args = claims.claim(account)
    assert.ok(args !== undefined)
    const claiming = { ...distributor, functionName: 'claim', args } as const
    const { gasUsed } = await world.mined(await wallet.writeContract(claiming))
    costs[name] = Number(gasUsed)
    parent = checkpoint
  }
  return costs
}

function busyPayouts(account: Uint8Array, earned: bigint): Payout[] {
  const strangers = Array.from({ length: ACCOUNTS - 1 }, (_, i) => {
    const stranger = new Uint8Array(20)
    new DataView(stranger.buffer).setUint32(16, i + 1)
    return { account: stranger, earned, spent: 0n }
  })
  return [...strangers, { account, earned, spent: 0n }]
}

async function registrationGas(world: World): Promise<number> {
  const { gasUsed } = await register(world, 0)
  return Number(gasUsed)
}

/** The first penalty of an epoch, which fixes its cap too. */
async function penaltyGas(world: World): Promise<number> {
  await registrationGas(world)
  const network = await startNetwork(world, 1)
  const penalties = Array.from({ length: PENALTIES }, (_, node) => ({
    node,
    amount: parseEther('50'),
    evidence: sha256(Uint8Array.of(node & 255, node >> 8)),
  }))
  const root = listRoot(penaltyLeaves(penalties), ListDepth.penalties)
  const checkpoint = network.next(network.first, { penalties: root })
  await network.submit(network.argumentsOf(checkpoint))
  const { gasUsed } = await world.mined(
    await world.operator(1).writeContract({
      address: world.contracts.slasher,
      abi: slasherAbi,
      functionName: 'penalise',
      args: penaliseArguments({ checkpoint, penalties, position: 0 }),
    }),
  )
  return Number(gasUsed)
}

async function doubleVoteGas(world: World): Promise<number> {
  await registrationGas(world)
  const { network } = await startNetwork(world, 1)
  const { voting } = nodeSecrets(0)
  const cast = (label: number) => {
    const checkpoint = sha256(Uint8Array.of(label))
    const root = voteSigningRoot({ epoch: 0n, round: 1n, checkpoint }, network)
    return { checkpoint, signature: bls.sign(root, voting) }
  }
  const proof = { node: 0, key: bls.publicKey(voting), epoch: 0, round: 1 }
  const { gasUsed } = await world.mined(
    await world.operator(1).writeContract({
      address: world.contracts.slasher,
      abi: slasherAbi,
      functionName: 'doubleVote',
      args: doubleVoteArguments({ ...proof, votes: [cast(1), cast(2)] }),
    }),
  )
  return Number(gasUsed)
}

async function undone<T>(world: World, measure: () => Promise<T>): Promise<T> {
  const id = await world.client.snapshot()
  try {
    return await measure()
  } finally {
    await world.client.revert({ id })
  }
}
