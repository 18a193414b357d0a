import { strict as assert } from 'node:assert'
import { Frame } from '@cairn/testnet'

const COLUMNS = 20
const ROWS = 8
const ESCAPE = '\x1b'
const CLEAR_BELOW = `${ESCAPE}[0J`
/** Cursor up, clear below, a new line, or a character. */
const PARTS = new RegExp(`${ESCAPE}\\[(\\d+)A|${ESCAPE}\\[0J|\n|.`, 'g')

/** A terminal of a few lines, as far as a frame uses one. */
class Terminal {
  readonly columns = COLUMNS
  readonly rows = ROWS
  /** All lines ever, the last `rows` of which are to be seen. */
  lines: string[] = ['']
  #row = 0

  write(text: string): void {
    for (const [part, up] of text.matchAll(PARTS)) {
      if (up !== undefined) this.#row = Math.max(this.#top(), this.#row - Number(up))
      else if (part === CLEAR_BELOW) this.lines = [...this.lines.slice(0, this.#row), '']
      else if (part === '\n') this.#next()
      else {
        if (this.lines[this.#row]?.length === COLUMNS) this.#next()
        this.lines[this.#row] += part
      }
    }
  }

  #top(): number {
    return Math.max(0, this.lines.length - ROWS)
  }

  #next(): void {
    if (++this.#row === this.lines.length) this.lines.push('')
  }
}

describe('a frame on a terminal', () => {
  it('is drawn over the one before, whatever its lines’ lengths', () => {
    const terminal = new Terminal()
    terminal.write('before\n')
    const frame = new Frame(terminal)
    frame.draw(['a', 'b'.repeat(45), '', 'c'.repeat(COLUMNS)])
    assert.deepEqual(terminal.lines, [
      'before',
      'a',
      'b'.repeat(COLUMNS),
      'b'.repeat(COLUMNS),
      'bbbbb',
      '',
      'c'.repeat(COLUMNS),
      '',
    ])
    frame.draw(['d', 'e'.repeat(25)])
    assert.deepEqual(terminal.lines, ['before', 'd', 'e'.repeat(COLUMNS), 'eeeee', ''])
  })

  it('leaves out what the screen has no lines for, and says how much', () => {
    const terminal = new Terminal()
    const frame = new Frame(terminal)
    for (const round of ['x', 'y']) {
      frame.draw(Array.from({ length: 12 }, (_, at) => `${round}${at}`))
      const seen = ['0', '1', '2', '3', '4', '5'].map(at => `${round}${at}`)
      assert.deepEqual(terminal.lines, [...seen, '  and 6 lines more', ''])
    }
  })

  it('is for 80 columns where the terminal does not say', () => {
    const written: string[] = []
    new Frame({ write: text => written.push(text) }).draw(['a'.repeat(81)])
    assert.deepEqual(written, [`${CLEAR_BELOW}${'a'.repeat(80)}\na\n`])
  })
})
