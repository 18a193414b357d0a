/**
 * Two sides doing the same work on the same input in the same run, taking turns, so that whatever
 * else the machine does meets both. A duration says something of one machine; the ratio travels.
 */

/** One measured number, as `--json` prints it. */
export interface Line {
  name: string
  value: number
  unit: string
  /** Speed relative to the other side: 1 is as fast, below 1 slower. */
  ratio?: number
  /** The other side, with what it measured. */
  against?: string
}

export interface GroupOptions {
  /** Of the pieces that a challenge is answered from, GiB. */
  inventoryGiB: number
  /** Of a large file, MiB. */
  size: number
  /** In which cheats are played, of each kind. */
  towns: number
}

/** What one group measures, as it is measured. */
export type Group = (options: GroupOptions) => AsyncIterable<Line>

export interface Sides {
  ours(round: number): unknown
  other(round: number): unknown
  /** Before each side's turn, not timed. */
  prepare?(round: number): unknown
  rounds?: number
  warmUps?: number
}

export interface Comparison {
  /** Median of a round, ms. */
  ours: number
  other: number
  /** Median over the rounds of the other side's time by ours. */
  ratio: number
  /** Every round in order, ms. */
  rounds: { ours: readonly number[]; other: readonly number[] }
}

const ROUNDS = 7
const WARM_UPS = 2

/** Warms both sides up, then has them take turns; who begins changes from round to round. */
export async function compare(sides: Sides): Promise<Comparison> {
  const { rounds = ROUNDS, warmUps = WARM_UPS } = sides
  const times = { ours: [] as number[], other: [] as number[] }
  for (let round = 0; round < warmUps + rounds; round++) {
    const order = round % 2 === 0 ? (['ours', 'other'] as const) : (['other', 'ours'] as const)
    for (const side of order) {
      await sides.prepare?.(round)
      const ms = await time(() => sides[side](round))
      if (round >= warmUps) times[side].push(ms)
    }
  }
  const ratios = times.ours.map((ms, round) => (times.other[round] as number) / ms)
  return {
    ours: median(times.ours),
    other: median(times.other),
    ratio: median(ratios),
    rounds: times,
  }
}

/** Milliseconds that a task takes. */
export async function time(task: () => unknown): Promise<number> {
  const start = performance.now()
  await task()
  return performance.now() - start
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which this share of the values lies, interpolated. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('nothing was measured')
  const sorted = values.toSorted((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)] as number
  const above = sorted[Math.ceil(place)] as number
  return below + (above - below) * (place - Math.floor(place))
}

/** Things per second, when `count` of them took `ms`. */
export function perSecond(count: number, ms: number): number {
  return (1_000 * count) / ms
}

/** Three significant digits, or all before the point. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
