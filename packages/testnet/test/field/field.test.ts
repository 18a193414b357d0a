import { strict as assert } from 'node:assert'
import {
  airtime,
  cellCentre,
  cellDistance,
  cellResolution,
  EU868,
  planHolds,
} from '@cairn/protocol'
import {
  type AirFrame,
  type AirInit,
  type FieldGateway,
  freeSpacePathLoss,
  type HeardFrame,
  meanPathLoss,
  RadioField,
  testnetCells,
  VirtualClock,
} from '@cairn/testnet'

const START = 1_700_000_000_000
const SEED = new Uint8Array(32).fill(7)
const FRAME: AirFrame = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125,
  eirp: 140,
}

/** Metres east of Oulu's market place. */
function east(metres: number) {
  return { lat: 650_100_000, lng: 254_700_000 + Math.round((metres / 46_980) * 1e7) }
}

function fieldOf(gateways: FieldGateway[], init: Partial<AirInit> = {}) {
  const clock = new VirtualClock({ start: START })
  const free = { model: { name: 'freeSpace' }, fading: 0 } as const
  const field = new RadioField({ clock }, { seed: SEED, gateways, ...free, ...init })
  const heard = new Map<string, HeardFrame[]>()
  for (const { name } of gateways) {
    heard.set(name, [])
    field.listen(name, frame => heard.get(name)?.push(frame))
  }
  const first = (name: string) => heard.get(name)?.[0] as HeardFrame
  const count = (name: string) => heard.get(name)?.length
  return { clock, field, heard, first, count }
}

