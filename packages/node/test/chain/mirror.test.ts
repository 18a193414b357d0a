/** Two chains with different ids: checkpoints of one, repeated on the other by their signatures. */
import { strict as assert } from 'node:assert'
import {
  type Anvil,
  anvilTransport,
  checkpointsAbi,
  deployMirror,
  startAnvil,
  submitArguments,
  testAccounts,
  testDeployer,
} from '@cairn/contracts'
import { type MirrorInit, mirrorCheckpoints, openMirror } from '@cairn/node'
import {
  bls,
  CairnError,
  Checkpoint,
  checkpointRoot,
  encodeProofFile,
  inclusionProof,
  jsonRpc,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  parseProofFile,
  sha256,
  verdictSentences,
  verifyOnChain,
} from '@cairn/protocol'
import { bytesToHex, createPublicClient, createWalletClient, type Hex, hexToBytes } from 'viem'
import { openWorld, refusalOf, startNetwork, type World } from '../../../contracts/test/world.ts'
import { clock, quiet } from './world.ts'

const FURTHER = 31_338
const MESSAGE = { type: MessageType.ready, body: new Uint8Array(17), signature: new Uint8Array(64) }
const IDS = [messageId(MESSAGE)]
const ROOTS = { messages: listRoot(IDS, ListDepth.messages) }

