/** A small network with real keys: its registry, one epoch's base, and messages its nodes sign. */
import {
  type Absence,
  Attestation,
  bls,
  Challenge,
  type Checkpoint,
  challengeInput,
  type Deposit,
  drawCommittee,
  type Envelope,
  type EpochBase,
  type EpochMessage,
  ed25519,
  emptyState,
  epochBase,
  genesisCheckpoint,
  hex,
  type JudgeInput,
  type Judgement,
  judge,
  KERNEL_KIND,
  type Kind,
  MessageSet,
  MessageType,
  messageId,
  networkId,
  type Profile,
  peek,
  plainVerifier,
  Ready,
  type RegistryEntry,
  type Rulebook,
  rulebook,
  Seal,
  type SettlementInput,
  State,
  seal,
  sha256,
  TESTNET_PROFILE,
  TOKEN,
  Verdict,
  Vote,
  voteSigningRoot,
} from '@cairn/protocol'
import { ECHO, echo, Tip } from './kinds/trivial.ts'

export const GENESIS = 1_700_000_000
export const CHECKPOINTS = Uint8Array.from({ length: 20 }, (_, i) => i)
export const NETWORK = networkId({
  chainId: 31337n,
  checkpoints: CHECKPOINTS,
  genesis: BigInt(GENESIS),
})

/** 32 bytes that differ by label and number. */
export function bytes32(label: string, number = 0): Uint8Array {
  return sha256(new TextEncoder().encode(`${label} ${number}`))
}

export function identitySecret(index: number): Uint8Array {
  return bytes32('identity', index)
}

/** Below the order of the curve, as its first byte is zero. */
export function votingSecret(index: number): Uint8Array {
  return bytes32('voting', index).with(0, 0)
}

const keys = new Map<number, Pick<RegistryEntry, 'identity' | 'voting'>>()

function keysOf(index: number): Pick<RegistryEntry, 'identity' | 'voting'> {
  let known = keys.get(index)
  if (known === undefined) {
    known = {
      identity: ed25519.publicKey(identitySecret(index)),
      voting: bls.publicKey(votingSecret(index)),
    }
    keys.set(index, known)
  }
  return known
}

/** A node of its own operator that offers the trivial kind. */
export function entryOf(index: number, change: Partial<RegistryEntry> = {}): RegistryEntry {
  return {
    index,
    operator: bytes32('operator', index).slice(0, 20),
    payout: bytes32('payout', index).slice(0, 20),
    ...keysOf(index),
    cell: 0n,
    region: 0,
    subBand: 0,
    gain: 0,
    kinds: 1 << ECHO,
    nonceEnd: bytes32('nonce', index),
    bond: 100n * TOKEN,
    registeredAt: GENESIS - 1,
    exitAt: 0,
    ...change,
  }
}

export function depositOf(client: number, amount: bigint): Deposit {
  return {
    account: bytes32('client', client).slice(0, 20),
    key: bytes32('client key', client),
    amount,
  }
}

export interface WorldInit {
  nodes?: number
  /** What sets a node apart from `entryOf`. */
  entry?: (index: number) => Partial<RegistryEntry>
  kinds?: readonly Kind<unknown>[]
  profile?: Partial<Profile>
  epoch?: number
  seed?: Uint8Array
  network?: Uint8Array
  deposits?: readonly Deposit[]
  activity?: readonly { node: number; epoch: number }[]
  absent?: readonly Absence[]
  stateEpoch?: number
  /** What messages rest on, where it was found elsewhere. */
  base?: EpochBase
}

export interface Judging
  extends Partial<Pick<JudgeInput, 'base' | 'known' | 'slots' | 'verifier'>> {}

export class KernelWorld {
  readonly kinds: readonly Kind<unknown>[]
  readonly book: Rulebook
  readonly network: Uint8Array
  readonly profile: Profile
  readonly state: State
  readonly base: EpochBase
  readonly #init: WorldInit

  constructor(init: WorldInit = {}) {
    this.#init = init
    this.kinds = init.kinds ?? [echo as unknown as Kind<unknown>]
    this.book = rulebook(this.kinds)
    this.network = init.network ?? NETWORK
    this.profile = { ...TESTNET_PROFILE, weights: { [ECHO]: 1 }, ...init.profile }
    this.state = this.#startState()
    this.base = init.base ?? this.baseOf(init.epoch ?? 4)
  }

  baseOf(epoch: number, state = this.state): EpochBase {
    const { nodes = 6, entry, seed, stateEpoch } = this.#init
    return epochBase({
      epoch,
      network: this.network,
      profile: this.profile,
      genesis: GENESIS,
      block: { number: BigInt(epoch), hash: bytes32('block', epoch) },
      seed: seed ?? bytes32('seed', epoch),
      earlierSeeds: new Map(),
      registry: Array.from({ length: nodes }, (_, index) => entryOf(index, entry?.(index))),
      deposits: this.#init.deposits ?? [],
      state,
      stateEpoch: stateEpoch ?? epoch - 2,
    })
  }

  /** Fields of a message by `author`; `kind` is the trivial one unless given. */
  fields(author: number, kind: number = ECHO, base = this.base): EpochMessage {
    return { epoch: base.epoch, base: base.tag, kind, author }
  }

  sign<V extends EpochMessage>(type: MessageType, codec: Parameters<typeof seal<V>>[1], value: V) {
    const secret = identitySecret(value.author)
    return seal(type, codec, value, this.network, root => ed25519.sign(root, secret))
  }

