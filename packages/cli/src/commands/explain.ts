/** Prints what an epoch settled of one proof kind: verdicts, reasons, and the numbers compared. */
import type { Json, VerdictsView } from '@cairn/node'
import type { Session } from '../session.ts'
import { penaltyLines } from './penalties.ts'

export interface ExplainInit {
  kind: string
  /** What is said of an epoch without verdicts. */
  none: string
  /** What a further participant of a challenge is called. */
  part: string
}

export type Verdicts = Json<VerdictsView>

export function explainAction({ kind, none, part }: ExplainInit) {
  return async (session: Session, epoch: number, { node }: { node?: number }) => {
    const api = await session.api()
    const found = concerning(await api.json<Verdicts>(`/v1/${kind}/${epoch}`), node)
    const lines = numberLines(found, part)
    session.output.result(
      found,
      lines.length === 0 ? `${none} in epoch ${epoch}` : lines.join('\n'),
    )
    return undefined
  }
}

/** What concerns one node, as target, part or culprit; everything without one. */
export function concerning(all: Verdicts, node: number | undefined): Verdicts {
  const concerns = (nodes: readonly number[]) => node === undefined || nodes.includes(node)
  return {
    ...all,
    verdicts: all.verdicts.filter(({ target, parts }) =>
      concerns([target, ...parts.map(other => other.node)]),
    ),
    findings: all.findings.filter(finding => concerns([finding.node])),
    penalties: all.penalties.filter(penalty => concerns([penalty.node])),
  }
}

/** A line per verdict, part and finding, with all numbers. */
export function numberLines({ verdicts, findings, penalties }: Verdicts, part: string): string[] {
  return [
    ...verdicts.flatMap(({ target, verdict, reason, facts, parts }) => [
      `node ${target}: ${verdict} (${reason})${numbers(facts)}`,
      ...parts.map(other => `  ${part} ${other.node}: ${other.reason}${numbers(other.facts)}`),
    ]),
    ...findings.map(findingLine),
    ...penalties.flatMap(penaltyLines),
  ]
}

interface Finding {
  node: number
  code: string
  facts: Readonly<Record<string, string | number>>
}

export function findingLine({ node, code, facts }: Finding): string {
  return `node ${node}: ${code}${numbers(facts)}`
}

function numbers(facts: Finding['facts']): string {
  const pairs = Object.entries(facts).map(([name, value]) => `${name} ${value}`)
  return pairs.length === 0 ? '' : `: ${pairs.join(', ')}`
}
