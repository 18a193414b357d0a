/** Raw libp2p peers that follow the wire but not the rules. */
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import {
  type Counts,
  deadline,
  encodeHeader,
  FrameReader,
  type Header,
  type Libp2pNetwork,
  type SystemClock,
  systemClock,
} from '@cairn/node'
import { RPC } from '@chainsafe/libp2p-gossipsub/message'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { clock, met, node, until } from './world.ts'

const MIB = 1024 * 1024
const PROTOCOL = '/cairn/cacacacacacacaca/echo/1'
const BIG_PROTOCOL = '/cairn/cacacacacacacaca/big/1'
const GOSSIP = '/meshsub/1.2.0'
const TOPIC = '/cairn/test/0/things'

function frame(header: Partial<Header>, payload = new Uint8Array()): Uint8Array {
  const full = { id: 1, status: 0 as const, limit: 1_000, length: payload.length, ...header }
  return Buffer.concat([encodeHeader(full), payload])
}

async function rawPeer(encryption: typeof noise | typeof tls = noise): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [encryption()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  })
}

/** What arrives on a stream, as frames. */
function answers(stream: Stream) {
  const list: { header: Header; text: string }[] = []
  const reader = new FrameReader({
    keep: () => true,
    frame: (header, payload) =>
      list.push({ header, text: new TextDecoder().decode(payload ?? new Uint8Array()) }),
  })
  stream.addEventListener('message', ({ data }) => reader.push(data.subarray()))
  return list
}

const ended = (stream: Stream) => until(() => stream.status !== 'open', 'the stream ends')

