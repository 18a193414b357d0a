/** The errors of a request, with the codes that `Network.request` promises. */
import { CairnError } from '@cairn/protocol'

/** Codes travel as text; a longer or other one is not a code. */
const CODE = /^[a-zA-Z][a-zA-Z0-9]{0,63}$/

interface Call {
  peer: string
  protocol: string
}

export function unreachable({ peer, protocol }: Call, cause?: unknown): CairnError {
  return new CairnError('unreachable', `peer ${peer} cannot be reached for '${protocol}'`, {
    facts: { peer, protocol },
    cause,
  })
}

export function timedOut({ peer, protocol }: Call, cause?: unknown): CairnError {
  return new CairnError('timeout', `peer ${peer} did not answer '${protocol}' in time`, {
    facts: { peer, protocol },
    cause,
  })
}

export function unsupported({ peer, protocol }: Call, cause?: unknown): CairnError {
  return new CairnError('unsupported', `peer ${peer} does not speak '${protocol}'`, {
    facts: { peer, protocol },
    cause,
  })
}

export function busy({ peer, protocol }: Call): CairnError {
  return new CairnError('busy', `too many '${protocol}' requests wait for peer ${peer}`, {
    facts: { peer, protocol },
    next: 'Ask again later, or another peer.',
  })
}

export function responseTooLarge({ peer, protocol }: Call, max: number): CairnError {
  return new CairnError('tooLarge', `the response of ${peer} to '${protocol}' is too long`, {
    facts: { peer, protocol, max },
  })
}

/** What the peer said instead of an answer. */
export function refused({ peer, protocol }: Call, code: string): CairnError {
  return new CairnError(code, `peer ${peer} answered '${protocol}' with the error '${code}'`, {
    facts: { peer, protocol },
  })
}

/** The code that a thrown value has for the requester; `internal` for what is none of its business. */
export function codeFor(error: unknown): string {
  return error instanceof CairnError && CODE.test(error.code) ? error.code : 'internal'
}

/** The code in an error frame, or undefined where the bytes are none. */
export function codeFrom(payload: Uint8Array): string | undefined {
  const text = Buffer.from(payload).toString('latin1')
  return CODE.test(text) ? text : undefined
}
