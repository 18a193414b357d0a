/**
 * `npm run bench`: lists the groups; with a name, runs that one; `--json` prints a line each.
 * `--inventory=GIB` has a challenge answered from so much instead of 10 GiB, `--size=MIB` large files
 * be of so much instead of 1,024 MiB, `--towns=COUNT` cheats be played in so many instead of 5.
 */
import { parseArgs } from 'node:util'
import { coverage } from './coverage.ts'
import { type Group, type Line, rounded } from './measure.ts'
import { network } from './network.ts'
import { protocol } from './protocol.ts'
import { simulation } from './simulate.ts'
import { storage } from './storage.ts'

const GROUPS: Readonly<Record<string, { about: string; run: Group }>> = {
  protocol: { about: 'signatures, codecs, trees, settlement', run: protocol },
  storage: {
    about: 'erasure coding, answering a challenge, storing a file and getting it back',
    run: storage,
  },
  coverage: { about: 'what cheats earn beside honest gateways, and judging them', run: coverage },
  network: { about: 'requests and gossip over libp2p on loopback', run: network },
  simulate: { about: 'a network of 20 nodes on virtual time', run: simulation },
}

const INVENTORY_GIB = 10
const SIZE_MIB = 1_024
const TOWNS = 5

const { values, positionals } = argumentsOf({
  options: {
    json: { type: 'boolean', default: false },
    inventory: { type: 'string', default: String(INVENTORY_GIB) },
    size: { type: 'string', default: String(SIZE_MIB) },
    towns: { type: 'string', default: String(TOWNS) },
  },
  allowPositionals: true,
})
const [name, ...rest] = positionals
const { json } = values
const inventoryGiB = Number(values.inventory)
const size = Number(values.size)
const towns = Number(values.towns)

if (![inventoryGiB, size, towns].every(value => Number.isInteger(value) && value > 0)) {
  process.stderr.write(
    'expected whole numbers as --inventory, in GiB, --size, in MiB, and --towns\n',
  )
  process.exitCode = 2
} else if (name === undefined) {
  for (const [group, { about }] of Object.entries(GROUPS)) print(`${group.padEnd(10)}  ${about}`)
} else if (GROUPS[name] === undefined || rest.length > 0) {
  const known = Object.keys(GROUPS).join(', ')
  process.stderr.write(
    `expected one of ${known}, --inventory=GIB, --size=MIB, --towns=COUNT and --json, found '${[name, ...rest].join(' ')}'\n`,
  )
  process.exitCode = 2
} else {
  if (!json) print(row('name', 'value', 'unit', 'ratio', 'against'))
  for await (const line of GROUPS[name].run({ inventoryGiB, size, towns }))
    print(json ? JSON.stringify(tidy(line)) : table(line))
}

/** As `parseArgs`; what it does not know ends the process with a sentence. */
function argumentsOf<T extends Parameters<typeof parseArgs>[0]>(config: T) {
  try {
    return parseArgs(config)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return process.exit(2)
  }
}

function tidy(line: Line): Line {
  const { value, ratio } = line
  return {
    ...line,
    value: rounded(value),
    ...(ratio === undefined ? {} : { ratio: rounded(ratio) }),
  }
}

function table(line: Line): string {
  const { name, value, unit, ratio, against } = tidy(line)
  return row(name, String(value), unit, ratio === undefined ? '' : String(ratio), against ?? '')
}

function row(name: string, value: string, unit: string, ratio: string, against: string): string {
  const columns = [name.padEnd(21), value.padStart(9), unit.padEnd(15), ratio.padStart(6), against]
  return columns.join('  ').trimEnd()
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
