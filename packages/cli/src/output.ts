/** What a command prints: JSON for programs, text for people, errors for both. */
import { styleText } from 'node:util'
import { CairnError, type Facts } from '@cairn/protocol'
import { CommanderError } from 'commander'
import type { World } from './world.ts'

type Style = Parameters<typeof styleText>[0]

export interface OutputInit {
  json: boolean
  /** Print where an unexpected error came from. */
  debug: boolean
}

export class Output {
  readonly json: boolean
  readonly #debug: boolean
  readonly #world: Pick<World, 'stdout' | 'stderr' | 'env'>

  constructor(world: Pick<World, 'stdout' | 'stderr' | 'env'>, { json, debug }: OutputInit) {
    this.#world = world
    this.json = json
    this.#debug = debug
  }

  /** The command's result: one line of JSON, or text. */
  result(value: object, text: string): void {
    this.#world.stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${text}\n`)
  }

  /** Said to people alone, beside the result. */
  note(text: string): void {
    if (!this.json) this.#world.stderr.write(`${text}\n`)
  }

  style(format: Style, text: string): string {
    const { NO_COLOR } = this.#world.env
    const plain = this.json || !this.#world.stdout.isTTY || (NO_COLOR ?? '') !== ''
    return plain ? text : styleText(format, text, { validateStream: false })
  }

  error(error: unknown): void {
    const { code, message, facts, next } = describe(error, this.#debug)
    if (this.json) {
      const shown = next === undefined ? {} : { next }
      const body = { error: { code, message, facts: plainFacts(facts), ...shown } }
      this.#world.stdout.write(`${JSON.stringify(body)}\n`)
      return
    }
    const lines = [`error: ${message}`]
    if (next !== undefined) lines.push(`  ${next}`)
    this.#world.stderr.write(`${lines.join('\n')}\n`)
    if (this.#debug && error instanceof Error) this.#world.stderr.write(`${error.stack}\n`)
  }
}

interface Description {
  code: string
  message: string
  facts: Facts
  next?: string | undefined
}

function describe(error: unknown, debug: boolean): Description {
  if (error instanceof CairnError) return error
  if (error instanceof CommanderError) {
    const message = wordingOf(error.message.replace(/^error: /, ''))
    return { code: 'usage', message, facts: {}, next: 'see `cairn help`' }
  }
  const message = error instanceof Error ? error.message : String(error)
  const next = debug ? 'report this with the lines below' : 'run with --log-level debug for more'
  return { code: 'internal', message: `unexpected: ${message.split('\n')[0]}`, facts: {}, next }
}

/** What commander says of a value that cannot be, here as `--node <index>: expected ..., found 'me'`. */
const INVALID =
  /^(?:option '(?<option>[^']+)' argument|command-argument value) '(?<value>.*)' is invalid(?: for argument '(?<argument>[^']*)')?\. (?<expected>expected .*)$/

function wordingOf(message: string): string {
  const { option, argument, value, expected } = INVALID.exec(message)?.groups ?? {}
  if (expected === undefined) return message
  return `${option ?? argument}: ${expected}, found '${value}'`
}

function plainFacts(facts: Facts): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : value,
    ]),
  )
}
