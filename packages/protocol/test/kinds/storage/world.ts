/** Values for the tests of storage: nodes with real keys, pieces with real proofs, signed deals. */
import {
  type AskedLeaf,
  type Attestation,
  Audit,
  answerDigest,
  answerPath,
  auditEnvelope,
  auditSigningRoot,
  type Challenge,
  challengeRecords,
  Deal,
  DealEnd,
  Delegation,
  type Deposit,
  dealEndEnvelope,
  dealEndSigningRoot,
  dealEnvelope,
  dealId,
  dealSigningRoot,
  deliveredSigningRoot,
  type Envelope,
  type EpochBase,
  type EpochBaseInit,
  type EpochMessage,
  ed25519,
  emptyState,
  emptyStorageState,
  epochBase,
  foundLeaf,
  hashPiece,
  hex,
  judgeProof,
  LEAVES_PER_CHALLENGE,
  type LeafAnswer,
  leafProof,
  MessageSet,
  MessageType,
  messageId,
  messageSigningRoot,
  type Payout,
  type Piece,
  pieceKey,
  proofRoot,
  Receipt,
  type RegistryEntry,
  Seal,
  type SettleInput,
  STORAGE,
  State,
  type StorageProof,
  StorageReason,
  type StorageState,
  StrangerFetch,
  sealedWrong,
  storageEvidence,
  storageKind,
  storageQuestion,
  subtreeRange,
  TESTNET_PROFILE,
  TOKEN,
  upperTree,
  Verdict,
} from '@cairn/protocol'
import {
  Attestation as AttestationType,
  Challenge as ChallengeType,
} from '../../../src/messages.ts'
import { pattern } from '../../piece/vectors.ts'

export const NETWORK = new Uint8Array(32).fill(9)
const GENESIS = 1_700_000_000
export const EPOCH = 10

