import { strict as assert } from 'node:assert'
import { demodulationLimit } from '@cairn/protocol'
import {
  Air,
  type AirFrame,
  type AirInit,
  type FieldGateway,
  freeSpacePathLoss,
  HATA_RANGE,
  MODELS,
  meanPathLoss,
  outsideOf,
  type PropagationModel,
} from '@cairn/testnet'
import fc from 'fast-check'

const NOON = 1_700_000_000_000
const COUNTER = 2 ** 32
const FRAME: AirFrame = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125,
  eirp: 140,
}
const FREE: PropagationModel = { name: 'freeSpace' }

/** Metres east of Oulu's market place. */
function east(metres: number) {
  return { lat: 650_100_000, lng: 254_700_000 + Math.round((metres / 46_980) * 1e7) }
}

function airOf(gateways: FieldGateway[], init: Partial<AirInit> = {}): Air {
  return new Air({ seed: new Uint8Array(32).fill(7), gateways, ...init })
}

function reports(air: Air, from: string, frame: Partial<AirFrame> = {}, start = NOON) {
  const emission = air.emit(from, { ...FRAME, ...frame }, start)
  return new Map(air.receptions(emission).map(found => [found.gateway, found]))
}

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 })
const models = fc.constantFrom(...Object.values(MODELS))
const metres = fc.integer({ min: 1, max: 60_000 })
const heights = fc.integer({ min: 1, max: 200 })

