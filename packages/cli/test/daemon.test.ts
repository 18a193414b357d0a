import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { encodeManifest, type Manifest } from '@cairn/node'
import {
  beaconKey,
  encodeProofFile,
  hex,
  inclusionProof,
  ListDepth,
  listRoot,
  sha256,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import { openWorld, startNetwork, type World } from '../../contracts/test/world.ts'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { type CairnFailure, cairn, jsonOf, spawnCairn, temporaryDirectory } from './process.ts'

/** Nothing listens on the discard port of this machine. */
const NOBODY = 'http://127.0.0.1:9'
const HOUR_S = 3_600

function manifestOf(change: Partial<Manifest> = {}): string {
  const address = `0x${'ab'.repeat(20)}` as const
  return encodeManifest({
    name: 'demo',
    chain: {
      chainId: 31337,
      rpc: [NOBODY],
      contracts: { checkpoints: address, registry: address, token: address },
      finality: 0,
    },
    genesis: Math.floor(Date.now() / 1_000) + HOUR_S,
    drand: { publicKey: beaconKey(sha256(Uint8Array.of(1))), genesis: 1, period: 1, url: NOBODY },
    bootstrap: [],
    deposits: [],
    profileName: 'testnet',
    profile: TESTNET_PROFILE,
    genesisState: 'genesis.ssz',
    ...change,
  })
}

describe('daemon', () => {
  const directory = temporaryDirectory()

  it('runs without chain and peers, says what it misses, and stops at Ctrl-C', async () => {
    const network = join(directory(), 'net.json')
    const dataDir = join(directory(), 'node')
    await writeFile(network, manifestOf())
    await writeFile(join(directory(), 'genesis.ssz'), '')
    const init = await cairn(['init', '--data-dir', dataDir, '--network', network, '--json'])
    assert.equal(init.code, 0)

    const settings = ['p2p.listen=/ip4/127.0.0.1/tcp/0', 'api.port=0', 'p2p.privateAddresses=true']
    const flags = settings.flatMap(setting => ['--set', setting])
    const child = spawnCairn(['start', '--data-dir', dataDir, '--json', ...flags])
    const ended = once(child, 'close')
    try {
      const [line] = await once(createInterface(child.stdout), 'line')
      const started = JSON.parse(line) as Record<string, unknown>
      assert.equal(started.peerId, jsonOf(init).peerId)

      const status = await cairn(['status', '--data-dir', dataDir, '--json'])
      assert.equal(status.code, EXIT_CODES.notReady.code)
      const { reasons } = jsonOf<{ reasons: { code: string }[] }>(status)
      assert.deepEqual(
        reasons.map(({ code }) => code),
        ['chain', 'peers'],
      )

      const second = await cairn(['start', '--data-dir', dataDir, '--json', ...flags])
      assert.equal(second.code, EXIT_CODES.taken.code)
      const { error } = jsonOf<CairnFailure>(second)
      assert.deepEqual([error.code, error.facts.pid], ['dataDirLocked', child.pid])
    } finally {
      child.kill('SIGINT')
    }
    assert.deepEqual(await ended, [0, null])
    const after = await cairn(['status', '--data-dir', dataDir, '--json'])
    assert.equal(jsonOf<CairnFailure>(after).error.code, 'notRunning')
  })
})

describe('ledger verify against the chain', () => {
  const directory = temporaryDirectory()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  after(() => world.anvil.stop())

  it('holds for what the contract accepted, and for nothing else', async () => {
    const leaves = [sha256(Uint8Array.of(1)), sha256(Uint8Array.of(2))]
    const network = await startNetwork(world, 4)
    const change = { messages: listRoot(leaves, ListDepth.messages) }
    const checkpoint = network.next(network.first, change)
    await network.submit(network.argumentsOf(checkpoint))

    const prove = async (accepted: typeof checkpoint) => {
      const file = join(directory(), 'proof.json')
      const proof = encodeProofFile({
        network: network.network,
        epoch: 0,
        checkpoint: accepted,
        inclusion: inclusionProof({ checkpoint: accepted, field: 'messages', leaves, position: 1 }),
      })
      await writeFile(file, JSON.stringify(proof))
      return file
    }
    const manifest = async (genesis: bigint) => {
      const file = join(directory(), 'net.json')
      const { contracts } = world
      const chain = { chainId: 31337, rpc: [NOBODY], contracts, finality: 0 }
      await writeFile(file, manifestOf({ chain, genesis: Number(genesis) }))
      return file
    }
    const verify = async (file: string, ...args: string[]) =>
      await cairn(['ledger', 'verify', file, '--rpc', world.anvil.rpcUrl, '--json', ...args])

    const ours = ['--network', await manifest(network.genesis)]
    const held = await verify(await prove(checkpoint), ...ours)
    const { valid, against, leaf } = jsonOf(held)
    assert.deepEqual([valid, against, leaf], [true, 'chain', hex(leaves[1] as Uint8Array)])

    const invented = await prove({ ...checkpoint, earnedTotal: 1n })
    const refused = await verify(invented, ...ours)
    assert.equal(refused.code, EXIT_CODES.notTrue.code)
    assert.equal(jsonOf<CairnFailure>(refused).error.code, 'badProof')
    const offline = await cairn(['ledger', 'verify', invented, '--json'])
    assert.equal(jsonOf(offline).against, 'file', 'alone it agrees with itself, and says so')

    const other = await verify(await prove(checkpoint), '--network', await manifest(1n))
    assert.equal(jsonOf<CairnFailure>(other).error.code, 'otherNetwork')
    const nowhere = ['--contract', `0x${'ab'.repeat(20)}`]
    const silent = await verify(await prove(checkpoint), ...nowhere)
    assert.equal(jsonOf<CairnFailure>(silent).error.code, 'chainUnavailable')
  })
})
