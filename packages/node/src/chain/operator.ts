/**
 * What an operator does with the chain by hand: registers a node, adds to its bond, changes it, takes
 * it out, and has its bond back. Everything is asked of the chain as it is now, not of the final view,
 * so a command that is run again after a crash sees what is done already, and says so.
 */
import {
  type ContractAddresses,
  cairnTokenAbi,
  nodeRegistryAbi,
  parametersAbi,
  possessionRoot,
  registerArguments,
  registrationRoot,
} from '@cairn/contracts'
import { bls, CairnError, check, isCell, tokenText, unhex } from '@cairn/protocol'
import { bytesToHex, encodeFunctionData, type Hex, keccak256, stringToHex, toHex } from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import type { Clock } from '../ports.ts'
import type { Signer } from '../signer.ts'
import { refusalOf } from './contract-errors.ts'
import { orderedBefore } from './reference.ts'
import { multicall, type NodeFacts, permitFor } from './registration.ts'
import type { Client, Rpc } from './rpc.ts'
import { keyOf, type Transactions } from './transactions.ts'

export interface OperatorComponents {
  rpc: Rpc
  /** Of the operator's account. */
  transactions: Pick<Transactions, 'address' | 'estimate' | 'send' | 'ordered'>
  clock: Pick<Clock, 'now'>
}

/** A node whose keys are here. */
export interface KeptNode {
  signer: Signer
  /** End of its nonce chain, 32 bytes. */
  nonceEnd: Uint8Array
}

export interface OperatorInit {
  chainId: number
  contracts: Pick<ContractAddresses, 'registry' | 'token'>
  /** Secret of the operator's account, 32 bytes: it signs permits. */
  account: Uint8Array
  /** The first is meant where none is named. */
  nodes: readonly KeptNode[]
}

/** A node as the registry has it now. */
export interface RegisteredNode {
  index: number
  /** 20 bytes. */
  operator: Uint8Array
  payout: Uint8Array
  /** Base units. */
  bond: bigint
  cell: bigint
  region: number
  subBand: number
  gain: number
  kinds: number
  /** When it asked to leave, seconds since 1970; 0: it did not. */
  exitAt: number
  /** From when on its bond can be had back; 0 of a node that has not asked to leave. */
  returnsAt: number
  /** `left`: its bond is with the operator again. */
  state: 'registered' | 'leaving' | 'left'
}

export interface OperatorStanding {
  /** 20 bytes. */
  account: Uint8Array
  /** Base units of the chain's own money, and of the token. */
  ether: bigint
  tokens: bigint
  /** Base units that a further node of this account bonds at least. */
  leastBond: bigint
  /** Base units that a change of place costs. */
  placeFee: bigint
  /** Seconds from the request of an exit to the bond's return. */
  exitDelay: number
  /** Of the node whose keys are here; absent: it is not registered. */
  node?: RegisteredNode
}

/** Which node: by its index, or, of those whose keys are here, by its identity. */
export interface Choice {
  node?: number | undefined
  identity?: Uint8Array | undefined
}

export type Order = Choice &
  (
    | ({ act: 'register'; payout?: Uint8Array | undefined; bond?: bigint | undefined } & Omit<
        NodeFacts,
        'nonceEnd' | 'bond'
      >)
    | { act: 'bond'; amount: bigint }
    | ({ act: 'place' } & { [K in Placed]?: NodeFacts[K] | undefined })
    | { act: 'offer'; payout?: Uint8Array | undefined; kinds?: number | undefined }
    | { act: 'exit' }
    | { act: 'withdraw' }
  )

type Placed = 'cell' | 'region' | 'subBand' | 'gain'

export interface OrderOptions {
  /** Says what it would cost, and sends nothing. */
  dryRun: boolean
  signal: AbortSignal
  /** Under it the same is done once, however often it is asked for, also after a restart. */
  reference?: string | undefined
}

export interface Done {
  act: Order['act']
  /** `before`: there was nothing left to do, or it was paid under the reference, by `transaction`. */
  done: 'now' | 'before' | 'dryRun'
  /** Used, or as estimated. */
  gas: bigint
  /** Base units of the chain's own money at the present price. */
  fee: bigint
  /** Base units of the token that it takes from the account. */
  tokens: bigint
  transaction?: string
  /** Of one that was paid before, ms since 1970. */
  orderedAt?: number
  node?: RegisteredNode
}

/** What an order comes to, once the chain was asked. */
interface Plan {
  data: Hex[]
  /** Base units of the token. */
  tokens: bigint
}

export class Operator {
  readonly #components: OperatorComponents
  readonly #init: OperatorInit
  readonly #account: PrivateKeyAccount

  constructor(components: OperatorComponents, init: OperatorInit) {
    this.#components = components
    this.#init = init
    this.#account = privateKeyToAccount(bytesToHex(init.account))
  }

