/** Uplinks of a real daemon, heard by a virtual forwarder, at a real MQTT broker and back. */
import { strict as assert } from 'node:assert'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Daemon, parseManifest, startDaemon, systemClock } from '@cairn/node'
import { deriveKeys, encodeDatagram, mnemonicOf } from '@cairn/protocol'
import { type HeardFrame, RadioField, VirtualForwarder } from '@cairn/testnet'
import mqtt, { type MqttClient } from 'mqtt'
import { manifestOf } from '../packages/cli/test/manifest.ts'
import { RawForwarder } from '../packages/node/test/radio/world.ts'
import { Mosquitto } from './mosquitto.ts'
import { silent } from './network.ts'

const EUI = '0016c001f00d0001'
const HERE = { lat: 492_000_000, lng: 166_000_000 }
const NEAR = { lat: 492_030_000, lng: 166_000_000 }
/** Unconfirmed data up of 26011bda: the example of the LoRaWAN codec's own page. */
const UPLINK = Buffer.from('40f17dbe4900020001954378762b11ff0d', 'hex')
const BEACON = Buffer.from(`e0${'11'.repeat(24)}`, 'hex')
const DOWNLINK = Buffer.from('60f17dbe490002000d6378762b11ff0d', 'hex')

interface Event {
  topic: string
  body: Record<string, never>
}

