/**
 * What a client does with its deposit by hand: pays in, asks back, and takes out what it asked for.
 * Amounts are asked of the chain as it is now, not of the final view, so that a command that is run
 * again sees what is done already.
 */
import {
  type ContractAddresses,
  cairnTokenAbi,
  checkpointsAbi,
  depositKeyRoot,
  depositsAbi,
  nameKeyArguments,
  PayoutClaims,
} from '@cairn/contracts'
import {
  CairnError,
  Checkpoint,
  check,
  type DepositEntry,
  decode,
  equalBytes,
  hex,
  type Payout,
  tokenText,
  unhex,
} from '@cairn/protocol'
import { bytesToHex, encodeFunctionData, type Hex, isHex, parseEventLogs } from 'viem'
import type { DealKey } from '../kinds/storage/deal-keys.ts'
import type { AcceptedCheckpoint, Chain } from '../ports.ts'
import { refusalOf } from './contract-errors.ts'
import { orderedBefore } from './reference.ts'
import { revertedWith } from './refusal.ts'
import type { Rpc } from './rpc.ts'
import { keyOf, type Mined, type Transactions } from './transactions.ts'

/** Checkpoints that are asked for whether they are active, the newest first: as many as are kept. */
const LOOK_BACK = 256

export interface DepositorComponents {
  chain: Pick<Chain, 'head' | 'depositsAt' | 'checkpointsAt'>
  rpc: Rpc
  /** Of the account that pays. */
  transactions: Pick<Transactions, 'address' | 'send' | 'ordered'>
  /** Payouts that an accepted checkpoint commits to; undefined while they are not here. */
  payoutsOf(epoch: number): Promise<readonly Payout[] | undefined>
}

export interface DepositorInit {
  chainId: number
  contracts: Pick<ContractAddresses, 'deposits' | 'token' | 'checkpoints'>
  /** The key whose deals the deposit is to pay for. */
  dealKey: DealKey
}

/** A deposit as the chain has it now; amounts in base units. */
export interface DepositStanding {
  /** 20 bytes. */
  account: Uint8Array
  /** Key whose deals it pays for; absent: the account has named none that counts. */
  key?: Uint8Array
  /** Put down and not withdrawn, spent or not. */
  deposited: bigint
  /** What the last accepted checkpoint says was spent; absent while its payouts are not here. */
  spent?: bigint
  /** Asked back, and the block of the request. */
  requested: bigint
  requestedAt: bigint
  /** Tokens of the account that are not in the deposit. */
  tokens: bigint
}

export interface DepositMove {
  /** Base units that were paid in, asked back or paid out. */
  amount: bigint
  /** Hashes, in the order they were sent. */
  transactions: string[]
  /** Of one that was paid before under its reference: when, ms since 1970, and the fee then. */
  orderedAt?: number
  fee?: bigint
  standing: DepositStanding
}

export class Depositor {
  readonly #components: DepositorComponents
  readonly #init: DepositorInit

  constructor(components: DepositorComponents, init: DepositorInit) {
    this.#components = components
    this.#init = init
  }

  /** Rejects with `chainUnavailable`. */
  async standing(): Promise<DepositStanding> {
    const { rpc, transactions, payoutsOf } = this.#components
    const { address } = transactions
    const { deposits, token } = this.#contracts()
    const [[deposited, requested, requestedAt], tokens] = await rpc.call(client =>
      Promise.all([
        client.readContract({ ...deposits, functionName: 'accounts', args: [address] }),
        client.readContract({ ...token, functionName: 'balanceOf', args: [address] }),
      ]),
    )
    const account = unhex(address)
    const last = this.#accepted().at(-1)
    const payouts = last && (await payoutsOf(last.epoch))
    const spent = payouts && (payouts.find(it => equalBytes(it.account, account))?.spent ?? 0n)
    const key = this.#entry(account)?.key
    return {
      account,
      ...(key === undefined ? {} : { key }),
      deposited,
      ...(spent === undefined ? {} : { spent }),
      requested,
      requestedAt: requested === 0n ? 0n : requestedAt,
      tokens,
    }
  }