  /** Rejects with `chainUnavailable`, or `unknownNode` for one that is not here. */
  async standing(choice: Choice = {}): Promise<OperatorStanding> {
    const { rpc } = this.#components
    const { address } = this.#account
    const { registry, token } = this.#contracts()
    // What is wrong with the choice is no fault of an endpoint.
    const voting = choice.node === undefined ? this.#kept(choice).signer.voting : undefined
    const { found, ...standing } = await rpc.call(async client => {
      const [ether, tokens, nodeMinimum, operatorMinimum, bonded, exitDelay, parameters] =
        await Promise.all([
          client.getBalance({ address }),
          client.readContract({ ...token, functionName: 'balanceOf', args: [address] }),
          client.readContract({ ...registry, functionName: 'nodeMinimum' }),
          client.readContract({ ...registry, functionName: 'operatorMinimum' }),
          client.readContract({ ...registry, functionName: 'bonded', args: [address] }),
          client.readContract({ ...registry, functionName: 'exitDelay' }),
          client.readContract({ ...registry, functionName: 'parameters' }),
        ])
      const placeFee = await client.readContract({
        address: parameters,
        abi: parametersAbi,
        functionName: 'get',
        args: [stringToHex('placeFee', { size: 32 })],
      })
      let leastBond = nodeMinimum
      if (operatorMinimum - bonded > leastBond) leastBond = operatorMinimum - bonded
      const found = await this.#find(client, choice.node ?? voting, Number(exitDelay))
      return {
        account: unhex(address),
        ether,
        tokens,
        leastBond,
        placeFee,
        exitDelay: Number(exitDelay),
        found,
      }
    })
    check(found !== 'unknown', 'unknownNode', `there is no node ${choice.node}`, {
      facts: { index: choice.node },
      next: 'see `cairn bond show` for this node',
    })
    return { ...standing, ...(found === undefined ? {} : { node: found }) }
  }

