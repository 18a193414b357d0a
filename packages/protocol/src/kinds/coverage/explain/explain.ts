/**
 * Why beacons and witnesses of an epoch did or did not count, in sentences with a cause and a next
 * step. One pure function of the settled verdicts and of who could have taken part.
 */
import type { VerdictFacts } from '../../../kind.ts'
import { chord, type Vector, vectorOf } from '../../../radio/geo.ts'
import { CLOSE_METRES } from '../judgement.ts'
import { type Lowered, loweredFactors } from './lowered.ts'
import { explainReason, type Sentence } from './reason.ts'
import type { GatewayStanding } from './standing.ts'
import { count, joined, nodes } from './wording.ts'

/** Who is not farther away should hear a beacon: metres between the centres of the cells. */
export const NEAR_METRES = 10_000

/** Reports that the sentence of their beacon repeats; each has its own. */
const TOLD_MAX = 3

/** A settled verdict, as far as it is explained. */
export interface VerdictToExplain {
  readonly target: number
  readonly reason: string
  readonly facts: VerdictFacts
  readonly parts: readonly PartToExplain[]
}

export interface PartToExplain {
  readonly node: number
  readonly reason: string
  readonly facts: VerdictFacts
}

export interface EpochToExplain {
  readonly verdicts: readonly VerdictToExplain[]
  readonly gateways: readonly GatewayStanding[]
}

export interface Explained extends Sentence {
  readonly node: number
  readonly reason: string
  /** Why it earns less than in full. */
  readonly lowered: readonly Lowered[]
}

export interface ExplainedBeacon extends Explained {
  readonly witnesses: readonly Explained[]
}

/** One beacon per verdict, in their order. */
export function explainCoverage({ verdicts, gateways }: EpochToExplain): ExplainedBeacon[] {
  const neighbourhood = new Neighbourhood(gateways, verdicts)
  return verdicts.map(verdict => {
    const { target, reason, facts, parts } = verdict
    const witnesses = parts.map(part => explained(part, 'witness'))
    const beacon = explained({ node: target, reason, facts }, 'beacon')
    const told = reason === 'unheard' ? neighbourhood.unheard(verdict, witnesses) : undefined
    return { ...beacon, ...told, witnesses }
  })
}

/** Of a node that no verdict of the epoch concerns. */
export function explainAbsence(
  node: number,
  { gateways, others }: { gateways: readonly GatewayStanding[]; others: readonly number[] },
): Sentence {
  const gateway = gateways.find(other => other.node === node)
  if (gateway === undefined && !others.includes(node)) {
    return {
      cause: 'is no node of this epoch: none of that index was active',
      next: 'check the index: `cairn status` tells that of your own node',
    }
  }
  if (gateway === undefined) {
    return {
      cause: 'is no gateway of this epoch',
      next: 'register it for coverage, with a cell, a regional plan and a bond',
    }
  }
  const { cell, drawn, validEpoch } = gateway
  if (cell === undefined) return explainReason('noCell', { role: 'beacon', facts: {} })
  const last = validEpoch === undefined ? 'never before' : `last in epoch ${validEpoch}`
  const asked = drawn
    ? 'was drawn, but no challenge reached the ledger, and it'
    : 'was not drawn in this epoch, and'
  return {
    cause: `${asked} reported no beacon (it took part ${last})`,
    ...(!drawn && {
      next: 'if beacons are sent near it, check that its packet forwarder is alive',
    }),
  }
}

function explained({ node, reason, facts }: PartToExplain, role: 'beacon' | 'witness'): Explained {
  const subject = { role, facts }
  return { node, reason, ...explainReason(reason, subject), lowered: loweredFactors(subject) }
}

interface Place {
  readonly gateway: GatewayStanding
  readonly at: Vector
}

/** Who is near whom, and who was awake in the epoch. */
class Neighbourhood {
  readonly #places = new Map<number, Place>()
  /** Reported a beacon, or revealed its own. */
  readonly #awake = new Set<number>()
  /** Reported a beacon. */
  readonly #listening = new Set<number>()

