/**
 * The local ledger: every message this node accepted, the carried states, and the checkpoints with
 * the sets they commit to. What is written here before an acknowledgement is never lost by a kill.
 */
import {
  authorOf,
  CairnError,
  type Codec,
  ContainerType,
  decode,
  Envelope,
  equalBytes,
  hex,
  messageId,
  Uint32,
} from '@cairn/protocol'
import type { ClosingMark, Store, Write } from '../ports.ts'
import {
  key,
  readU32,
  readU64,
  SCHEMA_VERSION,
  Sublevel,
  Table,
  u32,
  u64,
  withPrefix,
} from './schema.ts'

export interface LedgerComponents {
  store: Store
  /** Tells a copy from the ledger that was closed; absent where nobody can copy it. */
  mark?: ClosingMark
}

export interface LedgerInit {
  /** Network id; a store of another network is refused. */
  network: Uint8Array
}

/**
 * What a ledger was when it was opened. After all but `clean` the node must not sign for an epoch:
 * what it said last may not be here. Of an empty one its words may have spoken elsewhere before.
 */
export type FoundAs = 'clean' | 'empty' | 'unclean' | 'copied'

/** What identifies one message in the ledger. */
export interface StoredMessage {
  readonly id: Uint8Array
  readonly envelope: Envelope
}

const Meta = new ContainerType({ schema: Uint32 }, { typeName: 'Meta' })

const META_SCHEMA = Uint8Array.of(0)
const META_NETWORK = Uint8Array.of(1)
const META_OPEN = Uint8Array.of(2)
const META_MUTE_UNTIL = Uint8Array.of(3)
const META_MARK = Uint8Array.of(4)
const ABSENT = new Uint8Array(0)

export class Ledger {
  readonly #network: Uint8Array
  readonly #levels: Record<keyof typeof Sublevel, Store>
  readonly #mark: ClosingMark | undefined
  #open = false

