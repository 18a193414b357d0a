/**
 * Logs of the followed contracts as the view's events. Whatever an endpoint says is checked here. A
 * log is read by the interface of the contract at its address: other contracts may have events of
 * the same name and form.
 */
import { checkpointsAbi, keyOfWords, nodeRegistryAbi, registrationRoot } from '@cairn/contracts'
import {
  bls,
  Checkpoint,
  check,
  checkpointRoot,
  decode,
  ed25519,
  equalBytes,
  GENESIS_EPOCH,
  hex,
  type RegistryEntry,
  unhex,
} from '@cairn/protocol'
import { concat, type Log as EventLog, type Hex, isAddressEqual, parseEventLogs } from 'viem'
import type { AcceptedCheckpoint, BlockHeader, Log } from '../ports.ts'
import { depositsEvents } from './deposits.ts'
import { FOLLOWED, type Followed, type FollowedContracts } from './followed.ts'
import { parametersEvents } from './parameters.ts'
import type { ChainEvent, CheckpointsEvent, RegistryChange, RegistryEvent } from './view.ts'

/** A log of a block that is part of the chain. */
export type MinedLog = EventLog<bigint, number, false>

export interface Receipt {
  gasUsed: bigint
  from: Hex
}

export interface EventSource<C extends Followed = Followed> {
  chainId: number
  contracts: Pick<FollowedContracts, C>
  log: Log
  headerOf(log: MinedLog): BlockHeader
  /** Undefined where it was not asked for. */
  receiptOf(transaction: Hex): Receipt | undefined
}

type RegistryLog = ReturnType<typeof registryLogs>[number]
type RegisteredLog = Extract<RegistryLog, { eventName: 'Registered' }>
type CheckpointsLog = ReturnType<typeof checkpointsLogs>[number]
type AcceptedLog = Extract<CheckpointsLog, { eventName: 'Started' | 'Accepted' }>

/** What a log of each contract says; nothing where it is none that decides anything. */
const READERS: Record<Followed, (log: MinedLog, source: EventSource) => ChainEvent[]> = {
  registry: registryEvents,
  checkpoints: checkpointsEvents,
  deposits: depositsEvents,
  parameters: parametersEvents,
}

/** In the chain's order. Throws `badRpc` when a checkpoint is not the one of its root. */
export function chainEvents(logs: readonly MinedLog[], source: EventSource): ChainEvent[] {
  return logs
    .toSorted((a, b) => Number(a.blockNumber - b.blockNumber) || a.logIndex - b.logIndex)
    .flatMap(log => {
      const from = FOLLOWED.find(name => isAddressEqual(log.address, source.contracts[name]))
      return from === undefined ? [] : READERS[from](log, source)
    })
}

export function registryEvents(raw: MinedLog, source: EventSource<'registry'>): RegistryEvent[] {
  const block = source.headerOf(raw)
  const contract = 'registry'
  return registryLogs(raw).map(log => {
    const { index } = log.args
    if (log.eventName !== 'Registered') {
      return { contract, type: 'changed', block, index, change: changeOf(log) }
    }
    return { contract, type: 'registered', block, index, entry: entryOf(log, block, source) }
  })
}

function checkpointsEvents(raw: MinedLog, source: EventSource<'checkpoints'>): CheckpointsEvent[] {
  const block = source.headerOf(raw)
  const contract = 'checkpoints'
  return checkpointsLogs(raw).map(log => {
    switch (log.eventName) {
      case 'Cancelled':
        return { contract, type: 'cancelled', block, epoch: Number(log.args.epoch) }
      case 'FallbackOpened':
        return { contract, type: 'windowOpened', block, end: Number(log.args.end) }
      case 'CheckedIn': {
        const { node, place, weight } = log.args
        const key = keyOfWords(log.args.key)
        check(bls.isValidKey(key), 'badRpc', 'an endpoint sent no key of a node')
        // The contract's weights are bounded; what is not fits no committee.
        check(weight <= Number.MAX_SAFE_INTEGER, 'badRpc', 'an endpoint sent no weight of a node')
        const checkedIn = { node, key, weight: Number(weight) }
        return { contract, type: 'checkedIn', block, place, checkedIn }
      }
      case 'CommitteeSet': {
        const { epoch, word } = log.args
        return { contract, type: 'committeeSet', block, epoch: Number(epoch), word: unhex(word) }
      }
      default:
        return { contract, type: 'accepted', block, accepted: acceptedOf(log, block, source) }
    }
  })
}

