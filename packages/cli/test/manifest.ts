import { encodeManifest, type Manifest } from '@cairn/node'
import { beaconKey, sha256, TESTNET_PROFILE } from '@cairn/protocol'

/** Nothing listens on the discard port of this machine. */
export const NOBODY = 'http://127.0.0.1:9'
const HOUR_S = 3_600

/** Text of a manifest of a network that nobody runs, which begins in an hour. */
export function manifestOf(change: Partial<Manifest> = {}): string {
  const address = `0x${'ab'.repeat(20)}` as const
  return encodeManifest({
    name: 'demo',
    chain: {
      chainId: 31337,
      rpc: [NOBODY],
      contracts: {
        checkpoints: address,
        registry: address,
        token: address,
        deposits: address,
        parameters: address,
      },
      finality: 0,
    },
    genesis: Math.floor(Date.now() / 1_000) + HOUR_S,
    drand: { publicKey: beaconKey(sha256(Uint8Array.of(1))), genesis: 1, period: 1, url: NOBODY },
    bootstrap: [],
    profileName: 'testnet',
    profile: TESTNET_PROFILE,
    genesisState: 'genesis.ssz',
    ...change,
  })
}
