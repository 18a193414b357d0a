/** libp2p over loopback, both ends in this process: they share its one thread. */
import type { Libp2pNetwork } from '@cairn/node'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import { network as hubAndNodes } from '../packages/node/test/network/world.ts'
import { gossip } from './gossip.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'

const REQUEST = new Uint8Array(256).fill(1)
const ANSWER = new Uint8Array(1_024).fill(2)
const REQUESTS = 480
const SERVE = { maxRequestBytes: 1_024, maxResponseBytes: 1_024, perSecond: 1_000_000 }
const ASK = { signal: new AbortController().signal, maxResponseBytes: 1_024 }

export async function* network(): AsyncGenerator<Line> {
  yield* requests()
  yield await gossip()
}

async function* requests(): AsyncGenerator<Line> {
  const { nodes, stop } = await hubAndNodes({ nodes: 2 })
  const [server, client] = nodes as [Libp2pNetwork, Libp2pNetwork]
  const raw = await rawPair()
  server.serve('bench', SERVE, async () => ANSWER)
  try {
    for (const atOnce of [1, 16]) {
      const { ours, other, ratio } = await compare({
        ours: () => repeat(atOnce, () => client.request(server.self, 'bench', REQUEST, ASK)),
        other: () => repeat(atOnce, raw.ask),
      })
      const value = perSecond(REQUESTS, ours)
      const against = `one new libp2p stream each: ${rounded(perSecond(REQUESTS, other))}/s`
      yield { name: `requests.${atOnce}`, value, unit: 'requests/s', ratio, against }
    }
  } finally {
    await stop()
    await raw.stop()
  }
}

/** So many workers share the requests. */
async function repeat(atOnce: number, ask: () => Promise<Uint8Array>): Promise<void> {
  const work = async () => {
    for (let i = 0; i < REQUESTS / atOnce; i++) {
      const { length } = await ask()
      if (length !== ANSWER.length) throw new Error(`an answer has ${length} bytes`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

async function rawPair() {
  const [server, client] = [await rawPeer(), await rawPeer()]
  const protocol = '/bench/1'
  await server.handle(
    protocol,
    async stream => {
      for await (const _ of stream);
      stream.send(ANSWER)
      await stream.close()
    },
    { maxInboundStreams: 1_000 },
  )
  const connection = await client.dial(server.getMultiaddrs())
  return {
    async ask() {
      const stream = await connection.newStream(protocol, { maxOutboundStreams: 1_000 })
      stream.send(REQUEST)
      const closed = stream.close()
      const parts: Uint8Array[] = []
      for await (const part of stream) parts.push(part.subarray())
      await closed
      return Buffer.concat(parts)
    },
    async stop() {
      await client.stop()
      await server.stop()
    },
  }
}

function rawPeer(): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  })
}
