/** The epochs that a node keeps, as the API shows them: messages, verdicts, sums, and proofs of each. */
import {
  Checkpoint,
  COUNTED_TYPES,
  type CoverageState,
  countedPlace,
  coverage as coverageKind,
  decode,
  type Envelope,
  epochStart,
  equalBytes,
  gatewayStandings,
  inclusionProof,
  KERNEL_KIND,
  MessageType,
  Preview,
  type Profile,
  type ProofFile,
  parameterOf,
  payoutLeaves,
  peek,
  Vote,
} from '@cairn/protocol'
import type {
  CheckpointView,
  EarningsView,
  EpochView,
  GatewaysView,
  MessagePage,
  MessageQuery,
  MessageView,
  PreviewView,
  RecomputeView,
  Tally,
  VerdictsView,
} from './api/node-view.ts'
import { earningsView } from './earnings-view.ts'
import { SettledEpochs, settledEpoch } from './ledger/settled-epochs.ts'
import { typeName, verdictName } from './message-names.ts'
import type { CairnNode } from './node.ts'
import type { AcceptedCheckpoint, Chain } from './ports.ts'

export interface HistoryComponents {
  node: CairnNode
  chain: Chain
}

export class History {
  readonly #components: HistoryComponents
  /** Network id. */
  readonly #network: Uint8Array
  readonly #settled: SettledEpochs

