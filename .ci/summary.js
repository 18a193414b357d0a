/** Checks what `cairn testnet up --json` said last: `node .ci/summary.js FILE`. */
import { readFileSync } from 'node:fs'

const CHECKPOINTS = 2

const WANTED = [
  ['checkpointsAccepted', value => value >= CHECKPOINTS, `at least ${CHECKPOINTS}`],
  ['inclusionVerifiedOnChain', value => value === true, 'true'],
  ['inclusionVerifiedOffline', value => value === true, 'true'],
  ['payoutsClaimed', value => value === true, 'true'],
  ['fileRetrievedIdentical', value => value === true, 'true'],
  ['payoutsSumExact', value => value === true, 'true'],
]

const lines = readFileSync(process.argv[2], 'utf8')
  .split('\n')
  .filter(line => line.trim() !== '')
const { summary = {} } = JSON.parse(lines.at(-1) ?? '{}')

for (const [field, holds, wanted] of WANTED) {
  const found = summary[field]
  if (holds(found)) {
    process.stdout.write(`${field}: ${found}\n`)
  } else {
    process.stdout.write(`${field}: expected ${wanted}, found ${found}\n`)
    process.exitCode = 1
  }
}
