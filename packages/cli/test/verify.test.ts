import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import {
  Attestation,
  bls,
  type Checkpoint,
  type Envelope,
  ed25519,
  encodeProofFile,
  hex,
  inclusionProof,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  Ready,
  seal,
  sha256,
  Verdict,
  Vote,
  voteSigningRoot,
} from '@cairn/protocol'
import {
  nodeSecrets,
  openWorld,
  register,
  startNetwork,
  type World,
} from '../../contracts/test/world.ts'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { manifestOf, NOBODY } from './manifest.ts'
import { type CairnFailure, cairn, jsonOf, temporaryDirectory } from './process.ts'

const BASE = new Uint8Array(8)

interface RpcCall {
  id: number
  method: string
  params: unknown
}

interface ChainFacts {
  chainId: number
  contract: string
  endpoints: number
  lastEpoch: number
  keptEpoch: number
  block: number
  newest: number
}

describe('ledger verify against the chain', () => {
  const directory = temporaryDirectory()
  let world: World
  let network: Awaited<ReturnType<typeof startNetwork>>
  let accepted: Checkpoint
  /** Messages of the accepted checkpoint, by what is to be said of them. */
  let messages: Record<'ready' | 'vote' | 'attestation' | 'foreign' | 'unknown' | 'deal', Envelope>

  before(async () => {
    world = await openWorld()
    network = await startNetwork(world, 4)
    await register(world, 0)
    messages = messagesOf(network.network)
    const change = { messages: listRoot(sortedIds(), ListDepth.messages) }
    accepted = network.next(network.first, change)
    await network.submit(network.argumentsOf(accepted))
  })
  after(() => world.anvil.stop())

  /** By each of them: node 0, who is registered, another in its name, and one who is not. */
  function messagesOf(id: Uint8Array): typeof messages {
    const { identity, voting } = nodeSecrets(0)
    const ready = (epoch: number, author: number, secret: Uint8Array) =>
      seal(MessageType.ready, Ready, { epoch, base: BASE, kind: 0, author }, id, root =>
        ed25519.sign(root, secret),
      )
    const checkpoint = sha256(BASE)
    const root = voteSigningRoot({ epoch: 0n, round: 1n, checkpoint }, id)
    const vote = { epoch: 0, base: BASE, kind: 0, author: 0, round: 1, checkpoint }
    return {
      ready: ready(0, 0, identity),
      vote: {
        type: MessageType.vote,
        body: Vote.serialize(vote),
        signature: bls.sign(root, voting),
      },
      attestation: seal(
        MessageType.attestation,
        Attestation,
        {
          ...{ epoch: 0, base: BASE, kind: 2, author: 0, challenge: checkpoint },
          ...{ seenSlot: 1, verdict: Verdict.fail, reason: 1, evidence: new Uint8Array() },
        },
        id,
        signed => ed25519.sign(signed, identity),
      ),
      foreign: ready(1, 0, nodeSecrets(1).identity),
      unknown: ready(0, 1, nodeSecrets(1).identity),
      deal: { type: MessageType.deal, body: new Uint8Array(40), signature: new Uint8Array(128) },
    }
  }

  function sortedIds(): Uint8Array[] {
    return Object.values(messages)
      .map(messageId)
      .toSorted((a, b) => Buffer.compare(a, b))
  }

  async function prove(
    name: keyof typeof messages,
    change: { checkpoint?: Checkpoint; network?: Uint8Array } = {},
  ): Promise<string> {
    const checkpoint = change.checkpoint ?? accepted
    const leaves = sortedIds()
    const message = messages[name]
    const position = leaves.findIndex(id => hex(id) === hex(messageId(message)))
    const file = join(directory(), 'proof.json')
    const proof = encodeProofFile({
      network: change.network ?? network.network,
      epoch: 0,
      checkpoint,
      inclusion: inclusionProof({ checkpoint, field: 'messages', leaves, position }),
      message,
    })
    await writeFile(file, JSON.stringify(proof))
    return file
  }

  async function manifest(genesis = network.genesis): Promise<string[]> {
    const file = join(directory(), 'net.json')
    const chain = { chainId: 31337, rpc: [NOBODY], contracts: world.contracts, finality: 0 }
    await writeFile(file, manifestOf({ chain, genesis: Number(genesis) }))
    return ['--network', file]
  }

  const offline = (file: string, ...args: string[]) =>
    cairn(['ledger', 'verify', file, '--json', ...args])
  const verify = (file: string, ...args: string[]) =>
    offline(file, '--rpc', world.anvil.rpcUrl, ...args)
  const contract = () => ['--contract', world.contracts.checkpoints]
  /** The chain's endpoint, but for what `change` answers itself. */
  async function proxy(change: (call: RpcCall) => object | undefined) {
    const headers = { 'content-type': 'application/json' }
    const server = createServer(async (request, response) => {
      const body = await text(request)
      const call = JSON.parse(body) as RpcCall
      const changed = change(call)
      if (changed !== undefined) {
        response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, ...changed }))
        return
      }
      const asked = await fetch(world.anvil.rpcUrl, { method: 'POST', headers, body })
      response.end(await asked.text())
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }
  const refusal = async (ended: ReturnType<typeof cairn>) => {
    const { code, stdout } = await ended
    return [code, (JSON.parse(stdout) as CairnFailure).error.code]
  }

  it('holds for what the contract accepted, and says that all was checked', async () => {
    for (const name of ['ready', 'vote'] as const) {
      const held = jsonOf(await verify(await prove(name), ...(await manifest())))
      assert.deepEqual([held.valid, held.against], [true, 'chain'])
      assert.equal(held.leaf, hex(messageId(messages[name])))
      assert.deepEqual(held.checked, ['path', 'network', 'accepted', 'chain', 'signature'])
      assert.deepEqual(held.unchecked, [])
      const { chainId, contract: asked, endpoints, lastEpoch, keptEpoch } = held.chain as ChainFacts
      assert.deepEqual([chainId, endpoints, lastEpoch, keptEpoch], [31337, 1, 0, 0])
      assert.equal(asked, world.contracts.checkpoints.toLowerCase())
    }
  })

  it('says what it could not check, and what to pass for it', async () => {
    const file = await prove('ready')
    const alone = jsonOf(await offline(file))
    assert.deepEqual(alone.checked, ['path'])
    assert.deepEqual(alone.unchecked, ['network', 'accepted', 'signature'])
    const named = jsonOf(await offline(file, ...(await manifest())))
    assert.deepEqual(named.checked, ['path', 'network'])
    const asked = jsonOf(await verify(file, ...contract()))
    assert.deepEqual(asked.checked, ['path', 'network', 'accepted'])
    assert.deepEqual(asked.unchecked, ['chain', 'signature'])
    const pinned = jsonOf(await verify(file, ...contract(), '--chain-id', '31337'))
    assert.deepEqual(pinned.checked, ['path', 'network', 'accepted', 'chain'])
    const { stdout } = await cairn(['ledger', 'verify', file])
    assert.match(stdout, /^ {2}checked +the leaf climbs/m)
    assert.match(stdout, /^ {2}not checked +who signed the message: pass --network and --rpc/m)
    const offlineNamed = await cairn(['ledger', 'verify', file, ...(await manifest())])
    assert.match(offlineNamed.stdout, /not checked +who signed the message: pass --rpc, for/)
    assert.doesNotMatch(offlineNamed.stdout, /pass --network/)
    const deal = jsonOf(await verify(await prove('deal'), ...(await manifest())))
    assert.deepEqual(deal.unchecked, ['signature'], 'a deal has two signers and no author')
  })

  it('says in sentences what it was held against', async () => {
    const url = world.anvil.rpcUrl
    const args = ['--rpc', url, '--rpc', `${url}/?other`, ...(await manifest())]
    const { stdout } = await cairn(['ledger', 'verify', await prove('ready'), ...args])
    assert.match(stdout, /^contract 0x[0-9a-f]{40} on chain 31337 accepted checkpoint .* epoch 0$/m)
    assert.match(stdout, /^it said so in block \d+ .* 0 blocks below .* by 2 endpoints alike$/m)
    assert.match(
      stdout,
      /^the checkpoint is active since 20.*; the last one accepted is of epoch 0$/m,
    )
  })

  it('says what an attestation says, and of what', async () => {
    const { stdout } = await cairn(['ledger', 'verify', await prove('attestation')])
    assert.match(
      stdout,
      /^it is an attestation of coverage: node 0 says 'fail' of challenge [0-9a-f]{64}/m,
    )
  })

  it('counts an endpoint that is named twice once', async () => {
    const again = ['--rpc', `${world.anvil.rpcUrl}/`, ...(await manifest())]
    const held = jsonOf(await verify(await prove('ready'), ...again))
    assert.equal((held.chain as ChainFacts).endpoints, 1)
  })

  it('asks about a block with as many upon it as is said', async () => {
    const args = [...contract(), '--finality']
    const file = await prove('ready')
    const early = await refusal(verify(file, ...args, '1'))
    assert.deepEqual(early, [EXIT_CODES.notTrue.code, 'checkpointNotAccepted'])
    await world.client.mine({ blocks: 1 })
    const held = jsonOf(await verify(file, ...args, '1'))
    const { block, newest } = held.chain as ChainFacts
    assert.equal(newest - block, 1)
  })

  it('refuses endpoints of another chain, and one that does not answer', async () => {
    const file = await prove('ready')
    const other = await refusal(verify(file, ...contract(), '--chain-id', '1'))
    assert.deepEqual(other, [EXIT_CODES.config.code, 'wrongChain'])
    const half = await refusal(verify(file, '--rpc', NOBODY, ...contract()))
    assert.deepEqual(half, [EXIT_CODES.notRunning.code, 'chainUnavailable'])
    const { stdout } = await verify(file, '--rpc', `${NOBODY}/secret`, ...contract())
    const { message } = (JSON.parse(stdout) as CairnFailure).error
    assert.ok(message.includes(new URL(NOBODY).origin), message)
    assert.ok(!stdout.includes('secret'), 'a path may be a key')
  })

  it('refuses what the chain did not accept', async () => {
    const checkpoint = { ...accepted, earnedTotal: 1n }
    const invented = await prove('ready', { checkpoint })
    const refused = await refusal(verify(invented, ...(await manifest())))
    assert.deepEqual(refused, [EXIT_CODES.notTrue.code, 'badProof'])
    assert.equal(jsonOf(await offline(invented)).against, 'file', 'alone it agrees with itself')
    const nowhere = ['--contract', `0x${'ab'.repeat(20)}`]
    const silent = await refusal(verify(invented, ...nowhere))
    assert.deepEqual(silent, [EXIT_CODES.notRunning.code, 'badRpc'])
  })

  it('refuses a proof of another network, by the manifest and by the contract', async () => {
    const other = [EXIT_CODES.config.code, 'otherNetwork']
    const ours = await prove('ready')
    assert.deepEqual(await refusal(offline(ours, ...(await manifest(1n)))), other)
    const theirs = await prove('ready', { network: sha256(BASE) })
    assert.deepEqual(await refusal(verify(theirs, ...contract())), other)
    assert.deepEqual(await refusal(offline(theirs, ...(await manifest()))), other)
  })

  it('refuses a message that its author did not sign, or that has no author', async () => {
    for (const name of ['foreign', 'unknown'] as const) {
      const refused = await refusal(verify(await prove(name), ...(await manifest())))
      assert.deepEqual(refused, [EXIT_CODES.notTrue.code, 'badProof'], name)
    }
  })

  it('believes of who signed what all endpoints say, and asks each for the logs of one block', async () => {
    const file = await prove('ready')
    const narrow = await proxy(({ method, params }) => {
      const [query] = params as [{ fromBlock?: string; toBlock?: string }]
      const tooWide = method === 'eth_getLogs' && query.fromBlock !== query.toBlock
      return tooWide ? { error: { code: -32_000, message: 'one block at a time' } } : undefined
    })
    const args = await manifest()
    const held = jsonOf(await offline(file, '--rpc', narrow.url, ...args))
    assert.ok((held.checked as string[]).includes('signature'))
    const forgetful = await proxy(({ method }) =>
      method === 'eth_getLogs' ? { result: [] } : undefined,
    )
    const refused = await refusal(verify(file, '--rpc', forgetful.url, ...args))
    assert.deepEqual(refused, [EXIT_CODES.notTrue.code, 'badProof'])
    for (const { server } of [narrow, forgetful]) server.close()
  })

  it('says what --rpc needs', async () => {
    const file = await prove('ready')
    const alone = await verify(file)
    assert.equal(alone.code, EXIT_CODES.usage.code)
    assert.match(jsonOf<CairnFailure>(alone).error.next ?? '', /--network MANIFEST.*--contract/)
    const usage = [EXIT_CODES.usage.code, 'usage']
    assert.deepEqual(await refusal(verify(file, '--contract', 'none')), usage)
    assert.deepEqual(await refusal(offline(file, '--rpc', 'nowhere', ...contract())), usage)
  })
})
