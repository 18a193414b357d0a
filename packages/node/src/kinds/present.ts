import { type Calendar, type EpochBase, epochAt } from '@cairn/protocol'
import type { Clock } from '../ports.ts'
import type { EpochView } from './kind.ts'

/** The base of the present epoch, or of the one before while that is not known. */
export function presentBase(
  { view, clock }: { view: Pick<EpochView, 'base'>; clock: Clock },
  calendar: Calendar,
): EpochBase | undefined {
  const now = epochAt(calendar, clock.now())
  return view.base(now) ?? view.base(now - 1)
}
