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
