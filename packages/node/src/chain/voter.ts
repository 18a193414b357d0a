/**
 * Proposals and votes of token holders, as the governor has them now, and what an account does about
 * them. Nothing that a node settles by is read here: a parameter counts once `Parameters` says so.
 */
import {
  accessAbi,
  type ContractAddresses,
  cairnGovernorAbi,
  cairnTokenAbi,
  checkpointsAbi,
  nodeRegistryAbi,
  parametersAbi,
  parameterWord,
  timelockAbi,
} from '@cairn/contracts'
import {
  CairnError,
  check,
  durationText,
  parameterText,
  requireVotedNumber,
  tokenText,
  VOTED_NUMBERS,
} from '@cairn/protocol'
import {
  type Abi,
  BaseError,
  decodeFunctionData,
  encodeFunctionData,
  type Hex,
  hexToString,
  isAddressEqual,
  keccak256,
  type Log,
  numberToHex,
  parseEventLogs,
  type RpcLog,
  toHex,
} from 'viem'
import type { Chain } from '../ports.ts'
import { refusalOf } from './contract-errors.ts'
import type { Rpc } from './rpc.ts'
import type { Transactions } from './transactions.ts'

/** Blocks whose logs are read at once: what public endpoints commonly allow. */
const LOGS_BLOCKS = 2_000n
/** The newest proposals that are kept. */
const PROPOSALS_MAX = 256
/** Of whom a proposal may be, as the governor holds others from copying it. */
const PROPOSER_MARK = '\n#proposer='

/** In the governor's order. */
export const PROPOSAL_STATES = [
  'pending',
  'active',
  'canceled',
  'defeated',
  'succeeded',
  'queued',
  'expired',
  'executed',
] as const
export type ProposalState = (typeof PROPOSAL_STATES)[number]

/** In the governor's order. */
export const SUPPORTS = ['against', 'for', 'abstain'] as const
export type Support = (typeof SUPPORTS)[number]

/** What a proposal is told of by, to queue it and carry it out. */
interface Motion {
  id: bigint
  proposer: Hex
  targets: readonly Hex[]
  values: readonly bigint[]
  calldatas: readonly Hex[]
  description: string
  starts: number
}

/** One call of a proposal. */
export interface ProposedCall {
  /** Name of the contract, or its address. */
  contract: string
  /** Name of the function; absent: not one that is known. */
  function?: string
  /** Arguments as text, or the call's bytes. */
  arguments: string[]
  /** Where it sets a parameter: what it is now, and what it would be. */
  change?: { name: string; now: bigint; proposed: bigint }
}

export interface VoteProposal {
  /** 64 hexadecimal digits. */
  id: string
  title: string
  proposer: Hex
  state: ProposalState
  /** Seconds since 1970: of the chain, of the vote, and when it can be carried out; 0: not queued. */
  now: number
  starts: number
  ends: number
  executableAt: number
  /** Votes, base units. `for` and `abstain` together reach the quorum or not. */
  for: bigint
  against: bigint
  abstain: bigint
  quorum: bigint
  calls: ProposedCall[]
  /** Votes of this node's account in it, and whether it has cast them. */
  own: { votes: bigint; cast: boolean }
}

/** What an account can vote with, base units. */
export interface VotingPower {
  account: Hex
  /** All that it votes with. */
  votes: bigint
  /** Bonds of its nodes. */
  bonded: bigint
  /** Tokens that it holds; they vote for `delegate`, or for nobody. */
  tokens: bigint
  delegate?: Hex
  /** Votes that proposing takes. */
  threshold: bigint
}

export interface Votes {
  power: VotingPower
  /** The newest first. */
  proposals: VoteProposal[]
}

/** In what the chain holds: base units, parts per million, or the weight itself. */
export interface VoteParameter {
  name: string
  now: bigint
  least: bigint
  most: bigint
  /** What one vote changes it by at most. */
  step: bigint
}

export interface VoteAct {
  proposal: VoteProposal
  transaction: string
}

export interface VoterComponents {
  chain: Pick<Chain, 'head'>
  rpc: Rpc
  transactions: Pick<Transactions, 'address' | 'send'>
}

