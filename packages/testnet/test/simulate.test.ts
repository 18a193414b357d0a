import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  type EpochLine,
  type SimulateOptions,
  type SimulationSummary,
  simulate,
  type World,
} from '@cairn/testnet'

const ALONE = fileURLToPath(new URL('./sim/alone.ts', import.meta.url))
/** Enough for the network to go on without two nodes, and for both kinds to be asked about. */
const LARGE = { nodes: 32, epochs: 6, seed: 7 }
/** Enough for both kinds to be asked several times; two runs of it are compared. */
const MIDDLE = { nodes: 24, epochs: 5, seed: 7 }
const SMALL = { nodes: 12, epochs: 2 }

async function run(options: SimulateOptions) {
  const lines: EpochLine[] = []
  const summary = await simulate(options, line => lines.push(line))
  return { summary, lines }
}

/** Runs in a process of its own, in which time and chance throw. */
async function runAlone(options: SimulateOptions) {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--conditions=cairn-source',
    ALONE,
    JSON.stringify(options),
  ])
  return JSON.parse(stdout) as Pick<SimulationSummary, 'finalHash' | 'violations'> & {
    waited: string[]
  }
}

function assertWhole({ summary, lines }: Awaited<ReturnType<typeof run>>): void {
  assert.deepEqual(summary.violations, [])
  assert.equal(summary.payoutsSumExact, true)
  assert.equal(summary.checkpointsAccepted, summary.epochs)
  assert.deepEqual(
    lines.map(({ epoch }) => epoch),
    Array.from({ length: summary.epochs }, (_, epoch) => epoch),
  )
}

describe('simulation', function () {
  this.timeout(360_000)

  it('gives the same checkpoints for the same seed, with verdicts of both kinds', async () => {
    const first = await run(MIDDLE)
    assertWhole(first)
    for (const { pass, fail } of Object.values(first.summary.verdicts)) {
      assert.ok(pass > 0)
      assert.equal(fail, 0)
    }
    const again = await run(MIDDLE)
    assert.deepEqual(again.summary, first.summary)
    assert.deepEqual(again.lines, first.lines)
  })

  it('gives other checkpoints for another seed', async () => {
    const { summary: first } = await run({ ...SMALL, seed: 7 })
    const { summary: second } = await run({ ...SMALL, seed: 8 })
    assert.notEqual(first.finalHash, second.finalHash)
  })

  it('lands every epoch and punishes nobody though messages are lost and nodes crash', async () => {
    const faulty = await run({ ...LARGE, loss: 0.1, crashed: 2 })
    assertWhole(faulty)
    assert.ok(faulty.summary.lost > 0)
    for (const { pass, fail } of Object.values(faulty.summary.verdicts)) {
      assert.ok(pass > 0)
      assert.equal(fail, 0)
    }
  })

  it('queues checkpoints while the chain is away, and lands them in order', async () => {
    const landed: number[] = []
    const note = (world: World) => landed.push(world.chain.accepted.at(-1)?.epoch ?? -1)
    const away = await run({
      nodes: 20,
      epochs: 6,
      seed: 3,
      events: [
        {
          at: 2,
          happens(world) {
            note(world)
            world.setChainDown(true)
          },
        },
        {
          at: 4,
          happens(world) {
            note(world)
            world.setChainDown(false)
          },
        },
        { at: 4.5, happens: note },
      ],
    })
    assertWhole(away)
    assert.deepEqual(landed.slice(0, 2), [0, 0])
    // Those of the two epochs that ended meanwhile, before anything new could be agreed on.
    assert.ok((landed[2] as number) >= 2)
  })

  it('mends a partition: what each side saw is settled together', async () => {
    const landed: number[] = []
    const note = (world: World) => landed.push(world.chain.accepted.at(-1)?.epoch ?? -1)
    const split = await run({
      nodes: 20,
      epochs: 6,
      seed: 3,
      events: [
        {
          at: 2,
          happens(world) {
            note(world)
            world.network.partition([world.nodes.slice(0, 9).map(({ peer }) => peer)])
          },
        },
        {
          at: 3.5,
          happens(world) {
            note(world)
            world.network.heal()
          },
        },
      ],
    })
    assertWhole(split)
    // Neither side is a quorum.
    assert.deepEqual(landed, [0, 0])
    const { storage } = (split.lines[2] as EpochLine).verdicts
    assert.equal(storage.fail, 0)
    assert.ok(storage.inconclusive > 0)
  })

  it('waits for nothing of this machine, and is the same in another process', async () => {
    const options = { ...SMALL, seed: 7, loss: 0.05 }
    const { summary } = await run(options)
    assert.deepEqual(await runAlone(options), {
      finalHash: summary.finalHash,
      violations: [],
      waited: [],
    })
  })
})
