import { strict as assert } from 'node:assert'
import { airtime, type Rxpk, type Txpk } from '@cairn/protocol'
import { EUI, type RadioBench, type RawForwarder, radioBench } from './world.ts'

const { signal } = new AbortController()
const COUNT = 5_000_000
const asked: Txpk = {
  payload: new Uint8Array(20),
  frequency: 868_100_000,
  modulation: { name: 'LORA', spreadingFactor: 12, bandwidth: 125 },
  when: { tmst: COUNT + 1_000_000 },
  power: 14,
  inverted: true,
}
const DOWNLINK_US = airtime({ bytes: 20, spreadingFactor: 12, bandwidth: 125 })
const BEACON_US = airtime({ bytes: 25, spreadingFactor: 12, bandwidth: 125 })
/** 1 % of an hour. */
const ALLOWANCE_US = 36_000_000

describe('downlinks of a network server', () => {
  let bench: RadioBench
  let forwarder: RawForwarder

  beforeEach(async () => {
    bench = await radioBench()
    forwarder = await bench.forwarder()
    await forwarder.pull()
  })
  afterEach(() => bench.close())

  /** Acknowledges so many requests, as a forwarder does. */
  const acknowledge = async (count = 1, error?: string) => {
    for (let n = 0; n < count; n++) {
      const { token } = await forwarder.until(({ id }) => id === 'pullResp')
      const ack = { version: 2, token, id: 'txAck', eui: EUI } as const
      await forwarder.say(error === undefined ? ack : { ...ack, error })
    }
  }
  const hear = async () => {
    const packet: Rxpk = {
      payload: new Uint8Array(25).fill(1),
      frequency: 868_100_000,
      modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
      rssi: -500,
      snr: 70,
      tmst: COUNT,
      crc: 'ok',
    }
    await forwarder.say({
      version: 2,
      token: 9,
      id: 'pushData',
      eui: EUI,
      rxpk: [packet],
      foreign: 0,
    })
    await bench.heard(1)
  }

  it('are asked for as they came, with what a forwarder needs', async () => {
    const answered = forwarder.until(({ id }) => id === 'pullResp')
    const sending = bench.radio.sendDownlink(asked, signal)
    const request = await answered
    assert.ok(request.id === 'pullResp')
    const { txpk } = request
    assert.deepEqual(txpk.when, asked.when)
    assert.deepEqual([txpk.codingRate, txpk.inverted, txpk.power], ['4/5', true, 14])
    await forwarder.say({ version: 2, token: request.token, id: 'txAck', eui: EUI })
    assert.deepEqual(await sending, { sent: true, power: 140 })
  })

  it('tell the forwarder’s word, and that of the plan', async () => {
    const refusing = acknowledge(1, 'TOO_LATE')
    const late = await bench.radio.sendDownlink(asked, signal)
    assert.ok(!late.sent && late.word === 'TOO_LATE')
    await refusing
    const word = async (change: Partial<Txpk>) => {
      const result = await bench.radio.sendDownlink({ ...asked, ...change }, signal)
      return result.sent ? 'sent' : result.word
    }
    assert.equal(await word({ frequency: 868_650_000 }), 'TX_FREQ')
    assert.equal(await word({ power: 17 }), 'TX_POWER')
    assert.equal(await word({ modulation: { name: 'FSK', bitrate: 50_000 } }), 'TX_FREQ')
  })

  it('do not meet a beacon that is to be sent', async () => {
    await hear()
    const now = bench.clock.now()
    const word = async (when: Txpk['when']) => {
      const result = await bench.radio.sendDownlink({ ...asked, when }, signal)
      return result.sent ? 'sent' : result.word
    }
    bench.radio.reserve({ from: now + 5_000, to: now + 6_000 })
    assert.equal(await word({ tmst: COUNT + 5_500_000 }), 'COLLISION_BEACON')
    assert.equal(
      await word({ tmst: COUNT + 4_000_000 }),
      'COLLISION_BEACON',
      'it would last till then',
    )
    const free = acknowledge(2)
    assert.equal(await word({ tmst: COUNT + 8_000_000 }), 'sent')
    assert.equal(await word('now'), 'sent')
    await free
  })

  it('leave the airtime that two beacons need in their band', async () => {
    const fits = Math.floor((ALLOWANCE_US - 2 * BEACON_US) / DOWNLINK_US)
    const acknowledged = acknowledge(fits)
    for (let n = 0; n < fits; n++) {
      assert.ok((await bench.radio.sendDownlink(asked, signal)).sent)
    }
    await acknowledged
    const result = await bench.radio.sendDownlink(asked, signal)
    assert.ok(!result.sent && result.reason === 'dutyCycle')
    const beacon = { ...asked, spreadingFactor: 12, bandwidth: 125, power: 140 }
    const sent = acknowledge(2)
    for (const payload of [new Uint8Array(25), new Uint8Array(25).fill(1)]) {
      assert.ok((await bench.radio.transmit({ ...beacon, payload }, signal)).sent)
    }
    await sent
  })
})
