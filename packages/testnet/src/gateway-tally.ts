/** What a network's settlements made of each gateway: what one looks at to see a cheat found out. */
import type { Settled } from '@cairn/node'
import { COVERAGE } from '@cairn/protocol'
import type { FieldCheat } from './field/residents.ts'

/** One gateway over all epochs. */
export interface GatewayLine {
  readonly node: number
  readonly cheat: FieldCheat | null
  /** How often its own beacons ended so, by reason. */
  readonly beacons: Readonly<Record<string, number>>
  /** How often its reports ended so, by reason. */
  readonly reports: Readonly<Record<string, number>>
  /** The latest of each factor of its score, and of the numbers behind it, as its verdicts say. */
  readonly facts: Readonly<Record<string, number>>
  /** Base units, decimal. */
  readonly earned: string
}

/** What of a verdict's facts is about the gateway and not about one beacon. */
const FACTS = [
  'consistency',
  'independence',
  'beaconing',
  'witnessing',
  'location',
  'links',
  'fit',
  'excess',
  'asymmetry',
  'oneSided',
  'heardShare',
  'doubt',
  'antenna',
  'antennaShared',
  'hears',
  'heardBy',
] as const

const FACTORS = FACTS.slice(0, 5)
/** Parts per million. */
const FULL = 1_000_000

interface Gateway {
  beacons: Record<string, number>
  reports: Record<string, number>
  facts: Record<string, number>
  earned: bigint
}

export class GatewayTally {
  readonly #gateways = new Map<number, Gateway>()

  observe({ settlement }: Settled): void {
    const coverage = settlement.kinds.find(({ kind }) => kind === COVERAGE)
    if (coverage === undefined) return
    for (const { target, reason, facts, parts = [] } of coverage.verdicts) {
      const beaconer = this.#gateway(target)
      beaconer.beacons[reason] = (beaconer.beacons[reason] ?? 0) + 1
      note(beaconer, facts)
      for (const part of parts) {
        const witness = this.#gateway(part.node)
        witness.reports[part.reason] = (witness.reports[part.reason] ?? 0) + 1
        note(witness, part.facts)
      }
    }
    for (const [node, amount] of coverage.earnings) this.#gateway(node).earned += amount
  }

  /** By ascending node. */
  lines(cheats: ReadonlyMap<number, FieldCheat>): GatewayLine[] {
    return [...this.#gateways]
      .sort(([a], [b]) => a - b)
      .map(([node, { earned, ...seen }]) => {
        return { node, cheat: cheats.get(node) ?? null, ...seen, earned: String(earned) }
      })
  }

  #gateway(node: number): Gateway {
    const known = this.#gateways.get(node)
    if (known !== undefined) return known
    const gateway = { beacons: {}, reports: {}, facts: {}, earned: 0n }
    this.#gateways.set(node, gateway)
    return gateway
  }
}

/** For people: what it is, how its beacons and reports ended, and its factors that are not full. */
export function gatewayText({ cheat, beacons, reports, facts }: GatewayLine): string {
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([reason, count]) => `${count} ${reason}`)
      .join(', ') || 'none'
  const lowered = FACTORS.filter(name => (facts[name] ?? FULL) < FULL)
  const factors = lowered.map(name => `${name} ${((facts[name] ?? 0) / FULL).toFixed(2)}`)
  return [
    cheat ?? 'honest',
    `beacons ${counts(beacons)}`,
    `reports ${counts(reports)}`,
    ...(factors.length > 0 ? [factors.join(', ')] : []),
  ].join('; ')
}

function note({ facts }: Gateway, latest: Readonly<Record<string, unknown>>): void {
  for (const name of FACTS) {
    const value = latest[name]
    if (typeof value === 'number') facts[name] = value
  }
}
