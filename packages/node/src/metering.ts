/** Keeps the metrics of a running node up to date, from what its parts tell and show. */
import { type Attestation, MessageType, Verdict } from '@cairn/protocol'
import type { AccountChain } from './chain/chain.ts'
import type { EntryState } from './chain/journal.ts'
import type { Files } from './client/files.ts'
import { PENALTY_STATES } from './ledger/offences.ts'
import type { Metrics } from './metrics.ts'
import type { Counts } from './network/count.ts'
import type { CairnNode } from './node.ts'
import type { Volumes } from './pieces/volumes.ts'
import type { Network } from './ports.ts'
import type { MqttBridge } from './radio/mqtt-bridge.ts'

export interface MeteringComponents {
  node: CairnNode
  chain: Pick<AccountChain, 'account' | 'head' | 'onAdvance'>
  network: Network
  files: Pick<Files, 'onRun'>
  metrics: Metrics
  pieces: Volumes | undefined
  radios: readonly { gateway: { online(): boolean } }[]
  broker: Pick<MqttBridge, 'status'> | undefined
}

export function meter(components: MeteringComponents): void {
  const { node, chain, network, files, metrics, pieces, radios, broker } = components
  const names = new Map(node.kinds.map(({ kind }) => [kind.code, kind.name]))
  node.epochs.onBase(() => {
    metrics.set('epoch', node.epochs.now())
    metrics.set('peers', network.peers().length)
    const { offsetMs } = node.clockCheck
    if (offsetMs !== undefined) metrics.set('clock_offset_seconds', offsetMs / 1_000)
    if (broker !== undefined) metrics.set('mqtt_waiting', broker.status().waiting)
    metrics.set('radios', radios.length, { state: 'all' })
    metrics.set('radios', radios.filter(({ gateway }) => gateway.online()).length, {
      state: 'online',
    })
    if (pieces === undefined) return
    const volumes = pieces.report()
    const sum = (part: 'used' | 'quota') => volumes.reduce((all, volume) => all + volume[part], 0)
    metrics.set('volume_bytes', sum('used'), { part: 'used' })
    metrics.set('volume_bytes', sum('quota'), { part: 'quota' })
    metrics.set(
      'pieces',
      volumes.reduce((all, volume) => all + volume.pieces, 0),
    )
  })
  node.ingest.onArrival(({ type, message, base, source }) => {
    const kind = names.get(message.value.kind) ?? 'kernel'
    if (source === 'own') metrics.count('published_total', { type: nameOf(MessageType, type) })
    const { author } = message.value
    if (
      type === MessageType.attestation &&
      node.seats.some(({ speaker }) => speaker.index(base) === author)
    ) {
      const { verdict } = message.value as Attestation
      metrics.count('attestations_total', { kind, verdict: nameOf(Verdict, verdict) })
    }
  })
  node.checkpointer.onAdopted(({ accepted, settled }) => {
    metrics.set('accepted_epoch', accepted.epoch)
    metrics.count('checkpoints_total', { event: settled === undefined ? 'adopted' : 'recomputed' })
  })
  node.offences.onChange(kept => {
    for (const wanted of PENALTY_STATES) {
      const count = kept.filter(({ state }) => state === wanted).length
      metrics.set('penalties', count, { state: wanted })
    }
  })
  node.checkpointer.onRetreat(last => metrics.set('accepted_epoch', last))
  files.onRun(({ groups, underWay, failing, lost, repaired }) => {
    for (const [state, count] of Object.entries({ all: groups, underWay, failing, lost })) {
      metrics.set('file_groups', count, { state })
    }
    metrics.set('repaired_places', repaired)
  })
  chain.onAdvance(() => {
    const head = chain.head()
    if (head !== undefined) metrics.set('chain_head_block', Number(head.number))
    const { balance, spentToday, waiting, entries } = chain.account()
    if (balance !== undefined) metrics.set('account_balance_ether', etherOf(balance))
    metrics.set('gas_spent_today_ether', etherOf(spentToday))
    const count = (wanted: EntryState) => entries.filter(({ state }) => state === wanted).length
    metrics.set('transactions', waiting, { state: 'waiting' })
    metrics.set('transactions', count('open'), { state: 'open' })
    metrics.set('transactions', count('mined'), { state: 'mined' })
  })
}

/** How the network's counts become metrics. */
export function countNetwork(metrics: Metrics) {
  return <N extends keyof Counts>(name: N, labels: Counts[N]): void => {
    if (name === 'gossip') {
      // What is judged at all the ledger counts, with its reason.
      const { outcome } = labels as Counts['gossip']
      if (outcome !== 'tooLarge') return
      metrics.count('messages_total', { outcome: 'reject', reason: outcome })
      return
    }
    if (name !== 'requests') return
    const { protocol, direction, outcome } = labels as Counts['requests']
    const metric = direction === 'in' ? 'answers_total' : 'requests_total'
    metrics.count(metric, { protocol, outcome })
  }
}

function nameOf(table: Readonly<Record<string, number>>, code: number): string {
  return Object.entries(table).find(([, value]) => value === code)?.[0] ?? String(code)
}

/** Base units as a number: a gauge needs no more digits than a double has. */
function etherOf(units: bigint): number {
  return Number(units) / 1e18
}
