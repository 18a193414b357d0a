import type { Clock, Timer } from './ports.ts'

/**
 * Longest single wait, ms. `setTimeout` counts monotonic time and at most 2^31 ms; waking once a
 * minute notices a wall clock that was stepped or a machine that slept.
 */
const WAKE_EVERY_MS = 60_000

export interface SystemClockInit {
  /** Ms added to the machine's clock. */
  offset?: number
}

/** The machine's clock, which a testnet may set wrong. */
export interface SystemClock extends Clock {
  /** Sets this clock `offset` ms ahead of the machine's; pending timers follow. */
  setOffset(offset: number): void
}

interface Pending extends Timer {
  arm(): void
}

export function systemClock(init: SystemClockInit = {}): SystemClock {
  let offset = init.offset ?? 0
  const pending = new Set<Pending>()

  const now = () => Date.now() + offset

  const at = (time: number, task: () => void): Timer => {
    let handle: NodeJS.Timeout | undefined
    const timer: Pending = {
      arm() {
        clearTimeout(handle)
        const wait = Math.min(Math.max(time - now(), 0), WAKE_EVERY_MS)
        handle = setTimeout(wake, wait)
      },
      cancel() {
        clearTimeout(handle)
        pending.delete(timer)
      },
    }
    const wake = () => {
      if (now() < time) return timer.arm()
      pending.delete(timer)
      task()
    }
    pending.add(timer)
    timer.arm()
    return timer
  }

  return {
    now,
    monotonic: () => performance.now() * 1_000,
    at,
    until: (time, signal) => untilTime(at, time, signal),
    setOffset(value) {
      offset = value
      for (const timer of pending) timer.arm()
    },
  }
}

/** `Clock.until` over `Clock.at`, the same for every clock. */
export function untilTime(at: Clock['at'], time: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = at(time, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** A signal that aborts at a time of a clock; `clear` when the work it bounds is over. */
export interface Deadline {
  readonly signal: AbortSignal
  clear(): void
}

/**
 * Aborts with a `TimeoutError` at `time` (ms), or with the parent's reason when that aborts first.
 * Unlike `AbortSignal.timeout` it follows the port's clock and leaves no listener behind.
 */
export function deadline(clock: Clock, time: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController()
  const abort = () => {
    timer.cancel()
    controller.abort(parent?.reason)
  }
  const timer = clock.at(time, () => {
    parent?.removeEventListener('abort', abort)
    controller.abort(new DOMException('the deadline passed', 'TimeoutError'))
  })
  if (parent?.aborted) abort()
  else parent?.addEventListener('abort', abort, { once: true })
  return {
    signal: controller.signal,
    clear() {
      timer.cancel()
      parent?.removeEventListener('abort', abort)
    },
  }
}
