import { writeFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import type { GatewaysView, Json, NodeStatus } from '@cairn/node'
import {
  check,
  type Explained,
  type ExplainedBeacon,
  explainAbsence,
  explainCoverage,
} from '@cairn/protocol'
import { Option } from 'commander'
import type { ApiClient } from '../api-client.ts'
import { geojsonOf } from '../coverage-map/geojson.ts'
import { coverageMap } from '../coverage-map/map.ts'
import { svgOf } from '../coverage-map/svg.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { concerning, findingLine, numberLines, type Verdicts } from './explain.ts'
import { whole } from './numbers.ts'
import { penaltyLines } from './penalties.ts'

export function coverageCommand({ program, action }: Commands): void {
  const coverage = program.command('coverage').description('radio coverage')
  coverage
    .command('explain')
    .description('why beacons and witnesses of an epoch did or did not count, and what to do')
    .argument('[epoch]', 'the last accepted one unless given', whole)
    .option('--node <index>', 'only what concerns this node', whole)
    .option('--numbers', 'the numbers that were compared instead of sentences')
    .action(action(explain))
  coverage
    .command('map')
    .description('a map of an epoch: who heard whom, what counted, and why not')
    .argument('[epoch]', 'the last accepted one unless given', whole)
    .option('-o, --output <file>', 'write it to a file')
    .addOption(
      new Option('--format <format>', 'geojson unless the file ends in .svg').choices(FORMATS),
    )
    .action(action(map))
}

/** Factors are parts per million. */
const MILLION = 1_000_000
const FORMATS = ['geojson', 'svg'] as const

interface Found {
  epoch: number
  verdicts: Verdicts
  gateways: Json<GatewaysView>['gateways']
  others: Json<GatewaysView>['others']
}

async function fetchEpoch(api: ApiClient, wanted: number | undefined): Promise<Found> {
  const epoch = wanted ?? (await api.json<Json<NodeStatus>>('/v1/status')).accepted
  check(epoch >= 0, 'notFound', 'no epoch is accepted yet', {
    next: 'wait for the first checkpoint',
  })
  const verdicts = await api.json<Verdicts>(`/v1/coverage/${epoch}`)
  const { gateways, others } = await api.json<Json<GatewaysView>>(`/v1/coverage/${epoch}/gateways`)
  return { epoch, verdicts, gateways, others }
}

interface ExplainOptions {
  node?: number
  numbers?: boolean
}

async function explain(
  session: Session,
  wanted: number | undefined,
  { node, numbers }: ExplainOptions,
) {
  const { epoch, verdicts, gateways, others } = await fetchEpoch(await session.api(), wanted)
  const found = concerning(verdicts, node)
  // All verdicts are read: who was awake shows in those of others.
  const explained = explainCoverage({ verdicts: verdicts.verdicts, gateways }).filter(
    ({ node: target, witnesses }) =>
      node === undefined || target === node || witnesses.some(other => other.node === node),
  )
  const lines = numbers ? numberLines(found, 'witness') : sentenceLines(explained, node)
  if (!numbers) {
    lines.push(...found.findings.map(findingLine), ...found.penalties.flatMap(penaltyLines))
  }
  if (lines.length === 0) {
    lines.push(
      node === undefined
        ? `no beacon in epoch ${epoch}`
        : [`node ${node} ${explainAbsence(node, { gateways, others }).cause}`]
            .concat(adviceLine(explainAbsence(node, { gateways, others }), ''))
            .join('\n'),
    )
  }
  session.output.result({ ...found, explained }, lines.join('\n'))
  return undefined
}

/** Of the beacons of others only what `node` reported; why somebody earns less once. */
function sentenceLines(explained: readonly ExplainedBeacon[], node: number | undefined): string[] {
  const told = new Set<string>()
  const lowered = ({ node: whose, lowered: items }: Explained, indent: string) =>
    items.flatMap(item => {
      const key = `${whose} ${item.cause}`
      if (told.has(key)) return []
      told.add(key)
      const share = ((100 * item.value) / MILLION).toFixed(1)
      return [`${indent}lowered to ${share} %: ${item.cause}`, ...adviceLine(item, `${indent}  `)]
    })
  return explained.flatMap(beacon => {
    const own = node === undefined || beacon.node === node
    const witnesses = beacon.witnesses.filter(other => own || other.node === node)
    const heading = own
      ? [`node ${beacon.node}: ${STANDING[beacon.reason] ?? 'does not count: '}${beacon.cause}`]
      : [`beacon of node ${beacon.node}:`]
    return [
      ...heading,
      ...(own ? [...adviceLine(beacon, '  '), ...lowered(beacon, '  ')] : []),
      ...witnesses.flatMap(other => [
        `  node ${other.node} ${other.cause}`,
        ...adviceLine(other, '    '),
        ...lowered(other, '    '),
      ]),
    ]
  })
}

/** How a beacon's line begins that passed. */
const STANDING: Readonly<Record<string, string>> = { ok: 'counts: ', stale: '', elsewhere: '' }

function adviceLine({ next }: { next?: string }, indent: string): string[] {
  return next === undefined ? [] : [`${indent}-> ${next}`]
}

interface MapOptions {
  output?: string
  format?: (typeof FORMATS)[number]
}

async function map(session: Session, wanted: number | undefined, options: MapOptions) {
  const { output, format = extname(output ?? '') === '.svg' ? 'svg' : 'geojson' } = options
  const { epoch, verdicts, gateways } = await fetchEpoch(await session.api(), wanted)
  const drawn = coverageMap({ epoch, verdicts: verdicts.verdicts, gateways })
  const geojson = geojsonOf(drawn)
  const text = format === 'svg' ? svgOf(drawn) : JSON.stringify(geojson)
  if (output === undefined) {
    session.output.result(format === 'svg' ? { epoch, format, svg: text } : geojson, text)
    return undefined
  }
  const path = resolve(session.world.cwd, output)
  await writeFile(path, `${text}\n`)
  session.output.result({ epoch, format, path }, path)
  return undefined
}
