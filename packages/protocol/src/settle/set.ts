/**
 * The messages of one epoch: held once per id, found by type, and with contradictions apart. Of two
 * different messages of one author about one subject neither counts; both stay, as evidence.
 */
import { MessageType } from '../domain.ts'
import type { Known, KnownMessages } from '../kind.ts'
import type { Attestation, Challenge, Envelope, EpochMessage, Vote } from '../messages.ts'
import { byteKey, compareBytes, hex } from '../ssz.ts'
import { ListDepth, listRoot } from '../tree.ts'

export interface SetMessage<V = unknown> extends Known<V> {
  readonly envelope: Envelope
}

/** A judged message with what it is about. */
export interface PlacedMessage {
  readonly message: SetMessage
  readonly subject: string
  readonly kind: number | 'standing'
}

/** Two different messages of one author about one subject. */
export interface Contradiction {
  readonly author: number
  readonly type: MessageType
  readonly first: Uint8Array
  readonly second: Uint8Array
}

export type Addition = 'new' | 'known' | 'contradiction' | 'surplus' | 'setFull'

/** One set holds at most this many messages; what goes beyond is refused as `setFull`. */
export const SET_MAX = 1_000_000

export interface MessageSetInit {
  /** `SET_MAX` unless given. */
  max?: number
}

/** A message where it stands; `rival` is the other one about its subject. */
interface Entry extends PlacedMessage {
  rival: Entry | undefined
}

export class MessageSet implements KnownMessages {
  readonly #max: number
  readonly #byId = new Map<string, Entry>()
  /** The first about each subject; a second is its rival, and a third is not kept. */
  readonly #bySubject = new Map<string, Entry>()
  readonly #byType = new Map<string, Entry[]>()
  readonly #attestations = new Map<string, Entry[]>()
  /** Sorted lists by type, until a message of that type is added; with the contested ones, too. */
  readonly #lists = new Map<string, readonly SetMessage[]>()
  readonly #anyLists = new Map<string, readonly SetMessage[]>()
  #ids: Uint8Array[] | undefined
  #root: Uint8Array | undefined

  constructor({ max = SET_MAX }: MessageSetInit = {}) {
    this.#max = max
  }

  get size(): number {
    return this.#byId.size
  }

  has(id: Uint8Array): boolean {
    return this.#byId.has(byteKey(id))
  }

  get(id: Uint8Array): SetMessage | undefined {
    return this.#byId.get(byteKey(id))?.message
  }

  /** What adding a message with this id and subject would be; changes nothing. */
  probe(id: Uint8Array, subject: string): Addition {
    return this.#probe(byteKey(id), subject)
  }

