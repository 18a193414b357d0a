/** Adds up what a testnet did, from what its nodes settled and its chain accepted. */
import type { AcceptedCheckpoint, Settled } from '@cairn/node'
import { type Attestation, hex, MessageType, Verdict } from '@cairn/protocol'

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
  inclusionVerifiedOnChain: boolean
  inclusionVerifiedOffline: boolean
  fileRetrievedIdentical: boolean
  gasPerCheckpoint: number[]
  /** From the start of the process to the receipt of the first checkpoint. */
  firstCheckpointMs: number
  payoutsSumExact: boolean
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

function noVerdicts(): VerdictCounts {
  return { pass: 0, fail: 0, inconclusive: 0 }
}

function nameOf(verdict: Verdict): keyof VerdictCounts {
  if (verdict === Verdict.pass) return 'pass'
  return verdict === Verdict.fail ? 'fail' : 'inconclusive'
}
