import { strict as assert } from 'node:assert'
import { type Network, type NetworkWorldInit, networkCases } from '@cairn/node'
import { SimulatedNetwork, VirtualClock } from '@cairn/testnet'

const TOPIC = '/cairn/test/0/things'
const SEED = new Uint8Array(32).fill(7)

const text = (value: string) => new TextEncoder().encode(value)

interface Options {
  loss?: number
  seed?: Uint8Array
}

async function world(names: readonly string[], { loss = 0, seed = SEED }: Options = {}) {
  const clock = new VirtualClock({ start: 0 })
  const network = new SimulatedNetwork({ clock }, { seed, latency: { min: 10, max: 60 }, loss })
  const nodes = names.map(name => network.join(name))
  for (const node of nodes) await node.start()
  return { clock, network, nodes }
}

const peers = (count: number) => Array.from({ length: count }, (_, i) => `peer${i}`)

async function open(init: NetworkWorldInit) {
  const names = peers(init.nodes)
  const { clock, network, nodes } = await world(names)
  if (init.line === true) {
    for (let i = 0; i < names.length; i++) {
      for (let j = i + 2; j < names.length; j++) network.sever(`peer${i}`, `peer${j}`)
    }
  }
  let running: Promise<void> | undefined
  const run = async (ms: number) => {
    await clock.run({ until: clock.now() + ms })
    running = undefined
  }
  return {
    nodes,
    clock,
    /** Time passes once for all who wait for it. */
    pass: (ms: number) => {
      running ??= run(ms)
      return running
    },
    async stop() {
      for (const node of nodes) await node.stop()
    },
  }
}

describe('simulated network', () => {
  for (const { title, run } of networkCases(open)) it(title, run)

  /** Everything that everybody hears, in order, with its time. */
  async function transcript(seed: Uint8Array): Promise<string[]> {
    const { clock, nodes, network } = await world(peers(12), { loss: 0.2, seed })
    const log: string[] = []
    for (const node of nodes) {
      node.subscribe(TOPIC, async (data, from) => {
        log.push(`${clock.now()} ${node.self} ${from} ${new TextDecoder().decode(data)}`)
        return 'accept'
      })
      node.serve('echo', { maxRequestBytes: 10, maxResponseBytes: 10, perSecond: 10 }, async r => r)
    }
    for (let i = 0; i < 20; i++) {
      const [from, to] = [nodes[i % 12], nodes[(i * 5 + 1) % 12]] as [Network, Network]
      clock.at(i * 7, () => void from.publish(TOPIC, text(`${i}`)))
      clock.at(i * 9, () => {
        const options = { signal: new AbortController().signal, maxResponseBytes: 10 }
        from.request(to.self, 'echo', text(`${i}`), options).then(
          () => log.push(`${clock.now()} answer ${i}`),
          error => log.push(`${clock.now()} ${error.code} ${i}`),
        )
      })
    }
    clock.at(70, () => network.partition([peers(5)]))
    clock.at(90, () => network.crash('peer11'))
    clock.at(120, () => network.heal())
    await clock.run()
    return log
  }

  it('replays from its seed, and runs otherwise from another', async () => {
    const first = await transcript(SEED)
    assert.ok(first.length > 200)
    assert.deepEqual(await transcript(SEED), first)
    assert.notDeepEqual(await transcript(new Uint8Array(32)), first)
  })

  it('heals the loss of direct copies over the mesh', async () => {
    const { clock, network, nodes } = await world(peers(40), { loss: 0.2 })
    for (const node of nodes) node.subscribe(TOPIC, async () => 'accept')
    for (let i = 0; i < 100; i++) await (nodes[i % 40] as Network).publish(TOPIC, text(`${i}`))
    await clock.run()
    assert.ok(network.tally.lost > 500)
    assert.ok(network.tally.accepted >= 0.999 * 100 * 39, `${network.tally.accepted} arrived`)
  })

  it('carries nothing across a partition until it heals', async () => {
    const { clock, network, nodes } = await world(peers(4))
    const heard: string[] = []
    for (const node of nodes) {
      node.subscribe(TOPIC, async () => {
        heard.push(node.self)
        return 'accept'
      })
    }
    network.partition([['peer0', 'peer1'], ['peer2']])
    await nodes[0]?.publish(TOPIC, text('split'))
    await clock.run()
    assert.deepEqual(heard, ['peer1'])
    assert.deepEqual(nodes[3]?.peers(), [])
    network.heal()
    await nodes[0]?.publish(TOPIC, text('whole'))
    await clock.run()
    assert.deepEqual(heard.slice(1).sort(), ['peer1', 'peer2', 'peer3'])
  })

  it('cuts off what is in flight when a partition begins', async () => {
    const { clock, network, nodes } = await world(peers(2))
    let heard = 0
    for (const node of nodes) {
      node.subscribe(TOPIC, async () => {
        heard++
        return 'accept'
      })
    }
    await nodes[0]?.publish(TOPIC, text('late'))
    network.partition([['peer0'], ['peer1']])
    await clock.run()
    assert.equal(heard, 0)
  })

  it('lets a crashed peer come back as a new node', async () => {
    const { clock, network, nodes } = await world(peers(2))
    network.crash('peer1')
    assert.deepEqual(nodes[0]?.peers(), [])
    const again = network.join('peer1')
    let heard = 0
    again.subscribe(TOPIC, async () => {
      heard++
      return 'accept'
    })
    await again.start()
    await nodes[0]?.publish(TOPIC, text('welcome'))
    await clock.run()
    assert.equal(heard, 1)
  })

  it('ends a lost request by its own bound when the signal never does', async () => {
    const { clock, nodes } = await world(peers(2), { loss: 0.999 })
    const options = { signal: new AbortController().signal, maxResponseBytes: 10 }
    const outcome = nodes[0]?.request('peer1', 'echo', text('?'), options)
    const ended = assert.rejects(outcome as Promise<unknown>, { code: 'timeout' })
    await clock.run()
    await ended
    assert.equal(clock.now(), 60_000)
  })

  it('stops the run where a validator throws', async () => {
    const { clock, nodes } = await world(peers(2))
    nodes[1]?.subscribe(TOPIC, async () => {
      throw new Error('broken validator')
    })
    await nodes[0]?.publish(TOPIC, text('x'))
    await assert.rejects(clock.run(), /broken validator/)
  })

  it('carries a network of 50 nodes and 10,000 messages in seconds', async function () {
    this.timeout(20_000)
    const { clock, network, nodes } = await world(peers(50), { loss: 0.01 })
    for (const node of nodes) node.subscribe(TOPIC, async () => 'accept')
    for (let i = 0; i < 10_000; i++) {
      const node = nodes[i % 50] as Network
      clock.at(i * 12, () => void node.publish(TOPIC, text(`message ${i}`.padEnd(300, '.'))))
    }
    await clock.run()
    assert.ok(network.tally.accepted >= 0.9999 * 10_000 * 49)
  })
})