describe('air', () => {
  it('loses as much one way as the other, whatever the model and the places', () => {
    fc.assert(
      fc.property(seeds, models, metres, heights, heights, (seed, model, away, low, high) => {
        const air = airOf(
          [
            { name: 'a', at: east(0), height: low },
            { name: 'b', at: east(away), height: high },
          ],
          { seed, model },
        )
        assert.equal(air.pathLoss('a', 'b', 868_100_000), air.pathLoss('b', 'a', 868_100_000))
      }),
    )
  })

  it('loses more the further it is, and never less than free space', () => {
    fc.assert(
      fc.property(models, metres, metres, heights, heights, (model, one, other, low, high) => {
        const path = (distance: number) => ({
          distance,
          frequency: 868_100_000,
          heights: [low, high] as const,
        })
        const [near, far] = [Math.min(one, other), Math.max(one, other)]
        assert.ok(meanPathLoss(model, path(near)) <= meanPathLoss(model, path(far)) + 1e-9)
        assert.ok(meanPathLoss(model, path(far)) >= freeSpacePathLoss(path(far)))
      }),
    )
  })

  it('reports nothing below the demodulation limit, nor an SNR above the ceiling', () => {
    fc.assert(
      fc.property(
        seeds,
        models,
        fc.array(metres, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 7, max: 12 }),
        fc.integer({ min: -100, max: 270 }),
        (seed, model, aways, spreadingFactor, eirp) => {
          const listeners = aways.map((away, i) => ({ name: `g${i}`, at: east(away) }))
          const air = airOf([{ name: 'from', at: east(0) }, ...listeners], { seed, model })
          for (const { heard } of reports(air, 'from', { spreadingFactor, eirp }).values()) {
            const limit = demodulationLimit(spreadingFactor)
            // Levels are printed in whole dBm, the SNR in quarters.
            assert.ok(heard.snr >= limit - 2 && heard.snr <= 100)
            assert.ok((heard.rssis as number) >= -1_170 + limit - 10)
            assert.ok(heard.rssi >= (heard.rssis as number))
            assert.ok(heard.tmst >= 0 && heard.tmst < COUNTER)
          }
        },
      ),
    )
  })

  it('keeps the one of two frames that is 6 dB stronger, of one spreading factor and channel', () => {
    const gateways = [
      { name: 'a', at: east(0) },
      { name: 'middle', at: east(5_000) },
      { name: 'b', at: east(10_000) },
    ]
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 7, max: 12 }),
        fc.integer({ min: 0, max: 40 }),
        (one, other, spreadingFactor, apart) => {
          const air = airOf(gateways, { model: FREE, fading: 0 })
          const first = air.emit('a', { ...FRAME, eirp: one, spreadingFactor }, NOON)
          const second = air.emit('b', { ...FRAME, eirp: other, spreadingFactor }, NOON + apart)
          const hears = (emission: typeof first, meanwhile: typeof first) =>
            air.receptions(emission, [meanwhile], name => name === 'middle').length === 1
          // The two ways differ by less than a millimetre's worth of loss.
          if (Math.abs(Math.abs(one - other) - 60) < 1) return
          assert.equal(hears(first, second), one - other > 60)
          assert.equal(hears(second, first), other - one > 60)
        },
      ),
    )
  })

  it('lets another spreading factor pass up to 16 dB, and drowns it beyond', () => {
    const air = airOf(
      [
        { name: 'a', at: east(0) },
        { name: 'middle', at: east(5_000) },
        { name: 'b', at: east(10_000) },
      ],
      { model: FREE, fading: 0 },
    )
    const weak = air.emit('a', { ...FRAME, eirp: 0 }, NOON)
    const heardBeside = (eirp: number) => {
      const loud = air.emit('b', { ...FRAME, eirp, spreadingFactor: 8 }, NOON)
      return air.receptions(weak, [loud], name => name === 'middle').length
    }
    assert.deepEqual([heardBeside(150), heardBeside(170)], [1, 0])
  })

  it('wraps its counter after 2^32 microseconds', () => {
    const air = airOf([{ name: 'a', at: east(0) }])
    const before = air.counter('a', NOON)
    const untilWrap = Math.ceil((COUNTER - before) / 1_000)
    assert.ok(air.counter('a', NOON + untilWrap) < 1_000)
    assert.equal(air.counter('a', NOON + COUNTER / 1_000), before)
  })

  it('hears the same for one seed and order, and fades each frame anew', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 8 }), (seed, frames) => {
        const run = () => {
          const gateways = [0, 800, 1_700, 2_600].map((away, i) => ({
            name: `g${i}`,
            at: east(away),
          }))
          const air = airOf(gateways, { seed })
          return Array.from({ length: frames }, (_, i) => [...reports(air, `g${i % 4}`).values()])
        }
        assert.deepEqual(run(), run())
      }),
      { numRuns: 20 },
    )
  })

  it('shadows gateways of one site alike, and fades identities of one antenna alike', () => {
    const room = { at: east(1_000), site: 'room' }
    const air = airOf([
      { name: 'far', at: east(0) },
      { name: 'a', ...room },
      { name: 'b', ...room },
      { name: 'c', ...room, antenna: 'one' },
      { name: 'd', ...room, antenna: 'one' },
    ])
    const loss = air.pathLoss('far', 'a', FRAME.frequency)
    assert.equal(air.pathLoss('far', 'b', FRAME.frequency), loss)
    const found = reports(air, 'far', { spreadingFactor: 12, eirp: 160 })
    assert.deepEqual(found.get('c')?.heard, found.get('d')?.heard)
    assert.notEqual(found.get('a')?.heard.tmst, found.get('b')?.heard.tmst)
    // What one identity sends no identity of the same antenna hears, nor anything else meanwhile.
    assert.deepEqual([...reports(air, 'c').keys()].sort(), ['a', 'b', 'far'].sort())
    const own = air.emit('c', { ...FRAME, frequency: 868_500_000 }, NOON)
    const others = air.emit('far', { ...FRAME, spreadingFactor: 12, eirp: 160 }, NOON)
    const heard = air.receptions(others, [own]).map(({ gateway }) => gateway)
    assert.deepEqual(heard.sort(), ['a', 'b'])
  })
})

