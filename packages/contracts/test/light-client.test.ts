/** The light client against real chains: what holds, and what hostile files and endpoints come to. */
import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import {
  anvilTransport,
  checkpointsAbi,
  deploy,
  deployMirror,
  TESTNET_PARAMETERS,
  testGuardian,
} from '@cairn/contracts'
import {
  CairnError,
  Checkpoint,
  checkpointRoot,
  encodeProofFile,
  hex,
  inclusionProof,
  jsonRpc,
  LIGHT_ENDPOINTS_MAX,
  type LightClientInit,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  Payout,
  type ProofFile,
  type ProofFileJson,
  parseProofFile,
  type RpcRequest,
  sha256,
  verdictSentences,
  verifyOnChain,
} from '@cairn/protocol'
import { bytesToHex, createWalletClient, type Hex, hexToBytes } from 'viem'
import { foundry } from 'viem/chains'
import { historyOf, logsFor } from '../../protocol/test/history.ts'
import { committeeOf, startNetwork, worldForEach } from './world.ts'

interface Call {
  id: number
  method: string
  params: unknown[]
}

const DELAY = 1000n
const MESSAGE = { type: MessageType.ready, body: new Uint8Array(17), signature: new Uint8Array(64) }
const IDS = [messageId(MESSAGE), new Uint8Array(32).fill(0xfe), new Uint8Array(32).fill(0xff)]
const PAYOUTS = [1, 2, 3].map(fill => ({
  account: new Uint8Array(20).fill(fill),
  earned: 10n ** 20n + BigInt(fill),
  spent: 7n,
}))
const LEAVES = PAYOUTS.map(payout => Payout.hashTreeRoot(payout))
const ROOTS = {
  messages: listRoot(IDS, ListDepth.messages),
  payouts: listRoot(LEAVES, ListDepth.payouts),
}

/** Hourly epochs. */
const YEAR = 8_760
/** More than the contract keeps. */
const MANY = 258

