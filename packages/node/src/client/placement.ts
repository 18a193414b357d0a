/** Places one piece: finds providers of different operators that take it, and signs deals with them. */
import {
  CairnError,
  type Deal,
  dealEnvelope,
  dealSigningRoot,
  decode,
  type Envelope,
  hex,
  type Piece,
  pieceCid,
  type RegistryEntry,
  type Verifier,
} from '@cairn/protocol'
import { deadline } from '../clock.ts'
import { Agreement, Proposal } from '../kinds/storage/proposal.ts'
import { PieceProtocol } from '../pieces/transfer.ts'
import type { Clock, Log, Network } from '../ports.ts'

/** A client waits this long for one provider, and longer by the piece's size: 128 KiB/s at least. */
const PLACE_MIN_MS = 60_000
const PLACE_BYTES_PER_MS = 128
/** Between two requests for a deal that is pending or got lost, ms. */
const ASK_AGAIN_MS = 200
/** A request without an answer is given up and made again after this time, ms. */
const REQUEST_MS = 30_000
/** Providers asked for one copy of a piece at most. */
const CANDIDATES_MAX = 32
/** The provider is still at it, or the answer got lost. */
const AGAIN: ReadonlySet<string> = new Set(['pending', 'timeout', 'busy'])

/** A provider that may be asked. */
export interface Candidate {
  readonly entry: RegistryEntry
  /** libp2p peer id. */
  readonly peer: string
}

/** The key whose deposit pays. */
export interface DealSigner {
  /** Ed25519, 32 bytes. */
  readonly key: Uint8Array
  sign(root: Uint8Array): Uint8Array
}

export interface PlacementComponents {
  clock: Clock
  network: Network
  signer: DealSigner
  verifier: Verifier
  log: Log
  /** Gossips a deal with both signatures. */
  publishDeal(envelope: Envelope): Promise<void>
}

export interface PlacementInit {
  /** Network id. */
  network: Uint8Array
}

export interface PlaceInit {
  piece: Piece
  /** How many operators are to keep it. */
  copies: number
  /** In order of preference. */
  candidates: readonly Candidate[]
  /** What all of the piece's deals have in common; `place` is that of the first copy. */
  terms: Omit<Deal, 'client' | 'provider' | 'piece' | 'nonce'>
  /** A nonce not used before. */
  nonce(): bigint
  signal: AbortSignal
}

export class Placement {
  readonly #components: PlacementComponents
  readonly #init: PlacementInit

  constructor(components: PlacementComponents, init: PlacementInit) {
    this.#components = components
    this.#init = init
  }

  /** The deals, one per operator. Throws `tooFewProviders` with what each provider answered. */
  async place(init: PlaceInit): Promise<Deal[]> {
    const { piece, copies, candidates, signal } = init
    const deals: Deal[] = []
    const failures: string[] = []
    const operators = new Set<string>()
    const queue = candidates.slice(0, CANDIDATES_MAX * copies)
    while (deals.length < copies) {
      const round = takeDistinct(queue, copies - deals.length, operators)
      if (round.length === 0) throw tooFew(init, deals.length, failures)
      const place = init.terms.place + deals.length
      const outcomes = await Promise.allSettled(
        round.map((candidate, i) => this.#agree(candidate, place + i, init)),
      )
      signal.throwIfAborted()
      for (const [i, outcome] of outcomes.entries()) {
        const { entry } = round[i] as Candidate
        if (outcome.status === 'fulfilled') {
          deals.push(outcome.value)
          continue
        }
        operators.delete(hex(entry.operator))
        failures.push(`${entry.index}: ${codeOf(outcome.reason)}`)
        this.#components.log.info(
          { err: outcome.reason, provider: entry.index, piece: pieceCid(piece) },
          'a provider did not take a piece; asks another',
        )
      }
    }
    return deals
  }

  async #agree(candidate: Candidate, place: number, init: PlaceInit): Promise<Deal> {
    const { signer, publishDeal } = this.#components
    const { piece, terms, signal } = init
    const deal: Deal = {
      ...terms,
      place,
      piece,
      client: signer.key,
      provider: candidate.entry.index,
      nonce: init.nonce(),
    }
    const client = signer.sign(dealSigningRoot(deal, this.#init.network))
    const provider = await this.#accepted(candidate, { deal, signature: client }, signal)
    await publishDeal(dealEnvelope(deal, { client, provider }))
    return deal
  }

  /** The provider's signature, asked for until it has the piece. */
  async #accepted(
    { entry, peer }: Candidate,
    proposal: Proposal,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { clock, network, verifier } = this.#components
    const { deal } = proposal
    const allowed = PLACE_MIN_MS + Math.ceil(deal.piece.payload / PLACE_BYTES_PER_MS)
    const limit = deadline(clock, clock.now() + allowed, signal)
    try {
      for (;;) {
        const once = deadline(clock, clock.now() + REQUEST_MS, limit.signal)
        try {
          const bytes = await network.request(
            peer,
            PieceProtocol.put,
            Proposal.serialize(proposal),
            { signal: once.signal, maxResponseBytes: Agreement.maxSize },
          )
          const { signature } = decode(Agreement, bytes)
          const root = dealSigningRoot(deal, this.#init.network)
          if (verifier.ed25519(root, entry.identity, signature)) return signature
          throw new CairnError('badSignature', 'the provider’s signature does not hold')
        } catch (error) {
          if (limit.signal.aborted || !AGAIN.has(codeOf(error))) throw error
        } finally {
          once.clear()
        }
        await clock.until(clock.now() + ASK_AGAIN_MS, limit.signal)
      }
    } finally {
      limit.clear()
    }
  }
}

/** The next candidates of operators that are not taken, out of the queue. */
function takeDistinct(queue: Candidate[], count: number, operators: Set<string>): Candidate[] {
  const taken: Candidate[] = []
  for (let i = 0; i < queue.length && taken.length < count; ) {
    const candidate = queue[i] as Candidate
    const operator = hex(candidate.entry.operator)
    if (operators.has(operator)) {
      i++
      continue
    }
    operators.add(operator)
    taken.push(candidate)
    queue.splice(i, 1)
  }
  return taken
}

function tooFew(
  { piece, copies, candidates }: PlaceInit,
  placed: number,
  failures: readonly string[],
): CairnError {
  return new CairnError('tooFewProviders', 'too few operators took the piece', {
    facts: {
      piece: pieceCid(piece),
      wanted: copies,
      placed,
      candidates: candidates.length,
      answers: failures.join(', '),
    },
    next: 'ask for fewer copies, pay more, or wait for more providers',
  })
}

function codeOf(error: unknown): string {
  return error instanceof CairnError ? error.code : 'internal'
}