describe('a node among hostile peers', () => {
  let victim: Libp2pNetwork
  let friend: Libp2pNetwork
  let raw: Libp2p
  let victimClock: SystemClock
  let answered: number
  const offences: string[] = []
  const gossiped: string[] = []

  const count = <N extends keyof Counts>(name: N, labels: Counts[N]) => {
    if (name === 'offences') offences.push(Object.values(labels)[0] as string)
    if (name === 'gossip') gossiped.push(Object.values(labels).join(' '))
  }

  beforeEach(async () => {
    offences.length = 0
    gossiped.length = 0
    answered = 0
    victimClock = systemClock()
    victim = node({ count }, { clock: victimClock })
    victim.serve(
      'echo',
      { maxRequestBytes: 1_000, maxResponseBytes: 1_000, perSecond: 10_000 },
      async request => request,
    )
    victim.serve(
      'big',
      { maxRequestBytes: 1_000, maxResponseBytes: MIB, perSecond: 10_000 },
      async () => {
        answered++
        return new Uint8Array(MIB)
      },
    )
    await victim.start()
    friend = node({ bootstrap: victim.addresses() })
    await friend.start()
    await met(friend, victim)
    raw = await rawPeer()
  })

  afterEach(async () => {
    // Whatever happened, others are served.
    assert.equal(await ask(friend, victim.self), 'hello')
    await raw.stop()
    await friend.stop()
    await victim.stop()
  })

  const dial = (protocol: string, from = raw) =>
    from.dialProtocol(multiaddr(victim.addresses()[0] as string), protocol)

  async function ask(from: Libp2pNetwork, peer: string, protocol = 'echo'): Promise<string> {
    const { signal, clear } = deadline(clock, clock.now() + 5_000)
    const options = { signal, maxResponseBytes: 1_000 }
    const request = new TextEncoder().encode('hello')
    try {
      return new TextDecoder().decode(await from.request(peer, protocol, request, options))
    } finally {
      clear()
    }
  }

  it('answers a raw peer that follows the rules, over noise and over TLS', async () => {
    const overTls = await rawPeer(tls)
    for (const peer of [raw, overTls]) {
      const stream = await dial(PROTOCOL, peer)
      const list = answers(stream)
      stream.send(frame({ id: 7 }, Buffer.from('a')))
      stream.send(frame({ id: 8, limit: 1 }, Buffer.from('bc')))
      await until(() => list.length === 2, 'two answers')
      assert.deepEqual(
        list.map(({ header: { id, status }, text }) => ({ id, status, text })),
        [
          { id: 7, status: 1, text: 'a' },
          { id: 8, status: 2, text: 'tooLarge' },
        ],
      )
      await stream.close()
      await ended(stream)
    }
    assert.deepEqual(offences, [])
    await overTls.stop()
  })

  it('ends streams of garbage, then the connection, and admits no other', async () => {
    for (let i = 0; i < 3; i++) {
      const stream = await dial(PROTOCOL)
      stream.send(randomBytes(64).fill(0xff, 8, 9).fill(0, 0, 4))
      await ended(stream)
    }
    assert.deepEqual(offences, ['malformed', 'malformed', 'malformed'])
    // To the next look through the connections.
    victimClock.setOffset(6_000)
    await until(() => raw.getConnections().length === 0, 'the connection ends')
    await assert.rejects(async () => {
      await dial(PROTOCOL)
    })
  })

  it('ends a stream at the header of an oversized frame', async () => {
    const stream = await dial(PROTOCOL)
    stream.send(encodeHeader({ id: 1, status: 0, limit: 0, length: 2 ** 31 }))
    await ended(stream)
    assert.deepEqual(offences, ['oversized'])
  })

  it('reads past a request that is longer than the protocol allows', async () => {
    const stream = await dial(PROTOCOL)
    const list = answers(stream)
    stream.send(frame({ id: 1 }, new Uint8Array(MIB)))
    stream.send(frame({ id: 2 }, Buffer.from('next')))
    await until(() => list.length === 2, 'two answers')
    assert.deepEqual(
      list.map(({ text }) => text),
      ['tooLarge', 'next'],
    )
  })

  it('refuses answers from one who should ask', async () => {
    const stream = await dial(PROTOCOL)
    stream.send(frame({ status: 1, limit: 0 }))
    await ended(stream)
    assert.deepEqual(offences, ['malformed'])
  })

  it('keeps no more than a bounded number of answers for one who does not read', async () => {
    const stream = await dial(BIG_PROTOCOL)
    // In a microtask: yamux loses its flow control otherwise.
    stream.addEventListener('message', () => queueMicrotask(() => stream.pause()), { once: true })
    const before = process.memoryUsage().arrayBuffers
    for (let id = 0; id < 200; id++) stream.send(frame({ id, limit: MIB }))
    // 16 MiB wait for one peer; what yamux took before it stopped is the rest.
    await until(() => answered >= 16, 'as much waits as may')
    await clock.until(clock.now() + 1_000)
    assert.ok(answered <= 24, `${answered} answers`)
    assert.ok(process.memoryUsage().arrayBuffers - before < 64 * MIB)
    assert.equal(stream.status, 'open')
    victimClock.setOffset(25_000)
    await ended(stream)
    assert.deepEqual(offences, ['unread'])
  })

  it('does not pile up refusals for one who does not read', async () => {
    const stream = await dial(BIG_PROTOCOL)
    stream.addEventListener('message', () => queueMicrotask(() => stream.pause()), { once: true })
    for (let id = 0; id < 300; id++) stream.send(frame({ id, limit: MIB }))
    await clock.until(clock.now() + 300)
    assert.equal(stream.status, 'open')
    for (let id = 0; id < 300; id++) stream.send(frame({ id, limit: MIB }))
    await ended(stream)
    assert.deepEqual(offences, ['unread'])
  })

  it('ends a flood', async () => {
    const stream = await dial(PROTOCOL)
    answers(stream)
    const burst = Buffer.concat(Array.from({ length: 1_000 }, () => frame({})))
    for (let i = 0; i < 60 && stream.status === 'open'; i++) {
      stream.send(burst)
      await clock.until(clock.now() + 1)
    }
    await ended(stream)
    assert.deepEqual(offences, ['flood'])
  })

  it('has room for a few streams of one peer, and takes them back when nothing comes', async () => {
    const streams: Stream[] = []
    for (let i = 0; i < 12; i++) {
      const stream = await dial(PROTOCOL).catch(() => undefined)
      if (stream !== undefined) streams.push(stream)
    }
    await until(
      () => streams.filter(({ status }) => status === 'open').length <= 4,
      'the excess is refused',
    )
    const left = streams.filter(({ status }) => status === 'open')
    assert.equal(left.length, 4)
    // Half a frame is no sign of life.
    for (const stream of left) stream.send(frame({}, new Uint8Array(500)).subarray(0, 300))
    assert.equal(await ask(friend, victim.self), 'hello')
    victimClock.setOffset(200_000)
    await until(
      () => left.every(({ remoteWriteStatus }) => remoteWriteStatus === 'closed'),
      'the victim closes its side',
    )
    for (const stream of left) await stream.close()
    victimClock.setOffset(0)
    const again = await dial(PROTOCOL)
    const list = answers(again)
    again.send(frame({}, Buffer.from('back')))
    await until(() => list[0]?.text === 'back', 'a new stream is served')
  })

  it('is not misled by a server that answers with garbage, or what nobody asked', async () => {
    const scripts: [string, Uint8Array, string, string[]][] = [
      ['garbage', new Uint8Array(64).fill(0xff), 'unreachable', ['malformed']],
      ['uninvited', frame({ id: 999, status: 1, limit: 0 }), 'unreachable', ['uninvited']],
      ['asks', frame({ id: 0 }), 'unreachable', ['malformed']],
      ['nocode', frame({ id: 0, status: 2, limit: 0 }, Buffer.from('<b>!</b>')), 'internal', []],
      ['long', frame({ id: 0, status: 1, limit: 0 }, new Uint8Array(5_000)), 'tooLarge', []],
      [
        'huge',
        encodeHeader({ id: 0, status: 1, limit: 0, length: 2 ** 30 }),
        'unreachable',
        ['oversized'],
      ],
    ]
    for (const [name, bytes, code, expected] of scripts) {
      const server = await rawPeer()
      await server.handle(`/cairn/cacacacacacacaca/${name}/1`, stream => {
        stream.addEventListener('message', () => void stream.send(bytes), { once: true })
      })
      await victim.connect(server.getMultiaddrs()[0]?.toString() as string)
      offences.length = 0
      await assert.rejects(ask(victim, server.peerId.toString(), name), { code }, name)
      await until(() => offences.length === expected.length, `offences of ${name}`)
      assert.deepEqual(offences, expected, name)
      await server.stop()
    }
  })

  it('gives up on a server that never answers', async () => {
    await raw.handle('/cairn/cacacacacacacaca/silent/1', stream => {
      stream.addEventListener('message', () => {})
    })
    await victim.connect(raw.getMultiaddrs()[0]?.toString() as string)
    const { signal } = deadline(clock, clock.now() + 300)
    await assert.rejects(
      victim.request(raw.peerId.toString(), 'silent', new Uint8Array(), {
        signal,
        maxResponseBytes: 1,
      }),
      { code: 'timeout' },
    )
    const forever = { signal: new AbortController().signal, maxResponseBytes: 1 }
    const bounded = victim.request(raw.peerId.toString(), 'silent', new Uint8Array(), forever)
    const end = assert.rejects(bounded, { code: 'timeout' })
    await clock.until(clock.now() + 100)
    victimClock.setOffset(61_000)
    await end
  })

  describe('that gossip', () => {
    const rpc = (messages: { topic: string; data: Uint8Array }[], topics: string[] = []) =>
      RPC.encode({
        subscriptions: topics.map(topic => ({ subscribe: true, topic })),
        messages,
      })

    it('judges neither oversized messages nor those of topics it is not in', async () => {
      let judged = 0
      victim.subscribe(TOPIC, async () => {
        judged++
        return 'accept'
      })
      const stream = lpStream(await dial(GOSSIP))
      await until(() => victim.peers().includes(raw.peerId.toString()), 'connected')
      await stream.write(rpc([{ topic: '/somewhere/else', data: new Uint8Array(100) }]))
      await stream.write(rpc([{ topic: TOPIC, data: new Uint8Array(20_000) }]))
      await stream.write(rpc([{ topic: TOPIC, data: new Uint8Array(100) }]))
      await until(() => judged === 1, 'the good one is judged')
      await until(() => victim.score(raw.peerId.toString()) < 0, 'the oversized one costs score')
      assert.deepEqual(gossiped, ['other ignore', 'other tooLarge', `${TOPIC} accept`])
    })

    it('survives garbage for transmissions', async () => {
      const stream = lpStream(await dial(GOSSIP))
      for (let i = 0; i < 50; i++) await stream.write(randomBytes(500))
      await clock.until(clock.now() + 200)
    })

    it('hangs up on a subscriber that does not read, and keeps little for it', async () => {
      await raw.handle(['/meshsub/1.0.0', '/meshsub/1.1.0', GOSSIP], stream => {
        stream.addEventListener('message', () => queueMicrotask(() => stream.pause()), {
          once: true,
        })
      })
      victim.subscribe(TOPIC, async () => 'accept')
      await lpStream(await dial(GOSSIP)).write(rpc([], [TOPIC]))
      await clock.until(clock.now() + 500)
      const before = process.memoryUsage().arrayBuffers
      for (let i = 0; i < 1_000; i++) {
        const message = new Uint8Array(16_000)
        new DataView(message.buffer).setUint32(0, i)
        await victim.publish(TOPIC, message)
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 64 * MIB)
      await clock.until(clock.now() + 100)
      victimClock.setOffset(20_000)
      await until(() => raw.getConnections().length === 0, 'the victim hangs up')
    })
  })
})
