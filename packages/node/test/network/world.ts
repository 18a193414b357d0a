/** Real nodes over loopback for the tests of the network. */
import {
  type Clock,
  type Libp2pNetwork,
  type Libp2pNetworkInit,
  type Log,
  libp2pNetwork,
  type NetworkWorldInit,
  systemClock,
} from '@cairn/node'

export const clock = systemClock()

/** Keeps errors, which no test expects unless it says so. */
export function quietLog(errors: object[] = []): Log {
  const log: Log = {
    error: facts => void errors.push(facts),
    warn: () => {},
    info: () => {},
    debug: () => {},
    child: () => log,
  }
  return log
}

const NETWORK_ID = new Uint8Array(32).fill(0xca)

let made = 0

/** A secret that no other node of this process has. */
export function freshSecret(): Uint8Array {
  const secret = new Uint8Array(32).fill(1)
  new DataView(secret.buffer).setUint32(0, process.pid)
  new DataView(secret.buffer).setUint32(4, ++made)
  return secret
}

export function node(
  init: Partial<Libp2pNetworkInit> = {},
  components: { clock?: Clock; log?: Log } = {},
): Libp2pNetwork {
  return libp2pNetwork(
    { clock, log: quietLog(), ...components },
    {
      secret: freshSecret(),
      networkId: NETWORK_ID,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      privateAddresses: true,
      limits: { inboundPerSecond: 1_000, pendingInbound: 1_000 },
      scoring: { colocationWeight: 0 },
      ...init,
    },
  )
}

/** A hub and nodes that know it from the start, or a line; all started. */
export async function network({ nodes: count, line = false }: NetworkWorldInit) {
  const secrets = Array.from({ length: count }, freshSecret)
  const hub = node({ secret: secrets[0] as Uint8Array })
  await hub.start()
  const nodes = [hub]
  for (const secret of secrets.slice(1)) {
    const known = line ? (nodes.at(-1) as Libp2pNetwork) : hub
    const next = node({ secret, bootstrap: known.addresses() })
    nodes.push(next)
    // Before they can meet: the DHT makes everybody known to everybody.
    if (line) {
      const apart = nodes.slice(0, -2)
      next.isolate(apart.map(({ self }) => self))
    }
    await next.start()
    await met(next, known)
  }
  return {
    nodes,
    clock,
    pass: (ms: number) => clock.until(clock.now() + ms),
    async stop() {
      await Promise.all(nodes.map(node => node.stop()))
    },
  }
}

export async function met(a: Libp2pNetwork, b: Libp2pNetwork): Promise<void> {
  await until(() => a.peers().includes(b.self) && b.peers().includes(a.self), 'two nodes meet')
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = clock.now() + 20_000
  while (!condition()) {
    if (clock.now() > end) throw new Error(`not within 20 s: ${what}`)
    await clock.until(clock.now() + 10)
  }
}