export interface VoterInit {
  contracts: Pick<ContractAddresses, 'parameters' | 'registry' | 'token' | 'checkpoints'> & {
    governor?: Hex | undefined
    timelock?: Hex | undefined
    access?: Hex | undefined
  }
  /** First block that can hold a proposal. */
  fromBlock?: bigint | undefined
}

export class Voter {
  readonly #components: VoterComponents
  readonly #init: VoterInit
  /** In final blocks, by id, oldest first. */
  readonly #motions = new Map<bigint, Motion>()
  /** First block not yet read for good. */
  #next: bigint

  constructor(components: VoterComponents, init: VoterInit) {
    this.#components = components
    this.#init = init
    this.#next = init.fromBlock ?? 0n
  }

  /** Rejects with `noGovernor` or `chainUnavailable`, as all calls do. */
  async votes(): Promise<Votes> {
    const motions = await this.#read()
    const proposals = await Promise.all(motions.toReversed().map(it => this.#proposal(it)))
    return { power: await this.power(), proposals }
  }

  /** All that a vote can change, as the contract has it now. */
  async parameters(): Promise<VoteParameter[]> {
    return await Promise.all(VOTED_NUMBERS.map(({ name }) => this.#readParameter(name)))
  }

  /** Of the id's first digits. Rejects with `unknownProposal`. */
  async proposal(prefix: string): Promise<VoteProposal> {
    return await this.#proposal(await this.#find(prefix))
  }

  async power(): Promise<VotingPower> {
    const { governor, token, registry } = this.#contracts()
    const { address } = this.#components.transactions
    const [delegated, tokens, delegate, bonded, threshold] = await this.#components.rpc.call(
      client =>
        Promise.all([
          client.readContract({ ...token, functionName: 'getVotes', args: [address] }),
          client.readContract({ ...token, functionName: 'balanceOf', args: [address] }),
          client.readContract({ ...token, functionName: 'delegates', args: [address] }),
          client.readContract({ ...registry, functionName: 'bonded', args: [address] }),
          client.readContract({ ...governor, functionName: 'proposalThreshold' }),
        ]),
    )
    return {
      account: address,
      votes: delegated + bonded,
      bonded,
      tokens,
      ...(BigInt(delegate) === 0n ? {} : { delegate }),
      threshold,
    }
  }

  /**
   * Proposes these values. Rejects with `fewVotes`, `badParameter` for what the contract would not take
   * when it is carried out, or `voteRefused` for what else it says.
   */
  async propose(
    values: ReadonlyMap<string, bigint>,
    title: string,
    signal: AbortSignal,
  ): Promise<VoteAct> {
    check(values.size > 0, 'badParameter', 'expected a parameter and what it is to be', {
      next: 'name it as in --set baseShare=0.4',
    })
    const { votes, threshold, account } = await this.power()
    const text = `the account votes with ${tokenText(votes)}, and proposing takes ${tokenText(threshold)}`
    check(votes >= threshold, 'fewVotes', text, {
      facts: { votes, threshold },
      next: 'bond more, or have tokens delegated to it: `cairn vote delegate` for its own',
    })
    for (const [name, value] of values) await this.#requireAllowed(name, value)
    const { governor, parameters } = this.#contracts()
    const targets = Array.from(values, () => parameters.address)
    const calldatas = Array.from(values, ([name, value]) =>
      encodeFunctionData({
        abi: parametersAbi,
        functionName: 'set',
        args: [parameterWord(name), value],
      }),
    )
    const description = `${title}${PROPOSER_MARK}${account}`
    const args = [targets, targets.map(() => 0n), calldatas, description] as const
    const data = encodeFunctionData({ abi: governor.abi, functionName: 'propose', args })
    const mined = await this.#send(data, signal)
    const [created] = createdIn(mined.logs)
    check(created !== undefined, 'voteRefused', 'the governor says of no proposal', {
      facts: { transaction: mined.transaction },
      next: 'see `cairn vote list`',
    })
    return { proposal: await this.#proposal(created), transaction: mined.transaction }
  }

  /** Rejects with `unknownProposal`, `notVoting`, `alreadyVoted`, `noVotes` or `voteRefused`. */
  async cast(prefix: string, support: Support, signal: AbortSignal): Promise<VoteAct> {
    const motion = await this.#find(prefix)
    const { state, own, now, starts } = await this.#proposal(motion)
    check(
      state === 'active',
      'notVoting',
      state === 'pending' ? 'voting has not begun' : `voting is over: it is ${state}`,
      {
        facts: { state, now, starts },
        next:
          state === 'pending'
            ? `vote in ${durationText(starts - now + 1)}`
            : 'see `cairn vote show`',
      },
    )
    check(!own.cast, 'alreadyVoted', 'this account has voted on it', {
      next: 'a vote cannot be changed',
    })
    check(own.votes > 0n, 'noVotes', 'this account had no votes when voting began', {
      next: 'bond, or delegate tokens, before the next proposal: `cairn vote delegate`',
    })
    const args = [motion.id, SUPPORTS.indexOf(support)] as const
    const data = encodeFunctionData({ abi: cairnGovernorAbi, functionName: 'castVote', args })
    return await this.#act(motion, data, signal)
  }

  /** Puts what has passed on the timelock's list. Rejects with `unknownProposal` or `notPassed`. */
  async queue(prefix: string, signal: AbortSignal): Promise<VoteAct> {
    const motion = await this.#find(prefix)
    const { state, now, ends } = await this.#proposal(motion)
    check(state === 'succeeded', 'notPassed', `it is ${state}: only what has passed is queued`, {
      facts: { state, now, ends },
      next:
        state === 'active' ? `voting ends in ${durationText(ends - now)}` : 'see `cairn vote show`',
    })
    return await this.#act(motion, this.#told(motion, 'queue'), signal)
  }

  /** Carries out what has waited. Rejects with `unknownProposal`, `notQueued` or `voteRefused`. */
  async execute(prefix: string, signal: AbortSignal): Promise<VoteAct> {
    const motion = await this.#find(prefix)
    const { state, now, executableAt } = await this.#proposal(motion)
    check(
      state === 'queued' && executableAt <= now,
      'notQueued',
      state === 'queued' ? 'it still waits' : `it is ${state}, and not queued`,
      {
        facts: { state, now, executableAt },
        next:
          state === 'queued'
            ? `it can be carried out in ${durationText(executableAt - now)}`
            : state === 'succeeded'
              ? 'queue it first: `cairn vote queue`'
              : 'see `cairn vote show`',
      },
    )
    return await this.#act(motion, this.#told(motion, 'execute'), signal)
  }

  /** For its proposer before voting begins, and for the guardian. Rejects with `voteRefused`. */
  async cancel(prefix: string, signal: AbortSignal): Promise<VoteAct> {
    const motion = await this.#find(prefix)
    return await this.#act(motion, this.#told(motion, 'cancel'), signal)
  }

  /** Has the account's tokens vote for this one; absent: for itself. */
  async delegate(to: Hex | undefined, signal: AbortSignal): Promise<VotingPower> {
    const { transactions } = this.#components
    const { token } = this.#contracts()
    const args = [to ?? transactions.address] as const
    const data = encodeFunctionData({ abi: token.abi, functionName: 'delegate', args })
    await this.#send(data, signal, token.address)
    return await this.power()
  }

  async #act(motion: Motion, data: Hex, signal: AbortSignal): Promise<VoteAct> {
    const { transaction } = await this.#send(data, signal)
    return { proposal: await this.#proposal(motion), transaction }
  }

  #told(motion: Motion, functionName: 'queue' | 'execute' | 'cancel'): Hex {
    const { targets, values, calldatas, description } = motion
    const args = [targets, values, calldatas, keccak256(toHex(description))] as const
    return encodeFunctionData({ abi: cairnGovernorAbi, functionName, args })
  }

  async #send(data: Hex, signal: AbortSignal, to = this.#contracts().governor.address) {
    try {
      return await this.#components.transactions.send({ to, data }, { signal })
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'reverted') throw error
      throw refused(error)
    }
  }

  /** Bounds and step, as the contract has them. */
  async #requireAllowed(name: string, value: bigint): Promise<void> {
    const parameter = requireVotedNumber(name)
    const { now, least, most, step } = await this.#readParameter(name)
    const text = (amount: bigint) => parameterText(parameter, amount)
    const change = value > now ? value - now : now - value
    const wrong =
      change === 0n
        ? `${name} is ${text(now)} already`
        : value < least || value > most
          ? `${name} is to become ${text(value)}, and must be from ${text(least)} to ${text(most)}`
          : change > step
            ? `${name} is to go from ${text(now)} to ${text(value)}, and one vote moves it by ${text(step)} at most`
            : undefined
    let lowest = now - step
    if (lowest < least) lowest = least
    let highest = now + step
    if (highest > most) highest = most
    check(wrong === undefined, 'badParameter', wrong ?? '', {
      facts: { name, now, proposed: value, least, most, step },
      next: `it is ${text(now)}: name another value from ${text(lowest)} to ${text(highest)}; \`cairn vote parameters\` lists all`,
    })
  }

