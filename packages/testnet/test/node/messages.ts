/** One valid message of every type that belongs to an epoch, and what it takes to be due. */
import {
  Challenge,
  type Envelope,
  type EpochBase,
  type EpochMessage,
  KERNEL_KIND,
  MessageType,
  Ready,
} from '@cairn/protocol'
import { bytes32, type KernelWorld } from '../../../protocol/test/kernel-world.ts'
import { ECHO, echo, Tip } from '../../../protocol/test/kinds/trivial.ts'

export const TARGET = 2
const CLIENT = bytes32('client key', 1)

export type Change = Partial<EpochMessage>

export interface Sample {
  /** Kind of the topic it travels on; undefined: the checkpoint topic. */
  readonly topic: number | undefined
  /** A slot in which it is relayed; undefined for votes, which no clock rule holds for. */
  slot(base: EpochBase, authors: KernelWorld): number
  readonly window: 'narrow' | 'late' | 'whole' | 'none'
  /** What must be known before. */
  before(authors: KernelWorld): Envelope[]
  make(authors: KernelWorld, change?: Change): Envelope
  /** Different messages about one subject; undefined where the type admits one only. */
  variant?(authors: KernelWorld, number: number): Envelope
  /** A node in the base whose duty it is not; undefined where it is everybody's. */
  stranger?(base: EpochBase): number
}

const others = (base: EpochBase, taken: readonly number[]) =>
  base.nodes.map(({ index }) => index).find(index => !taken.includes(index)) as number

export function revealSlot(base: EpochBase, challenge: Envelope): number {
  const { output, author, target } = Challenge.deserialize(challenge.body)
  return echo.revealSlot(base, base.duty(ECHO, target).challengers.indexOf(author), output)
}

function verifierIn({ base }: KernelWorld): number {
  return base.duty(ECHO, TARGET).verifiers[0] as number
}

/** All by one author of one client. */
export function tip(authors: KernelWorld, amount: number, change: Change = {}): Envelope {
  const value = { ...authors.fields(1), client: CLIENT, amount: BigInt(amount), ...change }
  return authors.sign(MessageType.report, Tip, value)
}

export const SAMPLES: Readonly<Record<string, Sample>> = {
  challenge: {
    topic: ECHO,
    window: 'narrow',
    slot: (base, authors) => revealSlot(base, authors.challenge(TARGET)),
    before: () => [],
    make: (authors, change) => authors.challenge(TARGET, 0, change),
    stranger: base => others(base, base.duty(ECHO, TARGET).challengers),
  },
  attestation: {
    topic: ECHO,
    window: 'late',
    slot: () => 6,
    before: authors => [authors.challenge(TARGET)],
    make: (authors, change) =>
      authors.attestation(authors.challenge(TARGET), verifierIn(authors), change),
    variant: (authors, reason) =>
      authors.attestation(authors.challenge(TARGET), verifierIn(authors), { reason }),
    stranger: base => others(base, base.duty(ECHO, TARGET).verifiers),
  },
  seal: {
    topic: ECHO,
    window: 'narrow',
    slot: base => base.profile.sealSlot,
    before: authors => [authors.challenge(TARGET)],
    make: (authors, change) => authors.seal(authors.challenge(TARGET), change),
    variant: (authors, number) =>
      authors.seal(authors.challenge(TARGET), { proofRoot: bytes32('proof', number) }),
    stranger: base => others(base, [TARGET]),
  },
  report: {
    topic: ECHO,
    window: 'late',
    slot: () => 3,
    before: () => [],
    make: (authors, change) => tip(authors, 5, change),
    variant: (authors, number) => tip(authors, number),
  },
  ready: {
    topic: KERNEL_KIND,
    window: 'whole',
    slot: () => 3,
    before: () => [],
    make: (authors, change) =>
      authors.sign(MessageType.ready, Ready, { ...authors.fields(1, KERNEL_KIND), ...change }),
  },
  vote: {
    topic: undefined,
    window: 'none',
    slot: base => base.profile.slotsPerEpoch + 2,
    before: () => [],
    make: (authors, change) =>
      authors.vote(1, bytes32('root'), { epoch: authors.base.epoch, ...change }),
    variant: (authors, number) =>
      authors.vote(1, bytes32('root', number), { epoch: authors.base.epoch }),
  },
}
