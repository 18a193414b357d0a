import type { GossipSub } from '@chainsafe/libp2p-gossipsub'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify, identifyPush } from '@libp2p/identify'
import type { Ed25519PrivateKey, Libp2p } from '@libp2p/interface'
import { kadDHT, passthroughMapper, removePrivateAddressesMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { createLibp2p } from 'libp2p'
import type { Admission } from './admission.ts'
import type { Conduct } from './conduct.ts'
import type { Count } from './count.ts'
import { gossipService, type Scoring } from './gossip.ts'

/** What every node says of itself. */
export const NODE_INFO = { name: 'cairn', version: '0.1.0', userAgent: 'cairn/0.1.0' }

/** How long a dial may take, ms. */
export const DIAL_MS = 10_000

/**
 * Shortest time before an unanswered ping ends a connection, ms. libp2p's own would do it to peers
 * whose event loop was busy for a moment.
 */
const PING_TIMEOUT_MIN_MS = 10_000

export interface ConnectionLimits {
  /** Connections in all; libp2p prunes above. */
  connections?: number
  /** New connections per second from one address. */
  inboundPerSecond?: number
  /** Incoming connections that are not encrypted and multiplexed yet. */
  pendingInbound?: number
}

export interface HostInit {
  key: Ed25519PrivateKey
  /** Multiaddresses; port 0 takes a free one. */
  listen: readonly string[]
  /** Addresses that others should use instead of those listened on. */
  announce: readonly string[]
  /** First part of every protocol of this network, `/cairn/<network>`. */
  prefix: string
  /** Peers may tell each other private addresses: in one machine or one local network. */
  privateAddresses: boolean
  limits: ConnectionLimits
  scoring: Scoring
}

export type Host = Libp2p<{ gossip: GossipSub }>

/** The libp2p node, not started. */
export async function createHost(
  { conduct, admission, count }: { conduct: Conduct; admission: Admission; count: Count },
  { key, listen, announce, prefix, privateAddresses, limits, scoring }: HostInit,
): Promise<Host> {
  return createLibp2p({
    start: false,
    privateKey: key,
    nodeInfo: NODE_INFO,
    addresses: { listen: [...listen], announce: [...announce] },
    transports: [tcp()],
    connectionEncrypters: [noise(), tls()],
    streamMuxers: [yamux()],
    connectionGater: admission.gater(),
    connectionManager: {
      dialTimeout: DIAL_MS,
      ...(limits.connections === undefined ? {} : { maxConnections: limits.connections }),
      ...(limits.inboundPerSecond === undefined
        ? {}
        : { inboundConnectionThreshold: limits.inboundPerSecond }),
      ...(limits.pendingInbound === undefined
        ? {}
        : { maxIncomingPendingConnections: limits.pendingInbound }),
    },
    connectionMonitor: { pingTimeout: { minTimeout: PING_TIMEOUT_MIN_MS } },
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      ping: ping(),
      dht: kadDHT({
        protocol: `${prefix}/kad`,
        clientMode: false,
        peerInfoMapper: privateAddresses ? passthroughMapper : removePrivateAddressesMapper,
      }),
      gossip: gossipService({ conduct, count }, scoring),
    },
  })
}