describe('radio field', () => {
  it('delivers a frame when its airtime is over, to everyone but the sender', async () => {
    const names = ['a', 'b', 'c']
    const gateways = names.map((name, i) => ({ name, at: east(i * 1_000) }))
    const { clock, field, count } = fieldOf(gateways)
    const end = field.transmit('a', FRAME)
    assert.equal(end, START + 61.696)
    await clock.run({ until: START + 61 })
    assert.equal(count('b'), 0)
    await clock.run()
    assert.deepEqual([count('a'), count('b'), count('c')], [0, 1, 1])
  })

  it('makes levels of EIRP, gain, loss and noise', async () => {
    const gateways = [
      { name: 'a', at: east(0) },
      { name: 'b', at: east(10_000), gain: 30 },
    ]
    const { clock, field, first } = fieldOf(gateways)
    field.transmit('a', FRAME)
    await clock.run()
    // 14 dBm + 3 dBi - 111.2 dB, over noise of -117 dBm; the SNR estimate saturates at 10 dB.
    assert.deepEqual([first('b').rssis, first('b').rssi], [-940, -940])
    assert.ok(first('b').snr >= 95 && first('b').snr <= 100)
    assert.equal(first('b').tmms, undefined)
  })

  it('reports an SNR near the truth while it is low', async () => {
    const { clock, field, first } = fieldOf([
      { name: 'a', at: east(0), attenuation: 270 },
      { name: 'b', at: east(10_000), rssis: false },
    ])
    field.transmit('a', FRAME)
    await clock.run()
    const { rssi, rssis, snr } = first('b')
    assert.equal(rssis, undefined)
    assert.ok(Math.abs(snr - -52) <= 2, `${snr}`)
    assert.equal(rssi, -1_160)
  })

  it('loses what is below the demodulation limit, by spreading factor', async () => {
    const { clock, field, count } = fieldOf([
      { name: 'a', at: east(0), attenuation: 310 },
      { name: 'b', at: east(10_000) },
    ])
    field.transmit('a', FRAME)
    await clock.run()
    assert.equal(count('b'), 0)
    field.transmit('a', { ...FRAME, spreadingFactor: 9 })
    await clock.run()
    assert.equal(count('b'), 1)
  })

  it('keeps the stronger of two frames by 6 dB, and neither of equals', async () => {
    const gateways = [
      { name: 'weak', at: east(0) },
      { name: 'middle', at: east(5_000) },
      { name: 'strong', at: east(10_000) },
    ]
    const { clock, field, heard, count } = fieldOf(gateways)
    field.transmit('weak', { ...FRAME, payload: Uint8Array.of(1) })
    field.transmit('strong', { ...FRAME, payload: Uint8Array.of(2), eirp: 145 })
    await clock.run()
    assert.equal(count('middle'), 0)
    field.transmit('weak', { ...FRAME, payload: Uint8Array.of(1), eirp: 79 })
    field.transmit('strong', { ...FRAME, payload: Uint8Array.of(2) })
    await clock.run()
    assert.deepEqual(
      heard.get('middle')?.map(f => f.payload[0]),
      [2],
    )
  })

  it('lets other channels and other spreading factors pass', async () => {
    const gateways = [
      { name: 'a', at: east(0) },
      { name: 'middle', at: east(5_000) },
      { name: 'b', at: east(10_000) },
    ]
    const { clock, field, count } = fieldOf(gateways)
    field.transmit('a', FRAME)
    field.transmit('b', { ...FRAME, frequency: 868_300_000 })
    await clock.run()
    assert.equal(count('middle'), 2)
    field.transmit('a', FRAME)
    field.transmit('b', { ...FRAME, spreadingFactor: 8 })
    await clock.run()
    assert.equal(count('middle'), 4)
  })

  it('judges a collision however short, and none that is over', async () => {
    const gateways = [
      { name: 'a', at: east(0) },
      { name: 'middle', at: east(5_000) },
      { name: 'b', at: east(10_000) },
    ]
    const { clock, field, count } = fieldOf(gateways)
    field.transmit('a', { ...FRAME, spreadingFactor: 7 })
    clock.at(START + 61, () => field.transmit('b', FRAME))
    await clock.run()
    assert.equal(count('middle'), 0)
    const end = field.transmit('a', FRAME)
    clock.at(end, () => field.transmit('b', FRAME))
    await clock.run()
    assert.equal(count('middle'), 2)
  })

  it('is deaf while it sends', async () => {
    const gateways = [
      { name: 'a', at: east(0) },
      { name: 'b', at: east(1_000) },
      { name: 'c', at: east(2_000) },
    ]
    const { clock, field, count } = fieldOf(gateways)
    field.transmit('a', FRAME)
    clock.at(START + 30, () => field.transmit('b', { ...FRAME, frequency: 868_500_000 }))
    await clock.run()
    assert.deepEqual([count('a'), count('b'), count('c')], [0, 0, 2])
  })

  it('stamps GPS time of the end of reception to the nanosecond', async () => {
    const { clock, field, first } = fieldOf([
      { name: 'a', at: east(0) },
      { name: 'b', at: east(30_000), gps: true },
    ])
    field.transmit('a', FRAME)
    await clock.run()
    const us = airtime({ bytes: 25, spreadingFactor: 7, bandwidth: 125 })
    const travel = Math.round(field.distance('a', 'b') / 0.299_792_458)
    assert.ok(travel > 95_000 && travel < 105_000)
    assert.equal(first('b').ftime, us * 1_000 + travel)
    assert.equal(first('b').tmms, BigInt(START - 315_964_800_000 + 18_000 + 61))
  })

  it('does what cheats and faults are told', async () => {
    const { clock, field, count, heard, first } = fieldOf([
      { name: 'a', at: east(0) },
      { name: 'b', at: east(1_000), deaf: true },
      { name: 'c', at: east(2_000) },
    ])
    field.transmit('a', FRAME)
    await clock.run()
    assert.deepEqual([count('b'), count('c')], [0, 1])
    const honest = first('c').rssi
    field.set('a', { excess: 200 })
    field.set('b', { deaf: false })
    field.transmit('a', FRAME)
    await clock.run()
    assert.equal(count('b'), 1)
    assert.equal(heard.get('c')?.[1]?.rssi, honest + 200)
    field.set('a', { mute: true })
    field.transmit('a', FRAME)
    await clock.run()
    assert.equal(count('c'), 2)
    field.inject('c', first('b'))
    assert.equal(count('c'), 3)
    field.set('a', { mute: false, excess: 0, at: east(900_000) })
    field.transmit('a', FRAME)
    await clock.run()
    assert.equal(count('c'), 3)
  })

  it('is the same for the same seed and order, and another for another seed', async () => {
    const run = async (seed: Uint8Array, listenTo: (name: string) => boolean) => {
      const cells = testnetCells(12, SEED)
      const gateways = cells.map((at, i) => ({ name: `g${i}`, at }))
      const clock = new VirtualClock({ start: START })
      const field = new RadioField({ clock }, { seed, gateways })
      const log: string[] = []
      for (const { name } of gateways.filter(g => listenTo(g.name))) {
        field.listen(name, f => log.push(`${name} ${f.rssi} ${f.snr} ${f.tmst}`))
      }
      for (const { name } of gateways) {
        field.transmit(name, FRAME)
        await clock.run({ until: clock.now() + 50 })
      }
      await clock.run()
      return log
    }
    const all = await run(SEED, () => true)
    assert.deepEqual(await run(SEED, () => true), all)
    assert.notDeepEqual(await run(new Uint8Array(32), () => true), all)
    const some = await run(SEED, name => name === 'g3')
    assert.deepEqual(
      some,
      all.filter(line => line.startsWith('g3 ')),
    )
  })

  it('shadows a link the same both ways, with the spread of the model', () => {
    const gateways = Array.from({ length: 60 }, (_, i) => ({ name: `g${i}`, at: east(i * 500) }))
    const { field } = fieldOf(gateways, { model: { name: 'logDistance' } })
    const shadows: number[] = []
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [`g${i}`, `g${j}`]
        assert.equal(field.pathLoss(a, b, 868_100_000), field.pathLoss(b, a, 868_100_000))
        if (i - j < 4) continue
        const distance = field.distance(a, b)
        const path = { distance, frequency: 868_100_000, heights: [10, 10] as const }
        shadows.push(
          field.pathLoss(a, b, 868_100_000) - meanPathLoss({ name: 'logDistance' }, path),
        )
      }
    }
    const mean = shadows.reduce((x, y) => x + y, 0) / shadows.length
    const deviation = Math.sqrt(shadows.reduce((x, y) => x + (y - mean) ** 2, 0) / shadows.length)
    assert.ok(Math.abs(mean) < 0.6 && Math.abs(deviation - 7.8) < 0.4, `${mean} ${deviation}`)
  })

  it('fades from frame to frame with the spread it was given', async () => {
    const gateways = [
      { name: 'a', at: east(0) },
      { name: 'b', at: east(1_000) },
    ]
    const { clock, field, heard } = fieldOf(gateways, { fading: 4 })
    for (let i = 0; i < 1_000; i++) {
      field.transmit('a', FRAME)
      await clock.run()
    }
    const levels = (heard.get('b') ?? []).map(f => f.rssi / 10)
    const mean = levels.reduce((x, y) => x + y, 0) / levels.length
    const deviation = Math.sqrt(levels.reduce((x, y) => x + (y - mean) ** 2, 0) / levels.length)
    assert.ok(Math.abs(mean - -75.2) < 0.5 && Math.abs(deviation - 4) < 0.4, `${mean} ${deviation}`)
  })

  it('refuses unknown and repeated names', () => {
    const { field } = fieldOf([{ name: 'a', at: east(0) }])
    assert.throws(() => field.transmit('b', FRAME), { code: 'badField' })
    assert.throws(() => field.add({ name: 'a', at: east(0) }), { code: 'badField' })
    assert.throws(() => field.add({ name: 'c', at: 1n }), { code: 'badCell' })
    assert.throws(() => field.transmit('a', { ...FRAME, spreadingFactor: 13 }), {
      code: 'badFrame',
    })
  })
})