describe('light client', () => {
  const world = worldForEach()

  const endpoint = (
    change: (answer: unknown, method: string, params: unknown) => unknown = x => x,
  ) =>
    jsonRpc(async body => {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(world.anvil.rpcUrl, { method: 'POST', headers, body })
      const { method, params } = JSON.parse(body)
      return JSON.stringify(change(await response.json(), method, params))
    })
  const initOf = (change: Partial<LightClientInit> = {}): LightClientInit => ({
    contract: { chainId: 31337n, checkpoints: hexToBytes(world.contracts.checkpoints) },
    endpoints: [endpoint()],
    finality: 0,
    ...change,
  })
  const verify = (proof: ProofFile, change: Partial<LightClientInit> = {}) =>
    verifyOnChain(proof, initOf(change))

  async function accepted() {
    const network = await startNetwork(world, 1)
    const checkpoint = network.next(network.first, ROOTS)
    await network.submit(network.argumentsOf(checkpoint))
    return { network, checkpoint, ...proofsOf(checkpoint, network.network) }
  }

  /** A network whose checkpoints wait before they are active. */
  async function delayed() {
    const contracts = await deploy({
      wallet: world.deployer,
      client: world.client,
      ...TESTNET_PARAMETERS,
      activationDelay: DELAY,
    })
    const checkpoints = { address: contracts.checkpoints, abi: checkpointsAbi }
    const network = await startNetwork({ ...world, contracts, checkpoints }, 1)
    const contract = { chainId: 31337n, checkpoints: hexToBytes(contracts.checkpoints) }
    return { network, checkpoints, change: { contract } }
  }

  it('holds for an attestation and for a payout, and says by what', async () => {
    const { checkpoint, message, payout } = await accepted()
    for (const proof of [message, payout]) {
      const verdict = await verify(proof)
      assert.deepEqual(verdict.root, checkpointRoot(checkpoint))
      assert.deepEqual([verdict.lastEpoch, verdict.keptEpoch], [0, 0])
      const { hash } = await world.client.getBlock({ blockNumber: verdict.block.number })
      assert.equal(bytesToHex(verdict.block.hash), hash)
      const [what, when, active] = verdictSentences(verdict, proof)
      assert.match(what ?? '', /on chain 31337 accepted checkpoint [0-9a-f]{64} for epoch 0/)
      assert.match(when ?? '', /one endpoint, which is believed/)
      assert.match(active ?? '', /is active since .*; the last one accepted is of epoch 0/)
    }
  })

  it('reaches roots that the contract keeps no more by the parents of later ones', async () => {
    const network = await startNetwork(world, 1)
    let checkpoint = network.next(network.first, ROOTS)
    const proofs = proofsOf(checkpoint, network.network)
    const lie = { ...checkpoint, earnedTotal: 1n }
    for (let epoch = 0; epoch < MANY; epoch++) {
      await network.submit(network.argumentsOf(checkpoint))
      checkpoint = network.next(checkpoint)
    }
    const verdict = await verify(proofs.payout)
    assert.deepEqual([verdict.lastEpoch, verdict.keptEpoch], [MANY - 1, MANY - 256])
    assert.match(verdictSentences(verdict, proofs.payout)[0] ?? '', /2 checkpoints link it/)
    const other = proofsOf(lie, network.network).payout
    assert.equal(await refusal(verify(other)), 'badProof')

    // An endpoint that leaves one out is passed over; alone it is of no use.
    const forgetful = endpoint((answer, method) =>
      method === 'eth_getLogs' ? { ...(answer as object), result: [] } : answer,
    )
    const both = await verify(proofs.payout, { endpoints: [forgetful, endpoint()] })
    assert.equal(both.endpoints, 2)
    assert.equal(await refusal(verify(proofs.payout, { endpoints: [forgetful] })), 'missingLinks')

    // One that gives logs of few blocks at a time is asked for less.
    let calls = 0
    const narrow = endpoint((answer, method, params) => {
      if (method !== 'eth_getLogs') return answer
      calls++
      const [{ fromBlock, toBlock }] = params as [{ fromBlock: Hex; toBlock: Hex }]
      const blocks = BigInt(toBlock) - BigInt(fromBlock)
      return blocks < 120n ? answer : { error: { code: -32005, message: 'too many blocks' } }
    })
    await verify(proofs.payout, { endpoints: [narrow] })
    assert.ok(calls > 1)
  })

  it('holds for what is a year old, by endpoints that give logs of 1,000 blocks at once', async () => {
    const network = sha256(new Uint8Array(1))
    const { tree } = committeeOf(1)
    const past = historyOf({ epochs: YEAR, every: 300n, change: ROOTS, nextCommittee: tree.word })
    const last = past.checkpoints.at(-1) as Checkpoint
    // A contract whose last epoch is a year's: a mirror may begin with any. Its logs lie before it.
    const plan = {
      ...TESTNET_PARAMETERS,
      deployer: world.deployer.account.address,
      network: bytesToHex(network),
      genesis: 1n,
      checkpoint: bytesToHex(Checkpoint.serialize(last)),
      nextCommittee: bytesToHex(last.nextCommittee),
    }
    const { checkpoints } = await deployMirror(plan, async ({ to = null, data }) => {
      const hash = await world.deployer.sendTransaction({ to, data })
      const { contractAddress } = await world.client.waitForTransactionReceipt({ hash })
      return contractAddress ? { contract: contractAddress } : {}
    })
    let calls = 0
    const server = createServer(async (request, response) => {
      const call = JSON.parse(await text(request))
      if (call.method === 'eth_getLogs') calls++
      response.end(JSON.stringify(await answered(call)))
    })
    const answered = async ({ id, method, params }: Call) => {
      if (method !== 'eth_getLogs') return moved(method, await asked(method, params))
      try {
        return { id, result: logsFor(past, params, 1_000n) }
      } catch {
        return { id, error: { code: -32_000, message: 'block range is too wide' } }
      }
    }
    const asked = async (method: string, params: unknown[]): Promise<{ result?: Hex }> => {
      const height = ([at, whole]: unknown[]) => [
        `0x${(BigInt(at as Hex) - past.newest).toString(16)}`,
        whole,
      ]
      const inside = method === 'eth_getBlockByNumber' ? height(params) : params
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: inside })
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(world.anvil.rpcUrl, { method: 'POST', headers, body })
      return (await response.json()) as { result?: Hex }
    }
    const moved = (method: string, answer: { result?: Hex }) =>
      method === 'eth_blockNumber'
        ? { result: `0x${(BigInt(answer.result ?? 0) + past.newest).toString(16)}` }
        : answer
    await once(server.listen(0, '127.0.0.1'), 'listening')
    try {
      const { port } = server.address() as AddressInfo
      const over = jsonRpc(async body =>
        (await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body })).text(),
      )
      const contract = { chainId: 31337n, checkpoints: hexToBytes(checkpoints), network }
      const heard: number[] = []
      const { payout } = proofsOf(past.checkpoints[0] as Checkpoint, network)
      const endpoints = [over]
      const onLinks = (found: number) => heard.push(found)
      const verdict = await verify(payout, { contract, endpoints, onLinks })
      assert.deepEqual([verdict.keptEpoch, payout.epoch], [YEAR - 1, 0])
      assert.equal(heard.at(-1), YEAR - 1)
      assert.ok(calls < 2_700, `${calls} calls`)
      const near = past.checkpoints[YEAR - 300] as Checkpoint
      const forged = proofsOf({ ...near, ...ROOTS }, network).message
      assert.equal(await refusal(verify(forged, { contract, endpoints })), 'badProof')
    } finally {
      server.close()
    }
  })

  it('refuses what was changed in the file before it asks anybody', async () => {
    const { message, payout } = await accepted()
    const silent: RpcRequest = () => assert.fail('asked')
    const file = encodeProofFile(message)
    const paid = encodeProofFile(payout)
    const zero = '00'.repeat(32)
    const changes: ProofFileJson[] = [
      { ...file, leaf: hex(IDS[1] as Uint8Array) },
      { ...file, index: 1 },
      { ...file, index: IDS.length, leaf: zero },
      { ...file, index: 2 ** 32 - 1 },
      { ...file, path: file.path.slice(1) },
      { ...file, path: [...file.path, zero] },
      { ...file, field: 'deals' },
      { ...paid, payout: { account: '01'.repeat(20), earned: `1${'0'.repeat(30)}`, spent: '7' } },
      { ...paid, payout: { account: '09'.repeat(20), earned: `${10n ** 20n + 1n}`, spent: '7' } },
    ]
    for (const [i, change] of changes.entries()) {
      const proof = parseProofFile(JSON.stringify(change))
      const code = await refusal(verify(proof, { endpoints: [silent] }))
      assert.equal(code, 'badProof', `change ${i}`)
    }
  })

  it('refuses a file that agrees with itself but not with the chain', async () => {
    const { network, checkpoint } = await accepted()
    const forged = { ...checkpoint, payouts: listRoot(LEAVES.slice(0, 1), ListDepth.payouts) }
    const { message } = proofsOf(forged, network.network, LEAVES.slice(0, 1))
    assert.equal(await refusal(verify(message)), 'badProof')
    const later = network.next(checkpoint, ROOTS)
    assert.equal(
      await refusal(verify(proofsOf(later, network.network).message)),
      'checkpointNotAccepted',
    )
    const far = { ...later, epoch: 2n ** 40n }
    assert.equal(
      await refusal(verify(proofsOf(far, network.network).message)),
      'checkpointNotAccepted',
    )
  })

  it('refuses another network, another contract and another chain', async () => {
    const { message, network, checkpoint } = await accepted()
    const theirs = proofsOf(checkpoint, sha256(network.network)).message
    assert.equal(await refusal(verify(theirs)), 'otherNetwork')
    const { change } = await delayed()
    assert.equal(await refusal(verify(message, change)), 'otherNetwork')
    const checkpoints = hexToBytes(world.contracts.checkpoints)
    const elsewhere = { contract: { chainId: 1n, checkpoints } }
    assert.equal(await refusal(verify(message, elsewhere)), 'wrongChain')
    const nobody = { contract: { chainId: 31337n, checkpoints: new Uint8Array(20).fill(9) } }
    assert.equal(await refusal(verify(message, nobody)), 'badRpc')
    const token = { chainId: 31337n, checkpoints: hexToBytes(world.contracts.token) }
    assert.equal(await refusal(verify(message, { contract: token })), 'rpcRefused')
    const named = { chainId: 31337n, checkpoints, network: sha256(network.network) }
    assert.equal(await refusal(verify(theirs, { contract: named })), 'otherNetwork')
  })

  it('refuses a checkpoint that is not active yet, and one that was cancelled', async () => {
    const { network, checkpoints, change } = await delayed()
    const checkpoint = network.next(network.first, ROOTS)
    const { message } = proofsOf(checkpoint, network.network)
    await network.submit(network.argumentsOf(checkpoint))
    assert.equal(await refusal(verify(message, change)), 'checkpointNotActive')
    const id = await world.client.snapshot()
    const cancel = { ...checkpoints, functionName: 'cancel' } as const
    const before = bytesToHex(Checkpoint.serialize(network.first))
    const transport = anvilTransport(world.anvil.rpcUrl)
    const { account, address } = testGuardian()
    await world.client.setBalance({ address, value: 10n ** 18n })
    const guardian = createWalletClient({ account, chain: foundry, transport })
    await world.mined(await guardian.writeContract({ ...cancel, args: [0n, before] }))
    assert.equal(await refusal(verify(message, change)), 'checkpointCancelled')
    // The next vote is for another.
    const again = network.next(network.first, { ...ROOTS, spentTotal: 1n })
    await network.submit(network.argumentsOf(again, 1))
    await world.client.increaseTime({ seconds: Number(DELAY) })
    await world.client.mine({ blocks: 1 })
    assert.equal(await refusal(verify(message, change)), 'checkpointCancelled')
    await verify(proofsOf(again, network.network).message, change)
    await world.client.revert({ id })
    await world.client.increaseTime({ seconds: Number(DELAY) })
    await world.client.mine({ blocks: 1 })
    const { activeAt, block } = await verify(message, change)
    assert.ok(activeAt <= block.timestamp)
  })

  it('believes no endpoint that another contradicts', async () => {
    const { message, checkpoint, network } = await accepted()
    const forged = { ...checkpoint, earnedTotal: 1n }
    const lie = hex(checkpointRoot(forged))
    const truth = hex(checkpointRoot(checkpoint))
    const liar = endpoint(answer => JSON.parse(JSON.stringify(answer).replaceAll(truth, lie)))
    const { message: false_ } = proofsOf(forged, network.network)
    await verify(false_, { endpoints: [liar] })
    for (const endpoints of [
      [liar, endpoint()],
      [endpoint(), liar],
    ]) {
      assert.equal(await refusal(verify(false_, { endpoints })), 'endpointsDisagree')
      assert.equal(await refusal(verify(message, { endpoints })), 'endpointsDisagree')
    }
  })

  it('goes by the block that all endpoints have, with as many upon it as asked', async () => {
    const { message } = await accepted()
    assert.equal(await refusal(verify(message, { finality: 2 })), 'checkpointNotAccepted')
    await world.client.mine({ blocks: 5 })
    const behind = endpoint((answer, method) =>
      method === 'eth_blockNumber'
        ? { result: `0x${(BigInt((answer as { result: Hex }).result) - 2n).toString(16)}` }
        : answer,
    )
    const verdict = await verify(message, { endpoints: [endpoint(), behind], finality: 2 })
    const head = await world.client.getBlockNumber()
    assert.deepEqual([verdict.newest, verdict.block.number], [head - 2n, head - 4n])
  })

  it('ends with a coded error whatever an endpoint answers', async () => {
    const { message } = await accepted()
    const answers: unknown[] = [
      null,
      [],
      1,
      'x',
      {},
      { result: '0x' },
      { result: '0xzz' },
      { result: `0x${'ff'.repeat(33)}` },
      { result: `0x${'ff'.repeat(32)}` },
      { result: null },
      { result: { hash: 1 } },
      { error: { code: 3, message: 'execution reverted', data: `0x${'00'.repeat(4)}` } },
      { error: 'no' },
    ]
    const methods = ['eth_chainId', 'eth_blockNumber', 'eth_getBlockByNumber', 'eth_call']
    for (const wrong of answers) {
      for (const method of methods) {
        const odd = endpoint((answer, asked) => (asked === method ? wrong : answer))
        const code = await refusal(verify(message, { endpoints: [odd] }))
        assert.ok(
          ['badRpc', 'rpcRefused', 'otherNetwork', 'wrongChain'].includes(code),
          `${code} for ${JSON.stringify(wrong)} to ${method}`,
        )
      }
    }
    const endless = jsonRpc(async () => 'x'.repeat(5 * 1024 * 1024))
    assert.equal(await refusal(verify(message, { endpoints: [endless] })), 'badRpc')
    assert.equal(await refusal(verify(message, { endpoints: [] })), 'usage')
    const crowd = Array.from({ length: LIGHT_ENDPOINTS_MAX + 1 }, () => endpoint())
    assert.equal(await refusal(verify(message, { endpoints: crowd })), 'usage')
  })
})

function proofsOf(checkpoint: Checkpoint, network: Uint8Array, leaves = LEAVES) {
  const about = { network, epoch: Number(checkpoint.epoch), checkpoint }
  const of = (field: 'messages' | 'payouts', list: Uint8Array[]) =>
    inclusionProof({ checkpoint, field, leaves: list, position: 0 })
  const message: ProofFile = { ...about, inclusion: of('messages', IDS), message: MESSAGE }
  const payout: ProofFile = {
    ...about,
    inclusion: of('payouts', leaves),
    payout: PAYOUTS[0] as Payout,
  }
  return { message, payout }
}

async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    assert.ok(error instanceof CairnError, String((error as Error).stack))
    return error.code
  }
  return 'holds'
}
