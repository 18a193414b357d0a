/**
 * Watches a running network and holds it to what must always be true. What it finds broken it names
 * with its numbers; it never repairs anything.
 */
import type {
  AcceptedCheckpoint,
  Adopted,
  Checkpointer,
  Ingest,
  Ledger,
  Settled,
} from '@cairn/node'
import { Checkpoint, decode, equalBytes, hex, type Payout } from '@cairn/protocol'
import { z } from 'zod'

export const Violation = z.object({
  /** Stable name of the invariant. */
  invariant: z.enum([
    'parentsChain',
    'rootsEqual',
    'sumsExact',
    'noPenaltyOnHonest',
    'acknowledgedKept',
  ]),
  node: z.string().optional(),
  epoch: z.number(),
  text: z.string(),
})
export type Violation = z.infer<typeof Violation>

/** For people. */
export function violationText({ invariant, epoch, text }: Violation): string {
  return `BROKEN ${invariant} in epoch ${epoch}: ${text}`
}

/** Acknowledged messages remembered per node until their epoch was checked. */
const ACKNOWLEDGED_MAX = 200_000

/** What is watched of a node. */
export interface WatchedNode {
  readonly ingest: Pick<Ingest, 'onArrival'>
  readonly checkpointer: Pick<Checkpointer, 'onAdopted' | 'onRetreat'>
  readonly ledger: Pick<Ledger, 'has'>
}

export class Monitor {
  readonly violations: Violation[] = []
  readonly #watched = new Map<string, WatchedNode>()
  /** Ids by node and epoch; kept while a node is stopped. */
  readonly #acknowledged = new Map<string, Map<number, Uint8Array[]>>()
  readonly #roots = new Map<number, AcceptedCheckpoint>()
  readonly #listeners: ((accepted: AcceptedCheckpoint, settled: Settled) => void)[] = []
  /** Nodes that must agree on each epoch: those that ran through all of it. */
  readonly #recomputed = new Map<number, Set<string>>()
  #last: AcceptedCheckpoint | undefined

  /** Called once per accepted epoch, by the first node that adopted it with its whole set. */
  onEpoch(listener: (accepted: AcceptedCheckpoint, settled: Settled) => void): void {
    this.#listeners.push(listener)
  }

  /** Nodes that recomputed an epoch's root and found the accepted one. */
  recomputedBy(epoch: number): readonly string[] {
    return [...(this.#recomputed.get(epoch) ?? [])]
  }

  watch(name: string, node: WatchedNode): void {
    this.#watched.set(name, node)
    const acknowledged = this.#acknowledged.get(name) ?? new Map<number, Uint8Array[]>()
    this.#acknowledged.set(name, acknowledged)
    node.ingest.onArrival(({ message, base, source, kept }) => {
      if (source === 'disk' || !kept) return
      const ids = acknowledged.get(base.epoch) ?? []
      if (ids.length < ACKNOWLEDGED_MAX) ids.push(message.id)
      acknowledged.set(base.epoch, ids)
    })
    node.checkpointer.onAdopted(adopted => this.#adopted(name, adopted))
    node.checkpointer.onRetreat(last => this.#retreated(last))
  }

  /** Reports nodes that did not recompute an accepted epoch to the same root. */
  requireRecomputed(epochs: readonly number[], names: readonly string[]): void {
    for (const epoch of epochs) {
      const by = this.#recomputed.get(epoch)
      for (const name of names) {
        if (by?.has(name)) continue
        this.#report({
          invariant: 'rootsEqual',
          node: name,
          epoch,
          text: 'this node did not recompute the accepted root',
        })
      }
    }
  }

  /** A node that was stopped: what it acknowledged is asked of it again when it is back. */
  unwatch(name: string): void {
    this.#watched.delete(name)
  }

  /** Asks every node for every message it acknowledged up to an epoch. */
  async checkAcknowledged(until: number): Promise<void> {
    for (const [name, { ledger }] of this.#watched) {
      const acknowledged = this.#acknowledged.get(name)
      for (const [epoch, ids] of acknowledged ?? []) {
        if (epoch > until) continue
        acknowledged?.delete(epoch)
        for (const id of ids) {
          if (await ledger.has(id)) continue
          this.#report({
            invariant: 'acknowledgedKept',
            node: name,
            epoch,
            text: `message ${hex(id)} was acknowledged and is gone`,
          })
        }
      }
    }
  }

  /** What the chain took back is adopted anew, and may be another. */
  #retreated(last: number): void {
    for (const epoch of this.#roots.keys()) {
      if (epoch <= last) continue
      this.#roots.delete(epoch)
      this.#recomputed.delete(epoch)
    }
  }

  #adopted(name: string, { accepted, settled }: Adopted): void {
    const { epoch, root } = accepted
    const known = this.#roots.get(epoch)
    if (known !== undefined && !equalBytes(known.root, root)) {
      this.#report({
        invariant: 'rootsEqual',
        node: name,
        epoch,
        text: `adopted ${hex(root)}, another node ${hex(known.root)}`,
      })
    }
    if (settled === undefined) return
    if (!equalBytes(settled.settlement.root, root)) {
      this.#report({
        invariant: 'rootsEqual',
        node: name,
        epoch,
        text: `computed ${hex(settled.settlement.root)}, accepted is ${hex(root)}`,
      })
    }
    const by = this.#recomputed.get(epoch) ?? new Set()
    this.#recomputed.set(epoch, by.add(name))
    if (known !== undefined) return
    this.#roots.set(epoch, accepted)
    this.#checkEpoch(accepted, settled)
    for (const listener of this.#listeners) listener(accepted, settled)
  }

  #checkEpoch(accepted: AcceptedCheckpoint, { settlement }: Settled): void {
    const { epoch } = accepted
    const checkpoint = decode(Checkpoint, accepted.checkpoint)
    if (this.#last !== undefined && this.#last.epoch === epoch - 1) {
      if (!equalBytes(checkpoint.parent, this.#last.root)) {
        this.#report({ invariant: 'parentsChain', epoch, text: 'the parent is another checkpoint' })
      }
    }
    this.#last = accepted
    const { emission, fees, payouts, burned, unminted } = settlement.sums
    const changed = settlement.changes.reduce((sum, { earned }) => sum + earned, 0n)
    const tree = settlement.state.core.payouts.reduce((sum, { earned }: Payout) => sum + earned, 0n)
    if (payouts + burned + unminted !== emission + fees || changed !== payouts) {
      this.#report({
        invariant: 'sumsExact',
        epoch,
        text: `${payouts} + ${burned} + ${unminted} is not ${emission} + ${fees}`,
      })
    }
    if (tree !== checkpoint.earnedTotal) {
      this.#report({
        invariant: 'sumsExact',
        epoch,
        text: `the payouts tree sums to ${tree}, the checkpoint says ${checkpoint.earnedTotal}`,
      })
    }
    for (const { node, amount } of settlement.penalties) {
      this.#report({
        invariant: 'noPenaltyOnHonest',
        epoch,
        text: `node ${node} is to lose ${amount}`,
      })
    }
  }

  #report(violation: Violation): void {
    this.violations.push(violation)
  }
}
