/**
 * One account's transactions, one after the other, the most urgent first: the next is built when the
 * one before is in a block, so nonces never conflict and what is sent twice is seen. Several at once
 * would gain little, since a node sends a few in an hour, and one that is stuck would hold up the
 * others all the same.
 *
 * Each is in the journal before it is sent. After a crash, or when who asked went away, what is open
 * is sent again as it stands; a block that a reorganisation took away is noticed until it is final. A
 * transaction that stays out of blocks is sent again with a higher fee, up to the cap. One that is
 * wanted no more, since the chain would refuse it, is given up: the next takes its nonce and outbids
 * it, or a block takes it after all.
 */
import { GAS_HISTORIES } from '@cairn/contracts'
import { CairnError, check } from '@cairn/protocol'
import { bytesToHex, type Hex, keccak256, type RpcLog } from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import type { Clock, Log, Store } from '../ports.ts'
import { Budget, type SpendingLimits } from './budget.ts'
import { type Fees, readFees } from './fees.ts'
import { ATTEMPTS_MAX, type Entry, Journal, KEY_MAX_BYTES, type Settled } from './journal.ts'
import { Line } from './line.ts'
import {
  isRevert,
  mayHaveTaken,
  orRefusal,
  type Refused,
  reception,
  refusalError,
} from './refusal.ts'
import type { Client, Rpc } from './rpc.ts'
import { dayOf, type Purpose, rankOf } from './spending.ts'

/** Between looks for a receipt, ms. */
const LOOK_MS = 250
/** Without a block by then the fee is raised, ms: a few blocks of the slowest home chain. */
const RAISE_AFTER_MS = 45_000
/** How long a caller waits for a block, ms: five tries at ever higher fees. */
const PATIENCE_MS = 5 * RAISE_AFTER_MS
/** Gas limit over the estimate: state moves between estimate and block. */
const GAS_PERCENT = 110n
/** A nonce that others used is given time to show its receipt, ms: endpoints lag. */
const OVERTAKEN_MS = 30_000
/** Between looks at the balance, ms. */
const BALANCE_MS = 60_000
/** Days over which the rate of spending is taken. */
const RATE_DAYS = 7

export interface Call {
  /** Absent where it makes a contract. */
  to?: Hex
  data: Hex
}

export interface SendOptions {
  signal: AbortSignal
  /** Asked while waiting, with the transactions sent so far: an error here ends the wait. */
  pointless?: (sent: readonly Hex[]) => CairnError | undefined
  /** Says whose turn it is and what it may spend; absent: `order`. */
  purpose?: Purpose
  /**
   * Names what is asked for. What was asked for under a key and waits, or succeeded lately, is not
   * sent again, also after a restart: the caller gets what became of it. At most `KEY_MAX_BYTES`.
   */
  key?: string
}

export interface TransactionsComponents {
  rpc: Rpc
  clock: Clock
  log: Log
  /** A key space of its own for the journal; absent: nothing outlives the process. */
  store?: Store
}

/** A transaction in a block. */
export interface Mined {
  succeeded: boolean
  transaction: Hex
  block: bigint
  gasUsed: bigint
  /** Paid for it, base units. */
  cost: bigint
  logs: RpcLog[]
  /** That it made. */
  contract?: Hex
}

/** What the operator is told of an account. Amounts are in the chain's base units. */
export interface AccountOutlook {
  readonly address: Hex
  /** As last asked; undefined before an endpoint answered. */
  readonly balance: bigint | undefined
  readonly spentToday: bigint
  /** Absent: no limit. */
  readonly budgetPerDay?: bigint
  /** Something was not sent today, since the budget did not allow it. */
  readonly budgetSpent: boolean
  /** A day's spending, over the days of the last week since the first. */
  readonly ratePerDay: bigint
  /** Undefined while nothing was spent or the balance is unknown. */
  readonly daysLeft: number | undefined
  /** Calls that wait for their turn. */
  readonly waiting: number
  /** By nonce. */
  readonly entries: readonly Entry[]
}

/** A receipt with what settles an entry. */
interface Found {
  mined: Mined
  settled: Settled
}

/** What a call would do: its gas, or why the chain refuses it. */
type Estimate = { gas: bigint } | Refused

export class Transactions {
  readonly address: Hex
  readonly #components: TransactionsComponents
  readonly #account: PrivateKeyAccount
  readonly #budget: Budget
  readonly #line = new Line()
  readonly #stopped = new AbortController()
  #journal: Journal | undefined
  #balance: { units: bigint; at: number } | undefined
  #tending = false

