/**
 * What the contracts' own errors mean to people, and what to do next. Every error of every ABI has its
 * words here, so that none reaches an operator by its name alone; the name stays among the facts.
 */
import {
  accessAbi,
  cairnGovernorAbi,
  cairnTokenAbi,
  checkpointsAbi,
  depositsAbi,
  nodeRegistryAbi,
  parametersAbi,
  rewardDistributorAbi,
  slasherAbi,
  timelockAbi,
} from '@cairn/contracts'
import type { CairnError, Facts } from '@cairn/protocol'
import {
  AbiErrorSignatureNotFoundError,
  decodeErrorResult,
  type Hex,
  hexToString,
  isHex,
  RpcRequestError,
} from 'viem'

export interface Refusal {
  text: string
  next: string
}

/** Contracts pass on each other's errors, so whichever answers may be any one's. */
export const CONTRACT_ERRORS = [
  ...nodeRegistryAbi,
  ...checkpointsAbi,
  ...rewardDistributorAbi,
  ...depositsAbi,
  ...slasherAbi,
  ...parametersAbi,
  ...cairnGovernorAbi,
  ...cairnTokenAbi,
  ...timelockAbi,
  ...accessAbi,
].filter(item => item.type === 'error')

const BONDS = 'see `cairn bond show` for how account and node stand'
const EARNINGS = 'see `cairn earnings` for what can be claimed'
const DEPOSIT = 'see `cairn deposit show`, then try again'
const VOTE = 'see `cairn vote show` for how the proposal stands'
const NEWER = 'the proof is of another checkpoint than the chain has: get a newer one'
const IN_STEP = 'see with `cairn status` that the node is in step with the chain, then try again'
/** Arguments that no command makes: the node's own fault. */
const BUG = 'report this with the log of the node'
const COUNCIL = 'only a proposal that passed does this: `cairn vote propose`'

function all(names: readonly string[], refusal: Refusal): Record<string, Refusal> {
  return Object.fromEntries(names.map(name => [name, refusal]))
}

