/**
 * What accounts have earned, and having it paid. A checkpoint's payouts can be claimed once it is
 * active and somebody has funded it: who claims does that first where it is missing. Sums come from
 * the checkpoint's state, or from a proof file; what was paid already the chain says.
 */
import {
  type ContractAddresses,
  cairnTokenAbi,
  checkpointsAbi,
  PayoutClaims,
  rewardDistributorAbi,
} from '@cairn/contracts'
import {
  CairnError,
  Checkpoint,
  check,
  concatBytes,
  equalBytes,
  invariant,
  ListDepth,
  type Payout,
  type ProofFile,
  sha256,
  unhex,
  verifyProofFile,
} from '@cairn/protocol'
import { bytesToHex, encodeFunctionData, type Hex, parseEventLogs } from 'viem'
import type { CheckpointPayouts, Clock } from '../ports.ts'
import { refusalOf } from './contract-errors.ts'
import { revertedWith } from './refusal.ts'
import type { Client, Rpc } from './rpc.ts'
import type { Mined, Transactions } from './transactions.ts'

/** `RewardDistributor.BATCH_MAX`. */
const CLAIMS_AT_ONCE = 64
/** `RewardDistributor.KEPT`: older checkpoints are claimed from no more. */
const KEPT_EPOCHS = 256
/** Accounts that the contract is asked about at once: one batch of calls. */
const CLAIMED_AT_ONCE = 100
const BEFORE_THE_FIRST = 2n ** 64n - 1n

/** Where the sums come from: the daemon's settlements, or a proof file. */
export interface Payouts {
  /** Last epoch of which the sums are here; -1 before the first. */
  last(): number
  /** Undefined where an epoch's are not here. */
  of(epoch: number): Promise<Claimable | undefined>
}

/** Payouts of one checkpoint. */
export interface Claimable {
  fund(): readonly [Hex, Hex, number]
  claim(account: Uint8Array): ReturnType<PayoutClaims['claim']>
  payoutOf(account: Uint8Array): Payout | undefined
  /** All that are known here. */
  payouts: readonly Payout[]
}

export interface ClaimsComponents {
  rpc: Rpc
  transactions: Pick<Transactions, 'address' | 'estimate' | 'send'>
  payouts: Payouts
  clock: Pick<Clock, 'now'>
}

export interface ClaimsInit {
  contracts: Pick<ContractAddresses, 'checkpoints' | 'distributor'>
}

/** Base units since genesis. */
export interface AccountEarnings {
  /** 20 bytes. */
  account: Uint8Array
  earned: bigint
  spent: bigint
  /** Paid out so far. */
  claimed: bigint
  /** Of what is not: what can be paid now, and what waits for a checkpoint to be active. */
  claimable: bigint
  waiting: bigint
}

export interface EarningsStanding {
  accounts: AccountEarnings[]
  /** Last epoch that the sums are of; -1: nothing is settled yet. */
  epoch: number
  /** Newest active one, which claims go by. */
  active?: number
  /** Newest that was funded. */
  funded?: number
  /** When the first after the newest active one becomes active, seconds since 1970. */
  nextActiveAt?: number
  /** Base units that the distributor pays out at once at present. */
  outflowLeft: bigint
}

export interface ClaimWish {
  /** Whom to pay. */
  accounts: readonly Uint8Array[]
  /** Everybody who has something due, instead. */
  all: boolean
  /** Adds it to the bond of this node instead: for the sender's own account alone. */
  bond?: number | undefined
  dryRun: boolean
  signal: AbortSignal
}

export interface ClaimDone {
  /** `before`: nothing is due. */
  done: 'now' | 'before' | 'dryRun'
  epoch: number
  paid: { account: Uint8Array; amount: bigint }[]
  /** Base units in all. */
  total: bigint
  /** The checkpoint was opened for claims first, or would be. */
  funded: boolean
  /** Used, or as far as it can be estimated. */
  gas: bigint
  /** Base units of the chain's own money at the present price. */
  fee: bigint
  transactions: string[]
}

/** Payouts of a whole state, as a node has them. */
export function claimableOf({ checkpoint, payouts }: CheckpointPayouts): Claimable {
  const claims = new PayoutClaims({ checkpoint, payouts })
  return {
    payouts,
    fund: () => claims.fund(),
    claim: account => claims.claim(account),
    payoutOf: account => payouts.find(payout => equalBytes(payout.account, account)),
  }
}

