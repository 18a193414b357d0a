/** How far a transfer is: one line that renews itself on a terminal, a line now and then elsewhere. */
import type { Session } from './session.ts'

const RENEW_MS = 200
/** Elsewhere: a log of an hour has a page of these. */
const PLAIN_MS = 30_000
const CLEAR = '\r\x1b[K'

export interface ProgressInit {
  what: string
  /** Undefined: not known. */
  total: number | undefined
  /** Bytes that were there before. */
  done?: number
}

export interface Progress {
  /** The same bytes, counted as they pass. */
  through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>
  /** Removes the line. */
  end(): void
}

export function progress(
  { world, output }: Session,
  { what, total, done = 0 }: ProgressInit,
): Progress {
  const began = world.now()
  const terminal = world.stderr.isTTY === true
  let bytes = done
  let shown = began
  const line = () => {
    const seconds = Math.max((world.now() - began) / 1_000, 0.001)
    const rate = Math.max((bytes - done) / seconds, 1)
    const share = total === undefined ? '' : ` ${Math.floor((100 * bytes) / Math.max(total, 1))} %`
    const left = total === undefined ? '' : `, ${duration(Math.max(0, total - bytes) / rate)} left`
    return `${what}${share}, ${size(bytes)}, ${size(rate)}/s${left}`
  }
  const show = () => {
    if (output.json || world.now() - shown < (terminal ? RENEW_MS : PLAIN_MS)) return
    shown = world.now()
    world.stderr.write(terminal ? CLEAR + line() : `${line()}\n`)
  }
  return {
    async *through(source) {
      for await (const part of source) {
        bytes += part.length
        show()
        yield part
      }
    },
    end() {
      if (terminal && !output.json) world.stderr.write(CLEAR)
    },
  }
}

const STEPS = ['B', 'kB', 'MB', 'GB', 'TB']

/** Decimal units, three digits. */
export function size(bytes: number): string {
  let value = bytes
  let step = 0
  while (value >= 1_000 && step < STEPS.length - 1) {
    value /= 1_000
    step++
  }
  return `${step === 0 ? value.toFixed(0) : value.toPrecision(3)} ${STEPS[step]}`
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 120) return `${whole} s`
  const minutes = Math.ceil(whole / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`
}
