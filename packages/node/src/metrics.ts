/**
 * What a node counts. Every name stands in one table, from which the reference page, the shipped
 * dashboard and the types of `count`, `set` and `observe` follow; a component gets those functions
 * and knows nothing of the registry behind them.
 */
import { invariant } from '@cairn/protocol'
import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'

/** Series of one metric; further label values are counted together under `other`. */
export const SERIES_MAX = 256

const OTHER = 'other'
const PREFIX = 'cairn_'

export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram's buckets, in the metric's unit. */
  readonly buckets?: readonly number[]
}

/** From a hash to an epoch's settlement on a small machine. */
const SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]

/** Without the prefix `cairn_`. */
export const METRICS = {
  messages_total: {
    type: 'counter',
    help: 'Messages judged, by acceptance and reason',
    labels: ['outcome', 'reason'],
  },
  published_total: { type: 'counter', help: 'Messages this node said', labels: ['type'] },
  requests_total: {
    type: 'counter',
    help: 'Direct requests to peers, by protocol and outcome',
    labels: ['protocol', 'outcome'],
  },
  answers_total: {
    type: 'counter',
    help: 'Direct requests answered, by protocol and outcome',
    labels: ['protocol', 'outcome'],
  },
  challenges_total: {
    type: 'counter',
    help: 'Challenges this node was the target of, by kind and outcome',
    labels: ['kind', 'outcome'],
  },
  attestations_total: {
    type: 'counter',
    help: 'Attestations this node signed, by kind and verdict',
    labels: ['kind', 'verdict'],
  },
  checkpoints_total: {
    type: 'counter',
    help: 'Checkpoints proposed, voted, submitted, landed or adopted',
    labels: ['event'],
  },
  chain_calls_total: {
    type: 'counter',
    help: 'Calls to the chain, by method and outcome',
    labels: ['method', 'outcome'],
  },
  radio_frames_total: {
    type: 'counter',
    help: 'Radio frames, by direction and outcome',
    labels: ['direction', 'outcome'],
  },
  mqtt_events_total: {
    type: 'counter',
    help: 'Uplinks, statistics and downlinks handed on by MQTT or not, by outcome; `all`: events sent to the broker and dropped before',
    labels: ['event', 'outcome'],
  },
  stored_bytes_total: {
    type: 'counter',
    help: 'Piece bytes written, read and scrubbed',
    labels: ['operation'],
  },
  api_requests_total: {
    type: 'counter',
    help: 'API requests, by route and status',
    labels: ['route', 'status'],
  },
  ready: { type: 'gauge', help: '1 while the node is useful, else 0', labels: [] },
  health: {
    type: 'gauge',
    help: 'Severity of each finding: 0 ok, 1 warning, 2 critical',
    labels: ['code'],
  },
  radios: {
    type: 'gauge',
    help: 'Gateways of this daemon, and those whose forwarder is heard, at the beginning of an epoch',
    labels: ['state'],
  },
  peers: { type: 'gauge', help: 'Connected peers', labels: [] },
  epoch: { type: 'gauge', help: 'Present epoch by this clock', labels: [] },
  accepted_epoch: {
    type: 'gauge',
    help: 'Last epoch whose checkpoint the chain accepted; -1 for genesis',
    labels: [],
  },
  penalties: {
    type: 'gauge',
    help: 'Penalties that checkpoints record, as far as this node keeps them',
    labels: ['state'],
  },
  account_balance_ether: {
    type: 'gauge',
    help: 'Ether of the account that pays for gas',
    labels: [],
  },
  gas_spent_today_ether: { type: 'gauge', help: 'Ether paid for gas today, UTC', labels: [] },
  transactions: {
    type: 'gauge',
    help: 'Transactions that wait for their turn, for a block, or for their block to be final',
    labels: ['state'],
  },
  chain_head_block: { type: 'gauge', help: 'Newest final block in view', labels: [] },
  clock_offset_seconds: { type: 'gauge', help: "Peers' median clock less this one", labels: [] },
  file_groups: {
    type: 'gauge',
    help: "Groups of this node's files: all, below their threshold, not repaired when tried, and lost",
    labels: ['state'],
  },
  repaired_places: {
    type: 'gauge',
    help: "Places of this node's files repaired since it started",
    labels: [],
  },
  mqtt_waiting: { type: 'gauge', help: 'Events that wait for the MQTT broker', labels: [] },
  pieces: { type: 'gauge', help: 'Pieces kept', labels: [] },
  volume_bytes: { type: 'gauge', help: 'Bytes taken and offered on all volumes', labels: ['part'] },
  earned_tokens: {
    type: 'gauge',
    help: 'Tokens earned in all, as of the last checkpoint',
    labels: [],
  },
  settle_seconds: {
    type: 'histogram',
    help: 'Time to settle an epoch',
    labels: [],
    buckets: SECONDS,
  },
  prove_seconds: {
    type: 'histogram',
    help: 'Time to answer a challenge',
    labels: ['kind'],
    buckets: SECONDS,
  },
  api_seconds: {
    type: 'histogram',
    help: 'Time to answer an API request, streams apart',
    labels: ['route'],
    buckets: SECONDS,
  },
} as const satisfies Record<string, Metric>