  /**
   * Pays base units in, and names the deal key where the account has named none. The same amount is
   * paid once under a reference, however often it is asked for, also after a restart. Rejects with
   * `referenceUsed`, `badAmount`, `noTokens`, `otherDealKey`, `dealKeyTaken`, `depositRefused` for what else the
   * contract says, `noFunds` or `chainUnavailable`.
   */
  async add(amount: bigint, signal: AbortSignal, reference?: string): Promise<DepositMove> {
    check(amount > 0n, 'badAmount', 'expected more than nothing to pay in', {
      next: 'name an amount in tokens, as in `cairn deposit add 12.5`',
    })
    const { transactions } = this.#components
    const { deposits, token } = this.#init.contracts
    const payment = encodeFunctionData({
      abi: depositsAbi,
      functionName: 'deposit',
      args: [transactions.address, amount],
    })
    const wish = { signal, reference }
    const approval = encodeFunctionData({
      abi: cairnTokenAbi,
      functionName: 'approve',
      args: [deposits, amount],
    })
    const naming = this.#naming(unhex(transactions.address))
    const known = await orderedBefore(transactions, reference, [payment, approval, naming])
    if (known !== undefined) {
      const mined = await this.#send(payment, wish)
      const before = { orderedAt: known.orderedAt, fee: mined.cost }
      return {
        ...(await this.#moved(amount, [mined])),
        ...(known.settled === undefined ? {} : before),
      }
    }
    const { tokens, account } = await this.standing()
    check(tokens >= amount, 'noTokens', `the account has ${tokenText(tokens)}`, {
      facts: { account: bytesToHex(account), held: tokens, needed: amount },
      next: `send ${tokenText(amount - tokens)} more to ${bytesToHex(account)}`,
    })
    const sent: Mined[] = []
    if (this.#mustName(account)) sent.push(await this.#send(naming, wish))
    if ((await this.#allowance()) < amount) {
      sent.push(await this.#send(approval, wish, token))
    }
    sent.push(await this.#send(payment, wish))
    return await this.#moved(amount, sent)
  }

  /**
   * Asks base units back, absent: all. It takes the place of an earlier request; 0 takes that back.
   * Rejects with `aboveDeposit`, `depositRefused`, `noFunds` or `chainUnavailable`.
   */
  async request(amount: bigint | undefined, signal: AbortSignal): Promise<DepositMove> {
    const { deposited } = await this.standing()
    const asked = amount ?? deposited
    check(asked <= deposited, 'aboveDeposit', `the deposit is ${tokenText(deposited)}`, {
      facts: { deposited, asked },
      next: 'ask for less, or for all of it with `cairn deposit request all`',
    })
    const data = encodeFunctionData({
      abi: depositsAbi,
      functionName: 'requestWithdrawal',
      args: [asked],
    })
    return await this.#moved(asked, [await this.#send(data, { signal })])
  }

  /**
   * Takes out what was asked for, as far as it was not spent. Rejects with `nothingRequested`,
   * `withdrawalNotDue`, `nothingLeft`, `noPayouts`, `depositRefused`, `noFunds` or
   * `chainUnavailable`.
   */
  async withdraw(signal: AbortSignal): Promise<DepositMove> {
    const { account, requested, requestedAt } = await this.standing()
    check(requested > 0n, 'nothingRequested', 'nothing of the deposit is asked back', {
      next: 'ask first, with `cairn deposit request`',
    })
    const accepted = await this.#paying(requestedAt)
    const payouts = await this.#components.payoutsOf(accepted.epoch)
    check(payouts !== undefined, 'noPayouts', 'the payouts of the checkpoint are not here yet', {
      facts: { epoch: accepted.epoch },
      next: 'try again when the node is in step: `cairn status` says so',
    })
    const checkpoint = decode(Checkpoint, accepted.checkpoint)
    const claims = new PayoutClaims({ checkpoint, payouts })
    const proof = claims.withdrawal(account)
    const bytes = bytesToHex(accepted.checkpoint)
    const { address } = this.#components.transactions
    const data =
      proof === undefined
        ? encodeFunctionData({
            abi: depositsAbi,
            functionName: 'withdrawUnspent',
            args: [address, bytes, claims.absence(account)],
          })
        : encodeFunctionData({
            abi: depositsAbi,
            functionName: 'withdraw',
            args: [address, bytes, proof],
          })
    const mined = await this.#send(data, { signal })
    const [event] = parseEventLogs({ abi: depositsAbi, eventName: 'Withdrawn', logs: mined.logs })
    return await this.#moved(event?.args.amount ?? 0n, [mined])
  }

  /** The newest active checkpoint, if its base has seen the block of the request. */
  async #paying(requestedAt: bigint): Promise<AcceptedCheckpoint> {
    const { rpc } = this.#components
    const { checkpoints } = this.#contracts()
    const found = this.#accepted()
      .filter(({ epoch }) => epoch >= 0)
      .slice(-LOOK_BACK)
      .filter(({ checkpoint }) => decode(Checkpoint, checkpoint).base.number >= requestedAt)
    for (const accepted of found.toReversed()) {
      const active = await rpc.call(client =>
        client
          .readContract({
            ...checkpoints,
            functionName: 'activeRootOf',
            args: [BigInt(accepted.epoch)],
          })
          .catch(revertedWith),
      )
      if (isHex(active) && equalBytes(unhex(active), accepted.root)) return accepted
    }
    const waits = found.length > 0
    throw new CairnError(
      'withdrawalNotDue',
      waits
        ? 'the checkpoint that pays it is accepted, and not acted upon yet'
        : 'no checkpoint rests on a block that has the request yet',
      {
        facts: { requestedAt, ...(waits ? { epoch: found[0]?.epoch } : {}) },
        next: 'come back later: what was asked for is charged with nothing more meanwhile',
      },
    )
  }

  /** True when the account has named no key. */
  #mustName(account: Uint8Array): boolean {
    const { dealKey } = this.#init
    const named = this.#entry(account)?.key
    check(
      named === undefined || equalBytes(named, dealKey.key),
      'otherDealKey',
      'this account pays for the deals of another key',
      {
        facts: { account: hex(account), key: named && hex(named) },
        next: 'an account names a key once: use the words of another account for this daemon',
      },
    )
    const holder = this.#entries().find(({ key }) => key && equalBytes(key, dealKey.key))
    check(
      holder === undefined || equalBytes(holder.account, account),
      'dealKeyTaken',
      'another account pays for the deals of this key',
      {
        facts: { account: holder && hex(holder.account), key: hex(dealKey.key) },
        next: 'pay into the deposit of that account',
      },
    )
    return named === undefined
  }

  #naming(account: Uint8Array): Hex {
    const { chainId, contracts, dealKey } = this.#init
    const { key } = dealKey
    const deposits = unhex(contracts.deposits)
    const root = depositKeyRoot({ chainId: BigInt(chainId), deposits, account, key })
    const args = nameKeyArguments(key, dealKey.sign(root))
    return encodeFunctionData({ abi: depositsAbi, functionName: 'nameKey', args })
  }

  async #allowance(): Promise<bigint> {
    const { rpc, transactions } = this.#components
    const { token, deposits } = this.#contracts()
    const args = [transactions.address, deposits.address] as const
    return await rpc.call(client =>
      client.readContract({ ...token, functionName: 'allowance', args }),
    )
  }

  async #send(
    data: Hex,
    { signal, reference }: { signal: AbortSignal; reference?: string | undefined },
    to = this.#init.contracts.deposits,
  ): Promise<Mined> {
    try {
      const key = keyOf(reference, data)
      return await this.#components.transactions.send({ to, data }, { signal, key })
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      throw refused(error)
    }
  }