export const REFUSALS: Readonly<Record<string, Refusal>> = {
  // NodeRegistry
  KeyUsed: {
    text: 'these keys were registered before',
    next: 'keys are used once: make new words with `cairn init` in another --data-dir',
  },
  NodeBondTooLow: {
    text: 'the bond is below what every node bonds',
    next: 'see `cairn bond show` for the least, and pass a larger --bond',
  },
  OperatorBondTooLow: {
    text: 'all nodes of this account together would bond less than every operator has to',
    next: 'add to the bond of a node that stays, or let all of them leave, the smallest first',
  },
  NotOperator: {
    text: 'another account registered this node, and only that one changes it',
    next: 'run the command with the words of that account',
  },
  ZeroPayout: {
    text: 'the account to be paid is zero, which nobody has',
    next: 'pass an account that somebody has with --payout',
  },
  ZeroIdentity: { text: 'the identity key is zero', next: BUG },
  BadPossession: {
    text: 'the signature does not show that the voting key is this account’s',
    next: 'the manifest may name another registry or chain: get the one that the network announces',
  },
  BadCell: {
    text: 'the place is no H3 cell of resolution 12 or 10',
    next: 'pass --at LATITUDE,LONGITUDE, and --coarse for resolution 10',
  },
  ExitAlreadyRequested: {
    text: 'the node has asked to leave already',
    next: 'see `cairn exit show` for when its bond is free',
  },
  ExitNotDue: { text: 'the bond is not free yet', next: 'see `cairn exit show` for the time' },
  AlreadyWithdrawn: {
    text: 'the bond was taken back already',
    next: 'nothing is left to do: the node has left',
  },
  NoNode: {
    text: 'there is no node of this index',
    next: 'name a node that is registered: `cairn bond show` says which this one is',
  },
  Leaving: {
    text: 'the node is leaving, and takes no more bond and no other place',
    next: 'see `cairn exit show`; claim without --bond',
  },
  // RewardDistributor
  NothingDue: {
    text: 'nothing is due to this account',
    next: 'somebody had it paid meanwhile: `cairn earnings` shows what was claimed',
  },
  OtherCheckpoint: { text: 'the chain accepted another checkpoint of this epoch', next: NEWER },
  OtherPayouts: { text: 'the proof does not fit its checkpoint', next: NEWER },
  OutflowLimit: {
    text: 'so much was claimed lately that no more is paid out now',
    next: 'come back in an hour: it is there again within a day',
  },
  Insolvent: {
    text: 'the deposits do not hold the fees that the checkpoint says',
    next: 'a later checkpoint may be funded: try again after the next epoch',
  },
  EpochFunded: {
    text: 'this epoch, or a later one, is open for claims already',
    next: 'claim by the last epoch opened, which `cairn earnings` names',
  },
  NotFunded: { text: 'this epoch was not opened for claims', next: EARNINGS },
  TotalsFell: {
    text: 'the totals of the checkpoint are below those of the last one funded',
    next: 'tell the guardian: a checkpoint may be wrong',
  },
  AboveEmission: {
    text: 'the checkpoint pays more than the network may mint',
    next: 'tell the guardian: a checkpoint may be wrong',
  },
  NotOwner: {
    text: 'only the account itself turns what it earned into bond',
    next: 'claim without --bond: the tokens go to the payout account',
  },
  TooMany: { text: 'too many accounts for one claim', next: 'name fewer with --for' },
  // Deposits
  NothingLeft: {
    text: 'all of the deposit is spent',
    next: 'there is nothing to take out; pay in to have more stored',
  },
  NothingRequested: {
    text: 'nothing of the deposit is asked back',
    next: 'ask first, with `cairn deposit request`',
  },
  AboveDeposit: { text: 'more is asked for than the deposit has', next: DEPOSIT },
  BaseTooOld: {
    text: 'the checkpoint rests on a block from before the request',
    next: '`cairn deposit show` says from which epoch on it is paid',
  },
  OtherAccount: { text: 'the proof is of another account', next: NEWER },
  NotInPayouts: { text: 'the proof does not fit the payouts of its checkpoint', next: NEWER },
  NotAbsent: { text: 'the account stands among the payouts of the checkpoint', next: NEWER },
  // Checkpoints
  NotStarted: {
    text: 'the network has not been started',
    next: 'wait until its founder starts it: the manifest has the time of genesis',
  },
  AlreadyStarted: { text: 'the network was started before', next: 'nothing is left to do' },
  NotStarter: {
    text: 'only the account that deployed the contracts starts the network',
    next: 'run it with the data directory of that account',
  },
  GenesisPassed: {
    text: 'genesis lies before the block that would start the network',
    next: 'deploy anew with a later genesis',
  },
  IsMirror: {
    text: 'this is the mirror of another chain, which only takes checkpoints',
    next: 'pass the manifest of the home chain with --network',
  },
  NotMirror: {
    text: 'this is the network’s own chain, where nodes check in and the council chooses',
    next: 'name a mirror of it',
  },
  WrongEpoch: { text: 'the epoch is not the next one', next: IN_STEP },
  WrongParent: { text: 'the checkpoint does not follow the last one accepted', next: IN_STEP },
  WrongCommittee: { text: 'another committee signs now', next: IN_STEP },
  WrongCheckpoint: { text: 'the chain has another checkpoint of this epoch', next: IN_STEP },
  NoQuorum: {
    text: 'those who signed hold too little of the committee’s weight',
    next: 'nothing is to be done: it is tried again with more votes',
  },
  BadSignature: { text: 'a signature does not hold', next: BUG },
  EpochNotKept: {
    text: 'the contract keeps the last 256 checkpoints, and this one is older or was never accepted',
    next: 'take a newer epoch; an older one is proven offline by `cairn ledger verify`',
  },
  NotActive: {
    text: 'the checkpoint is accepted, and not acted upon yet',
    next: 'come back later: `cairn earnings` says when',
  },
  IsActive: {
    text: 'the checkpoint is acted upon already, and not cancelled any more',
    next: 'nothing can be done about it on the chain',
  },
  RootCancelled: {
    text: 'this checkpoint was cancelled in this round',
    next: 'nothing is to be done: it is voted again in a later round',
  },
  NoFault: { text: 'nothing is wrong with the checkpoint', next: 'leave it as it is' },
  RoundTooHigh: { text: 'the round of the vote is too high', next: BUG },
  OtherWindow: {
    text: 'the checkpoint was voted before the committee formed that signs now',
    next: 'nothing is to be done: it is voted again by the committee that formed',
  },
  NotDue: {
    text: 'the last checkpoint is too recent for nodes to check in',
    next: 'wait: nodes check in by themselves when it is time',
  },
  NotEligible: {
    text: 'the node had no bond when the last checkpoint was accepted',
    next: 'wait until a committee is formed: this node has a part in the ones after it',
  },
  AlreadyCheckedIn: {
    text: 'the node has checked in already',
    next: 'nothing is left to do',
  },
  WindowOpen: {
    text: 'nodes may still check in',
    next: 'wait for the end of the window: the node forms the committee by itself',
  },
  NoWindow: {
    text: 'no nodes have checked in',
    next: 'wait: nodes check in by themselves when it is time',
  },
  CommitteeWaits: {
    text: 'a committee of those who checked in can be formed already',
    next: 'nothing is to be done: a node forms it by itself',
  },
  NoMajority: {
    text: 'those who checked in hold too little of all bonds',
    next: 'bring more nodes up: they check in again by themselves',
  },
  // Slasher
  AlreadyPunished: {
    text: 'the node was punished for this epoch already',
    next: 'nothing is left to do: see `cairn penalties`',
  },
  NothingToTake: {
    text: 'nothing is left of the node’s bond',
    next: 'nothing is left to do: see `cairn penalties`',
  },
  CapReached: {
    text: 'as much as one epoch may cost was taken for it',
    next: 'nothing is left to do: see `cairn penalties`',
  },
  OtherKey: { text: 'the votes are not by the key of this node', next: BUG },
  SameVote: { text: 'both votes are the same', next: BUG },
  NotInPenalties: { text: 'the penalty is not among those of the checkpoint', next: NEWER },
  // Parameters
  TooSoon: {
    text: 'the parameter was changed too short a time ago',
    next: 'try again after the time `due` that --json shows, in seconds since 1970',
  },
  OutOfBounds: {
    text: 'the value lies outside of the parameter’s bounds',
    next: 'see `cairn vote parameters`',
  },
  AboveStep: {
    text: 'the parameter was changed meanwhile, and the value is now more than a step away',
    next: 'propose again: `cairn vote parameters` shows what is within a step',
  },
  UnknownParameter: {
    text: 'there is no such parameter',
    next: 'see `cairn vote parameters`',
  },
  ...all(['ParameterExists', 'EmptyBounds'], {
    text: 'the parameter cannot be added so',
    next: 'see `cairn vote parameters` for those there are',
  }),
  // CairnGovernor
  GovernorUnableToCancel: {
    text: 'only its proposer cancels a proposal, before voting begins, and the guardian later',
    next: 'vote against it: `cairn vote cast ID against`',
  },
  AboutTheGuardian: {
    text: 'the guardian cancels no proposal that is about the guardian alone',
    next: 'vote against it: `cairn vote cast ID against`',
  },
  GovernorUnexpectedProposalState: {
    text: 'the same was proposed before, or the proposal is in another state',
    next: 'see `cairn vote list`, or give another title',
  },
  GovernorInsufficientProposerVotes: {
    text: 'the account has too few votes to propose',
    next: 'bond more, or have tokens delegated to it: `cairn vote delegate` for its own',
  },
  GovernorAlreadyCastVote: {
    text: 'this account has voted on it',
    next: 'a vote cannot be changed: `cairn vote show` counts it',
  },
  GovernorNonexistentProposal: { text: 'there is no such proposal', next: 'see `cairn vote list`' },
  GovernorAlreadyQueuedProposal: { text: 'the proposal is queued already', next: VOTE },
  GovernorRestrictedProposer: {
    text: 'the title names another account as the proposer',
    next: 'give a title without `#proposer=`',
  },
  TimelockUnexpectedOperationState: {
    text: 'what has passed still waits, or was carried out before',
    next: VOTE,
  },
  TimelockUnexecutedPredecessor: {
    text: 'another operation has to be carried out first',
    next: VOTE,
  },
  ...all(['FailedCall', 'AddressEmptyCode', 'InsufficientBalance'], {
    text: 'a call inside of this one failed without a reason',
    next: 'see what is called with `cairn vote show`; elsewhere report this with the log of the node',
  }),
  // Roles
  ...all(
    [
      'AccessManagedUnauthorized',
      'AccessControlUnauthorizedAccount',
      'AccessManagerUnauthorizedAccount',
      'AccessManagerUnauthorizedCall',
      'AccessManagerUnauthorizedCancel',
      'AccessManagerUnauthorizedConsume',
      'GovernorOnlyExecutor',
      'TimelockUnauthorizedCaller',
    ],
    { text: 'the account has no right to this', next: COUNCIL },
  ),
  ...all(
    [
      'AccessManagedRequiredDelay',
      'AccessManagerNotReady',
      'AccessManagerNotScheduled',
      'AccessManagerAlreadyScheduled',
      'AccessManagerExpired',
      'TimelockInsufficientDelay',
    ],
    { text: 'the right to this is bound to a delay that was not kept', next: COUNCIL },
  ),
  ...all(
    [
      'AccessControlBadConfirmation',
      'AccessManagedInvalidAuthority',
      'AccessManagerBadConfirmation',
      'AccessManagerInvalidInitialAdmin',
      'AccessManagerLockedFunction',
      'AccessManagerLockedRole',
    ],
    { text: 'roles cannot be changed so', next: COUNCIL },
  ),
  ...all(['NotDeployer', 'NotMinter', 'NotDistributor', 'NotSlasher', 'MinterIsSet'], {
    text: 'only another contract does this, as the deployment settled it',
    next: BUG,
  }),
  // CairnToken
  ERC20InsufficientBalance: {
    text: 'the account has not enough tokens',
    next: 'send it tokens: `cairn bond show` says how many it has and needs',
  },
  ERC20InsufficientAllowance: {
    text: 'the contract may not take so many of the account’s tokens',
    next: 'run the command again: it permits them first',
  },
  AboveYearlyCap: {
    text: 'the network has minted as much as it may in a year',
    next: 'claims are paid again when the year is over: tokens earned stay due',
  },
  ...all(['ERC20InvalidReceiver', 'ERC20InvalidSpender', 'ERC20InvalidSender'], {
    text: 'the account zero holds no tokens',
    next: 'name an account that somebody has',
  }),
  SafeERC20FailedOperation: {
    text: 'the token contract refuses to move the tokens',
    next: BONDS,
  },
  ...all(['ERC2612ExpiredSignature', 'VotesExpiredSignature'], {
    text: 'the permit has expired before a block took it',
    next: 'set the clock of this machine right, and run the command again',
  }),
  ...all(['ERC2612InvalidSigner', 'InvalidAccountNonce'], {
    text: 'the permit was overtaken by another of the same account',
    next: 'run the command again',
  }),
  // Calls that no command makes.
  ...all(
    [
      'AbsentOrder',
      'AbsentProof',
      'BadIndex',
      'CheckpointUnorderedInsertion',
      'ECDSAInvalidSignature',
      'ECDSAInvalidSignatureLength',
      'ECDSAInvalidSignatureS',
      'ERC20ExceededSafeSupply',
      'ERC20InvalidApprover',
      'ERC5805FutureLookup',
      'ERC6372InconsistentClock',
      'Finer',
      'GovernorDisabledDeposit',
      'GovernorInvalidProposalLength',
      'GovernorInvalidQuorumFraction',
      'GovernorInvalidSignature',
      'GovernorInvalidVoteParams',
      'GovernorInvalidVoteType',
      'GovernorInvalidVotingPeriod',
      'GovernorPreventLateQuorumVoteExtensionTooLarge',
      'GovernorProposalQueueingFailed',
      'GovernorProposalQueueingNotRequired',
      'Infinity',
      'InvalidPoint',
      'InvalidShortString',
      'LongPage',
      'LongPath',
      'NotAllMembers',
      'SafeCastOverflowedUintDowncast',
      'StringTooLong',
      'TimelockInvalidOperationLength',
      'WrongLength',
    ],
    { text: 'the contract takes no such arguments', next: BUG },
  ),
}