  /** `secret`: 32 bytes. */
  constructor(components: TransactionsComponents, secret: Uint8Array, limits: SpendingLimits = {}) {
    this.#components = components
    this.#account = privateKeyToAccount(bytesToHex(secret))
    this.#budget = new Budget(components, limits)
    this.address = this.#account.address
  }

  /** True when what was asked for under the key waits, or succeeded lately: it is not sent again. */
  async knows(key: string): Promise<boolean> {
    if (key === '') return false
    return await this.#line.turn(rankOf('order'), async () => {
      return (await this.#open()).of(key) !== undefined
    })
  }

  /** What was ordered under a reference, and waits or succeeded lately. */
  async ordered(reference: string): Promise<readonly Entry[]> {
    return await this.#line.turn(rankOf('order'), async () =>
      (await this.#open())
        .entries()
        .filter(
          ({ key, state, settled }) =>
            key.startsWith(`${reference}/`) && (state === 'open' || (settled?.succeeded ?? false)),
        ),
    )
  }

  /** Ends the turn that is taken; what is open stays in the journal. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#line.empty()
  }

  /**
   * Resolves when the call is in a block and succeeded. Rejects with `reverted` (the cause has the
   * contract's own error), `noFunds`, `gasBudget`, `gasPrice`, `queueFull`, `chainUnavailable`, or the
   * signal's reason. Once sent it is looked after until a block has it, whatever becomes of the wait.
   */
  async send(call: Call, options: SendOptions): Promise<Mined> {
    const { key = '', purpose = 'order', signal } = options
    signal.throwIfAborted()
    check(new TextEncoder().encode(key).length <= KEY_MAX_BYTES, 'invalid', 'the key is too long')
    const run = async () => {
      const both = AbortSignal.any([signal, this.#stopped.signal])
      return await this.#send(call, { ...options, key, purpose, signal: both })
    }
    return await this.#line.turn(rankOf(purpose), run, signal)
  }

  /**
   * Looks after what is not final: sends again what a crash or a reorganisation left out of blocks,
   * and settles what is in one up to `head`, the newest final block. Looks at the balance at times.
   */
  async tend(head: bigint): Promise<void> {
    const due = (this.#balance?.at ?? 0) + BALANCE_MS <= this.#components.clock.now()
    const idle = this.#journal !== undefined && this.#journal.unsettled().length === 0
    if (this.#tending || (idle && !due) || this.#line.isFull) return
    this.#tending = true
    try {
      await this.#line.turn(Number.POSITIVE_INFINITY, async () => {
        if (due) await this.#readBalance()
        await this.#tend(head)
      })
    } finally {
      this.#tending = false
    }
  }

  outlook(): AccountOutlook {
    const { budgetPerDay } = this.#budget.limits
    const today = dayOf(this.#components.clock.now())
    const balance = this.#balance?.units
    const days = [...(this.#journal?.spending() ?? [])].filter(([day]) => day > today - RATE_DAYS)
    const first = Math.min(today, ...days.map(([day]) => day))
    const spent = days.reduce((sum, [, units]) => sum + units, 0n)
    const ratePerDay = spent / BigInt(today - first + 1)
    return {
      address: this.address,
      balance,
      spentToday: this.#journal?.spentOn(today) ?? 0n,
      ...(budgetPerDay !== undefined && { budgetPerDay }),
      budgetSpent: this.#budget.isSpent,
      ratePerDay,
      daysLeft:
        balance === undefined || ratePerDay === 0n ? undefined : Number(balance / ratePerDay),
      waiting: this.#line.length,
      entries: this.#journal?.entries() ?? [],
    }
  }

  async #send(call: Call, options: Required<Pick<SendOptions, 'purpose' | 'key'>> & SendOptions) {
    const { rpc, clock } = this.#components
    const { signal, purpose, key } = options
    signal.throwIfAborted()
    rpc.requireUndivided()
    const journal = await this.#open()
    for (;;) {
      await this.#clear(journal, { ...options })
      const known = key === '' ? undefined : journal.of(key)
      if (known !== undefined) {
        const mined = await this.#await(journal, known, options)
        if (mined !== undefined) return mined
        check(known.state !== 'final', 'alreadySent', `'${key}' was sent and is final`, {
          facts: { key, transaction: known.settled?.transaction ?? '' },
        })
        continue
      }
      const reason = options.pointless?.([])
      if (reason !== undefined) throw reason
      const estimate = await rpc.call(client => this.#estimate(client, call))
      if ('refused' in estimate) throw refusalError(estimate.refused, this.address)
      const gas = (estimate.gas * GAS_PERCENT) / 100n + GAS_HISTORIES
      // Not the pending count: what a lost journal left waiting is replaced, not repeated.
      const nonce = await rpc.call(client => readNonce(client, this.address))
      const fees = this.#budget.firstFees(journal, nonce, await rpc.call(readFees))
      this.#budget.require(journal, { nonce, gas, fees, purpose })
      const raw = await this.#sign({ call, nonce, gas }, fees)
      const draft = { nonce, purpose, key, call, gas, at: clock.now() }
      const begun = await journal.begin(draft, raw)
      const outcome = await this.#broadcast(raw)
      if (outcome instanceof CairnError) {
        await journal.drop(begun)
        throw outcome
      }
      const entry = outcome === 'outbid' ? await this.#outbid(journal, begun) : begun
      const mined = await this.#await(journal, entry, options)
      if (mined !== undefined) return mined
    }
  }

  /**
   * Waits until a block has the entry. Undefined when another transaction has its nonce and the call is
   * to be sent anew.
   */
  async #await(
    journal: Journal,
    begun: Entry,
    { signal, pointless }: SendOptions,
  ): Promise<Mined | undefined> {
    const { clock } = this.#components
    const end = clock.now() + PATIENCE_MS
    let overtakenAt: number | undefined
    let entry = begun
    if (begun.state === 'final') return (await this.#look(journal, begun)).found?.mined
    while (clock.now() < end) {
      signal.throwIfAborted()
      const { count, found } = await this.#look(journal, entry)
      if (found?.mined.succeeded) return found.mined
      const reason = pointless?.(entry.attempts.map(({ hash }) => hash))
      if (reason !== undefined) {
        if (found === undefined) await journal.giveUp(entry)
        throw reason
      }
      if (found !== undefined) throw await this.#reverted(entry.call, found.mined)
      if (count > entry.nonce) {
        overtakenAt ??= clock.now()
        if (await this.#isOvertaken(journal, entry, overtakenAt)) return undefined
      } else {
        overtakenAt = undefined
        entry = await this.#raiseIfDue(journal, entry)
      }
      await clock.until(clock.now() + LOOK_MS, signal)
    }
    const transactions = entry.attempts.map(({ hash }) => hash).join(' ')
    throw new CairnError(
      'chainUnavailable',
      `no block took transaction ${begun.attempts[0]?.hash}`,
      {
        facts: { nonce: entry.nonce, transactions },
        next: 'the chain is congested or stands still; it is tried again',
      },
    )
  }

  /** True when another transaction took the nonce; the entry is forgotten then. */
  async #isOvertaken(journal: Journal, entry: Entry, since: number): Promise<boolean> {
    const { clock, log } = this.#components
    const others = journal
      .entries()
      .filter(({ nonce, number }) => nonce === entry.nonce && number !== entry.number)
    for (const other of others) {
      const { found } = await this.#look(journal, other)
      if (found === undefined) continue
      await journal.drop(entry)
      return true
    }
    if (clock.now() < since + OVERTAKEN_MS || (await this.#isKnown(entry))) return false
    log.warn(
      { nonce: entry.nonce },
      'the account is used elsewhere too; a transaction is sent anew',
    )
    await journal.drop(entry)
    return true
  }

  /** True where an endpoint has the transaction, though it shows no receipt. */
  async #isKnown({ attempts }: Entry): Promise<boolean> {
    return await this.#components.rpc.call(async client => {
      const known = await Promise.all(
        attempts.map(({ hash }) =>
          client.request({ method: 'eth_getTransactionByHash', params: [hash] }),
        ),
      )
      return known.some(transaction => transaction !== null)
    })
  }

  /** Waits for what is open and was left by another wait, or by a crash. */
  async #clear(journal: Journal, { signal, key }: SendOptions): Promise<void> {
    if (journal.unsettled().length === 0) return
    const { noFunds } = await this.#step(journal)
    if (noFunds !== undefined) throw noFunds
    for (const entry of journal.unsettled()) {
      if (entry.state !== 'open' || (key !== '' && entry.key === key)) continue
      try {
        await this.#await(journal, entry, { signal })
      } catch (error) {
        if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
        this.#components.log.warn({ err: error, key: entry.key }, 'a transaction was refused')
      }
    }
  }

  async #tend(head: bigint): Promise<void> {
    const journal = await this.#open()
    const { count } = await this.#step(journal)
    for (const entry of journal.unsettled()) {
      const { state, settled, nonce } = entry
      if (state === 'mined' && settled !== undefined && settled.block <= head && nonce < count) {
        // Seen once more: the head is at the finality depth, so its block stays.
        const { found } = await this.#look(journal, entry)
        if (found !== undefined && journal.present(entry) === entry) await journal.finish(entry)
      }
    }
  }

  /**
   * One look at all that is not final; resolves with the account's next nonce, and with `noFunds` where
   * the account cannot pay for what waits.
   */
  async #step(journal: Journal): Promise<{ count: number; noFunds: CairnError | undefined }> {
    const { rpc, clock } = this.#components
    let noFunds: CairnError | undefined
    let count = await rpc.call(client => readNonce(client, this.address))
    for (const listed of journal.unsettled()) {
      const before = journal.present(listed)
      if (before === undefined) continue
      const looked = await this.#look(journal, before)
      count = Math.max(count, looked.count)
      const entry = journal.present(before)
      if (looked.found !== undefined || entry === undefined) continue
      if (entry.nonce < count) {
        if (clock.now() >= entry.at + OVERTAKEN_MS) {
          await this.#isOvertaken(journal, entry, entry.at)
        }
      } else if (entry.state !== 'givenUp') {
        const refused = await this.#resume(journal, entry)
        if (refused?.code === 'noFunds') noFunds ??= refused
      }
    }
    return { count, noFunds }
  }

  /** Sends again what no block has, unless nobody wants it any more; resolves with why it is refused. */
  async #resume(journal: Journal, listed: Entry): Promise<CairnError | undefined> {
    const { rpc, log } = this.#components
    const entry = listed.state === 'mined' ? await journal.reopen(listed) : listed
    if (listed.state === 'mined') {
      log.warn({ nonce: entry.nonce }, 'a reorganisation took a transaction; it is sent again')
    }
    const isLast = journal.unsettled().every(({ nonce }) => nonce <= entry.nonce)
    if (isLast) {
      const estimate = await rpc.call(client => this.#estimate(client, entry.call))
      if ('refused' in estimate && isRevert(estimate.refused)) {
        await journal.giveUp(entry)
        log.debug({ nonce: entry.nonce, key: entry.key }, 'a transaction is wanted no more')
        return undefined
      }
    }
    const outcome = await this.#broadcast(entry.attempts.at(-1)?.raw as Hex)
    const refused = outcome instanceof CairnError ? outcome : undefined
    if (refused !== undefined) log.debug({ err: refused }, 'what waits is refused')
    await this.#raiseIfDue(journal, entry)
    return refused
  }

  /** Looks for the entry's receipt, in what the same endpoint says of the account. */
  async #look(
    journal: Journal,
    entry: Entry,
  ): Promise<{ count: number; found: Found | undefined }> {
    const { rpc, clock } = this.#components
    const hashes = entry.attempts.map(({ hash }) => hash)
    const { count, found } = await rpc.call(async client => {
      const at = await readNonce(client, this.address)
      return { count: at, found: await readMined(client, hashes) }
    })
    const known = journal.present(entry)
    if (found !== undefined && known !== undefined && known.state !== 'final') {
      const isKnown =
        known.settled?.blockHash === found.settled.blockHash &&
        known.settled.transaction === found.settled.transaction
      if (!isKnown) await journal.settle(known, found.settled, clock.now())
    }
    return { count, found }
  }

  /** Raises at once, past one of the same nonce that no journal knows. */
  async #outbid(journal: Journal, entry: Entry): Promise<Entry> {
    let raise: Raised = { entry, outbid: true }
    while (raise.outbid) raise = await this.#raise(journal, raise.entry)
    return raise.entry
  }

  async #raiseIfDue(journal: Journal, entry: Entry): Promise<Entry> {
    if (this.#components.clock.now() < entry.at + RAISE_AFTER_MS) return entry
    return (await this.#raise(journal, entry)).entry
  }

  /** A higher fee, where the cap and the budget allow it; else the same, until it is due again. */
  async #raise(journal: Journal, entry: Entry): Promise<Raised> {
    const { rpc, clock, log } = this.#components
    const { nonce, attempts } = entry
    const fees = this.#budget.higherFees(journal, entry, await rpc.call(readFees))
    if (fees === undefined || attempts.length >= ATTEMPTS_MAX) {
      await this.#broadcast(attempts.at(-1)?.raw as Hex)
      return { entry: { ...entry, at: clock.now() }, outbid: false }
    }
    log.warn({ nonce }, 'a transaction is in no block yet; its fee is raised')
    const next = await journal.raise(entry, await this.#sign(entry, fees), clock.now())
    const outcome = await this.#broadcast(next.attempts.at(-1)?.raw as Hex)
    return { entry: next, outbid: outcome === 'outbid' }
  }

  async #readBalance(): Promise<void> {
    const { rpc, clock } = this.#components
    const units = await rpc.call(client =>
      client.request({ method: 'eth_getBalance', params: [this.address, 'latest'] }),
    )
    this.#balance = { units: BigInt(units), at: clock.now() }
  }

  async #open(): Promise<Journal> {
    this.#journal ??= await Journal.open(this.#components.store)
    return this.#journal
  }

  async #sign({ call, nonce, gas }: Pick<Entry, 'call' | 'nonce' | 'gas'>, fees: Fees) {
    const { chainId } = this.#components.rpc
    return await this.#account.signTransaction({
      ...call,
      maxFeePerGas: fees.maxFeePerGas,
      maxPriorityFeePerGas: fees.maxPriorityFeePerGas,
      type: 'eip1559',
      nonce,
      gas,
      chainId,
    })
  }

  /**
   * Gas that a call would take now; nothing is sent. Rejects with `reverted` (the cause has the
   * contract's own error), `noFunds` or `chainUnavailable`.
   */
  async estimate(call: Call): Promise<bigint> {
    const found = await this.#components.rpc.call(client => this.#estimate(client, call))
    if ('refused' in found) throw refusalError(found.refused, this.address)
    return found.gas
  }

  async #estimate(client: Client, call: Call): Promise<Estimate> {
    return await orRefusal(async () => {
      const params = [{ from: this.address, ...call }] as const
      const gas = await client.request({ method: 'eth_estimateGas', params: [...params] })
      return { gas: BigInt(gas) }
    })
  }

  /**
   * Resolves with why it is not taken, or that one of its nonce bids more. One that has it already has
   * done what was asked; with one that has another of its nonce, or is past it, the wait finds out what
   * became of that. So it does where an endpoint was sent it and did not answer: that one may have taken
   * it, whatever the next one says.
   */
  async #broadcast(raw: Hex): Promise<'taken' | 'outbid' | CairnError> {
    let unanswered = false
    const outcome = await this.#components.rpc.spread(
      async client => {
        try {
          const sent = () => client.request({ method: 'eth_sendRawTransaction', params: [raw] })
          return reception(await orRefusal(sent), this.address)
        } catch (error) {
          unanswered ||= mayHaveTaken(error)
          throw error
        }
      },
      // All of them, since one may keep it to itself; but none after one refused it, since what is
      // refused is forgotten, and would be in a block all the same.
      outcome => !(outcome instanceof CairnError),
    )
    return outcome instanceof CairnError && unanswered ? 'taken' : outcome
  }

  /** Asks again what the block refused: the answer now has the contract's error. */
  async #reverted(call: Call, { transaction }: Mined): Promise<CairnError> {
    const again = await this.#components.rpc.call(client => this.#estimate(client, call))
    if ('refused' in again && isRevert(again.refused))
      return refusalError(again.refused, this.address)
    return new CairnError('reverted', `transaction ${transaction} was refused in its block`, {
      facts: { transaction },
    })
  }
}

