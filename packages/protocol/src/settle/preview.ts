/**
 * What a vote would change, by the epochs there were: each is settled again from its own messages and
 * its own parent, once as it was and once under the proposed values. Nobody's conduct changes with
 * them here, and each epoch stands alone: what an earlier one would have left in the state does not
 * reach the next.
 */
import type { EpochBase } from '../kind.ts'
import { withParameters } from '../parameters.ts'
import type { Profile } from '../profile.ts'
import { hex } from '../ssz.ts'
import { earnedParts, LANDING, VOTES } from './earnings.ts'
import { type Settlement, type SettlementInput, type Sums, settle } from './settle.ts'

/** Base units, as it was and as it would have been. */
export interface Compared {
  readonly before: bigint
  readonly after: bigint
}

/** What one earner got out of one source: a kind by its name, `votes`, or `landing`. */
export interface PreviewShare extends Compared {
  readonly source: string
}

export interface PreviewEarner extends Compared {
  /**
   * Hexadecimal: the operator of the nodes that earn; of an account that landed checkpoints and is
   * nobody's operator or payout account, itself.
   */
  readonly earner: string
  /** In order of kind, then votes, then landing; only what is not 0 in both. */
  readonly shares: readonly PreviewShare[]
  /** What its nodes' bonds would be reported for. */
  readonly penalties: Compared
}

/** Adds up epochs one by one: settling many takes a while, and who asks may do other things between. */
export class Preview {
  readonly #founding: Profile
  readonly #values: ReadonlyMap<string, bigint>
  readonly #before = new Table()
  readonly #after = new Table()

  /** Values by the names of `PARAMETERS`; their bounds follow from what the network began with. */
  constructor(founding: Profile, values: ReadonlyMap<string, bigint>) {
    this.#founding = founding
    this.#values = values
  }

  /** Throws `badParameter` and `badProfile` where the values are refused in this epoch. */
  add(input: SettlementInput): void {
    const { base } = input
    const changed = base.under(withParameters(base.profile, this.#values, this.#founding))
    this.#before.add(settle(input), base)
    this.#after.add(settle({ ...input, base: changed }), base)
  }

  sums(): { readonly before: Sums; readonly after: Sums } {
    return { before: this.#before.sums, after: this.#after.sums }
  }

  /** By what they gain, the most first; ties by `earner`. Their sums are those of the payouts. */
  earners(): PreviewEarner[] {
    const names = new Set([...this.#before.earners(), ...this.#after.earners()])
    return [...names].map(earner => this.#earner(earner)).sort(byGain)
  }

  #earner(earner: string): PreviewEarner {
    const [before, after] = [this.#before, this.#after]
    const shares = [...before.kinds, VOTES, LANDING]
      .map(source => ({
        source,
        before: before.earned(earner, source),
        after: after.earned(earner, source),
      }))
      .filter(share => share.before > 0n || share.after > 0n)
    return {
      earner,
      before: sum(shares.map(share => share.before)),
      after: sum(shares.map(share => share.after)),
      shares,
      penalties: { before: before.penalty(earner), after: after.penalty(earner) },
    }
  }
}

/** Who earned what by what in all epochs added. */
class Table {
  /** By name, in their order. */
  readonly kinds = new Set<string>()
  sums: Sums = { emission: 0n, fees: 0n, payouts: 0n, burned: 0n, unminted: 0n }
  readonly #earned = new Map<string, Map<string, bigint>>()
  readonly #penalties = new Map<string, bigint>()

  add(settlement: Settlement, base: EpochBase): void {
    const { kinds, penalties, sums } = settlement
    const operatorOf = (node: number) => hex(base.node(node)?.operator ?? new Uint8Array())
    for (const { name } of kinds) this.kinds.add(name)
    for (const { source, node, account, amount } of earnedParts(settlement, base)) {
      const earner =
        node === undefined ? (operatorBehind(account, base) ?? account) : operatorOf(node)
      this.#earn(earner, source, amount)
    }
    for (const { node, amount } of penalties) increase(this.#penalties, operatorOf(node), amount)
    this.sums = {
      emission: this.sums.emission + sums.emission,
      fees: this.sums.fees + sums.fees,
      payouts: this.sums.payouts + sums.payouts,
      burned: this.sums.burned + sums.burned,
      unminted: this.sums.unminted + sums.unminted,
    }
  }

  earners(): string[] {
    return [...this.#earned.keys(), ...this.#penalties.keys()]
  }

  earned(earner: string, source: string): bigint {
    return this.#earned.get(earner)?.get(source) ?? 0n
  }

  penalty(earner: string): bigint {
    return this.#penalties.get(earner) ?? 0n
  }

  #earn(earner: string, source: string, amount: bigint): void {
    if (amount === 0n) return
    const sources = this.#earned.get(earner) ?? new Map<string, bigint>()
    this.#earned.set(earner, sources)
    increase(sources, source, amount)
  }
}

/** The operator of a node that is paid to this account, or that has this account. */
function operatorBehind(account: string, { nodes }: EpochBase): string | undefined {
  const found = nodes.find(
    ({ operator, payout }) => hex(operator) === account || hex(payout) === account,
  )
  return found && hex(found.operator)
}

function increase(map: Map<string, bigint>, key: string, amount: bigint): void {
  map.set(key, (map.get(key) ?? 0n) + amount)
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n)
}

function byGain(a: PreviewEarner, b: PreviewEarner): number {
  const [gainA, gainB] = [a.after - a.before, b.after - b.before]
  if (gainA === gainB) return a.earner < b.earner ? -1 : 1
  return gainA > gainB ? -1 : 1
}
