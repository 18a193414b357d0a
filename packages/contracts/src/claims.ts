/** Payouts of a checkpoint as `RewardDistributor` and `Deposits` take them. */
import {
  Checkpoint,
  compareBytes,
  equalBytes,
  GENESIS_EPOCH,
  invariant,
  ListDepth,
  ListTree,
  Payout,
} from '@cairn/protocol'
import { bytesToHex, type Hex } from 'viem'

export interface PayoutsInit {
  checkpoint: Checkpoint
  /** All payouts of the checkpoint's state, by account. */
  payouts: readonly Payout[]
}

/** A leaf with its place, as the contracts take it. */
export interface PayoutArgument {
  account: Hex
  earned: bigint
  spent: bigint
  index: number
}

export interface PayoutProof {
  payout: PayoutArgument
  /** 32 siblings and the list's length. */
  path: Hex[]
}

/** The tree of a checkpoint's payouts, hashed once for any number of claims. */
export class PayoutClaims {
  readonly #checkpoint: Checkpoint
  readonly #payouts: readonly Payout[]
  readonly #tree: ListTree
  /** Levels below the trunk. */
  readonly #levels: number

  constructor({ checkpoint, payouts }: PayoutsInit) {
    this.#checkpoint = checkpoint
    this.#payouts = payouts
    this.#tree = new ListTree(
      payouts.map(payout => Payout.hashTreeRoot(payout)),
      ListDepth.payouts,
    )
    this.#levels = Math.ceil(Math.log2(Math.max(payouts.length, 1)))
  }

  /** Arguments of `RewardDistributor.fund`. */
  fund() {
    return [
      bytesToHex(Checkpoint.serialize(this.#checkpoint)),
      bytesToHex(this.#tree.node(this.#levels, 0)),
      this.#payouts.length,
    ] as const
  }

  /** Arguments of `RewardDistributor.claim`; undefined of an account that is not in the payouts. */
  claim(account: Uint8Array) {
    const index = this.#indexOf(account)
    if (index === undefined) return undefined
    invariant(this.#checkpoint.epoch !== GENESIS_EPOCH, 'nothing is earned before epoch 0')
    const { payout, path } = this.proof(index)
    return [this.#checkpoint.epoch, payout, path.slice(0, this.#levels)] as const
  }

  /** What `Deposits.withdraw` takes of an account; undefined of one not in the payouts. */
  withdrawal(account: Uint8Array): PayoutProof | undefined {
    const index = this.#indexOf(account)
    return index === undefined ? undefined : this.proof(index)
  }

  /** What `Deposits.withdrawUnspent` takes of an account that is not in the payouts. */
  absence(account: Uint8Array): PayoutProof[] {
    const found = this.#payouts.findIndex(payout => compareBytes(payout.account, account) > 0)
    const after = found === -1 ? this.#payouts.length : found
    return [after - 1, after]
      .filter(index => index >= 0 && index < this.#payouts.length)
      .map(index => this.proof(index))
  }

  proof(index: number): PayoutProof {
    const payout = this.#payouts[index]
    invariant(payout !== undefined, 'an index of a payout')
    const { account, earned, spent } = payout
    return {
      payout: { account: bytesToHex(account), earned, spent, index },
      path: this.#tree.proof(index).map(node => bytesToHex(node)),
    }
  }

  #indexOf(account: Uint8Array): number | undefined {
    const index = this.#payouts.findIndex(payout => equalBytes(payout.account, account))
    return index === -1 ? undefined : index
  }
}
