import { strict as assert } from 'node:assert'
import type { Adopted, Arrival } from '@cairn/node'
import { Checkpoint, checkpointRoot, decode, type EpochMessage, MessageType } from '@cairn/protocol'
import { Monitor, silentLog, type WatchedNode, World } from '@cairn/testnet'

const EPOCHS = 3

/** What a node tells, said by the test. */
class Told implements WatchedNode {
  readonly kept = new Set<string>()
  readonly #arrivals: ((arrival: Arrival) => void)[] = []
  readonly #adoptions: ((adopted: Adopted) => void)[] = []
  readonly ingest = {
    onArrival: (listener: (arrival: Arrival) => void) => void this.#arrivals.push(listener),
  }
  readonly checkpointer = {
    onRetreat: () => {},
    onAdopted: (listener: (adopted: Adopted) => void) => void this.#adoptions.push(listener),
  }
  readonly ledger = { has: async (id: Uint8Array) => this.kept.has(String(id)) }

  adopts(adopted: Adopted): void {
    for (const listener of this.#adoptions) listener(adopted)
  }

  acknowledges(id: Uint8Array, epoch: number, source: Arrival['source'] = 'gossip'): void {
    const value = { epoch } as EpochMessage
    const arrival: Arrival = {
      type: MessageType.challenge,
      message: { id, value },
      envelope: { type: MessageType.challenge, body: id, signature: id },
      kept: true,
      base: { epoch } as Arrival['base'],
      source,
      at: 0,
    }
    for (const listener of this.#arrivals) listener(arrival)
  }
}

describe('monitor', () => {
  /** What an honest node of a simulated network adopted, epoch by epoch. */
  let honest: (Adopted & { settled: NonNullable<Adopted['settled']> })[]
  let monitor: Monitor
  let node1: Told
  let node2: Told

  before(async () => {
    const world = new World({
      nodes: 4,
      providers: 2,
      gateways: 2,
      seed: 1,
      loss: 0,
      log: () => silentLog,
    })
    await world.begin()
    honest = []
    world.nodes[0]?.node.checkpointer.onAdopted(({ accepted, settled }) => {
      assert.ok(settled !== undefined)
      honest.push({ accepted, settled })
    })
    const started = world.start()
    const { slotMs, slotsPerEpoch } = world.profile
    const epochMs = slotMs * slotsPerEpoch
    await world.clock.run({ until: world.genesis * 1_000 + (EPOCHS + 1) * epochMs })
    await started
    assert.ok(honest.length >= EPOCHS)
  })
  beforeEach(() => {
    monitor = new Monitor()
    node1 = new Told()
    node2 = new Told()
    monitor.watch('node1', node1)
    monitor.watch('node2', node2)
  })

  const at = (epoch: number) => honest[epoch] as (typeof honest)[number]
  const broken = () => monitor.violations.map(({ invariant, epoch }) => `${invariant} ${epoch}`)

  it('finds nothing where all is well, and tells each epoch once', () => {
    const told: number[] = []
    monitor.onEpoch(({ epoch }) => told.push(epoch))
    for (const adopted of honest.slice(0, EPOCHS)) {
      node1.adopts(adopted)
      node2.adopts(adopted)
    }
    assert.deepEqual(told, [0, 1, 2])
    assert.deepEqual(monitor.recomputedBy(1), ['node1', 'node2'])
    monitor.requireRecomputed([0, 1, 2], ['node1', 'node2'])
    assert.deepEqual(monitor.violations, [])
  })

  it('waits for a node that has the whole set before it tells an epoch', () => {
    const told: number[] = []
    monitor.onEpoch(({ epoch }) => told.push(epoch))
    node2.adopts({ accepted: at(0).accepted, settled: undefined })
    assert.deepEqual(told, [])
    node1.adopts(at(0))
    assert.deepEqual(told, [0])
    monitor.requireRecomputed([0], ['node1', 'node2'])
    assert.deepEqual(
      monitor.violations.map(({ node }) => node),
      ['node2'],
    )
  })

  it('names a node that adopted another root, or computed one', () => {
    const { accepted, settled } = at(0)
    node1.adopts(at(0))
    node2.adopts({ accepted: { ...accepted, root: at(1).accepted.root }, settled })
    assert.deepEqual(new Set(broken()), new Set(['rootsEqual 0']))
    assert.ok(monitor.violations.every(({ node }) => node === 'node2'))
  })

  it('names an epoch whose parent is another checkpoint', () => {
    node1.adopts(at(0))
    const { accepted, settled } = at(1)
    const checkpoint = { ...decode(Checkpoint, accepted.checkpoint), parent: new Uint8Array(32) }
    const root = checkpointRoot(checkpoint)
    node1.adopts({
      accepted: { ...accepted, root, checkpoint: Checkpoint.serialize(checkpoint) },
      settled: { ...settled, settlement: { ...settled.settlement, checkpoint, root } },
    })
    assert.deepEqual(broken(), ['parentsChain 1'])
  })

  it('names sums that do not add up, to the last unit', () => {
    const { accepted, settled } = at(0)
    const { sums } = settled.settlement
    const wrong = { ...sums, unminted: sums.unminted - 1n }
    node1.adopts({
      accepted,
      settled: { ...settled, settlement: { ...settled.settlement, sums: wrong } },
    })
    assert.deepEqual(broken(), ['sumsExact 0'])

    const other = decode(Checkpoint, at(1).accepted.checkpoint)
    const checkpoint = Checkpoint.serialize({ ...other, earnedTotal: other.earnedTotal + 1n })
    node1.adopts({ accepted: { ...at(1).accepted, checkpoint }, settled: at(1).settled })
    assert.deepEqual(broken(), ['sumsExact 0', 'sumsExact 1'])
  })

  it('names a penalty, since nobody cheats here', () => {
    const { accepted, settled } = at(0)
    const penalty = { node: 1, amount: 5n, evidence: new Uint8Array(32) }
    const settlement = { ...settled.settlement, penalties: [penalty] }
    node1.adopts({ accepted, settled: { ...settled, settlement } })
    assert.deepEqual(broken(), ['noPenaltyOnHonest 0'])
  })

  it('asks for what was acknowledged once its epoch is over, and once', async () => {
    const [kept, lost, late] = [1, 2, 3].map(first => Uint8Array.of(first)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    node1.kept.add(String(kept))
    node1.acknowledges(kept, 0)
    node1.acknowledges(lost, 0)
    node1.acknowledges(late, 1)
    node1.acknowledges(Uint8Array.of(4), 0, 'disk')
    await monitor.checkAcknowledged(0)
    await monitor.checkAcknowledged(0)
    assert.deepEqual(broken(), ['acknowledgedKept 0'])
    assert.match(monitor.violations[0]?.text ?? '', /02/)
  })

  it('asks a node for what it acknowledged before it was stopped', async () => {
    node1.acknowledges(Uint8Array.of(7), 0)
    monitor.unwatch('node1')
    await monitor.checkAcknowledged(0)
    assert.deepEqual(monitor.violations, [], 'it cannot be asked now')
    monitor.watch('node1', new Told())
    await monitor.checkAcknowledged(0)
    assert.deepEqual(broken(), ['acknowledgedKept 0'])
  })
})
