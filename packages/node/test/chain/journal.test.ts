import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '@cairn/node'
import { hex, unhex } from '@cairn/protocol'
import fc from 'fast-check'
import {
  ATTEMPTS_MAX,
  DAYS_MAX,
  type Entry,
  Journal,
  JournalEntry,
  SETTLED_MAX,
  UNSETTLED_MAX,
} from '../../src/chain/journal.ts'
import { openLevelStore } from '../../src/store/level.ts'

const TO = '0x00000000000000000000000000000000000000aa'
const RAW = '0x02f8'
const DAY_MS = 86_400_000

const draft = (nonce: number, key = '') => ({
  nonce,
  key,
  purpose: 'claim' as const,
  call: { to: TO, data: '0x1234' } as const,
  gas: 21_000n,
  at: 1_700_000_000_000,
})
const settled = (entry: Entry, { block = 7n, cost = 100n } = {}) => ({
  succeeded: true,
  transaction: entry.attempts[0]?.hash ?? '0x',
  block,
  blockHash: `0x${'11'.repeat(32)}` as const,
  cost,
})

describe('journal of transactions', () => {
  let directory: string
  let store: Store
  let runs = 0
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-journal-'))
    store = await openLevelStore(directory)
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })

  it('encodes an entry as it always did', () => {
    const value = {
      state: 2,
      purpose: 1,
      succeeded: 1,
      orderedAt: 1_690_000_000_000n,
      at: 1_700_000_000_000n,
      minedAt: 1_700_000_007_000n,
      gas: 21_000n,
      to: unhex(TO),
      transaction: new Uint8Array(32).fill(0x22),
      block: 7n,
      blockHash: new Uint8Array(32).fill(0x11),
      cost: 100n,
      data: Uint8Array.of(0x12, 0x34),
      key: new TextEncoder().encode('k'),
    }
    const golden = [
      '02',
      '01',
      '01',
      '0084d97b89010000',
      '0068e5cf8b010000',
      '5883e5cf8b010000',
      '0852000000000000',
      '00000000000000000000000000000000000000aa',
      '22'.repeat(32),
      '0700000000000000',
      '11'.repeat(32),
      '64000000000000000000000000000000',
      '97000000',
      '99000000',
      '1234',
      '6b',
    ].join('')
    assert.equal(hex(JournalEntry.serialize(value)), golden)
    assert.deepEqual(JournalEntry.deserialize(unhex(golden)), value)
  })

  it('reads back what was written, in any order of what can happen', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.constantFrom('begin', 'raise', 'giveUp', 'settle', 'reopen', 'finish', 'drop'),
          {
            maxLength: 25,
          },
        ),
        async steps => {
          const place = store.sublevel(`run-${runs++}`)
          const journal = await Journal.open(place)
          let nonce = 0
          for (const step of steps) {
            const last = journal.unsettled().at(-1)
            if (step === 'begin') await journal.begin(draft(nonce++, `key/${nonce}`), RAW)
            else if (last === undefined) continue
            else if (step === 'raise') {
              if (last.attempts.length < ATTEMPTS_MAX) await journal.raise(last, '0x02f9', 5)
            } else if (step === 'giveUp') await journal.giveUp(last)
            else if (step === 'settle') await journal.settle(last, settled(last), 19_675 * DAY_MS)
            else if (step === 'reopen') await journal.reopen(last)
            else if (step === 'finish') {
              if (last.settled !== undefined) await journal.finish(last)
            } else await journal.drop(last)
          }
          const again = await Journal.open(place)
          assert.deepEqual(again.entries(), journal.entries())
          assert.deepEqual([...again.spending()], [...journal.spending()])
          const paid = journal
            .entries()
            .reduce((sum, entry) => sum + (entry.settled?.cost ?? 0n), 0n)
          assert.ok(journal.spentOn(19_675) >= paid)
        },
      ),
      { numRuns: 40, verbose: true },
    )
  })

  it('refuses bytes that are no entry', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async bytes => {
        const place = store.sublevel(`bad-${runs++}`)
        await place.batch([{ key: new Uint8Array(10).fill(1), value: bytes }])
        await assert.rejects(Journal.open(place))
      }),
      { numRuns: 50, verbose: true },
    )
  })

  it('keeps 256 entries at rest, the latest', async () => {
    const journal = await Journal.open(undefined)
    for (let nonce = 0; nonce < SETTLED_MAX + 3; nonce++) {
      const entry = await journal.begin(draft(nonce), RAW)
      await journal.finish(await journal.settle(entry, settled(entry), DAY_MS))
    }
    assert.equal(journal.entries().length, SETTLED_MAX)
    assert.equal(journal.entries()[0]?.nonce, 3)
    assert.equal(journal.spentOn(1), BigInt(SETTLED_MAX + 3) * 100n)
  })

  it('takes 1024 entries that are not final, and no more', async () => {
    const journal = await Journal.open(undefined)
    for (let nonce = 0; nonce < UNSETTLED_MAX; nonce++) await journal.begin(draft(nonce), RAW)
    await assert.rejects(journal.begin(draft(UNSETTLED_MAX), RAW), { code: 'queueFull' })
  })

  it('keeps the spending of eight days', async () => {
    const journal = await Journal.open(store)
    for (let day = 100; day < 100 + DAYS_MAX + 2; day++) {
      const entry = await journal.begin(draft(day), RAW)
      await journal.settle(entry, settled(entry), day * DAY_MS)
    }
    const days = Array.from({ length: DAYS_MAX }, (_, i) => 102 + i)
    assert.deepEqual([...journal.spending().keys()], days)
    assert.deepEqual([...(await Journal.open(store)).spending().keys()], days)
  })

  it('counts a cost once, and anew where another block has it', async () => {
    const journal = await Journal.open(store)
    const entry = await journal.begin(draft(1), RAW)
    const mined = await journal.settle(entry, settled(entry), 5 * DAY_MS)
    await journal.settle(mined, settled(entry, { block: 8n, cost: 60n }), 6 * DAY_MS)
    assert.deepEqual(
      [...journal.spending()].filter(([, units]) => units > 0n),
      [[5, 60n]],
    )
    const open = await journal.reopen(journal.entries()[0] as Entry)
    assert.equal(journal.spentOn(5), 0n)
    await journal.settle(open, settled(open), 6 * DAY_MS)
    assert.equal((await Journal.open(store)).spentOn(5), 100n)
  })
})
