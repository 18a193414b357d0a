/**
 * What transactions are for, and how much of a day's budget each purpose may use. The operator's
 * budget bounds what an account pays for gas in a day (UTC); what matters to everybody may use all of
 * it, what can wait leaves the rest alone. Without budget the node goes on proving, attesting and
 * voting; checkpoints and penalties are then landed by others, and claims keep their value.
 */

/** Most urgent first: so they take turns. `code` is what the journal keeps. */
export const PURPOSES = {
  /** Payouts of the whole network rest on it. */
  checkpoint: { code: 1, percent: 100, about: 'landing checkpoints' },
  /** Evidence has its time. */
  penalty: { code: 2, percent: 100, about: 'reporting penalties' },
  /** What the operator orders: registration, bond, place, exit, a deposit, a vote. */
  order: { code: 3, percent: 100, about: 'what the operator orders' },
  /** Opens an accepted checkpoint for claims: any node may. */
  fund: { code: 4, percent: 75, about: 'opening checkpoints for claims' },
  /** Grows while it waits. */
  claim: { code: 5, percent: 50, about: 'claims' },
} as const

export type Purpose = keyof typeof PURPOSES

const NAMES = Object.keys(PURPOSES) as Purpose[]
const DAY_MS = 86_400_000

/** Place in the order of turns: the lower the sooner. */
export function rankOf(purpose: Purpose): number {
  return NAMES.indexOf(purpose)
}

export function purposeOf(code: number): Purpose | undefined {
  return NAMES.find(name => PURPOSES[name].code === code)
}

/** Base units that a purpose may have spent of a day's budget. */
export function allowance(purpose: Purpose, budgetPerDay: bigint): bigint {
  return (budgetPerDay * BigInt(PURPOSES[purpose].percent)) / 100n
}

/** Days since 1970, UTC. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS)
}