describe('tales', () => {
  const members = (kind: 'ring' | 'forged' | 'relayed') =>
    [0, 1, 2].map(i => ({
      name: `m${i}`,
      at: east(i),
      claim: east(i * 3_000),
      tale: { group: 'them', kind },
      ...(kind === 'ring' && { mute: true, deaf: true }),
    }))

  it('of a ring are about its own frames alone, which nobody else hears', () => {
    const air = airOf([...members('ring'), { name: 'honest', at: east(500) }], { model: FREE })
    const own = reports(air, 'm0')
    assert.deepEqual([...own.keys()].sort(), ['m1', 'm2'])
    assert.ok([...own.values()].every(({ told }) => told))
    // The levels are those of the places they claim.
    const { rssis } = own.get('m1')?.heard ?? {}
    assert.ok(Math.abs((rssis as number) - (140 + 20 - 1_008)) <= 10, `${rssis}`)
    assert.equal(reports(air, 'honest').size, 0)
  })

  it('of forgers are about everything that one of them heard, never too weak', () => {
    const far = members('forged').map((member, i) => ({ ...member, at: east(i * 60_000) }))
    const air = airOf([...far, { name: 'honest', at: east(100) }], { fading: 0 })
    const found = reports(air, 'honest')
    assert.equal(found.get('m0')?.told, false)
    assert.deepEqual([found.get('m1')?.told, found.get('m2')?.told], [true, true])
  })

  it('of relayers have the levels of a wire, whatever the distance', () => {
    const wide = members('relayed').map((member, i) => ({
      ...member,
      at: east(i * 60_000),
      claim: east(i * 5_000),
    }))
    const air = airOf([...wide, { name: 'honest', at: east(100) }])
    const levels = Array.from({ length: 200 }, () =>
      reports(air, 'honest', { spreadingFactor: 12, eirp: 160 }),
    ).map(found => [found.get('m1')?.heard.rssis ?? 0, found.get('m2')?.heard.rssis ?? 0])
    for (const place of [0, 1]) {
      const mean = levels.reduce((sum, pair) => sum + (pair[place] ?? 0), 0) / levels.length
      assert.ok(Math.abs(mean - (180 - 1_350)) < 15, `${mean}`)
    }
  })

  it('carry no time of GPS', () => {
    const air = airOf(
      members('ring').map(member => ({ ...member, gps: true })),
      { model: FREE },
    )
    for (const { heard } of reports(air, 'm0').values()) assert.equal(heard.tmms, undefined)
  })
})

describe('models', () => {
  const path = (heightHigh: number, heightLow: number) => ({
    distance: 5_000,
    frequency: 900_000_000,
    heights: [heightHigh, heightLow] as const,
  })

  it('have the losses of Hata for every environment', () => {
    // By hand: 900 MHz, 30 m, 1.5 m, 5 km.
    const loss = (environment: 'city' | 'largeCity' | 'suburb' | 'open') =>
      meanPathLoss({ name: 'okumuraHata', environment }, path(30, 1.5))
    assert.ok(Math.abs(loss('city') - 151.03) < 0.05, `${loss('city')}`)
    assert.ok(Math.abs(loss('largeCity') - 151.05) < 0.05, `${loss('largeCity')}`)
    assert.ok(Math.abs(loss('city') - loss('suburb') - 9.94) < 0.05)
    assert.ok(Math.abs(loss('city') - loss('open') - 28.51) < 0.05)
  })

  it('say what of a path is outside of the range they were fitted in', () => {
    const hata = MODELS['hata-city'] as PropagationModel
    assert.deepEqual(outsideOf(hata, path(30, 1.5)), [])
    assert.deepEqual(outsideOf(hata, { ...path(30, 1.5), distance: 500 }), ['distance'])
    assert.deepEqual(outsideOf(hata, path(10, 10)), ['base'])
    assert.deepEqual(outsideOf(FREE, path(10, 10)), [])
    assert.deepEqual(HATA_RANGE.distance, [1, 20])
  })
})
