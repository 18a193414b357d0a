/**
 * The smallest whole proof kind: a target is asked to repeat the hash of a challenge's output, and
 * may be tipped by clients. It plugs into the kernel from outside; the kernel never learns its name.
 */
import {
  Bytes32,
  type ChallengeRecord,
  ContainerType,
  drawnSlot,
  type EpochMessage,
  epochFields,
  equalBytes,
  type Fee,
  hex,
  isMajority,
  type Kind,
  type MessageRule,
  MessageType,
  type SettledVerdict,
  sha256,
  Uint32,
  Uint128,
  type ValueOf,
  Verdict,
} from '@cairn/protocol'

export const ECHO = 7

export const EchoState = new ContainerType({ passes: Uint32 }, { typeName: 'EchoState' })
export type EchoState = ValueOf<typeof EchoState>

/** A node's word that a client tipped it; the deposit is all that bounds it. */
export const Tip = new ContainerType({ ...epochFields, client: Bytes32, amount: Uint128 })
export type Tip = ValueOf<typeof Tip>

const tipRule: MessageRule<Tip> = {
  type: MessageType.report,
  codec: Tip,
  subject: ({ client }) => hex(client),
  duty: ({ author }, base) => (base.isTarget(echo, author) ? 'yes' : 'no'),
  window: (_, { profile }) => [0, profile.attestUntilSlot],
}

function judged({ attestations, duty, onTime, seal, value }: ChallengeRecord): [Verdict, string] {
  if (!onTime) return [Verdict.inconclusive, 'late']
  if (seal === undefined) return [Verdict.inconclusive, 'noSeal']
  if (!equalBytes(seal.proofRoot, sha256(value.output))) return [Verdict.fail, 'sealedWrong']
  const passes = attestations.filter(({ value }) => value.verdict === Verdict.pass).length
  if (isMajority(passes, duty.verifiers.length)) return [Verdict.pass, 'echoed']
  return [Verdict.inconclusive, 'noMajority']
}

function settleRecord(record: ChallengeRecord): SettledVerdict {
  const [verdict, reason] = judged(record)
  return {
    challenge: record.id,
    target: record.value.target,
    verdict,
    reason,
    facts: { slot: record.slot },
    agreeing: record.attestations.flatMap(({ value }) =>
      value.verdict === verdict ? [value.author] : [],
    ),
  }
}

export const echo: Kind<EchoState> = {
  code: ECHO,
  name: 'echo',
  stateCodec: EchoState,
  emptyState: () => ({ passes: 0 }),
  targets: base => base.nodes.filter(({ kinds }) => kinds & (1 << ECHO)).map(({ index }) => index),
  revealSlot: (_, __, output) => drawnSlot(output, [1, 4]),
  needless: () => false,
  messages: [tipRule as unknown as MessageRule<EpochMessage>],
  standing: [],
  checkEvidence: ({ evidence }) => evidence.length <= 32,
  settle: ({ challenges, state, messages, available }) => {
    const verdicts = challenges.map(settleRecord)
    const passed = verdicts.filter(({ verdict }) => verdict === Verdict.pass)
    const proven = new Map(passed.map(({ target }) => [target, 1n]))
    const fees: Fee[] = []
    const spent = new Map<string, bigint>()
    const served = new Map<number, bigint>()
    for (const { value } of messages.ofType<Tip>(MessageType.report, ECHO)) {
      const { author, amount } = value
      const client = hex(value.client)
      const total = (spent.get(client) ?? 0n) + amount
      if (total > available(client)) continue
      spent.set(client, total)
      fees.push({ client, node: author, amount })
      served.set(author, (served.get(author) ?? 0n) + amount)
    }
    const after = { passes: state.passes + passed.length }
    return { state: after, verdicts, proven, provenIsFees: false, served, fees }
  },
}
