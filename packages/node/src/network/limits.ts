import { check, invariant } from '@cairn/protocol'
import type { ServeOptions } from '../ports.ts'

/** Longest gossip message, bytes (`docs/protocol.md`, Limits). */
export const GOSSIP_MAX_BYTES = 16 * 1024

/** Longest request and longest response: a page of 1 MiB and what surrounds it. */
export const DIRECT_MAX_BYTES = 1024 * 1024 + 64 * 1024

/** No request waits longer than this, whatever its signal says, ms. */
export const REQUEST_MAX_MS = 60_000

/** Name of a direct protocol, as in `/cairn/<network>/<name>/1`. */
const PROTOCOL_NAME = /^[a-z][a-z0-9-]{0,31}$/

/** What a program may ask of `serve`; anything else is a mistake in it. */
export function assertServable(protocol: string, options: ServeOptions): void {
  invariant(PROTOCOL_NAME.test(protocol), `'${protocol}' is the name of a direct protocol`)
  const { maxRequestBytes, maxResponseBytes, perSecond } = options
  invariant(maxRequestBytes <= DIRECT_MAX_BYTES, 'a request fits in a frame')
  invariant(maxResponseBytes <= DIRECT_MAX_BYTES, 'a response fits in a frame')
  invariant(perSecond >= 1, 'a protocol answers at least one request per second')
}

export function checkGossipSize(data: Uint8Array): void {
  check(data.length <= GOSSIP_MAX_BYTES, 'tooLarge', 'the message is too long for gossip', {
    facts: { max: GOSSIP_MAX_BYTES, found: data.length },
  })
}

export function checkRequestSize(request: Uint8Array): void {
  check(request.length <= DIRECT_MAX_BYTES, 'tooLarge', 'the request is too long', {
    facts: { max: DIRECT_MAX_BYTES, found: request.length },
  })
}
