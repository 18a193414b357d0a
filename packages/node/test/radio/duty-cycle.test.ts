import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BOOKINGS_MAX, DutyCycleLedger, openLevelStore, type Store, systemClock } from '@cairn/node'
import { EU868 } from '@cairn/protocol'

const CHANNEL = 868_100_000
const OTHER_BAND = 867_100_000
/** 1 % of an hour, microseconds. */
const ALLOWANCE = 36_000_000
const SF12 = 1_482_752

describe('duty-cycle ledger', () => {
  let directory: string
  let store: Store
  const clock = systemClock()
  const open = () => DutyCycleLedger.open({ store, clock }, { plan: EU868 })

  beforeEach(async () => {
    clock.setOffset(0)
    directory = await mkdtemp(join(tmpdir(), 'cairn-duty-'))
    store = await openLevelStore(directory)
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  it('books up to the allowance of a band and not a microsecond more', async () => {
    const ledger = await open()
    assert.equal(ledger.allowance(CHANNEL), ALLOWANCE)
    assert.ok(await ledger.book(CHANNEL, ALLOWANCE - 1))
    assert.equal(await ledger.book(CHANNEL, 2), undefined)
    assert.ok(await ledger.book(CHANNEL, 1))
    assert.equal(ledger.spent(CHANNEL), ALLOWANCE)
  })

  it('allows 24 SF12 beacons an hour', async () => {
    const ledger = await open()
    let sent = 0
    while ((await ledger.book(CHANNEL, SF12)) !== undefined) sent++
    assert.equal(sent, 24)
  })

  it('keeps a sum for each band, and none outside them', async () => {
    const ledger = await open()
    assert.ok(await ledger.book(CHANNEL, ALLOWANCE))
    assert.ok(await ledger.book(OTHER_BAND, ALLOWANCE))
    assert.equal(await ledger.book(868_400_000, 1), undefined)
    assert.equal(await ledger.book(868_650_000, 1), undefined)
    assert.equal(ledger.allowance(868_650_000), 0)
  })

  it('frees airtime an hour after its end, and forgets it in the store', async () => {
    const ledger = await open()
    assert.ok(await ledger.book(CHANNEL, ALLOWANCE))
    clock.setOffset(3_600_000)
    assert.equal(await ledger.book(CHANNEL, 1), undefined)
    clock.setOffset(3_636_000)
    assert.ok(await ledger.book(CHANNEL, 1))
    assert.equal((await open()).spent(CHANNEL), 1)
  })

  it('remembers across restarts', async () => {
    const first = await open()
    assert.ok(await first.book(CHANNEL, 30_000_000))
    assert.ok(await first.book(OTHER_BAND, 5))
    const second = await open()
    assert.equal(second.spent(CHANNEL), 30_000_000)
    assert.equal(await second.book(CHANNEL, 6_000_001), undefined)
    assert.ok(await second.book(CHANNEL, 6_000_000))
    assert.equal((await open()).spent(CHANNEL), ALLOWANCE)
  })

  it('gives back what was not sent, for good', async () => {
    const ledger = await open()
    const booking = await ledger.book(CHANNEL, ALLOWANCE)
    assert.ok(booking)
    await ledger.release(booking)
    assert.equal(ledger.spent(CHANNEL), 0)
    assert.equal((await open()).spent(CHANNEL), 0)
  })

  it('stays silent rather than trust a clock that was set back', async () => {
    const ledger = await open()
    assert.ok(await ledger.book(CHANNEL, ALLOWANCE))
    clock.setOffset(-7_200_000)
    assert.equal(await ledger.book(CHANNEL, 1), undefined)
  })

  it('never exceeds the allowance when many ask at once', async () => {
    const ledger = await open()
    const asked = Array.from({ length: 100 }, () => ledger.book(CHANNEL, 1_000_000))
    const granted = (await Promise.all(asked)).filter(b => b !== undefined)
    assert.equal(granted.length, 36)
  })

  it('holds at most 16,384 bookings, then stays silent', async () => {
    const writes = Array.from({ length: BOOKINGS_MAX - 1 }, (_, i) => {
      const key = new DataView(new ArrayBuffer(12))
      key.setBigUint64(0, BigInt(clock.now()))
      key.setUint32(8, i)
      return { key: new Uint8Array(key.buffer), value: Uint8Array.of(0, 0, 0, 1, 0x4d) }
    })
    await store.batch(writes)
    const ledger = await open()
    assert.equal(ledger.spent(CHANNEL), BOOKINGS_MAX - 1)
    assert.ok(await ledger.book(CHANNEL, 1))
    assert.equal(await ledger.book(CHANNEL, 1), undefined)
  })

  it('refuses to start over bytes that are no bookings', async () => {
    await store.batch([{ key: Uint8Array.of(1), value: Uint8Array.of(1) }])
    await assert.rejects(open(), { code: 'storeCorrupt' })
  })
})
