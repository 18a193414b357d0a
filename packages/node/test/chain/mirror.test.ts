/** Two chains with different ids: checkpoints of one, repeated on the other by their signatures. */
import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Anvil,
  anvilTransport,
  checkpointsAbi,
  startAnvil,
  submitArguments,
  testAccounts,
  testDeployer,
} from '@cairn/contracts'
import { type MirrorAt, MirrorDesk, type MirrorInit } from '@cairn/node'
import {
  bls,
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
import { bytesToHex, createPublicClient, type Hex, hexToBytes } from 'viem'
import { openWorld, refusalOf, startNetwork, type World } from '../../../contracts/test/world.ts'
import { clock, type Endpoint, openEndpoint, quiet } from './world.ts'

const FURTHER = 31_338
const MESSAGE = { type: MessageType.ready, body: new Uint8Array(17), signature: new Uint8Array(64) }
const IDS = [messageId(MESSAGE)]
const ROOTS = { messages: listRoot(IDS, ListDepth.messages) }

/** Two contracts, their start, and two calls for each of two roles. */
const STEPS = 7

describe('mirror', () => {
  let world: World
  let further: Anvil
  let endpoint: Endpoint
  let directory: string
  let network: Awaited<ReturnType<typeof startNetwork>>
  let last: Checkpoint
  let init: MirrorInit
  let at: MirrorAt
  let desk: MirrorDesk
  const desks = new Set<MirrorDesk>()
  const { signal } = new AbortController()

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-mirror-'))
    world = await openWorld()
    further = await startAnvil({ blockTime: 0, chainId: FURTHER })
    endpoint = await openEndpoint(further.rpcUrl)
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
      mirror: { chainId: FURTHER, rpc: [endpoint.url] },
      network: network.network,
      account: secretOf(0),
      directory: join(directory, 'main'),
    }
    desk = await open()
    const opened = await desk.deploy(settings(), signal)
    assert.equal(opened.epoch, 0)
    at = { checkpoints: opened.checkpoints, finality: 0 }
  })
  after(async () => {
    for (const opened of desks) await opened.close()
    await endpoint.close()
    await world.anvil.stop()
    await further.stop()
    await rm(directory, { recursive: true, force: true })
  })

  const open = async (change: Partial<MirrorInit> = {}) => {
    const opened = await MirrorDesk.open({ clock, log: quiet }, { ...init, ...change })
    desks.add(opened)
    return opened
  }
  const settings = (activationDelay = 0) => ({
    genesis: Number(network.genesis),
    activationDelay,
    fallbackAfter: 3_600,
    termEpochs: 12,
  })
  /** As another process with the same directory. */
  const once = async <T>(
    change: Partial<MirrorInit>,
    act: (opened: MirrorDesk) => Promise<T>,
  ): Promise<T> => {
    const opened = await open(change)
    try {
      return await act(opened)
    } finally {
      await opened.close()
      desks.delete(opened)
    }
  }
  /** Its process ends with a transaction, before the chain has it or after. */
  const dying = async (taken: boolean, act: (aborted: AbortSignal) => Promise<unknown>) => {
    const death = new AbortController()
    const died = new Error('died')
    const method = 'eth_sendRawTransaction'
    const die = (called: string, result: unknown) => {
      if (called === method) death.abort(died)
      return result
    }
    const kept = {
      kind: 'keep' as const,
      method,
      get result() {
        return die(method, `0x${'11'.repeat(32)}`)
      },
    }
    endpoint.fault = taken ? { kind: 'lie', change: die } : kept
    await assert.rejects(act(death.signal), error => error === died)
    endpoint.fault = undefined
  }
  const sentBy = (account: number) =>
    client().getTransactionCount({ address: testAccounts(account + 1)[account]?.address as Hex })
  const client = () =>
    createPublicClient({ transport: anvilTransport(further.rpcUrl), pollingInterval: 5 })
  const rootThere = (epoch: number) =>
    client().readContract({
      address: at.checkpoints,
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
    const round = await desk.carry(at, signal)
    assert.deepEqual(
      round.landed.map(({ epoch }) => epoch),
      [1, 2, 3],
    )
    assert.deepEqual([round.mirrorEpoch, round.homeEpoch], [3, 3])
    for (const checkpoint of landed) {
      const root = bytesToHex(checkpointRoot(checkpoint))
      assert.equal(await rootThere(Number(checkpoint.epoch)), root)
    }
    assert.deepEqual((await desk.carry(at, signal)).landed, [])
  })

  it('loses nothing where two carry the same', async () => {
    await landAtHome()
    const other = await open({ account: secretOf(1), directory: join(directory, 'other') })
    const rounds = await Promise.all([desk, other].map(each => each.carry(at, signal)))
    assert.equal(rounds.flatMap(({ landed }) => landed).length, 1)
    assert.equal(await rootThere(Number(last.epoch)), bytesToHex(checkpointRoot(last)))
  })

  it('pays for each step of a deployment once, though it dies at every one', async () => {
    const change = { account: secretOf(2), directory: join(directory, 'dying') }
    const before = await sentBy(2)
    const deploy = (aborted: AbortSignal) =>
      once(change, opened => opened.deploy(settings(), aborted))
    const first = Number(last.epoch)
    for (let step = 0; step < STEPS; step++) {
      await dying(step % 2 === 0, deploy)
      // What it began with stays, whatever the home chain accepts meanwhile.
      if (step === 3) await landAtHome()
    }
    const deployed = await deploy(signal)
    assert.equal(deployed.epoch, first)
    assert.deepEqual(await deploy(signal), deployed)
    assert.equal((await sentBy(2)) - before, STEPS)
    const other = await once(change, opened => opened.deploy(settings(1), signal))
    assert.notEqual(other.checkpoints, deployed.checkpoints)
    assert.notEqual(other.access, deployed.access)
    const there = { ...at, checkpoints: deployed.checkpoints }
    const round = await once(change, opened => opened.carry(there, signal))
    assert.deepEqual(
      round.landed.map(({ epoch }) => epoch),
      [first + 1],
    )
  })

  it('pays for a checkpoint once, though it dies as it sends it', async () => {
    const change = { account: secretOf(3), directory: join(directory, 'carrying') }
    await desk.carry(at, signal)
    for (const taken of [true, false]) {
      await landAtHome()
      const before = await sentBy(3)
      await dying(taken, aborted => once(change, opened => opened.carry(at, aborted)))
      const round = await once(change, opened => opened.carry(at, signal))
      assert.equal(round.mirrorEpoch, Number(last.epoch))
      assert.equal((await sentBy(3)) - before, 1)
    }
  })

  it('keeps within the budget of a day, and has one process at a time', async () => {
    await landAtHome()
    const change = { directory: join(directory, 'poor'), spending: { budgetPerDay: 1n } }
    await once(change, async opened => {
      await assert.rejects(opened.carry(at, signal), { code: 'gasBudget' })
      await assert.rejects(open(change), { code: 'dataDirLocked' })
    })
    assert.equal((await desk.carry(at, signal)).landed.length, 1)
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
      checkpoints: hexToBytes(at.checkpoints),
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
    const change = { network: sha256(network.network), directory: join(directory, 'otherId') }
    const other = await once(change, opened => opened.deploy(settings(), signal))
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
    await submit(at.checkpoints)
    const there = { ...at, checkpoints: other.checkpoints }
    await assert.rejects(desk.carry(there, signal), { code: 'otherNetwork' })
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
          address: at.checkpoints,
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
    const carry = (change: Partial<MirrorInit>) =>
      once({ directory: join(directory, 'wrong'), ...change }, opened => opened.carry(at, signal))
    const silent = { ...init.home, checkpoints: world.contracts.token }
    await assert.rejects(carry({ home: silent }), { code: 'chainUnavailable' })
    await assert.rejects(carry({ mirror: { ...init.mirror, chainId: 1 } }), {
      code: 'wrongChain',
    })
    await assert.rejects(carry({ mirror: { ...init.mirror, chainId: 31_337 } }), {
      code: 'wrongChain',
    })
  })

  it('is carried and deployed from an endpoint that looks through few blocks at once', async () => {
    const bounded = await openEndpoint(world.anvil.rpcUrl)
    const home = { ...init.home, rpc: [bounded.url] }
    const change = { home, account: secretOf(4), directory: join(directory, 'bounded') }
    await desk.carry(at, signal)
    const epochs = [await landAtHome(), await landAtHome()].map(({ epoch }) => Number(epoch))
    await world.client.mine({ blocks: 20 })
    bounded.fault = { kind: 'bounded', blocks: 7 }
    const round = await once(change, opened => opened.carry(at, signal))
    assert.deepEqual(
      round.landed.map(({ epoch }) => epoch),
      epochs,
    )
    const { epoch } = await once(change, opened => opened.deploy(settings(3), signal))
    assert.equal(epoch, epochs.at(-1))
    await bounded.close()
  })

  it('believes no home chain that its endpoints contradict each other about', async () => {
    const liar = await openEndpoint(world.anvil.rpcUrl)
    liar.fault = {
      kind: 'lie',
      change: (method, result) =>
        method === 'eth_getBlockByNumber'
          ? { ...(result as object), hash: `0x${'66'.repeat(32)}` }
          : result,
    }
    const home = { ...init.home, rpc: [liar.url, world.anvil.rpcUrl] }
    const change = { home, directory: join(directory, 'divided') }
    await assert.rejects(
      once(change, opened => opened.deploy(settings(2), signal)),
      { code: 'chainUnavailable' },
    )
    await liar.close()
  })
})

/** Of the i-th operator, 32 bytes. */
function secretOf(i: number): Uint8Array {
  return hexToBytes(testAccounts(i + 1)[i]?.privateKey as Hex)
}