  /** The challenge that the duty's challenger of this order owes the target. */
  challenge(target: number, order = 0, change: Partial<Challenge> = {}): Envelope {
    const author = change.author ?? this.base.duty(ECHO, target).challengers[order]
    if (author === undefined) throw new Error(`${target} has no challenger ${order}`)
    const { network, seed } = this.base
    const input = challengeInput({ network, seed, kind: ECHO, target })
    const output = bls.sign(input, votingSecret(author))
    const value = { ...this.fields(author), target, output, ...change }
    return this.sign(MessageType.challenge, Challenge, value)
  }

  /** By one who saw the challenge in its slot. */
  attestation(challenge: Envelope, author: number, change: Partial<Attestation> = {}): Envelope {
    const { output } = Challenge.deserialize(challenge.body)
    return this.sign(MessageType.attestation, Attestation, {
      ...this.fields(author),
      challenge: messageId(challenge),
      seenSlot: echo.revealSlot(this.base, 0, output),
      verdict: Verdict.pass,
      reason: 0,
      evidence: new Uint8Array(),
      ...change,
    })
  }

  seal(challenge: Envelope, change: Partial<Seal> = {}): Envelope {
    const { output, target } = Challenge.deserialize(challenge.body)
    return this.sign(MessageType.seal, Seal, {
      ...this.fields(target),
      challenge: messageId(challenge),
      proofRoot: sha256(output),
      ...change,
    })
  }

  ready(author: number): Envelope {
    return this.sign(MessageType.ready, Ready, this.fields(author, KERNEL_KIND))
  }

  tip(author: number, client: number, amount: bigint): Envelope {
    const key = bytes32('client key', client)
    return this.sign(MessageType.report, Tip, { ...this.fields(author), client: key, amount })
  }

  vote(author: number, checkpoint: Uint8Array, change: Partial<Vote> = {}): Envelope {
    const before = { ...this.fields(author, KERNEL_KIND), epoch: this.base.epoch - 1 }
    const value = { ...before, round: 0, checkpoint, ...change }
    const { epoch, round } = value
    const root = voteSigningRoot(
      { epoch: BigInt(epoch), round: BigInt(round), checkpoint: value.checkpoint },
      this.network,
    )
    return {
      type: MessageType.vote,
      body: Vote.serialize(value),
      signature: bls.sign(root, votingSecret(author)),
    }
  }

  /** Everything honest nodes say in an epoch in which every target answers. */
  honest(): Envelope[] {
    const said: Envelope[] = []
    for (const target of echo.targets(this.base)) {
      const { challengers, verifiers } = this.base.duty(ECHO, target)
      for (const order of challengers.keys()) {
        const challenge = this.challenge(target, order)
        said.push(challenge, this.seal(challenge))
        for (const verifier of verifiers) said.push(this.attestation(challenge, verifier))
      }
    }
    return said
  }

  judge(envelope: Envelope, judging: Judging = {}): Judgement {
    return judge({
      envelope,
      ...peek(envelope, this.book),
      base: this.base,
      known: new MessageSet(),
      verifier: plainVerifier,
      slots: undefined,
      ...judging,
    })
  }

  /** The set of messages, each judged as by sync; challenges first, as a node reads them. */
  set(envelopes: readonly Envelope[]): MessageSet {
    const set = new MessageSet()
    for (const envelope of envelopes.toSorted((a, b) => a.type - b.type)) {
      addTo(set, envelope, this)
    }
    return set
  }

  get genesis(): Checkpoint {
    return genesisCheckpoint({
      state: this.state,
      kinds: this.kinds,
      committee: bytes32('committee'),
      rulesVersion: 1,
    })
  }

  settlement(envelopes: readonly Envelope[], change: Partial<SettlementInput> = {}) {
    const committee = drawCommittee(this.base.nodes, this.profile, undefined)
    const input: SettlementInput = {
      base: this.base,
      kinds: this.kinds,
      set: this.set(envelopes),
      parent: { root: bytes32('parent'), checkpoint: this.genesis, state: this.state },
      voters: committee,
      drawn: committee,
      landed: [],
      nextCommittee: bytes32('next committee'),
      ...change,
    }
    return input
  }

  #startState(): State {
    const { activity = [], absent = [] } = this.#init
    const empty = emptyState(this.kinds)
    return new State(
      { ...empty.core, activity: [...activity], absent: [...absent] },
      this.kinds,
      new Map(this.kinds.map(kind => [kind.code, kind.emptyState()])),
    )
  }
}

/** Adds as the ledger does; votes, which need a committee, are added by (author, round). */
export function addTo(set: MessageSet, envelope: Envelope, world: KernelWorld) {
  const id = messageId(envelope)
  if (envelope.type === MessageType.vote) {
    const value = Vote.deserialize(envelope.body)
    const subject = `vote/${value.author}/${value.epoch}/${value.round}`
    return set.add({ id, envelope, value }, subject, KERNEL_KIND)
  }
  const judgement = world.judge(envelope, { known: set })
  if (judgement.verdict !== 'valid') {
    throw new Error(`${hex(id)} is not valid: ${JSON.stringify(judgement)}`)
  }
  const { value, subject } = judgement
  return set.add({ id, envelope, value }, subject, value.kind)
}
