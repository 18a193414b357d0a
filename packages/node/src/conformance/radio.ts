import { strict as assert } from 'node:assert'
import { EU868, type RegionalPlan, sensitivity } from '@cairn/protocol'
import type { Radio, Reception, Transmission } from '../ports.ts'
import type { ConformanceCase } from './case.ts'

/** Two radios a kilometre apart, and one that no packet forwarder serves. All are started. */
export interface RadioWorld {
  radio: Radio
  neighbour: Radio
  deaf: Radio
  /** Resolves as the work does, letting the world's clock run meanwhile. */
  during<T>(work: Promise<T>): Promise<T>
  /** Lets at least `ms` of the world's time go by. */
  pass(ms: number): Promise<void>
  /** Stops `radio` and gives another over the same store. */
  restart(): Promise<Radio>
  close(): Promise<void>
}

/** 200 ms of every hour: three beacons at SF7. */
const SCARCE: RegionalPlan = {
  ...EU868,
  bands: EU868.bands.map(band => ({ ...band, duty: 56 })),
}
const SCARCE_FRAMES = 3

/** Airtime of a frame, wait for its ghosts, and the way through sockets; with room. */
const HEARD_WITHIN_MS = 400

const CHANNEL = 868_300_000
const never = new AbortController().signal

function frame(first: number): Transmission {
  const payload = Uint8Array.from({ length: 25 }, (_, i) => (first + i) & 0xff)
  return { payload, frequency: CHANNEL, spreadingFactor: 7, bandwidth: 125, power: 140 }
}

/** What every radio must do. */
export function radioCases(
  open: (init: { plan: RegionalPlan }) => Promise<RadioWorld>,
): ConformanceCase[] {
  const rule = (
    title: string,
    run: (world: RadioWorld) => Promise<void>,
    plan: RegionalPlan = EU868,
  ): ConformanceCase => ({
    title,
    async run() {
      const world = await open({ plan })
      try {
        await run(world)
      } finally {
        await world.close()
      }
    },
  })

  return [
    rule('is online with a gateway, offline without', async ({ radio, deaf }) => {
      assert.equal(radio.online(), true)
      assert.equal(deaf.online(), false)
    }),
    rule('sends nothing without a gateway', async ({ deaf, during }) => {
      const result = await during(deaf.transmit(frame(1), never))
      assert.ok(!result.sent && result.reason === 'noGateway' && result.detail !== '')
    }),
    rule('is heard by its neighbour once, not by itself', async world => {
      const { radio, neighbour, during, pass } = world
      const [here, there] = [record(radio), record(neighbour)]
      const sent = frame(0xe0)
      const result = await during(radio.transmit(sent, never))
      assert.deepEqual(result, { sent: true, power: sent.power })
      await pass(HEARD_WITHIN_MS)
      assert.equal(here.length, 0)
      assert.equal(there.length, 1)
      const heard = there[0] as Reception
      assert.deepEqual([...heard.payload], [...sent.payload])
      const { frequency, spreadingFactor, bandwidth } = heard
      assert.deepEqual({ frequency, spreadingFactor, bandwidth }, shapeOf(sent))
      assert.ok(heard.rssi < sent.power && heard.rssi >= sensitivity({ ...heard, noiseFigure: 0 }))
      assert.ok(Number.isInteger(heard.rssi) && Number.isInteger(heard.snr))
      assert.ok(heard.tmst >= 0 && heard.tmst < 2 ** 32)
    }),
    rule('hands ordinary uplinks on like beacons', async ({ radio, neighbour, during, pass }) => {
      const heard = record(neighbour)
      await during(radio.transmit(frame(0x40), never))
      await pass(HEARD_WITHIN_MS)
      assert.equal(heard[0]?.payload[0], 0x40)
    }),
    rule('tells a listener nothing after it left', async ({ radio, neighbour, during, pass }) => {
      const heard: Reception[] = []
      const leave = neighbour.onReception(reception => heard.push(reception))
      const stays = record(neighbour)
      leave()
      leave()
      await during(radio.transmit(frame(1), never))
      await pass(HEARD_WITHIN_MS)
      assert.deepEqual([heard.length, stays.length], [0, 1])
    }),
    rule('sends nothing outside the bands of its plan', async ({ radio, during }) => {
      const result = await during(radio.transmit({ ...frame(1), frequency: 868_650_000 }, never))
      assert.ok(!result.sent && result.reason === 'refused' && result.detail !== '')
    }),
    rule('sends nothing louder than its band allows', async ({ radio, during }) => {
      const result = await during(radio.transmit({ ...frame(1), power: 170 }, never))
      assert.ok(!result.sent && result.reason === 'refused')
    }),
    rule(
      'keeps the duty cycle of each band',
      async ({ radio, during, pass }) => {
        await spendAll(radio, { during, pass })
        const over = await during(radio.transmit(frame(9), never))
        assert.ok(!over.sent && over.reason === 'dutyCycle' && over.detail !== '')
        const elsewhere = { ...frame(9), frequency: 867_100_000 }
        assert.equal((await during(radio.transmit(elsewhere, never))).sent, true)
      },
      SCARCE,
    ),
    rule(
      'keeps the duty cycle across restarts',
      async ({ radio, restart, during, pass }) => {
        await spendAll(radio, { during, pass })
        const again = await restart()
        const over = await during(again.transmit(frame(9), never))
        assert.ok(!over.sent && over.reason === 'dutyCycle')
      },
      SCARCE,
    ),
    rule('rejects with the reason of the signal', async ({ radio, during }) => {
      const reason = new Error('stopped')
      const aborted = AbortSignal.abort(reason)
      await assert.rejects(during(radio.transmit(frame(1), aborted)), e => e === reason)
    }),
    rule('starts and stops any number of times', async ({ radio, during }) => {
      await radio.start()
      await during(radio.stop())
      await during(radio.stop())
      assert.equal(radio.online(), false)
      const result = await during(radio.transmit(frame(1), never))
      assert.ok(!result.sent && result.reason === 'noGateway')
    }),
  ]
}

function record(radio: Radio): Reception[] {
  const heard: Reception[] = []
  radio.onReception(reception => heard.push(reception))
  return heard
}

function shapeOf({ frequency, spreadingFactor, bandwidth }: Transmission) {
  return { frequency, spreadingFactor, bandwidth }
}

async function spendAll(
  radio: Radio,
  { during, pass }: Pick<RadioWorld, 'during' | 'pass'>,
): Promise<void> {
  for (let i = 0; i < SCARCE_FRAMES; i++) {
    assert.equal((await during(radio.transmit(frame(i), never))).sent, true)
    await pass(100)
  }
}