export function bytes32(number: number, fill = 0): Uint8Array {
  const bytes = new Uint8Array(32).fill(fill)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

export const nodeSecret = (index: number) => bytes32(index, 1)
export const clientSecret = (number: number) => bytes32(number, 2)
export const clientKey = (number: number) => ed25519.publicKey(clientSecret(number))

export function entryOf(index: number, change: Partial<RegistryEntry> = {}): RegistryEntry {
  return {
    index,
    operator: bytes32(index, 3).slice(0, 20),
    payout: bytes32(index, 4).slice(0, 20),
    identity: ed25519.publicKey(nodeSecret(index)),
    voting: new Uint8Array(48).fill(index),
    cell: 0n,
    region: 0,
    subBand: 0,
    gain: 0,
    kinds: 1 << STORAGE,
    nonceEnd: bytes32(index, 5),
    bond: 100n * TOKEN,
    registeredAt: GENESIS - 1,
    exitAt: 0,
    ...change,
  }
}

export const registry = (count: number) => Array.from({ length: count }, (_, i) => entryOf(i))

export function deposit(client: number, amount: bigint): Deposit {
  return { account: bytes32(client, 8).slice(0, 20), key: clientKey(client), amount }
}

export interface BaseInit extends Partial<Omit<EpochBaseInit, 'state'>> {
  state?: StorageState
  payouts?: Payout[]
}

export function baseOf({ state, payouts = [], ...init }: BaseInit = {}): EpochBase {
  const kinds = [storageKind]
  const { core } = emptyState(kinds)
  return epochBase({
    epoch: EPOCH,
    network: NETWORK,
    profile: TESTNET_PROFILE,
    genesis: GENESIS,
    block: { number: 1n, hash: bytes32(1, 6) },
    seed: bytes32(4, 7),
    earlierSeeds: new Map(),
    registry: registry(8),
    stateEpoch: -1,
    deposits: [deposit(1, 1_000_000n), deposit(2, 1_000_000n)],
    ...init,
    state: new State(
      { ...core, payouts },
      kinds,
      new Map([[STORAGE, state ?? storageKind.emptyState()]]),
    ),
  })
}

const payloads = new Map<string, Uint8Array>()

/** A piece whose payload these tests can prove. */
export function pieceOf(length: number, seed = 1): Piece {
  const payload = pattern(length, seed)
  const { piece } = hashPiece(payload)
  payloads.set(pieceKey(piece), payload)
  return piece
}

export function dealOf(change: Partial<Deal> = {}): Deal {
  return {
    client: clientKey(1),
    provider: 0,
    piece: pieceOf(1_000),
    group: bytes32(1, 9),
    place: 0,
    startEpoch: EPOCH,
    endEpoch: EPOCH + 100,
    pricePerEpoch: 100n,
    nonce: 1n,
    ...change,
  }
}

/** A state that carries these deals, in order of id. */
export function stateOf(
  deals: Deal[],
  quotients: StorageState['quotients'] = [],
  more: Partial<StorageState> = {},
): StorageState {
  const key = (deal: Deal) => hex(dealId(deal))
  const sorted = deals.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
  return { ...emptyStorageState(), ...more, deals: sorted, quotients }
}

export function signDeal(
  deal: Deal,
  { client = 1, network = NETWORK }: { client?: number; network?: Uint8Array } = {},
): Envelope {
  const root = dealSigningRoot(deal, network)
  return dealEnvelope(deal, {
    client: ed25519.sign(root, clientSecret(client)),
    provider: ed25519.sign(root, nodeSecret(deal.provider)),
  })
}

export function signEnd(
  deal: Deal,
  { client = 1, network = NETWORK }: { client?: number; network?: Uint8Array } = {},
): Envelope {
  const end = { deal: dealId(deal) }
  const root = dealEndSigningRoot(end, network)
  return dealEndEnvelope(end, {
    client: ed25519.sign(root, clientSecret(client)),
    provider: ed25519.sign(root, nodeSecret(deal.provider)),
  })
}

/** An audit of one leaf, signed by a client that may be another than the deal's. */
export function signAudit(
  audit: Audit,
  { client = 1, network = NETWORK }: { client?: number; network?: Uint8Array } = {},
): Envelope {
  const root = auditSigningRoot(audit, network)
  return auditEnvelope(audit, ed25519.sign(root, clientSecret(client)))
}

export function auditOf(deal: Deal, change: Partial<Audit> = {}): Audit {
  return { client: deal.client, deal: dealId(deal), leaf: 5, epoch: EPOCH, ...change }
}

/** What provider `author` says that it delivered to a client by now, with the client's signature. */
export function receiptOf(
  base: EpochBase,
  { author = 0, client = 1, bytes }: { author?: number; client?: number; bytes: bigint },
): Receipt {
  const delivered = { client: clientKey(client), provider: author, bytes }
  const root = deliveredSigningRoot(delivered, base.network)
  return {
    epoch: base.epoch,
    base: base.tag,
    kind: STORAGE,
    author,
    client: delivered.client,
    bytes,
    signature: ed25519.sign(root, clientSecret(client)),
  }
}

export interface Asked {
  id: Uint8Array
  value: Challenge
  question: AskedLeaf[]
}

/** The challenge of the duty's challenger at `order`; another in each epoch. */
export function challengeOf(base: EpochBase, target: number, order = 0): Asked {
  const author = base.duty(STORAGE, target).challengers[order] as number
  const output = new Uint8Array(96).fill(100 + order)
  output[0] = 100 + order + base.epoch - EPOCH
  const { epoch, tag } = base
  const value: Challenge = { epoch, base: tag, kind: STORAGE, author, target, output }
  const id = messageId({ type: MessageType.challenge, body: ChallengeType.serialize(value) })
  return { id, value, question: storageQuestion(value, base) }
}

/** A whole and right answer, but for the places that `missing` or `wrong` name. */
export function answerOf(
  question: readonly AskedLeaf[],
  { missing = [], wrong = [] }: { missing?: number[]; wrong?: number[] } = {},
): StorageProof {
  return question.map(({ deal, leaf }, place) => {
    if (missing.includes(place)) return []
    const { piece } = deal.deal
    const whole = payloads.get(pieceKey(piece)) as Uint8Array
    const { subtrees } = hashPiece(whole)
    const { offset, length } = subtreeRange(piece, leaf)
    const payload = whole.slice(offset, offset + length)
    const answer = foundLeaf(leafProof({ tree: upperTree(piece, subtrees), index: leaf, payload }))
    if (wrong.includes(place)) answer[0] = bytes32(place, 0x11)
    return answer
  })
}

export interface Sealed {
  seal: Seal
  signature: Uint8Array
}

export function sealOf(base: EpochBase, { id, value }: Asked, proof: StorageProof): Sealed {
  const { epoch, tag } = base
  const author = value.target
  const seal = {
    epoch,
    base: tag,
    kind: STORAGE,
    author,
    challenge: id,
    proofRoot: proofRoot(proof),
  }
  const body = Seal.serialize(seal)
  const root = messageSigningRoot({ type: MessageType.seal, body }, base.network)
  return { seal, signature: ed25519.sign(root, nodeSecret(author)) }
}

export function attestationOf(
  base: EpochBase,
  asked: Asked,
  author: number,
  change: Partial<Attestation>,
): Attestation {
  const { epoch, tag } = base
  return {
    epoch,
    base: tag,
    kind: STORAGE,
    author,
    challenge: asked.id,
    seenSlot: storageKind.revealSlot(base, 0, asked.value.output),
    verdict: Verdict.pass,
    reason: StorageReason.ok,
    evidence: new Uint8Array(0),
    ...change,
  }
}

export const ALL_PLACES = Array.from({ length: LEAVES_PER_CHALLENGE }, (_, place) => place)

/** Of as many leaves as were asked, those at these places were answered right. */
export function rightAt(places: readonly number[], asked = LEAVES_PER_CHALLENGE): boolean[] {
  return Array.from({ length: asked }, (_, place) => places.includes(place))
}

/** A pass, or `leafMissing` where not all new leaves are right, with a fitting digest. */
export function sawOf(
  base: EpochBase,
  asked: Asked,
  author: number,
  { seal, right }: { seal: Seal; right?: number[] },
): Attestation {
  const answered = asked.question.map((_, place) => right?.includes(place) ?? true)
  const all = answered.slice(0, LEAVES_PER_CHALLENGE).every(yes => yes)
  return attestationOf(base, asked, author, {
    verdict: all ? Verdict.pass : Verdict.inconclusive,
    reason: all ? StorageReason.ok : StorageReason.leafMissing,
    evidence: storageEvidence(answerDigest(author, seal.proofRoot), answered),
  })
}

export interface SawWrong {
  proof: StorageProof
  sealed: Sealed
  /** Of a wrong leaf. */
  place: number
  right?: number[]
}

/** A fail over one of the wrong leaves of an answer. */
export function sawWrongOf(
  base: EpochBase,
  asked: Asked,
  author: number,
  { proof, sealed, place, right }: SawWrong,
): Attestation {
  const judged = judgeProof(asked.question, proof)
  const answered = judged.map((found, at) => right?.includes(at) ?? found === 'right')
  const answer = proof[place] as LeafAnswer
  const path = answerPath(proof, place)
  return attestationOf(base, asked, author, {
    verdict: Verdict.fail,
    reason: StorageReason.wrongLeaf,
    evidence: sealedWrong({ ...sealed, place, answer, path }, answered),
  })
}

export interface Message {
  envelope: Envelope
  value: unknown
  kind: number | 'standing'
  subject: string
}

/** Unsigned: settlement is given messages that were judged before. */
export function message(
  type: MessageType,
  value:
    | Challenge
    | Attestation
    | Seal
    | Deal
    | DealEnd
    | Audit
    | Receipt
    | StrangerFetch
    | Delegation,
): Message {
  const codec = {
    [MessageType.challenge]: ChallengeType,
    [MessageType.attestation]: AttestationType,
    [MessageType.seal]: Seal,
    [MessageType.deal]: Deal,
    [MessageType.dealEnd]: DealEnd,
    [MessageType.audit]: Audit,
    [MessageType.receipt]: Receipt,
    [MessageType.strangerFetch]: StrangerFetch,
    [MessageType.delegation]: Delegation,
  }[type as number] as typeof ChallengeType
  const body = codec.serialize(value as Challenge)
  const id = hex(messageId({ type, body }))
  const author = 'author' in value ? value.author : 0
  const rule = storageKind.messages.find(known => known.type === type)
  const about =
    'challenge' in value ? hex(value.challenge) : (rule?.subject(value as EpochMessage) ?? id)
  return {
    envelope: { type, body, signature: new Uint8Array(64) },
    value,
    kind: storageKind.standing.some(rule => rule.type === type) ? 'standing' : STORAGE,
    subject: `${type}/${author}/${about}`,
  }
}

function setOf(messages: readonly Message[]): MessageSet {
  const set = new MessageSet()
  for (const { envelope, value, kind, subject } of messages) {
    set.add({ id: messageId(envelope), value, envelope }, subject, kind)
  }
  return set
}

export interface SettleInit {
  base: EpochBase
  messages: readonly Message[]
  /** The parent's; by default that of the base. */
  state?: StorageState
  available?: SettleInput<StorageState>['available']
}

export function settleOf({ base, messages, state, available }: SettleInit) {
  const set = setOf(messages)
  return storageKind.settle({
    base,
    state: state ?? base.state(storageKind),
    challenges: challengeRecords(base, storageKind, set),
    messages: set,
    available: available ?? (client => base.deposits.get(client)?.amount ?? 0n),
  })
}

/** An epoch of which no message is known. */
export const NOTHING = {
  ofType: () => [],
  anyOfType: () => [],
  standing: () => [],
  challenge: () => undefined,
}
