/**
 * A volume: a place for bytes under names, which knows nothing of pieces. There are two, a directory
 * on a disk and a bucket of an S3-compatible service, and one conformance suite for both.
 *
 * Each volume holds a label that says which one it is. A disk that is not mounted has none, and one
 * that was swapped has another: neither is taken for the volume.
 */
import { CairnError } from '@cairn/protocol'
import { z } from 'zod'

export interface Volume {
  /** A path or an address, for people. */
  readonly location: string
  /**
   * Undefined where there is none. Throws `badVolume`, `newerVolume`, and `volumeUnreachable` where
   * the place itself does not answer.
   */
  label(): Promise<VolumeLabel | undefined>
  /** Makes the place a volume; throws `volumeExists` where it is one already. */
  create(label: VolumeLabel): Promise<void>
  /** Removes what was being taken in when a process ended. Nothing may be staged meanwhile. */
  sweep(): Promise<void>
  /** Takes bytes in, under no name yet. Rejects with what the source throws, leaving nothing. */
  stage(source: ByteSource, options?: StageOptions): Promise<Staged>
  /** Makes names durable that staged bytes got. */
  settle(names: readonly string[]): Promise<void>
  /** At most `length` bytes, fewer at the end; undefined: no such name. */
  read(name: string, offset: number, length: number): Promise<Uint8Array | undefined>
  /** Bytes under a name; undefined: no such name. */
  size(name: string): Promise<number | undefined>
  /** Durable when it resolves; a name that is not there is none. */
  remove(names: readonly string[]): Promise<void>
  /** Durable when it resolves; replaces what has the name. False: there is no `from`. */
  move(from: string, to: string): Promise<boolean>
  /** Everything that has a name beginning so, in any order. */
  list(prefix: string): AsyncIterable<{ name: string; bytes: number }>
  /** Bytes that still fit on the medium; undefined: no limit is known. */
  free(): Promise<number | undefined>
}

export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

export interface StageOptions {
  /** The name that the bytes will get, where it is known. */
  name?: string
}

/** Bytes that are whole and durable, and have no name. */
export interface Staged {
  /** Gives them a name, replacing what had it; durable when the volume settled it. */
  place(name: string): Promise<void>
  /** Removes them, unless they were placed. */
  discard(): Promise<void>
}

export interface VolumeLabel {
  /** A name that no other volume has. */
  volume: string
  /** Whose it is. */
  owner: string
}

/** The name that the label has on its volume. */
export const LABEL_NAME = 'volume.json'
/** Version of what volumes hold under which names. */
const LAYOUT = 1

const Versioned = z.object({ layout: z.int() })
const Label = z.object({ volume: z.string().max(64), owner: z.string().max(64) })

export function encodeLabel({ volume, owner }: VolumeLabel): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ layout: LAYOUT, volume, owner })}\n`)
}

/** Throws `badVolume` or `newerVolume`. */
export function decodeLabel(bytes: Uint8Array, location: string): VolumeLabel {
  let value: unknown
  let layout: number
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
    layout = Versioned.parse(value).layout
  } catch (cause) {
    throw badVolume(location, cause)
  }
  if (layout > LAYOUT) {
    throw new CairnError('newerVolume', 'a newer version of cairn wrote this volume', {
      facts: { location, found: layout, known: LAYOUT },
      next: 'install the version that wrote it',
    })
  }
  const label = Label.safeParse(value)
  if (!label.success) throw badVolume(location, label.error)
  return label.data
}

function badVolume(location: string, cause: unknown): CairnError {
  return new CairnError('badVolume', `${LABEL_NAME} does not name a volume`, {
    facts: { location },
    cause,
    next: `offer another place, or remove ${LABEL_NAME} if no node keeps anything here`,
  })
}

export function volumeExists(location: string): CairnError {
  return new CairnError('volumeExists', 'the place is a volume already', {
    facts: { location },
    next: 'use it by its name, or choose an empty place',
  })
}

/** The medium does not do what it is asked. */
export function volumeUnreachable(location: string, cause: unknown): CairnError {
  return new CairnError('volumeUnreachable', 'the volume does not answer', {
    facts: { location },
    cause,
    next: 'see the cause: a failing disk, missing rights or no network',
  })
}