  async #readParameter(name: string): Promise<VoteParameter> {
    const { parameters } = this.#contracts()
    const args = [parameterWord(name)] as const
    const [now, [least, most, step]] = await this.#components.rpc.call(client =>
      Promise.all([
        client.readContract({ ...parameters, functionName: 'get', args }),
        client.readContract({ ...parameters, functionName: 'limits', args }),
      ]),
    )
    return { name, now, least, most, step }
  }

  async #find(prefix: string): Promise<Motion> {
    const found = (await this.#read()).filter(({ id }) => idText(id).startsWith(prefix))
    const [motion, another] = found
    check(motion !== undefined, 'unknownProposal', 'there is no such proposal', {
      facts: { id: prefix },
      next: 'see `cairn vote list`',
    })
    check(another === undefined, 'unknownProposal', 'several proposals begin so', {
      facts: { id: prefix, proposals: found.length },
      next: 'give more digits of the id; `cairn vote list` shows them',
    })
    return motion
  }

  /** All proposals, oldest first. What is not final yet is read again each time. */
  async #read(): Promise<readonly Motion[]> {
    const { rpc, chain } = this.#components
    const { governor } = this.#contracts()
    const newest = await rpc.call(client => client.getBlockNumber({ cacheTime: 0 }))
    const final = chain.head()?.number ?? -1n
    const fresh: Motion[] = []
    for (let from = this.#next; from <= newest; from += LOGS_BLOCKS) {
      const to = from + LOGS_BLOCKS - 1n < newest ? from + LOGS_BLOCKS - 1n : newest
      const logs = await rpc.call(client =>
        client.getLogs({ address: governor.address, fromBlock: from, toBlock: to }),
      )
      const isFinal = (number: bigint | null) => number !== null && number <= final
      const kept = createdIn(logs.filter(({ blockNumber }) => isFinal(blockNumber)))
      for (const motion of kept) this.#keep(motion)
      fresh.push(...createdIn(logs.filter(({ blockNumber }) => !isFinal(blockNumber))))
      const read = to < final ? to + 1n : final + 1n
      if (read > this.#next) this.#next = read
    }
    const unknown = fresh.filter(({ id }) => !this.#motions.has(id))
    return [...this.#motions.values(), ...unknown].slice(-PROPOSALS_MAX)
  }

  #keep(motion: Motion): void {
    this.#motions.set(motion.id, motion)
    const [oldest] = this.#motions.keys()
    if (this.#motions.size > PROPOSALS_MAX) this.#motions.delete(oldest as bigint)
  }

  async #proposal(motion: Motion): Promise<VoteProposal> {
    const { governor, parameters } = this.#contracts()
    const { address } = this.#components.transactions
    const { id, starts } = motion
    const of = { ...governor, args: [id] } as const
    return await this.#components.rpc.call(async client => {
      const [state, ends, executableAt, tally, block, cast] = await Promise.all([
        client.readContract({ ...of, functionName: 'state' }),
        client.readContract({ ...of, functionName: 'proposalDeadline' }),
        client.readContract({ ...of, functionName: 'proposalEta' }),
        client.readContract({ ...of, functionName: 'proposalVotes' }),
        client.getBlock({ blockTag: 'latest' }),
        client.readContract({ ...governor, functionName: 'hasVoted', args: [id, address] }),
      ])
      // Votes count as they were when voting began; until then as they are.
      const now = Number(block.timestamp)
      const at = BigInt(Math.min(starts, now - 1))
      const [quorum, votes] = await Promise.all([
        client.readContract({ ...governor, functionName: 'quorum', args: [at] }),
        client.readContract({ ...governor, functionName: 'getVotes', args: [address, at] }),
      ])
      const calls = motion.targets.map((target, i) =>
        this.#call(target, motion.calldatas[i] as Hex),
      )
      const changes = await Promise.all(
        calls.map(async ({ change }) => {
          if (change === undefined) return undefined
          const args = [parameterWord(change.name)] as const
          return await client.readContract({ ...parameters, functionName: 'get', args })
        }),
      )
      const [against, for_, abstain] = tally
      return {
        id: idText(id),
        title: titleOf(motion.description),
        proposer: motion.proposer,
        state: PROPOSAL_STATES[state] as ProposalState,
        now,
        starts,
        ends: Number(ends),
        executableAt: Number(executableAt),
        for: for_,
        against,
        abstain,
        quorum,
        calls: calls.map((call, i) => withNow(call, changes[i])),
        own: { votes, cast },
      }
    })
  }

  #call(target: Hex, data: Hex): ProposedCall {
    const { governor, timelock, access, parameters, registry, token, checkpoints } =
      this.#init.contracts
    const known: [string, Hex | undefined, Abi][] = [
      ['Parameters', parameters, parametersAbi],
      ['CairnGovernor', governor, cairnGovernorAbi],
      ['Timelock', timelock, timelockAbi],
      ['Access', access, accessAbi],
      ['NodeRegistry', registry, nodeRegistryAbi],
      ['CairnToken', token, cairnTokenAbi],
      ['Checkpoints', checkpoints, checkpointsAbi],
    ]
    const found = known.find(([, at]) => at !== undefined && isAddressEqual(at, target))
    if (found === undefined) return { contract: target, arguments: [data] }
    const [contract, , abi] = found
    const decoded = decodedCall(abi, data)
    if (decoded === undefined) return { contract, arguments: [data] }
    const [word, value] = decoded.args
    if (contract === 'Parameters' && decoded.functionName === 'set') {
      const name = hexToString(word as Hex).replace(/\0+$/, '')
      const change = { name, now: 0n, proposed: value as bigint }
      return { contract, function: 'set', arguments: [name, String(value)], change }
    }
    return { contract, function: decoded.functionName, arguments: decoded.args.map(String) }
  }

  #contracts() {
    const { governor, parameters, token, registry } = this.#init.contracts
    check(
      governor !== undefined,
      'noGovernor',
      'the manifest names no contract that counts votes',
      {
        next: 'get a manifest that names the governor from where the network is announced',
      },
    )
    return {
      governor: { address: governor, abi: cairnGovernorAbi },
      parameters: { address: parameters, abi: parametersAbi },
      token: { address: token, abi: cairnTokenAbi },
      registry: { address: registry, abi: nodeRegistryAbi },
    } as const
  }
}

