/**
 * Why a beacon or a witness did or did not count. Attestations carry the code, settled verdicts
 * the name. A code is never used again for another meaning.
 */
export const CoverageReason = {
  /** Passed all rules. */
  ok: 0,
  /** Of the beacon: its challenge, and its reveal. */
  challengeLate: 1,
  otherChallenge: 2,
  noReveal: 3,
  late: 4,
  noDuty: 5,
  badNonce: 6,
  badReveal: 7,
  unheard: 8,
  /** Of beaconer and witness. */
  unregistered: 9,
  noCell: 10,
  wrongRegion: 11,
  /** Of the witness. */
  self: 12,
  sameOperator: 13,
  lateCommit: 14,
  wrongFrame: 15,
  duplicate: 16,
  tooClose: 17,
  tooFar: 18,
  tooLoud: 19,
  belowDemodulation: 20,
  /** Passed, but others among those that passed were drawn. */
  notSelected: 21,
  /** Passed, and earns again from the next epoch. */
  stale: 22,
  /** Of the witness. */
  noiseMismatch: 23,
  /** Passed, but the node answers from where its cell is not: no units while that stands. */
  elsewhere: 24,
  /** Of the witness: with GPS time on both sides, the frame took longer than its way. */
  relay: 25,
  /** Passed, but another identity on its antenna was drawn, or is the beaconer. */
  sharedAntenna: 26,
} as const
export type CoverageReasonName = keyof typeof CoverageReason

const names = new Map<number, CoverageReasonName>(
  (Object.keys(CoverageReason) as CoverageReasonName[]).map(name => [CoverageReason[name], name]),
)

/** Undefined for a code without a meaning. */
export function reasonName(code: number): CoverageReasonName | undefined {
  return names.get(code)
}
