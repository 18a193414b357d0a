import type { Json, VerdictsView } from '@cairn/node'
import type { Commands } from '../run.ts'

export function coverageCommand({ program, action }: Commands): void {
  const coverage = program.command('coverage').description('radio coverage')
  coverage
    .command('explain <epoch>')
    .description('why beacons and witnesses of an epoch did or did not count')
    .option('--node <index>', 'only what concerns this node')
    .action(
      action(async (session, epoch: string, { node }: { node?: string }) => {
        const api = await session.api()
        const found = await api.json<Json<VerdictsView>>(
          `/v1/coverage/${encodeURIComponent(epoch)}`,
        )
        const verdicts = found.verdicts.filter(
          ({ target, parts }) =>
            node === undefined || [target, ...parts.map(part => part.node)].includes(Number(node)),
        )
        session.output.result({ ...found, verdicts }, explain({ ...found, verdicts }))
        return undefined
      }),
    )
}

function explain({ epoch, verdicts }: Json<VerdictsView>): string {
  if (verdicts.length === 0) return `no beacon in epoch ${epoch}`
  const lines = verdicts.flatMap(({ target, verdict, reason, facts, parts }) => [
    `node ${target}: ${verdict} (${reason})${numbers(facts)}`,
    ...parts.map(part => `  witness ${part.node}: ${part.reason}${numbers(part.facts)}`),
  ])
  return lines.join('\n')
}

function numbers(facts: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(facts).map(([name, value]) => `${name} ${value}`)
  return pairs.length === 0 ? '' : `: ${pairs.join(', ')}`
}
