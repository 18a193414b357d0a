import { strict as assert } from 'node:assert'
import { type GatewayLine, gatewayText, parseCheats, simulate } from '@cairn/testnet'

/** Four rounds: a beacon of the last is judged by three of each gateway, which mutuality needs. */
const EPOCHS = 16
const FULL = 1_000_000

describe('a network with cheats in its air', function () {
  this.timeout(600_000)
  let gateways: readonly GatewayLine[]

  function those(cheat: string | null): GatewayLine[] {
    return gateways.filter(line => line.cheat === cheat)
  }
  function only(cheat: string): GatewayLine {
    const [line, ...more] = those(cheat)
    assert.ok(line !== undefined && more.length === 0)
    return line
  }

  before(async () => {
    const summary = await simulate({
      nodes: 24,
      gateways: 24,
      providers: 1,
      epochs: EPOCHS,
      seed: 7,
      cheats: parseCheats('overpowered,mute,deaf,withheld,ring=3,room=2,oneReceiver=3'),
    })
    assert.deepEqual(summary.violations, [])
    assert.equal(summary.verdicts.coverage.fail, 0)
    gateways = summary.gateways ?? []
    assert.equal(gateways.length, 24)
  })

  it('hears the honest, and takes hardly any for one antenna with a neighbour', () => {
    const honest = those(null)
    assert.equal(honest.length, 12)
    const sums = { ok: 0, unheard: 0, shared: 0, reports: 0 }
    for (const { beacons, reports } of honest) {
      const { ok = 0, unheard = 0, ...others } = beacons
      assert.deepEqual(others, {})
      sums.ok += ok
      sums.unheard += unheard
      const { ok: counted = 0, notSelected = 0, sharedAntenna = 0, ...refused } = reports
      assert.deepEqual(refused, {})
      sums.shared += sharedAntenna
      sums.reports += counted + notSelected + sharedAntenna
    }
    // Two antennas of a small town look alike now and then.
    assert.ok(sums.shared * 50 < sums.reports, `${sums.shared} of ${sums.reports}`)
    // A collision loses a beacon now and then.
    assert.ok(sums.unheard * 5 < sums.ok, `${sums.unheard} of ${sums.ok}`)
  })

  it('never hears the mute, and pays it nothing for hearing others', () => {
    const { beacons, reports, facts } = only('mute')
    assert.deepEqual(Object.keys(beacons), ['unheard'])
    assert.ok((reports.ok ?? 0) > 0)
    assert.equal(facts.witnessing, 0)
  })

  it('gets no report of the deaf, and pays it nothing for being heard', () => {
    const { beacons, reports, facts } = only('deaf')
    assert.ok((beacons.ok ?? 0) > 0)
    assert.deepEqual(reports, {})
    assert.equal(facts.beaconing, 0)
  })

  it('counts a withheld reveal as a beacon that nobody heard', () => {
    const { beacons, facts } = only('withheld')
    assert.deepEqual(Object.keys(beacons), ['noReveal'])
    assert.equal(facts.witnessing, 0)
  })

  it('sees more power than was told as a loss that differs by direction', () => {
    const { facts } = only('overpowered')
    assert.ok((facts.asymmetry ?? 0) < -90, `${facts.asymmetry}`)
    assert.equal(facts.consistency, 0)
  })

  it('sees that a ring is heard by its own alone', () => {
    const ring = those('ring')
    const heard = ring.reduce((sum, { reports }) => sum + (reports.ok ?? 0), 0)
    const told = ring.reduce((sum, { beacons }) => sum + (beacons.ok ?? 0), 0)
    // Of three members two at most tell of each beacon of the third.
    assert.ok(told > 0 && heard <= 2 * told)
    assert.ok(ring.some(({ facts }) => facts.heardShare === 0 && facts.consistency === 0))
  })

  it('refuses what two of one room claim to hear of each other across the town', () => {
    for (const { reports } of those('room')) assert.ok((reports.tooLoud ?? 0) > 0)
  })

  it('counts those once that report from one receiver', () => {
    const shared = those('oneReceiver').map(({ reports }) => reports.sharedAntenna ?? 0)
    assert.ok(shared.reduce((sum, count) => sum + count, 0) > 0)
  })

  it('says for people what became of each', () => {
    const text = gatewayText(only('mute'))
    assert.match(text, /^mute; beacons \d+ unheard; reports .*\d+ ok.*; .*witnessing 0\.00/)
    const { facts } = only('overpowered')
    assert.ok((facts.consistency ?? FULL) < FULL)
  })
})
