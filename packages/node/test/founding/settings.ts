/** The same each time: a manifest that is written twice says the same. */
const GENESIS = Math.floor(Date.now() / 1_000) + 3_600

/** Settings that a founder could write. */
export function settingsOf(change: object = {}): string {
  return JSON.stringify({
    schema: 1,
    name: 'founded',
    chainId: 31_337,
    rpc: ['http://127.0.0.1:8545'],
    finality: 0,
    genesis: GENESIS,
    profile: { name: 'testnet' },
    guardian: `0x${'6a'.repeat(20)}`,
    supply: [{ account: `0x${'7b'.repeat(20)}`, tokens: '40000000' }],
    ...change,
  })
}