  async #moved(amount: bigint, sent: readonly Mined[]): Promise<DepositMove> {
    const transactions = sent.map(({ transaction }) => transaction)
    return { amount, transactions, standing: await this.standing() }
  }

  #entries(): readonly DepositEntry[] {
    const { chain } = this.#components
    const head = chain.head()
    return head === undefined ? [] : chain.depositsAt(head.number)
  }

  #entry(account: Uint8Array): DepositEntry | undefined {
    return this.#entries().find(entry => equalBytes(entry.account, account))
  }

  #accepted(): readonly AcceptedCheckpoint[] {
    const { chain } = this.#components
    const head = chain.head()
    return head === undefined ? [] : chain.checkpointsAt(head.number)
  }

  #contracts() {
    const { deposits, token, checkpoints } = this.#init.contracts
    return {
      deposits: { address: deposits, abi: depositsAbi },
      token: { address: token, abi: cairnTokenAbi },
      checkpoints: { address: checkpoints, abi: checkpointsAbi },
    } as const
  }
}

function refused(cause: CairnError): CairnError {
  const { text, next, facts } = refusalOf(cause)
  return facts.error === 'NothingLeft'
    ? new CairnError('nothingLeft', text, { cause, facts, next })
    : new CairnError('depositRefused', `the deposit stays as it is: ${text}`, {
        cause,
        facts,
        next,
      })
}