interface Raised {
  entry: Entry
  /** Another of its nonce bids more still. */
  outbid: boolean
}

/** Characters of a reference: with a hash beside it, it is a key. */
export const REFERENCE_MAX_CHARS = 64

/** Key of a call that is ordered under a reference; without one it has none, and is sent each time. */
export function keyOf(reference: string | undefined, data: Hex): string {
  return reference === undefined ? '' : `${reference}/${keccak256(data)}`
}

async function readNonce(client: Client, address: Hex): Promise<number> {
  const count = await client.request({
    method: 'eth_getTransactionCount',
    params: [address, 'latest'],
  })
  return Number(count)
}

async function readMined(client: Client, sent: readonly Hex[]): Promise<Found | undefined> {
  const receipts = await Promise.all(
    sent.map(hash => client.request({ method: 'eth_getTransactionReceipt', params: [hash] })),
  )
  const receipt = receipts.find(found => found !== null)
  if (receipt === undefined || receipt === null) return undefined
  const succeeded = receipt.status === '0x1'
  const transaction = receipt.transactionHash
  const block = BigInt(receipt.blockNumber)
  const gasUsed = BigInt(receipt.gasUsed)
  // A layer 2 adds what it pays for the data.
  const { l1Fee = '0x0', contractAddress } = receipt as {
    l1Fee?: Hex
    contractAddress?: Hex | null
  }
  const cost = gasUsed * BigInt(receipt.effectiveGasPrice) + BigInt(l1Fee)
  return {
    mined: {
      succeeded,
      transaction,
      block,
      gasUsed,
      cost,
      logs: receipt.logs,
      ...(contractAddress && { contract: contractAddress }),
    },
    settled: { succeeded, transaction, block, blockHash: receipt.blockHash, cost },
  }
}
