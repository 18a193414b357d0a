/**
 * What clients owe a node that serves them on account: by client the latest total that it signed, and
 * what was served since. A client gets so much on trust and no more; a part of what it never signed
 * for is written off each epoch, since what was lost on the way is nobody's fault. Before an epoch
 * ends the latest receipts are said.
 */
import {
  Bytes64,
  CairnError,
  ContainerType,
  check,
  decode,
  type EpochBase,
  hex,
  slotStart,
  Uint64,
} from '@cairn/protocol'
import { withPrefix } from '../ledger/schema.ts'
import type { Log, Store } from '../ports.ts'
import type { Errands } from './errands.ts'

/** Clients on account. */
export const ACCOUNTS_MAX = 4_096
/** Part of what one may owe that is written off each epoch. */
const FORGIVEN_PARTS = 4
/** Epochs after which a receipt that no base counts yet is said again, beyond the look-back. */
const SETTLING_EPOCHS = 2
/** The seal's slot is divided into so many turns, so that not all nodes speak at once. */
const TURNS = 16

export interface Account {
  readonly client: Uint8Array
  /** By the latest receipt. */
  units: bigint
  signature: Uint8Array
  /** Served that no receipt covers. */
  unpaid: number
  /** The last receipt said, and the epoch of that. */
  said: { epoch: number; units: bigint } | undefined
}

/** A client's total for the node with this index. */
export interface Total {
  readonly client: Uint8Array
  readonly node: number
  readonly units: bigint
}

/** What is counted, and how it is paid. */
export interface Tally {
  /** What one client may owe. */
  readonly unpaidMax: number
  /** Beyond what the base has counted. */
  claimed(total: Total, base: EpochBase): bigint
  /** Worth a message, and covered. */
  isClaimable(total: Total, base: EpochBase): boolean
  isSigned(total: Total, signature: Uint8Array, base: EpochBase): boolean
  /** Base units. */
  fee(units: bigint, base: EpochBase): bigint
  /** Says a receipt; false: not now. */
  say(total: Total, signature: Uint8Array, base: EpochBase): Promise<boolean>
}

export interface AccountsComponents {
  /** A key space of its own: client key -> latest receipt. */
  store: Store
  errands: Errands
  log: Log
  /** Node index at a base; undefined while the node is not active in it. */
  index(base: EpochBase): number | undefined
}

const Signed = new ContainerType({ units: Uint64, signature: Bytes64 }, { typeName: 'Signed' })

export class Accounts {
  readonly #components: AccountsComponents
  readonly #tally: Tally
  /** By key in hexadecimal. */
  readonly #accounts = new Map<string, Account>()

  constructor(components: AccountsComponents, tally: Tally) {
    this.#components = components
    this.#tally = tally
  }

  async start(): Promise<void> {
    for await (const [client, bytes] of this.#components.store.range(
      withPrefix(new Uint8Array(0)),
    )) {
      const signed = decode(Signed, bytes)
      this.#accounts.set(hex(client), { client, ...signed, unpaid: 0, said: undefined })
    }
  }

  all(): Iterable<Account> {
    return this.#accounts.values()
  }

  /** By key in hexadecimal. */
  get(key: string): Account | undefined {
    return this.#accounts.get(key)
  }

  /** The client's account, opened if need be. Throws `notCovered` or `busy`. */
  admit(client: Uint8Array, base: EpochBase): Account {
    const key = hex(client)
    const known = this.#accounts.get(key)
    if (known !== undefined) return known
    check(base.available(key) > 0n, 'notCovered', 'there is no deposit under this key')
    if (this.#accounts.size >= ACCOUNTS_MAX) this.#makeRoom(base)
    const signature = new Uint8Array(64)
    const account = { client, units: 0n, signature, unpaid: 0, said: undefined }
    this.#accounts.set(key, account)
    return account
  }

  /** Takes a higher total in. Throws `badSignature`. */
  async sign(
    account: Account,
    { node, units, signature }: { node: number; units: bigint; signature: Uint8Array },
    base: EpochBase,
  ): Promise<void> {
    if (units <= account.units) return
    const signed = this.#tally.isSigned({ client: account.client, node, units }, signature, base)
    check(signed, 'badSignature', 'the client’s signature does not hold')
    const more = Number(units - account.units)
    account.units = units
    account.signature = signature
    account.unpaid = Math.max(0, account.unpaid - more)
    const value = Signed.serialize({ units, signature })
    await this.#components.store.batch([{ key: account.client, value }])
  }

  /** Throws `notCovered` unless the deposit pays what is owed and what may come to be. */
  checkCovers(account: Account, node: number, base: EpochBase): void {
    const { client, units } = account
    const owed = this.#tally.claimed({ client, node, units }, base)
    const fee = this.#tally.fee(owed + BigInt(this.#tally.unpaidMax), base)
    const available = base.available(hex(client))
    check(fee <= available, 'notCovered', 'the deposit does not cover what may be delivered', {
      facts: { available, needed: fee },
    })
  }

  /** Puts units on account; gives what undoes it, for what nobody got. Throws `unpaid`. */
  take(account: Account, units: number): () => void {
    const { unpaidMax } = this.#tally
    check(account.unpaid + units <= unpaidMax, 'unpaid', 'too much was served without a receipt', {
      facts: { unpaid: account.unpaid, asked: units, most: unpaidMax },
      next: 'sign a receipt',
    })
    account.unpaid += units
    return () => {
      account.unpaid = Math.max(0, account.unpaid - units)
    }
  }

  /** Says the latest receipts before the epoch ends. */
  epoch(base: EpochBase): void {
    const forgiven = this.#tally.unpaidMax / FORGIVEN_PARTS
    for (const account of this.#accounts.values()) {
      account.unpaid = Math.max(0, account.unpaid - forgiven)
    }
    const node = this.#components.index(base)
    if (node === undefined) return
    const { slotMs, sealSlot } = base.profile
    const turn = Math.floor(((node % TURNS) * slotMs) / TURNS)
    const at = slotStart(base, base.epoch, sealSlot) + turn
    this.#components.errands.at(at, () => this.#say(base, node))
  }

  async #say(base: EpochBase, node: number): Promise<void> {
    const settling = base.profile.lookback + SETTLING_EPOCHS
    for (const account of this.#accounts.values()) {
      const { client, units, signature, said } = account
      const total = { client, node, units }
      const waits = said?.units === units && base.epoch - said.epoch < settling
      if (waits || this.#tally.claimed(total, base) <= 0n) continue
      if (!this.#tally.isClaimable(total, base)) {
        const facts = { client: hex(client), units }
        this.#components.log.debug(facts, 'a receipt is too small, or not covered yet')
        continue
      }
      if (await this.#tally.say(total, signature, base)) {
        account.said = { epoch: base.epoch, units }
      }
    }
  }

  /** Forgets an account of which nothing is owed. Throws `busy` when there is none. */
  #makeRoom(base: EpochBase): void {
    const node = this.#components.index(base) ?? 0
    for (const [key, { client, units, unpaid }] of this.#accounts) {
      if (unpaid > 0 || this.#tally.claimed({ client, node, units }, base) > 0n) continue
      this.#accounts.delete(key)
      this.#components.errands.run(() => this.#components.store.batch([{ key: client }]))
      return
    }
    throw new CairnError('busy', 'too many clients have a tab', { facts: { max: ACCOUNTS_MAX } })
  }
}
