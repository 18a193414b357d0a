import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Broker, EVENTS_WAITING_MAX, type Log, systemClock } from '@cairn/node'

const silent: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent }

describe('a broker that is away', () => {
  it('keeps so many events waiting, counts what gives way, and lets go when it stops', async () => {
    const counts: string[] = []
    const broker = new Broker(
      { clock: systemClock(), log: silent, count: outcome => void counts.push(outcome) },
      // Nothing listens on the discard port of this machine.
      { url: 'mqtt://127.0.0.1:9' },
    )
    await broker.start()
    for (let n = 0; n < EVENTS_WAITING_MAX; n++) broker.publish('topic', String(n))
    assert.deepEqual(broker.status(), { connected: false, waiting: EVENTS_WAITING_MAX, dropped: 0 })
    broker.publish('topic', 'one more')
    assert.deepEqual(broker.status(), { connected: false, waiting: EVENTS_WAITING_MAX, dropped: 1 })
    assert.deepEqual(counts, ['dropped'])
    await broker.stop()
  })

  it('leaves no timer behind when it stops while the broker says nothing', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    const before = timers()
    const broker = new Broker(
      { clock: systemClock(), log: silent, count() {} },
      { url: `mqtt://127.0.0.1:${port}` },
    )
    const accepted = once(server, 'connection')
    await broker.start()
    const [socket] = (await accepted) as [Socket]
    const closed = once(
      socket.resume().on('error', () => {}),
      'close',
    )
    await broker.stop()
    await closed
    assert.equal(timers(), before)
    await new Promise(resolve => server.close(resolve))
  })
})