describe('uplinks at a broker', () => {
  let broker: Mosquitto
  let server: MqttClient
  let daemon: Daemon
  let forwarder: VirtualForwarder
  let field: RadioField
  let directory: string
  const clock = systemClock()
  const events: Event[] = []
  const heard: HeardFrame[] = []
  const watchers = new Set<() => void>()

  const wake = () => {
    for (const watcher of watchers) watcher()
  }
  /** Resolves when something of the kind was seen. */
  const until = async <T>(look: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      await new Promise<void>(resolve => {
        const watcher = () => {
          watchers.delete(watcher)
          resolve()
        }
        watchers.add(watcher)
      })
    }
  }
  const event = (name: string, past = 0) =>
    until(() => events.filter(({ topic }) => topic.endsWith(`/event/${name}`))[past])
  const speak = (payload: Uint8Array) => {
    const frame = { frequency: 868_300_000, spreadingFactor: 7, bandwidth: 125, eirp: 140 }
    field.transmit('device', { payload, ...frame })
  }
  const finding = async () => {
    const { reasons } = await daemon.view.status()
    return reasons.find(({ code }) => code === 'broker')
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-mqtt-'))
    await writeFile(join(directory, 'genesis.ssz'), '')
    broker = await Mosquitto.start()
    server = mqtt.connect(broker.url, { reconnectPeriod: 100 })
    server.on('error', () => {})
    server.on('message', (topic, payload) => {
      events.push({ topic, body: JSON.parse(payload.toString()) })
      wake()
    })
    await server.subscribeAsync('eu868/gateway/#')
    daemon = await startDaemon({
      dataDir: join(directory, 'node'),
      manifest: parseManifest(manifestOf()),
      manifestDir: directory,
      keys: deriveKeys(mnemonicOf(new Uint8Array(32).fill(4))),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      apiPort: 0,
      radio: {
        host: '127.0.0.1',
        port: 0,
        gateways: [{}],
        mqtt: { url: broker.url },
      },
      colocationWeight: 0,
      privateAddresses: true,
      log: silent,
    })
    field = new RadioField(
      { clock },
      {
        seed: new Uint8Array(32).fill(3),
        gateways: [
          { name: 'gateway', at: HERE },
          { name: 'device', at: NEAR },
        ],
      },
    )
    field.listen('device', frame => {
      heard.push(frame)
      wake()
    })
    forwarder = new VirtualForwarder(
      { clock, field },
      {
        gateway: 'gateway',
        eui: EUI,
        server: { port: daemon.gwmpPort as number },
        keepAliveMs: 500,
      },
    )
    await forwarder.start()
    while (forwarder.counters.pullAcknowledged === 0) await clock.until(clock.now() + 20)
  })

  after(async () => {
    await forwarder?.stop()
    await daemon?.stop()
    await server?.endAsync(true)
    await broker?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  it('hands on an uplink, and no beacon', async () => {
    speak(BEACON)
    await clock.until(clock.now() + 300)
    speak(UPLINK)
    const { topic, body } = await event('up')
    assert.equal(topic, `eu868/gateway/${EUI}/event/up`)
    const { phyPayload, txInfo, rxInfo } = body as Record<string, Record<string, unknown>>
    assert.equal(phyPayload, UPLINK.toString('base64'))
    assert.deepEqual(txInfo, {
      frequency: 868_300_000,
      modulation: { lora: { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5' } },
    })
    assert.equal(rxInfo?.gatewayId, EUI)
    assert.equal(events.filter(({ topic: other }) => other.endsWith('/up')).length, 1)
  })

  it('hands on what the forwarder counts', async () => {
    const raw = await RawForwarder.open(daemon.gwmpPort as number)
    const head = { version: 2, token: 7, id: 'pushData', eui: EUI } as const
    const stat = { received: 5, receivedOk: 4, downlinks: 2, transmitted: 0 }
    await raw.send(encodeDatagram({ ...head, rxpk: [], foreign: 0, stat }))
    const { body } = await event('stats')
    const { time, ...counts } = body as Record<string, unknown>
    assert.ok(typeof time === 'string')
    assert.deepEqual(counts, {
      gatewayId: EUI,
      rxPacketsReceived: 5,
      rxPacketsReceivedOk: 4,
      txPacketsReceived: 2,
    })
    await raw.close()
  })

  it('sends a downlink when it is due, and acknowledges it', async () => {
    const first = heard.length
    const { body } = await event('up')
    const { context } = (body as Record<string, Record<string, string>>).rxInfo as {
      context: string
    }
    const count = Buffer.from(context, 'base64').readUInt32BE()
    const ahead = (field.counter('gateway') - count + 2 ** 32) % 2 ** 32
    const due = Math.ceil(ahead / 1_000_000) + 2
    const lora = { bandwidth: 125_000, spreadingFactor: 9, codeRate: 'CR_4_5' }
    const item = (frequency: number) => ({
      phyPayload: DOWNLINK.toString('base64'),
      txInfo: {
        frequency,
        power: 14,
        modulation: { lora: { ...lora, polarizationInversion: true } },
        timing: { delay: { delay: `${due}s` } },
        context,
      },
    })
    const command = {
      downlinkId: 42,
      gatewayId: EUI,
      items: [item(868_650_000), item(868_100_000)],
    }
    await server.publishAsync(`eu868/gateway/${EUI}/command/down`, JSON.stringify(command))
    const ack = await event('ack')
    assert.deepEqual(ack.body, {
      gatewayId: EUI,
      downlinkId: 42,
      items: [{ status: 'TX_FREQ' }, { status: 'OK' }],
    })
    const frame = await until(() => heard[first])
    assert.deepEqual(Buffer.from(frame.payload), DOWNLINK)
    assert.equal(frame.frequency, 868_100_000)
  })

  it('says that the broker is away, and hands on later what it heard meanwhile', async () => {
    const before = events.filter(({ topic }) => topic.endsWith('/up')).length
    await broker.pause()
    while ((await finding()) === undefined) await clock.until(clock.now() + 100)
    for (let counter = 0; counter < 3; counter++) {
      const payload = Buffer.from(UPLINK)
      payload.writeUInt16LE(100 + counter, 6)
      speak(payload)
      await clock.until(clock.now() + 200)
    }
    const { severity, facts } = (await finding()) ?? {}
    assert.equal(severity, 'warning')
    assert.ok(Number(facts?.waiting) >= 3)
    await broker.resume()
    const last = await event('up', before + 2)
    const { phyPayload } = last.body as unknown as { phyPayload: string }
    assert.equal(Buffer.from(phyPayload, 'base64').readUInt16LE(6), 102)
    while ((await finding()) !== undefined) await clock.until(clock.now() + 100)
  })
})
