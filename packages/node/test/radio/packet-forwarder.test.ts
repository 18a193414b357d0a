import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import type { HeardPacket, HeardStat } from '@cairn/node'
import PacketForwarder from 'packet-forwarder'
import { EUI, type RadioBench, radioBench } from './world.ts'

/** A LoRaWAN uplink. */
const RXPK = {
  tmst: 2_437_610_732,
  time: '2018-12-05T10:11:12.345678Z',
  chan: 7,
  rfch: 0,
  freq: 867.9,
  stat: 1,
  modu: 'LORA',
  datr: 'SF7BW125',
  codr: '4/5',
  lsnr: 9,
  rssi: -49,
  size: 17,
  data: 'QK4TBCaAAAABb4ldmIEHFOM=',
}

describe('GWMP server and the packet forwarder from npm', () => {
  let bench: RadioBench
  let forwarder: PacketForwarder

  beforeEach(async () => {
    bench = await radioBench({ eui: EUI })
    const { port } = bench.server
    forwarder = new PacketForwarder({ gateway: EUI, target: '127.0.0.1', port, clientUdpPort: 0 })
    await once(forwarder.socket, 'listening')
  })
  afterEach(async () => {
    await forwarder.close()
    await bench.close()
  })

  it('acknowledges its uplinks and hands their packets on', async () => {
    const packets: HeardPacket[] = []
    bench.server.onPacket(packet => packets.push(packet))
    const fsk = { ...RXPK, tmst: 1, modu: 'FSK', datr: 50_000, lsnr: undefined, codr: undefined }
    await forwarder.sendUplink({ rxpk: [RXPK, fsk] })
    await forwarder.sendUplink({ rxpk: [{ ...RXPK, tmst: 5_000_000 }] })
    await bench.heard(2)
    assert.equal(bench.received[0]?.frequency, 867_900_000)
    assert.equal(
      packets[0]?.packet.time,
      BigInt(Date.UTC(2018, 11, 5, 10, 11, 12)) * 1_000n + 345_678n,
    )
  })

  it('keeps its statistics', async () => {
    const stats: HeardStat[] = []
    bench.server.onStat(stat => stats.push(stat))
    await forwarder.sendUplink({ stat: { time: '2018-12-05 10:11:12 GMT', rxnb: 1, ackr: 100 } })
    assert.deepEqual(
      stats.map(({ eui, stat }) => [eui, stat.received, stat.acknowledged]),
      [[EUI, 1, 100]],
    )
  })

  it('has its downlinks come to the socket from which it asked for them', async () => {
    const pull = Buffer.concat([Buffer.from([2, 0x12, 0x34, 2]), Buffer.from(EUI, 'hex')])
    const acknowledged = once(forwarder, 'message')
    forwarder.socket.send(pull, bench.server.port, '127.0.0.1')
    assert.deepEqual([...(await acknowledged)[0]], [2, 0x12, 0x34, 4])
    const asked = once(forwarder, 'message')
    const sending = bench.radio.transmit(
      {
        payload: new Uint8Array(25).fill(0xe0),
        frequency: 868_100_000,
        spreadingFactor: 7,
        bandwidth: 125,
        power: 140,
      },
      new AbortController().signal,
    )
    const [response] = await asked
    const { txpk } = JSON.parse(response.subarray(4).toString())
    assert.deepEqual([response[3], txpk.freq, txpk.size], [3, 868.1, 25])
    const ack = Buffer.concat([
      Buffer.from([2]),
      response.subarray(1, 3),
      Buffer.from([5]),
      Buffer.from(EUI, 'hex'),
    ])
    forwarder.socket.send(ack, bench.server.port, '127.0.0.1')
    assert.equal((await sending).sent, true)
  })

  it('is not answered under a name that no gateway here has', async () => {
    const { port } = bench.server
    const init = { gateway: 'ffffffffffffffff', target: '127.0.0.1', port, clientUdpPort: 0 }
    const stranger = new PacketForwarder(init)
    let answered = false
    stranger.on('message', () => {
      answered = true
    })
    void stranger.sendUplink({ rxpk: [RXPK] })
    await forwarder.sendUplink({ rxpk: [] })
    while (bench.counts.get('datagram/foreignEui') === undefined) {
      await forwarder.sendUplink({ rxpk: [] })
    }
    assert.equal(answered, false)
    assert.equal(bench.received.length, 0)
    await stranger.close()
  })
})
