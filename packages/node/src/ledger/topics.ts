/** Names of topics and direct protocols: the one place that spells them. */
import { hex, type Kind } from '@cairn/protocol'

/** One shard is enough for the first networks; names carry it from the start. */
const SHARD = 0

export function kindTopic(network: Uint8Array, kind: Kind<unknown>): string {
  return `/cairn/${name(network)}/${SHARD}/${kind.name}`
}

export function kernelTopic(network: Uint8Array): string {
  return `/cairn/${name(network)}/${SHARD}/kernel`
}

export function dealsTopic(network: Uint8Array): string {
  return `/cairn/${name(network)}/${SHARD}/deals`
}

export function checkpointTopic(network: Uint8Array): string {
  return `/cairn/${name(network)}/checkpoint`
}

/** The first eight bytes of the network id name it in topics and protocols. */
function name(network: Uint8Array): string {
  return hex(network.slice(0, 8))
}
