import { strict as assert } from 'node:assert'
import { encodeDatagram } from '@cairn/protocol'
import { EUI, type RadioBench, type RawForwarder, radioBench } from './world.ts'

/** Datagrams sent before the server is asked whether it still answers. */
const BURST = 200

const head = (id: number, version = 2) => [
  version,
  0,
  0,
  id,
  ...(EUI.match(/../g) as string[]).map(h => Number.parseInt(h, 16)),
]
const push = (json: string) => Uint8Array.of(...head(0), ...new TextEncoder().encode(json))

/** Marsaglia's xorshift32: the same hostility every time. */
function randomness(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

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

  it('survives 20,000 random and mutated datagrams, counts them, and still answers', async () => {
    const next = randomness(0xca1e)
    const valid = encodeDatagram({
      version: 2,
      token: 1,
      id: 'pushData',
      eui: EUI,
      rxpk: [
        {
          payload: new Uint8Array(25),
          frequency: 868_100_000,
          modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
          rssi: -1_000,
          snr: 50,
          tmst: 7,
          crc: 'ok',
        },
      ],
      foreign: 0,
    })
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 20_000; i++) {
      const random = i % 2 === 0
      const bytes = random ? new Uint8Array(next(200)) : Uint8Array.from(valid)
      if (random) for (let k = 0; k < bytes.length; k++) bytes[k] = next(256)
      if (random && i % 4 === 0 && bytes.length >= 12) bytes.set(head(next(7), 1 + next(2)))
      if (!random)
        for (let k = next(6); k >= 0; k--) bytes[12 + next(bytes.length - 12)] = next(256)
      await forwarder.send(bytes)
      if (i % BURST === 0) await forwarder.pull()
    }
    await forwarder.pull()
    assert.ok((bench.counts.get('datagram/badDatagram') ?? 0) > 5_000, `${[...bench.counts]}`)
    assert.ok(counted() > 15_000)
    assert.ok(process.memoryUsage().heapUsed - before < 200e6)
    assert.ok(bench.logged.length < 20, 'a flood does not fill the log')
    assert.equal(bench.radio.status().inFlight, 0)
    assert.equal(bench.radio.status().eui, EUI)
  }).timeout(60_000)

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
