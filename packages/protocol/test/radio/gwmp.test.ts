import { strict as assert } from 'node:assert'
import {
  type Antenna,
  CairnError,
  DATAGRAM_MAX_BYTES,
  type Datagram,
  decodeDatagram,
  decodeHead,
  encodeDatagram,
  type PushData,
  RXPK_MAX,
  type Rxpk,
  type Txpk,
} from '@cairn/protocol'
import fc from 'fast-check'

const EUI = '00800000a00016b6'
const utf8 = new TextEncoder()

/** A PUSH_DATA around any JSON text. */
function push(json: string | Uint8Array, version = 2): Uint8Array {
  const body = typeof json === 'string' ? utf8.encode(json) : json
  const eui = EUI.match(/../g)?.map(h => Number.parseInt(h, 16)) as number[]
  return Uint8Array.of(version, 0x12, 0x34, 0, ...eui, ...body)
}

/** Examples of PROTOCOL.TXT of Lora-net/packet_forwarder. */
const LORA_RXPK = {
  time: '2013-03-31T16:21:17.528002Z',
  tmst: 3_512_348_611,
  chan: 2,
  rfch: 0,
  freq: 866.349812,
  stat: 1,
  modu: 'LORA',
  datr: 'SF7BW125',
  codr: '4/6',
  rssi: -35,
  lsnr: 5.1,
  size: 32,
  data: '-DS4CGaDCdG+48eJNM3Vai-zDpsR71Pn9CPA9uCON84'.replaceAll('-', '+'),
}
const FSK_RXPK = {
  time: '2013-03-31T16:21:17.530974Z',
  tmst: 3_512_348_514,
  chan: 9,
  rfch: 1,
  freq: 869.1,
  stat: 1,
  modu: 'FSK',
  datr: 50_000,
  rssi: -75,
  size: 16,
  data: 'VEVTVF9QQUNLRVRfMTIzNA==',
}

function pushData(json: unknown) {
  const datagram = decodeDatagram(push(JSON.stringify(json)))
  assert.ok(datagram.id === 'pushData')
  return datagram
}

/** Reads one packet beside a good one, and expects it alone to be set aside for that field. */
function assertMalformed(packet: unknown, reason?: string): void {
  const { rxpk: list, malformed = [] } = pushData({ rxpk: [packet, FSK_RXPK] })
  assert.deepEqual([list.length, malformed.length], [1, 1])
  if (reason !== undefined) assert.equal(malformed[0], reason)
}

function assertBad(bytes: Uint8Array, reason?: string): void {
  assert.throws(
    () => decodeDatagram(bytes),
    (error: unknown) => {
      assert.ok(error instanceof CairnError, `${error}`)
      assert.equal(error.code, 'badDatagram')
      if (reason !== undefined) assert.equal(error.facts.reason, reason)
      return true
    },
  )
}

const payload = fc.uint8Array({ maxLength: 255 })
const lora = fc.record({
  name: fc.constant('LORA' as const),
  spreadingFactor: fc.integer({ min: 7, max: 12 }),
  bandwidth: fc.constantFrom(125, 250, 500),
})
const fsk = fc.record({
  name: fc.constant('FSK' as const),
  bitrate: fc.integer({ min: 1_000, max: 300_000 }),
})
const optional = { requiredKeys: ['payload', 'frequency', 'rssi', 'tmst', 'crc'] as const }
const rxpkRest = {
  payload,
  frequency: fc.integer({ min: 1_000_000, max: 2_500_000_000 }),
  rssi: fc.integer({ min: -2_500, max: 500 }),
  rssis: fc.integer({ min: -2_500, max: 500 }),
  tmst: fc.integer({ min: 0, max: 0xffff_ffff }),
  tmms: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
  ftime: fc.integer({ min: 0, max: 999_999_999 }),
  crc: fc.constantFrom('ok' as const, 'bad' as const, 'none' as const),
  codingRate: fc.constantFrom('4/5', '4/8'),
  time: fc.bigInt({ min: -(10n ** 15n), max: 4n * 10n ** 15n }),
  channel: fc.nat(255),
  chain: fc.nat(255),
  modem: fc.nat(255),
  board: fc.nat(255),
  frequencyOffset: fc.integer({ min: -1_000_000, max: 1_000_000 }),
  timeKey: fc.nat(255),
}
const antenna = fc.record(
  {
    antenna: fc.nat(255),
    channel: fc.nat(255),
    rssi: fc.integer({ min: -2_500, max: 500 }),
    rssis: fc.integer({ min: -2_500, max: 500 }),
    rssiDeviation: fc.nat(2_500),
    snr: fc.integer({ min: -300, max: 150 }),
    ftime: fc.integer({ min: 0, max: 999_999_999 }),
    encryptedTime: fc.uint8Array({ maxLength: 64 }),
    frequencyOffset: fc.integer({ min: -1_000_000, max: 1_000_000 }),
  },
  { requiredKeys: ['rssi'] },
)
const plain = fc
  .tuple(
    fc.record(rxpkRest, { requiredKeys: [...optional.requiredKeys] }),
    fc.oneof(
      fc.tuple(lora, fc.option(fc.integer({ min: -300, max: 150 }), { nil: undefined })),
      fc.tuple(fsk),
    ),
  )
  .map(([rest, [modulation, snr]]) => {
    return { ...rest, modulation, ...(snr !== undefined && { snr }) } as Rxpk
  })
