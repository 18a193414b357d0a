import { strict as assert } from 'node:assert'
import {
  ackEvent,
  COMMAND_MAX_BYTES,
  type HeardPacket,
  readDownlink,
  readUplink,
  regionTopic,
  statsEvent,
  uplinkEvent,
} from '@cairn/node'
import { CairnError } from '@cairn/protocol'
import fc from 'fast-check'

const EUI = '0016c001f153a14c'
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

const heard: HeardPacket = {
  eui: EUI,
  at: Date.UTC(2022, 7, 3, 14, 37, 43, 383),
  packet: {
    payload: bytes('gKb+agGABQABOIc6cwQ='),
    frequency: 867_300_000,
    modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
    rssi: -520,
    snr: 138,
    tmst: 0xc70c7419,
    tmms: 1_343_572_681_383n,
    ftime: 383_634_108,
    time: 1_659_537_463_383_634n,
    crc: 'ok',
    codingRate: '4/5',
    channel: 5,
    chain: 0,
  },
}

const item = (change: object = {}, lora: object = {}) => ({
  phyPayload: 'YKb+agGgAwCSzNbb',
  txInfo: {
    frequency: 867_300_000,
    power: 14,
    modulation: {
      lora: {
        bandwidth: 125_000,
        spreadingFactor: 7,
        codeRate: 'CR_4_5',
        polarizationInversion: true,
        ...lora,
      },
    },
    timing: { delay: { delay: '1s' } },
    context: 'xwx0GQ==',
    ...change,
  },
})
const command = (...items: object[]) => text({ downlinkId: 894_104_280, items, gatewayId: EUI })
const code = (payload: Uint8Array) => {
  try {
    readDownlink(payload)
  } catch (error) {
    return error instanceof CairnError ? error.code : 'other'
  }
  return undefined
}