  /** Adds a judged message. A third one about a subject (`surplus`) is not kept. */
  add(message: SetMessage, subject: string, kind: number | 'standing'): Addition {
    const key = byteKey(message.id)
    const addition = this.#probe(key, subject)
    if (addition !== 'new' && addition !== 'contradiction') return addition
    const rival = this.#bySubject.get(subject)
    const entry: Entry = { message, subject, kind, rival }
    if (rival === undefined) this.#bySubject.set(subject, entry)
    else rival.rival = entry
    this.#ids = undefined
    this.#root = undefined
    this.#byId.set(key, entry)
    const type = `${message.envelope.type}/${kind}`
    push(this.#byType, type, entry)
    this.#lists.delete(type)
    this.#anyLists.delete(type)
    if (message.envelope.type === MessageType.attestation) {
      const { challenge } = message.value as Attestation
      push(this.#attestations, byteKey(challenge), entry)
    }
    return addition
  }

  /**
   * The set of just these messages, each from here or from `others`; undefined when one is in
   * neither.
   */
  subset(
    ids: readonly Uint8Array[],
    others: ReadonlyMap<string, PlacedMessage> = new Map(),
  ): MessageSet | undefined {
    const set = new MessageSet({ max: this.#max })
    for (const id of ids) {
      const placed = this.#byId.get(byteKey(id)) ?? others.get(hex(id))
      if (placed === undefined) return undefined
      set.add(placed.message, placed.subject, placed.kind)
    }
    return set
  }

  /**
   * A copy in which of each contested subject the two messages of the lowest ids stand, of those here
   * and in `others`: which two came first is chance, and no penalty's evidence may hang on it.
   */
  canonical(others: ReadonlyMap<string, PlacedMessage> = new Map()): MessageSet {
    const contested = new Map<string, PlacedMessage[]>()
    for (const placed of others.values()) {
      const held = this.#bySubject.get(placed.subject)
      if (held?.rival === undefined || this.has(placed.message.id)) continue
      const rivals = contested.get(placed.subject) ?? [held, held.rival]
      contested.set(placed.subject, [...rivals, placed])
    }
    const set = new MessageSet({ max: this.#max })
    const add = ({ message, subject, kind }: PlacedMessage) => set.add(message, subject, kind)
    for (const entry of this.#byId.values()) if (!contested.has(entry.subject)) add(entry)
    for (const rivals of contested.values()) {
      rivals
        .sort((a, b) => compareBytes(a.message.id, b.message.id))
        .slice(0, 2)
        .forEach(add)
    }
    return set
  }

  /**
   * Whether the set says of a message's subject what one that holds it would conclude: it holds the
   * message itself, or two others, beside which a third changes nothing.
   */
  covers(id: Uint8Array, subject: string): boolean {
    return this.has(id) || this.#bySubject.get(subject)?.rival !== undefined
  }

  /** The subject under which a message of this set was added. */
  subjectOf(id: Uint8Array): string | undefined {
    return this.#byId.get(byteKey(id))?.subject
  }

  /** Ids in ascending order: the leaves of the checkpoint's tree of messages. */
  ids(): readonly Uint8Array[] {
    this.#ids ??= [...this.#byId.values()].map(({ message }) => message.id).sort(compareBytes)
    return this.#ids
  }

  /** Root of the checkpoint's list of messages. */
  root(): Uint8Array {
    this.#root ??= listRoot(this.ids(), ListDepth.messages)
    return this.#root
  }

  *messages(): Iterable<SetMessage> {
    for (const id of this.ids()) yield this.get(id) as SetMessage
  }

  challenge(id: Uint8Array): SetMessage<Challenge> | undefined {
    const message = this.get(id)
    return message?.envelope.type === MessageType.challenge
      ? (message as SetMessage<Challenge>)
      : undefined
  }

  ofType<V extends EpochMessage>(type: MessageType, kind: number): readonly SetMessage<V>[] {
    return this.#sorted<V>(`${type}/${kind}`)
  }

  anyOfType<V extends EpochMessage>(type: MessageType, kind: number): readonly SetMessage<V>[] {
    const key = `${type}/${kind}`
    let list = this.#anyLists.get(key)
    if (list === undefined) {
      const entries = this.#byType.get(key) ?? []
      list = entries.map(({ message }) => message).sort((a, b) => compareBytes(a.id, b.id))
      this.#anyLists.set(key, list)
    }
    return list as readonly SetMessage<V>[]
  }

  standing<V>(type: MessageType): readonly SetMessage<V>[] {
    return this.#sorted<V>(`${type}/standing`)
  }

  /** Attestations of one challenge, contradictory ones left out, by author. */
  attestationsOf(challenge: Uint8Array): readonly SetMessage<Attestation>[] {
    return uncontested<Attestation>(this.#attestations.get(byteKey(challenge))).sort(
      (a, b) => a.value.author - b.value.author,
    )
  }

  /** In order of the first id. */
  contradictions(): Contradiction[] {
    const found: Contradiction[] = []
    for (const { message, rival } of this.#bySubject.values()) {
      if (rival === undefined) continue
      const [first, second] = [message, rival.message].sort((a, b) => compareBytes(a.id, b.id)) as [
        SetMessage<Vote>,
        SetMessage<Vote>,
      ]
      found.push({
        author: first.value.author,
        type: first.envelope.type as MessageType,
        first: first.id,
        second: second.id,
      })
    }
    return found.sort((a, b) => compareBytes(a.first, b.first))
  }

  #probe(key: string, subject: string): Addition {
    if (this.#byId.has(key)) return 'known'
    const other = this.#bySubject.get(subject)
    if (other?.rival !== undefined) return 'surplus'
    if (this.#byId.size >= this.#max) return 'setFull'
    return other === undefined ? 'new' : 'contradiction'
  }

  #sorted<V>(type: string): readonly SetMessage<V>[] {
    let list = this.#lists.get(type)
    if (list === undefined) {
      list = uncontested(this.#byType.get(type)).sort((a, b) => compareBytes(a.id, b.id))
      this.#lists.set(type, list)
    }
    return list as readonly SetMessage<V>[]
  }
}

/** The messages of entries that no other one contradicts. */
function uncontested<V>(entries: readonly Entry[] = []): SetMessage<V>[] {
  return entries
    .filter(({ rival }) => rival === undefined)
    .map(({ message }) => message as SetMessage<V>)
}

/** Subject of a message that belongs to no epoch of its own: itself. */
export function standingSubject(id: Uint8Array): string {
  return `standing/${hex(id)}`
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
