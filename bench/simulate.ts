/** The simulator: the node's own code, every signature real, on virtual time. */
import { TESTNET_PROFILE } from '@cairn/protocol'
import { simulate } from '@cairn/testnet'
import { type Line, median, rounded } from './measure.ts'

const NODES = 20
const EPOCHS = 5
const RUNS = 3

export async function* simulation(): AsyncGenerator<Line> {
  await simulate({ nodes: 8, epochs: 2, seed: 1 })
  const epochs: number[] = []
  const rates: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now()
    let before = start
    const { delivered, violations } = await simulate(
      { nodes: NODES, epochs: EPOCHS, seed: 1 },
      () => {
        const now = performance.now()
        epochs.push((now - before) / 1_000)
        before = now
      },
    )
    if (violations.length > 0) throw new Error('the simulated network broke an invariant')
    rates.push((1_000 * delivered) / (performance.now() - start))
  }
  // The first of each run also holds what comes before genesis.
  const value = median(epochs.filter((_, i) => i % EPOCHS > 0))
  const { slotMs, slotsPerEpoch } = TESTNET_PROFILE
  const real = (slotMs * slotsPerEpoch) / 1_000
  const against = `the ${rounded(real)} s that a testnet's epoch lasts`
  yield { name: 'simulate.epoch', value, unit: 's', ratio: real / value, against }
  yield { name: 'simulate.messages', value: median(rates), unit: 'deliveries/s' }
}
