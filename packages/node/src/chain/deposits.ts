/**
 * Events of `Deposits`, and what they make of each account. An account's key is the one that it
 * names first with a signature of that key, unless the key is another account's already.
 */
import { depositKeyRoot, depositsAbi } from '@cairn/contracts'
import { compareBytes, type DepositEntry, ed25519, hex, unhex } from '@cairn/protocol'
import { concat, parseEventLogs } from 'viem'
import type { BlockHeader } from '../ports.ts'
import type { EventSource, MinedLog } from './events.ts'

/** All of them count, also a naming that no follower takes. */
export type DepositsEvent = {
  readonly contract: 'deposits'
  readonly block: BlockHeader
  readonly account: Uint8Array
} & DepositChange

export type DepositChange =
  | { type: 'deposited' | 'requested' | 'withdrawn'; amount: bigint }
  /** `key` is undefined when it did not sign. */
  | { type: 'named'; key: Uint8Array | undefined }

export function depositsEvents(log: MinedLog, source: EventSource<'deposits'>): DepositsEvent[] {
  const block = source.headerOf(log)
  return parse(log).map(event => ({
    contract: 'deposits',
    block,
    account: unhex(event.args.account),
    ...changeOf(event, source),
  }))
}

/** By ascending account. */
export function depositEntries(events: readonly DepositsEvent[]): readonly DepositEntry[] {
  const entries = new Map<string, DepositEntry>()
  const named = new Set<string>()
  for (const event of events) {
    const name = hex(event.account)
    entries.set(name, changed(entries.get(name) ?? empty(event.account), event, named))
  }
  return [...entries.values()].sort((a, b) => compareBytes(a.account, b.account))
}

function parse(log: MinedLog) {
  return parseEventLogs({
    abi: depositsAbi,
    eventName: ['Deposited', 'WithdrawalRequested', 'Withdrawn', 'KeyNamed'],
    logs: [log],
  })
}

function changeOf(
  { eventName, args }: ReturnType<typeof parse>[number],
  { chainId, contracts, log }: EventSource<'deposits'>,
): DepositChange {
  switch (eventName) {
    case 'Deposited':
      return { type: 'deposited', amount: args.amount }
    case 'WithdrawalRequested':
      return { type: 'requested', amount: args.amount }
    case 'Withdrawn':
      return { type: 'withdrawn', amount: args.amount }
    case 'KeyNamed': {
      const key = unhex(args.key)
      const statement = {
        chainId: BigInt(chainId),
        deposits: unhex(contracts.deposits),
        account: unhex(args.account),
        key,
      }
      const signature = unhex(concat(args.signature))
      const good =
        ed25519.isValidKey(key) && ed25519.verify(depositKeyRoot(statement), key, signature)
      if (!good) log.warn({ account: args.account }, 'left out a deal key that did not sign')
      return { type: 'named', key: good ? key : undefined }
    }
  }
}

function empty(account: Uint8Array): DepositEntry {
  return { account, key: undefined, deposited: 0n, requested: 0n, requestedAt: 0n }
}

/** `named` has all keys that some account has, hexadecimal. */
function changed(entry: DepositEntry, event: DepositsEvent, named: Set<string>): DepositEntry {
  switch (event.type) {
    case 'deposited':
      return { ...entry, deposited: entry.deposited + event.amount }
    case 'requested':
      return { ...entry, requested: event.amount, requestedAt: event.block.number }
    case 'withdrawn': {
      const deposited = entry.deposited - event.amount
      return { ...entry, deposited, requested: 0n, requestedAt: 0n }
    }
    case 'named': {
      const { key } = event
      if (key === undefined || entry.key !== undefined || named.has(hex(key))) return entry
      named.add(hex(key))
      return { ...entry, key }
    }
  }
}
