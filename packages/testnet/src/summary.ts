/** Adds up what a testnet did, from what its nodes settled and its chain accepted. */
import type { AcceptedCheckpoint, Settled } from '@cairn/node'
import {
  type Attestation,
  hex,
  MessageType,
  type StorageState,
  storageKind,
  tokenText,
  Verdict,
} from '@cairn/protocol'
import { type GatewayLine, gatewayText } from './gateway-tally.ts'

export interface VerdictCounts {
  pass: number
  fail: number
  inconclusive: number
}

export interface KindCounts<T> {
  storage: T
  coverage: T
}

export interface Summary {
  nodes: number
  epochs: number
  checkpointsAccepted: number
  attestations: KindCounts<number>
  verdicts: KindCounts<VerdictCounts>
  /** Base units, decimal. */
  burned: string
  /** Of the file that was stored: shards that suffice, and shards. */
  k: number
  n: number
  /** Deals carried by the last settled epoch: each keeps a shard, or a copy of the manifest. */
  shards: number
  /** Pieces made again and kept by others, because a provider lost theirs. */
  repairs: number
  /** For which clients signed receipts to the providers that run at the end. */
  bytesServed: number
  inclusionVerifiedOnChain: boolean
  inclusionVerifiedOffline: boolean
  /** The distributor paid all accounts, to the last unit, what the last checkpoint says. */
  payoutsClaimed: boolean
  fileRetrievedIdentical: boolean
  gasPerCheckpoint: number[]
  /** From the start of the process to the receipt of the first checkpoint. */
  firstCheckpointMs: number
  payoutsSumExact: boolean
  /** Where gateways cheat: what became of each. */
  gateways?: GatewayLine[]
}

/** One accepted epoch, as `--json` prints it. */
export interface EpochLine {
  epoch: number
  round: number
  root: string
  transaction: string
  gasUsed: number
  messages: number
  attestations: KindCounts<number>
  verdicts: KindCounts<VerdictCounts>
  /** Base units, decimal. */
  emission: string
  fees: string
  payouts: string
  burned: string
  unminted: string
}

const KINDS = ['storage', 'coverage'] as const

export function epochLine(accepted: AcceptedCheckpoint, { settlement, set }: Settled): EpochLine {
  const attestations = { storage: 0, coverage: 0 }
  const verdicts = { storage: noVerdicts(), coverage: noVerdicts() }
  for (const { kind, name, verdicts: settledVerdicts } of settlement.kinds) {
    const known = KINDS.find(candidate => candidate === name)
    if (known === undefined) continue
    attestations[known] = set.ofType<Attestation>(MessageType.attestation, kind).length
    for (const { verdict } of settledVerdicts) verdicts[known][nameOf(verdict)]++
  }
  const { emission, fees, payouts, burned, unminted } = settlement.sums
  return {
    epoch: accepted.epoch,
    round: accepted.round,
    root: hex(accepted.root),
    transaction: accepted.transaction,
    gasUsed: Number(accepted.gasUsed),
    messages: set.size,
    attestations,
    verdicts,
    emission: String(emission),
    fees: String(fees),
    payouts: String(payouts),
    burned: String(burned),
    unminted: String(unminted),
  }
}

/** Deals that an epoch's settlement carries on. */
export function carriedDeals({ settlement }: Settled): number {
  return settlement.state.of<StorageState>(storageKind).deals.length
}

/** Totals over epochs. */
export function totals(lines: readonly EpochLine[]) {
  const sum = (of: (line: EpochLine) => number) => lines.reduce((n, line) => n + of(line), 0)
  const kind = (name: (typeof KINDS)[number]) => ({
    pass: sum(line => line.verdicts[name].pass),
    fail: sum(line => line.verdicts[name].fail),
    inconclusive: sum(line => line.verdicts[name].inconclusive),
  })
  return {
    epochs: lines.length,
    attestations: {
      storage: sum(line => line.attestations.storage),
      coverage: sum(line => line.attestations.coverage),
    },
    verdicts: { storage: kind('storage'), coverage: kind('coverage') },
    burned: String(lines.reduce((n, line) => n + BigInt(line.burned), 0n)),
    gasPerCheckpoint: lines.map(line => line.gasUsed),
  }
}

/** An accepted epoch on one line, for people. */
export function epochText(line: EpochLine): string {
  const kinds = KINDS.map(name => `${name} ${verdictText(line.verdicts[name])}`)
  return [
    `epoch ${String(line.epoch).padStart(4)} accepted`,
    ...kinds,
    `${line.messages} messages`,
    `gas ${line.gasUsed}`,
    line.transaction,
  ].join('   ')
}

/** The same where there is little room: verdicts that there were. */
export function shortEpochText({ epoch, verdicts, messages, gasUsed }: EpochLine): string {
  const kinds = KINDS.map(name => {
    const found = Object.entries(verdicts[name]).filter(([, count]) => count > 0)
    const counts = found.map(([verdict, count]) => `${count} ${verdict}`)
    return `${name} ${counts.length === 0 ? 'none' : counts.join(' ')}`
  })
  return [`epoch ${epoch}`.padEnd(10), ...kinds, `${messages} messages`, `gas ${gasUsed}`].join(
    '   ',
  )
}

/** The summary for people, a fact a line. */
export function summaryText(summary: Summary): string {
  const { attestations, verdicts, checkpointsAccepted, firstCheckpointMs } = summary
  const kinds = KINDS.map(
    name =>
      `${name.padEnd(LABEL)}${attestations[name]} attestations   ${verdictText(verdicts[name])}`,
  )
  const proven = (['OnChain', 'Offline'] as const).filter(way => summary[`inclusionVerified${way}`])
  const ways = proven.map(way => (way === 'OnChain' ? 'on the chain' : 'offline'))
  const fact = (name: string, value: string) => `${name.padEnd(LABEL)}${value}`
  return [
    fact(
      'checkpoints',
      `${checkpointsAccepted} accepted of ${summary.nodes} nodes, the first after ${(firstCheckpointMs / 1_000).toFixed(1)} s`,
    ),
    ...kinds,
    fact('gas', `${summary.gasPerCheckpoint.join(', ')} per checkpoint`),
    fact('burned', `${tokenText(BigInt(summary.burned))} of fees`),
    fact('proofs', ways.length === 0 ? 'do NOT hold' : `hold ${ways.join(' and ')}`),
    fact('payouts', summary.payoutsClaimed ? 'claimed on the chain, all' : 'NOT claimed'),
    fact(
      'file',
      `${summary.k} of ${summary.n}, ${summary.shards} deals, ${summary.repairs} repairs; ${summary.fileRetrievedIdentical ? 'fetched, identical' : 'NOT fetched'}`,
    ),
    fact('served', `${summary.bytesServed} bytes by receipts`),
    fact('sums', summary.payoutsSumExact ? 'exact, to the last unit' : 'NOT exact'),
    ...(summary.gateways ?? []).map(gateway => fact(`node ${gateway.node}`, gatewayText(gateway))),
  ].join('\n')
}

/** Width of the names of facts. */
const LABEL = 14

function verdictText({ pass, fail, inconclusive }: VerdictCounts): string {
  return `${pass} pass ${fail} fail ${inconclusive} inconclusive`
}

function noVerdicts(): VerdictCounts {
  return { pass: 0, fail: 0, inconclusive: 0 }
}

function nameOf(verdict: Verdict): keyof VerdictCounts {
  if (verdict === Verdict.pass) return 'pass'
  return verdict === Verdict.fail ? 'fail' : 'inconclusive'
}
