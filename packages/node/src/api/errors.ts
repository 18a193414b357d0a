/** How errors leave the API: one JSON shape, and a status that fits the code. */
import { CairnError, type Facts } from '@cairn/protocol'
import { z } from 'zod'
import { toJson } from './json.ts'

const STATUS: Readonly<Record<string, number>> = {
  badAmount: 400,
  badRequest: 400,
  badHex: 400,
  badGrant: 400,
  badKey: 400,
  badLink: 400,
  badName: 400,
  badParameter: 400,
  badPeerId: 400,
  badProfile: 400,
  badShape: 400,
  newerGrant: 400,
  newerLink: 400,
  oldLink: 400,
  unauthorized: 401,
  badHost: 403,
  otherRecipient: 403,
  notFound: 404,
  notGranted: 404,
  notListed: 404,
  unknownProposal: 404,
  requestTimeout: 408,
  incomplete: 409,
  tooLarge: 413,
  unsupportedMedia: 415,
  badRange: 416,
  rateLimited: 429,
  internal: 500,
  unsupported: 501,
  tooManyStreams: 503,
}

/** A coded error without a status of its own: understood, but this node could not do it. */
const UNABLE = 422

export const ErrorShape = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    next: z.string().optional(),
  }),
})
export type ErrorBody = z.infer<typeof ErrorShape>

export interface ErrorAnswer {
  status: number
  body: ErrorBody
}

/** What is not a coded error is a bug: its text stays in the log. */
export function errorAnswer(error: unknown): ErrorAnswer {
  const coded = error instanceof CairnError ? error : (framework(error) ?? internal(error))
  return { status: STATUS[coded.code] ?? UNABLE, body: errorBody(coded) }
}

/** The shape in which the API and the command print errors. */
export function errorBody({ code, message, facts, next }: CairnError): ErrorBody {
  return { error: { code, message, facts: plain(facts), ...(next === undefined ? {} : { next }) } }
}

/** For who writes a program; a command checks what it is given before it asks. */
export const AS_DESCRIBED =
  'see `cairn help` for what a command takes; programs find the routes in docs/interfaces.md'

export function notFound(what: string, facts: Facts): CairnError {
  return new CairnError('notFound', `${what} is not here`, { facts })
}

function plain(facts: Facts): ErrorBody['error']['facts'] {
  const given = Object.entries(facts).filter(([, value]) => value !== undefined)
  return toJson(Object.fromEntries(given)) as ErrorBody['error']['facts']
}

/** Errors that fastify raises about the request itself. */
function framework(error: unknown): CairnError | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  const { statusCode, message: cause } = error
  if (typeof statusCode !== 'number' || statusCode >= 500) return undefined
  const code =
    statusCode === 413 ? 'tooLarge' : statusCode === 415 ? 'unsupportedMedia' : 'badRequest'
  return new CairnError(code, cause)
}

function internal(cause: unknown): CairnError {
  return new CairnError('internal', 'the node failed to answer; its log says why', {
    cause,
    next: 'report this with the log of the node',
  })
}
