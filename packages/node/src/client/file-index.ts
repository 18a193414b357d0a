/**
 * The client's own list of what it stored, in the node's ledger store: with it nothing depends on the
 * links that were printed. Beside each upload lies its manifest, so that its groups are known without
 * asking anybody.
 */
import {
  ByteListType,
  Bytes32,
  CairnError,
  ContainerType,
  decode,
  decodeFileManifest,
  decodeFileMap,
  ENTRIES_MAX,
  encodeLink,
  entryKey,
  type FileLink,
  groupId,
  groupKey,
  manifestGroupId,
  mapKey,
  NAME_MAX_BYTES,
  Piece,
  parseLink,
  pieceKey,
  shardKey,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
} from '@cairn/protocol'
import { ListCompositeType } from '@chainsafe/ssz'
import type { Store } from '../ports.ts'
import { open } from './cipher.ts'
import type { Stored } from './client.ts'
import type { OpenGroup } from './remake.ts'
import { manifestCopies, type Shape } from './shape.ts'

const VERSION = 1
const RECORD = Uint8Array.of(0)
const MANIFEST = Uint8Array.of(1)
const AFTER_RECORDS = Uint8Array.of(1)

const IndexedEntry = new ContainerType({
  name: new ByteListType(NAME_MAX_BYTES),
  bytes: Uint64,
  /** 1: not listed any more; its pack is kept for the others. */
  removed: Uint8,
})

const IndexedUpload = new ContainerType({
  version: Uint8,
  key: Bytes32,
  manifest: Piece,
  /** Ms since 1970. */
  createdAt: Uint64,
  data: Uint16,
  total: Uint16,
  groups: Uint32,
  entries: new ListCompositeType(IndexedEntry, ENTRIES_MAX),
})

export interface IndexedFile {
  /** Number of the entry. */
  entry: number
  name: string
  bytes: number
  link: string
}

export interface Indexed {
  key: Uint8Array
  manifest: Piece
  /** Ms since 1970. */
  createdAt: number
  shape: Shape
  /** Groups of pieces. */
  groups: number
  /** Those that were not removed. */
  files: IndexedFile[]
}

/** A group of an upload; `opens` is its `groupKey`, where it has masks. */
export interface ListedGroup extends OpenGroup {
  readonly opens?: Uint8Array
}

export class FileIndex {
  readonly #store: Store

  constructor({ store }: { store: Store }) {
    this.#store = store
  }

  /** Durable when it resolves. */
  async add(stored: Stored, createdAt: number): Promise<void> {
    const { key, manifest, sealed, shape, map, entries } = stored
    const record = IndexedUpload.serialize({
      version: VERSION,
      key,
      manifest,
      createdAt: BigInt(createdAt),
      ...shape,
      groups: map.groups.length,
      entries: entries.map(({ name, bytes }) => ({
        name: new TextEncoder().encode(name),
        bytes: BigInt(bytes),
        removed: 0,
      })),
    })
    await this.#store.batch(
      [
        { key: keyOf(RECORD, manifest), value: record },
        { key: keyOf(MANIFEST, manifest), value: sealed },
      ],
      { sync: true },
    )
  }

  async list(): Promise<Indexed[]> {
    const found: Indexed[] = []
    for await (const [, value] of this.#store.range({ gte: RECORD, lt: AFTER_RECORDS })) {
      found.push(indexedOf(value))
    }
    return found.sort((a, b) => a.createdAt - b.createdAt)
  }

  /** All groups of an upload, and the manifest's; none after its last file was removed. */
  async groups({ key, manifest, shape }: Indexed): Promise<ListedGroup[]> {
    const sealed = await this.#store.get(keyOf(MANIFEST, manifest))
    if (sealed === undefined) return []
    const { map } = decodeFileManifest(sealed)
    const { mask, groups } = decodeFileMap(open(mapKey(key), 0, map))
    const copies = Array.from({ length: manifestCopies(shape) }, () => manifest)
    return [
      ...groups.map((pieces, number) => {
        const opens = groupKey(mask, number)
        const keys = pieces.map((_, place) => shardKey(opens, place))
        return { id: groupId(mask, number), data: shape.data, pieces, opens, keys }
      }),
      { id: manifestGroupId(mask), data: 1, pieces: copies, payload: sealed },
    ]
  }

  /** What a file of this node is called. */
  async nameOf({ manifest, entry }: FileLink): Promise<string | undefined> {
    const value = await this.#store.get(keyOf(RECORD, manifest))
    return value && indexedOf(value).files.find(file => file.entry === entry)?.name
  }

  /**
   * The file that a link leads to is not listed any more. Resolves with it and its upload, whose last
   * file it was when no others are left. Throws `badLink` and `notListed`.
   */
  async remove(text: string): Promise<{ file: IndexedFile; upload: Indexed }> {
    const { link, file, value } = await this.#found(text)
    const key = keyOf(RECORD, link.manifest)
    const record = decode(IndexedUpload, value)
    const entries = record.entries.map((entry, number) =>
      number === link.entry ? { ...entry, removed: 1 } : entry,
    )
    const after = IndexedUpload.serialize({ ...record, entries })
    const upload = indexedOf(after)
    const writes =
      upload.files.length > 0
        ? [{ key, value: after }]
        : [{ key }, { key: keyOf(MANIFEST, link.manifest) }]
    await this.#store.batch(writes, { sync: true })
    return { file, upload }
  }

  /** The upload of the file that a link leads to. Throws `badLink` and `notListed`. */
  async find(text: string): Promise<Indexed> {
    return indexedOf((await this.#found(text)).value)
  }

  async #found(text: string) {
    const link = parseLink(text)
    const value = await this.#store.get(keyOf(RECORD, link.manifest))
    const file = value && indexedOf(value).files.find(({ entry }) => entry === link.entry)
    if (value === undefined || file === undefined) throw notListed(link)
    return { link, file, value }
  }
}

function indexedOf(value: Uint8Array): Indexed {
  const { key, manifest, createdAt, data, total, groups, entries } = decode(IndexedUpload, value)
  const files = entries.flatMap(({ name, bytes, removed }, entry) =>
    removed === 1
      ? []
      : [
          {
            entry,
            name: new TextDecoder().decode(name),
            bytes: Number(bytes),
            link: encodeLink({ manifest, entry, key: entryKey(key, entry) }),
          },
        ],
  )
  return { key, manifest, createdAt: Number(createdAt), shape: { data, total }, groups, files }
}

function keyOf(table: Uint8Array, { root }: Piece): Uint8Array {
  return Buffer.concat([table, root])
}

function notListed({ manifest, entry }: FileLink): CairnError {
  return new CairnError('notListed', 'this node did not store what the link leads to', {
    facts: { manifest: pieceKey(manifest), entry },
    next: 'see `cairn ls`; only the node that stored a file can remove it',
  })
}
