/** What a map of one epoch's coverage shows, from settled verdicts and registered gateways alone. */
import {
  cellBoundary,
  cellCentre,
  explainCoverage,
  type GatewayStanding,
  type Lowered,
  type Position,
  SCALE_ONE,
  type VerdictFacts,
  type VerdictToExplain,
} from '@cairn/protocol'

/** Degrees. */
export interface Point {
  lat: number
  lng: number
}

export interface MapGateway {
  node: number
  /** H3 index; without one it has no place on the map. */
  cell?: string
  centre?: Point
  /** Corners of the cell, counterclockwise, the first not repeated. */
  corners: Point[]
  plan?: string
  /** Absent: it was not asked for a beacon. */
  beacon?: Judged & { next?: string }
  /** Reports of the beacons of others. */
  reports: number
  reportsCounted: number
  /** Earned by beacon and reports; 1 is what one of at most four witnesses earns. */
  units: number
  /** From 0 to 1, as far as they were judged. */
  factors: Record<string, number>
  /** Why it earns less than in full. */
  lowered: LoweredFactor[]
}

export interface LoweredFactor {
  factor: string
  /** From 0 to 1. */
  value: number
  cause: string
  next?: string
}

interface Judged {
  /** Whether it passed all rules, earned or not. */
  passed: boolean
  /** Whether it passed and earns. */
  counted: boolean
  reason: string
  cause: string
}

/** A report: the beacon of `from` as `to` heard it. */
export interface MapLink extends Judged {
  from: number
  to: number
  /** dBm. */
  level?: number
  spreadingFactor?: number
  /** Metres. */
  distance?: number
}

export interface CoverageMap {
  epoch: number
  gateways: MapGateway[]
  links: MapLink[]
}

export interface CoverageMapInput {
  epoch: number
  verdicts: readonly VerdictToExplain[]
  gateways: readonly GatewayStanding[]
}

/** Passed, and earns nothing all the same. */
const UNPAID = ['notSelected', 'sharedAntenna', 'stale', 'elsewhere']
/** Of several challenges of a gateway those that are not the one that counts. */
const BESIDE = ['otherChallenge', 'challengeLate']

const FACTORS = ['consistency', 'independence', 'beaconing', 'witnessing', 'location']
const MILLION = 1_000_000

export function coverageMap({ epoch, verdicts, gateways }: CoverageMapInput): CoverageMap {
  const drawn = new Map(gateways.map(gateway => [gateway.node, placed(gateway)]))
  const at = (node: number) => {
    const known = drawn.get(node)
    if (known !== undefined) return known
    const stranger = empty(node)
    drawn.set(node, stranger)
    return stranger
  }
  const links: MapLink[] = []
  const explained = explainCoverage({ verdicts, gateways })
  for (const [place, { node, reason, cause, next, lowered, witnesses }] of explained.entries()) {
    const { facts, parts } = verdicts[place] as VerdictToExplain
    const own = at(node)
    earn(own, facts, lowered)
    if (own.beacon === undefined || !BESIDE.includes(reason)) {
      own.beacon = { ...judged(reason, cause), ...(next !== undefined && { next }) }
    }
    for (const [turn, witness] of witnesses.entries()) {
      const part = parts[turn] as VerdictToExplain['parts'][number]
      const other = at(witness.node)
      const link = { ...judged(witness.reason, witness.cause), from: node, to: witness.node }
      other.reports++
      if (link.counted) other.reportsCounted++
      earn(other, part.facts, witness.lowered)
      links.push({ ...link, ...heardOf(part.facts) })
    }
  }
  const inOrder = [...drawn.values()].sort((a, b) => a.node - b.node)
  return { epoch, gateways: inOrder, links }
}

function judged(reason: string, cause: string): Judged {
  const counted = reason === 'ok'
  return { passed: counted || UNPAID.includes(reason), counted, reason, cause }
}

function placed({ node, cell, plan }: GatewayStanding): MapGateway {
  const gateway = { ...empty(node), ...(plan !== undefined && { plan }) }
  if (cell === undefined) return gateway
  const index = BigInt(`0x${cell}`)
  const corners = cellBoundary(index).map(degrees)
  return { ...gateway, cell, centre: degrees(cellCentre(index)), corners }
}

function empty(node: number): MapGateway {
  return { node, corners: [], reports: 0, reportsCounted: 0, units: 0, factors: {}, lowered: [] }
}

function degrees({ lat, lng }: Position): Point {
  return { lat: lat / 1e7, lng: lng / 1e7 }
}

function earn(gateway: MapGateway, facts: VerdictFacts, lowered: readonly Lowered[]) {
  gateway.units += fixed(facts.units) ?? 0
  const density = fixed(facts.densityScale)
  if (density !== undefined) gateway.factors.density = density
  for (const name of FACTORS) {
    const value = facts[name]
    if (typeof value === 'number') gateway.factors[name] = value / MILLION
  }
  for (const { value, ...item } of lowered) {
    if (gateway.lowered.some(({ cause }) => cause === item.cause)) continue
    gateway.lowered.push({ ...item, value: value / MILLION })
  }
}

/** Of 32 fractional bits. */
function fixed(value: string | number | undefined): number | undefined {
  const whole = typeof value === 'string' && /^\d{1,30}$/.test(value)
  return whole ? Number(BigInt(value)) / Number(SCALE_ONE) : undefined
}

function heardOf({ level, spreadingFactor, distance }: VerdictFacts): Partial<MapLink> {
  return {
    ...(typeof level === 'number' && { level: level / 10 }),
    ...(typeof spreadingFactor === 'number' && { spreadingFactor }),
    ...(typeof distance === 'number' && { distance }),
  }
}
