/** Runs a whole network in memory from one seed and sums up what happened. */
import type { Log } from '@cairn/node'
import { CairnError, check, hex, sha256 } from '@cairn/protocol'
import type { CheatGroup } from './field/residents.ts'
import { type GatewayLine, GatewayTally } from './gateway-tally.ts'
import { Monitor, type Violation } from './monitor.ts'
import { chooseFastHasher } from './sim/hasher.ts'
import { World } from './sim/world.ts'
import { type EpochLine, epochLine, totals } from './summary.ts'

export interface SimulateOptions {
  nodes: number
  epochs: number
  seed: number
  /** Nodes that offer disk; a quarter of them unless given. */
  providers?: number
  /** Nodes with a radio; a quarter of them unless given. */
  gateways?: number
  /** Share of deliveries that are lost, from 0 to below 1. */
  loss?: number
  /** Nodes that crash after the second epoch and stay away. */
  crashed?: number
  /** The last gateways cheat in the radio field. */
  cheats?: readonly CheatGroup[]
  /** What befalls the world on the way. */
  events?: readonly SimulationEvent[]
  log?: (node: string) => Log
}

export interface SimulationEvent {
  /** Epochs since genesis, from 0; 2.5 is the middle of the third epoch. */
  at: number
  happens(world: World): void
}

export interface SimulationSummary {
  nodes: number
  seed: number
  epochs: number
  checkpointsAccepted: number
  /** Hash over the roots of all accepted checkpoints: equal for equal options. */
  finalHash: string
  attestations: EpochLine['attestations']
  verdicts: EpochLine['verdicts']
  burned: string
  payoutsSumExact: boolean
  /** Copies delivered, and lost. */
  delivered: number
  lost: number
  violations: Violation[]
  /** Where gateways cheat: what became of each. */
  gateways?: GatewayLine[]
}

/** Epochs that may pass after the last one until its checkpoint is accepted. */
const LANDING_EPOCHS = 1
const CRASH_AFTER_EPOCHS = 2

/** Throws `badSimulation`, or `simulationStalled` when a checkpoint is not accepted in time. */
export async function simulate(
  options: SimulateOptions,
  onEpoch: (line: EpochLine) => void = () => {},
): Promise<SimulationSummary> {
  const { nodes, epochs, seed, loss = 0, crashed = 0 } = options
  check(
    nodes >= 1 && epochs >= 1 && crashed <= nodes && loss >= 0 && loss < 1,
    'badSimulation',
    'a simulation has a node and an epoch at least, and crashes no more nodes than it has',
    { facts: { nodes, epochs, crashed, loss } },
  )
  const providers = options.providers ?? Math.ceil(nodes / 4)
  const radios = options.gateways ?? Math.ceil(nodes / 4)
  await chooseFastHasher()
  const world = new World({
    nodes,
    providers,
    gateways: radios,
    seed,
    loss,
    log: options.log ?? (() => silentLog),
    fieldCheats: options.cheats ?? [],
  })
  await world.begin()
  const monitor = new Monitor()
  const lines: EpochLine[] = []
  const gateways = new GatewayTally()
  monitor.onEpoch((accepted, settled) => {
    if (accepted.epoch >= epochs) return
    const line = epochLine(accepted, settled)
    lines.push(line)
    gateways.observe(settled)
    onEpoch(line)
  })
  for (const { name, node } of world.nodes) monitor.watch(name, node)
  const started = world.start()
  const { slotMs, slotsPerEpoch } = world.profile
  const epochMs = slotMs * slotsPerEpoch
  const at = (epoch: number) => world.genesis * 1_000 + epoch * epochMs
  const crash: SimulationEvent = {
    at: Math.min(CRASH_AFTER_EPOCHS, epochs),
    happens() {
      for (const { name } of world.nodes.slice(nodes - crashed)) {
        monitor.unwatch(name)
        world.crash(name)
      }
    },
  }
  await world.clock.run({ until: at(0) })
  await started
  for (const event of [crash, ...(options.events ?? [])].sort((a, b) => a.at - b.at)) {
    await world.clock.run({ until: at(event.at) })
    event.happens(world)
  }
  await world.clock.run({ until: at(epochs + LANDING_EPOCHS) - 1 })
  await monitor.checkAcknowledged(epochs - 1)
  if (lines.length < epochs) {
    throw new CairnError('simulationStalled', `only ${lines.length} of ${epochs} epochs landed`, {
      facts: { accepted: lines.length, epochs, seed },
      next: 'run it again with --log-level debug: the same seed gives the same run',
    })
  }
  const { tally } = world.network
  const roots = lines.map(({ root }) => root).join('')
  const { epochs: _, gasPerCheckpoint: __, ...sums } = totals(lines)
  return {
    nodes,
    seed,
    epochs,
    checkpointsAccepted: lines.length,
    finalHash: hex(sha256(new TextEncoder().encode(roots))),
    ...sums,
    payoutsSumExact: monitor.violations.every(({ invariant }) => invariant !== 'sumsExact'),
    delivered: tally.accepted + tally.ignored + tally.rejected + tally.duplicates,
    lost: tally.lost,
    violations: monitor.violations,
    ...(world.fieldCheats.size > 0 && { gateways: gateways.lines(world.fieldCheats) }),
  }
}

/** Drops everything. */
export const silentLog: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLog,
}
