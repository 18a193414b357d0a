import { strict as assert } from 'node:assert'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { abortable, blocks, Feed, Room, slice } from '@cairn/node'
import fc from 'fast-check'

const anyParts = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 })

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return parts
}

describe('blocks', () => {
  it('are the same bytes in one length, but for the last', async () => {
    await fc.assert(
      fc.asyncProperty(anyParts, fc.integer({ min: 1, max: 30 }), async (parts, length) => {
        const whole = Buffer.concat(parts)
        const found = await collect(blocks(length)(parts))
        assert.ok(Buffer.concat(found).equals(whole))
        assert.equal(found.length, Math.ceil(whole.length / length))
        for (const block of found.slice(0, -1)) assert.equal(block.length, length)
      }),
    )
  })

  it('do not share memory', async () => {
    const [a, b] = await collect(blocks(2)([Uint8Array.of(1, 2, 3, 4)]))
    a?.fill(9)
    assert.deepEqual(b, Uint8Array.of(3, 4))
  })
})

describe('a slice', () => {
  it('is that of the whole, and leaves the source when it is there', async () => {
    await fc.assert(
      fc.asyncProperty(anyParts, fc.nat(40), fc.nat(40), async (parts, start, length) => {
        const found = await collect(slice(parts, start, start + length))
        const whole = Buffer.concat(parts)
        assert.ok(Buffer.concat(found).equals(whole.subarray(start, start + length)))
      }),
    )
    let given = 0
    async function* endless() {
      for (;;) {
        given++
        yield new Uint8Array(10)
      }
    }
    await collect(slice(endless(), 5, 25))
    assert.equal(given, 3)
  })
})

describe('an abortable source', () => {
  it('ends with the reason although the source is silent', async () => {
    const controller = new AbortController()
    async function* silent() {
      yield new Uint8Array(1)
      await new Promise(() => {})
    }
    const reading = collect(abortable(silent(), controller.signal))
    controller.abort(new Error('enough'))
    await assert.rejects(reading, /enough/)
    await assert.rejects(collect(abortable([], controller.signal)), /enough/)
  })

  it('holds nothing of what has passed', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const passed: WeakRef<Uint8Array>[] = []
    async function* source() {
      for (let i = 0; i < 100; i++) {
        const part = new Uint8Array(1_000)
        passed.push(new WeakRef(part))
        yield part
        // A reference that was looked at in this turn of the event loop is kept until its end.
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    let held = 0
    for await (const _ of abortable(source(), new AbortController().signal)) {
      if (passed.length < 100) continue
      collectGarbage()
      held = passed.filter(part => part.deref() !== undefined).length
    }
    assert.ok(held < 10, `${held} of 100 parts are held`)
  })

  it('is its source otherwise, and closes it when it is left', async () => {
    const { signal } = new AbortController()
    const parts = [Uint8Array.of(1), Uint8Array.of(2)]
    assert.deepEqual(await collect(abortable(parts, signal)), parts)
    const closed = Promise.withResolvers<void>()
    async function* source() {
      try {
        yield* parts
      } finally {
        closed.resolve()
      }
    }
    for await (const _ of abortable(source(), signal)) break
    await closed.promise
  })
})

describe('a feed', () => {
  it('hands on one part at a time, as it is read', async () => {
    const feed = new Feed()
    const reader = feed[Symbol.asyncIterator]()
    let taken = 0
    const pushing = (async () => {
      for (let i = 0; i < 3; i++) {
        await feed.push(Uint8Array.of(i))
        taken++
      }
      feed.end()
    })()
    assert.equal(taken, 0)
    for (let i = 0; i < 3; i++) {
      assert.deepEqual((await reader.next()).value, Uint8Array.of(i))
      assert.ok(taken <= i + 1)
    }
    assert.equal((await reader.next()).done, true)
    await pushing
  })

  it('fails its reader, even one that came later', async () => {
    const feed = new Feed()
    feed.fail(new Error('no more'))
    await assert.rejects(collect(feed), /no more/)
    await feed.push(Uint8Array.of(1))
  })

  it('lets nobody wait for a reader that has gone', async () => {
    const feed = new Feed()
    const reading = (async () => {
      for await (const _ of feed) return
    })()
    await feed.push(Uint8Array.of(1))
    await reading
    await feed.push(Uint8Array.of(2))
    const unread = new Feed()
    const waiting = unread.push(Uint8Array.of(1))
    unread.fail(new Error('never read'))
    await waiting
  })
})

describe('room', () => {
  const { signal } = new AbortController()

  it('is given in order of asking, a large one before the small ones behind it', async () => {
    const room = new Room({ max: 10 })
    const entered: string[] = []
    const enter = async (name: string, bytes: number) => {
      const leave = await room.take(bytes, signal)
      entered.push(name)
      return leave
    }
    const leaveA = await enter('a', 6)
    const large = enter('large', 8)
    const small = enter('small', 1)
    await Promise.resolve()
    assert.deepEqual(entered, ['a'])
    leaveA()
    const leaveLarge = await large
    await small
    assert.deepEqual(entered, ['a', 'large', 'small'])
    leaveLarge()
  })

  it('lets in what is larger than all of it, alone', async () => {
    const room = new Room({ max: 10 })
    const leave = await room.take(50, signal)
    const next = room.take(1, signal)
    leave()
    await next
  })

  it('is not waited for by who gave up, nor behind them', async () => {
    const room = new Room({ max: 10 })
    await room.take(6, signal)
    const controller = new AbortController()
    const large = room.take(8, controller.signal)
    const small = room.take(4, signal)
    controller.abort(new Error('given up'))
    await assert.rejects(large, /given up/)
    await small
    await assert.rejects(room.take(1, controller.signal), /given up/)
  })
})