/** The payout that a proof file proves. Errors: `badProof` where it is none, or does not hold. */
export function claimableOfProof(proof: ProofFile): Payouts {
  verifyProofFile(proof)
  const { checkpoint, epoch, inclusion, payout } = proof
  check(payout !== undefined, 'badProof', 'the file proves a message, not a payout', {
    next: 'pass a file of `cairn ledger prove --payout ACCOUNT`',
  })
  const { trunk, length, path } = trunkOf(inclusion)
  const { account, earned, spent } = payout
  const leaf = { account: bytesToHex(account), earned, spent, index: inclusion.position }
  const own = (wanted: Uint8Array) => equalBytes(wanted, account)
  const claimable: Claimable = {
    payouts: [payout],
    fund: () => [bytesToHex(Checkpoint.serialize(checkpoint)), bytesToHex(trunk), length],
    claim: wanted => (own(wanted) ? [BigInt(epoch), leaf, path] : undefined),
    payoutOf: wanted => (own(wanted) ? payout : undefined),
  }
  return {
    last: () => epoch,
    of: async wanted => (wanted === epoch ? claimable : undefined),
  }
}

export class Claims {
  readonly #components: ClaimsComponents
  readonly #init: ClaimsInit

  constructor(components: ClaimsComponents, init: ClaimsInit) {
    this.#components = components
    this.#init = init
  }

  /** Rejects with `chainUnavailable`. */
  async earnings(accounts: readonly Uint8Array[]): Promise<EarningsStanding> {
    const { rpc, payouts } = this.#components
    const epoch = payouts.last()
    const now = await payouts.of(epoch)
    const found = await rpc.call(client => this.#chainState(client, epoch))
    const active = found.active === undefined ? undefined : await payouts.of(found.active)
    const claimed = await this.#claimed(accounts)
    return {
      epoch,
      ...found,
      accounts: accounts.map((account, i) => {
        const { earned, spent } = now?.payoutOf(account) ?? { earned: 0n, spent: 0n }
        const paid = claimed[i] as bigint
        const open = active?.payoutOf(account)?.earned ?? 0n
        const claimable = open > paid ? open - paid : 0n
        const rest = earned - paid - claimable
        return {
          account,
          earned,
          spent,
          claimed: paid,
          claimable,
          waiting: rest > 0n ? rest : 0n,
        }
      }),
    }
  }

  /**
   * Has the accounts paid, funding the checkpoint first where nobody did. Rejects with `notActive`
   * while no checkpoint is, `notOwnAccount`, `outflowLimit`, `noFunds`, `claimRefused` for what else
   * the contract says, or `chainUnavailable`.
   */
  async claim(wish: ClaimWish): Promise<ClaimDone> {
    try {
      return await this.#claim(wish)
    } catch (error) {
      if (!isRefusal(error, 'NotFunded')) throw error
      // Nothing was paid yet. Another may have opened a later epoch meanwhile, and passed over this.
      return await this.#claim(wish)
    }
  }

  async #claim(wish: ClaimWish): Promise<ClaimDone> {
    const { rpc, payouts } = this.#components
    const { distributor } = this.#init.contracts
    const { dryRun, signal, bond } = wish
    const epoch = payouts.last()
    const { active, funded, nextActiveAt, outflowLeft } = await rpc.call(client =>
      this.#chainState(client, epoch),
    )
    check(active !== undefined, 'notActive', 'no checkpoint can be claimed from yet', {
      facts: { settled: epoch, ...(nextActiveAt === undefined ? {} : { activeAt: nextActiveAt }) },
      next:
        nextActiveAt === undefined
          ? 'wait until the chain has accepted what is settled here; of an old proof file get a newer one'
          : `come back after ${new Date(nextActiveAt * 1_000).toISOString()}`,
    })
    const source = await payouts.of(active)
    check(source !== undefined, 'notActive', BEHIND, {
      facts: { active },
      next: 'wait until this node has the state of that epoch, or get a newer proof file',
    })
    const accounts = wish.all ? source.payouts.map(({ account }) => account) : wish.accounts
    const due = await this.#due(source, accounts)
    const total = due.reduce((sum, { amount }) => sum + amount, 0n)
    const result = { epoch: active, paid: due, total }
    if (due.length === 0) {
      return { ...result, done: 'before', funded: false, gas: 0n, fee: 0n, transactions: [] }
    }
    check(outflowLeft > 0n, 'outflowLimit', 'the distributor has paid out what it may at once', {
      next: 'come back in an hour: it is there again within a day',
    })
    const calls = this.#calls(source, due, { bond, epoch: BigInt(active) })
    // Of an older one than that the contract may have the payouts too.
    const missing = funded === undefined || funded < active
    const fund = {
      to: distributor,
      data: encodeFunctionData({ abi, functionName: 'fund', args: source.fund() }),
    }
    if (dryRun) {
      const price = await rpc.call(client => client.getGasPrice())
      // What rests on the funding cannot be estimated before it.
      const opening = missing ? await unlessOpened(this.#estimate([fund])) : undefined
      const gas = opening ?? (await this.#orPassedOver(active, due, () => this.#estimate(calls)))
      const opens = opening !== undefined
      return { ...result, done: 'dryRun', funded: opens, gas, fee: gas * price, transactions: [] }
    }
    const opening = missing ? await unlessOpened(this.#send(fund, signal)) : undefined
    const claims: Mined[] = []
    await this.#orPassedOver(active, due, async () => {
      for (const call of calls) claims.push(await this.#send(call, signal))
    })
    const mined = opening === undefined ? claims : [opening, ...claims]
    const moved = movedBy(distributor, claims)
    const own = bond === undefined ? undefined : due[0]?.account
    return {
      epoch: active,
      paid: moved.map(({ to, amount }) => ({ account: own ?? to, amount })),
      total: moved.reduce((sum, { amount }) => sum + amount, 0n),
      done: 'now',
      funded: opening !== undefined,
      gas: mined.reduce((sum, { gasUsed }) => sum + gasUsed, 0n),
      fee: mined.reduce((sum, { cost }) => sum + cost, 0n),
      transactions: mined.map(({ transaction }) => transaction),
    }
  }

  #calls(
    source: Claimable,
    due: readonly { account: Uint8Array }[],
    { bond, epoch }: { bond: number | undefined; epoch: bigint },
  ): { to: Hex; data: Hex }[] {
    const { address } = this.#components.transactions
    const to = this.#init.contracts.distributor
    const proofs = due
      .map(({ account }) => source.claim(account))
      .filter(found => found !== undefined)
    const [first] = proofs
    invariant(first !== undefined, 'what is due has a proof')
    const [, payout, path] = first
    if (bond !== undefined) {
      const own =
        due.length === 1 && bytesToHex(due[0]?.account as Uint8Array) === address.toLowerCase()
      check(own, 'notOwnAccount', 'only what the account itself earned is added to a bond', {
        facts: { account: address },
        next: 'claim it for its account first, then `cairn bond add`',
      })
      return [
        {
          to,
          data: encodeFunctionData({
            abi,
            functionName: 'claimAndBond',
            args: [epoch, payout, path, bond],
          }),
        },
      ]
    }
    if (due.length === 1)
      return [
        {
          to,
          data: encodeFunctionData({ abi, functionName: 'claim', args: [epoch, payout, path] }),
        },
      ]
    return Array.from({ length: Math.ceil(proofs.length / CLAIMS_AT_ONCE) }, (_, i) => {
      const batch = proofs.slice(i * CLAIMS_AT_ONCE, (i + 1) * CLAIMS_AT_ONCE)
      const [leaves, paths] = [batch.map(([, leaf]) => leaf), batch.map(([, , path]) => path)]
      const args = [epoch, leaves, paths] as const
      return { to, data: encodeFunctionData({ abi, functionName: 'claimMany', args }) }
    })
  }

  async #due(source: Claimable, accounts: readonly Uint8Array[]) {
    const claimed = await this.#claimed(accounts)
    return accounts.flatMap((account, i) => {
      const amount = (source.payoutOf(account)?.earned ?? 0n) - (claimed[i] as bigint)
      return amount > 0n ? [{ account, amount }] : []
    })
  }

