/** How far a transfer is: one line that renews itself on a terminal, nothing elsewhere. */
import { Transform } from 'node:stream'
import type { Session } from './session.ts'

const RENEW_MS = 200
const CLEAR = '\r\x1b[K'

export interface ProgressInit {
  what: string
  /** Undefined: not known. */
  total: number | undefined
}

/** A stream that passes everything on and shows bytes, rate and time left. */
export function progress({ world, output }: Session, { what, total }: ProgressInit): Transform {
  const began = world.now()
  const visible = world.stderr.isTTY === true && !output.json
  let bytes = 0
  let shown = began
  const line = () => {
    const seconds = Math.max((world.now() - began) / 1_000, 0.001)
    const rate = bytes / seconds
    const left = total === undefined ? '' : `, ${Math.ceil((total - bytes) / rate)} s left`
    const share = total === undefined ? '' : ` ${Math.floor((100 * bytes) / Math.max(total, 1))} %`
    return `${what}${share}, ${size(bytes)}, ${size(rate)}/s${left}`
  }
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length
      if (visible && world.now() - shown > RENEW_MS) {
        shown = world.now()
        world.stderr.write(CLEAR + line())
      }
      done(null, chunk)
    },
    flush(done) {
      if (visible) world.stderr.write(CLEAR)
      done()
    },
  })
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
