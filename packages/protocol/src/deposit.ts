/** What an account has put down on the chain for its deals, base units. */
export interface DepositEntry {
  /** 20 bytes. */
  readonly account: Uint8Array
  /** Ed25519 key whose deals it pays for; undefined until the account names one. */
  readonly key: Uint8Array | undefined
  /** Put down and not withdrawn, spent or not. */
  readonly deposited: bigint
  /** Asked back: nothing more is charged to it. */
  readonly requested: bigint
  /** Block of that request; 0 without one. */
  readonly requestedAt: bigint
}

/** What a key's deals may cost in all, base units. */
export interface Deposit {
  /** Account that pays, 20 bytes. */
  readonly account: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly key: Uint8Array
  /** Put down, not withdrawn and not asked back; what was spent of it is in the carried state. */
  readonly amount: bigint
  /** Asked back, beside that; absent: nothing. */
  readonly requested?: bigint
}

/**
 * What settlement may charge to. What is asked back counts no more from the request's block on: the
 * contract pays it from any checkpoint whose base has seen the request.
 */
export function chargeable(entries: readonly DepositEntry[]): Deposit[] {
  return entries.flatMap(({ account, key, deposited, requested }) => {
    if (key === undefined) return []
    const amount = deposited - requested
    return [{ account, key, amount, ...(requested > 0n && { requested }) }]
  })
}

/** What a deposit has left when so much of it was spent: nothing where more was than may be charged. */
export function leftOfDeposit({ amount }: Deposit, spent: bigint): bigint {
  return amount > spent ? amount - spent : 0n
}
