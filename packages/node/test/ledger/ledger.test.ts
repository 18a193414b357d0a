import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ledger, openLevelStore, type StoredMessage, stored } from '@cairn/node'
import { authorOf, equalBytes, MessageType, Ready } from '@cairn/protocol'

const NETWORK = new Uint8Array(32).fill(1)

function said(author: number, epoch: number): StoredMessage {
  const body = Ready.serialize({ epoch, base: new Uint8Array(8), kind: 0, author })
  return stored({ type: MessageType.ready, body, signature: new Uint8Array(64) })
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

describe('ledger', () => {
  let directory: string
  let store: Awaited<ReturnType<typeof openLevelStore>>
  let ledger: Ledger

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-ledger-'))
    store = await openLevelStore(directory)
    ledger = new Ledger({ store }, { network: NETWORK })
    await ledger.open()
  })

  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  it('finds a message by its id, its epoch and its author', async () => {
    const message = said(4, 1)
    assert.equal(await ledger.has(message.id), false)
    assert.equal(await ledger.get(message.id), undefined)
    await ledger.put(1, 4, message)
    assert.equal(await ledger.has(message.id), true)
    assert.deepEqual(await ledger.get(message.id), { ...message, epoch: 1 })
    assert.deepEqual(await all(ledger.messagesOf(1)), [message])
    assert.deepEqual(await all(ledger.messagesOf(0)), [])
    assert.deepEqual(await all(ledger.messagesOf(1, { author: 4 })), [message])
    assert.deepEqual(await all(ledger.messagesOf(1, { author: 5 })), [])
    assert.deepEqual(await all(ledger.messagesOf(0, { author: 4 })), [])
  })

  it('goes on behind a message, there or not', async () => {
    const messages = [1, 2, 3, 4, 5, 6].map(number => said(number % 2, number))
    for (const [i, message] of messages.entries()) await ledger.put(9, (i + 1) % 2, message)
    const ordered = messages.toSorted((a, b) => Buffer.compare(a.id, b.id))
    for (const [i, { id }] of ordered.entries()) {
      assert.deepEqual(await all(ledger.messagesOf(9, { after: id })), ordered.slice(i + 1))
      const odd = ordered.slice(i + 1).filter(({ envelope }) => authorOf(envelope) === 1)
      assert.deepEqual(await all(ledger.messagesOf(9, { after: id, author: 1 })), odd)
    }
    assert.deepEqual(await all(ledger.messagesOf(9, { after: new Uint8Array(32) })), ordered)
    assert.deepEqual(await all(ledger.messagesOf(9, { after: new Uint8Array(32).fill(255) })), [])
  })

  it('prunes an epoch with all that finds its messages, but for those to keep', async () => {
    const [kept, dropped, later] = [said(4, 1), said(5, 1), said(5, 2)]
    await ledger.put(1, 4, kept)
    await ledger.put(1, 5, dropped)
    await ledger.put(2, 5, later)
    assert.equal(await ledger.prune(1, ({ id }) => equalBytes(id, kept.id)), 1)
    assert.equal(await ledger.has(dropped.id), false)
    assert.deepEqual(await all(ledger.messagesOf(1)), [kept])
    assert.deepEqual(await all(ledger.messagesOf(1, { author: 5 })), [])
    assert.deepEqual(await all(ledger.messagesOf(2, { author: 5 })), [later])
    const entries = store.sublevel('messages').range({ gte: Uint8Array.of(), lt: Uint8Array.of(4) })
    // Envelope, epoch and author of each of the two that are left.
    assert.equal((await all(entries)).length, 6)
  })

  it('finds a message of two epochs in the later one when the earlier is pruned', async () => {
    const shared = said(5, 1)
    await ledger.put(1, 5, shared)
    await ledger.put(2, 5, shared)
    assert.equal(await ledger.prune(1, () => false), 1)
    assert.deepEqual(await ledger.get(shared.id), { ...shared, epoch: 2 })
    await ledger.prune(2, () => false)
    assert.equal(await ledger.has(shared.id), false)
  })

  it('keeps of a pruned epoch the checkpoint, and later epochs whole', async () => {
    const checkpoint = new Uint8Array(468).fill(7)
    const ids = [said(4, 1).id, said(5, 1).id]
    for (const epoch of [1, 2, 12]) {
      await ledger.putFinal(epoch, { checkpoint, ids })
      await ledger.putSeed(epoch, new Uint8Array(48).fill(epoch))
      await ledger.putOwn(`${epoch}/7/0/4/`, ids[0] as Uint8Array)
      await ledger.putOwn(`vote/${epoch}/0`, ids[1] as Uint8Array)
    }
    await ledger.prune(1, () => false)
    await ledger.prune(2, () => false)
    assert.deepEqual(await ledger.final(1), { checkpoint, ids: [] })
    assert.deepEqual(await ledger.final(12), { checkpoint, ids })
    assert.deepEqual(await ledger.finalEpochs(9), [1, 2, 12])
    assert.equal(await ledger.seed(1), undefined)
    assert.deepEqual(await ledger.seed(12), new Uint8Array(48).fill(12))
    assert.equal(await ledger.own('1/7/0/4/'), undefined)
    assert.equal(await ledger.own('vote/1/0'), undefined)
    assert.deepEqual(await ledger.own('vote/12/0'), ids[1])
    assert.deepEqual(await ledger.own('12/7/0/4/'), ids[0])
  })
})
