/** What a verifier attests of a beacon: when it saw the reveal, and whose commits it held. */
import { BitArray, BitListType } from '@chainsafe/ssz'
import { CairnError } from '../../errors.ts'
import { type Attestation, Verdict } from '../../messages.ts'
import { ContainerType, decode, Uint16, type ValueOf } from '../../ssz.ts'
import { GATEWAYS_MAX } from './draw.ts'
import { reasonName } from './reasons.ts'

/** `revealSlot` when no reveal was seen. */
export const NO_REVEAL = 0xffff

export const CoverageEvidence = new ContainerType(
  {
    /** Slot in which the reveal that names this challenge was first seen. */
    revealSlot: Uint16,
    /**
     * A bit per gateway of the place, by ascending index: its commit for the transmission slot was
     * held when the commit slot ended.
     */
    commits: new BitListType(GATEWAYS_MAX),
  },
  { typeName: 'CoverageEvidence' },
)
export type CoverageEvidence = ValueOf<typeof CoverageEvidence>

export interface EvidenceInit {
  /** `NO_REVEAL` when none was seen. */
  revealSlot: number
  /** Gateways of the place. */
  gateways: number
  /** Places in the bitlist of those whose commit was held in time. */
  committed: Iterable<number>
}

export function encodeEvidence({ revealSlot, gateways, committed }: EvidenceInit): Uint8Array {
  const commits = BitArray.fromBitLen(gateways)
  for (const place of committed) commits.set(place, true)
  return CoverageEvidence.serialize({ revealSlot, commits })
}

/** Throws `badEncoding` or `badLength`. */
export function decodeEvidence(bytes: Uint8Array): CoverageEvidence {
  return decode(CoverageEvidence, bytes)
}

/** True iff verdict, reason and evidence are of this kind's form and do not contradict. */
export function checkEvidence({ verdict, reason, evidence }: Attestation): boolean {
  if (verdict !== Verdict.pass && verdict !== Verdict.inconclusive) return false
  if (reasonName(reason) === undefined) return false
  const value = readEvidence(evidence)
  if (value === undefined) return false
  return verdict === Verdict.inconclusive || value.revealSlot !== NO_REVEAL
}

function readEvidence(bytes: Uint8Array): CoverageEvidence | undefined {
  try {
    return decodeEvidence(bytes)
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}
