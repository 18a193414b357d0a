import { strict as assert } from 'node:assert'
import { cellCentre, cellResolution, distance, type Position } from '@cairn/protocol'
import {
  cellAt,
  FIELD_CHEATS,
  type FieldCheat,
  parseCheats,
  type Resident,
  testnetCells,
  testnetResidents,
  town,
} from '@cairn/testnet'

const SEED = new Uint8Array(32).fill(7)
const ALL = FIELD_CHEATS.map(kind => ({ kind, gateways: 3 }))

function of(residents: readonly Resident[], cheat: FieldCheat | undefined): Resident[] {
  return residents.filter(resident => resident.cheat === cheat)
}

function truth({ gateway }: Resident): Position {
  return gateway.at as Position
}

describe('residents', () => {
  const residents = town({ seed: SEED, gateways: 50, km: 30, cheats: ALL })

  it('are the same for one seed, others for another', () => {
    assert.deepEqual(town({ seed: SEED, gateways: 50, km: 30, cheats: ALL }), residents)
    const others = town({ seed: new Uint8Array(32), gateways: 50, km: 30, cheats: ALL })
    assert.notDeepEqual(others, residents)
  })

  it('are as many as asked, the last ones cheats of the kinds asked for', () => {
    assert.equal(residents.length, 50)
    assert.deepEqual(
      residents.map(({ cheat }) => cheat),
      [...Array(17).fill(undefined), ...FIELD_CHEATS.flatMap(kind => [kind, kind, kind])],
    )
  })

  it('stand where they say unless that is their cheat, then at least 3 km away', () => {
    for (const resident of residents) {
      const away = distance(truth(resident), cellCentre(resident.cell))
      assert.equal(cellResolution(resident.cell), 12)
      const moved = ['spoofed', 'room', 'attenuated', 'oneReceiver'].includes(resident.cheat ?? '')
      assert.ok(moved ? away > 2_980 : away < 20, `${resident.cheat} ${away}`)
    }
  })

  it('share a room, a receiver and what they tell within their group', () => {
    for (const kind of ['room', 'attenuated', 'oneReceiver'] as const) {
      const group = of(residents, kind).map(({ gateway }) => gateway)
      assert.equal(new Set(group.map(({ site }) => site)).size, 1)
      assert.equal(new Set(group.map(({ at }) => at)).size, 1)
      const antennas = new Set(group.map(({ antenna, name }) => antenna ?? name))
      assert.equal(antennas.size, kind === 'oneReceiver' ? 1 : 3)
    }
    const tellers = residents.flatMap(({ gateway }) => gateway.tale ?? [])
    assert.equal(tellers.length, 9)
    assert.equal(new Set(tellers.map(({ group }) => group)).size, 3)
  })

  it('of a testnet claim a place 3 to 6 km away where they lie about it', () => {
    const homes = testnetCells(6, SEED).map((cell, i) => ({
      name: `node${i}`,
      at: cellCentre(cell),
    }))
    const found = testnetResidents(homes, parseCheats('spoofed=3'), SEED)
    for (const { cell, gateway } of of(found, undefined)) {
      assert.equal(cell, cellAt(gateway.at as Position))
    }
    for (const spoofed of of(found, 'spoofed')) {
      const away = distance(truth(spoofed), cellCentre(spoofed.cell))
      assert.ok(away > 2_980 && away < 6_020, `${away}`)
    }
  })
})

describe('a list of cheats', () => {
  it('names kinds and numbers, in groups of at most ten', () => {
    assert.deepEqual(parseCheats('ring=12,mute'), [
      { kind: 'ring', gateways: 10 },
      { kind: 'ring', gateways: 2 },
      { kind: 'mute', gateways: 1 },
    ])
    assert.deepEqual(parseCheats(''), [])
    assert.deepEqual(parseCheats('deaf=0'), [])
  })

  it('is refused with what it may name', () => {
    for (const text of ['thief=2', 'ring=x', 'ring=-1', 'ring=1=2']) {
      assert.throws(() => parseCheats(text), { code: 'badCheats' })
    }
    const tooMany = { seed: SEED, gateways: 2, km: 10, cheats: parseCheats('mute=3') }
    assert.throws(() => town(tooMany), { code: 'badCheats' })
    assert.throws(() => town({ ...tooMany, gateways: 0 }), { code: 'badField' })
    assert.throws(() => town({ ...tooMany, km: 1 }), { code: 'badField' })
  })
})
