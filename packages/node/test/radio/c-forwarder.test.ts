import { strict as assert } from 'node:assert'
import type { HeardPacket, HeardStat, Transmission } from '@cairn/node'
import { DATAGRAM_MAX_BYTES } from '@cairn/protocol'
import { CForwarder, type CForwarderInit, type CPacket } from './c-forwarder.ts'
import { EUI, type RadioBench, radioBench } from './world.ts'

const never = new AbortController().signal
const TIMEOUT_MS = 20_000
const FRAME: Transmission = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125,
  power: 140,
}
const PACKET: CPacket = {
  tmst: 3_512_348_611,
  freq: 868.3,
  datr: 'SF9BW125',
  rssi: -107,
  rssis: -118,
  lsnr: -9.2,
  payload: new Uint8Array(25).fill(0xe0),
}

describe('GWMP server and the C forwarder', () => {
  let bench: RadioBench
  let forwarder: CForwarder
  const open = (init: Partial<CForwarderInit> = {}) =>
    CForwarder.open({ port: bench.server.port, eui: EUI, clock: bench.clock, ...init })

  beforeEach(async () => {
    bench = await radioBench({ transmitTimeoutMs: TIMEOUT_MS })
    forwarder = await open()
  })
  afterEach(async () => {
    await forwarder.close()
    await bench.close()
  })

  it('stays in touch by a PULL_DATA every 10 s and a stat every 30 s', async () => {
    const stats: HeardStat[] = []
    bench.server.onStat(stat => stats.push(stat))
    for (let minute = 0; minute < 10; minute++) {
      await forwarder.run(60_000)
      assert.equal(bench.radio.online(), true)
    }
    assert.equal(forwarder.pulls, 61)
    assert.equal(forwarder.pullAcknowledged, 61)
    assert.deepEqual([stats.length, forwarder.acknowledged], [20, 20])
    const { time = 0, ...stat } = stats.at(-1)?.stat ?? {}
    assert.deepEqual(stat, {
      received: 2,
      receivedOk: 2,
      forwarded: 2,
      acknowledged: 100,
      downlinks: 0,
      transmitted: 0,
      latitude: 46.24,
      longitude: 3.2523,
      altitude: 145,
      temperature: 23.2,
    })
    assert.ok(Math.abs(time - (stats.at(-1) as HeardStat).at) < 60_000)
  })

  it('is gone after 30 s of silence, and back with its next keep-alive', async () => {
    await forwarder.run(1_000)
    forwarder.sleep(30_001)
    assert.equal(bench.radio.online(), false)
    const refused = await bench.radio.transmit(FRAME, never)
    assert.ok(!refused.sent && refused.reason === 'noGateway')
    await forwarder.run(1_000)
    assert.equal(bench.radio.online(), true)
    assert.deepEqual(await bench.radio.transmit(FRAME, never), { sent: true, power: 140 })
  })

  it('is answered on the socket that asked: data on one, downlinks on the other', async () => {
    await forwarder.run(60_000)
    await forwarder.push([PACKET])
    assert.equal((await bench.radio.transmit(FRAME, never)).sent, true)
    assert.deepEqual(new Set(forwarder.upIds), new Set([1]))
    assert.deepEqual(new Set(forwarder.downIds), new Set([3, 4]))
    assert.equal(bench.radio.status().forwarder?.port, forwarder.downPort)
  })

  it('has each of 255 packets of a datagram of 65,507 bytes heard', async () => {
    const packets: HeardPacket[] = []
    bench.server.onPacket(packet => packets.push(packet))
    await forwarder.run(1_000)
    const list = Array.from({ length: 255 }, (_, i) => ({
      ...PACKET,
      tmst: 10_000 * i,
      payload: Uint8Array.from({ length: 1 + (i % 27) }, (_, k) => i + k),
    }))
    await forwarder.push(list, { bytes: DATAGRAM_MAX_BYTES })
    await bench.heard(255)
    const received = bench.received.toSorted((a, b) => a.tmst - b.tmst)
    assert.deepEqual(
      received.map(({ payload }) => [...payload]),
      list.map(({ payload }) => [...payload]),
    )
    assert.equal(packets.length, 255)
    const { payload: _, at: __, ...first } = received[0] as (typeof bench.received)[0]
    assert.deepEqual(first, {
      frequency: 868_300_000,
      spreadingFactor: 9,
      bandwidth: 125,
      rssi: -1_070,
      rssis: -1_180,
      snr: -92,
      tmst: 0,
    })
  })

  it('has its FSK packets and damaged ones handed on, and no beacon made of them', async () => {
    const packets: HeardPacket[] = []
    bench.server.onPacket(packet => packets.push(packet))
    await forwarder.run(1_000)
    const { lsnr: _, rssis: __, ...bare } = PACKET
    await forwarder.push([{ ...bare, datr: 50_000 }, { ...PACKET, stat: -1 }, PACKET], {
      withStat: true,
    })
    await bench.heard(1)
    // In no order: what may have a ghost waits for it.
    const found = packets.map(({ packet }) => `${packet.modulation.name} ${packet.crc}`)
    assert.deepEqual(found.sort(), ['FSK ok', 'LORA bad', 'LORA ok'])
    assert.equal(bench.received.length, 1)
    assert.equal(bench.radio.status().stat?.received, 2)
  })

  it('drops no downlink: each has the fields without which it says nothing', async () => {
    await forwarder.run(1_000)
    assert.deepEqual(await bench.radio.transmit(FRAME, never), { sent: true, power: 140 })
    assert.deepEqual(forwarder.dropped, [])
    const [{ data, ...txpk } = {}] = forwarder.queued
    assert.deepEqual(txpk, {
      imme: true,
      freq: 868.1,
      rfch: 0,
      powe: 14,
      modu: 'LORA',
      datr: 'SF7BW125',
      codr: '4/5',
      ipol: false,
      prea: 8,
      ncrc: false,
      size: 25,
    })
    assert.deepEqual(Buffer.from(String(data), 'base64'), Buffer.from(FRAME.payload))
  })

  for (const field of ['codr', 'size']) {
    it(`says nothing to a downlink that lost its ${field}: each waits its own time`, async () => {
      await forwarder.run(1_000)
      forwarder.losing = [field]
      const read = forwarder.next()
      const lost = bench.radio.transmit(FRAME, never)
      assert.equal(await read, field)
      forwarder.losing = []
      await forwarder.run(TIMEOUT_MS / 2)
      assert.equal((await bench.radio.transmit(FRAME, never)).sent, true)
      assert.equal(bench.radio.status().inFlight, 1)
      await forwarder.run(TIMEOUT_MS / 2 + 1)
      const result = await lost
      assert.ok(!result.sent && result.reason === 'timeout' && result.detail.includes('TX_ACK'))
      assert.equal(bench.radio.status().inFlight, 0)
    })
  }

  for (const word of [
    'TOO_LATE',
    'TOO_EARLY',
    'COLLISION_PACKET',
    'COLLISION_BEACON',
    'TX_FREQ',
    'TX_POWER',
    'GPS_UNLOCKED',
  ]) {
    it(`refuses with ${word}, which is told with its meaning`, async () => {
      await forwarder.run(1_000)
      forwarder.refusing = word
      const result = await bench.radio.transmit(FRAME, never)
      assert.ok(!result.sent && result.reason === 'refused')
      assert.ok(result.detail.startsWith(`${word}: `) && result.detail.length > word.length + 20)
      forwarder.refusing = undefined
      assert.equal((await bench.radio.transmit(FRAME, never)).sent, true)
    })
  }

  it('raises a power below its table, and what it says is what is recorded', async () => {
    await forwarder.run(1_000)
    const asked = { ...FRAME, power: 20 }
    assert.deepEqual(await bench.radio.transmit(asked, never), { sent: true, power: 120 })
    assert.equal(forwarder.queued[0]?.powe, 2)
  })

  it('lowers a power between two of its table', async () => {
    await forwarder.close()
    forwarder = await open({ powers: [0, 10, 13, 20] })
    await forwarder.run(1_000)
    assert.deepEqual(await bench.radio.transmit(FRAME, never), { sent: true, power: 130 })
  })

  it('answers two downlinks in either order: tokens tell which', async () => {
    await forwarder.run(1_000)
    forwarder.holding = true
    const first = bench.radio.transmit(FRAME, never)
    await forwarder.next()
    const second = bench.radio.transmit({ ...FRAME, power: 20 }, never)
    await forwarder.next()
    forwarder.release()
    assert.deepEqual(await Promise.all([first, second]), [
      { sent: true, power: 140 },
      { sent: true, power: 120 },
    ])
  })

  it('is found again on its new ports after a restart', async () => {
    await forwarder.run(1_000)
    const before = forwarder.downPort
    await forwarder.restart()
    await forwarder.run(1_000)
    assert.notEqual(forwarder.downPort, before)
    assert.equal((await bench.radio.transmit(FRAME, never)).sent, true)
  })

  it('speaks version 1 to its end: acknowledged in version 1, and no TX_ACK awaited', async () => {
    await forwarder.close()
    forwarder = await open({ version: 1 })
    await forwarder.run(60_000)
    await forwarder.push([PACKET])
    await bench.heard(1)
    assert.deepEqual(await bench.radio.transmit(FRAME, never), { sent: true, power: 140 })
    assert.equal(forwarder.pullAcknowledged, 7)
  })
})
