import { strict as assert } from 'node:assert'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { radioCases, systemClock } from '@cairn/node'
import { type Datagram, decodeDatagram, encodeDatagram, RXPK_MAX, type Txpk } from '@cairn/protocol'
import { QUEUE_MAX, RadioField, VirtualForwarder, type VirtualForwarderInit } from '@cairn/testnet'
import { udpWorld } from './world.ts'

const EUI = '0016c001f00d0001'
const TXPK: Txpk = {
  payload: new Uint8Array(25),
  frequency: 868_100_000,
  modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
  when: 'now',
  power: 14,
  codingRate: '4/5',
}

describe('GWMP server and virtual forwarder', () => {
  for (const { title, run } of radioCases(udpWorld)) it(title, run)
})

describe('virtual forwarder', () => {
  let server: Socket
  let forwarder: VirtualForwarder
  let field: RadioField
  let from: { port: number; address: string }
  const clock = systemClock()
  /** What came, raw and read. */
  let raw: Uint8Array[]

  async function until<I extends Datagram['id']>(id: I): Promise<Extract<Datagram, { id: I }>> {
    for (;;) {
      const [bytes] = await once(server, 'message')
      const datagram = decodeDatagram(bytes)
      if (datagram.id === id) return datagram as Extract<Datagram, { id: I }>
    }
  }
  const say = (datagram: Datagram) => server.send(encodeDatagram(datagram), from.port, from.address)
  async function ask(txpk: Txpk) {
    const answer = until('txAck')
    say({ version: 2, token: 0x55aa, id: 'pullResp', txpk })
    const { token, eui, error, warn, value } = await answer
    assert.deepEqual([token, eui], [0x55aa, EUI])
    return { error, warn, value }
  }
  async function open(init: Partial<VirtualForwarderInit> = {}) {
    const gateways = [
      { name: 'here', at: { lat: 650_100_000, lng: 254_700_000 } },
      { name: 'there', at: { lat: 650_150_000, lng: 254_700_000 } },
    ]
    field = new RadioField({ clock }, { seed: new Uint8Array(32), gateways })
    const target = { server: { port: server.address().port }, gateway: 'here', eui: EUI }
    forwarder = new VirtualForwarder({ clock, field }, { ...target, ...init })
    const pulled = once(server, 'message')
    await forwarder.start()
    const [bytes, address] = await pulled
    from = address
    return bytes as Uint8Array
  }

  beforeEach(async () => {
    raw = []
    server = createSocket('udp4')
    server.bind({ address: '127.0.0.1', port: 0 })
    await once(server, 'listening')
    server.on('message', bytes => raw.push(bytes))
  })
  afterEach(async () => {
    clock.setOffset(0)
    await forwarder.stop()
    await new Promise<void>(resolve => server.close(resolve))
  })

  it('asks for downlinks at once and keeps asking', async () => {
    const bytes = await open({ keepAliveMs: 20 })
    assert.deepEqual(decodeDatagram(bytes).id, 'pullData')
    await until('pullData')
    await until('pullData')
    assert.ok(forwarder.counters.pulled >= 3)
  })

  it('reports its counters every 30 s', async () => {
    await open({ position: { lat: 650_100_000, lng: 254_700_000 } })
    const report = until('pushData')
    clock.setOffset(30_001)
    const { stat, rxpk } = await report
    assert.deepEqual(rxpk, [])
    assert.equal(stat?.acknowledged, 100)
    assert.deepEqual([stat?.latitude, stat?.longitude], [65.01, 25.47])
    const next = until('pushData')
    clock.setOffset(60_002)
    // The report before this one is what it has pushed since, and nobody acknowledged it.
    assert.equal((await next).stat?.acknowledged, 0)
  })

  it('pushes what it hears from another port, without padding', async () => {
    await open()
    const pushed = once(server, 'message')
    field.transmit('there', {
      payload: Uint8Array.of(1, 2, 3, 4),
      frequency: 868_100_000,
      spreadingFactor: 7,
      bandwidth: 125,
      eirp: 140,
    })
    const [bytes, address] = await pushed
    assert.notEqual(address.port, from.port)
    const text = new TextDecoder().decode(bytes.subarray(12))
    assert.match(text, /"data":"AQIDBA"/)
    assert.match(text, /"datr":"SF7BW125","codr":"4\/5"/)
    assert.match(text, /"freq":868.1,/)
    const datagram = decodeDatagram(bytes)
    assert.ok(datagram.id === 'pushData' && datagram.rxpk[0]?.crc === 'ok')
  })

  it('batches what came together, in datagrams of bounded size', async () => {
    await open()
    const packet = {
      payload: new Uint8Array(255),
      frequency: 868_100_000,
      modulation: { name: 'LORA' as const, spreadingFactor: 7, bandwidth: 125 },
      rssi: -1_000,
      snr: 0,
      tmst: 0,
      crc: 'ok' as const,
    }
    for (let i = 0; i < 200; i++) forwarder.report({ ...packet, tmst: i })
    let seen = 0
    while (seen < 200) seen += (await until('pushData')).rxpk.length
    assert.equal(seen, 200)
    const pushes = raw.filter(b => b[3] === 0)
    assert.ok(pushes.length <= 4 && pushes.every(b => b.length <= 65_507))
    assert.ok(RXPK_MAX >= 200)
  })

  it('queues, and says so under the token it was asked with', async () => {
    await open()
    assert.deepEqual(await ask(TXPK), { error: undefined, warn: undefined, value: undefined })
    assert.equal(forwarder.counters.queued, 1)
  })

  it('raises a power below its table to the lowest, lowers others, and says which', async () => {
    await open()
    const asked = async (power: number) => {
      const { warn, value } = await ask({ ...TXPK, power, frequency: 868_100_000 })
      clock.setOffset(power * 1_000)
      return [warn, value]
    }
    assert.deepEqual(await asked(2), ['TX_POWER', 12])
    assert.deepEqual(await asked(13), [undefined, undefined])
    assert.deepEqual(await asked(30), ['TX_POWER', 27])
  })

  it('takes its antenna gain off', async () => {
    await open({ antennaGain: 3 })
    assert.deepEqual(await ask(TXPK), { error: undefined, warn: 'TX_POWER', value: 12 })
  })

  it('refuses what collides, comes late or early, or needs GPS', async () => {
    await open()
    const at = (ms: number) => ({ tmst: (field.counter('here') + ms * 1_000 + 2 ** 32) % 2 ** 32 })
    const soon = at(20_000)
    assert.equal((await ask({ ...TXPK, when: soon })).error, undefined)
    assert.equal((await ask({ ...TXPK, when: soon })).error, 'COLLISION_PACKET')
    assert.equal((await ask({ ...TXPK, when: at(-5) })).error, 'TOO_LATE')
    assert.equal((await ask({ ...TXPK, when: at(600_000) })).error, 'TOO_EARLY')
    assert.equal((await ask({ ...TXPK, when: { tmms: 1n } })).error, 'GPS_UNLOCKED')
    assert.equal((await ask({ ...TXPK, when: at(500) })).error, undefined)
    assert.equal(forwarder.counters.refused, 4)
  })

  it('sends one after the other what is to be sent at once', async () => {
    await open()
    const heard: number[] = []
    const both = new Promise<void>(resolve => {
      field.listen('there', ({ payload }) => {
        heard.push(payload[0] as number)
        if (heard.length === 2) resolve()
      })
    })
    for (const first of [1, 2]) {
      const { error } = await ask({ ...TXPK, payload: new Uint8Array(25).fill(first) })
      assert.equal(error, undefined)
    }
    await both
    assert.deepEqual(heard, [1, 2])
  })

  it('holds so many frames, and refuses one more as a collision', async () => {
    await open()
    const first = field.counter('here') + 10_000_000
    for (let i = 0; i < QUEUE_MAX; i++) {
      const when = { tmst: (first + i * 1_000_000) % 2 ** 32 }
      assert.equal((await ask({ ...TXPK, when })).error, undefined)
    }
    const when = { tmst: (first + QUEUE_MAX * 1_000_000) % 2 ** 32 }
    assert.equal((await ask({ ...TXPK, when })).error, 'COLLISION_PACKET')
  })

  it('refuses a frequency outside of its range, and FSK', async () => {
    await open({ txRange: [863_000_000, 870_000_000] })
    assert.equal((await ask({ ...TXPK, frequency: 862_900_000 })).error, 'TX_FREQ')
    assert.equal((await ask({ ...TXPK, frequency: 902_300_000 })).error, 'TX_FREQ')
    const modulation = { name: 'FSK' as const, bitrate: 50_000 }
    assert.equal((await ask({ ...TXPK, modulation })).error, 'TX_FREQ')
  })

  it('sends at a GPS time where it knows it', async () => {
    await open({ gps: true })
    const tmms = (ms: number) => BigInt(clock.now() - 315_964_800_000 + 18_000 + ms)
    const heard = new Promise<void>(resolve => field.listen('there', () => resolve()))
    assert.equal((await ask({ ...TXPK, when: { tmms: tmms(-5) } })).error, 'TOO_LATE')
    assert.equal((await ask({ ...TXPK, when: { tmms: tmms(600_000) } })).error, 'TOO_EARLY')
    assert.equal((await ask({ ...TXPK, when: { tmms: tmms(200) } })).error, undefined)
    await heard
  })

  it('sends and does not say so where that is its cheat', async () => {
    await open({ silent: true, keepAliveMs: 20 })
    const heard = new Promise<void>(resolve => field.listen('there', () => resolve()))
    say({ version: 2, token: 7, id: 'pullResp', txpk: TXPK })
    await heard
    await until('pullData')
    assert.equal(raw.filter(b => b[3] === 5).length, 0)
  })

  it('sends a timed frame at its time', async () => {
    await open()
    const heard = new Promise<number>(resolve => field.listen('there', f => resolve(f.tmst)))
    const start = clock.now()
    const when = { tmst: (field.counter('here') + 100_000) % 2 ** 32 }
    await ask({ ...TXPK, when })
    await heard
    assert.ok(clock.now() - start >= 155)
  })

  it('drops what it cannot read without a word', async () => {
    await open()
    const { codingRate: _, ...bare } = TXPK
    for (const bytes of [
      encodeDatagram({ version: 2, token: 1, id: 'pullResp', txpk: bare }),
      Uint8Array.of(2, 0, 0, 3, 0x7b),
      Uint8Array.of(2),
    ]) {
      server.send(bytes, from.port, from.address)
    }
    await ask(TXPK)
    assert.deepEqual(raw.filter(b => b[3] === 5).length, 1)
  })

  it('has no TX_ACK in version 1', async () => {
    await open({ version: 1, keepAliveMs: 20 })
    say({ version: 1, token: 0, id: 'pullResp', txpk: TXPK })
    while (forwarder.counters.queued === 0) await until('pullData')
    await until('pullData')
    assert.equal(raw.filter(b => b[3] === 5).length, 0)
  })
})
