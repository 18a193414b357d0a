/**
 * What gateways say: a commit to what was heard in a slot, the reveal of a beacon, and the report
 * of one reception with the proof that it was committed to before the reveal.
 *
 * Levels (0.1 dBm, 0.1 dB) are signed and SSZ has no signed integers: they travel as excess-32768
 * uint16, as `encodeLevel` writes them. What a concentrator does not give has an ABSENT value.
 */
import { ListCompositeType } from '@chainsafe/ssz'
import { sha256 } from '#crypto'
import { check } from '../../errors.ts'
import { epochFields } from '../../messages.ts'
import {
  ByteListType,
  Bytes32,
  ContainerType,
  equalBytes,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  type ValueOf,
} from '../../ssz.ts'

/** Frames that one commit covers at most. */
export const FRAMES_MAX = 8

/** Longest payload of a frame that is reported. */
const PAYLOAD_MAX = 64

const LEVEL_EXCESS = 32_768
export const ABSENT_LEVEL = 0xffff
export const ABSENT_FTIME = 0xffff_ffff
export const ABSENT_TMMS = 2n ** 64n - 1n

/** Throws `badLevel` for what is no integer of 16 bits or would read as absent. */
export function encodeLevel(level: number): number {
  const encoded = level + LEVEL_EXCESS
  const fits = Number.isInteger(level) && encoded >= 0 && encoded < ABSENT_LEVEL
  check(fits, 'badLevel', `a level is an integer of 0.1 dB from -32768 to 32766, found ${level}`, {
    facts: { level },
  })
  return encoded
}

/** 0.1 dB or 0.1 dBm; undefined where absent. */
export function decodeLevel(encoded: number): number | undefined {
  return encoded === ABSENT_LEVEL ? undefined : encoded - LEVEL_EXCESS
}

/** One frame as a gateway heard it. */
export const HeardFrame = new ContainerType(
  {
    payload: new ByteListType(PAYLOAD_MAX),
    /** Hz. */
    frequency: Uint32,
    spreadingFactor: Uint8,
    /** kHz. */
    bandwidth: Uint16,
    /** Levels in 0.1 dBm: with noise, and without it or absent. */
    rssi: Uint16,
    rssis: Uint16,
    /** Level in 0.1 dB. */
    snr: Uint16,
    /** Concentrator counter, microseconds. */
    tmst: Uint32,
    /** Nanoseconds within the second of GPS time, or absent. */
    ftime: Uint32,
    /** GPS milliseconds at the end of the frame, or absent. */
    tmms: Uint64,
  },
  { typeName: 'HeardFrame' },
)
export type HeardFrame = ValueOf<typeof HeardFrame>

/** `slot` is the transmission slot; `root` that of the list of leaves. */
export const Commit = new ContainerType(
  { ...epochFields, slot: Uint16, root: Bytes32 },
  { typeName: 'Commit' },
)
export type Commit = ValueOf<typeof Commit>

export const Beacon = new ContainerType(
  {
    ...epochFields,
    /** Id of the one challenge that it answers. */
    challenge: Bytes32,
    nonce: Bytes32,
    /** Slot it was transmitted in. */
    slot: Uint16,
    /** Hz. */
    frequency: Uint32,
    spreadingFactor: Uint8,
    /** EIRP that the radio says it used: a level in 0.1 dBm. */
    power: Uint16,
    /** GPS milliseconds at which it began, or absent. */
    tmms: Uint64,
  },
  { typeName: 'Beacon' },
)
export type Beacon = ValueOf<typeof Beacon>

const Leaves = new ListCompositeType(Bytes32, FRAMES_MAX)

export const Report = new ContainerType(
  {
    ...epochFields,
    /** Id of the challenge whose beacon this is a reception of. */
    challenge: Bytes32,
    /** Transmission slot, as in the commit. */
    slot: Uint16,
    /** All leaves of the commit, and which of them this is. */
    leaves: Leaves,
    place: Uint8,
    reception: HeardFrame,
    salt: Bytes32,
  },
  { typeName: 'Report' },
)
export type Report = ValueOf<typeof Report>

const CommitLeaf = new ContainerType(
  { witness: Uint32, reception: HeardFrame, salt: Bytes32 },
  { typeName: 'CommitLeaf' },
)
export type CommitLeaf = ValueOf<typeof CommitLeaf>

/** 32 bytes; the salt hides a reception whose few values could be guessed. */
export function commitLeaf(leaf: CommitLeaf): Uint8Array {
  return sha256(CommitLeaf.serialize(leaf))
}

/** Root of 1 to `FRAMES_MAX` leaves. */
export function commitRoot(leaves: Uint8Array[]): Uint8Array {
  return Leaves.hashTreeRoot(leaves)
}

const SaltInput = new ContainerType(
  { secret: Bytes32, epoch: Uint32, slot: Uint16, place: Uint8 },
  { typeName: 'SaltInput' },
)
export type SaltInput = ValueOf<typeof SaltInput>

/** A salt that only the holder of the 32-byte secret can form, the same whenever asked for. */
export function commitSalt(input: SaltInput): Uint8Array {
  return sha256(SaltInput.serialize(input))
}

/** True iff the report's reception and salt are the leaf it names. */
export function opensLeaf(report: Report): boolean {
  const leaf = report.leaves[report.place]
  if (leaf === undefined) return false
  const { author: witness, reception, salt } = report
  return equalBytes(commitLeaf({ witness, reception, salt }), leaf)
}