export interface NamedRefusal extends Refusal {
  /** Name of the contract's error, and its arguments by their names. */
  facts: Facts
}

/** The contract's error in what an endpoint answered; undefined where there is none of these. */
export function refusedIn(cause: unknown): NamedRefusal | undefined {
  if (!(cause instanceof RpcRequestError) || !isHex(cause.data) || cause.data === '0x') {
    return undefined
  }
  try {
    const {
      errorName,
      abiItem,
      args = [],
    } = decodeErrorResult({
      abi: CONTRACT_ERRORS,
      data: cause.data,
    })
    const { text, next } = REFUSALS[errorName] as Refusal
    const given = abiItem.inputs.map(({ name }, i) => [name, plain(name, args[i])] as const)
    return { text, next, facts: { error: errorName, ...Object.fromEntries(given) } }
  } catch (error) {
    if (error instanceof AbiErrorSignatureNotFoundError) return undefined
    throw error
  }
}

/** Of a `reverted`. One without the contract's error is told in the endpoint's words. */
export function refusalOf({ cause, message, next, facts }: CairnError): NamedRefusal {
  return refusedIn(cause) ?? { text: message, next: next ?? BUG, facts }
}

/** A parameter's name is ASCII in 32 bytes. */
function plain(name: string, value: unknown): string | number | bigint {
  if (name === 'name') return hexToString(value as Hex).replace(/\0+$/, '')
  return typeof value === 'bigint' || typeof value === 'number' ? value : String(value)
}
