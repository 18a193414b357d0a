/**
 * The manifest: what finds and opens the pieces of a file, or of several small ones packed together.
 * It is a piece itself, every part of it sealed by AES-256-GCM under a key of its own (`keys.ts`):
 * the map, which all entries share, and a record per entry.
 */
import { ListCompositeType } from '@chainsafe/ssz'
import { CairnError } from '../errors.ts'
import type { Piece } from '../piece/piece.ts'
import {
  ByteListType,
  Bytes32,
  ContainerType,
  decode,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  type ValueOf,
} from '../ssz.ts'
import {
  FILE_PIECES_MAX,
  type FileLayout,
  groupCount,
  groupPieceBytes,
  isLayout,
  sealedLength,
  TAG_BYTES,
} from './layout.ts'

const VERSION = 1
const ROOT_BYTES = 32
/** Files of one pack. */
export const ENTRIES_MAX = 4_096
/** Bytes of a file's name in UTF-8, as file systems bound it. */
export const NAME_MAX_BYTES = 255

const FileMapBytes = new ContainerType(
  {
    sealed: Uint64,
    data: Uint16,
    total: Uint16,
    shardBytes: Uint32,
    segmentsPerGroup: Uint32,
    /** `maskKey`. */
    mask: Bytes32,
    /** Roots of all pieces, place by place and group by group. */
    roots: new ByteListType(FILE_PIECES_MAX * ROOT_BYTES),
  },
  { typeName: 'FileMap' },
)

const FileEntryBytes = new ContainerType(
  {
    /** Where it begins in the sealed stream. */
    offset: Uint64,
    /** Its plain length. */
    bytes: Uint64,
    name: new ByteListType(NAME_MAX_BYTES),
    /** `mapKey`. */
    map: Bytes32,
  },
  { typeName: 'FileEntry' },
)

/** The piece's payload. */
export const FileManifest = new ContainerType(
  {
    version: Uint8,
    map: new ByteListType(FileMapBytes.maxSize + TAG_BYTES),
    entries: new ListCompositeType(
      new ByteListType(FileEntryBytes.maxSize + TAG_BYTES),
      ENTRIES_MAX,
    ),
  },
  { typeName: 'FileManifest' },
)
export type FileManifest = Omit<ValueOf<typeof FileManifest>, 'version'>

export interface FileMap {
  layout: FileLayout
  mask: Uint8Array
  /** By group and place. */
  groups: readonly (readonly Piece[])[]
}

export interface FileEntry {
  offset: number
  bytes: number
  name: string
  map: Uint8Array
}

export function encodeFileManifest(manifest: FileManifest): Uint8Array {
  return FileManifest.serialize({ ...manifest, version: VERSION })
}

/** Throws `badFileManifest`, or `newerFileManifest`. */
export function decodeFileManifest(bytes: Uint8Array): FileManifest {
  const version = bytes[0] ?? 0
  if (version > VERSION) {
    throw new CairnError('newerFileManifest', 'a newer version of cairn stored this file', {
      facts: { found: version, known: VERSION },
      next: 'install a newer version',
    })
  }
  if (version !== VERSION) throw refuse('it has no version')
  return read(FileManifest, bytes)
}

export function encodeFileMap({ layout, mask, groups }: FileMap): Uint8Array {
  const roots = new Uint8Array(ROOT_BYTES * layout.total * groups.length)
  for (const [at, { root }] of groups.flat().entries()) roots.set(root, at * ROOT_BYTES)
  return FileMapBytes.serialize({ ...layout, sealed: BigInt(layout.sealed), mask, roots })
}

/** Throws `badFileManifest`. */
export function decodeFileMap(bytes: Uint8Array): FileMap {
  const { sealed, mask, roots, ...rest } = read(FileMapBytes, bytes)
  const layout: FileLayout = { ...rest, sealed: Number(sealed) }
  if (!isLayout(layout)) throw refuse('no file has its layout')
  const count = groupCount(layout)
  if (roots.length !== ROOT_BYTES * layout.total * count) {
    throw refuse('it names another number of pieces than its length needs')
  }
  let at = 0
  const groups = Array.from({ length: count }, (_, group) => {
    const payload = groupPieceBytes(layout, group)
    return Array.from({ length: layout.total }, () => {
      const root = roots.slice(at, at + ROOT_BYTES)
      at += ROOT_BYTES
      return { root, payload }
    })
  })
  return { layout, mask, groups }
}

/** Throws `badName` for a name that is too long. */
export function encodeFileEntry({ offset, bytes, name, map }: FileEntry): Uint8Array {
  return FileEntryBytes.serialize({
    offset: BigInt(offset),
    bytes: BigInt(bytes),
    name: nameBytes(name),
    map,
  })
}

/** Throws `badFileManifest`. */
export function decodeFileEntry(bytes: Uint8Array): FileEntry {
  const { offset, bytes: length, name, map } = read(FileEntryBytes, bytes)
  const entry = { offset: Number(offset), bytes: Number(length), map }
  if (!Number.isSafeInteger(entry.offset) || !Number.isSafeInteger(entry.bytes)) {
    throw refuse('its entry is longer than any file')
  }
  try {
    return { ...entry, name: new TextDecoder('utf-8', { fatal: true }).decode(name) }
  } catch (cause) {
    throw refuse('its name is not in UTF-8', cause)
  }
}

/** Throws `badFileManifest` when the entry does not lie within the map's stream. */
export function checkEntry({ offset, bytes }: FileEntry, { layout }: FileMap): void {
  if (offset + sealedLength(bytes, layout) > layout.sealed) {
    throw refuse('its entry ends after the stream')
  }
}

function nameBytes(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name)
  if (bytes.length <= NAME_MAX_BYTES) return bytes
  throw new CairnError('badName', `a file name has at most ${NAME_MAX_BYTES} bytes`, {
    facts: { bytes: bytes.length, max: NAME_MAX_BYTES },
  })
}

function read<T>(type: Parameters<typeof decode<T>>[0], bytes: Uint8Array): T {
  try {
    return decode(type, bytes)
  } catch (cause) {
    throw refuse('it is not one', cause)
  }
}

function refuse(why: string, cause?: unknown): CairnError {
  return new CairnError('badFileManifest', `the link leads to no manifest: ${why}`, { cause })
}
