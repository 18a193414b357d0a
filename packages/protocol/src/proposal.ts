/** How a round's proposer shows the committee the set and the checkpoint it stands for. */

import type { FullCalendar } from './base.ts'
import { Checkpoint } from './checkpoint.ts'
import type { CommitteeMember } from './draw.ts'
import { shuffle } from './duties.ts'
import { epochFields } from './messages.ts'
import { ContainerType, Uint32, type ValueOf } from './ssz.ts'
import { epochStart } from './time.ts'

/** Kind code that separates the ranking of proposers from the rings of duties. */
const RANKING = 0

/**
 * Rounds of one committee. Those of a committee that formed where none signed have the number of its
 * window, modulo `WINDOWS`, above them: what its members had voted before is none of its votes. Both
 * fill a uint32, and are of `Checkpoints.sol`.
 */
export const ROUNDS = 2 ** 20
export const WINDOWS = 2 ** 12

/** Signed with the proposer's identity key; gossiped, never part of a set. */
export const Proposal = new ContainerType(
  { ...epochFields, round: Uint32, checkpoint: Checkpoint },
  { typeName: 'Proposal' },
)
export type Proposal = ValueOf<typeof Proposal>

/** A committee's round: of the committee that the checkpoint before names, window 0. */
export function roundIn(window: number, round: number): number {
  return (window % WINDOWS) * ROUNDS + round
}

/** The window, modulo `WINDOWS`, by which the committee formed that votes in a round. */
export function windowOf(round: number): number {
  return Math.floor(round / ROUNDS)
}

/** When a round of an epoch's checkpoint begins, ms since 1970: by the clock, whatever came before. */
export function roundStart(calendar: FullCalendar, epoch: number, round: number): number {
  const { proposeDelay, roundSlots, slotMs } = calendar.profile
  return epochStart(calendar, epoch + 1) + (proposeDelay + (round % ROUNDS) * roundSlots) * slotMs
}

/** Node index of the proposer of a round: the committee shuffled by a seed, in turn. */
export function proposerOf(
  committee: readonly CommitteeMember[],
  seed: Uint8Array,
  round: number,
): number | undefined {
  const ranks = shuffle(committee, seed, RANKING)
  return ranks[round % ranks.length]?.index
}