  constructor({ store, mark }: LedgerComponents, { network }: LedgerInit) {
    this.#network = network
    this.#mark = mark
    this.#levels = Object.fromEntries(
      Object.entries(Sublevel).map(([name, sub]) => [name, store.sublevel(sub)]),
    ) as Record<keyof typeof Sublevel, Store>
  }

  /**
   * Checks schema and network, and marks the store as open. Throws `newerSchema` or `otherNetwork`.
   */
  async open(): Promise<FoundAs> {
    const { meta } = this.#levels
    const schema = await read(meta, META_SCHEMA, Meta)
    if (schema !== undefined && schema.schema > SCHEMA_VERSION) {
      throw new CairnError('newerSchema', 'the ledger was written by a newer version of cairn', {
        facts: { found: schema.schema, known: SCHEMA_VERSION },
        next: 'install the version that wrote it, or start with another data directory',
      })
    }
    const network = await meta.get(META_NETWORK)
    if (network !== undefined && !equalBytes(network, this.#network)) {
      throw new CairnError('otherNetwork', 'the ledger belongs to another network', {
        facts: { found: hex(network), expected: hex(this.#network) },
        next: 'use one data directory per network',
      })
    }
    const opened = schema === undefined ? 'empty' : await this.#leftAs()
    await meta.batch(
      [
        { key: META_SCHEMA, value: Meta.serialize({ schema: SCHEMA_VERSION }) },
        { key: META_NETWORK, value: this.#network },
        { key: META_OPEN, value: u32(1) },
      ],
      { sync: true },
    )
    this.#open = true
    return opened
  }

  /**
   * Marks the last close as clean, unless it is told that it is not; the store is closed by who opened
   * it. What `open` refused stays as it was.
   */
  async close({ clean = true }: { clean?: boolean } = {}): Promise<void> {
    if (!this.#open) return
    this.#open = false
    if (!clean) return
    const mark = (await this.#mark?.leave()) ?? ''
    const writes = [{ key: META_MARK, value: new TextEncoder().encode(mark) }, { key: META_OPEN }]
    await this.#levels.meta.batch(writes, { sync: true })
  }

  async #leftAs(): Promise<FoundAs> {
    const { meta } = this.#levels
    if ((await meta.get(META_OPEN)) !== undefined) return 'unclean'
    const left = new TextDecoder().decode(await meta.get(META_MARK))
    return left === ((await this.#mark?.found()) ?? '') ? 'clean' : 'copied'
  }

  /** First epoch in which this node may sign again; 0 when it was never muted. */
  async muteUntil(): Promise<number> {
    const bytes = await this.#levels.meta.get(META_MUTE_UNTIL)
    return bytes === undefined ? 0 : readU32(bytes)
  }

  async setMuteUntil(epoch: number): Promise<void> {
    await this.#levels.meta.batch([{ key: META_MUTE_UNTIL, value: u32(epoch) }], { sync: true })
  }

  /** Stores a message of an epoch's set, with what finds it, or nothing of it. Idempotent. */
  async put(
    epoch: number,
    author: number | undefined,
    { id, envelope }: StoredMessage,
    options: { sync?: boolean } = {},
  ): Promise<void> {
    const at = u32(epoch)
    const writes: Write[] = [
      { key: key(Table.envelope, at, id), value: Envelope.serialize(envelope) },
      { key: key(Table.epochOf, id), value: at },
    ]
    if (author !== undefined) {
      writes.push({ key: key(Table.byAuthor, u32(author), at, id), value: ABSENT })
    }
    await this.#levels.messages.batch(writes, options)
  }

  /** A message by its id, with the epoch whose set it was stored for. */
  async get(id: Uint8Array): Promise<(StoredMessage & { epoch: number }) | undefined> {
    const { messages } = this.#levels
    const epoch = await messages.get(key(Table.epochOf, id))
    if (epoch === undefined) return undefined
    const bytes = await messages.get(key(Table.envelope, epoch, id))
    if (bytes === undefined) return undefined
    return { id, epoch: readU32(epoch), envelope: decode(Envelope, bytes) }
  }

  /** Whether a message is stored: one batch holds it and what this looks at. */
  async has(id: Uint8Array): Promise<boolean> {
    return (await this.#levels.messages.get(key(Table.epochOf, id))) !== undefined
  }

  /** In order of id; those of one author, and those behind a given id, without reading the others. */
  async *messagesOf(
    epoch: number,
    { author, after }: { author?: number; after?: Uint8Array } = {},
  ): AsyncIterable<StoredMessage> {
    const { messages } = this.#levels
    const at = u32(epoch)
    const prefix =
      author === undefined ? key(Table.envelope, at) : key(Table.byAuthor, u32(author), at)
    const { gte, lt } = withPrefix(prefix)
    const from = after === undefined ? gte : key(prefix, after, Uint8Array.of(0))
    for await (const [found, value] of messages.range({ gte: from, lt })) {
      const id = found.slice(prefix.length)
      const bytes = author === undefined ? value : await messages.get(key(Table.envelope, at, id))
      if (bytes !== undefined) yield { id, envelope: decode(Envelope, bytes) }
    }
  }

  async putStanding({ id, envelope }: StoredMessage): Promise<void> {
    await this.#levels.standing.batch([{ key: id, value: Envelope.serialize(envelope) }], {
      sync: true,
    })
  }

  async dropStanding(ids: readonly Uint8Array[]): Promise<void> {
    await this.#levels.standing.batch(ids.map(id => ({ key: id })))
  }

  async *standing(): AsyncIterable<StoredMessage> {
    for await (const [id, bytes] of this.#levels.standing.range(withPrefix(ABSENT))) {
      yield { id, envelope: decode(Envelope, bytes) }
    }
  }

  async putState(root: Uint8Array, bytes: Uint8Array): Promise<void> {
    await this.#levels.states.batch([{ key: root, value: bytes }])
  }

  async state(root: Uint8Array): Promise<Uint8Array | undefined> {
    return await this.#levels.states.get(root)
  }

  async dropState(root: Uint8Array): Promise<void> {
    await this.#levels.states.batch([{ key: root }])
  }

  /** Records the set that the accepted checkpoint of an epoch commits to. */
  async putFinal(epoch: number, final: FinalSet): Promise<void> {
    const value = key(final.checkpoint, ...final.ids)
    await this.#levels.finals.batch([{ key: u32(epoch), value }], { sync: true })
  }

  async final(epoch: number): Promise<FinalSet | undefined> {
    const bytes = await this.#levels.finals.get(u32(epoch))
    return bytes === undefined ? undefined : readFinal(bytes)
  }

  /** Forgets that an epoch was accepted. */
  async dropFinal(epoch: number): Promise<void> {
    await this.#levels.finals.batch([{ key: u32(epoch) }], { sync: true })
  }

  /** Records in which block the accepted checkpoint of an epoch landed. */
  async putLanding(epoch: number, block: bigint): Promise<void> {
    await this.#levels.landings.batch([{ key: u32(epoch), value: u64(block) }])
  }

  async landing(epoch: number): Promise<bigint | undefined> {
    const bytes = await this.#levels.landings.get(u32(epoch))
    return bytes === undefined ? undefined : readU64(bytes)
  }

  /** Epochs with a recorded final set, ascending, at most `limit` newest. */
  async finalEpochs(limit: number): Promise<number[]> {
    const epochs: number[] = []
    const range = { ...withPrefix(ABSENT), reverse: true, limit }
    for await (const [at] of this.#levels.finals.range(range)) epochs.push(readU32(at))
    return epochs.reverse()
  }

  /**
   * Records what this node is about to vote for, so that after a restart it can still be landed.
   */
  async putVoted(epoch: number, root: Uint8Array, set: FinalSet): Promise<void> {
    const value = key(set.checkpoint, ...set.ids)
    await this.#levels.voted.batch([{ key: key(u32(epoch), root), value }], { sync: true })
  }

  async voted(epoch: number, root: Uint8Array): Promise<FinalSet | undefined> {
    const bytes = await this.#levels.voted.get(key(u32(epoch), root))
    return bytes === undefined ? undefined : readFinal(bytes)
  }

  /** Forgets what this node voted for, and the epoch's quorum. */
  async dropVoted(epoch: number): Promise<void> {
    await clear(this.#levels.voted, withPrefix(u32(epoch)))
    await this.dropQuorum(epoch)
  }

  /** Records the votes of a quorum that no set holds, in the place of another of the epoch. */
  async putQuorum(epoch: number, votes: readonly StoredMessage[]): Promise<void> {
    await this.dropQuorum(epoch)
    const writes = votes.map(({ id, envelope }) => ({
      key: key(u32(epoch), id),
      value: Envelope.serialize(envelope),
    }))
    await this.#levels.quorums.batch(writes, { sync: true })
  }

  async *quorum(epoch: number): AsyncIterable<StoredMessage> {
    const at = u32(epoch)
    for await (const [found, bytes] of this.#levels.quorums.range(withPrefix(at))) {
      yield { id: found.slice(at.length), envelope: decode(Envelope, bytes) }
    }
  }

  async dropQuorum(epoch: number): Promise<void> {
    await clear(this.#levels.quorums, withPrefix(u32(epoch)))
  }

  async putSeed(epoch: number, signature: Uint8Array): Promise<void> {
    await this.#levels.seeds.batch([{ key: u32(epoch), value: signature }])
  }

  async seed(epoch: number): Promise<Uint8Array | undefined> {
    return await this.#levels.seeds.get(u32(epoch))
  }

  /**
   * What was already said here about a subject, which begins `epoch/` or `vote/epoch/` and ends with
   * `#` and who said it, where that is not the ledger's own node: the id, if anything.
   */
  async own(subject: string): Promise<Uint8Array | undefined> {
    return await this.#levels.own.get(new TextEncoder().encode(subject))
  }

  async putOwn(subject: string, id: Uint8Array): Promise<void> {
    const at = new TextEncoder().encode(subject)
    await this.#levels.own.batch([{ key: at, value: id }], { sync: true })
  }

  /**
   * Removes others' messages of an epoch, keeping those `keep` says; the subjects of what this
   * node said, since nobody takes more about them; the ids of the epoch's final set; and seeds of the epochs before, which can be had
   * again. What stays: the kept messages, and the accepted checkpoint.
   */
  async prune(epoch: number, keep: (message: StoredMessage) => boolean): Promise<number> {
    const writes: Write[] = []
    let pruned = 0
    const at = u32(epoch)
    for await (const message of this.messagesOf(epoch)) {
      if (keep(message)) continue
      const { id, envelope } = message
      writes.push({ key: key(Table.envelope, at, id) })
      const found = await this.#levels.messages.get(key(Table.epochOf, id))
      // A message that belongs to a later epoch's set too is found there.
      if (found !== undefined && equalBytes(found, at)) {
        writes.push({ key: key(Table.epochOf, id) })
      }
      const author = authorOf(envelope)
      if (author !== undefined) writes.push({ key: key(Table.byAuthor, u32(author), at, id) })
      pruned++
    }
    await this.#levels.messages.batch(writes)
    const final = await this.final(epoch)
    if (final !== undefined) {
      await this.#levels.finals.batch([{ key: at, value: final.checkpoint }])
    }
    for (const said of [`${epoch}/`, `vote/${epoch}/`]) {
      await clear(this.#levels.own, withPrefix(new TextEncoder().encode(said)))
    }
    await clear(this.#levels.seeds, { gte: u32(0), lt: at })
    await clear(this.#levels.landings, { gte: u32(0), lt: at })
    return pruned
  }
}

export interface FinalSet {
  /** The accepted checkpoint's bytes. */
  readonly checkpoint: Uint8Array
  /** Ids of its messages, ascending. */
  readonly ids: readonly Uint8Array[]
}

const CHECKPOINT_BYTES = 468

function readFinal(bytes: Uint8Array): FinalSet {
  const ids: Uint8Array[] = []
  for (let at = CHECKPOINT_BYTES; at < bytes.length; at += 32) ids.push(bytes.slice(at, at + 32))
  return { checkpoint: bytes.slice(0, CHECKPOINT_BYTES), ids }
}

async function clear(store: Store, range: { gte: Uint8Array; lt: Uint8Array }): Promise<void> {
  const writes: Write[] = []
  for await (const [at] of store.range(range)) writes.push({ key: at })
  await store.batch(writes)
}

async function read<V>(store: Store, at: Uint8Array, codec: Codec<V>): Promise<V | undefined> {
  const bytes = await store.get(at)
  return bytes === undefined ? undefined : decode(codec, bytes)
}

/** A message with the id that names it. */
export function stored(envelope: Envelope): StoredMessage {
  return { id: messageId(envelope), envelope }
}