function registryLogs(log: MinedLog) {
  return parseEventLogs({
    abi: nodeRegistryAbi,
    eventName: [
      'Registered',
      'ExitRequested',
      'Withdrawn',
      'BondChanged',
      'PlaceChanged',
      'PayoutChanged',
      'KindsChanged',
    ],
    logs: [log],
  })
}

/** Those that say which checkpoints there are, and who signs the next. */
function checkpointsLogs(log: MinedLog) {
  return parseEventLogs({
    abi: checkpointsAbi,
    eventName: ['Started', 'Accepted', 'Cancelled', 'FallbackOpened', 'CheckedIn', 'CommitteeSet'],
    logs: [log],
  })
}

function changeOf(log: Exclude<RegistryLog, RegisteredLog>): RegistryChange {
  switch (log.eventName) {
    case 'ExitRequested':
      return { exitAt: Number(log.args.exitAt) }
    case 'Withdrawn':
      return { bond: 0n }
    case 'BondChanged':
      return { bond: log.args.bond }
    case 'PlaceChanged': {
      const { cell, region, subBand, gain } = log.args
      return { cell, region, subBand, gain }
    }
    case 'PayoutChanged':
      return { payout: unhex(log.args.payout) }
    case 'KindsChanged':
      return { kinds: log.args.kinds }
  }
}

/** Undefined when the identity key is no good or did not sign: no follower takes the node in. */
function entryOf(
  { args }: RegisteredLog,
  block: BlockHeader,
  { chainId, contracts, log }: EventSource<'registry'>,
): RegistryEntry | undefined {
  const { registration, index } = args
  const operator = unhex(args.operator)
  const identity = unhex(registration.identity)
  const voting = unhex(args.voting)
  const root = registrationRoot({
    chainId: BigInt(chainId),
    registry: unhex(contracts.registry),
    identity,
    voting,
    operator,
  })
  const signature = unhex(concat(args.identitySignature))
  if (!ed25519.isValidKey(identity) || !ed25519.verify(root, identity, signature)) {
    log.warn({ index, operator: args.operator }, 'left out a node whose identity did not sign')
    return undefined
  }
  return {
    index,
    operator,
    payout: unhex(registration.payout),
    identity,
    voting,
    cell: registration.cell,
    region: registration.region,
    subBand: registration.subBand,
    gain: registration.gain,
    kinds: registration.kinds,
    nonceEnd: unhex(registration.nonceEnd),
    bond: registration.bond,
    registeredAt: block.timestamp,
    exitAt: 0,
  }
}

function acceptedOf(
  log: AcceptedLog,
  block: BlockHeader,
  { receiptOf }: EventSource<'checkpoints'>,
): AcceptedCheckpoint {
  const receipt = receiptOf(log.transactionHash)
  const checkpoint = unhex(log.args.checkpoint)
  const { epoch } = decode(Checkpoint, checkpoint)
  const root = unhex(log.args.root)
  check(
    equalBytes(root, checkpointRoot(decode(Checkpoint, checkpoint))),
    'badRpc',
    `an endpoint sent a checkpoint that is not the one of root ${hex(root)}`,
  )
  const started = log.eventName === 'Started'
  const nobody: Hex = `0x${'00'.repeat(20)}`
  return {
    epoch: epoch === GENESIS_EPOCH ? -1 : Number(epoch),
    root,
    checkpoint,
    round: started ? 0 : Number(log.args.round),
    block,
    transaction: log.transactionHash,
    submitter: unhex(started ? (receipt?.from ?? nobody) : log.args.submitter),
    gasUsed: receipt?.gasUsed ?? 0n,
  }
}
