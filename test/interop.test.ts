/**
 * Clients that share no code with the node's network find it by `testnet.json` and the pages: a
 * plain libp2p node, a UDP socket, `fetch`, viem.
 */
import { strict as assert } from 'node:assert'
import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { checkpointsAbi } from '@cairn/contracts'
import type { Json, MessagePage } from '@cairn/node'
import {
  bls,
  checkpointRoot,
  decode,
  deriveKeys,
  Envelope,
  hex,
  MessageType,
  messageId,
  mnemonicOf,
  sha256,
  unhex,
  Vote,
  voteSigningRoot,
} from '@cairn/protocol'
import { derive } from '@cairn/testnet'
import { gossipsub } from '@chainsafe/libp2p-gossipsub'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { createPublicClient, http } from 'viem'
import { accepted, adopted, presentEpoch, sharedTestnet, until } from './network.ts'

/** What a test waits for at most where no event tells, ms. */
const SOON_MS = 30_000
const GOSSIP_MAX_BYTES = 16 * 1024

describe('a foreign client', () => {
  const running = sharedTestnet()
  let client: Awaited<ReturnType<typeof plainNode>>
  before(async () => {
    client = await plainNode()
    const { node } = running().testnet.daemon('node1')
    if (node.checkpointer.adopted < 0) await adopted(node, 0)
  })
  after(() => client.stop())
  afterEach(() => assert.deepEqual(running().testnet.monitor.violations, []))

  const target = () => {
    const node = running().file.nodes.find(({ name }) => name === 'node1')
    assert.ok(node !== undefined)
    return node
  }
  const address = () => multiaddr(target().multiaddrs[0])
  const networkName = () => running().file.network.slice(0, 16)

  /** One request on a stream of its own, as docs/protocol.md says: a header and the payload. */
  async function request(protocol: string, payload: Uint8Array): Promise<Uint8Array> {
    const stream = await client.dialProtocol(address(), `/cairn/${networkName()}/${protocol}/1`)
    const header = new DataView(new ArrayBuffer(13))
    header.setUint32(0, payload.length, true)
    header.setUint32(4, 7, true)
    header.setUint32(9, 1024 * 1024, true)
    stream.send(Buffer.concat([new Uint8Array(header.buffer), payload]))
    let got = Buffer.alloc(0)
    for await (const part of stream) {
      got = Buffer.concat([got, part instanceof Uint8Array ? part : part.subarray()])
      if (got.length >= 13 && got.length >= 13 + got.readUInt32LE(0)) break
    }
    await stream.close()
    assert.equal(got.readUInt32LE(4), 7, 'the answer has the id of the request')
    assert.equal(got[8], 1, `an error: ${got.subarray(13)}`)
    return got.subarray(13, 13 + got.readUInt32LE(0))
  }

  async function api(path: string): Promise<Response> {
    const token = (await readFile(target().tokenPath, 'utf8')).trim()
    return await fetch(`${target().api}${path}`, { headers: { authorization: `Bearer ${token}` } })
  }

  async function metric(name: string, labels: Record<string, string>): Promise<number> {
    const text = await (await api('/metrics')).text()
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    const lines = text.split('\n').filter(line => line.startsWith(`${name}{`))
    const found = lines.find(line => wanted.every(label => line.includes(label)))
    return Number(found?.split(' ').at(-1) ?? 0)
  }

  it('asks status and fetches messages by their ids', async () => {
    const sent = Buffer.alloc(8)
    const before = Date.now()
    sent.writeBigUInt64LE(BigInt(before))
    const status = Buffer.from(await request('status', sent))
    assert.equal(status.length, 12)
    const time = Number(status.readBigUInt64LE(0))
    assert.ok(before <= time && time <= Date.now(), `${time} is between question and answer`)
    const epoch = status.readUInt32LE(8) - 1
    assert.ok(epoch >= 0)

    const page = (await (
      await api(`/v1/ledger?epoch=${epoch}&limit=5`)
    ).json()) as Json<MessagePage>
    const ids = page.messages.map(({ id }) => id)
    assert.ok(ids.length > 0)
    const unknown = 'ab'.repeat(32)
    const answer = await request('fetch', list([...ids, unknown].map(unhex)))
    const found = envelopes(answer).map(bytes => hex(messageId(decode(Envelope, bytes))))
    assert.deepEqual(found, ids, 'what it has, in the order asked')
  })

  it('may gossip what it likes: the network counts it and goes on', async () => {
    const { testnet, file } = running()
    const { pubsub } = client.services
    const network = networkName()
    const topic = (name: string) => `/cairn/${network}/${name}`
    const votes: Uint8Array[] = []
    pubsub.addEventListener('message', ({ detail }) => {
      if (detail.topic !== topic('checkpoint')) return
      if (decode(Envelope, detail.data).type === MessageType.vote) votes.push(detail.data)
    })
    pubsub.subscribe(topic('checkpoint'))
    await client.dial(address())
    const { peerId } = target()
    const topics = ['0/storage', '0/coverage', '0/kernel', '0/deals', 'checkpoint'].map(topic)
    await until(
      SOON_MS,
      () => topics.filter(name => pubsub.getSubscribers(name).some(p => p.toString() === peerId)),
      subscribed => subscribed.length === topics.length,
    )
    await accepted(testnet, presentEpoch(testnet))
    const [heard] = votes
    assert.ok(heard !== undefined, 'it hears what the nodes say')

    const { body, signature } = decode(Envelope, heard)
    const vote = decode(Vote, body)
    // A second vote of somebody in one round would be an offence: nobody can forge one.
    const spoiled = { ...vote, checkpoint: sha256(vote.checkpoint) }
    const envelopeOf = (value: Vote, signed: Uint8Array) =>
      Envelope.serialize({
        type: MessageType.vote,
        body: Vote.serialize(value),
        signature: signed,
      })
    const place = file.nodes.findIndex(({ index }) => index === vote.author)
    const keys = deriveKeys(mnemonicOf(derive(1, `node ${place}`)))
    const { epoch, round, checkpoint } = spoiled
    const foreign = voteSigningRoot(
      { epoch: BigInt(epoch), round: BigInt(round), checkpoint },
      sha256(unhex(file.network)),
    )

    const cases: { what: string; topic: string; data: Uint8Array; reason: string }[] = [
      { what: 'garbage', topic: '0/storage', data: noise32(), reason: 'badEncoding' },
      {
        what: 'a truncated envelope',
        topic: '0/coverage',
        data: heard.subarray(0, heard.length - 100),
        reason: 'badEncoding',
      },
      {
        what: 'an oversized one',
        topic: '0/kernel',
        data: new Uint8Array(GOSSIP_MAX_BYTES + 1),
        reason: 'tooLarge',
      },
      {
        what: 'a wrong signature',
        topic: 'checkpoint',
        data: envelopeOf(spoiled, signature),
        reason: 'badSignature',
      },
      {
        what: 'one for another network',
        topic: 'checkpoint',
        data: envelopeOf(spoiled, bls.sign(foreign, keys.voting.secret)),
        reason: 'badSignature',
      },
      {
        what: 'a vote where deals belong',
        topic: '0/deals',
        data: envelopeOf({ ...vote, round: 0, checkpoint: noise32() }, signature),
        reason: 'unknownType',
      },
    ]
    for (const { what, topic: name, data, reason } of cases) {
      const before = await metric('cairn_messages_total', { outcome: 'reject', reason })
      await pubsub.publish(topic(name), data)
      await until(
        SOON_MS,
        () => metric('cairn_messages_total', { outcome: 'reject', reason }),
        now => now >= before + 1,
      ).catch(() => assert.fail(`${what} was not counted as ${reason}`))
    }
    // A duplicate is not judged again.
    const rejects = await metric('cairn_messages_total', {
      outcome: 'reject',
      reason: 'badEncoding',
    })
    await pubsub.publish(topic('0/storage'), noise32()).catch(() => undefined)

    const epochNow = presentEpoch(testnet)
    const next = await accepted(testnet, epochNow)
    assert.ok(next.epoch >= epochNow)
    assert.equal(
      await metric('cairn_messages_total', { outcome: 'reject', reason: 'badEncoding' }),
      rejects,
    )
    // All others and this one.
    await until(
      SOON_MS,
      () => testnet.daemon('node1').network.peers().length,
      peers => peers === file.nodes.length,
    )
  })

  it('may send anything to the packet forwarder’s port', async () => {
    const { testnet } = running()
    const { gwmp } = target()
    assert.ok(gwmp !== null)
    const [host = '', port] = gwmp.split(':')
    const socket = createSocket('udp4')
    const bad = { direction: 'datagram', outcome: 'badDatagram' }
    const before = await metric('cairn_radio_frames_total', bad)
    const datagrams = [
      new Uint8Array(0),
      noise32(),
      Buffer.from([2, 1, 2, 0]),
      Buffer.concat([Buffer.from([2, 1, 2, 0, ...new Uint8Array(8)]), Buffer.from('{"rxpk":[{')]),
      Buffer.alloc(9_000, 0x7b),
    ]
    for (const datagram of datagrams) {
      await new Promise<void>((resolve, reject) => {
        socket.send(datagram, Number(port), host, error => (error ? reject(error) : resolve()))
      })
    }
    await until(
      SOON_MS,
      () => metric('cairn_radio_frames_total', bad),
      now => now > before,
    )
    await new Promise<void>(resolve => socket.close(() => resolve()))
    const status = await testnet.daemon('node1').view.status()
    assert.ok(!status.reasons.some(({ code }) => code === 'radio'))
  })

  it('reads the API with the token and not without', async () => {
    const status = (await (await api('/v1/status')).json()) as { peerId: string }
    assert.equal(status.peerId, target().peerId)
    const without = await fetch(`${target().api}/v1/status`)
    assert.equal(without.status, 401)
    const { error } = (await without.json()) as { error: { code: string } }
    assert.equal(error.code, 'unauthorized')
  })

  it('reads the accepted checkpoint from the contract', async () => {
    const { chain } = running().file
    const { node } = running().testnet.daemon('node1')
    const { adopted: epoch } = node.checkpointer
    const reader = createPublicClient({ transport: http(chain.rpc) })
    assert.equal(await reader.getChainId(), chain.chainId)
    const root = await reader.readContract({
      address: chain.contracts.checkpoints as `0x${string}`,
      abi: checkpointsAbi,
      functionName: 'rootOf',
      args: [BigInt(epoch)],
    })
    const parent = await node.settlements.accepted(epoch)
    assert.ok(parent !== undefined)
    assert.equal(root, `0x${hex(checkpointRoot(parent.checkpoint))}`)
  })
})

async function plainNode() {
  return await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      pubsub: gossipsub({
        globalSignaturePolicy: 'StrictNoSign',
        allowPublishToZeroTopicPeers: false,
        ignoreDuplicatePublishError: true,
      }),
    },
  })
}

/** Bytes that no envelope begins with. */
function noise32(): Uint8Array {
  return sha256(Uint8Array.of(1, 2, 3))
}

/** SSZ of a container whose one field is a list of 32-byte values. */
function list(ids: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Buffer.from([4, 0, 0, 0]), ...ids])
}

/** The items of a container whose one field is a list of values of variable length. */
function envelopes(bytes: Uint8Array): Uint8Array[] {
  const items = Buffer.from(bytes).subarray(4)
  if (items.length === 0) return []
  const count = items.readUInt32LE(0) / 4
  const starts = Array.from({ length: count }, (_, place) => items.readUInt32LE(4 * place))
  return starts.map((start, place) => items.subarray(start, starts[place + 1] ?? items.length))
}
