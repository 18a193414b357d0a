/** Logs of the two contracts as the view's events. Whatever an endpoint says is checked here. */
import {
  type ContractAddresses,
  checkpointsAbi,
  nodeRegistryAbi,
  registrationRoot,
} from '@cairn/contracts'
import {
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
import type { ChainEvent, RegistryChange } from './view.ts'

/** Those of `Checkpoints` that say which checkpoints there are, and all of the registry. */
const CHECKPOINT_EVENTS = ['Started', 'Accepted', 'Cancelled'] as const
const EVENTS = [
  ...CHECKPOINT_EVENTS,
  'Registered',
  'ExitRequested',
  'Withdrawn',
  'BondChanged',
  'PlaceChanged',
] as const

const ABI = [
  ...nodeRegistryAbi.filter(item => item.type === 'event'),
  ...checkpointsAbi.filter(item => item.type === 'event'),
] as const

/** A log of a block that is part of the chain. */
export type MinedLog = EventLog<bigint, number, false>

export interface Receipt {
  gasUsed: bigint
  from: Hex
}

export interface EventSource {
  chainId: number
  contracts: Pick<ContractAddresses, 'registry' | 'checkpoints'>
  log: Log
  headerOf(log: MinedLog): BlockHeader
  /** Undefined where it was not asked for. */
  receiptOf(transaction: Hex): Receipt | undefined
}

type ParsedLog = ReturnType<typeof parse>[number]
type RegisteredLog = Extract<ParsedLog, { eventName: 'Registered' }>
type AcceptedLog = Extract<ParsedLog, { eventName: 'Accepted' }>
type StartedLog = Extract<ParsedLog, { eventName: 'Started' }>
type RegistryChangeLog = Extract<
  ParsedLog,
  { eventName: 'ExitRequested' | 'Withdrawn' | 'BondChanged' | 'PlaceChanged' }
>

/** In the chain's order. Throws `badRpc` when a checkpoint is not the one of its root. */
export function chainEvents(logs: readonly MinedLog[], source: EventSource): ChainEvent[] {
  const { registry, checkpoints } = source.contracts
  return parse(logs)
    .toSorted((a, b) => Number(a.blockNumber - b.blockNumber) || a.logIndex - b.logIndex)
    .flatMap((log): ChainEvent[] => {
      const from = CHECKPOINT_EVENTS.some(name => name === log.eventName)
      if (!isAddressEqual(log.address, from ? checkpoints : registry)) return []
      const block = source.headerOf(log)
      if (log.eventName === 'Registered') {
        const { index } = log.args
        return [{ type: 'registered', block, index, entry: entryOf(log, block, source) }]
      }
      if (log.eventName === 'Started' || log.eventName === 'Accepted') {
        return [{ type: 'accepted', block, accepted: acceptedOf(log, block, source) }]
      }
      if (log.eventName === 'Cancelled') {
        return [{ type: 'cancelled', block, epoch: Number(log.args.epoch) }]
      }
      return [{ type: 'changed', block, index: log.args.index, change: changeOf(log) }]
    })
}

function parse(logs: readonly MinedLog[]) {
  return parseEventLogs({ abi: ABI, eventName: [...EVENTS], logs: [...logs] })
}

function changeOf(log: RegistryChangeLog): RegistryChange {
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
  }
}

/** Undefined when the identity key is no good or did not sign: no follower takes the node in. */
function entryOf(
  { args }: RegisteredLog,
  block: BlockHeader,
  { chainId, contracts, log }: EventSource,
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
  log: AcceptedLog | StartedLog,
  block: BlockHeader,
  { receiptOf }: EventSource,
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