/** Of version 2: the levels of the packet are those of the first of its loudest antennas. */
const rxpk: fc.Arbitrary<Rxpk> = fc
  .tuple(plain, fc.option(fc.array(antenna, { minLength: 1, maxLength: 16 }), { nil: undefined }))
  .map(([packet, antennas]) => {
    if (antennas === undefined) return packet
    const { rssi: _, rssis: __, snr: ___, ftime: ____, ...rest } = packet
    const most = Math.max(...antennas.map(({ rssi }) => rssi))
    const best = antennas.find(({ rssi }) => rssi === most) as (typeof antennas)[0]
    const levels = { rssi: best.rssi, rssis: best.rssis, ftime: best.ftime }
    const snr = packet.modulation.name === 'LORA' ? best.snr : undefined
    const told = Object.entries({ ...levels, snr }).filter(([, value]) => value !== undefined)
    return { ...rest, ...Object.fromEntries(told), antennas } as unknown as Rxpk
  })
const txpk = fc
  .record(
    {
      payload,
      frequency: fc.integer({ min: 1_000_000, max: 2_500_000_000 }),
      modulation: fc.oneof(lora, fsk),
      when: fc.oneof(
        fc.constant('now' as const),
        fc.record({ tmst: fc.integer({ min: 0, max: 0xffff_ffff }) }),
        fc.record({ tmms: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }) }),
      ),
      power: fc.integer({ min: -20, max: 30 }),
      codingRate: fc.constantFrom('4/5', '4/8'),
      chain: fc.integer({ min: 0, max: 3 }),
      inverted: fc.boolean(),
      preamble: fc.integer({ min: 6, max: 65_535 }),
      noCrc: fc.boolean(),
      deviation: fc.integer({ min: 0, max: 25_000 }),
    },
    { requiredKeys: ['payload', 'frequency', 'modulation', 'when', 'power', 'chain', 'inverted'] },
  )
  .map(packet => ({ codingRate: '4/5', ...packet }) as Txpk)

const head = {
  version: fc.constantFrom(1 as const, 2 as const),
  token: fc.integer({ min: 0, max: 65_535 }),
}
const eui = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map(b => Array.from(b, x => x.toString(16).padStart(2, '0')).join(''))
const stat = fc.record(
  {
    time: fc.integer({ min: 0, max: 4e9 }).map(seconds => seconds * 1_000),
    received: fc.nat(1_000),
    receivedOk: fc.nat(1_000),
    forwarded: fc.nat(1_000),
    acknowledged: fc.nat(100),
    downlinks: fc.nat(1_000),
    transmitted: fc.nat(1_000),
    latitude: fc.integer({ min: -90, max: 90 }),
    longitude: fc.integer({ min: -180, max: 180 }),
    altitude: fc.integer({ min: -400, max: 9_000 }),
    temperature: fc.integer({ min: -400, max: 1_000 }).map(tenths => tenths / 10),
  },
  { requiredKeys: [] },
)
const datagram = fc.oneof(
  fc.record(
    {
      ...head,
      id: fc.constant('pushData' as const),
      eui,
      rxpk: fc.array(rxpk, { maxLength: 5 }),
      foreign: fc.constant(0),
      stat,
    },
    { requiredKeys: ['version', 'token', 'id', 'eui', 'rxpk', 'foreign'] },
  ),
  fc.record({ ...head, id: fc.constantFrom('pushAck' as const, 'pullAck' as const) }),
  fc.record({ ...head, id: fc.constant('pullData' as const), eui }),
  fc.record({ ...head, id: fc.constant('pullResp' as const), txpk }),
  fc.record(
    {
      ...head,
      id: fc.constant('txAck' as const),
      eui,
      error: fc.constantFrom('TOO_LATE', 'TX_FREQ', 'COLLISION_PACKET'),
    },
    { requiredKeys: ['version', 'token', 'id', 'eui'] },
  ),
) as fc.Arbitrary<Datagram>

