/**
 * Gas of whole transactions: `npm run gas -- --json`. `container` is the part of a submission that
 * carrying, hashing and publishing the whole checkpoint costs.
 */
import { parseArgs } from 'node:util'
import { nodeRegistryAbi, registerArguments } from '@cairn/contracts'
import { Checkpoint } from '@cairn/protocol'
import { bytesToHex, encodeFunctionData } from 'viem'
import { compileHarness } from './harness.ts'
import { fullCheckpoint, openWorld, registrationOf, startNetwork } from './world.ts'

const CASES = [
  { members: 16, present: 1 },
  { members: 64, present: 1 },
  { members: 16, present: 0.9 },
  { members: 64, present: 0.9 },
]
/** What a submission may cost. */
const TARGET = { full: 235_000n, most: 270_000n }

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } })

const world = await openWorld()

/** Calldata, SSZ root and log of one checkpoint. */
async function containerGas(): Promise<number> {
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

try {
  const rows = []
  for (const { members, present } of CASES) {
    const snapshot = await world.client.snapshot()
    const network = await startNetwork(world, members)
    const missing = members - Math.ceil(members * present)
    // Spread evenly: the fewest shared siblings, so the dearest.
    const absent = Array.from({ length: missing }, (_, i) => Math.floor((i * members) / missing))
    const first = network.next(network.first)
    await network.submit(network.argumentsOf(first))
    const second = network.next(first)
    const { gasUsed } = await network.submit(network.argumentsOf(second, 0, absent))
    await world.client.revert({ id: snapshot })
    rows.push({
      transaction: 'submit',
      members,
      absent: missing,
      gas: Number(gasUsed),
      target: Number(missing === 0 ? TARGET.full : TARGET.most),
    })
  }
  rows.push({ transaction: 'container', gas: await containerGas() })
  const registration = registrationOf(world, 0)
  const { gasUsed } = await world.mined(
    await world.operator(0).writeContract({
      address: world.contracts.registry,
      abi: nodeRegistryAbi,
      functionName: 'register',
      args: registerArguments(registration),
    }),
  )
  rows.push({ transaction: 'register', gas: Number(gasUsed) })
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ rows })}\n`
      : `${rows.map(row => Object.values(row).join('\t')).join('\n')}\n`,
  )
} finally {
  await world.anvil.stop()
}
