/** For a wait that ends early when `signal` aborts: takes that, and throws every other error. */
export function ignoreAbort(signal: AbortSignal): (error: unknown) => void {
  return error => {
    if (!signal.aborted) throw error
  }
}
