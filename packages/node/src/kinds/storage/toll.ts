/**
 * The provider's side of paid delivery. Who shows a deal key with a deposit gets a tab: bytes on
 * account, as long as what no receipt covers yet stays below `UNPAID_MAX`. Everybody else shares the
 * bytes of the epoch that each provider gives away. Before an epoch ends the latest receipts are said.
 */
import {
  CairnError,
  check,
  claimedBytes,
  decode,
  type EpochBase,
  enclosingRange,
  epochAt,
  type FullCalendar,
  hex,
  introductionSigningRoot,
  isClaimable,
  isDeliveredSigned,
  MessageType,
  Receipt,
  STORAGE,
  SUBTREE_PAYLOAD,
  servedBytes,
  servedFee,
  slotStart,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import { withPrefix } from '../../ledger/schema.ts'
import type { Pieces } from '../../pieces/pieces.ts'
import type { PieceSource } from '../../pieces/transfer.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import { Errands } from '../errands.ts'
import type { EpochView, Voice } from '../kind.ts'
import { presentBase } from '../present.ts'
import { TAB_PROTOCOL, TabAnswer, TabRequest, UNPAID_MAX } from './tab.ts'

/** Peers with a tab, and clients behind them. */
export const TABS_MAX = 4_096
/** One of a client's transfers asks once per step. */
const ASKS_PER_SECOND = 50
/** Part of `UNPAID_MAX` that is written off each epoch: what got lost on the way is not held against anybody. */
const FORGIVEN_PARTS = 4
/** Epochs after which a receipt that no base counts yet is said again, beyond the look-back. */
const SETTLING_EPOCHS = 2
/**
 * Part of the free bytes that is kept for peers' first small requests: who fetches whole files for
 * nothing must not be able to make a provider refuse those who ask whether it serves anybody.
 */
export const RESERVED_PARTS = 4

/** The seal's slot is divided into so many turns, so that not all providers speak at once. */
const TURNS = 16

export interface TollComponents {
  clock: Clock
  network: Network
  /** A key space of its own: client key -> latest receipt. */
  store: Store
  voice: Voice
  view: EpochView
  verifier: Verifier
  log: Log
}

export interface TollInit {
  calendar: FullCalendar
}

interface Account {
  readonly client: Uint8Array
  /** By the latest receipt. */
  bytes: bigint
  signature: Uint8Array
  /** Delivered that no receipt covers. */
  unpaid: number
  /** The last receipt said, and the epoch of that. */
  said: { epoch: number; bytes: bigint } | undefined
}

/** What a provider delivered to one client. */
export interface ServedClient {
  /** 32 bytes. */
  client: Uint8Array
  /** Bytes by its latest receipt, and those of them that settlement paid. */
  receipted: bigint
  paid: bigint
  /** Bytes that no receipt covers. */
  unpaid: number
}

export class Toll {
  readonly #components: TollComponents
  readonly #init: TollInit
  readonly #errands: Errands
  /** By key in hexadecimal. */
  readonly #accounts = new Map<string, Account>()
  /** Keys in hexadecimal by peer; the one that asked longest ago first. */
  readonly #tabs = new Map<string, string>()
  /** `met`: peers that took some of it. */
  #free = { epoch: 0, used: 0, met: new Set<string>() }

  constructor(components: TollComponents, init: TollInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
  }

  async start(): Promise<void> {
    const { network, store } = this.#components
    for await (const [client, bytes] of store.range(withPrefix(new Uint8Array(0)))) {
      const receipt = decode(TabAnswer, bytes)
      this.#accounts.set(hex(client), { client, ...receipt, unpaid: 0, said: undefined })
    }
    const options = { maxRequestBytes: TabRequest.maxSize, maxResponseBytes: TabAnswer.maxSize }
    network.serve(TAB_PROTOCOL, { ...options, perSecond: ASKS_PER_SECOND }, (request, from) =>
      this.answer(request, from),
    )
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /** Pieces for whoever pays, or takes of what is free: others get `unpaid`. */
  guard(pieces: Pieces): PieceSource {
    return {
      has: piece => pieces.has(piece),
      readProven: async (range, peer) => {
        const { length } = enclosingRange(range)
        const giveBack = this.take(peer, length)
        try {
          return await pieces.readProven(range)
        } catch (error) {
          giveBack()
          throw error
        }
      },
    }
  }

  /**
   * Puts bytes on a peer's tab, or takes them of what is free. Throws `unpaid`. Gives what undoes it,
   * for bytes that nobody got.
   */
  take(peer: string, bytes: number): () => void {
    const account = this.#accountOf(peer)
    if (account !== undefined) {
      check(account.unpaid + bytes <= UNPAID_MAX, 'unpaid', 'too many bytes without a receipt', {
        facts: { unpaid: account.unpaid, asked: bytes, most: UNPAID_MAX },
        next: 'sign a receipt',
      })
      account.unpaid += bytes
      return () => {
        account.unpaid = Math.max(0, account.unpaid - bytes)
      }
    }
    const { used, quota } = this.free()
    const free = this.#free
    const { met } = free
    const first = bytes <= SUBTREE_PAYLOAD && !met.has(peer) && met.size < TABS_MAX
    const left = quota - (first ? 0 : Math.floor(quota / RESERVED_PARTS)) - used
    check(bytes <= left, 'unpaid', 'the free bytes of this epoch are given out', {
      facts: { used, asked: bytes, left: Math.max(0, left), quota },
      next: 'pay with a deal key that has a deposit, or ask again in the next epoch',
    })
    free.used += bytes
    if (met.size < TABS_MAX) met.add(peer)
    return () => {
      free.used -= bytes
    }
  }

  /** Bytes of this epoch for peers without a tab. */
  free(): { used: number; quota: number } {
    const { calendar } = this.#init
    const epoch = epochAt(calendar, this.#components.clock.now())
    if (this.#free.epoch !== epoch) this.#free = { epoch, used: 0, met: new Set() }
    return { used: this.#free.used, quota: calendar.profile.strangerBytes }
  }

  clients(): ServedClient[] {
    const state = this.#base()?.state(storageKind)
    const own = this.#ownIndex()
    return [...this.#accounts.values()].map(({ client, bytes, unpaid }) => ({
      client,
      receipted: bytes,
      paid: state === undefined || own === undefined ? 0n : servedBytes(state, client, own),
      unpaid,
    }))
  }

  /**
   * Takes a receipt in and opens, or keeps open, the tab of who brings it. Rejects with `noBase`,
   * `notActive`, `badSignature`, `notCovered` or `busy`.
   */
  async answer(request: Uint8Array, from: string): Promise<Uint8Array> {
    const { client, bytes, signature, introduction } = decode(TabRequest, request)
    const base = this.#base()
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    const provider = this.#components.voice.index(base)
    check(provider !== undefined, 'notActive', 'this node is not active in this epoch')
    this.#introduce({ client, provider, from, introduction, base })
    const account = this.#admit(client, base)
    if (bytes > account.bytes) {
      const delivered = { client, provider, bytes }
      const { verifier } = this.#components
      const signed = isDeliveredSigned(delivered, signature, base.network, verifier)
      check(signed, 'badSignature', 'the client’s signature does not hold')
      await this.#receipt(account, { bytes, signature })
    }
    this.#open(from, account, { base, provider })
    return TabAnswer.serialize({ bytes: account.bytes, signature: account.signature })
  }

  /** Says the latest receipts before the epoch ends. */
  epoch(base: EpochBase): void {
    for (const account of this.#accounts.values()) {
      account.unpaid = Math.max(0, account.unpaid - UNPAID_MAX / FORGIVEN_PARTS)
    }
    const own = this.#components.voice.index(base)
    if (own === undefined) return
    const { slotMs, sealSlot } = base.profile
    const turn = Math.floor(((own % TURNS) * slotMs) / TURNS)
    this.#errands.at(slotStart(base, base.epoch, sealSlot) + turn, () => this.#say(base, own))
  }

  async #say(base: EpochBase, own: number): Promise<void> {
    const { voice, log } = this.#components
    const state = base.state(storageKind)
    const settling = base.profile.lookback + SETTLING_EPOCHS
    for (const account of this.#accounts.values()) {
      const { client, bytes, signature, said } = account
      const waits = said?.bytes === bytes && base.epoch - said.epoch < settling
      if (waits || claimedBytes({ author: own, client, bytes }, state) <= 0n) continue
      if (!isClaimable({ author: own, client, bytes }, base, state)) {
        log.debug({ client: hex(client), bytes }, 'a receipt is too small, or not covered yet')
        continue
      }
      const receipt = { kind: STORAGE, client, bytes, signature }
      const known = await voice.say<Receipt>(MessageType.receipt, Receipt, base, receipt)
      if (known !== undefined) account.said = { epoch: base.epoch, bytes }
    }
  }

  #introduce({
    client,
    provider,
    from,
    introduction,
    base,
  }: Pick<TabRequest, 'client' | 'introduction'> & {
    provider: number
    from: string
    base: EpochBase
  }): void {
    if (this.#tabs.get(from) === hex(client)) return
    const root = introductionSigningRoot({ client, provider, peer: from }, base.network)
    const signed = this.#components.verifier.ed25519(root, client, introduction)
    check(signed, 'badSignature', 'the key does not speak for this peer')
  }

  #admit(client: Uint8Array, base: EpochBase): Account {
    const key = hex(client)
    const known = this.#accounts.get(key)
    if (known !== undefined) return known
    check(base.available(key) > 0n, 'notCovered', 'there is no deposit under this key')
    if (this.#accounts.size >= TABS_MAX) this.#makeRoom(base)
    const account = {
      client,
      bytes: 0n,
      signature: new Uint8Array(64),
      unpaid: 0,
      said: undefined,
    }
    this.#accounts.set(key, account)
    return account
  }

  /** Forgets an account of which nothing is owed. Throws `busy` when there is none. */
  #makeRoom(base: EpochBase): void {
    const state = base.state(storageKind)
    const author = this.#components.voice.index(base) ?? 0
    for (const [key, { client, bytes, unpaid }] of this.#accounts) {
      if (unpaid > 0 || claimedBytes({ author, client, bytes }, state) > 0n) continue
      this.#accounts.delete(key)
      this.#errands.run(() => this.#components.store.batch([{ key: client }]))
      return
    }
    throw new CairnError('busy', 'too many clients have a tab', { facts: { max: TABS_MAX } })
  }

  async #receipt(
    account: Account,
    { bytes, signature }: Pick<Account, 'bytes' | 'signature'>,
  ): Promise<void> {
    const more = Number(bytes - account.bytes)
    account.bytes = bytes
    account.signature = signature
    account.unpaid = Math.max(0, account.unpaid - more)
    const value = TabAnswer.serialize({ bytes, signature })
    await this.#components.store.batch([{ key: account.client, value }])
  }

  /** Only while the deposit pays what is owed and what may come to be. */
  #open(peer: string, account: Account, at: { base: EpochBase; provider: number }): void {
    const { base, provider } = at
    const { client, bytes } = account
    const owed = claimedBytes({ author: provider, client, bytes }, base.state(storageKind))
    const fee = servedFee(owed + BigInt(UNPAID_MAX), base.profile)
    const available = base.available(hex(client))
    this.#tabs.delete(peer)
    check(fee <= available, 'notCovered', 'the deposit does not cover what may be delivered', {
      facts: { available, needed: fee },
    })
    for (const oldest of this.#tabs.keys()) {
      if (this.#tabs.size < TABS_MAX) break
      this.#tabs.delete(oldest)
    }
    this.#tabs.set(peer, hex(client))
  }

  #accountOf(peer: string): Account | undefined {
    const key = this.#tabs.get(peer)
    return key === undefined ? undefined : this.#accounts.get(key)
  }

  #base(): EpochBase | undefined {
    return presentBase(this.#components, this.#init.calendar)
  }

  #ownIndex(): number | undefined {
    const base = this.#base()
    return base && this.#components.voice.index(base)
  }
}