describe('mirror', () => {
  let world: World
  let further: Anvil
  let network: Awaited<ReturnType<typeof startNetwork>>
  let last: Checkpoint
  let init: MirrorInit

  before(async () => {
    world = await openWorld()
    further = await startAnvil({ blockTime: 0, chainId: FURTHER })
    network = await startNetwork(world, 4)
    last = network.next(network.first, ROOTS)
    await network.submit(network.argumentsOf(last))
    init = {
      home: {
        chainId: 31_337,
        rpc: [world.anvil.rpcUrl],
        checkpoints: world.contracts.checkpoints,
        finality: 0,
        fromBlock: 0n,
      },
      mirror: { chainId: FURTHER, rpc: [further.rpcUrl], checkpoints: '0x' },
      network: network.network,
      account: secretOf(0),
    }
    const opened = await openMirror(
      { clock, log: quiet },
      {
        ...init,
        genesis: Number(network.genesis),
        activationDelay: 0,
        fallbackAfter: 3_600,
        termEpochs: 12,
      },
    )
    assert.equal(opened.epoch, 0)
    init = { ...init, mirror: { ...init.mirror, checkpoints: opened.checkpoints } }
  })
  after(async () => {
    await world.anvil.stop()
    await further.stop()
  })

  const mirror = (change: Partial<MirrorInit> = {}) =>
    mirrorCheckpoints({ clock, log: quiet }, { ...init, ...change }, new AbortController().signal)
  const client = () =>
    createPublicClient({ transport: anvilTransport(further.rpcUrl), pollingInterval: 5 })
  const rootThere = (epoch: number) =>
    client().readContract({
      address: init.mirror.checkpoints,
      abi: checkpointsAbi,
      functionName: 'rootOf',
      args: [BigInt(epoch)],
    })
  const landAtHome = async () => {
    last = network.next(last, ROOTS)
    await network.submit(network.argumentsOf(last, 0, Number(last.epoch) % 2 === 0 ? [] : [1]))
    return last
  }

  it('accepts the same checkpoints as the home chain, in order, and each once', async () => {
    const landed = [await landAtHome(), await landAtHome(), await landAtHome()]
    const round = await mirror()
    assert.deepEqual(
      round.landed.map(({ epoch }) => epoch),
      [1, 2, 3],
    )
    assert.deepEqual([round.mirrorEpoch, round.homeEpoch], [3, 3])
    for (const checkpoint of landed) {
      const root = bytesToHex(checkpointRoot(checkpoint))
      assert.equal(await rootThere(Number(checkpoint.epoch)), root)
    }
    assert.deepEqual((await mirror()).landed, [])
  })

  it('loses nothing where two carry the same', async () => {
    await landAtHome()
    const other = { account: secretOf(1) }
    const rounds = await Promise.all([mirror(), mirror(other)])
    assert.equal(rounds.flatMap(({ landed }) => landed).length, 1)
    assert.equal(await rootThere(Number(last.epoch)), bytesToHex(checkpointRoot(last)))
  })

  it('bears out proofs of the home network to a light client, and no others', async () => {
    const epoch = Number(last.epoch)
    const inclusion = inclusionProof({
      checkpoint: last,
      field: 'messages',
      leaves: IDS,
      position: 0,
    })
    const file = { network: network.network, epoch, checkpoint: last, inclusion, message: MESSAGE }
    const proof = parseProofFile(JSON.stringify(encodeProofFile(file)))
    const headers = { 'content-type': 'application/json' }
    const endpoint = jsonRpc(async body =>
      (await fetch(further.rpcUrl, { method: 'POST', headers, body })).text(),
    )
    const contract = {
      chainId: BigInt(FURTHER),
      checkpoints: hexToBytes(init.mirror.checkpoints),
      network: network.network,
    }
    const verdict = await verifyOnChain(proof, { contract, endpoints: [endpoint], finality: 0 })
    assert.match(verdictSentences(verdict, proof)[0] ?? '', /chain 31338, of the network that you/)
    const unnamed = { chainId: contract.chainId, checkpoints: contract.checkpoints }
    await assert.rejects(
      verifyOnChain(proof, { contract: unnamed, endpoints: [endpoint], finality: 0 }),
      { code: 'otherNetwork' },
    )
  })

  it('refuses what was signed for the home network where it is deployed with another id', async () => {
    const wallet = createWalletClient({
      account: testDeployer().account,
      transport: anvilTransport(further.rpcUrl),
    })
    const other = await deployMirror({
      wallet,
      client: client(),
      network: bytesToHex(sha256(network.network)),
      genesis: network.genesis,
      checkpoint: bytesToHex(Checkpoint.serialize(last)),
      nextCommittee: bytesToHex(last.nextCommittee),
      activationDelay: 0n,
      fallbackAfter: 3_600n,
      termEpochs: 12n,
    })
    const next = network.next(last, ROOTS)
    const submit = (address: Hex) =>
      client().simulateContract({
        address,
        abi: checkpointsAbi,
        functionName: 'submit',
        args: network.argumentsOf(next),
        account: testDeployer().account,
      })
    assert.equal(await refusalOf(submit(other.checkpoints)), 'BadSignature')
    await submit(init.mirror.checkpoints)
    const there = { ...init.mirror, checkpoints: other.checkpoints }
    await assert.rejects(mirror({ mirror: there }), { code: 'otherNetwork' })
  })

  it('refuses what only a registry can judge, and calls of strangers', async () => {
    const committee = submitArguments({
      checkpoint: Checkpoint.serialize(last),
      round: 0,
      committee: network.tree,
      absent: [0],
      signature: bls.sign(network.network, network.secrets[0] as Uint8Array),
    })
    const bytes = bytesToHex(Checkpoint.serialize(last))
    const call = (functionName: string, args: unknown[]) =>
      refusalOf(
        client().simulateContract({
          address: init.mirror.checkpoints,
          abi: checkpointsAbi,
          functionName,
          args,
          account: testAccounts(2)[1]?.address as Hex,
        } as never),
      )
    const veto = [last.epoch, bytes, bytes, bytes, committee[2], committee[3]]
    assert.equal(await call('veto', veto), 'IsMirror')
    assert.equal(await call('formCommittee', []), 'NotDue')
    assert.equal(
      await call('repeatCommittee', [bytesToHex(sha256(new Uint8Array(1))), 1n]),
      'AccessManagedUnauthorized',
    )
    assert.equal(await call('cancel', [last.epoch, bytes]), 'AccessManagedUnauthorized')
    assert.equal(await call('start', [1n, bytesToHex(last.nextCommittee), bytes]), 'NotStarter')
  })

  it('says what the mirror refuses, and carries nothing from elsewhere', async () => {
    const silent = { ...init.home, checkpoints: world.contracts.token }
    await assert.rejects(mirror({ home: silent }), CairnError)
    const wrong = { ...init.mirror, chainId: 1 }
    await assert.rejects(mirror({ mirror: wrong }), { code: 'chainUnavailable' })
  })
})

/** Of the i-th operator, 32 bytes. */
function secretOf(i: number): Uint8Array {
  return hexToBytes(testAccounts(i + 1)[i]?.privateKey as Hex)
}
