import { strict as assert } from 'node:assert'
import { copyFile, mkdtemp, rename, rm, stat, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closingMark, Ledger, openLevelStore, type Store } from '@cairn/node'
import { hex, MessageType, Ready } from '@cairn/protocol'
import fc from 'fast-check'
import { type StoredMessage, stored } from '../../src/ledger/ledger.ts'
import { key, readU32, u32, withPrefix } from '../../src/ledger/schema.ts'

const NETWORK = new Uint8Array(32).fill(1)

const checkpoint = (fill: number) => new Uint8Array(468).fill(fill)
const id = (fill: number) => new Uint8Array(32).fill(fill)

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

describe('a ledger’s store', () => {
  let directory: string
  let store: Store

  const ledgerOf = (network = NETWORK) => new Ledger({ store }, { network })
  const reopen = async () => {
    await store.close()
    store = await openLevelStore(directory)
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-ledger-'))
    store = await openLevelStore(directory)
  })

  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  it('is clean when it is new, and after it was closed', async () => {
    const first = ledgerOf()
    assert.equal(await first.open(), 'empty')
    await first.close()
    await reopen()
    assert.equal(await ledgerOf().open(), 'clean')
  })

  it('is not clean when it was not closed, until it is', async () => {
    await ledgerOf().open()
    await reopen()
    const second = ledgerOf()
    assert.equal(await second.open(), 'unclean')
    await second.close()
    await reopen()
    assert.equal(await ledgerOf().open(), 'clean')
  })

  it('is told from its copy, its backup and a ledger that lost its mark', async () => {
    const path = join(directory, 'closed')
    const mark = closingMark(path)
    const opened = async () => {
      await reopen()
      const ledger = new Ledger({ store, mark }, { network: NETWORK })
      const found = await ledger.open()
      await ledger.close()
      return found
    }
    assert.equal(await opened(), 'empty')
    assert.equal(await opened(), 'clean')
    assert.equal(await opened(), 'clean')
    // As an archive restores it: the same bytes and times, and another file.
    const { atime, mtime } = await stat(path)
    await copyFile(path, `${path}.backup`)
    await rename(`${path}.backup`, path)
    await utimes(path, atime, mtime)
    assert.equal(await opened(), 'copied')
    assert.equal(await opened(), 'clean', 'a copy that was closed is a ledger like any other')
    await rm(path)
    assert.equal(await opened(), 'copied')
  })

  it('of another network is refused, and left as it was', async () => {
    await ledgerOf().open()
    await reopen()
    const other = ledgerOf(new Uint8Array(32).fill(2))
    await assert.rejects(other.open(), { code: 'otherNetwork' })
    await other.close()
    await reopen()
    assert.equal(await ledgerOf().open(), 'unclean', 'its unclean stop is remembered')
  })

  it('of a newer version is refused with both versions', async () => {
    const ledger = ledgerOf()
    await ledger.open()
    await ledger.close()
    await store
      .sublevel('meta')
      .batch([{ key: Uint8Array.of(0), value: Uint8Array.of(9, 0, 0, 0) }])
    await assert.rejects(ledgerOf().open(), (error: { code: string; facts: object }) => {
      assert.equal(error.code, 'newerSchema')
      assert.deepEqual(error.facts, { found: 9, known: 1 })
      return true
    })
  })

  it('that is damaged is refused with a code', async () => {
    await store.sublevel('meta').batch([{ key: Uint8Array.of(0), value: Uint8Array.of(1) }])
    await assert.rejects(ledgerOf().open(), { code: 'badLength' })
  })

  it('remembers until when the node is silent', async () => {
    const ledger = ledgerOf()
    await ledger.open()
    assert.equal(await ledger.muteUntil(), 0)
    await ledger.setMuteUntil(7)
    await reopen()
    assert.equal(await ledgerOf().muteUntil(), 7)
  })

  it('remembers what this node said by subject', async () => {
    const ledger = ledgerOf()
    assert.equal(await ledger.own('4/1'), undefined)
    await ledger.putOwn('4/1', id(1))
    await ledger.putOwn('4/11', id(2))
    await reopen()
    assert.deepEqual(await ledgerOf().own('4/1'), id(1))
    assert.deepEqual(await ledgerOf().own('4/11'), id(2))
  })

  it('keeps final sets with their checkpoints, in order of epoch', async () => {
    const ledger = ledgerOf()
    for (const epoch of [300, 2, 0, 70_000, 255, 256]) {
      await ledger.putFinal(epoch, { checkpoint: checkpoint(epoch % 256), ids: [id(1), id(2)] })
    }
    await ledger.putFinal(2, { checkpoint: checkpoint(9), ids: [] })
    assert.deepEqual(await ledger.finalEpochs(99), [0, 2, 255, 256, 300, 70_000])
    assert.deepEqual(await ledger.finalEpochs(1), [70_000])
    assert.deepEqual(await ledger.final(2), { checkpoint: checkpoint(9), ids: [] })
    assert.deepEqual(await ledger.final(300), {
      checkpoint: checkpoint(300 % 256),
      ids: [id(1), id(2)],
    })
    assert.equal(await ledger.final(3), undefined)
  })

  it('keeps what it voted for by epoch and root, until it lets go of the epoch', async () => {
    const ledger = ledgerOf()
    const set = { checkpoint: checkpoint(3), ids: [id(5)] }
    await ledger.putVoted(3, id(1), set)
    await ledger.putVoted(3, id(2), { ...set, ids: [] })
    await ledger.putVoted(4, id(1), set)
    await reopen()
    const again = ledgerOf()
    assert.deepEqual(await again.voted(3, id(1)), set)
    assert.deepEqual(await again.voted(3, id(2)), { ...set, ids: [] })
    assert.equal(await again.voted(3, id(3)), undefined)
    await again.dropVoted(3)
    assert.equal(await again.voted(3, id(1)), undefined)
    assert.deepEqual(await again.voted(4, id(1)), set)
  })

  it('keeps one quorum of an epoch, until it lets go of the epoch', async () => {
    const ledger = ledgerOf()
    const votes = [1, 2, 3].map(author =>
      stored({
        type: MessageType.vote,
        body: new Uint8Array(60).fill(author),
        signature: id(author),
      }),
    )
    const ids = async (epoch: number) => {
      const found: string[] = []
      for await (const { id } of ledgerOf().quorum(epoch)) found.push(hex(id))
      return found
    }
    const idsOf = (...messages: StoredMessage[]) => messages.map(({ id }) => hex(id)).sort()
    const [first, second, third] = votes as [StoredMessage, StoredMessage, StoredMessage]
    await ledger.putQuorum(3, [first])
    await ledger.putQuorum(3, [second, third])
    await ledger.putQuorum(4, [first])
    await reopen()
    assert.deepEqual(await ids(3), idsOf(second, third))
    await ledgerOf().dropVoted(3)
    assert.deepEqual([await ids(3), await ids(4)], [[], idsOf(first)])
    await ledgerOf().dropQuorum(4)
    assert.deepEqual(await ids(4), [])
  })

  it('keeps states by their root and seeds by their epoch', async () => {
    const ledger = ledgerOf()
    const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251)
    await ledger.putState(id(1), bytes)
    await ledger.putSeed(5, new Uint8Array(48).fill(5))
    assert.deepEqual(await ledger.state(id(1)), bytes)
    assert.equal(await ledger.state(id(2)), undefined)
    assert.deepEqual(await ledger.seed(5), new Uint8Array(48).fill(5))
    assert.equal(await ledger.seed(6), undefined)
    await ledger.dropState(id(1))
    assert.equal(await ledger.state(id(1)), undefined)
  })

  it('keeps standing messages apart, by id', async () => {
    const ledger = ledgerOf()
    const messages = [1, 2, 3].map(number => standing(number))
    for (const message of messages) await ledger.putStanding(message)
    await ledger.putStanding(messages[0] as (typeof messages)[0])
    const ids = (await all(ledger.standing())).map(message => hex(message.id))
    assert.deepEqual(ids, messages.map(message => hex(message.id)).sort())
    await ledger.dropStanding([messages[1]?.id as Uint8Array])
    assert.equal((await all(ledger.standing())).length, 2)
  })

  it('holds what a model holds, whatever is put and pruned', async () => {
    const command = fc.oneof(
      { weight: 6, arbitrary: fc.record({ put: fc.nat(40), epoch: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ prune: fc.nat(3), keep: fc.nat(4) }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), async commands => {
        const ledger = new Ledger({ store: store.sublevel(`run-${runs++}`) }, { network: NETWORK })
        // By epoch, then id: the author.
        const model = new Map<number, Map<string, number>>()
        const latest = new Map<string, number>()
        for (const step of commands) {
          if ('put' in step) {
            const author = step.put % 5
            const message = said(step.put, author)
            await ledger.put(step.epoch, author, message)
            const epoch = model.get(step.epoch) ?? new Map()
            model.set(step.epoch, epoch.set(hex(message.id), author))
            latest.set(hex(message.id), step.epoch)
          } else {
            await ledger.prune(step.prune, ({ envelope }) => authorIn(envelope.body) === step.keep)
            for (const [name, author] of model.get(step.prune) ?? []) {
              if (author === step.keep) continue
              model.get(step.prune)?.delete(name)
              if (latest.get(name) === step.prune) latest.delete(name)
            }
          }
        }
        for (const epoch of [0, 1, 2, 3]) {
          const held = (await all(ledger.messagesOf(epoch))).map(message => hex(message.id))
          assert.deepEqual(held, [...(model.get(epoch)?.keys() ?? [])].sort())
        }
        for (let number = 0; number <= 40; number++) {
          const message = said(number, number % 5)
          const name = hex(message.id)
          const found = await ledger.get(message.id)
          assert.equal(found?.epoch, latest.get(name))
          if (found !== undefined) assert.deepEqual(found.envelope, message.envelope)
        }
        for (const author of [0, 1, 2, 3, 4]) {
          for (const epoch of [0, 1, 2, 3]) {
            const by = await all(ledger.messagesOf(epoch, { author }))
            const expected = [...(model.get(epoch) ?? [])].filter(([, of]) => of === author)
            assert.deepEqual(
              by.map(message => hex(message.id)),
              expected.map(([name]) => name).sort(),
            )
          }
        }
      }),
      { numRuns: 40 },
    )
  })
})