  constructor(components: HistoryComponents, { network }: { network: Uint8Array }) {
    this.#components = components
    this.#network = network
    const { node } = components
    this.#settled = new SettledEpochs(async epoch => {
      const recomputed = await node.settlements.recompute(epoch)
      return recomputed && settledEpoch(recomputed.settlement)
    })
    node.checkpointer.onAdopted(({ accepted: { epoch }, settled }) => {
      if (settled !== undefined) this.#settled.keep(epoch, settledEpoch(settled.settlement))
    })
  }

  async epoch(epoch: number): Promise<EpochView | undefined> {
    const { node } = this.#components
    const now = node.epochs.now()
    if (epoch > now) return undefined
    const accepted = this.#accepted(epoch)
    const record = node.epochs.record(epoch)
    if (accepted === undefined && record === undefined) return undefined
    const base = node.epochs.base(epoch)
    const seed = node.epochs.knownSeed(epoch)
    const { calendar } = node.epochs
    const messages: Record<string, number> = {}
    const verdicts: Record<string, Tally> = {}
    if (accepted !== undefined) {
      const { counts } = decode(Checkpoint, accepted.checkpoint)
      for (const [name, type] of Object.entries(MessageType)) {
        if (type < COUNTED_TYPES) messages[name] = counts.messages[type] ?? 0
      }
      messages.others = counts.messages[countedPlace(COUNTED_TYPES)] ?? 0
      for (const { code, name } of node.book.kinds) {
        const [pass, fail, inconclusive] = counts.verdicts.slice(3 * code, 3 * code + 3)
        verdicts[name] = { pass: pass ?? 0, fail: fail ?? 0, inconclusive: inconclusive ?? 0 }
      }
    } else {
      for (const { envelope } of record?.set.messages() ?? []) {
        const name = typeName(envelope.type)
        messages[name] = (messages[name] ?? 0) + 1
      }
    }
    return {
      epoch,
      startsAt: epochStart(calendar, epoch),
      endsAt: epochStart(calendar, epoch + 1),
      phase: accepted !== undefined ? 'accepted' : epoch < now ? 'frozen' : 'open',
      ...(base === undefined ? {} : { base: base.block }),
      ...(seed === undefined ? {} : { seed }),
      messages,
      verdicts,
      ...(accepted === undefined ? {} : { checkpoint: checkpointView(accepted) }),
    }
  }

  async messages({ epoch, author, limit, after }: MessageQuery): Promise<MessagePage> {
    const { ledger } = this.#components.node
    const messages: MessageView[] = []
    const wanted = {
      ...(author === undefined ? {} : { author }),
      ...(after === undefined ? {} : { after }),
    }
    for await (const { id, envelope } of ledger.messagesOf(epoch, wanted)) {
      const last = messages.at(-1)
      if (messages.length === limit) return last ? { messages, next: last.id } : { messages }
      messages.push(this.#message(id, epoch, envelope))
    }
    return { messages }
  }

  async message(id: Uint8Array): Promise<MessageView | undefined> {
    const found = await this.#components.node.ledger.get(id)
    return found && this.#message(id, found.epoch, found.envelope)
  }

  async prove(id: Uint8Array): Promise<ProofFile | undefined> {
    const { ledger } = this.#components.node
    const found = await ledger.get(id)
    const final = found && (await ledger.final(found.epoch))
    if (found === undefined || final === undefined) return undefined
    const position = final.ids.findIndex(other => equalBytes(other, id))
    if (position === -1) return undefined
    const checkpoint = decode(Checkpoint, final.checkpoint)
    return {
      network: this.#network,
      epoch: found.epoch,
      checkpoint,
      inclusion: inclusionProof({ checkpoint, field: 'messages', leaves: final.ids, position }),
      message: found.envelope,
    }
  }

  async provePayout(account: Uint8Array, wanted?: number): Promise<ProofFile | undefined> {
    const { node } = this.#components
    const epoch = wanted ?? node.checkpointer.adopted
    const parent = await node.settlements.accepted(epoch)
    if (parent === undefined || epoch < 0) return undefined
    const { checkpoint, state } = parent
    const { payouts } = state.core
    const position = payouts.findIndex(payout => equalBytes(payout.account, account))
    const payout = payouts[position]
    if (payout === undefined) return undefined
    const leaves = payoutLeaves(state)
    return {
      network: this.#network,
      epoch,
      checkpoint,
      inclusion: inclusionProof({ checkpoint, field: 'payouts', leaves, position }),
      payout,
    }
  }

  async recompute(epoch: number): Promise<RecomputeView | undefined> {
    const recomputed = await this.#components.node.settlements.recompute(epoch)
    if (recomputed === undefined) return undefined
    const { settlement, accepted, equal, messages } = recomputed
    return {
      epoch,
      equal,
      accepted,
      computed: settlement.root,
      messages,
      sums: settlement.sums,
      findings: settlement.kinds.flatMap(({ name: kind, findings }) =>
        findings.map(finding => ({ kind, ...finding })),
      ),
      penalties: [...settlement.penalties],
    }
  }

  async preview(
    values: ReadonlyMap<string, bigint>,
    epochs: number,
  ): Promise<PreviewView | undefined> {
    const { node } = this.#components
    const last = node.checkpointer.adopted
    const preview = new Preview(node.epochs.calendar.profile, values)
    let profile: Profile | undefined
    let first = last + 1
    while (first > 0 && last - first + 1 < epochs) {
      const input = await node.settlements.input(first - 1)
      if (input === undefined) break
      preview.add(input)
      profile ??= input.base.profile
      first--
    }
    if (profile === undefined) return undefined
    const now = profile
    return {
      first,
      last,
      epochs: last - first + 1,
      asked: epochs,
      changes: [...values].map(([name, after]) => ({
        name,
        before: parameterOf(name)?.of(now) ?? 0n,
        after,
      })),
      ...preview.sums(),
      earners: preview.earners(),
    }
  }

  async verdicts(
    epoch: number,
    kind: string,
  ): Promise<Omit<VerdictsView, 'penalties'> | undefined> {
    const result = (await this.#settled.of(epoch))?.kinds.find(({ name }) => name === kind)
    if (result === undefined) return undefined
    return {
      epoch,
      kind,
      verdicts: result.verdicts.map(verdict => ({
        challenge: verdict.challenge,
        target: verdict.target,
        verdict: verdictName(verdict.verdict),
        reason: verdict.reason,
        facts: verdict.facts,
        parts: [...(verdict.parts ?? [])],
        agreeing: [...verdict.agreeing],
      })),
      findings: [...result.findings],
    }
  }

  async gateways(epoch: number): Promise<GatewaysView | undefined> {
    const { node } = this.#components
    if (epoch < 0 || this.#accepted(epoch) === undefined) return undefined
    const before = await node.settlements.accepted(epoch - 1)
    const base = await node.epochs.resolve(epoch)
    if (before === undefined || base === undefined) return undefined
    const state = before.state.of<CoverageState>(coverageKind)
    const gateways = gatewayStandings(base, state)
    const known = new Set(gateways.map(({ node: index }) => index))
    const others = base.nodes.map(({ index }) => index).filter(index => !known.has(index))
    return { epoch, gateways, others }
  }

  async earnings(epoch: number): Promise<EarningsView | undefined> {
    const settled = await this.#settled.of(epoch)
    const base = settled && (await this.#components.node.epochs.resolve(epoch))
    if (settled === undefined || base === undefined) return undefined
    return earningsView(epoch, settled, base)
  }

  #accepted(epoch: number): AcceptedCheckpoint | undefined {
    const { chain } = this.#components
    const head = chain.head()
    if (head === undefined) return undefined
    return chain.checkpointsAt(head.number).find(accepted => accepted.epoch === epoch)
  }

  #message(id: Uint8Array, epoch: number, envelope: Envelope): MessageView {
    const { type, body, signature } = envelope
    const standing = this.#components.node.book.standing(type)
    if (standing !== undefined) {
      const value = decode(standing.rule.codec, body) as object
      return { id, epoch, type: typeName(type), kind: standing.kind.name, value, signature }
    }
    const value =
      type === MessageType.vote
        ? decode(Vote, body)
        : peek(envelope, this.#components.node.book).value
    const kind = this.#components.node.book.kinds.find(({ code }) => code === value.kind)
    return {
      id,
      epoch,
      type: typeName(type),
      kind: value.kind === KERNEL_KIND ? 'kernel' : (kind?.name ?? String(value.kind)),
      author: value.author,
      value,
      signature,
    }
  }
}

function checkpointView(accepted: AcceptedCheckpoint): CheckpointView {
  const { epoch: _, counts: __, ...fields } = decode(Checkpoint, accepted.checkpoint)
  return {
    ...fields,
    root: accepted.root,
    round: accepted.round,
    block: accepted.block.number,
    transaction: accepted.transaction,
    submitter: accepted.submitter,
  }
}
