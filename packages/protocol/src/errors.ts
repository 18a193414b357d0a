/** What an error carries besides its text: plain values a person or a program can read. */
export type Facts = Readonly<Record<string, string | number | bigint | boolean | undefined>>

export interface CairnErrorInit {
  facts?: Facts
  cause?: unknown
  /** One sentence: what the reader can do about it. */
  next?: string
}

/**
 * The one error class of the project. `code` is stable and documented in `docs/interfaces.md`;
 * the message says what was expected and what was found; `next` says what to do.
 */
export class CairnError extends Error {
  override readonly name = 'CairnError'
  readonly code: string
  readonly facts: Facts
  readonly next: string | undefined

  constructor(code: string, message: string, init: CairnErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.code = code
    this.facts = init.facts ?? {}
    this.next = init.next
  }
}

/** Throws `code` unless `condition` holds; for rules about input, not for invariants. */
export function check(
  condition: boolean,
  code: string,
  message: string,
  init?: CairnErrorInit,
): asserts condition {
  if (!condition) throw new CairnError(code, message, init)
}

/** Throws when the program itself is wrong; never for input. */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${what}`)
}
