/** The `Log` port over pino: lines for people on a terminal, JSON otherwise. Always on stderr. */
import { Writable } from 'node:stream'
import type { Log } from '@cairn/node'
import { hex } from '@cairn/protocol'
import pino from 'pino'

export interface LogInit {
  level: string
  json: boolean
  stream: Writable
}

/** Names under which a secret could slip into facts. */
const SECRETS = ['mnemonic', 'seed', 'secret', 'token', 'password', 'privateKey', 'authorization']

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
}

export function pinoLog({ level, json, stream }: LogInit): Log {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { log: plain },
    redact: { paths: SECRETS.flatMap(name => [name, `*.${name}`]), censor: '[secret]' },
  }
  return logOf(pino(options, json ? stream : readable(stream)))
}

function logOf(logger: pino.Logger): Log {
  return {
    error: (facts, text) => logger.error(facts, text),
    warn: (facts, text) => logger.warn(facts, text),
    info: (facts, text) => logger.info(facts, text),
    debug: (facts, text) => logger.debug(facts, text),
    child: facts => logOf(logger.child(plain(facts))),
  }
}

/** Bytes as hexadecimal and big integers as text, one level deep. */
function plain(facts: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => {
      if (typeof value === 'bigint') return [name, String(value)]
      return [name, value instanceof Uint8Array ? hex(value) : value]
    }),
  )
}

/** Turns pino's lines into `12:34:56 warn text key=value`. */
function readable(stream: Writable): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      const { time, level, msg, err, ...facts } = JSON.parse(line) as Record<string, unknown>
      const clock = String(time).slice(11, 19)
      const pairs = Object.entries(facts).map(([name, value]) => ` ${name}=${show(value)}`)
      const name = (LEVEL_NAMES[Number(level)] ?? String(level)).padEnd(5)
      const cause = err === undefined ? '' : `\n  ${stackOf(err)}`
      stream.write(`${clock} ${name} ${String(msg)}${pairs.join('')}${cause}\n`)
      done()
    },
  })
}

/** Quoted where it holds anything but plain characters: a peer's text cannot move the cursor. */
function show(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}

function stackOf(err: unknown): string {
  const { stack, message } = err as { stack?: string; message?: string }
  return (stack ?? message ?? JSON.stringify(err)).replaceAll('\n', '\n  ')
}
