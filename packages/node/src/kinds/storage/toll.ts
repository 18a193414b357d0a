/**
 * The provider's side of paid delivery. Who shows a deal key with a deposit gets a tab: bytes on
 * account, as long as what no receipt covers yet stays below `UNPAID_MAX`. Everybody else shares the
 * bytes of the epoch that each provider gives away. Before an epoch ends the latest receipts are said.
 */
import {
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
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import type { Pieces } from '../../pieces/pieces.ts'
import type { PieceSource } from '../../pieces/transfer.ts'
import type { Clock, Log, Network, Store } from '../../ports.ts'
import { ACCOUNTS_MAX, type Account, Accounts, type Tally, type Total } from '../accounts.ts'
import { Errands } from '../errands.ts'
import type { EpochView, Voice } from '../kind.ts'
import { presentBase } from '../present.ts'
import { TAB_PROTOCOL, TabAnswer, TabRequest, UNPAID_MAX } from './tab.ts'

/** Peers with a tab: as many as there may be clients behind them. */
export const TABS_MAX = ACCOUNTS_MAX
/** One of a client's transfers asks once per step. */
const ASKS_PER_SECOND = 50
/**
 * Part of the free bytes that is kept for peers' first small requests: who fetches whole files for
 * nothing must not be able to make a provider refuse those who ask whether it serves anybody.
 */
export const RESERVED_PARTS = 4

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
  readonly #accounts: Accounts
  /** Keys in hexadecimal by peer; the one that asked longest ago first. */
  readonly #tabs = new Map<string, string>()
  /** `met`: peers that took some of it. */
  #free = { epoch: 0, used: 0, met: new Set<string>() }

  constructor(components: TollComponents, init: TollInit) {
    this.#components = components
    this.#init = init
    this.#errands = new Errands(components)
    const { store, log, voice } = components
    this.#accounts = new Accounts(
      { store, errands: this.#errands, log, index: base => voice.index(base) },
      bytesTally(components),
    )
  }

  async start(): Promise<void> {
    await this.#accounts.start()
    const options = { maxRequestBytes: TabRequest.maxSize, maxResponseBytes: TabAnswer.maxSize }
    this.#components.network.serve(
      TAB_PROTOCOL,
      { ...options, perSecond: ASKS_PER_SECOND },
      (request, from) => this.answer(request, from),
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
    if (account !== undefined) return this.#accounts.take(account, bytes)
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
    return [...this.#accounts.all()].map(({ client, units, unpaid }) => ({
      client,
      receipted: units,
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
    const account = this.#accounts.admit(client, base)
    await this.#accounts.sign(account, { node: provider, units: bytes, signature }, base)
    this.#open(from, account, { base, provider })
    return TabAnswer.serialize({ bytes: account.units, signature: account.signature })
  }

  /** Says the latest receipts before the epoch ends. */
  epoch(base: EpochBase): void {
    this.#accounts.epoch(base)
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

  /** Only while the deposit pays what is owed and what may come to be. */
  #open(peer: string, account: Account, at: { base: EpochBase; provider: number }): void {
    this.#tabs.delete(peer)
    this.#accounts.checkCovers(account, at.provider, at.base)
    for (const oldest of this.#tabs.keys()) {
      if (this.#tabs.size < TABS_MAX) break
      this.#tabs.delete(oldest)
    }
    this.#tabs.set(peer, hex(account.client))
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

/** Bytes delivered, as storage counts and pays them. */
function bytesTally({ voice, verifier }: Pick<TollComponents, 'voice' | 'verifier'>): Tally {
  const receiptOf = ({ client, node, units }: Total) => ({ author: node, client, bytes: units })
  return {
    unpaidMax: UNPAID_MAX,
    claimed: (total, base) => claimedBytes(receiptOf(total), base.state(storageKind)),
    isClaimable: (total, base) => isClaimable(receiptOf(total), base, base.state(storageKind)),
    isSigned: ({ client, node: provider, units: bytes }, signature, { network }) =>
      isDeliveredSigned({ client, provider, bytes }, signature, network, verifier),
    fee: (units, { profile }) => servedFee(units, profile),
    say: async ({ client, units: bytes }, signature, base) => {
      const receipt = { kind: STORAGE, client, bytes, signature }
      const known = await voice.say<Receipt>(MessageType.receipt, Receipt, base, receipt)
      return known !== undefined
    },
  }
}
