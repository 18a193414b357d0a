/** The client's side of a deal about a piece that its provider has, or pulls while it is asked. */
import {
  CairnError,
  check,
  type Deal,
  dealEnvelope,
  dealSigningRoot,
  decode,
  type Envelope,
  type RegistryEntry,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import { PieceProtocol } from '../../pieces/transfer.ts'
import type { Clock, Network } from '../../ports.ts'
import type { DealKey } from './deal-keys.ts'
import { Agreement, Proposal } from './proposal.ts'

/** A provider that has the piece answers at once; this covers a busy one, ms. */
const AGREE_MS = 60_000
/** A request without an answer is given up and made again after this time, ms. */
const REQUEST_MS = 20_000
/** Between two requests, ms. */
const ASK_AGAIN_MS = 500
/** A provider whose connection broke is called so often in all: what it has pulled it still has. */
const CALLS_MAX = 2
/** The provider is still at it, or the answer got lost. */
const AGAIN: ReadonlySet<string> = new Set(['pending', 'timeout', 'busy'])

export interface AgreementComponents {
  clock: Clock
  network: Network
  verifier: Verifier
}

export interface AgreementInit {
  deal: Deal
  key: DealKey
  provider: { entry: RegistryEntry; peer: string }
  /** Network id. */
  id: Uint8Array
  /** How long the provider may take, ms; a minute unless given. */
  withinMs?: number
  signal: AbortSignal
}

/** The deal with both signatures. Rejects with the provider's code, or as a request does. */
export async function agree(
  { clock, network, verifier }: AgreementComponents,
  { deal, key, provider: { entry, peer }, id, withinMs = AGREE_MS, signal }: AgreementInit,
): Promise<Envelope> {
  const root = dealSigningRoot(deal, id)
  const client = key.sign(root)
  const request = Proposal.serialize({ deal, signature: client })
  const whole = deadline(clock, clock.now() + withinMs, signal)
  let calls = 1
  try {
    for (;;) {
      const once = deadline(clock, clock.now() + REQUEST_MS, whole.signal)
      try {
        const options = { signal: once.signal, maxResponseBytes: Agreement.maxSize }
        const answer = await network.request(peer, PieceProtocol.put, request, options)
        const { signature } = decode(Agreement, answer)
        const signed = verifier.ed25519(root, entry.identity, signature)
        check(signed, 'badSignature', 'the provider’s signature does not hold')
        return dealEnvelope(deal, { client, provider: signature })
      } catch (error) {
        const code = error instanceof CairnError ? error.code : undefined
        const again = AGAIN.has(code ?? '') || (code === 'unreachable' && calls++ < CALLS_MAX)
        if (whole.signal.aborted || !again) throw error
      } finally {
        once.clear()
      }
      await clock.until(clock.now() + ASK_AGAIN_MS, whole.signal)
    }
  } finally {
    whole.clear()
  }
}
