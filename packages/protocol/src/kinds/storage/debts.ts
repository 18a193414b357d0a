/**
 * Debts: leaves that a provider owes an answer for. Silence does not beat failure: what was asked on
 * time and not answered is asked again, by challengers that nobody chose, until it is answered.
 *
 * - A leaf is answered iff more than half of the assigned verifiers say so with digests that fit the
 *   seal; any other new leaf of an on-time challenge becomes a debt, at most one per deal.
 * - While a deal has a debt its fee is 0.
 * - Once `repairAfterEpochs` have passed since the first epoch that asked the debt again in vain, and in
 *   an epoch that asks it in vain once more, the piece is lost and the deal ends. A provider that
 *   answered nothing at all in that time is gone, and all its deals end.
 * - A provider that answers others while it was asked a debt again before is withholding.
 */
import { LEAVES_PER_CHALLENGE } from './limits.ts'
import type { AskedLeaf } from './question.ts'
import type { StorageSettleInput } from './settle-input.ts'
import { type Debt, dealIndex, debtIndex, type KnownDeal, type Silence } from './state.ts'
import type { Judged } from './verdicts.ts'

export interface DebtChanges {
  /** Open after this epoch, by the deal's id in hexadecimal; those of ended deals are among them. */
  readonly open: ReadonlyMap<string, Debt>
  readonly opened: readonly KnownDeal[]
  readonly answered: readonly KnownDeal[]
  /** Deals whose pieces count as lost now. */
  readonly lost: readonly KnownDeal[]
  /** Providers whose deals all end. */
  readonly gone: ReadonlySet<number>
  /** Deals with a debt asked again in vain, and not for the first time, of who answered others. */
  readonly withheld: ReadonlyMap<number, readonly KnownDeal[]>
}

export interface DebtsInit {
  silent: ReadonlyMap<number, Silence>
  /** Leaves that clients audited and that were asked in vain. */
  confirmed: readonly AskedLeaf[]
}

/** `onTime`: what was found of the challenges that were. */
export function settleDebts(
  input: StorageSettleInput,
  onTime: readonly Judged[],
  { silent, confirmed }: DebtsInit,
): DebtChanges {
  const { epoch, profile } = input.base
  const deals = dealIndex(input.state).byId
  const open = new Map(debtIndex(input.state))
  const answered = takeAnswered(open, onTime)
  askAgain(open, onTime, epoch)
  const opened = openNew(open, [...unansweredNew(onTime), ...confirmed], input)
  const lost: KnownDeal[] = []
  const gone = new Set<number>()
  const withheld = new Map<number, KnownDeal[]>()
  for (const [key, { again, asked: last }] of open) {
    const item = deals.get(key)
    // Only an epoch that asks a debt judges it: nobody loses a deal for what nobody asked.
    if (item === undefined || again === 0 || last !== epoch) continue
    const { provider } = item.deal
    const silence = silent.get(provider)
    if (epoch - again >= profile.repairAfterEpochs) {
      if (silence !== undefined && silence.since <= again) gone.add(provider)
      else lost.push(item)
    }
    // Who was asked on time and is not silent answered something in this epoch.
    if (again < epoch && silence === undefined) {
      withheld.set(provider, [...(withheld.get(provider) ?? []), item])
    }
  }
  return { open, opened, answered, lost, gone, withheld }
}

function takeAnswered(open: Map<string, Debt>, onTime: readonly Judged[]): KnownDeal[] {
  const taken: KnownDeal[] = []
  for (const { question, answered } of onTime) {
    for (const [place, { deal, leaf }] of question.entries()) {
      if (answered[place] !== true || open.get(deal.key)?.leaf !== leaf) continue
      open.delete(deal.key)
      taken.push(deal)
    }
  }
  return taken
}

/** A debt that was answered meanwhile, since the base, is not open any more and counts for nothing. */
function askAgain(open: Map<string, Debt>, onTime: readonly Judged[], epoch: number): void {
  for (const { question } of onTime) {
    for (const { deal, leaf } of question.slice(LEAVES_PER_CHALLENGE)) {
      const debt = open.get(deal.key)
      if (debt === undefined || debt.leaf !== leaf) continue
      open.set(deal.key, { ...debt, again: debt.again === 0 ? epoch : debt.again, asked: epoch })
    }
  }
}

function unansweredNew(onTime: readonly Judged[]): AskedLeaf[] {
  return onTime.flatMap(({ question, answered }) =>
    question.slice(0, LEAVES_PER_CHALLENGE).filter((_, place) => answered[place] !== true),
  )
}

/** The first of each carried deal that owes nothing yet. */
function openNew(
  open: Map<string, Debt>,
  unanswered: readonly AskedLeaf[],
  { base: { epoch }, state }: StorageSettleInput,
): KnownDeal[] {
  const opened: KnownDeal[] = []
  const carried = dealIndex(state).byId
  for (const { deal, leaf } of unanswered) {
    if (open.has(deal.key) || !carried.has(deal.key)) continue
    open.set(deal.key, { deal: deal.id, leaf, since: epoch, again: 0, asked: epoch })
    opened.push(deal)
  }
  return opened
}
