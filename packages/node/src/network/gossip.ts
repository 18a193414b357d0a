/**
 * Gossipsub 1.1 for payloads that carry their own signature: nothing is signed a second time, and
 * the id of a message is the hash of all its bytes, its signature included, because gossipsub marks
 * an id as seen before it validates: an id without the signature would let a spoiled copy censor
 * the true message.
 */
import { ByteListType, ContainerType, check, sha256 } from '@cairn/protocol'
import { type GossipSub, gossipsub, TopicValidatorResult } from '@chainsafe/libp2p-gossipsub'
import {
  createTopicScoreParams,
  type PeerScoreParams,
  type TopicScoreParams,
} from '@chainsafe/libp2p-gossipsub/score'
import type { Connection } from '@libp2p/interface'
import type { Acceptance, Log } from '../ports.ts'
import type { Conduct } from './conduct.ts'
import type { Count } from './count.ts'
import { checkGossipSize, GOSSIP_MAX_BYTES } from './limits.ts'

/** Longest name of a topic, bytes. */
const TOPIC_MAX = 256

/** What the id of a gossip message is the hash of. */
const GossipMessage = new ContainerType(
  { topic: new ByteListType(TOPIC_MAX), data: new ByteListType(GOSSIP_MAX_BYTES) },
  { typeName: 'GossipMessage' },
)

/** Bytes that may wait for a peer that reads slowly; then its stream is aborted. */
const OUTBOUND_MAX_BYTES = 4 * 1024 * 1024

/** Longest transmission from a peer: the answer to one request for missed messages. */
const INBOUND_MAX_BYTES = 4 * 1024 * 1024

/** Of one kind, in one transmission. Peers of this network subscribe to tens of topics. */
const RPC_LIMITS = {
  maxSubscriptions: 256,
  maxMessages: 1_024,
  maxIhaveMessageIDs: 5_000,
  maxIwantMessageIDs: 5_000,
  maxControlMessages: 512,
  maxIdontwantMessageIDs: 512,
  maxPeerInfos: 16,
}

/** A peer keeps a promised message back for as long as a validator may take, ms. */
const PROMISE_MS = 10_000

/** Gossipsub's score is recomputed this often, ms; decays are per interval. */
const DECAY_INTERVAL_MS = 1_000

/** The share that is left of a counter after one interval, for it to halve in `ms`. */
const halvingIn = (ms: number) => 0.5 ** (DECAY_INTERVAL_MS / ms)

/**
 * What a peer gains and loses on one topic. Only what is invalid under the same base is rejected,
 * so honest peers never are: four such messages within ten minutes end at gossipsub's graylist
 * (-80 = 4^2 * -10 * 0.5). A topic may be silent for minutes, so missing deliveries cost nothing.
 */
const TOPIC_SCORE: Partial<TopicScoreParams> = {
  topicWeight: 0.5,
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 1_000,
  timeInMeshCap: 300,
  firstMessageDeliveriesWeight: 0.1,
  firstMessageDeliveriesDecay: halvingIn(60_000),
  firstMessageDeliveriesCap: 50,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: halvingIn(600_000),
}

const PEER_SCORE = {
  topicScoreCap: 10,
  appSpecificWeight: 1,
  behaviourPenaltyWeight: -1,
  behaviourPenaltyThreshold: 6,
  behaviourPenaltyDecay: halvingIn(60_000),
  decayInterval: DECAY_INTERVAL_MS,
  decayToZero: 0.01,
} satisfies Partial<PeerScoreParams>

/** Label of the topics this node is not in, whose names a stranger chooses. */
const OTHER_TOPICS = 'other'

/** Peers behind one address before each further one costs score. */
const COLOCATED_FREE = 10

const VERDICT = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} satisfies Record<Acceptance, TopicValidatorResult>

export interface Scoring {
  /**
   * What peers that share an address cost each other, 0 or less. 0 where many honest nodes do: a
   * testnet, or many nodes behind one NAT.
   */
  colocationWeight: number
}

export type Validate = (data: Uint8Array, from: string) => Promise<Acceptance>

/** What of gossipsub's inside is needed and is not in its types. */
interface Inside {
  opts: { scoreParams: PeerScoreParams }
  score: { score(peer: string): number }
}

