/** The command against two real chains: a mirror deployed, fed, and asked. */
import { strict as assert } from 'node:assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Anvil, startAnvil } from '@cairn/contracts'
import {
  type Checkpoint,
  encodeProofFile,
  inclusionProof,
  ListDepth,
  listRoot,
  sha256,
} from '@cairn/protocol'
import { createTestClient, http } from 'viem'
import { openWorld, startNetwork, type World } from '../../contracts/test/world.ts'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { manifestOf } from './manifest.ts'
import { type CairnFailure, cairn, jsonOf, temporaryDirectory } from './process.ts'

const FURTHER = 31_338
const LEAVES = [sha256(Uint8Array.of(1))]
const ROOTS = { penalties: listRoot(LEAVES, ListDepth.penalties) }

describe('mirror', function () {
  this.timeout(240_000)
  const directory = temporaryDirectory()
  let world: World
  let further: Anvil

  before(async () => {
    world = await openWorld()
    further = await startAnvil({ blockTime: 0, chainId: FURTHER })
  })
  after(async () => {
    await world.anvil.stop()
    await further.stop()
  })

  it('is deployed, fed once and again, and bears out a proof', async () => {
    const network = await startNetwork(world, 1)
    const zero = network.next(network.first, ROOTS)
    await network.submit(network.argumentsOf(zero))
    const file = join(directory(), 'network.json')
    const chain = {
      chainId: 31_337,
      rpc: [world.anvil.rpcUrl],
      contracts: world.contracts,
      finality: 0,
    }
    const about = { chain, genesis: Number(network.genesis) }
    await writeFile(file, manifestOf(about))
    const dataDir = join(directory(), 'data')
    const args = ['--data-dir', dataDir, '--network', file, '--json']
    const { account } = jsonOf<{ account: `0x${string}` }>(
      await cairn(['init', '--data-dir', dataDir, '--json']),
    )
    const test = createTestClient({ mode: 'anvil', transport: http(further.rpcUrl) })

    const none = await cairn(['mirror', '--once', ...args])
    assert.equal(none.code, EXIT_CODES.config.code)
    assert.match(jsonOf<CairnFailure>(none).error.next ?? '', /cairn mirror deploy/)

    const to = ['--rpc', further.rpcUrl, '--chain-id', String(FURTHER), '--delay', '1']
    const poor = async (command: string[]) => {
      await test.setBalance({ address: account, value: 0n })
      const { code, stdout } = await cairn(['mirror', ...command, ...args])
      const { error } = JSON.parse(stdout) as CairnFailure
      assert.deepEqual([code === EXIT_CODES.bug.code, error.code], [false, 'noFunds'])
      assert.match(error.message.toLowerCase(), new RegExp(`${account}.* chain ${FURTHER}`, 'i'))
      await test.setBalance({ address: account, value: 10n ** 20n })
    }
    await poor(['deploy', ...to])
    const deployed = jsonOf<{ checkpoints: `0x${string}`; epoch: number; rpc: string[] }>(
      await cairn(['mirror', 'deploy', ...to, ...args]),
    )
    assert.equal(deployed.epoch, 0)
    const { checkpoints, rpc } = deployed
    const mirrors = [{ chainId: FURTHER, rpc, checkpoints, finality: 0 }]
    await writeFile(file, manifestOf({ ...about, mirrors }))

    const one = network.next(zero, ROOTS)
    await network.submit(network.argumentsOf(one))
    await poor(['--once'])
    const lines = async () => {
      const { stdout, stderr } = await cairn(['mirror', '--once', ...args])
      assert.equal(stderr, '')
      return stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
    }
    const [landed, state] = await lines()
    assert.deepEqual([landed.chainId, landed.epoch], [FURTHER, 1])
    assert.ok(landed.gasUsed > 0)
    assert.deepEqual(state, { chainId: FURTHER, mirrorEpoch: 1, homeEpoch: 1 })
    assert.deepEqual(await lines(), [state], 'nothing is left to do')

    const proof = join(directory(), 'proof.json')
    await writeFile(proof, proofOf(one, network.network))
    await test.increaseTime({ seconds: 2 })
    await test.mine({ blocks: 1 })
    const verify = ['ledger', 'verify', proof, '--rpc', further.rpcUrl, '--network', file, '--json']
    const held = jsonOf<{ against: string; chain: { chainId: number } }>(await cairn(verify))
    assert.deepEqual([held.against, held.chain.chainId], ['chain', FURTHER])
    await writeFile(file, manifestOf(about))
    const named = jsonOf<typeof held>(await cairn([...verify, '--contract', checkpoints]))
    assert.deepEqual([named.against, named.chain.chainId], ['chain', FURTHER], 'a mirror unlisted')
    const blind = [...verify.slice(0, 5), '--contract', checkpoints, '--json']
    const refused = jsonOf<CairnFailure>(await cairn(blind)).error
    assert.equal(refused.code, 'otherNetwork')
    assert.match(refused.next ?? '', /mirror.*manifest/)
  })
})

function proofOf(checkpoint: Checkpoint, network: Uint8Array): string {
  const inclusion = inclusionProof({ checkpoint, field: 'penalties', leaves: LEAVES, position: 0 })
  const epoch = Number(checkpoint.epoch)
  return JSON.stringify(encodeProofFile({ network, epoch, checkpoint, inclusion }))
}
