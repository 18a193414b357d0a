import { strict as assert } from 'node:assert'
import { type Counts, deadline, type Libp2pNetwork, STRANGERS_MAX } from '@cairn/node'
import { clock, freshSecret, met, network, node, until } from './world.ts'

const SERVE = { maxRequestBytes: 100, maxResponseBytes: 100, perSecond: 100 }
const TOPIC = '/cairn/test/0/things'

async function ask(from: Libp2pNetwork, peer: string, ms = 8_000): Promise<string> {
  const { signal, clear } = deadline(clock, clock.now() + ms)
  try {
    const options = { signal, maxResponseBytes: 100 }
    return new TextDecoder().decode(await from.request(peer, 'echo', new Uint8Array([65]), options))
  } finally {
    clear()
  }
}

describe('connections over libp2p', () => {
  const running: Libp2pNetwork[] = []
  const start = async (...nodes: Libp2pNetwork[]) => {
    running.push(...nodes)
    for (const each of nodes) {
      each.serve('echo', SERVE, async request => request)
      await each.start()
    }
  }
  afterEach(async () => {
    await Promise.all(running.splice(0).map(each => each.stop()))
  })

  it('find a bootstrap peer that starts later', async () => {
    const secret = freshSecret()
    const early = node({ secret })
    await early.start()
    const listen = early.addresses()
    await early.stop()
    const waiting = node({ bootstrap: listen })
    await start(waiting)
    await clock.until(clock.now() + 300)
    assert.deepEqual(waiting.peers(), [])
    const hub = node({ secret, listen: listen.map(each => each.split('/p2p/')[0] as string) })
    await start(hub)
    await met(waiting, hub)
  })

  it('find a bootstrap peer by an address without its id', async () => {
    const hub = node()
    await start(hub)
    const [address] = hub.addresses() as [string]
    const other = node({ bootstrap: [address.split('/p2p/')[0] as string] })
    await start(other)
    await met(other, hub)
    assert.equal(await ask(other, hub.self), 'A')
  })

  it('of strangers are few at once, and end with the node', async () => {
    const hub = node()
    await start(hub)
    let asked = 0
    hub.serve('never', SERVE, () => {
      asked++
      return new Promise(() => {})
    })
    const other = node({ bootstrap: hub.addresses() })
    await start(other)
    await met(other, hub)
    const { signal } = new AbortController()
    const one = () => {
      const options = { signal, maxResponseBytes: 100 }
      return other.requestAsStranger(hub.self, 'never', new Uint8Array(1), options)
    }
    const waiting = Array.from({ length: STRANGERS_MAX }, one)
    const outcomes = Promise.allSettled(waiting)
    await assert.rejects(one(), { code: 'busy' })
    await until(() => asked === STRANGERS_MAX, 'all are asked')
    await other.stop()
    for (const outcome of await outcomes) {
      assert.equal(outcome.status, 'rejected')
      assert.equal(outcome.reason.code, 'unreachable')
    }
    await until(() => hub.peers().length === 0, 'their connections end')
  })

  it('reach a peer that only the DHT knows', async () => {
    const hub = node()
    await start(hub)
    const a = node({ bootstrap: hub.addresses() })
    const b = node({ bootstrap: hub.addresses() })
    await start(a, b)
    await met(a, hub)
    await met(b, hub)
    assert.equal(await ask(a, b.self), 'A')
  })

  it('of an isolated node end, and come back when it is over', async () => {
    const hub = node()
    await start(hub)
    const a = node({ bootstrap: hub.addresses() })
    const b = node({ bootstrap: hub.addresses() })
    await start(a, b)
    await until(() => hub.peers().length === 2, 'the hub has both')
    a.isolate('all')
    await until(() => a.peers().length === 0 && !hub.peers().includes(a.self), 'a is alone')
    await assert.rejects(ask(hub, a.self), { code: 'unreachable' })
    await assert.rejects(ask(a, hub.self), { code: 'unreachable' })
    assert.equal(await ask(b, hub.self), 'A')
    a.isolate(undefined)
    await met(a, hub)
    assert.equal(await ask(hub, a.self), 'A')
  })

  it('end with the peers that a node is isolated from only', async () => {
    const hub = node()
    await start(hub)
    const a = node({ bootstrap: hub.addresses() })
    const b = node({ bootstrap: hub.addresses() })
    a.isolate([b.self])
    await start(a, b)
    await until(() => hub.peers().length === 2, 'the hub has both')
    await assert.rejects(ask(a, b.self, 3_000), ({ code }) => /unreachable|timeout/.test(code))
    await assert.rejects(ask(b, a.self, 3_000), ({ code }) => /unreachable|timeout/.test(code))
    assert.equal(await ask(a, hub.self), 'A')
    assert.equal(await ask(b, hub.self), 'A')
  })

  it('let nodes of another network ask nothing', async () => {
    const hub = node()
    const stranger = node({ networkId: new Uint8Array(32), bootstrap: [] })
    await start(hub, stranger)
    await stranger.connect(hub.addresses()[0] as string)
    await assert.rejects(ask(stranger, hub.self), { code: 'unsupported' })
  })

  it('say which address is taken', async () => {
    const hub = node()
    await start(hub)
    const listen = hub.addresses().map(each => each.split('/p2p/')[0] as string)
    const second = node({ listen })
    await assert.rejects(second.start(), ({ code, facts }) => {
      assert.equal(code, 'cannotListen')
      return facts.addresses === listen.join(' ')
    })
    // The failure leaves nothing behind that would keep it from starting later.
    await hub.stop()
    await start(second)
  })

  it('carry requests on one stream that is opened again after it broke', async () => {
    const { nodes, stop } = await network({ nodes: 2 })
    const [a, b] = nodes as [Libp2pNetwork, Libp2pNetwork]
    b.serve('echo', SERVE, async request => request)
    for (let i = 0; i < 5; i++) assert.equal(await ask(a, b.self), 'A')
    await b.stop()
    await b.start()
    await met(a, b)
    assert.equal(await ask(a, b.self), 'A')
    await stop()
  })

  it('cost a peer its gossip score when what it sends is rejected', async () => {
    const { nodes, stop } = await network({ nodes: 2 })
    const [good, bad] = nodes as [Libp2pNetwork, Libp2pNetwork]
    const judged: string[] = []
    good.subscribe(TOPIC, async data => {
      const text = new TextDecoder().decode(data)
      judged.push(text)
      return text.startsWith('bad') ? 'reject' : 'accept'
    })
    bad.subscribe(TOPIC, async () => 'accept')
    const say = (text: string) => bad.publish(TOPIC, new TextEncoder().encode(text))
    let probes = 0
    while (judged.length === 0) {
      await say(`probe ${probes++}`)
      await clock.until(clock.now() + 100)
    }
    assert.ok(good.score(bad.self) >= 0)
    for (let i = 0; i < 5; i++) await say(`bad ${i}`)
    // Gossipsub computes scores once per second.
    await until(() => good.score(bad.self) < -80, 'the score falls')
    const heard = judged.length
    await say('a good one, too late')
    await clock.until(clock.now() + 500)
    assert.equal(judged.length, heard)
    await stop()
  })

  it('are counted', async () => {
    const counted: string[] = []
    const count = <N extends keyof Counts>(name: N, labels: Counts[N], by = 1) => {
      counted.push(`${name} ${Object.values(labels).join(' ')} ${by}`)
    }
    const hub = node({ count })
    await start(hub)
    const a = node({ bootstrap: hub.addresses(), count })
    await start(a)
    await met(a, hub)
    assert.equal(await ask(a, hub.self), 'A')
    await assert.rejects(
      a.request(hub.self, 'none', new Uint8Array(), {
        signal: new AbortController().signal,
        maxResponseBytes: 1,
      }),
    )
    hub.isolate('all')
    for (const expected of [
      'requests echo out ok 1',
      'requests echo in ok 1',
      'requests none out unsupported 1',
      'bytes echo in 1',
      'bytes echo out 1',
      'hangups isolated 1',
    ]) {
      assert.ok(counted.includes(expected), `${expected}\n${counted.join('\n')}`)
    }
  })
})
