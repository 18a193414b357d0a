/** How a value that does not fit a schema is told to a person: where, what was expected. */
import type { z } from 'zod'

/** More are counted, not listed. */
const LISTED_MAX = 5

export interface Issue {
  /** Dotted; empty for the whole value. */
  path: string
  expected: string
}

export function issuesOf(error: z.ZodError): Issue[] {
  return error.issues.map(({ path, message }) => ({ path: path.join('.'), expected: message }))
}

/** One line: `chain.rpc: expected array; genesis: expected number`. */
export function issuesText(error: z.ZodError): string {
  const issues = issuesOf(error)
  const listed = issues
    .slice(0, LISTED_MAX)
    .map(({ path, expected }) => (path === '' ? expected : `${path}: ${expected}`))
  const more = issues.length - listed.length
  return [...listed, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}
