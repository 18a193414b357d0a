/**
 * What each attack earned, as it was measured. `npm run attacks` writes it into `docs/storage.md`,
 * between the markers there.
 */
import { readFile, writeFile } from 'node:fs/promises'

/** One row of the table. */
export interface Figure {
  attack: string
  /** Hundredths of what an honest node earned in the same run; or in words, where that is no measure. */
  earned: number | string
  /** What came of it beside the pay, or why it earns that much. */
  and: string
}

const BEGIN = '<!-- measured: attacks -->'
const END = '<!-- end: attacks -->'

const figures: Figure[] = []

export function record(figure: Figure): void {
  figures.push(figure)
}

after(async () => {
  const page = process.env.CAIRN_FIGURES
  if (page === undefined) return
  const text = await readFile(page, 'utf8')
  const from = text.indexOf(BEGIN)
  const to = text.indexOf(END)
  if (from < 0 || to < from) throw new Error(`${page} has no place for figures`)
  await writeFile(page, `${text.slice(0, from + BEGIN.length)}\n\n${table()}\n\n${text.slice(to)}`)
})

function table(): string {
  const rows = figures.map(({ attack, earned, and }) => {
    const amount = typeof earned === 'number' ? `${earned} %` : earned
    return `| ${attack} | ${amount} | ${and} |`
  })
  return ['| attack | earns | and |', '|---|---|---|', ...rows].join('\n')
}
