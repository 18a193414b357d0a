/**
 * Does what the seed assigns this node: reveals its challenges in their slots, hands those that ask
 * this node to their kind, and attests what it was to verify. Knows no kind by name.
 */
import {
  Attestation,
  Challenge,
  challengeInput,
  type EpochBase,
  epochMs,
  epochStart,
  KERNEL_KIND,
  type Kind,
  type Known,
  MessageType,
  Ready,
  slotAt,
  slotStart,
} from '@cairn/protocol'
import type { Epochs } from '../ledger/epochs.ts'
import type { Arrival, Ingest } from '../ledger/ingest.ts'
import type { Clock, Log, Timer } from '../ports.ts'
import type { Signer } from '../signer.ts'
import type { NodeKind, Voice } from './kind.ts'

export interface DutiesComponents {
  clock: Clock
  epochs: Epochs
  ingest: Ingest
  voice: Voice
  signer: Signer
  log: Log
}

export interface DutiesInit {
  kinds: readonly NodeKind[]
}

/** A reveal goes out so many skews into its slot, when slower clocks are in it too. */
const SKEWS_INTO_SLOT = 1

/** Who does not know the seed by a third of the epoch takes no duties in it. */
const LATEST_PART = 3

export class Duties {
  readonly #components: DutiesComponents
  readonly #kinds: readonly NodeKind[]
  readonly #timers = new Set<Timer>()
  readonly #running = new Set<Promise<void>>()
  readonly #ends = new Map<number, AbortController>()
  #stopped = false

  constructor(components: DutiesComponents, { kinds }: DutiesInit) {
    this.#components = components
    this.#kinds = kinds
    components.epochs.onBase(base => this.#begin(base))
    components.ingest.onArrival(arrival => this.#arrived(arrival))
  }

  /** Stops timers and waits for what is under way; nothing is said any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const end of this.#ends.values()) end.abort()
    await Promise.all(this.#running)
  }

  #begin(base: EpochBase): void {
    const { voice, epochs, clock, log } = this.#components
    const { calendar } = epochs
    if (this.#stopped) return
    const latest = epochStart(calendar, base.epoch) + epochMs(calendar) / LATEST_PART
    if (clock.now() >= latest) {
      if (base.epoch === epochs.now()) {
        log.info(
          { epoch: base.epoch },
          'learnt the seed too late and takes no duties in this epoch',
        )
      }
      return
    }
    this.#open(base)
    const index = voice.index(base)
    for (const half of this.#kinds) {
      half.epoch?.(base)
      if (index !== undefined) this.#scheduleReveals(base, half.kind, index)
    }
    if (index !== undefined && base.idle(index)) {
      this.#run(async () => {
        await voice.say(MessageType.ready, Ready, base, { kind: KERNEL_KIND })
      })
    }
  }

  /** Takes duties in an epoch, until its end. */
  #open(base: EpochBase): void {
    const { epochs } = this.#components
    const controller = new AbortController()
    this.#ends.set(base.epoch, controller)
    this.#at(epochStart(epochs.calendar, base.epoch + 1), () => {
      controller.abort()
      this.#ends.delete(base.epoch)
    })
  }

  #scheduleReveals(base: EpochBase, kind: Kind<unknown>, index: number): void {
    const { clock, epochs, signer } = this.#components
    const { network, seed, epoch, profile } = base
    for (const target of kind.targets(base)) {
      const order = base.duty(kind.code, target).challengers.indexOf(index)
      if (order === -1) continue
      const input = challengeInput({ network, seed, kind: kind.code, target })
      const output = signer.signVoting(input)
      const slot = kind.revealSlot(base, order, output)
      const due = slotStart(epochs.calendar, epoch, slot) + SKEWS_INTO_SLOT * profile.skewMs
      // A reveal whose slot is over would not be relayed by anybody.
      if (clock.now() > slotStart(epochs.calendar, epoch, slot + 1)) continue
      this.#at(due, () => {
        if (kind.needless(base, target, order, epochs.known(epoch))) return
        this.#run(() => this.#reveal(base, { kind: kind.code, target, output }))
      })
    }
  }

  async #reveal(
    base: EpochBase,
    value: Pick<Challenge, 'kind' | 'target' | 'output'>,
  ): Promise<void> {
    await this.#components.voice.say(MessageType.challenge, Challenge, base, value)
  }

  #arrived({ type, message, base, source, at }: Arrival): void {
    const { voice } = this.#components
    const end = this.#ends.get(base.epoch)
    // Outside of the epochs it takes duties in, nothing that comes asks anything of this node.
    if (this.#stopped || source === 'disk' || end === undefined) return
    const half = this.#kinds.find(({ kind }) => kind.code === message.value.kind)
    if (half === undefined) return
    if (type === MessageType.challenge) {
      const challenge = message as Known<Challenge>
      const index = voice.index(base)
      if (index === undefined) return
      const seen = this.#seenSlot(half.kind, challenge.value, { base, at })
      if (challenge.value.target === index) half.challenged?.(challenge, base)
      const { verifiers } = base.duty(half.kind.code, challenge.value.target)
      if (verifiers.includes(index))
        this.#run(() => this.#attest(half, challenge, { base, seen, signal: end.signal }))
    } else if (type !== MessageType.attestation) {
      half.heard?.(type, message, base)
    }
  }

  /**
   * The slot in which a challenge was first seen. A clock may be slow by the skew: one that came that
   * much before its slot was seen in it.
   */
  #seenSlot(
    kind: Kind<unknown>,
    { author, target, output }: Challenge,
    { base, at }: { base: EpochBase; at: number },
  ): number {
    const { calendar } = this.#components.epochs
    const { skewMs } = base.profile
    const order = base.duty(kind.code, target).challengers.indexOf(author)
    const slot = kind.revealSlot(base, order, output)
    const seen = slotAt(calendar, base.epoch, at)
    if (seen < slot && slotAt(calendar, base.epoch, at + skewMs) >= slot) return slot
    return Math.max(0, seen)
  }

  async #attest(
    half: NodeKind,
    challenge: Known<Challenge>,
    { base, seen, signal }: { base: EpochBase; seen: number; signal: AbortSignal },
  ): Promise<void> {
    const { voice } = this.#components
    const finding = await half.attest(challenge, base, signal)
    if (finding === undefined || signal.aborted) return
    await voice.say(MessageType.attestation, Attestation, base, {
      kind: half.kind.code,
      challenge: challenge.id,
      seenSlot: seen,
      ...finding,
    })
  }

  #at(time: number, task: () => void): void {
    const timer = this.#components.clock.at(time, () => {
      this.#timers.delete(timer)
      if (!this.#stopped) task()
    })
    this.#timers.add(timer)
  }

  /** Owns a task's promise: its failure is reported, and `stop` waits for it. */
  #run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        if (!this.#stopped) this.#components.log.error({ err: error }, 'a duty failed')
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}
