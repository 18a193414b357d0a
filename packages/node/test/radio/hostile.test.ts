import { strict as assert } from 'node:assert'
import { setImmediate } from 'node:timers/promises'
import { LEAVING_MAX, type Transmission } from '@cairn/node'
import { encodeDatagram } from '@cairn/protocol'
import { diceOf, hostileDatagrams } from '../../../protocol/test/radio/hostile.ts'
import { EUI, type RadioBench, type RawForwarder, radioBench } from './world.ts'

/** Datagrams sent before the server is asked whether it still answers. */
const BURST = 200
/** Where nobody listens (RFC 863), so that no buffer there fills. */
const DISCARD = 9

const DATAGRAMS = 1_000_000
/** Of those so many through the socket; the others where the socket hands them over. */
const BY_SOCKET = 20_000
/** Bytes that garbage not yet collected, and the bounded tables, may take. */
const HEAP_SLACK = 200e6

const FRAME: Transmission = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125,
  power: 140,
}

const head = (id: number, version = 2) => [
  version,
  0,
  0,
  id,
  ...(EUI.match(/../g) as string[]).map(h => Number.parseInt(h, 16)),
]
const push = (json: string) => Uint8Array.of(...head(0), ...new TextEncoder().encode(json))

describe('GWMP server under attack', () => {
  let bench: RadioBench
  let forwarder: RawForwarder
  const counted = () => [...bench.counts.values()].reduce((a, b) => a + b, 0)

  beforeEach(async () => {
    bench = await radioBench()
    forwarder = await bench.forwarder()
    await forwarder.pull()
  })
  afterEach(() => bench.close())

  const seed = Number(process.env.CAIRN_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32))

  it(`survives a million hostile datagrams, and still answers (CAIRN_FUZZ_SEED=${seed})`, async () => {
    const next = hostileDatagrams(diceOf(seed), EUI)
    const { stackTraceLimit } = Error
    // Half a million refusals: without their stacks it takes a quarter of the time.
    Error.stackTraceLimit = 0
    const before = process.memoryUsage().heapUsed
    try {
      for (let i = 0; i < BY_SOCKET; i++) {
        await forwarder.send(next())
        if (i % BURST === 0) await forwarder.pull()
      }
      const { address, port } = { address: '127.0.0.1', port: forwarder.port }
      for (let i = BY_SOCKET; i < DATAGRAMS; i++) {
        bench.server.receive(next(), { address, port })
        if (i % BURST === 0) await setImmediate()
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
    await forwarder.pull()
    assert.ok(process.memoryUsage().heapUsed - before < HEAP_SLACK)
    assert.ok(counted() > DATAGRAMS * 0.99, 'whatever it does with one, it counts it')
    for (const outcome of ['datagram/ok', 'datagram/badDatagram', 'received/malformed']) {
      assert.ok((bench.counts.get(outcome) ?? 0) > DATAGRAMS / 100, `${[...bench.counts]}`)
    }
    assert.ok(bench.received.length > 0, 'some are frames like any other')
    assert.ok(bench.counts.size < 25, 'outcomes are of a few kinds')
    assert.ok(bench.logged.length < 50, 'a flood does not fill the log')
    assert.equal(bench.radio.status().inFlight, 0)
    assert.equal(bench.radio.status().eui, EUI)
    const asked = forwarder.until(d => d.id === 'pullResp')
    const outcome = bench.radio.transmit(FRAME, new AbortController().signal)
    const { token } = await asked
    await forwarder.say({ version: 2, token, id: 'txAck', eui: EUI })
    assert.deepEqual(await outcome, { sent: true, power: 140 })
  }).timeout(300_000)

  it('answers no more than 1,024 datagrams that came at once', async () => {
    const ask = encodeDatagram({ version: 2, token: 1, id: 'pullData', eui: EUI })
    for (let i = 0; i < LEAVING_MAX + 5; i++) {
      bench.server.receive(ask, { address: '127.0.0.1', port: DISCARD })
    }
    assert.equal(bench.counts.get('datagram/notSent'), 5)
    await forwarder.pull()
    assert.equal(bench.counts.get('datagram/notSent'), 5)
  })

  it('refuses what is malformed, by its reason, and goes on', async () => {
    const nested = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
    const hostile = [
      new Uint8Array(),
      Uint8Array.of(2),
      Uint8Array.of(...head(2), 0),
      Uint8Array.of(0, 0, 0, 2),
      Uint8Array.of(9, 0, 0, 0),
      Uint8Array.of(...head(7)),
      new Uint8Array(65_507).fill(0xff),
      Uint8Array.of(...head(0), ...new Uint8Array(65_507 - 12).fill(0x20)),
      push(`{"rxpk":[${Array(10_000).fill('{}').join()}]}`),
      push('{"rxpk":'),
      push(nested),
      push('{"stat":{"rxnb":"many"}}'),
    ]
    for (const bytes of hostile) await forwarder.send(bytes)
    await forwarder.send(push('{"rxpk":[{"datr":"SF7BW125","data":{"toString":1}}]}'))
    await forwarder.send(push(`{"rxpk":${nested}}`))
    await forwarder.pull()
    assert.equal(bench.counts.get('received/malformed'), 2)
    assert.equal(bench.counts.get('datagram/badDatagram'), hostile.length)
    assert.equal(bench.received.length, 0)
  })

  it('never answers more than it was sent', async () => {
    forwarder.received.length = 0
    for (let i = 0; i < 100; i++) await forwarder.send(push('{}'))
    await forwarder.pull()
    assert.ok(forwarder.received.length <= 101)
    assert.ok(forwarder.received.every(d => d.id === 'pushAck' || d.id === 'pullAck'))
  })

  it('refuses what only a server says', async () => {
    for (const id of ['pushAck', 'pullAck'] as const) {
      await forwarder.say({ version: 2, token: 1, id })
    }
    await forwarder.pull()
    assert.equal(bench.counts.get('datagram/wrongDirection'), 2)
  })

  it('keeps at most 1,024 frames while it waits for their ghosts', async () => {
    for (let i = 0; i < 3_000; i++) {
      await forwarder.say({
        version: 2,
        token: i,
        id: 'pushData',
        eui: EUI,
        rxpk: [
          {
            payload: Uint8Array.of(i >> 8, i & 0xff),
            frequency: 868_100_000,
            modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
            rssi: -1_000,
            snr: 50,
            tmst: i * 10_000,
            crc: 'ok',
          },
        ],
        foreign: 0,
      })
      if (i % BURST === 0) await forwarder.pull()
    }
    await forwarder.pull()
    assert.ok(bench.received.length >= 3_000 - 1_024 - BURST)
  })
})
