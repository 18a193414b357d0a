/** Nodes that measure each other over real sockets: an epoch that begins now, and what each says. */
import {
  type Libp2pNetwork,
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
  cellCentre,
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
  planHolds,
  REGIONAL_PLANS,
  type RegistryEntry,
  rulebook,
  seal,
  sha256,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import { baseOf, bytes32, entryOf } from '../../../../protocol/test/kinds/coverage/network.ts'
import { quietLog } from '../../network/world.ts'

const EPOCH = 8
/** Long enough for a busy machine to start and measure in. */
const SLOT_MS = 5_000

const book = rulebook([coverage as unknown as Kind<unknown>])

function identitySecret(index: number): Uint8Array {
  return sha256(bytes32(index, 0x1a))
}

export function peerIdOfNode(index: number): string {
  return peerIdOf(signerOf(index).identity)
}

export function peerOf({ identity }: Pick<RegistryEntry, 'identity'>): string {
  return peerIdOf(identity)
}

export interface MeasuringInit {
  /** Of the epoch, s since 1970. */
  startsAt: number
  slotMs?: number
}

/** An epoch in which everybody is drawn, of nodes in these cells. */
export function measuringBase(
  cells: readonly bigint[],
  { startsAt, slotMs = SLOT_MS }: MeasuringInit,
): EpochBase {
  const profile: Profile = { ...TESTNET_PROFILE, roundEpochs: 1, slotMs }
  const genesis = startsAt - (EPOCH * slotMs * profile.slotsPerEpoch) / 1_000
  const registry = cells.map((cell, index) =>
    entryOf(index, {
      cell,
      region: REGIONAL_PLANS.find(plan => planHolds(plan, cellCentre(cell)))?.code ?? 0,
      identity: ed25519.publicKey(identitySecret(index)),
      registeredAt: genesis - 1,
    }),
  )
  const state = { of: () => coverage.emptyState(), core: { activity: [] } }
  return baseOf({ epoch: EPOCH, profile, genesis, registry, state: state as never })
}

export interface MeasuringNode {
  readonly network: Libp2pNetwork
  /** Answers the others, and measures those that the epoch draws this node for. */
  begin(base: EpochBase): void
  stop(): Promise<void>
}

interface Listening {
  /** Multiaddress. */
  listen: string
  bootstrap?: readonly string[]
  /** Given what was said and passed the rules. */
  say(envelope: Envelope): void
}

/** Started, and on its way to whom it was told of. */
export async function measuringNode(
  index: number,
  { listen, bootstrap = [], say }: Listening,
): Promise<MeasuringNode> {
  const clock = systemClock()
  const log = quietLog()
  const network = libp2pNetwork(
    { clock, log },
    {
      secret: identitySecret(index),
      networkId: baseOf().network,
      listen: [listen],
      bootstrap,
      privateAddresses: true,
      limits: { inboundPerSecond: 1_000, pendingInbound: 1_000 },
      scoring: { colocationWeight: 0 },
    },
  )
  const voice = voiceOf(index, say)
  const components = { clock, network, voice, signer: signerOf(index), log, peerOf }
  const measured = new Measured(components)
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))
  let measurer: Measurer | undefined
  measured.add(components)
  measured.start()
  await network.start()
  return {
    network,
    begin(base) {
      measurer = new Measurer({ ...components, random }, { calendar: base })
      measured.epoch(base)
      measurer.epoch(base)
    },
    async stop() {
      await measurer?.stop()
      await network.stop()
    },
  }
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

/** Signs, and gives on what any node of the epoch would let in. */
export function voiceOf(index: number, give: (envelope: Envelope) => void): Voice {
  return {
    index: base => (base.node(index) === undefined ? undefined : index),
    say: async (type, codec, base, value) => {
      const whole = { ...value, epoch: base.epoch, base: base.tag, author: index } as never
      const { signIdentity } = signerOf(index)
      const envelope = seal(type, codec, whole, base.network, signIdentity)
      const { verdict } = judged(envelope, base)
      if (verdict !== 'valid') throw new Error(`its own rules say ${verdict}`)
      give(envelope)
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
