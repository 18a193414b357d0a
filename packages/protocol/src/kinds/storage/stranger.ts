/**
 * Fetches by strangers: each verifier of a provider, as the epoch draws them for its challenges, fetches
 * one range of it once, as somebody whom nobody knows, and says what came of it. Slot, piece and range
 * follow from the verifier's own verifiable random output, so that it cannot choose them and the
 * provider, before it is said, cannot tell this fetch from any other stranger's.
 */
import { drawnSlot } from '../../challenge.ts'
import { DomainType, domain } from '../../domain.ts'
import type { EpochBase, MessageRule } from '../../kind.ts'
import { epochFields, MessageType } from '../../messages.ts'
import { subtreeRange } from '../../piece/piece.ts'
import type { PieceRange } from '../../piece/range.ts'
import type { Profile } from '../../profile.ts'
import { Bytes32, Bytes96, ContainerType, Uint8, Uint32, type ValueOf } from '../../ssz.ts'
import { STORAGE } from './deal.ts'
import { drawnLeaf, type Inventory } from './question.ts'

/** What came of a fetch. A code is never used again for another meaning. */
export const StrangerOutcome = {
  /** The bytes of the piece, with their proof. */
  given: 0,
  unreachable: 1,
  /** Nothing before the deadline. */
  timeout: 2,
  busy: 3,
  /** An error instead of the bytes, `unpaid` and `pieceMissing` among them. */
  refused: 4,
  /** Other bytes than the piece's. */
  damaged: 5,
} as const
export type StrangerOutcome = (typeof StrangerOutcome)[keyof typeof StrangerOutcome]
export type StrangerOutcomeName = keyof typeof StrangerOutcome

const names = new Map<number, StrangerOutcomeName>(
  (Object.keys(StrangerOutcome) as StrangerOutcomeName[]).map(name => [
    StrangerOutcome[name],
    name,
  ]),
)

/** Undefined for a code without a meaning. */
export function strangerOutcomeName(code: number): StrangerOutcomeName | undefined {
  return names.get(code)
}

/** The author is the verifier. */
export const StrangerFetch = new ContainerType(
  {
    ...epochFields,
    /** Node index. */
    target: Uint32,
    /** The author's BLS signature over `strangerInput`. */
    output: Bytes96,
    outcome: Uint8,
  },
  { typeName: 'StrangerFetch' },
)
export type StrangerFetch = ValueOf<typeof StrangerFetch>

const StrangerInput = new ContainerType(
  { domain: Bytes32, seed: Bytes32, target: Uint32 },
  { typeName: 'StrangerInput' },
)

/** The bytes that a verifier's voting key signs. */
export function strangerInput(
  { network, seed }: Pick<EpochBase, 'network' | 'seed'>,
  target: number,
): Uint8Array {
  return StrangerInput.serialize({ domain: domain(DomainType.stranger, network), seed, target })
}

/** The slot in which a verifier fetches: one of those in which challenges are revealed. */
export function strangerSlot(
  output: Uint8Array,
  { storageReveal }: Pick<Profile, 'storageReveal'>,
): number {
  return drawnSlot(output, storageReveal)
}

/** What it fetches: the payload of the subtree around one data leaf. The inventory is not empty. */
export function strangerRange(inventory: Inventory, output: Uint8Array): PieceRange {
  const { deal, leaf } = drawnLeaf(inventory, output, 0)
  const { piece } = deal.deal
  return { piece, ...subtreeRange(piece, leaf) }
}

/** `isProvider`: the node has leaves to be asked for at the base. */
export function strangerRule(
  isProvider: (base: EpochBase, node: number) => boolean,
): MessageRule<StrangerFetch> {
  return {
    type: MessageType.strangerFetch,
    codec: StrangerFetch,
    subject: ({ target }) => String(target),
    duty: ({ author, target, outcome }, base) =>
      strangerOutcomeName(outcome) !== undefined &&
      base.duty(STORAGE, target).verifiers.includes(author) &&
      isProvider(base, target)
        ? 'yes'
        : 'no',
    window: ({ output }, { profile }) => [strangerSlot(output, profile), profile.attestUntilSlot],
    verify: ({ author, target, output }, base, verifier) => {
      const entry = base.node(author)
      return entry !== undefined && verifier.bls(strangerInput(base, target), entry.voting, output)
    },
  }
}
