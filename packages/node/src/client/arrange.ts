/**
 * In which order providers are asked. What can fail together is kept apart as far as there are
 * enough: first every operator once, of these first every network (IPv4 /24, IPv6 /64) once, of these
 * first every region (H3 cell of resolution 3, about 60 km wide) once; what is equal then, by score.
 */
import { hex, type RegistryEntry } from '@cairn/protocol'

/** A provider and where it stands. */
export interface Sited {
  readonly entry: RegistryEntry
  /** `networkOf` its address; undefined: not known, and nobody's neighbour. */
  readonly network?: string
}

/** A provider that may be asked. */
export interface Candidate extends Sited {
  /** libp2p peer id. */
  readonly peer: string
  /** Share of the leaves asked of it that it answered, 0 to 1; undefined: not asked yet. */
  readonly score?: number
  /** Asked after all others, wherever it is. */
  readonly last?: boolean
}

/** A provider that nobody has asked yet stands behind the proven and before the failing. */
const SCORE_UNKNOWN = 0.9
/** Scores closer than this are alike, and chance decides: the best must not get everything. */
const SCORE_STEP = 0.1

/**
 * `draw` gives whole numbers from 0 to below its argument. `beside` keep something of the group
 * already: they had their turn.
 */
export function arrange(
  candidates: readonly Candidate[],
  draw: (below: number) => number,
  beside: readonly Sited[] = [],
): Candidate[] {
  const shuffled = [...candidates]
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = draw(i + 1)
    const swapped = shuffled[i] as Candidate
    shuffled[i] = shuffled[j] as Candidate
    shuffled[j] = swapped
  }
  const byScore = shuffled.sort((a, b) => step(b) - step(a))
  // Each order keeps the ones before it: who is first of an operator stays before who is second.
  const byOperator = turned(
    byScore.map(candidate => ({ candidate, ranks: [] })),
    beside,
    ({ entry }) => hex(entry.operator),
  )
  const byNetwork = turned(byOperator, beside, ({ network }) => network)
  const byRegion = turned(byNetwork, beside, ({ entry }) => regionOf(entry))
  return byRegion.map(({ candidate }) => candidate)
}

/** The network of a multiaddr; undefined for one that is no IP address. */
export function networkOf(address: string): string | undefined {
  const [, family, ip = ''] = address.match(/^\/(ip4|ip6)\/([^/]+)/) ?? []
  if (family === 'ip4') return ip.split('.').slice(0, 3).join('.')
  if (family !== 'ip6') return undefined
  const mapped = ip.match(/^::ffff:(\d+\.\d+\.\d+)\.\d+$/i)
  if (mapped?.[1] !== undefined) return mapped[1]
  const [head = '', tail] = ip.toLowerCase().split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  return [...before, ...Array<string>(zeros).fill('0'), ...after]
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/** Base cell and three digits of an H3 index. */
function regionOf({ cell }: RegistryEntry): string | undefined {
  return cell === 0n ? undefined : String((cell >> 36n) & 0xffffn)
}

function step({ score = SCORE_UNKNOWN }: Candidate): number {
  return Math.round(score / SCORE_STEP)
}

interface Ranked {
  readonly candidate: Candidate
  readonly ranks: readonly number[]
}

/**
 * Those that are the first of their name before the second ones; the nameless are all first. Those
 * beside come before all.
 */
function turned(
  items: readonly Ranked[],
  beside: readonly Sited[],
  nameOf: (sited: Sited) => string | undefined,
): Ranked[] {
  const counts = new Map<string, number>()
  for (const sited of beside) {
    const name = nameOf(sited)
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return items
    .map(({ candidate, ranks }) => {
      const name = nameOf(candidate)
      const count = name === undefined ? 0 : (counts.get(name) ?? 0)
      if (name !== undefined) counts.set(name, count + 1)
      return { candidate, ranks: [...ranks, count] }
    })
    .sort((a, b) => compareRanks(a.ranks, b.ranks))
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [i, rank] of a.entries()) {
    const difference = rank - (b[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}