type Table = typeof METRICS
export type MetricName<T extends Metric['type'] = Metric['type']> = {
  [N in keyof Table]: Table[N]['type'] extends T ? N : never
}[keyof Table]
export type Labels<N extends MetricName> = Readonly<
  Record<Table[N]['labels'][number], string | number>
>
/** No labels argument where the metric has none. */
type LabelArguments<N extends MetricName> = Table[N]['labels'] extends readonly []
  ? []
  : [labels: Labels<N>]

export class Metrics {
  readonly #registry = new Registry()
  readonly #metrics = new Map<string, Counter<string> | Gauge<string> | Histogram<string>>()
  readonly #series = new Map<string, Set<string>>()

  constructor() {
    for (const [name, metric] of Object.entries<Metric>(METRICS)) {
      this.#metrics.set(name, create(name, metric, this.#registry))
      this.#series.set(name, new Set())
    }
  }

  /** Adds one, or `by`. */
  readonly count = <N extends MetricName<'counter'>>(
    name: N,
    labels: Labels<N>,
    by: number = 1,
  ): void => {
    const metric = this.#metrics.get(name)
    invariant(metric instanceof Counter, `${name} is a counter`)
    metric.inc(this.#bounded(name, labels), by)
  }

  readonly set = <N extends MetricName<'gauge'>>(
    name: N,
    value: number,
    ...labels: LabelArguments<N>
  ): void => {
    const metric = this.#metrics.get(name)
    invariant(metric instanceof Gauge, `${name} is a gauge`)
    metric.set(this.#bounded(name, labels[0] ?? {}), value)
  }

  readonly observe = <N extends MetricName<'histogram'>>(
    name: N,
    value: number,
    ...labels: LabelArguments<N>
  ): void => {
    const metric = this.#metrics.get(name)
    invariant(metric instanceof Histogram, `${name} is a histogram`)
    metric.observe(this.#bounded(name, labels[0] ?? {}), value)
  }

  /** Prometheus text format 0.0.4. */
  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  #bounded(name: string, labels: Readonly<Record<string, string | number>>) {
    const series = this.#series.get(name)
    invariant(series !== undefined, `${name} is in the table`)
    const key = JSON.stringify(Object.entries(labels).sort())
    if (!series.has(key) && series.size >= SERIES_MAX) {
      return Object.fromEntries(Object.keys(labels).map(label => [label, OTHER]))
    }
    series.add(key)
    return labels
  }
}

function create(name: string, { type, help, labels, buckets }: Metric, registry: Registry) {
  const init = { name: PREFIX + name, help, labelNames: labels, registers: [registry] }
  if (type === 'counter') return new Counter<string>(init)
  if (type === 'gauge') return new Gauge<string>(init)
  return new Histogram<string>({ ...init, buckets: [...(buckets ?? SECONDS)] })
}
