/** Events of `Parameters`, what they make together, and what the contract began with. */
import { parametersAbi, parameterWord } from '@cairn/contracts'
import { PARAMETERS, type ParameterChange } from '@cairn/protocol'
import {
  BaseError,
  ContractFunctionZeroDataError,
  type Hex,
  hexToString,
  parseEventLogs,
  RpcRequestError,
} from 'viem'
import type { BlockHeader } from '../ports.ts'
import type { EventSource, MinedLog } from './events.ts'
import { revertedWith } from './refusal.ts'
import type { Client } from './rpc.ts'

/** All of them count. With one that adds a parameter comes one that sets it. */
export type ParametersEvent = { readonly contract: 'parameters'; readonly block: BlockHeader } & (
  | { type: 'set'; name: string; value: bigint }
  | { type: 'added' }
)

export function parametersEvents(
  raw: MinedLog,
  { headerOf }: EventSource<'parameters'>,
): ParametersEvent[] {
  const block = headerOf(raw)
  const contract = 'parameters'
  return parse(raw).map(({ eventName, args }) => {
    if (eventName === 'ParameterAdded') return { contract, block, type: 'added' }
    return { contract, block, type: 'set', name: textOf(args.name), value: args.value }
  })
}

/** In the chain's order. */
export function parameterChanges(events: readonly ParametersEvent[]): readonly ParameterChange[] {
  return events.flatMap(event => {
    if (event.type === 'added') return []
    return [{ name: event.name, value: event.value, block: event.block.number }]
  })
}

/**
 * What the contract was deployed with of all that can be voted on; undefined where it is not there
 * yet or the endpoint refuses the call.
 * A parameter that was added later is left out: an event says what it began as.
 */
export async function readFounding(
  client: Client,
  address: Hex,
): Promise<ReadonlyMap<string, bigint> | undefined> {
  const contract = { address, abi: parametersAbi } as const
  try {
    const values = await Promise.all(
      PARAMETERS.map(async ({ name }) => {
        const word = parameterWord(name)
        const [least] = await client.readContract({
          ...contract,
          functionName: 'rangeOf',
          args: [word, 0n, 0n],
        })
        if (least > 0n) return [[name, least] as const]
        // 0 is the value of one that was added later, too.
        const initial = await client.readContract({
          ...contract,
          functionName: 'initial',
          args: [word],
        })
        return initial === 0n ? [[name, 0n] as const] : []
      }).map(found => found.catch(none)),
    )
    return new Map(values.flat())
  } catch (error) {
    if (error instanceof BaseError && error.walk(isRefusal)) return undefined
    throw error
  }
}

function parse(log: MinedLog) {
  return parseEventLogs({
    abi: parametersAbi,
    eventName: ['ParameterSet', 'ParameterAdded'],
    logs: [log],
  })
}

/** What is no text is no parameter's name, and is passed over as others are. */
function textOf(word: Hex): string {
  return hexToString(word).replace(/\0+$/, '')
}

/** Nothing where the contract has no parameter of this name. */
function none(error: unknown): [] {
  if (revertedWith(error) === 'UnknownParameter') return []
  throw error
}

/** No contract there yet, or an endpoint that does not answer the call. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ContractFunctionZeroDataError || error instanceof RpcRequestError
}