/** The libp2p service. */
export function gossipService(
  { conduct, count }: { conduct: Conduct; count: Count },
  scoring: Scoring,
) {
  return gossipsub({
    globalSignaturePolicy: 'StrictNoSign',
    msgIdFn: message =>
      sha256(
        GossipMessage.serialize({
          topic: new TextEncoder().encode(message.topic),
          data: message.data,
        }),
      ),
    dataTransform: {
      inboundTransform: (topic, data) => inboundTransform(topic, data, count),
      outboundTransform: (_, data) => data,
    },
    scoreParams: {
      ...PEER_SCORE,
      appSpecificScore: peer => conduct.score(peer),
      IPColocationFactorWeight: scoring.colocationWeight,
      IPColocationFactorThreshold: COLOCATED_FREE,
    },
    scoreThresholds: { opportunisticGraftThreshold: 1 },
    fallbackToFloodsub: false,
    floodPublish: false,
    emitSelf: false,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    maxInboundDataLength: INBOUND_MAX_BYTES,
    maxOutboundBufferSize: OUTBOUND_MAX_BYTES,
    decodeRpcLimits: RPC_LIMITS,
    gossipsubIWantFollowupMs: PROMISE_MS,
  })
}

/** Before anything is hashed or remembered; what this throws costs the sender score. */
function inboundTransform(topic: string, data: Uint8Array, count: Count): Uint8Array {
  try {
    checkGossipSize(data)
    check(Buffer.byteLength(topic) <= TOPIC_MAX, 'tooLarge', 'a long topic')
  } catch (error) {
    count('gossip', { topic: OTHER_TOPICS, outcome: 'tooLarge' })
    throw error
  }
  return data
}

interface GossipComponents {
  log: Log
  count: Count
}

/** Topics, kept over restarts of the service that carries them. */
export class Gossip {
  readonly #components: GossipComponents
  readonly #topics = new Map<string, Validate>()
  #service: GossipSub | undefined

  constructor(components: GossipComponents) {
    this.#components = components
  }

  /** Joins the topics on a service that has started. */
  attach(service: GossipSub): void {
    this.#service = service
    // Messages of topics this node is not in would be kept and relayed without a judgement.
    service.topicValidators = new OnlyThese(() => {
      this.#components.count('gossip', { topic: OTHER_TOPICS, outcome: 'ignore' })
      return TopicValidatorResult.Ignore
    })
    for (const [topic, validate] of this.#topics) this.#join(service, topic, validate)
  }

  detach(): void {
    this.#service = undefined
  }

  subscribe(topic: string, validate: Validate): void {
    this.#topics.set(topic, validate)
    if (this.#service !== undefined) this.#join(this.#service, topic, validate)
  }

  unsubscribe(topic: string): void {
    if (!this.#topics.delete(topic)) return
    this.#service?.unsubscribe(topic)
    this.#service?.topicValidators.delete(topic)
  }

  async publish(topic: string, data: Uint8Array): Promise<void> {
    checkGossipSize(data)
    if (this.#service === undefined) return
    const { recipients } = await this.#service.publish(topic, data)
    const sent = data.length * recipients.length
    this.#components.count('bytes', { channel: 'gossip', direction: 'out' }, sent)
  }

  /** Gossipsub's score of a peer: 0 for a new one, below -80 and it is not listened to. */
  score(peer: string): number {
    if (this.#service === undefined) return 0
    return inside(this.#service).score.score(peer)
  }

  #join(service: GossipSub, topic: string, validate: Validate): void {
    // Without parameters of its own a topic's rejects cost nothing.
    inside(service).opts.scoreParams.topics[topic] = createTopicScoreParams(TOPIC_SCORE)
    service.topicValidators.set(topic, async (peer, message) => {
      return VERDICT[await this.#judge(topic, validate, message.data, peer.toString())]
    })
    service.subscribe(topic)
  }

  async #judge(
    topic: string,
    validate: Validate,
    data: Uint8Array,
    from: string,
  ): Promise<Acceptance> {
    const { count, log } = this.#components
    count('bytes', { channel: 'gossip', direction: 'in' }, data.length)
    try {
      const outcome = await validate(data, from)
      count('gossip', { topic, outcome })
      return outcome
    } catch (err) {
      // Our fault, not the sender's: neither relay nor punish.
      log.error({ err, topic }, 'a gossip message could not be judged')
      count('gossip', { topic, outcome: 'failed' })
      return 'ignore'
    }
  }
}

/** Whether a connection has a stream on which gossip goes out to the peer. */
export function gossips(connection: Connection): boolean {
  return connection.streams.some(
    stream => stream.direction === 'outbound' && isGossip(stream.protocol),
  )
}

export function isGossip(protocol: string): boolean {
  return protocol.startsWith('/meshsub/')
}

type TopicValidators = GossipSub['topicValidators']
type TopicValidator = NonNullable<ReturnType<TopicValidators['get']>>

/** The validators of the topics this node is in, and one for all others. */
class OnlyThese extends Map<string, TopicValidator> {
  readonly #other: TopicValidator

  constructor(other: TopicValidator) {
    super()
    this.#other = other
  }

  override get(topic: string): TopicValidator {
    return super.get(topic) ?? this.#other
  }
}

function inside(service: GossipSub): Inside {
  return service as unknown as Inside
}
