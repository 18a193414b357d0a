/**
 * Why a storage proof counted or did not. Attestations carry the code, settled verdicts the name. A
 * code is never used again for another meaning.
 */
export const StorageReason = {
  /** Every leaf was right. */
  ok: 0,
  /** Of an attestation: the target could not be connected to. */
  unreachable: 1,
  /** No answer before the deadline. */
  timeout: 2,
  /** The target answered that it has too much to do. */
  busy: 3,
  /** The target answered with an error instead of a proof. */
  refused: 4,
  /** An answer that is no proof, or without a valid seal: as good as none. */
  badAnswer: 5,
  /** A sealed answer that says so of at least one leaf. */
  leafMissing: 6,
  /** A sealed answer with a leaf that is not the piece's. */
  wrongLeaf: 7,
  /** Of a settled verdict alone: too few verifiers saw the challenge in its slot. */
  late: 8,
  /** The target's seal is not in the set, or two of them are. */
  noSeal: 9,
  /** Too few verifiers attested a pass with a digest that fits the seal. */
  noMajority: 10,
} as const
export type StorageReasonName = keyof typeof StorageReason

const names = new Map<number, StorageReasonName>(
  (Object.keys(StorageReason) as StorageReasonName[]).map(name => [StorageReason[name], name]),
)

/** Undefined for a code without a meaning. */
export function storageReasonName(code: number): StorageReasonName | undefined {
  return names.get(code)
}