  /**
   * Rejects with `noFunds`, `noTokens`, `bondTooLow`, `badCell`, `notRegistered`, `notOperator`,
   * `nodeLeaving`, `exitNotDue`, `keysUsed`, `operatorRefused` for what else the contract says, or
   * `chainUnavailable`.
   */
  async carryOut(order: Order, options: OrderOptions): Promise<Done> {
    const { rpc, transactions } = this.#components
    const { dryRun, signal, reference } = options
    const { act } = order
    const standing = await this.standing(order)
    const plan = await this.#plan(order, standing)
    const nodeNow = standing.node === undefined ? {} : { node: standing.node }
    if (plan === undefined) {
      return { act, done: 'before', gas: 0n, fee: 0n, tokens: 0n, ...nodeNow }
    }
    const { tokens } = plan
    const main = plan.data.at(-1) ?? '0x'
    const key = keyOf(reference, main)
    const known = await orderedBefore(transactions, reference, [main])
    const before = known?.settled === undefined ? undefined : known
    if (known === undefined) requireTokens(standing, tokens)
    check(standing.ether > 0n, 'noFunds', `account ${this.#account.address} has no ether`, {
      facts: { account: this.#account.address },
      next: 'send ether to the account: it pays for the gas',
    })
    const [first] = plan.data
    const data = plan.data.length === 1 && first !== undefined ? first : multicall(plan.data)
    const call = { to: this.#init.contracts.registry, data }
    if (dryRun && before === undefined) {
      const price = await rpc.call(client => client.getGasPrice())
      const gas = await this.#said(() => transactions.estimate(call))
      return { act, done: 'dryRun', gas, fee: gas * price, tokens, ...nodeNow }
    }
    const {
      gasUsed: gas,
      cost,
      transaction,
    } = await this.#said(() => transactions.send(call, { signal, purpose: 'order', key }))
    const { node } = await this.standing(order)
    return {
      act,
      done: before === undefined ? 'now' : 'before',
      ...(before === undefined ? {} : { orderedAt: before.orderedAt }),
      gas,
      fee: cost,
      tokens,
      transaction,
      ...(node === undefined ? {} : { node }),
    }
  }

  /** Undefined: it is done already. */
  async #plan(order: Order, standing: OperatorStanding): Promise<Plan | undefined> {
    const { node } = standing
    if (order.act === 'register') return await this.#registration(order, standing)
    check(node !== undefined, 'notRegistered', 'this node is not registered', {
      next: 'register it with `cairn register`',
    })
    const { index } = node
    if (order.act === 'bond') {
      requireStaying(node)
      const more = encodeFunctionData({ abi, functionName: 'addBond', args: [index, order.amount] })
      return { data: await this.#permitted(order.amount, more), tokens: order.amount }
    }
    requireOperator(node, standing)
    switch (order.act) {
      case 'place': {
        const { cell, region, subBand, gain } = { ...node, ...given(order) }
        if (
          PLACED.every(field => given(order)[field] === undefined || order[field] === node[field])
        )
          return undefined
        requireStaying(node)
        requireCell(cell)
        const move = encodeFunctionData({
          abi,
          functionName: 'changePlace',
          args: [index, cell, region, subBand, gain],
        })
        return { data: await this.#permitted(standing.placeFee, move), tokens: standing.placeFee }
      }
      case 'offer': {
        const { payout = node.payout, kinds = node.kinds } = order
        if (kinds !== node.kinds) requireStaying(node)
        const data = [
          ...(bytesToHex(payout) === bytesToHex(node.payout)
            ? []
            : [
                encodeFunctionData({
                  abi,
                  functionName: 'changePayout',
                  args: [index, bytesToHex(payout)],
                }),
              ]),
          ...(kinds === node.kinds
            ? []
            : [encodeFunctionData({ abi, functionName: 'changeKinds', args: [index, kinds] })]),
        ]
        return data.length === 0 ? undefined : { data, tokens: 0n }
      }
      case 'exit':
        if (node.state !== 'registered') return undefined
        return {
          data: [encodeFunctionData({ abi, functionName: 'requestExit', args: [index] })],
          tokens: 0n,
        }
      case 'withdraw':
        if (node.state === 'left') return undefined
        this.#requireDue(node)
        return {
          data: [encodeFunctionData({ abi, functionName: 'withdraw', args: [index] })],
          tokens: 0n,
        }
    }
  }

  async #registration(
    order: Extract<Order, { act: 'register' }>,
    { node, leastBond, account }: OperatorStanding,
  ): Promise<Plan | undefined> {
    if (node !== undefined) {
      check(bytesToHex(node.operator) === bytesToHex(account), 'keysUsed', KEYS_USED(node.index), {
        facts: { node: node.index, operator: bytesToHex(node.operator) },
        next: 'use the words of that operator, or make new ones with `cairn init`',
      })
      check(node.state === 'registered', 'keysUsed', `node ${node.index} has left`, {
        facts: { node: node.index, state: node.state },
        next: 'keys are used once: make new words with `cairn init` in another --data-dir',
      })
      return undefined
    }
    requireCell(order.cell)
    const bond = order.bond ?? leastBond
    check(bond >= leastBond, 'bondTooLow', `this node bonds at least ${tokenText(leastBond)}`, {
      facts: { least: leastBond, found: bond },
      next: `bond ${tokenText(leastBond)} or more`,
    })
    const { signer, nonceEnd } = this.#kept(order)
    const { registry } = this.#init.contracts
    const { identity, voting } = signer
    const statement = {
      chainId: BigInt(this.#init.chainId),
      registry: unhex(registry),
      identity,
      voting,
      operator: account,
    }
    const { cell, region, subBand, gain, kinds, payout = account } = order
    const register = encodeFunctionData({
      abi: nodeRegistryAbi,
      functionName: 'register',
      args: registerArguments({
        ...{ cell, region, subBand, gain, kinds, payout, bond, nonceEnd, identity, voting },
        possession: signer.signVoting(possessionRoot(statement)),
        identitySignature: signer.signIdentity(registrationRoot(statement)),
      }),
    })
    return { data: await this.#permitted(bond, register), tokens: bond }
  }

  /** Those of a call that takes tokens: a permit before it, where it is needed. */
  async #permitted(amount: bigint, call: Hex): Promise<Hex[]> {
    const permit = await permitFor(this.#components, {
      rpc: this.#components.rpc,
      chain: this.#init,
      account: this.#account,
      amount,
    })
    return permit === undefined ? [call] : [permit, call]
  }

  /** By index or voting key; `unknown` for an index that nobody has. */
  async #find(
    client: Client,
    of: number | Uint8Array | undefined,
    exitDelay: number,
  ): Promise<RegisteredNode | 'unknown' | undefined> {
    const { registry } = this.#contracts()
    const index = typeof of === 'number' ? of : await this.#indexOf(client, of)
    if (index === undefined) return undefined
    const [found] = await client.readContract({
      ...registry,
      functionName: 'page',
      args: [index, 1n],
    })
    if (found === undefined) return 'unknown'
    const exitAt = Number(found.exitAt)
    return {
      index,
      operator: unhex(found.operator),
      payout: unhex(found.payout),
      bond: found.bond,
      cell: found.cell,
      region: found.region,
      subBand: found.subBand,
      gain: found.gain,
      kinds: found.kinds,
      exitAt,
      returnsAt: exitAt === 0 ? 0 : exitAt + exitDelay,
      state: exitAt === 0 ? 'registered' : found.bond === 0n ? 'left' : 'leaving',
    }
  }

  async #indexOf(client: Client, voting: Uint8Array | undefined): Promise<number | undefined> {
    if (voting === undefined) return undefined
    const mark = await client.readContract({
      ...this.#contracts().registry,
      functionName: 'indexOfVoting',
      args: [keccak256(bls.keyToEvm(voting))],
    })
    return mark === 0 ? undefined : mark - 1
  }

