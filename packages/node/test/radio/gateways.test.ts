import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  GATEWAYS_PER_DAEMON,
  type Gateway,
  GwmpServer,
  type Log,
  openLevelStore,
  type Store,
  systemClock,
  type Transmission,
} from '@cairn/node'
import { type Datagram, EU868, type RegionalPlan, regionalPlan } from '@cairn/protocol'
import { RawForwarder } from './world.ts'

const EUIS = ['0016c001f00d0001', '0016c001f00d0002', '0016c001f00d0003'] as const
const NOBODY = '0016c001f00dffff'
const never = new AbortController().signal
const FRAME: Transmission = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125,
  power: 140,
}
/** Room for one frame of `FRAME` in an hour. */
const SCARCE: RegionalPlan = { ...EU868, bands: EU868.bands.map(band => ({ ...band, duty: 20 })) }

const isResponse = (d: Datagram) => d.id === 'pullResp'
type Response = Extract<Datagram, { id: 'pullResp' }>

describe('several gateways on one port', () => {
  const clock = systemClock()
  let directory: string
  let store: Store
  let server: GwmpServer
  let forwarders: RawForwarder[]
  let counts: Map<string, number>
  let logged: { facts: Record<string, unknown>; text: string }[]

  const note = (facts: object, text: string) => void logged.push({ facts: { ...facts }, text })
  const log: Log = { error: note, warn: note, info() {}, debug() {}, child: () => log }
  const count = (_: string, { direction, outcome }: { direction: string; outcome: string }) => {
    const key = `${direction}/${outcome}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const serve = async (plan = EU868) => {
    const gateways = EUIS.map(eui => ({ store: store.sublevel(eui), plan, eui }))
    const init = { gateways, transmitTimeoutMs: 2_000, port: 0 }
    server = new GwmpServer({ clock, log, count }, init)
    await server.start()
    forwarders = []
    for (const _ of EUIS) forwarders.push(await RawForwarder.open(server.port))
  }
  const close = async () => {
    await Promise.all(forwarders.map(forwarder => forwarder.close()))
    await server.stop()
  }
  const parts = (place: number) => ({
    radio: server.gateways[place] as Gateway,
    forwarder: forwarders[place] as RawForwarder,
    eui: EUIS[place] as string,
  })
  const pullAll = async () => {
    for (const place of EUIS.keys()) await parts(place).forwarder.pull(EUIS[place])
  }
  /** Asks for a frame and has the forwarder queue it. */
  const send = async (place: number, frame = FRAME) => {
    const { radio, forwarder, eui } = parts(place)
    const asked = forwarder.until(isResponse)
    const outcome = radio.transmit(frame, never)
    const { token } = (await asked) as Response
    await forwarder.say({ version: 2, token, id: 'txAck', eui })
    return await outcome
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-gateways-'))
    store = await openLevelStore(directory)
    counts = new Map()
    logged = []
    await serve()
  })
  afterEach(async () => {
    await close()
    await store.close()
    await rm(directory, { recursive: true })
  })

  it('gives each what its own forwarder heard', async () => {
    await pullAll()
    const heard = server.gateways.map(gateway => {
      const payloads: number[] = []
      gateway.onReception(({ payload }) => payloads.push(payload[1] as number))
      return payloads
    })
    const last = new Promise<void>(resolve => {
      server.gateways[2]?.onReception(() => resolve())
    })
    for (const place of EUIS.keys()) {
      const { forwarder, eui } = parts(place)
      await forwarder.say({
        version: 2,
        token: place,
        id: 'pushData',
        eui,
        foreign: 0,
        rxpk: [
          {
            payload: Uint8Array.of(0xe0, place),
            frequency: 868_300_000,
            modulation: { name: 'LORA', spreadingFactor: 8, bandwidth: 125 },
            rssi: -900,
            snr: 75,
            tmst: 1_000_000,
            crc: 'ok',
          },
        ],
      })
    }
    await last
    assert.deepEqual(heard, [[0], [1], [2]])
  })

  it('sends what a gateway is to send through its own forwarder', async () => {
    await pullAll()
    for (const place of EUIS.keys()) {
      assert.deepEqual(await send(place), { sent: true, power: 140 })
      const others = forwarders.filter((_, other) => other !== place)
      assert.deepEqual(
        others.map(({ received }) => received.filter(isResponse).length),
        others.map(other => (forwarders.indexOf(other) < place ? 1 : 0)),
      )
    }
  })

  it('takes the word of no other gateway for a frame', async () => {
    await pullAll()
    const { radio, forwarder } = parts(0)
    const asked = forwarder.until(isResponse)
    const outcome = radio.transmit(FRAME, never)
    const { token } = (await asked) as Response
    const other = parts(1)
    await other.forwarder.say({
      version: 2,
      token,
      id: 'txAck',
      eui: other.eui,
      error: 'COLLISION_PACKET',
    })
    await other.forwarder.pull(other.eui)
    assert.equal(counts.get('datagram/unexpectedAck'), 1)
    await forwarder.say({ version: 2, token, id: 'txAck', eui: EUIS[0] })
    assert.equal((await outcome).sent, true)
  })

  it('does not let a silent forwarder hold up the others', async () => {
    await pullAll()
    let silentIsDone = false
    const silent = parts(0)
      .radio.transmit(FRAME, never)
      .then(result => {
        silentIsDone = true
        return result
      })
    assert.equal((await send(1)).sent, true)
    assert.equal((await send(2)).sent, true)
    assert.equal(silentIsDone, false)
    const result = await silent
    assert.ok(!result.sent && result.reason === 'timeout')
    await forwarders[0]?.close()
    assert.equal((await send(1)).sent, true)
    forwarders[0] = await RawForwarder.open(server.port)
  })

  it('knows of each whether its forwarder is there', async () => {
    await parts(1).forwarder.pull(EUIS[1])
    assert.deepEqual(
      server.gateways.map(gateway => gateway.online()),
      [false, true, false],
    )
    const result = await parts(0).radio.transmit(FRAME, never)
    assert.ok(!result.sent && result.reason === 'noGateway')
  })

  it('refuses and counts the datagrams of a forwarder that is nobody’s, with one line', async () => {
    const stranger = await RawForwarder.open(server.port)
    try {
      for (let token = 0; token < 20; token++) {
        await stranger.say({ version: 2, token, id: 'pullData', eui: NOBODY })
        await stranger.say({ version: 2, token, id: 'pullData', eui: NOBODY.replace('f', 'e') })
      }
      await pullAll()
      assert.equal(counts.get('datagram/foreignEui'), 40)
      assert.equal(stranger.received.length, 0)
      const lines = logged.filter(({ facts }) => facts.kind === 'foreignEui')
      assert.deepEqual(
        lines.map(({ facts }) => facts.eui),
        [NOBODY],
      )
      assert.match(String(lines[0]?.facts.next), /radio\.eui.*radio\.gateways/)
      assert.equal(server.door.foreignEui, NOBODY.replace('f', 'e'), 'the last')
    } finally {
      await stranger.close()
    }
  })

  it('keeps the airtime of each apart, and over a restart', async () => {
    await close()
    await serve(SCARCE)
    await pullAll()
    assert.equal((await send(0)).sent, true)
    const again = await parts(0).radio.transmit(FRAME, never)
    assert.ok(!again.sent && again.reason === 'dutyCycle')
    assert.equal((await send(1)).sent, true)
    await close()
    await serve(SCARCE)
    await pullAll()
    for (const place of [0, 1]) {
      const spent = await parts(place).radio.transmit(FRAME, never)
      assert.ok(!spent.sent && spent.reason === 'dutyCycle')
    }
    assert.equal((await send(2)).sent, true)
  })

  it('keeps the plan of each', async () => {
    const plans = [EU868, regionalPlan('US915')]
    const gateways = plans.map((plan, place) => ({
      store: store.sublevel('other'),
      plan,
      eui: EUIS[place] as string,
    }))
    const mixed = new GwmpServer({ clock, log, count }, { gateways, transmitTimeoutMs: 1, port: 0 })
    await mixed.start()
    const forwarder = await RawForwarder.open(mixed.port)
    try {
      await forwarder.pull(EUIS[1])
      const result = await mixed.gateways[1]?.transmit(FRAME, never)
      assert.ok(result?.sent === false && result.reason === 'refused')
    } finally {
      await forwarder.close()
      await mixed.stop()
    }
  })

  it('wants each of several named, each once, and not too many', () => {
    const build = (euis: (string | undefined)[]) => () =>
      new GwmpServer(
        { clock, log, count },
        {
          gateways: euis.map(eui => ({
            store: store.sublevel('other'),
            plan: EU868,
            ...(eui === undefined ? {} : { eui }),
          })),
          transmitTimeoutMs: 1,
        },
      )
    const many = (size: number) =>
      Array.from({ length: size }, (_, i) => i.toString(16).padStart(16, '0'))
    assert.throws(build([]), { code: 'badGateways' })
    assert.throws(build([EUIS[0], undefined]), { code: 'badGateways' })
    assert.throws(build([EUIS[0], EUIS[0].toUpperCase()]), { code: 'badGateways' })
    assert.throws(build(many(GATEWAYS_PER_DAEMON + 1)), { code: 'badGateways' })
    assert.doesNotThrow(build(many(GATEWAYS_PER_DAEMON)))
    assert.doesNotThrow(build([undefined]))
  })
})
