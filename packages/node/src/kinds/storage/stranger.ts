/**
 * Fetches from providers as somebody whom they do not know, where the seed has this node verify them, and
 * says what came of it.
 */
import {
  CairnError,
  type EpochBase,
  MessageType,
  STORAGE,
  StrangerFetch,
  StrangerOutcome,
  slotStart,
  storageInventory,
  storageKind,
  strangerInput,
  strangerRange,
  strangerSlot,
} from '@cairn/protocol'
import { deadline } from '../../clock.ts'
import { pullRange } from '../../pieces/transfer.ts'
import type { Clock, Log, Network } from '../../ports.ts'
import type { Signer } from '../../signer.ts'
import { Errands } from '../errands.ts'
import type { Voice } from '../kind.ts'
import type { AskerComponents } from './asker.ts'

/** A stranger waits so long, unless the attestation slots end before, ms. */
const PATIENCE_MS = 10_000
/**
 * Fetches of one host under way, whichever of its nodes they are for: fewer than the strangers that it
 * can be at once, or it would call a provider busy that was never asked. Of one that falls among as many
 * others nothing is done, and nothing said.
 */
export const FETCHES_MAX = 4

/** What has no entry here is a refusal. */
const OUTCOME_OF_CODE: ReadonlyMap<string, StrangerOutcome> = new Map([
  ['unreachable', StrangerOutcome.unreachable],
  ['timeout', StrangerOutcome.timeout],
  ['busy', StrangerOutcome.busy],
  ['pieceDamaged', StrangerOutcome.damaged],
  ['badLength', StrangerOutcome.damaged],
  ['badEncoding', StrangerOutcome.damaged],
  ['tooLarge', StrangerOutcome.damaged],
])

/** What a lost packet does as well: asked once more. */
const TRANSIENT: ReadonlySet<StrangerOutcome> = new Set([
  StrangerOutcome.unreachable,
  StrangerOutcome.timeout,
  StrangerOutcome.busy,
])

/** Counts the fetches of one host. */
export class Fetches {
  #running = 0

  /** Does `fetch` unless there are enough. */
  async run(fetch: () => Promise<void>): Promise<void> {
    if (this.#running >= FETCHES_MAX) return
    this.#running++
    try {
      await fetch()
    } finally {
      this.#running--
    }
  }
}

export interface StrangerComponents {
  clock: Clock
  network: Network
  voice: Voice
  signer: Pick<Signer, 'signVoting'>
  log: Log
  peerOf: AskerComponents['peerOf']
  /** Shared by all nodes of a host. */
  fetches: Fetches
}

export class Stranger {
  readonly #components: StrangerComponents
  readonly #errands: Errands

  constructor(components: StrangerComponents) {
    this.#components = components
    this.#errands = new Errands(components)
  }

  async stop(): Promise<void> {
    await this.#errands.stop()
  }

  /** Takes on the fetches of an epoch whose slots are not over. */
  epoch(base: EpochBase): void {
    const { voice, signer, clock, fetches } = this.#components
    const own = voice.index(base)
    if (own === undefined) return
    for (const target of storageKind.targets(base)) {
      if (!base.duty(STORAGE, target).verifiers.includes(own)) continue
      const output = signer.signVoting(strangerInput(base, target))
      const slot = strangerSlot(output, base.profile)
      if (clock.now() >= slotStart(base, base.epoch, slot + 1)) continue
      // Within its slot at a place of its own: the verifiers of a target do not come all at once.
      const place = Math.floor(((output[0] ?? 0) * base.profile.slotMs) / 256)
      const due = slotStart(base, base.epoch, slot) + place
      this.#errands.at(due, () => fetches.run(() => this.#visit(base, target, output)))
    }
  }

  async #visit(base: EpochBase, target: number, output: Uint8Array): Promise<void> {
    const { voice, log } = this.#components
    const outcome = await this.#fetch(base, target, output)
    if (this.#errands.signal.aborted) return
    if (outcome !== StrangerOutcome.given) {
      log.debug({ target, epoch: base.epoch, outcome }, 'a provider did not serve a stranger')
    }
    const said = { kind: STORAGE, target, output, outcome }
    await voice.say<StrangerFetch>(MessageType.strangerFetch, StrangerFetch, base, said)
  }

  /** Twice within its patience where the first may have failed for the network's sake. */
  async #fetch(base: EpochBase, target: number, output: Uint8Array): Promise<StrangerOutcome> {
    const { clock } = this.#components
    const now = clock.now()
    const { attestUntilSlot } = base.profile
    const end = Math.min(now + PATIENCE_MS, slotStart(base, base.epoch, attestUntilSlot))
    const half = now + Math.floor((end - now) / 2)
    const first = await this.#ask(base, { target, output, until: half })
    if (!TRANSIENT.has(first) || this.#errands.signal.aborted) return first
    await clock.until(half, this.#errands.signal)
    return await this.#ask(base, { target, output, until: end })
  }

  async #ask(
    base: EpochBase,
    { target, output, until }: { target: number; output: Uint8Array; until: number },
  ): Promise<StrangerOutcome> {
    const { clock, network, peerOf, log } = this.#components
    const entry = base.node(target)
    if (entry === undefined) return StrangerOutcome.unreachable
    const range = strangerRange(storageInventory(base, target), output)
    const limit = deadline(clock, until, this.#errands.signal)
    try {
      const asking = { request: network.requestAsStranger.bind(network) }
      await pullRange({ network: asking }, { peer: peerOf(entry), range, signal: limit.signal })
      return StrangerOutcome.given
    } catch (error) {
      log.debug({ err: error, target }, 'a stranger’s fetch failed')
      const code = error instanceof CairnError ? error.code : 'internal'
      return OUTCOME_OF_CODE.get(code) ?? StrangerOutcome.refused
    } finally {
      limit.clear()
    }
  }
}