  #kept({ identity }: Choice): KeptNode {
    const found =
      identity === undefined
        ? this.#init.nodes[0]
        : this.#init.nodes.find(
            ({ signer }) => bytesToHex(signer.identity) === bytesToHex(identity),
          )
    check(found !== undefined, 'unknownNode', 'the keys of this node are not here', {
      next: 'name a gateway of this configuration, or a node by its index',
    })
    return found
  }

  #requireDue({ index, state, returnsAt }: RegisteredNode): void {
    check(state === 'leaving', 'exitNotDue', `node ${index} has not asked to leave`, {
      facts: { node: index },
      next: 'ask first: `cairn exit request`',
    })
    const now = Math.floor(this.#components.clock.now() / 1_000)
    // The contract goes by its block's time; what is due within seconds is left to it.
    check(now + CLOCK_SLACK_S >= returnsAt, 'exitNotDue', 'the bond is not free yet', {
      facts: { node: index, due: returnsAt },
      next: `come back after ${new Date(returnsAt * 1_000).toISOString()}`,
    })
  }

  /** What `ask` resolves with; what the contract refuses is said in this module's words. */
  async #said<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      throw refused(error)
    }
  }

  #contracts() {
    const { registry, token } = this.#init.contracts
    return {
      registry: { address: registry, abi: nodeRegistryAbi },
      token: { address: token, abi: cairnTokenAbi },
    } as const
  }
}

/** Of what an order calls. */
const abi = nodeRegistryAbi

/** A clock here and the chain's may differ by so much, s. */
const CLOCK_SLACK_S = 15

const PLACED = ['cell', 'region', 'subBand', 'gain'] as const

const KEYS_USED = (index: number) => `another operator registered these keys as node ${index}`

/** Those of the contract's errors that this module finds before as a rule, by the same codes. */
const FOUND_BEFORE: Readonly<Record<string, string>> = {
  KeyUsed: 'keysUsed',
  NodeBondTooLow: 'bondTooLow',
  OperatorBondTooLow: 'bondTooLow',
  ERC20InsufficientBalance: 'noTokens',
  ExitNotDue: 'exitNotDue',
  NotOperator: 'notOperator',
}

function refused(cause: CairnError): CairnError {
  const { text, next, facts } = refusalOf(cause)
  const known = FOUND_BEFORE[String(facts.error)]
  return known === undefined
    ? new CairnError('operatorRefused', `the registry refuses: ${text}`, { cause, facts, next })
    : new CairnError(known, text, { cause, facts, next })
}

function given(
  order: { [K in Placed]?: NodeFacts[K] | undefined },
): Partial<Pick<NodeFacts, Placed>> {
  return Object.fromEntries(
    PLACED.flatMap(field => (order[field] === undefined ? [] : [[field, order[field]]])),
  )
}

function requireTokens({ account, tokens: held }: OperatorStanding, needed: bigint): void {
  check(
    held >= needed,
    'noTokens',
    `the account has ${tokenText(held)}, this takes ${tokenText(needed)}`,
    {
      facts: { account: bytesToHex(account), held, needed },
      next: `send ${tokenText(needed - held)} more to ${bytesToHex(account)}`,
    },
  )
}

function requireOperator({ index, operator }: RegisteredNode, { account }: OperatorStanding): void {
  check(
    bytesToHex(operator) === bytesToHex(account),
    'notOperator',
    `account ${bytesToHex(operator)} registered node ${index}, and only that one changes it`,
    {
      facts: { node: index, operator: bytesToHex(operator), account: bytesToHex(account) },
      next: 'run the command with the words of that account',
    },
  )
}

function requireStaying({ index, state }: RegisteredNode): void {
  check(state === 'registered', 'nodeLeaving', `node ${index} has asked to leave`, {
    facts: { node: index, state },
    next: 'a node that leaves is not changed any more, but for its payout account',
  })
}

/** None, or one of the resolutions that the registry takes. */
function requireCell(cell: bigint): void {
  if (cell === 0n) return
  const resolution = Number((cell >> 52n) & 15n)
  check(
    isCell(cell) && (resolution === 12 || resolution === 10),
    'badCell',
    `expected an H3 cell of resolution 12 or 10, found ${toHex(cell)}`,
    {
      facts: { cell: toHex(cell) },
      next: 'pass --at LATITUDE,LONGITUDE, and --coarse for resolution 10',
    },
  )
}