describe('GWMP datagrams', () => {
  it('come back as they went, padded or not', () => {
    fc.assert(
      fc.property(datagram, fc.boolean(), (value, padding) => {
        assert.deepEqual(decodeDatagram(encodeDatagram(value, { padding })), structuredClone(value))
      }),
      { numRuns: 500 },
    )
  })

  it('are read as PROTOCOL.TXT writes them', () => {
    const { rxpk: list, version, token, eui: from } = pushData({ rxpk: [LORA_RXPK, FSK_RXPK] })
    assert.deepEqual([version, token, from], [2, 0x1234, EUI])
    const [first, second] = list as [Rxpk, Rxpk]
    assert.equal(first.frequency, 866_349_812)
    assert.deepEqual(first.modulation, { name: 'LORA', spreadingFactor: 7, bandwidth: 125 })
    assert.deepEqual([first.rssi, first.snr, first.tmst], [-350, 51, 3_512_348_611])
    assert.equal(first.payload.length, 32)
    assert.deepEqual(second.modulation, { name: 'FSK', bitrate: 50_000 })
    assert.equal(new TextDecoder().decode(second.payload), 'TEST_PACKET_1234')
    assert.equal(second.snr, undefined)
  })

  it('are written byte for byte as the protocol lays them out', () => {
    const pull = encodeDatagram({ version: 2, token: 0xabcd, id: 'pullData', eui: EUI })
    assert.deepEqual([...pull], [2, 0xab, 0xcd, 2, 0, 0x80, 0, 0, 0xa0, 0, 0x16, 0xb6])
    const ack = encodeDatagram({ version: 1, token: 1, id: 'pushAck' })
    assert.deepEqual([...ack], [1, 0, 1, 1])
  })

  it('tell their head without the body being read', () => {
    const bytes = push('{"rxpk": nonsense')
    assert.deepEqual(decodeHead(bytes), { version: 2, token: 0x1234, id: 'pushData', eui: EUI })
  })

  it('take the loudest antenna of version 2', () => {
    const { rssi: _, lsnr: __, ...rest } = LORA_RXPK
    const rsig = [
      { ant: 0, chan: 7, rssic: -101, lsnr: -2.5 },
      { ant: 1, chan: 7, rssic: -97, rssis: -98, lsnr: 9.75, ftime: 17 },
    ]
    const [packet] = pushData({ rxpk: [{ ...rest, rsig }] }).rxpk as [Rxpk]
    assert.deepEqual([packet.rssi, packet.rssis, packet.snr, packet.ftime], [-970, -980, 98, 17])
  })

  it('keep every field of a sx1302 forwarder', () => {
    const text =
      '{"rxpk":[{"jver":1,"tmst":3512348611,"time":"2020-02-29T23:59:59.000007Z",' +
      '"tmms":1266965999000,"chan":3,"rfch":1,"freq":868.300000,"mid":8,"stat":-1,' +
      '"modu":"LORA","datr":"SF12BW125","codr":"4/5","rssis":-121,"lsnr":-13.2,"foff":-412,' +
      '"rssi":-107,"size":3,"data":"4AEC"}]}'
    const { rxpk: list } = pushData(JSON.parse(text))
    assert.deepEqual(list[0], {
      payload: Uint8Array.of(0xe0, 1, 2),
      frequency: 868_300_000,
      modulation: { name: 'LORA', spreadingFactor: 12, bandwidth: 125 },
      rssi: -1_070,
      rssis: -1_210,
      snr: -132,
      tmst: 3_512_348_611,
      tmms: 1_266_965_999_000n,
      crc: 'bad',
      codingRate: '4/5',
      time: 1_583_020_799_000_007n,
      channel: 3,
      chain: 1,
      modem: 8,
      frequencyOffset: -412,
    })
  })

  it('keep every antenna of version 2 and what it heard', () => {
    const { rssi: _, lsnr: __, ...rest } = LORA_RXPK
    const etime = 'gX0b6jT8oBJyZrJqJHrd7Q=='
    const rsig = [
      { ant: 0, chan: 7, rssic: -101, rssis: -103, rssisd: 2, lsnr: -2.5, etime, foff: -412 },
      { ant: 1, chan: 23, rssic: -102, lsnr: 9.75, ftime: 17 },
    ]
    const [packet] = pushData({ rxpk: [{ ...rest, brd: 2, aesk: 1, rsig }] }).rxpk as [Rxpk]
    const [first, second] = packet.antennas as [Antenna, Antenna]
    assert.equal(first.encryptedTime?.length, 16)
    assert.deepEqual([packet.board, packet.timeKey, packet.rssi, packet.snr], [2, 1, -1_010, -25])
    const { encryptedTime: ___, ...others } = first
    assert.deepEqual(others, {
      antenna: 0,
      channel: 7,
      rssi: -1_010,
      rssis: -1_030,
      rssiDeviation: 20,
      snr: -25,
      frequencyOffset: -412,
    })
    assert.deepEqual(second, { antenna: 1, channel: 23, rssi: -1_020, snr: 98, ftime: 17 })
  })

  it('keep every field of the statistics', () => {
    const stat = {
      time: '2014-01-12 08:59:28 GMT',
      lati: 46.24,
      long: 3.2523,
      alti: 145,
      rxnb: 2,
      rxok: 3,
      rxfw: 4,
      ackr: 99.5,
      dwnb: 5,
      txnb: 6,
      temp: 23.2,
    }
    assert.deepEqual(pushData({ stat }).stat, {
      time: Date.UTC(2014, 0, 12, 8, 59, 28),
      latitude: 46.24,
      longitude: 3.2523,
      altitude: 145,
      received: 2,
      receivedOk: 3,
      forwarded: 4,
      acknowledged: 99.5,
      downlinks: 5,
      transmitted: 6,
      temperature: 23.2,
    })
  })

  it('tell no time where the gateway knows none', () => {
    for (const time of ['', 'now', '2014-01-12', '2014-13-12T00:00:00Z', null]) {
      const { rxpk: list, stat } = pushData({ rxpk: [{ ...LORA_RXPK, time }], stat: { time } })
      assert.deepEqual([list[0]?.time, stat?.time], [undefined, undefined])
    }
    const { rxpk: list } = pushData({ rxpk: [{ ...LORA_RXPK, time: '2013-03-31 18:21:17+02:00' }] })
    assert.equal(list[0]?.time, BigInt(Date.UTC(2013, 2, 31, 16, 21, 17)) * 1_000n)
  })

  it('set a packet aside that cannot be read, and keep the others', () => {
    const {
      rxpk: list,
      malformed,
      foreign,
    } = pushData({
      rxpk: [LORA_RXPK, { ...LORA_RXPK, freq: null }, { modu: 'LR-FHSS' }, 7, FSK_RXPK],
    })
    assert.deepEqual([list.length, malformed, foreign], [2, ['freq', 'rxpk'], 1])
  })

  it('do without every field that is optional', () => {
    const bare = { tmst: 1, freq: 868.1, datr: 'SF12BW125', rssi: -120, lsnr: -17, data: '4A' }
    assert.deepEqual(pushData({ rxpk: [bare] }).rxpk, [
      {
        payload: Uint8Array.of(0xe0),
        frequency: 868_100_000,
        modulation: { name: 'LORA', spreadingFactor: 12, bandwidth: 125 },
        rssi: -1_200,
        snr: -170,
        tmst: 1,
        crc: 'ok',
      },
    ])
    assert.deepEqual(pushData({}).rxpk, [])
    assert.deepEqual(pushData({ stat: {} }).stat, {})
    assert.deepEqual(pushData({ rxpk: [{ ...bare, tmms: null, ftime: null }] }).rxpk.length, 1)
  })

  it('end in zero bytes where a forwarder writes C strings', () => {
    const bytes = push(Uint8Array.of(...utf8.encode('{"rxpk":[]}'), 0, 0))
    assert.equal(decodeDatagram(bytes).id, 'pushData')
  })

  it('count packets of other modulations and keep the rest', () => {
    const other = { tmst: 1, freq: 868.1, modu: 'LR-FHSS', datr: 'M0CW137', rssi: -120 }
    const { rxpk: list, foreign } = pushData({ rxpk: [other, LORA_RXPK] })
    assert.deepEqual([list.length, foreign], [1, 1])
  })

  it('read a TX_ACK with and without a body', () => {
    const ack = (body: string) => {
      const bytes = push(body)
      bytes[3] = 5
      const { error, warn, value } = decodeDatagram(bytes) as Extract<Datagram, { id: 'txAck' }>
      return [error, warn, value]
    }
    assert.deepEqual(ack(''), [undefined, undefined, undefined])
    assert.deepEqual(ack('{}'), [undefined, undefined, undefined])
    assert.deepEqual(ack('{"txpk_ack":{"error":"NONE"}}'), [undefined, undefined, undefined])
    assert.deepEqual(ack('{"txpk_ack":{"error":"TOO_LATE"}}'), ['TOO_LATE', undefined, undefined])
    const warned = ack('{"txpk_ack":{"warn":"TX_POWER","value":20}}')
    assert.deepEqual(warned, [undefined, 'TX_POWER', 20])
    const texts = { '20': 20, '-1.5': -1.5, '20 dBm': undefined, '': undefined, '1e999': undefined }
    for (const [value, expected] of Object.entries(texts)) {
      const found = ack(JSON.stringify({ txpk_ack: { warn: 'TX_POWER', value } }))
      assert.deepEqual(found, [undefined, 'TX_POWER', expected])
    }
  })

  it('hold up to 255 packets and 65,507 bytes', () => {
    const full = { rxpk: Array(RXPK_MAX).fill({ ...FSK_RXPK, time: undefined }) }
    assert.equal(pushData(full).rxpk.length, RXPK_MAX)
    const padded = `{"rxpk":[]${' '.repeat(DATAGRAM_MAX_BYTES - 12 - 11)}}`
    const largest = push(padded)
    assert.equal(largest.length, DATAGRAM_MAX_BYTES)
    assert.equal(decodeDatagram(largest).id, 'pushData')
    assertBad(push(`${padded} `), 'length')
    assertBad(push(JSON.stringify({ rxpk: Array(RXPK_MAX + 1).fill(0) })), 'packets')
    const rest = Array.from({ length: 600 }, () => ({
      ...(pushData({ rxpk: [LORA_RXPK] }).rxpk[0] as Rxpk),
    }))
    const tooMuch: Datagram = {
      version: 2,
      token: 0,
      id: 'pushData',
      eui: EUI,
      rxpk: rest,
      foreign: 0,
    }
    assert.throws(() => encodeDatagram(tooMuch), { code: 'badDatagram' })
  })

  it('are refused with the reason', () => {
    assertBad(new Uint8Array(), 'length')
    assertBad(Uint8Array.of(2, 0, 0), 'length')
    assertBad(Uint8Array.of(2, 0, 0, 2, 1, 2, 3), 'length')
    assertBad(Uint8Array.of(2, 0, 0, 1, 0), 'length')
    assertBad(Uint8Array.of(2, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9), 'length')
    assertBad(Uint8Array.of(0, 0, 0, 1), 'version')
    assertBad(Uint8Array.of(3, 0, 0, 1), 'version')
    assertBad(Uint8Array.of(2, 0, 0, 6), 'id')
    assertBad(push(Uint8Array.of(0x7b, 0xff, 0x7d)), 'utf8')
    assertBad(push(''), 'json')
    assertBad(push('{"rxpk":[}'), 'json')
    assertBad(push('[]'), 'shape')
    assertBad(push('null'), 'shape')
    assertBad(push('{"rxpk":{}}'), 'shape')
    assertMalformed(1, 'rxpk')
    assertBad(push('{"stat":7}'), 'stat')
    const wrong: Record<string, unknown> = {
      tmst: -1,
      freq: '868.1',
      stat: 2,
      datr: 'SF4BW125',
      rssi: -1_000,
      lsnr: true,
      size: 31,
      data: 'a',
      tmms: 1.5,
      ftime: 1e9,
      codr: 'four fifths',
      modu: 7,
      time: 7,
      chan: -1,
      rfch: 256,
      mid: 0.5,
      brd: 'A',
      foff: 2e6,
      aesk: [],
    }
    for (const [field, value] of Object.entries(wrong)) {
      assertMalformed({ ...LORA_RXPK, [field]: value }, field)
    }
    for (const field of ['tmst', 'freq', 'datr', 'rssi', 'data']) {
      assertMalformed({ ...LORA_RXPK, [field]: undefined }, field)
    }
    for (const data of [
      'a=b=',
      '====',
      'AA=',
      'A===',
      'AAAA=',
      'A A',
      'AA\n',
      '-_-_',
      'x'.repeat(345),
    ]) {
      assertMalformed({ ...LORA_RXPK, size: undefined, data }, 'data')
    }
    const antenna = { rssic: -101 }
    const bad = { ant: -1, rssisd: -1, etime: '=', ftime: 1e9, foff: 'x', lsnr: '5' }
    const antennas = Object.entries(bad).map(([field, value]) => [{ ...antenna, [field]: value }])
    for (const rsig of [[], {}, [1], [{}], Array(17).fill(antenna), ...antennas]) {
      assertMalformed({ ...LORA_RXPK, rsig })
    }
  })

  it('are refused where forwarders drop them: a txpk without size or coding rate', () => {
    const resp = (changes: object) => {
      const packet = {
        imme: true,
        freq: 868.1,
        powe: 14,
        modu: 'LORA',
        datr: 'SF7BW125',
        codr: '4/5',
        size: 1,
        data: '4A==',
        ...changes,
      }
      return Uint8Array.of(2, 0, 0, 3, ...utf8.encode(JSON.stringify({ txpk: packet })))
    }
    assert.equal(decodeDatagram(resp({})).id, 'pullResp')
    assertBad(resp({ size: undefined }), 'size')
    assertBad(resp({ codr: undefined }), 'codr')
    assertBad(resp({ imme: false }), 'tmst')
    assertBad(resp({ powe: 14.5 }), 'powe')
    assertBad(resp({ modu: 'LR-FHSS' }), 'modu')
    assertBad(Uint8Array.of(2, 0, 0, 3, ...utf8.encode('{}')), 'txpk')
  })

  it('are not read through prototypes', () => {
    const nested = '{"rxpk":[{"__proto__":{"tmst":1,"freq":868.1,"datr":"SF7BW125"}}]}'
    assertMalformed(JSON.parse(nested).rxpk[0], 'datr')
    assertMalformed({ constructor: 1 }, 'datr')
  })

  it('fail with a coded error alone, whatever nesting', () => {
    assertBad(push('['.repeat(60_000)))
    assertBad(push(`${'['.repeat(30_000)}${']'.repeat(30_000)}`), 'shape')
    const lists = push(`{"rxpk":${'['.repeat(30_000)}${']'.repeat(30_000)}}`)
    assert.deepEqual((decodeDatagram(lists) as PushData).malformed, ['rxpk'])
    const objects = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`
    assert.equal(decodeDatagram(push(objects)).id, 'pushData')
    assertBad(push(`{"rxpk":${objects}}`), 'shape')
  })

  it('fail with a coded error alone, whatever bytes', () => {
    const only = (bytes: Uint8Array) => {
      try {
        decodeDatagram(bytes)
      } catch (error) {
        assert.ok(error instanceof CairnError && error.code === 'badDatagram', `${error}`)
        assert.equal(typeof error.facts.reason, 'string')
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), only), { numRuns: 2_000 })
    const header = fc.tuple(fc.constantFrom(1, 2), fc.constant(0), fc.constant(0), fc.nat(6))
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 300 }), (start, rest) =>
        only(Uint8Array.of(...start, ...rest)),
      ),
      { numRuns: 2_000 },
    )
    const mutation = fc.tuple(fc.nat(), fc.nat(255))
    fc.assert(
      fc.property(datagram, fc.array(mutation, { minLength: 1, maxLength: 8 }), (value, list) => {
        const bytes = encodeDatagram(value)
        for (const [at, byte] of list) bytes[at % bytes.length] = byte
        only(bytes)
        only(bytes.subarray(0, (list[0]?.[0] ?? 0) % (bytes.length + 1)))
      }),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(fc.json(), json => {
        only(push(json))
        only(push(`{"rxpk":[${json}]}`))
        only(push(`{"rxpk":[{"datr":"SF7BW125","rsig":${json}}]}`))
      }),
      { numRuns: 1_000 },
    )
  })
})
