import { strict as assert } from 'node:assert'
import {
  COVERAGE,
  type CoverageState,
  cellDistance,
  coverage,
  judgeLocation,
  type SettledVerdict,
  type VerdictFacts,
} from '@cairn/protocol'
import { Monitor, silentLog, testnetCells, World } from '@cairn/testnet'
import { latLngToCell } from 'h3-js'
import { chooseFastHasher } from '../../src/sim/hasher.ts'

const HONEST = 8
const CLAIMING = 3
const NODES = HONEST + CLAIMING
const EPOCHS = 9

/** A few streets of Athens: 3,000 km from the town that all machines stand in. */
const ATHENS = [37.98, 37.99, 38.0].map(lat => BigInt(`0x${latLngToCell(lat, 23.73, 12)}`))

interface Settled {
  readonly epoch: number
  readonly verdicts: readonly SettledVerdict[]
  readonly proven: ReadonlyMap<number, bigint>
  readonly state: CoverageState
  readonly penalties: number
}

/** Everybody's key is in one town; three of them say that they, and their radios, are in Athens. */
async function play(): Promise<Settled[]> {
  await chooseFastHasher()
  const town = testnetCells(NODES, new Uint8Array(32).fill(3))
  const world = new World({
    nodes: NODES,
    providers: 0,
    gateways: NODES,
    seed: 11,
    loss: 0.01,
    log: () => silentLog,
    cells: [...town.slice(0, HONEST), ...ATHENS],
    sites: town,
    latency: { min: 1, max: 12 },
  })
  assert.ok(cellDistance(town[0] as bigint, ATHENS[0] as bigint) > 2_990_000)
  await world.begin()
  const settled: Settled[] = []
  const monitor = new Monitor()
  monitor.onEpoch(({ epoch }, { settlement }) => {
    const kind = settlement.kinds.find(({ kind: code }) => code === COVERAGE)
    settled.push({
      epoch,
      verdicts: kind?.verdicts ?? [],
      proven: kind?.proven ?? new Map(),
      state: settlement.state.of<CoverageState>(coverage),
      penalties: settlement.penalties.length,
    })
  })
  for (const { name, node } of world.nodes) monitor.watch(name, node)
  const started = world.start()
  const { slotMs, slotsPerEpoch } = world.profile
  const at = (epoch: number) => world.genesis * 1_000 + epoch * slotMs * slotsPerEpoch
  await world.clock.run({ until: at(0) })
  await started
  await world.clock.run({ until: at(EPOCHS + 1) - 1 })
  assert.ok(settled.length >= EPOCHS)
  return settled
}

/** What was found of a node in an epoch, as a beaconer and as a witness. */
function foundOf({ verdicts }: Settled, node: number): { reason: string; facts: VerdictFacts }[] {
  return verdicts.flatMap(verdict => [
    ...(verdict.target === node ? [verdict] : []),
    ...(verdict.parts ?? []).filter(part => part.node === node),
  ])
}

describe('location by latency in a network', () => {
  let settled: Settled[] = []
  let last: CoverageState
  const honest = Array.from({ length: HONEST }, (_, index) => index)
  const claiming = Array.from({ length: CLAIMING }, (_, index) => HONEST + index)

  before(async function () {
    this.timeout(600_000)
    settled = await play()
    last = (settled.at(-1) as Settled).state
  })

  it('measures every gateway, by nodes of many operators', () => {
    const { timings } = last
    assert.deepEqual(
      timings.map(({ target }) => target),
      [...honest, ...claiming],
    )
    assert.ok(timings.every(({ timings: list }) => list.length >= 5))
  })

  it('takes from who answers faster than light from the cell it claims, and says why', () => {
    for (const node of claiming) {
      const earned = settled.filter(({ proven }) => (proven.get(node) ?? 0n) > 0n)
      const found = settled.flatMap(item => foundOf(item, node))
      const elsewhere = found.filter(({ reason }) => reason === 'elsewhere')
      assert.ok(earned.length > 0, 'they hear each other, and earn until they are measured')
      assert.ok(elsewhere.length > 0)
      for (const { facts } of elsewhere) {
        assert.equal(facts.units, '0')
        assert.ok((facts.roundTripMetres as number) > (facts.roundTripLimit as number))
        assert.ok(2 * (facts.measuredTooFast as number) > (facts.measurements as number))
      }
      const { timings = [] } = last.timings.find(({ target }) => target === node) ?? {}
      assert.equal(judgeLocation(timings).factor, 0)
      const first = settled.findIndex(item =>
        foundOf(item, node).some(({ reason }) => reason === 'elsewhere'),
      )
      assert.ok(settled.slice(first).every(({ proven }) => !proven.has(node)))
    }
  })

  it('takes nothing from honest gateways, though liars measure them too', () => {
    let lies = 0
    for (const node of honest) {
      const { timings = [] } = last.timings.find(({ target }) => target === node) ?? {}
      const { factor, facts } = judgeLocation(timings)
      assert.equal(factor, 1_000_000)
      lies += facts.measuredTooFast as number
      const found = settled.flatMap(item => foundOf(item, node))
      assert.ok(found.some(({ reason }) => reason === 'ok'))
      assert.ok(!found.some(({ reason }) => reason === 'elsewhere'))
    }
    assert.ok(lies > 0, 'who claims to be far away finds everybody too fast')
  })

  it('penalises nobody', () => {
    assert.ok(settled.every(({ penalties }) => penalties === 0))
  })
})