let runs = 0

function said(number: number, author: number) {
  const base = new Uint8Array(8)
  new DataView(base.buffer).setUint32(0, number)
  const body = Ready.serialize({ epoch: 1, base, kind: 0, author })
  return stored({ type: MessageType.ready, body, signature: new Uint8Array(64).fill(number) })
}

function standing(number: number) {
  const body = Uint8Array.of(number)
  return stored({ type: MessageType.deal, body, signature: new Uint8Array(128) })
}

function authorIn(body: Uint8Array): number {
  return new DataView(body.buffer, body.byteOffset).getUint32(13, true)
}

describe('keys of the ledger', () => {
  it('have the order of their numbers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.nat(), (a, b) => {
        assert.equal(Math.sign(Buffer.compare(u32(a), u32(b))), Math.sign(a - b))
        assert.equal(readU32(u32(a)), a)
        assert.equal(readU32(key(u32(b), u32(a)), 4), a)
      }),
    )
  })

  it('are refused for what is no uint32', () => {
    for (const number of [-1, 2 ** 32, 1.5, Number.NaN]) assert.throws(() => u32(number))
  })

  it('with a prefix are just those in its range', () => {
    const bytes = fc.uint8Array({ maxLength: 40 })
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 8 }), bytes, (prefix, other) => {
        const { gte, lt } = withPrefix(prefix)
        const within = (at: Uint8Array) =>
          Buffer.compare(gte, at) <= 0 && Buffer.compare(at, lt) < 0
        assert.ok(within(key(prefix, other)))
        const begins = Buffer.compare(Buffer.from(other).subarray(0, prefix.length), prefix) === 0
        assert.equal(within(other), begins)
      }),
    )
  })
})
