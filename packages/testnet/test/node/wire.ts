/** The containers of the direct protocols as they are on the wire, and peers that misuse them. */
import type { Network } from '@cairn/node'
import {
  Bytes32,
  ContainerType,
  decode,
  Envelope,
  equalBytes,
  ListDepth,
  listRoot,
  messageId,
  Uint8,
  Uint32,
  Uint64,
} from '@cairn/protocol'
import { ByteListType, ListCompositeType } from '@chainsafe/ssz'

const PAGE_MAX = 1024

export const EpochRequest = new ContainerType({
  epoch: Uint32,
  root: Bytes32,
  offset: Uint32,
  exact: Uint8,
})
export const EpochResponse = new ContainerType({
  root: Bytes32,
  total: Uint32,
  ids: new ListCompositeType(Bytes32, PAGE_MAX),
})
export const FetchRequest = new ContainerType({ ids: new ListCompositeType(Bytes32, PAGE_MAX) })
export const FetchResponse = new ContainerType({
  messages: new ListCompositeType(Envelope, PAGE_MAX),
})
export const StateRequest = new ContainerType({ root: Bytes32, offset: Uint32 })
export const StateResponse = new ContainerType({
  total: Uint32,
  bytes: new ByteListType(512 * 1024),
})
export const StatusResponse = new ContainerType({ time: Uint64, accepted: Uint32 })

type Answer = (request: Uint8Array, from: string) => Uint8Array | Promise<Uint8Array>

export interface Lies {
  epoch?: Answer
  fetch?: Answer
  state?: Answer
  status?: Answer
  /** Answers `epoch` with just these ids, whatever is asked. */
  set?: readonly Uint8Array[]
  /** Answers `fetch` with those of these that are asked for. */
  messages?: readonly Envelope[]
}

/** Serves the direct protocols as told. */
export function serveLies(network: Network, lies: Lies): void {
  const options = { maxRequestBytes: 64 * 1024, maxResponseBytes: 1024 * 1024, perSecond: 1_000 }
  const { set, messages } = lies
  const answers: Record<string, Answer | undefined> = {
    epoch:
      lies.epoch ??
      (set &&
        (request => {
          const { offset } = decode(EpochRequest, request)
          const ids = set.slice(offset, offset + PAGE_MAX)
          const root = listRoot(set, ListDepth.messages)
          return EpochResponse.serialize({ root, total: set.length, ids })
        })),
    fetch:
      lies.fetch ??
      (messages &&
        (request => {
          const { ids } = decode(FetchRequest, request)
          const asked = messages.filter(envelope => {
            const id = messageId(envelope)
            return ids.some(other => equalBytes(other, id))
          })
          return FetchResponse.serialize({ messages: asked })
        })),
    state: lies.state,
    status: lies.status,
  }
  for (const [protocol, answer] of Object.entries(answers)) {
    if (answer === undefined) continue
    network.serve(protocol, options, async (request, from) => await answer(request, from))
  }
}
