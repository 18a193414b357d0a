import { strict as assert } from 'node:assert'
import { PassThrough } from 'node:stream'
import { Output } from '../src/output.ts'
import { type ProgressInit, progress, size } from '../src/progress.ts'
import type { Session } from '../src/session.ts'

interface Shown {
  /** Lines in the order in which they were shown. */
  lines(): string[]
  /** Passes parts of these lengths through, one each second. */
  pass(lengths: readonly number[]): Promise<void>
}

function shown(init: ProgressInit, { terminal = true, json = false } = {}): Shown {
  let now = 1_000_000
  const stderr = Object.assign(new PassThrough(), { isTTY: terminal })
  const stdout = new PassThrough()
  const world = { stderr, stdout, env: {}, now: () => now }
  const output = new Output(world, { json, debug: false })
  const { through, end } = progress({ world, output } as unknown as Session, init)
  async function* parts(lengths: readonly number[]) {
    for (const length of lengths) {
      now += 1_000
      yield new Uint8Array(length)
    }
  }
  return {
    lines: () => {
      const text = String(stderr.read() ?? '')
      return text.split(terminal ? '\r\u001b[K' : '\n').filter(line => line !== '')
    },
    async pass(lengths) {
      for await (const _ of through(parts(lengths)));
      end()
    },
  }
}

describe('progress', () => {
  it('tells how much there is, how fast it comes and how long it takes', async () => {
    const { pass, lines } = shown({ what: 'fetching', total: 4_000_000 })
    await pass([1_000_000, 1_000_000])
    assert.deepEqual(lines(), [
      'fetching 25 %, 1.00 MB, 1.00 MB/s, 3 s left',
      'fetching 50 %, 2.00 MB, 1.00 MB/s, 2 s left',
    ])
  })

  it('counts what was there before, but not as fast', async () => {
    const { pass, lines } = shown({ what: 'fetching', total: 1_000_000, done: 800_000 })
    await pass([100_000])
    assert.deepEqual(lines(), ['fetching 90 %, 900 kB, 100 kB/s, 1 s left'])
  })

  it('tells minutes and hours of what takes long', async () => {
    const { pass, lines } = shown({ what: 'storing', total: 1_000_000 })
    await pass([1_000, 4_000])
    assert.deepEqual(lines(), [
      'storing 0 %, 1.00 kB, 1.00 kB/s, 17 min left',
      'storing 0 %, 5.00 kB, 2.50 kB/s, 7 min left',
    ])
    const slow = shown({ what: 'storing', total: 1_000_000_000 })
    await slow.pass([10_000])
    assert.deepEqual(slow.lines(), ['storing 0 %, 10.0 kB, 10.0 kB/s, 28 h left'])
  })

  it('promises no end for what has none that is known, nor divides by nothing', async () => {
    const { pass, lines } = shown({ what: 'storing', total: undefined })
    await pass([10])
    assert.deepEqual(lines(), ['storing, 10 B, 10 B/s'])
    const empty = shown({ what: 'storing', total: 0 })
    await empty.pass([0])
    assert.deepEqual(empty.lines(), ['storing 0 %, 0 B, 1 B/s, 0 s left'])
  })

  it('writes a line now and then into a log, and none beside JSON', async () => {
    const { pass, lines } = shown({ what: 'storing', total: 4_000 }, { terminal: false })
    await pass(Array.from({ length: 40 }, () => 100))
    assert.deepEqual(lines(), ['storing 75 %, 3.00 kB, 100 B/s, 10 s left'])
    const silent = shown({ what: 'storing', total: 4_000 }, { json: true })
    await silent.pass([100])
    assert.deepEqual(silent.lines(), [])
  })

  it('gives sizes three digits', () => {
    const cases: [number, string][] = [
      [0, '0 B'],
      [999, '999 B'],
      [1_000, '1.00 kB'],
      [12_345_678, '12.3 MB'],
      [5e15, '5.00e+3 TB'],
    ]
    for (const [bytes, text] of cases) assert.equal(size(bytes), text)
  })
})
