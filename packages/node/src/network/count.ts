/** What the network counts; the composition maps it to metrics. */
export interface Counts {
  /** Messages judged, by what became of them. */
  gossip: { topic: string; outcome: 'accept' | 'ignore' | 'reject' | 'tooLarge' | 'failed' }
  /** Requests ended; `outcome` is `ok` or the error's code. */
  requests: { protocol: string; direction: 'in' | 'out'; outcome: string }
  /** Payload bytes; of gossip those judged and those published. */
  bytes: { channel: string; direction: 'in' | 'out' }
  /** Breaches of a direct protocol. */
  offences: { cause: Offence }
  /** Connections this node ended. */
  hangups: { cause: 'isolated' | 'banned' | 'mute' }
}

/**
 * - malformed: bytes that are no frame
 * - oversized: a frame longer than any may be
 * - flood: far more requests than allowed, after many were refused
 * - unread: answers that the peer does not take
 * - uninvited: a response that answers nothing
 */
export type Offence = 'malformed' | 'oversized' | 'flood' | 'unread' | 'uninvited'

export type Count = <N extends keyof Counts>(name: N, labels: Counts[N], by?: number) => void