describe('propagation', () => {
  const path = (distance: number) => ({
    distance,
    frequency: 868_100_000,
    heights: [30, 1.5] as const,
  })

  it('has the loss measured in Oulu', () => {
    assert.equal(meanPathLoss({ name: 'logDistance' }, path(1_000)), 128.95)
    assert.ok(Math.abs(meanPathLoss({ name: 'logDistance' }, path(10_000)) - 152.15) < 1e-9)
  })

  it('has the free-space loss of the formula', () => {
    assert.ok(Math.abs(freeSpacePathLoss(path(1_000)) - 91.22) < 0.005)
  })

  it('has the loss of Okumura and Hata', () => {
    // Hata's formula by hand: 868.1 MHz, 30 m, 1.5 m, 1 km: 125.99 dB in a medium city.
    const loss = (environment: 'city' | 'suburb' | 'open') =>
      meanPathLoss({ name: 'okumuraHata', environment }, path(1_000))
    assert.ok(Math.abs(loss('city') - 125.99) < 0.02, `${loss('city')}`)
    assert.ok(loss('city') > loss('suburb') && loss('suburb') > loss('open'))
  })

  it('never loses less than free space', () => {
    for (const d of [1, 10, 100, 300]) {
      for (const model of [
        { name: 'logDistance', referenceLoss: 60 },
        { name: 'okumuraHata', environment: 'open' },
      ] as const) {
        assert.ok(meanPathLoss(model, path(d)) >= freeSpacePathLoss(path(d)))
      }
    }
  })
})

describe('testnet cells', () => {
  it('are distinct cells of resolution 12 within the plan, at least 300 m apart', () => {
    for (const n of [0, 1, 8, 64, 200]) {
      const cells = testnetCells(n, SEED)
      assert.equal(new Set(cells).size, n)
      cells.forEach((a, i) => {
        assert.equal(cellResolution(a), 12)
        assert.ok(planHolds(EU868, cellCentre(a)))
        for (const b of cells.slice(0, i)) assert.ok(cellDistance(a, b) >= 500)
      })
    }
  })

  it('are within 3 km of each other while they are few', () => {
    const cells = testnetCells(10, SEED)
    for (const a of cells) for (const b of cells) assert.ok(cellDistance(a, b) <= 3_050)
  })

  it('follow from the seed', () => {
    assert.deepEqual(testnetCells(8, SEED), testnetCells(8, SEED))
    assert.notDeepEqual(testnetCells(8, SEED), testnetCells(8, new Uint8Array(32)))
  })

  it('mostly hear each other', async () => {
    const gateways = testnetCells(8, SEED).map((at, i) => ({ name: `g${i}`, at }))
    const { clock, field, heard } = fieldOf(gateways, { model: { name: 'logDistance' } })
    for (const { name } of gateways) {
      field.transmit(name, { ...FRAME, eirp: 160, spreadingFactor: 9 })
      await clock.run()
    }
    const links = [...heard.values()].reduce((sum, list) => sum + list.length, 0)
    assert.ok(links >= 8 * 7 * 0.7, `${links} of 56`)
  })
})