  async #claimed(accounts: readonly Uint8Array[]): Promise<bigint[]> {
    const distributor = this.#distributor()
    const found: bigint[] = []
    for (let from = 0; from < accounts.length; from += CLAIMED_AT_ONCE) {
      const some = accounts.slice(from, from + CLAIMED_AT_ONCE)
      const amounts = await this.#components.rpc.call(client =>
        Promise.all(
          some.map(account =>
            client.readContract({
              ...distributor,
              functionName: 'claimed',
              args: [bytesToHex(account)],
            }),
          ),
        ),
      )
      found.push(...amounts)
    }
    return found
  }

  async #chainState(client: Client, epoch: number) {
    const distributor = this.#distributor()
    const now = Math.floor(this.#components.clock.now() / 1_000)
    const [last, outflowLeft, block] = await Promise.all([
      client.readContract({ ...distributor, functionName: 'lastEpoch' }),
      client.readContract({ ...distributor, functionName: 'outflowLeft' }),
      client.getBlock({ includeTransactions: false }),
    ])
    const time = Math.max(now, Number(block.timestamp))
    const funded = last === BEFORE_THE_FIRST ? undefined : Number(last)
    let next: number | undefined
    let active: number | undefined
    for (let at = epoch; at >= 0 && at > epoch - KEPT_EPOCHS; at--) {
      const from = await this.#activeAt(client, at)
      // Not accepted, or so old that the contract has forgotten it.
      if (from === undefined) continue
      if (from <= time) {
        active = at
        break
      }
      next = from
    }
    return {
      outflowLeft,
      ...(active === undefined ? {} : { active }),
      ...(funded === undefined ? {} : { funded }),
      ...(next === undefined ? {} : { nextActiveAt: next }),
    }
  }

  async #activeAt(client: Client, epoch: number): Promise<number | undefined> {
    try {
      const from = await client.readContract({
        address: this.#init.contracts.checkpoints,
        abi: checkpointsAbi,
        functionName: 'activeAt',
        args: [BigInt(epoch)],
      })
      return Number(from)
    } catch (error) {
      // Whichever: the contract has no such epoch.
      revertedWith(error)
      return undefined
    }
  }

  async #estimate(calls: readonly { to: Hex; data: Hex }[]): Promise<bigint> {
    let gas = 0n
    for (const call of calls) {
      try {
        gas += await this.#components.transactions.estimate(call)
      } catch (error) {
        if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
        throw refused(error)
      }
    }
    return gas
  }

  async #send(call: { to: Hex; data: Hex }, signal: AbortSignal): Promise<Mined> {
    try {
      return await this.#components.transactions.send(call, { signal, purpose: 'claim' })
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      throw refused(error)
    }
  }

  /** Says of an epoch that is not open for claims which one is. */
  async #orPassedOver<T>(
    epoch: number,
    due: readonly { account: Uint8Array }[],
    run: () => Promise<T>,
  ): Promise<T> {
    try {
      return await run()
    } catch (cause) {
      if (!isRefusal(cause, 'NotFunded')) throw cause
      const last = await this.#components.rpc.call(client =>
        client.readContract({ ...this.#distributor(), functionName: 'lastEpoch' }),
      )
      const account = bytesToHex(due[0]?.account as Uint8Array)
      const text = `epoch ${epoch} was passed over: a later one was opened for claims`
      throw new CairnError('claimRefused', text, {
        cause,
        facts: { error: 'NotFunded', epoch, opened: Number(last) },
        next: `claim by epoch ${last}, the last one opened: by a file of \`cairn ledger prove --payout ${account} --epoch ${last}\`, or once this node has settled it`,
      })
    }
  }

  #distributor() {
    return { address: this.#init.contracts.distributor, abi: rewardDistributorAbi } as const
  }
}

