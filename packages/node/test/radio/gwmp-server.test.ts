import { strict as assert } from 'node:assert'
import {
  type Gateway,
  GwmpServer,
  type HeardPacket,
  type HeardStat,
  IN_FLIGHT_MAX,
  type Transmission,
} from '@cairn/node'
import { type Datagram, EU868, encodeDatagram, type Rxpk } from '@cairn/protocol'
import { EUI, type RadioBench, type RawForwarder, radioBench } from './world.ts'

const never = new AbortController().signal
const FRAME: Transmission = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125,
  power: 140,
}
const PACKET: Rxpk = {
  payload: Uint8Array.of(0xe0, 1, 2, 3),
  frequency: 868_300_000,
  modulation: { name: 'LORA', spreadingFactor: 8, bandwidth: 125 },
  rssi: -900,
  rssis: -910,
  snr: 75,
  tmst: 1_000_000,
  crc: 'ok',
}

function pushOf(rxpk: Rxpk[], token = 7, eui = EUI): Datagram {
  return { version: 2, token, id: 'pushData', eui, rxpk, foreign: 0 }
}

const isResponse = (d: Datagram) => d.id === 'pullResp'
type Response = Extract<Datagram, { id: 'pullResp' }>
type Ack = Omit<Extract<Datagram, { id: 'txAck' }>, 'token' | 'version' | 'id' | 'eui'>

/** Transmits, lets the forwarder answer, and gives both sides. */
async function exchange(radio: Gateway, forwarder: RawForwarder, ack: Ack, frame = FRAME) {
  const asked = forwarder.until(isResponse)
  const outcome = radio.transmit(frame, never)
  const { token, txpk } = (await asked) as Response
  await forwarder.say({ version: 2, token, id: 'txAck', eui: EUI, ...ack })
  return { txpk, result: await outcome }
}

