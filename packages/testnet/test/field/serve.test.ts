import { strict as assert } from 'node:assert'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type Gateway, GwmpServer, systemClock } from '@cairn/node'
import {
  airtime,
  type Datagram,
  decodeDatagram,
  EU868,
  encodeDatagram,
  type Txpk,
} from '@cairn/protocol'
import {
  DEVICES_MAX,
  endDevices,
  FORWARDERS_MAX,
  MemoryStore,
  MODELS,
  modelNamed,
  type PropagationModel,
  parseTraffic,
  ServedField,
  type ServedFieldInit,
  silentLog,
} from '@cairn/testnet'

const FREE = MODELS.free as PropagationModel
const TXPK: Txpk = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
  when: 'now',
  power: 14,
  codingRate: '4/5',
}

describe('a served field', () => {
  const clock = systemClock()
  let socket: Socket
  let field: ServedField | undefined
  /** Who said what, and where the answer goes. */
  let said: { datagram: Datagram; from: RemoteInfo }[]

  function fieldOf(init: Partial<ServedFieldInit> = {}): ServedField {
    const { port } = socket.address()
    const defaults = { gateways: 5, seed: 7, km: 5, model: FREE, cheats: [], gps: false }
    const traffic = { devices: 0, everyS: 60 }
    field = new ServedField(
      { clock },
      { ...defaults, ...traffic, server: { host: '127.0.0.1', port }, ...init },
    )
    return field
  }
  async function until(enough: () => boolean): Promise<void> {
    while (!enough()) await once(socket, 'message')
  }
  const told = <I extends Datagram['id']>(id: I) =>
    said.filter(
      (heard): heard is { datagram: Extract<Datagram, { id: I }>; from: RemoteInfo } =>
        heard.datagram.id === id,
    )

  beforeEach(async () => {
    said = []
    socket = createSocket('udp4')
    socket.bind({ address: '127.0.0.1', port: 0 })
    await once(socket, 'listening')
    socket.on('message', (bytes, from) => {
      const datagram = decodeDatagram(bytes)
      said.push({ datagram, from })
      const { version, token, id } = datagram
      const ack = id === 'pushData' ? 'pushAck' : id === 'pullData' ? 'pullAck' : undefined
      if (ack === undefined) return
      socket.send(encodeDatagram({ version, token, id: ack }), from.port, from.address)
    })
  })
  afterEach(async () => {
    clock.setOffset(0)
    await field?.stop()
    field = undefined
    await new Promise<void>(resolve => socket.close(resolve))
  })

  it('has the same places, EUIs and devices for the same seed', () => {
    const [one, other] = [fieldOf({ devices: 3 }), fieldOf({ devices: 3 })]
    assert.deepEqual(one.gateways, other.gateways)
    assert.deepEqual(one.devices, other.devices)
    assert.notDeepEqual(fieldOf({ seed: 8 }).gateways, one.gateways)
    assert.equal(one.gateways[0]?.eui, '8e284b4d1225fc6b')
  })

  it('asks for downlinks under every EUI, and notes who is answered', async () => {
    const { gateways } = fieldOf()
    await field?.start()
    await until(() => told('pullData').length >= gateways.length)
    const euis = told('pullData').map(({ datagram }) => datagram.eui)
    assert.deepEqual(euis.sort(), gateways.map(({ eui }) => eui).sort())
    while (field?.tally().answered !== gateways.length) await clock.until(clock.now() + 5)
  })

  it('sends what one is asked to, and the others report it', async () => {
    const { gateways } = fieldOf()
    await field?.start()
    await until(() => told('pullData').length >= gateways.length)
    const [first] = told('pullData')
    const { port = 0, address = '' } = first?.from ?? {}
    socket.send(encodeDatagram({ version: 2, token: 9, id: 'pullResp', txpk: TXPK }), port, address)
    const heard = () => told('pushData').filter(({ datagram }) => datagram.rxpk.length > 0)
    await until(() => heard().length === gateways.length - 1 && told('txAck').length === 1)
    assert.deepEqual(
      new Set([...heard(), ...told('txAck')].map(({ datagram }) => datagram.eui)),
      new Set(gateways.map(({ eui }) => eui)),
    )
    assert.deepEqual(told('txAck')[0]?.datagram.eui, first?.datagram.eui)
    assert.deepEqual(heard()[0]?.datagram.rxpk[0]?.payload, TXPK.payload)
  })

  it('has a beacon of a ring told by its own alone', async () => {
    const { gateways } = fieldOf({ cheats: [{ kind: 'ring', gateways: 3 }] })
    await field?.start()
    await until(() => told('pullData').length >= gateways.length)
    const eui = gateways[2]?.eui
    const { from } = told('pullData').find(({ datagram }) => datagram.eui === eui) as {
      from: RemoteInfo
    }
    socket.send(
      encodeDatagram({ version: 2, token: 9, id: 'pullResp', txpk: TXPK }),
      from.port,
      from.address,
    )
    const tellers = () => told('pushData').map(({ datagram }) => datagram.eui)
    await until(() => tellers().length === 2)
    assert.deepEqual(tellers().sort(), [gateways[3]?.eui, gateways[4]?.eui].sort())
  })

  it('is a town of gateways to the daemon, one of which beacons and the others hear', async () => {
    const places = fieldOf({ gateways: 4 }).gateways
    const server = new GwmpServer(
      { clock, log: silentLog, count: () => {} },
      {
        gateways: places.map(({ eui }) => ({
          store: new MemoryStore(),
          plan: EU868,
          gain: 20,
          eui,
        })),
        transmitTimeoutMs: 5_000,
        port: 0,
      },
    )
    await server.start()
    try {
      await fieldOf({ gateways: 4, server: { host: '127.0.0.1', port: server.port } }).start()
      const [beaconer, ...others] = server.gateways as [Gateway, ...Gateway[]]
      while (!server.gateways.every(gateway => gateway.online())) {
        await clock.until(clock.now() + 5)
      }
      const heard = others.map(
        gateway => new Promise<Uint8Array>(hear => gateway.onReception(r => hear(r.payload))),
      )
      const { payload, frequency } = TXPK
      const frame = { payload, frequency, spreadingFactor: 7, bandwidth: 125, power: 160 }
      const result = await beaconer.transmit(frame, new AbortController().signal)
      assert.deepEqual(result, { sent: true, power: 160 })
      assert.deepEqual(
        await Promise.all(heard),
        others.map(() => new Uint8Array(payload)),
      )
    } finally {
      await field?.stop()
      await server.stop()
    }
  })

  it('hears LoRaWAN uplinks of its devices, with their address', async () => {
    const { devices } = fieldOf({ devices: 2, everyS: 6 })
    await field?.start()
    const uplinks = () => told('pushData').flatMap(({ datagram }) => datagram.rxpk)
    clock.setOffset(6_000)
    await until(() => uplinks().length > 0)
    const { payload } = uplinks()[0] ?? { payload: new Uint8Array() }
    const devAddr = new DataView(payload.buffer, payload.byteOffset).getUint32(1, true)
    assert.equal(payload[0], 0x40)
    assert.ok(devices.some(known => known.devAddr === devAddr.toString(16).padStart(8, '0')))
  })

  it('refuses more than it can serve, and what it does not know', () => {
    assert.throws(() => fieldOf({ gateways: FORWARDERS_MAX + 1 }), { code: 'badField' })
    assert.throws(() => fieldOf({ devices: DEVICES_MAX + 1 }), { code: 'badField' })
    assert.throws(() => fieldOf({ devices: 1, everyS: 1 }), { code: 'badField' })
    assert.throws(() => modelNamed('none'), { code: 'badField' })
    assert.throws(() => parseTraffic('every=5'), { code: 'badField' })
    assert.deepEqual(parseTraffic('devices=4'), { devices: 4, everyS: 60 })
  })
})

describe('end devices', () => {
  it('send at most 1 % of the time', () => {
    const seed = new Uint8Array(32).fill(7)
    for (const everyMs of [6_000, 20_000, 60_000, 200_000]) {
      const devices = endDevices({ seed, devices: 50, km: 10, everyMs })
      for (const { spreadingFactor } of devices) {
        assert.ok(airtime({ bytes: 21, spreadingFactor, bandwidth: 125 }) / 1_000 <= everyMs / 100)
      }
    }
  })
})
