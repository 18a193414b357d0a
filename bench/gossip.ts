/** Messages that ten nodes tell each other, by gossip and by asking everybody directly. */
import type { Libp2pNetwork } from '@cairn/node'
import { CairnError } from '@cairn/protocol'
import { clock, network, until } from '../packages/node/test/network/world.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'

const NODES = 10
const MESSAGES = 200
const BYTES = 512
/** For a mesh to form, ms: gossipsub grafts once a second. */
const MESH_MS = 3_000
const TOPIC = '/cairn/bench/0/things'
const SERVE = { maxRequestBytes: 1_024, maxResponseBytes: 1_024, perSecond: 1_000_000 }
const ASK = { signal: new AbortController().signal, maxResponseBytes: 1_024 }

export async function gossip(): Promise<Line> {
  const { nodes, stop } = await network({ nodes: NODES })
  const deliveries = MESSAGES * (nodes.length - 1)
  let left = 0
  for (const node of nodes) {
    node.serve('bench', SERVE, async () => new Uint8Array())
    node.subscribe(TOPIC, async () => {
      left--
      return 'accept'
    })
  }
  try {
    await clock.until(clock.now() + MESH_MS)
    const { ours, other, ratio } = await compare({
      ours: async round => {
        left = deliveries
        await spread(nodes, round, (node, data) => node.publish(TOPIC, data))
        await until(() => left === 0, 'every message arrives everywhere')
      },
      other: round =>
        spread(nodes, round, (node, data) =>
          Promise.all(nodes.filter(to => to !== node).map(to => tell(node, to, data))),
        ),
    })
    const value = perSecond(deliveries, ours)
    const against = `a direct request to each node: ${rounded(perSecond(deliveries, other))}/s`
    return { name: 'gossip.10', value, unit: 'deliveries/s', ratio, against }
  } finally {
    await stop()
  }
}

/** The nodes say one message each in turn, all of them different. */
async function spread(
  nodes: readonly Libp2pNetwork[],
  round: number,
  say: (node: Libp2pNetwork, data: Uint8Array) => Promise<unknown>,
): Promise<void> {
  const said = Array.from({ length: MESSAGES }, (_, i) => {
    const data = new Uint8Array(BYTES)
    new DataView(data.buffer).setUint32(0, round * MESSAGES + i)
    return say(nodes[i % nodes.length] as Libp2pNetwork, data)
  })
  await Promise.all(said)
}

/** Asks again, once, when a connection ends under a request, as every protocol of the node does. */
async function tell(from: Libp2pNetwork, to: Libp2pNetwork, data: Uint8Array): Promise<void> {
  try {
    await from.request(to.self, 'bench', data, ASK)
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'unreachable') throw error
    await from.request(to.self, 'bench', data, ASK)
  }
}
