/**
 * A Helia node with what our own nodes use: TCP, noise and yamux, by the same modules. Bitswap and
 * UnixFS are as Helia has them; nobody but connected peers is asked for blocks.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { FsBlockstore } from 'blockstore-fs'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

export interface HeliaNode {
  addresses(): string[]
  dial(address: string): Promise<void>
  /** Blocks go to disk, unsynced; resolves with the CID. */
  add(source: AsyncIterable<Uint8Array>): Promise<string>
  /** Blocks that are not here come from peers, and are stored. */
  cat(cid: string): AsyncIterable<Uint8Array>
  stop(): Promise<void>
}

export async function startHelia(directory: string | undefined): Promise<HeliaNode> {
  const store = directory === undefined ? {} : { blockstore: new FsBlockstore(directory) }
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight(store), {
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify() },
    }),
  )
  await helia.start()
  const files = unixfs(helia)
  return {
    addresses: () => helia.libp2p.getMultiaddrs().map(String),
    dial: async address => {
      await helia.libp2p.dial(multiaddr(address))
    },
    add: async source => String(await files.addByteStream(source)),
    cat: cid => files.cat(CID.parse(cid)),
    stop: async () => {
      await helia.stop()
    },
  }
}