describe('gateway events', () => {
  it('of an uplink are what ChirpStack’s protobuf mapping makes of one', () => {
    assert.deepEqual(JSON.parse(uplinkEvent(heard, 7_895)), {
      phyPayload: 'gKb+agGABQABOIc6cwQ=',
      txInfo: {
        frequency: 867_300_000,
        modulation: { lora: { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5' } },
      },
      rxInfo: {
        gatewayId: EUI,
        uplinkId: 7_895,
        gwTime: '2022-08-03T14:37:43.383634Z',
        nsTime: '2022-08-03T14:37:43.383Z',
        timeSinceGpsEpoch: '1343572681.383s',
        fineTimeSinceGpsEpoch: '1343572681.383634108s',
        rssi: -52,
        snr: 13.8,
        channel: 5,
        context: 'xwx0GQ==',
        crcStatus: 'CRC_OK',
      },
    })
  })

  it('leave out what is zero or not known', () => {
    const { tmms, ftime, time, chain, channel, snr, ...packet } = heard.packet
    const fsk = { ...packet, tmst: 0, modulation: { name: 'FSK', bitrate: 50_000 } as const }
    const { txInfo, rxInfo } = JSON.parse(uplinkEvent({ ...heard, packet: fsk }, 0))
    assert.deepEqual(txInfo.modulation, { fsk: { datarate: 50_000 } })
    assert.deepEqual(Object.keys(rxInfo), ['gatewayId', 'nsTime', 'rssi', 'context', 'crcStatus'])
    assert.equal(rxInfo.context, 'AAAAAA==')
  })

  it('of statistics and acknowledgements have its field names', () => {
    const stat = {
      time: Date.UTC(2022, 7, 3, 14, 37, 59),
      received: 3,
      receivedOk: 2,
      downlinks: 1,
      transmitted: 1,
      latitude: 49.2,
      longitude: 16.6,
      altitude: 230,
    }
    assert.deepEqual(JSON.parse(statsEvent({ eui: EUI, stat, at: 0 })), {
      gatewayId: EUI,
      time: '2022-08-03T14:37:59.000Z',
      location: { latitude: 49.2, longitude: 16.6, altitude: 230 },
      rxPacketsReceived: 3,
      rxPacketsReceivedOk: 2,
      txPacketsReceived: 1,
      txPacketsEmitted: 1,
    })
    assert.equal(
      ackEvent(EUI, 894_104_280, ['OK', 'IGNORED']),
      `{"gatewayId":"${EUI}","downlinkId":894104280,"items":[{"status":"OK"},{}]}`,
    )
  })
})

describe('a region', () => {
  it('is called as the server’s default configuration calls it', () => {
    const names = ['EU868', 'US915', 'AS923-1', 'AS923-2', 'AS923-4', 'CN470']
    assert.deepEqual(
      names.map(name => regionTopic({ name })),
      ['eu868', 'us915', 'as923', 'as923_2', 'as923_4', 'cn470'],
    )
  })
})

describe('downlink command', () => {
  it('asks for a frame so long after the uplink of its context', () => {
    const { id, items } = readDownlink(command(item()))
    assert.equal(id, 894_104_280)
    assert.deepEqual(items, [
      {
        payload: Buffer.from('YKb+agGgAwCSzNbb', 'base64'),
        frequency: 867_300_000,
        power: 14,
        when: { tmst: 0xc70c7419 + 1_000_000 },
        modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
        codingRate: '4/5',
        inverted: true,
      },
    ])
  })

  it('counts past the end of the concentrator’s counter', () => {
    const { items } = readDownlink(command(item({ context: '/////w==' })))
    assert.deepEqual(items[0]?.when, { tmst: 999_999 })
  })

  it('may be due at once or at a GPS time', () => {
    const now = item({ timing: { immediately: {} }, context: undefined })
    const gps = item({ timing: { gpsEpoch: { timeSinceGpsEpoch: '1343572681.5s' } } })
    const { items } = readDownlink(command(now, gps))
    assert.deepEqual(
      items.map(({ when }) => when),
      ['now', { tmms: 1_343_572_681_500n }],
    )
  })

  it('is refused with a code when it is not one', () => {
    assert.equal(code(text([])), 'badCommand')
    assert.equal(code(new Uint8Array([8, 1, 18, 0])), 'badCommand')
    assert.equal(code(command()), 'badCommand')
    assert.equal(code(command(...Array.from({ length: 8 }, () => item()))), undefined)
    assert.equal(code(command(...Array.from({ length: 9 }, () => item()))), 'badCommand')
    assert.equal(code(command(item({ context: 'AAA=' }))), 'badCommand')
    assert.equal(code(command(item({}, { spreadingFactor: 13 }))), 'badCommand')
    assert.equal(code(command(item({ timing: {} }))), 'badCommand')
    assert.equal(code(new Uint8Array(COMMAND_MAX_BYTES + 1).fill(0x20)), 'badCommand')
  })

  it('never throws anything but a coded error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(text)), payload => {
        assert.notEqual(code(payload), 'other')
      }),
    )
  })
})

describe('LoRaWAN uplink', () => {
  const of = (hex: string) => readUplink(new Uint8Array(Buffer.from(hex, 'hex')))

  it('tells whom it is for', () => {
    assert.deepEqual(of('40f17dbe4900020001954378762b11ff0d'), {
      kind: 'unconfirmed',
      devAddr: 0x49be7df1,
      counter: 2,
    })
    assert.deepEqual(of('00dc0000d07ed5b3701e6fedf57ceeaf00c886030af2c9'), {
      kind: 'joinRequest',
      joinEui: 0x70b3d57ed00000dcn,
      devEui: 0x00afee7cf5ed6f1en,
    })
    assert.equal(of(`80${'10'.repeat(11)}`)?.kind, 'confirmed')
    assert.equal(of(`c000${'11'.repeat(17)}`)?.kind, 'rejoinRequest')
  })

  it('is no downlink, nothing proprietary, and nothing that is too short', () => {
    assert.equal(of(`60${'11'.repeat(12)}`), undefined)
    assert.equal(of(`e0${'11'.repeat(24)}`), undefined)
    assert.equal(of(`40${'00'.repeat(10)}`), undefined)
    assert.equal(of(`40111111110100${'00'.repeat(5)}`), undefined, 'shorter than its options')
    assert.equal(of(`00${'11'.repeat(21)}`), undefined)
    assert.equal(of(''), undefined)
  })

  it('is read or refused, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), payload => void readUplink(payload)))
  })
})