/** The length of the list and its lowest node that all leaves are below, from any leaf's path. */
function trunkOf({ leaf, position, path }: ProofFile['inclusion']) {
  const lengthNode = path[ListDepth.payouts]
  invariant(lengthNode !== undefined, 'a path that holds reaches the length of its list')
  const length = new DataView(lengthNode.buffer, lengthNode.byteOffset).getUint32(0, true)
  const levels = Math.ceil(Math.log2(Math.max(length, 1)))
  const below = path.slice(0, levels)
  const trunk = below.reduce(
    (node, sibling, height) =>
      Math.floor(position / 2 ** height) % 2 === 1
        ? sha256(concatBytes([sibling, node]))
        : sha256(concatBytes([node, sibling])),
    leaf,
  )
  return { trunk, length, path: below.map(node => bytesToHex(node)) }
}

const BEHIND = 'the chain has gone on beyond what is settled here'

/** Of what a claim calls. */
const abi = rewardDistributorAbi

/** Less than is due where the outflow was used up, or another had it paid meanwhile. */
function movedBy(distributor: Hex, claims: readonly Mined[]) {
  const logs = claims.flatMap(claim => claim.logs)
  return parseEventLogs({ abi: cairnTokenAbi, eventName: 'Transfer', logs })
    .filter(({ args }) => args.from.toLowerCase() === distributor.toLowerCase())
    .map(({ args }) => ({ to: unhex(args.to), amount: args.value }))
}

/** Undefined where another opened the checkpoint, or a later one, meanwhile. */
async function unlessOpened<T>(opening: Promise<T>): Promise<T | undefined> {
  try {
    return await opening
  } catch (error) {
    if (isRefusal(error, 'EpochFunded')) return undefined
    throw error
  }
}

function isRefusal(error: unknown, name: string): boolean {
  return error instanceof CairnError && error.code === 'claimRefused' && error.facts.error === name
}

function refused(cause: CairnError): CairnError {
  const { text, next, facts } = refusalOf(cause)
  return new CairnError('claimRefused', `nothing is paid: ${text}`, { cause, facts, next })
}