  constructor(gateways: readonly GatewayStanding[], verdicts: readonly VerdictToExplain[]) {
    for (const gateway of gateways) {
      if (gateway.cell === undefined) continue
      const at = vectorOf(BigInt(`0x${gateway.cell}`))
      this.#places.set(gateway.node, { gateway, at })
    }
    for (const { target, reason, parts } of verdicts) {
      for (const { node } of parts) this.#listening.add(node)
      if (!SILENT.has(reason)) this.#awake.add(target)
    }
    for (const node of this.#listening) this.#awake.add(node)
  }

  /** What became of a beacon that was sent, and that nobody's report proves. */
  unheard({ target }: VerdictToExplain, witnesses: readonly Explained[]): Sentence {
    const near = this.#near(target)
    const others = near.filter(place => !this.#own(target, place)).map(nodeOf)
    const reporters = new Set(witnesses.map(({ node }) => node))
    const quiet = others.filter(node => !reporters.has(node))
    const deaf = quiet.filter(node => this.#listening.has(node))
    const mute = quiet.filter(node => !this.#listening.has(node) && this.#awake.has(node))
    const silent = quiet.filter(node => !this.#awake.has(node))
    const told = [
      ...(silent.length === 0
        ? []
        : [`${nodes(silent, this.#lastHeard)} said nothing in this epoch`]),
      ...(deaf.length === 0 ? [] : [`${nodes(deaf)} heard others, but not it`]),
      ...(mute.length === 0 ? [] : [`${nodes(mute)} sent a beacon and heard none`]),
      ...witnesses.slice(0, TOLD_MAX).map(({ node, cause }) => `node ${node} ${cause}`),
      ...(witnesses.length > TOLD_MAX
        ? [`${witnesses.length - TOLD_MAX} further reports do not count either`]
        : []),
    ]
    const cause = [`${this.#crowd(near, others)}`, ...told].join('; ')
    return { cause, ...nextStep({ witnesses, deaf, silent, others }) }
  }

  #crowd(near: readonly Place[], others: readonly number[]): string {
    const own = near.length - others.length
    const beside =
      own === 0
        ? ''
        : `, beside ${count(own, 'other')} of the same operator or nearer than ${CLOSE_METRES} m`
    const range = `within ${NEAR_METRES / 1_000} km`
    if (others.length === 0) return `no gateway that could witness it is ${range}${beside}`
    return `${count(others.length, 'gateway')} ${range}${beside}`
  }

  readonly #lastHeard = (node: number): string => {
    const epoch = this.#places.get(node)?.gateway.validEpoch
    return epoch === undefined ? ' (never heard before)' : ` (last heard in epoch ${epoch})`
  }

  #near(target: number): Place[] {
    const own = this.#places.get(target)
    if (own === undefined) return []
    return [...this.#places.values()].filter(
      place => place !== own && chord(own.at, place.at) <= NEAR_METRES,
    )
  }

  /** True for a gateway whose report could not count in any case. */
  #own(target: number, place: Place): boolean {
    const own = this.#places.get(target) as Place
    return own.gateway.operator === place.gateway.operator || chord(own.at, place.at) < CLOSE_METRES
  }
}

/** Reasons of beacons whose gateway said nothing, or was not asked in time. */
const SILENT: ReadonlySet<string> = new Set(['noReveal', 'challengeLate', 'otherChallenge'])

interface Quiet {
  readonly witnesses: readonly Explained[]
  readonly deaf: readonly number[]
  readonly silent: readonly number[]
  readonly others: readonly number[]
}

function nextStep({ witnesses, deaf, silent, others }: Quiet): { next?: string } {
  const steps = new Map<string, number[]>()
  for (const { node, next } of witnesses) {
    if (next !== undefined) steps.set(next, [...(steps.get(next) ?? []), node])
  }
  const advice = [...steps].map(([step, list]) => `${nodes(list)}: ${step}`)
  if (advice.length > 0) return { next: joined(advice) }
  if (others.length === 0) {
    return { next: 'a higher antenna reaches farther; without neighbours nobody can hear it' }
  }
  if (deaf.length > 0) {
    return {
      next: 'frames collide now and then: where several epochs say so, check antenna, cable and power',
    }
  }
  return silent.length === others.length
    ? { next: 'nothing to do here: its neighbours were silent' }
    : {}
}

function nodeOf({ gateway }: Place): number {
  return gateway.node
}
