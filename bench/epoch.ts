/** One epoch of storage in which every node provides, everybody answers, and all say so. */
import {
  drawCommittee,
  emptyState,
  genesisCheckpoint,
  KERNEL_KIND,
  type Kind,
  MessageSet,
  MessageType,
  messageId,
  type SettlementInput,
  STORAGE,
  State,
  settle,
  storageKind,
  Vote,
} from '@cairn/protocol'
import {
  answerOf,
  baseOf,
  bytes32,
  challengeOf,
  dealOf,
  deposit,
  EPOCH,
  message,
  registry,
  sawOf,
  sealOf,
  stateOf,
} from '../packages/protocol/test/kinds/storage/world.ts'
import { compare, type Line, rounded } from './measure.ts'

const KINDS = [storageKind as unknown as Kind<unknown>]
/** Above what all deals of the largest epoch cost. */
const DEPOSIT = 10_000_000n

/**
 * What `settle` takes. Base, duties and messages are there beforehand, as in a node at the freeze;
 * the set is made anew for each call, since it keeps what it has sorted.
 */
export function epochOf(nodes: number): () => SettlementInput {
  const deals = Array.from({ length: nodes }, (_, provider) => dealOf({ provider }))
  const state = stateOf(deals)
  const deposits = [deposit(1, DEPOSIT)]
  const base = baseOf({ registry: registry(nodes), state, deposits })
  const { core } = emptyState(KINDS)
  const carried = new State(core, KINDS, new Map([[STORAGE, state]]))
  const voters = drawCommittee(base.nodes, base.profile, undefined)
  const word = bytes32(1)
  const { rulesVersion } = base.profile
  const checkpoint = genesisCheckpoint({
    state: carried,
    kinds: KINDS,
    committee: word,
    rulesVersion,
  })
  const root = bytes32(2)
  const said = base.nodes.flatMap(({ index }) => saidOf(base, index))
  const votes = voters.map(({ index }) => voteOf(index, base.tag, root))
  return () => {
    const set = new MessageSet()
    for (const { envelope, value, kind, subject } of [...said, ...votes]) {
      set.add({ id: messageId(envelope), value, envelope }, subject, kind)
    }
    const parent = { root, checkpoint, state: carried }
    return {
      base,
      kinds: KINDS,
      set,
      parent,
      voters,
      drawn: voters,
      landed: [],
      nextCommittee: word,
    }
  }
}

export async function settlement(): Promise<Line[]> {
  const [few, many] = [epochOf(8), epochOf(200)]
  const sizes = [few().set.size, many().set.size] as const
  let inputs = [few(), many()] as const
  const { ours, other, ratio } = await compare({
    prepare: () => {
      inputs = [few(), many()]
    },
    ours: () => settle(inputs[0]),
    other: () => settle(inputs[1]),
  })
  const growth = rounded(sizes[1] / sizes[0])
  const against = `growth in time from 8 nodes, for ${growth} times the messages (${sizes[1]})`
  return [
    { name: 'settle.epoch.8', value: ours, unit: 'ms' },
    { name: 'settle.epoch.200', value: other, unit: 'ms', ratio, against },
  ]
}

/** Every challenge of a target, its seal, and what each verifier attests. */
function saidOf(base: ReturnType<typeof baseOf>, target: number) {
  const { challengers, verifiers } = base.duty(STORAGE, target)
  return [...challengers.keys()].flatMap(order => {
    const asked = challengeOf(base, target, order)
    // Settlement sees the proof's root only: any proof will do.
    const { seal } = sealOf(base, asked, ANSWER)
    return [
      message(MessageType.challenge, asked.value),
      message(MessageType.seal, seal),
      ...verifiers.map(author =>
        message(MessageType.attestation, sawOf(base, asked, author, { seal })),
      ),
    ]
  })
}

const ANSWER = answerOf(challengeOf(baseOf({ state: stateOf([dealOf()]) }), 0).question)

function voteOf(author: number, tag: Uint8Array, checkpoint: Uint8Array) {
  const epoch = EPOCH - 1
  const value: Vote = { epoch, base: tag, kind: KERNEL_KIND, author, round: 0, checkpoint }
  return {
    envelope: {
      type: MessageType.vote,
      body: Vote.serialize(value),
      signature: new Uint8Array(96),
    },
    value,
    kind: KERNEL_KIND,
    subject: `vote/${author}/${epoch}/0`,
  }
}
