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

/** Signed with the proposer's identity key; gossiped, never part of a set. */
export const Proposal = new ContainerType(
  { ...epochFields, round: Uint32, checkpoint: Checkpoint },
  { typeName: 'Proposal' },
)
export type Proposal = ValueOf<typeof Proposal>

/** When a round of an epoch's checkpoint begins, ms since 1970: by the clock, whatever came before. */
export function roundStart(calendar: FullCalendar, epoch: number, round: number): number {
  const { proposeDelay, roundSlots, slotMs } = calendar.profile
  return epochStart(calendar, epoch + 1) + (proposeDelay + round * roundSlots) * slotMs
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
