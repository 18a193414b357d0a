/**
 * Gas of whole transactions: `npm run gas -- --json`; `--write` makes them the snapshot that
 * `gas.test.ts` holds them against.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { GAS_LIMITS, gasFigures, SNAPSHOT } from './gas-figures.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})

const figures = await gasFigures()
for (const [name, gas] of Object.entries(figures)) {
  const limit = GAS_LIMITS[name]
  const line = values.json
    ? JSON.stringify({ name, gas, ...(limit === undefined ? {} : { limit }) })
    : [name, gas, limit ?? ''].join('\t')
  process.stdout.write(`${line}\n`)
}
if (values.write) writeFileSync(SNAPSHOT, `${JSON.stringify(figures, null, 2)}\n`)
