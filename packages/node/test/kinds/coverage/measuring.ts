/** Nodes that measure each other over real sockets: an epoch that begins now, and what each says. */
import {
  type Libp2pNetwork,
  type Log,
  libp2pNetwork,
  Measured,
  Measurer,
  type Network,
  peerIdOf,
  type Signer,
  systemClock,
  type Voice,
} from '@cairn/node'
import {
  coverage,
  type Envelope,
  type EpochBase,
  ed25519,
  judge,
  type Kind,
  MessageSet,
  type Profile,
  peek,
  plainVerifier,
  type RegistryEntry,
  rulebook,
  seal,
  sha256,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import { baseOf, bytes32, entryOf } from '../../../../protocol/test/kinds/coverage/network.ts'
import { quietLog } from '../../network/world.ts'

/** Slots long enough for a busy machine to start and measure in; everybody is drawn at once. */
const PROFILE: Profile = { ...TESTNET_PROFILE, roundEpochs: 1, slotMs: 5_000 }
const EPOCH = 8
const EPOCH_S = (PROFILE.slotMs * PROFILE.slotsPerEpoch) / 1_000

const book = rulebook([coverage as unknown as Kind<unknown>])

function identitySecret(index: number): Uint8Array {
  return sha256(bytes32(index, 0x1a))
}

export function peerOf({ identity }: Pick<RegistryEntry, 'identity'>): string {
  return peerIdOf(identity)
}

/** The cell of each node; `startsAt`: of the epoch, s since 1970. */
export function measuringBase(cells: readonly bigint[], startsAt: number): EpochBase {
  const genesis = startsAt - EPOCH * EPOCH_S
  const registry = cells.map((cell, index) =>
    entryOf(index, {
      cell,
      region: 1,
      identity: ed25519.publicKey(identitySecret(index)),
      registeredAt: genesis - 1,
    }),
  )
  const state = { of: () => coverage.emptyState(), core: { deposits: [], activity: [] } }
  return baseOf({ epoch: EPOCH, profile: PROFILE, genesis, registry, state: state as never })
}

export interface MeasuringNode {
  readonly network: Libp2pNetwork
  readonly measured: Measured
  /** What was said and passed the rules. */
  readonly said: Envelope[]
  /** Answers the others, and measures those that the epoch draws this node for. */
  begin(): void
  stop(): Promise<void>
}

/** Started, and connected to whom it was told of. */
export async function measuringNode(
  base: EpochBase,
  index: number,
  { listen, bootstrap = [], log = quietLog() }: Listening,
): Promise<MeasuringNode> {
  const clock = systemClock()
  const secret = identitySecret(index)
  const network = libp2pNetwork(
    { clock, log },
    {
      secret,
      networkId: base.network,
      listen: [listen],
      bootstrap,
      privateAddresses: true,
      limits: { inboundPerSecond: 1_000, pendingInbound: 1_000 },
      scoring: { colocationWeight: 0 },
    },
  )
  const said: Envelope[] = []
  const signer = signerOf(index)
  const components = { clock, network, voice: voiceOf(index, said), signer, log, peerOf }
  const measured = new Measured(components)
  measured.add(components)
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))
  const measurer = new Measurer({ ...components, random }, { calendar: base })
  measured.start()
  await network.start()
  return {
    network,
    measured,
    said,
    begin() {
      measured.epoch(base)
      measurer.epoch(base)
    },
    async stop() {
      await measurer.stop()
      await network.stop()
    },
  }
}

interface Listening {
  /** Multiaddress. */
  listen: string
  bootstrap?: readonly string[]
  log?: Log
}

export function signerOf(index: number): Signer {
  const secret = identitySecret(index)
  return {
    identity: ed25519.publicKey(secret),
    voting: new Uint8Array(48),
    signIdentity: root => ed25519.sign(root, secret),
    signVoting: () => new Uint8Array(96),
  }
}

/** Signs, and keeps what any node of the epoch would let in. */
export function voiceOf(index: number, said: Envelope[]): Voice {
  return {
    index: base => (base.node(index) === undefined ? undefined : index),
    say: async (type, codec, base, value) => {
      const whole = { ...value, epoch: base.epoch, base: base.tag, author: index } as never
      const { signIdentity } = signerOf(index)
      const envelope = seal(type, codec, whole, base.network, signIdentity)
      const { verdict } = judged(envelope, base)
      if (verdict !== 'valid') throw new Error(`its own rules say ${verdict}`)
      said.push(envelope)
      return undefined
    },
    sign: () => Promise.reject(new Error('nothing is sealed')),
    relay: () => Promise.reject(new Error('nothing is relayed')),
  }
}

/** By the rules of the kind, without those of the clock. */
export function judged(envelope: Envelope, base: EpochBase) {
  const { rule, value } = peek(envelope, book)
  const known = new MessageSet()
  const verifier = plainVerifier
  return judge({ envelope, value, rule, base, known, verifier, slots: undefined })
}

/** A network on which only what is served counts. */
export function answering(): { network: Network; ask: Ask } {
  const served = new Map<string, (request: Uint8Array, from: string) => Promise<Uint8Array>>()
  const none = () => Promise.reject(new Error('nobody is asked'))
  const network: Network = {
    self: 'self',
    start: async () => {},
    stop: async () => {},
    peers: () => [],
    subscribe: () => {},
    unsubscribe: () => {},
    publish: async () => {},
    serve: (protocol, _, answer) => void served.set(protocol, answer),
    request: none,
    requestAsStranger: none,
  }
  return {
    network,
    ask: (protocol, request, from) =>
      served.get(protocol)?.(request, from) ?? Promise.reject(new Error('not served')),
  }
}

type Ask = (protocol: string, request: Uint8Array, from: string) => Promise<Uint8Array>