function createdIn(logs: readonly (RpcLog | Log)[]): Motion[] {
  const found = parseEventLogs({
    abi: cairnGovernorAbi,
    eventName: 'ProposalCreated',
    logs: [...logs],
  })
  return found.map(({ args }) => ({
    id: args.proposalId,
    proposer: args.proposer,
    targets: args.targets,
    values: args.values,
    calldatas: args.calldatas,
    description: args.description,
    starts: Number(args.voteStart),
  }))
}

/** Undefined where the contract has no such function. */
function decodedCall(abi: Abi, data: Hex) {
  try {
    const { functionName, args = [] } = decodeFunctionData({ abi, data })
    return { functionName, args }
  } catch (error) {
    if (error instanceof BaseError) return undefined
    throw error
  }
}

function withNow(call: ProposedCall, now: bigint | undefined): ProposedCall {
  const { change } = call
  return change === undefined || now === undefined ? call : { ...call, change: { ...change, now } }
}

/** A proposal's id as people name it: 64 digits. */
export function idText(id: bigint): string {
  return numberToHex(id, { size: 32 }).slice(2)
}

/** Of a proposal's description, without what names its proposer. */
export function titleOf(description: string): string {
  return description.split(PROPOSER_MARK)[0] as string
}

function refused(cause: CairnError): CairnError {
  const { text, next, facts } = refusalOf(cause)
  return new CairnError('voteRefused', `the governor refuses: ${text}`, { cause, facts, next })
}
