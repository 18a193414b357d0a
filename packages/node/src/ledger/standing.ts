/** Messages that belong to no epoch yet, such as deals: kept here until a checkpoint holds them. */
import { decode, type Envelope, hex, type Known, type StandingRule } from '@cairn/protocol'
import type { StoredMessage } from './ledger.ts'

/**
 * Kept at once. An account may have no more messages of one type than are free: one alone gets half of the
 * room, the next half of what that leaves, so that no single deposit shuts the others out.
 */
export const STANDING_MAX = 10_000

export interface StandingMessage extends Known<unknown> {
  readonly envelope: Envelope
  readonly rule: StandingRule<unknown>
}

export class StandingMessages {
  readonly #byId = new Map<string, StandingMessage>()
  readonly #byAccount = new Map<string, Set<StandingMessage>>()

  has(id: Uint8Array): boolean {
    return this.#byId.has(hex(id))
  }

  all(): StandingMessage[] {
    return [...this.#byId.values()]
  }

  /** Those of one type and account. */
  beside(rule: StandingRule<unknown>, value: unknown): readonly StandingMessage[] {
    return [...(this.#byAccount.get(accountOf(rule, value)) ?? [])]
  }

  hasRoom(rule: StandingRule<unknown>, value: unknown): boolean {
    const taken = this.#byAccount.get(accountOf(rule, value))?.size ?? 0
    return taken < STANDING_MAX - this.#byId.size
  }

  add(message: StandingMessage): void {
    this.#byId.set(hex(message.id), message)
    const account = accountOf(message.rule, message.value)
    const others = this.#byAccount.get(account)
    if (others === undefined) this.#byAccount.set(account, new Set([message]))
    else others.add(message)
  }

  /** False when it was not here. */
  delete(id: Uint8Array): boolean {
    const name = hex(id)
    const message = this.#byId.get(name)
    if (message === undefined) return false
    this.#byId.delete(name)
    const account = accountOf(message.rule, message.value)
    const others = this.#byAccount.get(account)
    others?.delete(message)
    if (others?.size === 0) this.#byAccount.delete(account)
    return true
  }
}

/** A message read back from disk. */
export function standingMessage(
  { id, envelope }: StoredMessage,
  rule: StandingRule<unknown>,
): StandingMessage {
  return { id, envelope, rule, value: decode(rule.codec, envelope.body) }
}

function accountOf(rule: StandingRule<unknown>, value: unknown): string {
  return `${rule.type}/${rule.account(value)}`
}