describe('GWMP server', () => {
  let bench: RadioBench
  let server: GwmpServer
  let radio: Gateway
  let forwarder: RawForwarder

  beforeEach(async () => {
    bench = await radioBench()
    server = bench.server
    radio = bench.radio
    forwarder = await bench.forwarder()
  })
  afterEach(() => bench.close())

  describe('hearing', () => {
    it('acknowledges before it reads, even what it cannot read', async () => {
      await forwarder.pull()
      const acknowledged = forwarder.until(d => d.id === 'pushAck' && d.token === 0x0102)
      const eui = EUI.match(/../g)?.map(h => Number.parseInt(h, 16)) as number[]
      await forwarder.send(Uint8Array.of(2, 1, 2, 0, ...eui, 0x7b))
      await acknowledged
      assert.equal(bench.counts.get('datagram/badDatagram'), 1)
    })

    it('hands a frame on with its levels and times', async () => {
      await forwarder.pull()
      await forwarder.say(pushOf([{ ...PACKET, tmms: 1_400_000_000_123n, ftime: 77 }]))
      await bench.heard(1)
      const { at, ...heard } = bench.received[0] as (typeof bench.received)[0]
      assert.deepEqual(heard, {
        payload: PACKET.payload,
        frequency: 868_300_000,
        spreadingFactor: 8,
        bandwidth: 125,
        rssi: -900,
        rssis: -910,
        snr: 75,
        tmst: 1_000_000,
        tmms: 1_400_000_000_123n,
        ftime: 77,
      })
      assert.ok(Math.abs(at - bench.clock.now()) < 1_000)
    })

    it('has a forwarder that tells GPS time send by it, and says when', async () => {
      await forwarder.pull()
      const tmms = 1_400_000_000_123n
      await forwarder.say(pushOf([{ ...PACKET, tmms }]))
      await bench.heard(1)
      const { txpk, result } = await exchange(radio, forwarder, {})
      assert.ok(typeof txpk.when === 'object' && 'tmms' in txpk.when)
      assert.ok(txpk.when.tmms > tmms && txpk.when.tmms < tmms + 60_000n)
      assert.equal(result.sent && result.began, txpk.when.tmms)
    })

    it('has it send at once where it cannot send by GPS time, from then on', async () => {
      await forwarder.pull()
      await forwarder.say(pushOf([{ ...PACKET, tmms: 1_400_000_000_123n }]))
      await bench.heard(1)
      const timed = forwarder.until(isResponse)
      const outcome = radio.transmit(FRAME, never)
      const first = (await timed) as Response
      const again = forwarder.until(d => isResponse(d) && d !== first)
      const ack = { version: 2 as const, id: 'txAck' as const, eui: EUI }
      await forwarder.say({ ...ack, token: first.token, error: 'GPS_UNLOCKED' })
      const second = (await again) as Response
      assert.equal(second.txpk.when, 'now')
      await forwarder.say({ ...ack, token: second.token })
      const result = await outcome
      assert.deepEqual([result.sent, result.sent && result.began], [true, undefined])
      assert.equal((await exchange(radio, forwarder, {})).txpk.when, 'now')
    })

    it('passes a frame on once, at its loudest, though adjacent channels heard it too', async () => {
      await forwarder.pull()
      const ghost = { ...PACKET, frequency: 868_500_000, rssi: -1_150, snr: -60 }
      await forwarder.say(pushOf([ghost, PACKET]))
      await forwarder.say(pushOf([{ ...ghost, frequency: 868_100_000, tmst: 1_000_900 }], 8))
      await bench.heard(1)
      await forwarder.say(pushOf([ghost], 9))
      await forwarder.pull()
      assert.equal(bench.received.length, 1)
      assert.equal(bench.received[0]?.frequency, PACKET.frequency)
      assert.equal(bench.counts.get('received/duplicate'), 3)
    })

    it('passes the same bytes on again when they were sent again', async () => {
      await forwarder.pull()
      await forwarder.say(pushOf([PACKET, { ...PACKET, tmst: PACKET.tmst + 200_000 }]))
      await bench.heard(2)
      assert.equal(bench.counts.get('received/duplicate'), undefined)
    })

    it('receives no FSK, no bad CRC, and nothing without its SNR', async () => {
      await forwarder.pull()
      const { snr: _, ...bare } = PACKET
      const list: Rxpk[] = [
        { ...bare, modulation: { name: 'FSK', bitrate: 50_000 } },
        { ...PACKET, crc: 'bad' },
        { ...PACKET, crc: 'none' },
        { ...bare, tmst: 2_000_000 },
      ]
      await forwarder.say(pushOf([...list, PACKET]))
      await bench.heard(1)
      assert.deepEqual(bench.received[0]?.payload, PACKET.payload)
      for (const outcome of ['fsk', 'badCrc', 'noCrc', 'noSnr']) {
        assert.equal(bench.counts.get(`received/${outcome}`), 1)
      }
    })

    it('tells every packet to who listens, with the gateway that heard it', async () => {
      const heard: HeardPacket[] = []
      const leave = server.onPacket(packet => heard.push(packet))
      await forwarder.pull()
      const { snr: _, ...bare } = PACKET
      const fsk: Rxpk = { ...bare, modulation: { name: 'FSK', bitrate: 50_000 }, channel: 9 }
      const damaged: Rxpk = { ...PACKET, crc: 'bad', rssi: -800 }
      const ghost: Rxpk = { ...fsk, channel: 8, rssi: -1_100 }
      await forwarder.say(pushOf([ghost, fsk, damaged, PACKET]))
      await bench.heard(1)
      assert.deepEqual(
        heard.map(({ eui, packet }) => ({ eui, packet })),
        [fsk, damaged, PACKET].map(packet => ({ eui: EUI, packet })),
      )
      assert.ok(heard.every(({ at }) => Math.abs(at - bench.clock.now()) < 60_000))
      leave()
      await forwarder.say(pushOf([{ ...PACKET, tmst: 9_000_000 }], 8))
      await bench.heard(2)
      assert.equal(heard.length, 3)
    })

    it('keeps the rest of a datagram in which a packet cannot be read', async () => {
      await forwarder.pull()
      const good = JSON.parse(new TextDecoder().decode(encodeDatagram(pushOf([PACKET])).slice(12)))
      const json = JSON.stringify({ rxpk: [{ freq: 'high' }, ...good.rxpk, { modu: 'LR-FHSS' }] })
      const eui = EUI.match(/../g)?.map(h => Number.parseInt(h, 16)) as number[]
      await forwarder.send(Uint8Array.of(2, 0, 1, 0, ...eui, ...new TextEncoder().encode(json)))
      await bench.heard(1)
      assert.deepEqual(bench.received[0]?.payload, PACKET.payload)
      assert.equal(bench.counts.get('received/malformed'), 1)
      assert.equal(bench.counts.get('received/otherModulation'), 1)
    })

    it('tells every report of the forwarder', async () => {
      const heard: HeardStat[] = []
      server.onStat(stat => heard.push(stat))
      await forwarder.pull()
      const acknowledged = forwarder.until(d => d.id === 'pushAck')
      await forwarder.say({ ...pushOf([]), stat: { received: 3, temperature: 21.5 } } as Datagram)
      await acknowledged
      const [first] = heard
      assert.deepEqual([first?.eui, first?.stat], [EUI, { received: 3, temperature: 21.5 }])
    })

    it('keeps the latest statistics of the forwarder', async () => {
      await forwarder.pull()
      const acknowledged = forwarder.until(d => d.id === 'pushAck')
      await forwarder.say({ ...pushOf([]), stat: { received: 3, acknowledged: 99.5 } } as Datagram)
      await acknowledged
      assert.deepEqual(radio.status().stat, { received: 3, acknowledged: 99.5 })
    })
  })

  describe('whose it is', () => {
    it('belongs to the first forwarder that asks for downlinks, across restarts', async () => {
      await forwarder.say(pushOf([PACKET]))
      await forwarder.pull()
      assert.equal(bench.counts.get('datagram/unknownEui'), 1)
      assert.equal(radio.status().eui, EUI)
      await forwarder.say(pushOf([PACKET], 1, '00000000000000ff'))
      await forwarder.pull()
      assert.equal(bench.counts.get('datagram/foreignEui'), 1)
      assert.equal(bench.received.length, 0)
      const again = await bench.restart()
      assert.equal(again.status().eui, EUI)
      assert.equal(again.online(), false)
    })

    it('belongs to the gateway it was told', async () => {
      const named = await radioBench({ eui: 'AABBCCDDEEFF0011' })
      try {
        const other = await named.forwarder()
        await other.say({ version: 2, token: 1, id: 'pullData', eui: EUI })
        await other.pull('aabbccddeeff0011')
        assert.equal(named.radio.online(), true)
        assert.equal(named.counts.get('datagram/foreignEui'), 1)
      } finally {
        await named.close()
      }
    })

    it('refuses a name that is no EUI', () => {
      const { clock, store } = bench
      const log = { error() {}, warn() {}, info() {}, debug() {}, child: () => log }
      const components = { clock, log, count: () => {} }
      const gateways = [{ store, plan: EU868, eui: 'my gateway' }]
      const init = { gateways, transmitTimeoutMs: 1 }
      assert.throws(() => new GwmpServer(components, init), { code: 'badEui' })
    })

    it('follows its forwarder to a new port at once', async () => {
      await forwarder.pull()
      const restarted = await bench.forwarder()
      await restarted.pull()
      const { result } = await exchange(radio, restarted, {})
      assert.equal(result.sent, true)
    })

    it('lets another address speak only after 30 s of silence', async () => {
      await forwarder.pull()
      const elsewhere = await bench.forwarder('127.0.0.2')
      await elsewhere.say({ version: 2, token: 1, id: 'pullData', eui: EUI })
      await elsewhere.say(pushOf([PACKET]))
      await forwarder.pull()
      assert.equal(bench.counts.get('datagram/foreignAddress'), 2)
      assert.equal(bench.received.length, 0)
      bench.clock.setOffset(30_001)
      assert.equal(radio.online(), false)
      await elsewhere.pull()
      assert.equal(radio.status().forwarder?.address, '127.0.0.2')
    })
  })

  describe('sending', () => {
    beforeEach(() => forwarder.pull())

    it('asks for a frame that no forwarder drops: coding rate, size, at once', async () => {
      const { txpk, result } = await exchange(radio, forwarder, {})
      assert.deepEqual(txpk, {
        payload: FRAME.payload,
        frequency: 868_100_000,
        modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
        when: 'now',
        power: 14,
        codingRate: '4/5',
        chain: 0,
        inverted: false,
        preamble: 8,
        noCrc: false,
      })
      assert.deepEqual(result, { sent: true, power: 140 })
    })

    it('records the power that the forwarder says it used', async () => {
      const ack = { warn: 'TX_POWER', value: 12 }
      const { result } = await exchange(radio, forwarder, ack, { ...FRAME, power: 20 })
      assert.deepEqual(result, { sent: true, power: 120 })
    })

    it('asks for conducted power where it knows the antenna, never above what was asked', async () => {
      const gained = await radioBench({ gain: 25 })
      try {
        const its = await gained.forwarder()
        await its.pull()
        const { txpk, result } = await exchange(gained.radio, its, {})
        assert.equal(txpk.power, 11)
        assert.deepEqual(result, { sent: true, power: 135 })
      } finally {
        await gained.close()
      }
    })

    it('says why the forwarder refused, and gives the airtime back', async () => {
      for (let i = 0; i < 600; i++) {
        const { result } = await exchange(radio, forwarder, { error: 'COLLISION_PACKET' })
        assert.ok(!result.sent && result.reason === 'refused')
        assert.match(result.detail, /^COLLISION_PACKET: .*another server/)
      }
      const { result } = await exchange(radio, forwarder, { error: 'NONE' })
      assert.equal(result.sent, true)
    })

    it('does not repeat what a forwarder says in untrusted words', async () => {
      const { result } = await exchange(radio, forwarder, { error: '\u001b[31m$(rm)' })
      assert.ok(!result.sent && !result.detail.includes('rm'))
    })

    it('repeats a word that it does not know, and no power that no radio has', async () => {
      const { result } = await exchange(radio, forwarder, { error: 'QUEUE_FULL' })
      const word = 'QUEUE_FULL'
      assert.deepEqual(result, { sent: false, reason: 'refused', detail: word, word })
      for (const value of [61, -61]) {
        const odd = await exchange(radio, forwarder, { warn: 'TX_POWER', value })
        assert.ok(!odd.result.sent && odd.result.detail.includes(`${value} dBm`))
      }
      for (const value of [60, -60]) {
        const { result: used } = await exchange(radio, forwarder, { warn: 'TX_POWER', value })
        assert.deepEqual(used, { sent: true, power: value * 10 })
      }
    })

    it('times out without a word, and keeps the airtime spent', async () => {
      const result = await radio.transmit(FRAME, never)
      assert.ok(!result.sent && result.reason === 'timeout')
      assert.deepEqual(radio.status().inFlight, 0)
    })

    it('ignores a TX_ACK that comes late, twice or for nothing', async () => {
      const asked = forwarder.until(isResponse)
      await radio.transmit(FRAME, never)
      const { token } = (await asked) as Response
      for (const t of [token, token, token ^ 0x8000]) {
        await forwarder.say({ version: 2, token: t, id: 'txAck', eui: EUI })
      }
      await forwarder.pull()
      assert.equal(bench.counts.get('datagram/unexpectedAck'), 3)
    })

    it('counts as sent what a forwarder of version 1 was told', async () => {
      await forwarder.pull(EUI, 1)
      const asked = forwarder.until(isResponse)
      assert.deepEqual(await radio.transmit(FRAME, never), { sent: true, power: 140 })
      assert.equal((await asked).version, 1)
    })

    it('rejects when it is aborted while it waits', async () => {
      const controller = new AbortController()
      const reason = new Error('enough')
      const asked = forwarder.until(isResponse)
      const waiting = assert.rejects(radio.transmit(FRAME, controller.signal), e => e === reason)
      await asked
      controller.abort(reason)
      await waiting
    })

    it('ends what waits when it is stopped', async () => {
      const asked = forwarder.until(isResponse)
      const waiting = radio.transmit(FRAME, never)
      await asked
      await server.stop()
      const result = await waiting
      assert.ok(!result.sent && result.reason === 'noGateway')
    })

    it('has at most 16 frames in flight', async () => {
      const all = Array.from({ length: IN_FLIGHT_MAX + 3 }, () => radio.transmit(FRAME, never))
      const results = await Promise.all(all)
      const reasons = results.map(r => (r.sent ? 'sent' : r.reason))
      assert.equal(reasons.filter(r => r === 'refused').length, 3)
      assert.equal(reasons.filter(r => r === 'timeout').length, IN_FLIGHT_MAX)
    })

    it('sends nothing once its forwarder has been silent for 30 s', async () => {
      bench.clock.setOffset(30_001)
      const result = await radio.transmit(FRAME, never)
      assert.ok(!result.sent && result.reason === 'noGateway')
    })
  })

  it('says which port is taken, and can be started again', async () => {
    const { clock, store } = bench
    const log = { error() {}, warn() {}, info() {}, debug() {}, child: () => log }
    const gateways = [{ store, plan: EU868 }]
    const init = { gateways, transmitTimeoutMs: 300, port: server.port }
    const second = new GwmpServer({ clock, log, count: () => {} }, init)
    await assert.rejects(second.start(), { code: 'radioPort' })
    await server.stop()
    await second.start()
    await second.stop()
  })
})
