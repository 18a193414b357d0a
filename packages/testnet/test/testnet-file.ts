import type { TestnetFile } from '@cairn/testnet'

/** A whole `testnet.json` of one node. */
export function fileOf(change: Partial<TestnetFile> = {}): TestnetFile {
  return {
    schema: 1,
    pid: process.pid,
    network: 'ab'.repeat(32),
    manifest: '/tmp/network.json',
    control: { url: 'http://127.0.0.1:1', tokenPath: '/tmp/control.token' },
    chain: {
      rpc: 'http://127.0.0.1:2',
      chainId: 31337,
      contracts: {
        token: '0x01',
        registry: '0x02',
        checkpoints: '0x03',
        distributor: '0x06',
        deposits: '0x07',
        access: '0x08',
        slasher: '0x09',
        parameters: '0x0a',
        timelock: '0x0b',
        governor: '0x0c',
      },
      accounts: [{ address: '0x04', privateKey: '0x05' }],
    },
    randomness: { url: 'http://127.0.0.1:3', publicKey: 'cd' },
    nodes: [
      {
        name: 'node1',
        peerId: '12D3KooW',
        index: 0,
        multiaddrs: ['/ip4/127.0.0.1/tcp/4'],
        api: 'http://127.0.0.1:5',
        tokenPath: '/tmp/node1/api.token',
        gwmp: null,
        dataDir: '/tmp/node1',
      },
    ],
    ...change,
  }
}
