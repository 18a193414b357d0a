/** What cost bond, as the API shows it: with all that somebody needs who believes nothing. */
import {
  Checkpoint,
  checkpointRoot,
  decode,
  hex,
  inclusionProof,
  MessageType,
  penaltyLeaves,
  type RegistryEntry,
} from '@cairn/protocol'
import type { PenaltyDetails, PenaltyView } from './api/node-view.ts'
import type { KeptDoubleVote, KeptPenalty } from './ledger/offences.ts'
import { typeName } from './message-names.ts'
import type { CairnNode } from './node.ts'

export interface PenaltiesComponents {
  node: CairnNode
  /** As of the newest block. */
  registry(): readonly RegistryEntry[]
}

export class Penalties {
  readonly #components: PenaltiesComponents
  /** Network id. */
  readonly #network: Uint8Array

  constructor(components: PenaltiesComponents, { network }: { network: Uint8Array }) {
    this.#components = components
    this.#network = network
  }

  /** The latest first; two votes of one round once, by the checkpoint that records them if one does. */
  async all(): Promise<PenaltyView[]> {
    const { offences } = this.#components.node
    const own = this.#ownIndexes()
    const recorded = (await offences.all()).map(penalty => penaltyView(penalty, own))
    const alone = (await offences.allDoubleVotes())
      .map(votes => doubleVoteView(votes, own))
      .filter(({ epoch, node, offence }) =>
        recorded.every(
          other => other.epoch !== epoch || other.node !== node || other.offence !== offence,
        ),
      )
    return [...recorded, ...alone].sort((a, b) => b.epoch - a.epoch || b.node - a.node)
  }

  async of(epoch: number): Promise<PenaltyView[]> {
    return (await this.all()).filter(penalty => penalty.epoch === epoch)
  }

  /** Undefined where no checkpoint records it. */
  async one(epoch: number, node: number): Promise<PenaltyDetails | undefined> {
    const { ledger, offences, epochs } = this.#components.node
    const penalties = await offences.all(epoch)
    const position = penalties.findIndex(penalty => penalty.node === node)
    const penalty = penalties[position]
    const final = penalty && (await ledger.final(epoch))
    const base = await epochs.resolve(epoch)
    const entry = base?.node(node)
    if (!penalty || !final || !base || !entry) return undefined
    const checkpoint = decode(Checkpoint, final.checkpoint)
    const leaves = penaltyLeaves(penalties)
    const { evidence, rival } = penalty
    const found = rival && (await Promise.all([ledger.get(evidence), ledger.get(rival)]))
    const messages = (found ?? []).flatMap(message => message?.envelope ?? [])
    return {
      ...penaltyView(penalty, this.#ownIndexes()),
      network: this.#network,
      checkpoint: final.checkpoint,
      root: checkpointRoot(checkpoint),
      position,
      path: inclusionProof({ checkpoint, field: 'penalties', leaves, position }).path,
      identity: entry.identity,
      voting: entry.voting,
      bond: entry.bond,
      share: base.profile.penalty,
      messages: messages.map(({ type, body, signature }) => ({ type, body, signature })),
    }
  }

  /** The latest of a node of this daemon, for as long as messages are kept. */
  async lastOwn(): Promise<PenaltyView | undefined> {
    const { epochs } = this.#components.node
    const since = epochs.now() - epochs.calendar.profile.retainEpochs
    return (await this.all()).find(({ own, epoch }) => own && epoch >= since)
  }

  /** Of all nodes that this daemon speaks for. */
  #ownIndexes(): ReadonlySet<number> {
    const own = this.#components.node.seats.map(({ signer }) => hex(signer.identity))
    const registry = this.#components
      .registry()
      .filter(({ identity }) => own.includes(hex(identity)))
    return new Set(registry.map(({ index }) => index))
  }
}

function penaltyView(penalty: KeptPenalty, own: ReadonlySet<number>) {
  const { epoch, node, amount, evidence, rival, messageType, state } = penalty
  return {
    epoch,
    node,
    own: own.has(node),
    offence: messageType === undefined ? 'sealedWrong' : typeName(messageType),
    amount,
    evidence,
    ...(rival && { rival }),
    state,
  }
}

/** Votes are messages of the epoch after the one that they are about. */
function doubleVoteView(doubleVote: KeptDoubleVote, own: ReadonlySet<number>): PenaltyView {
  const { epoch, node, votes, state } = doubleVote
  const [first, second] = votes
  return {
    epoch: epoch + 1,
    node,
    own: own.has(node),
    offence: typeName(MessageType.vote),
    evidence: first.checkpoint,
    rival: second.checkpoint,
    state,
  }
}
