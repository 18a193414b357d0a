/**
 * How a file lies in its pieces. Its entries are sealed in chunks, the sealed chunks follow each
 * other in one stream, and the stream is cut into segments of k shards. Reed-Solomon turns the k
 * shards of a segment into n. The shards at one place of consecutive segments stand behind each other
 * and are one piece, so that a group of segments is n pieces, however many segments it has:
 *
 *     group 0           place 0   place 1  ...  place n-1
 *       segment 0       shard     shard         shard
 *       segment 1       shard     shard         shard
 *       ...             |         |             |
 *                       piece     piece         piece
 *
 * The last segment's shards are only as long as needed: a file of one byte takes n pieces of a few
 * bytes.
 */
import { invariant } from '../errors.ts'
import { PIECE_PAYLOAD_MAX, SUBTREE_PAYLOAD } from '../piece/piece.ts'

/**
 * Payload of one subtree of 64 KiB: a range with proof then has whole shards. None is longer: a
 * segment is taken apart in memory, so the manifest must not say how much memory that is.
 */
export const SHARD_BYTES = SUBTREE_PAYLOAD
/** AES-256-GCM's tag, at the end of each sealed chunk. */
export const TAG_BYTES = 16
/** Places of a group: there are no more points in the field that codes them. */
export const PLACES_MAX = 256
/** All pieces of a file, 32 bytes in its manifest each: 5.8 TB at 10 of 30. */
export const FILE_PIECES_MAX = 2 ** 20
/** A shard holds some of a chunk beside the tag. */
const SHARD_BYTES_MIN = 32

export interface FileLayout {
  /** Bytes of the sealed stream. */
  readonly sealed: number
  /** k: shards that suffice. */
  readonly data: number
  /** n: all shards of a segment. */
  readonly total: number
  /** Of every segment but the last. */
  readonly shardBytes: number
  /** Of every group but the last. */
  readonly segmentsPerGroup: number
}

/** Where a segment's shards lie: at the same offset in every piece of its group. */
export interface SegmentPlace {
  readonly group: number
  readonly offset: number
  readonly length: number
}

/** True iff there can be a file of this layout. */
export function isLayout(layout: FileLayout): boolean {
  const { sealed, data, total, shardBytes, segmentsPerGroup } = layout
  return (
    Object.values(layout).every(value => Number.isSafeInteger(value) && value >= 0) &&
    data >= 1 &&
    data <= total &&
    total <= PLACES_MAX &&
    shardBytes >= SHARD_BYTES_MIN &&
    shardBytes <= SHARD_BYTES &&
    segmentsPerGroup >= 1 &&
    shardBytes * segmentsPerGroup <= PIECE_PAYLOAD_MAX &&
    Math.ceil(sealed / (data * shardBytes * segmentsPerGroup)) * total <= FILE_PIECES_MAX
  )
}

/** Plain bytes that are sealed at once: with its tag a chunk fills a segment. */
export function chunkBytes({ data, shardBytes }: Pick<FileLayout, 'data' | 'shardBytes'>): number {
  return data * shardBytes - TAG_BYTES
}

/** Bytes that an entry of so many plain ones takes in the sealed stream. */
export function sealedLength(
  bytes: number,
  layout: Pick<FileLayout, 'data' | 'shardBytes'>,
): number {
  return bytes + TAG_BYTES * Math.ceil(bytes / chunkBytes(layout))
}

/** Bytes of the sealed stream in every segment but the last. */
export function segmentBytes({
  data,
  shardBytes,
}: Pick<FileLayout, 'data' | 'shardBytes'>): number {
  return data * shardBytes
}

export function segmentCount(layout: FileLayout): number {
  return Math.ceil(layout.sealed / segmentBytes(layout))
}

export function groupCount(layout: FileLayout): number {
  return Math.ceil(segmentCount(layout) / layout.segmentsPerGroup)
}

export function segmentPlace(layout: FileLayout, segment: number): SegmentPlace {
  invariant(segment >= 0 && segment < segmentCount(layout), 'a segment is one of the file')
  const { sealed, data, shardBytes, segmentsPerGroup } = layout
  const group = Math.floor(segment / segmentsPerGroup)
  return {
    group,
    offset: (segment - group * segmentsPerGroup) * shardBytes,
    length: Math.min(shardBytes, Math.ceil((sealed - segment * segmentBytes(layout)) / data)),
  }
}

/** Payload of every piece of a group. */
export function groupPieceBytes(layout: FileLayout, group: number): number {
  const end = Math.min(segmentCount(layout), (group + 1) * layout.segmentsPerGroup)
  const { offset, length } = segmentPlace(layout, end - 1)
  return offset + length
}
