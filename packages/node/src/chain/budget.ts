/**
 * What an account may pay for gas: a cap on the price of a unit, and a budget for the day (UTC) that
 * the worst of all that is under way stays within.
 */
import { CairnError, check } from '@cairn/protocol'
import { formatEther, type Hex, parseTransaction } from 'viem'
import type { Clock } from '../ports.ts'
import { capped, type Fees, higher, type Market, raised } from './fees.ts'
import type { Entry, Journal } from './journal.ts'
import { allowance, dayOf, PURPOSES } from './spending.ts'

/** Base units a unit of gas may cost at most where the operator says nothing: 500 gwei. */
const FEE_CAP = 500_000_000_000n

export interface SpendingLimits {
  /** Base units that may be paid for gas in a day, UTC; absent: no limit. */
  budgetPerDay?: bigint
  /** Base units that a unit of gas may cost; absent: `FEE_CAP`. */
  maxFeePerGas?: bigint
}

/** What is to be paid at most. */
interface Planned extends Pick<Entry, 'nonce' | 'gas' | 'purpose'> {
  fees: Fees
}

export class Budget {
  readonly limits: SpendingLimits
  readonly #clock: Clock
  /** Day on which the budget last kept something from being sent. */
  #overOn: number | undefined

  constructor({ clock }: { clock: Clock }, limits: SpendingLimits) {
    this.#clock = clock
    this.limits = limits
  }

  /** Something was not sent today, since the budget did not allow it. */
  get isSpent(): boolean {
    return this.#overOn === this.#today()
  }

  /** What the market asks, and more than anything given up under this nonce. Throws `gasPrice`. */
  firstFees(journal: Journal, nonce: number, market: Market): Fees {
    const cap = this.#cap()
    check(
      market.base + market.maxPriorityFeePerGas <= cap,
      'gasPrice',
      `a unit of gas costs ${market.base}, more than may be paid`,
      {
        facts: { base: market.base, maxFeePerGas: cap },
        next: 'wait until the chain is cheaper, or raise chain.maxGasPrice',
      },
    )
    const rivals = journal.unsettled().filter(entry => entry.nonce === nonce)
    return capped(
      rivals.reduce<Fees>((fees, rival) => higher(fees, raised(feesOf(rival))), market),
      cap,
    )
  }

  /** Fees that replace an entry's last; undefined where the cap or the budget does not allow them. */
  higherFees(journal: Journal, entry: Entry, market: Market): Fees | undefined {
    const least = raised(feesOf(entry))
    const fees = capped(higher(least, market), this.#cap())
    if (fees.maxFeePerGas < least.maxFeePerGas) return undefined
    return this.#over(journal, { ...entry, fees }) === undefined ? fees : undefined
  }

  /** Throws `gasBudget`. */
  require(journal: Journal, planned: Planned): void {
    const over = this.#over(journal, planned)
    if (over === undefined) return
    this.#overOn = this.#today()
    const { about, percent } = PURPOSES[planned.purpose]
    throw new CairnError(
      'gasBudget',
      `with this, gas would cost up to ${formatEther(over.worst)} ether today, and ${about} may bring it to ${formatEther(over.allowed)}: ${percent} % of the day's budget`,
      {
        facts: { ...over, purpose: planned.purpose, percent },
        next: 'wait until 0:00 UTC, when the next day begins, or raise chain.budgetPerDay',
      },
    )
  }

  /** Undefined where the worst that all open ones cost stays within the budget. */
  #over(journal: Journal, { nonce, gas, fees, purpose }: Planned) {
    const { budgetPerDay } = this.limits
    if (budgetPerDay === undefined) return undefined
    const open = new Map<number, bigint>()
    const expect = (at: number, units: bigint) => {
      if (units > (open.get(at) ?? 0n)) open.set(at, units)
    }
    expect(nonce, gas * fees.maxFeePerGas)
    for (const entry of journal.unsettled()) {
      if (entry.state !== 'mined') expect(entry.nonce, entry.gas * feesOf(entry).maxFeePerGas)
    }
    const spent = journal.spentOn(this.#today())
    const worst = [...open.values()].reduce((sum, units) => sum + units, spent)
    const allowed = allowance(purpose, budgetPerDay)
    return worst <= allowed ? undefined : { spent, worst, allowed }
  }

  #cap(): bigint {
    return this.limits.maxFeePerGas ?? FEE_CAP
  }

  #today(): number {
    return dayOf(this.#clock.now())
  }
}

/** Of the last attempt, which has the highest. */
function feesOf({ attempts }: Entry): Fees {
  const { maxFeePerGas = 0n, maxPriorityFeePerGas = 0n } = parseTransaction(
    attempts.at(-1)?.raw as Hex,
  )
  return { maxFeePerGas, maxPriorityFeePerGas }
}
