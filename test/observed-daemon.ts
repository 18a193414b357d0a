/**
 * One registered node of a testnet in a process of its own, which prints what it acknowledged. Its
 * argument is JSON, see `Instructions`; it ends at SIGTERM.
 */
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseManifest, startDaemon } from '@cairn/node'
import { deriveKeys, hex, mnemonicOf } from '@cairn/protocol'
import { derive } from '@cairn/testnet'
import { silent } from './network.ts'

export interface Instructions {
  dataDir: string
  manifest: string
  rpc: string
  bootstrap: string[]
  /** Of the testnet, and the node's place in it. */
  seed: number
  place: number
}

/** Printed once. */
export interface Started {
  api: string
  tokenPath: string
  /** First epoch in which it may sign; 0: it was closed cleanly. */
  mutedUntil: number
}

/** Printed for every message, before anything else is done. */
export interface Acknowledged {
  id: string
  type: number
  epoch: number
  source: string
}

const { dataDir, manifest, rpc, bootstrap, seed, place } = JSON.parse(
  process.argv[2] ?? '',
) as Instructions
const daemon = await startDaemon({
  dataDir,
  manifest: parseManifest(await readFile(manifest, 'utf8')),
  manifestDir: dirname(manifest),
  keys: deriveKeys(mnemonicOf(derive(seed, `node ${place}`))),
  listen: ['/ip4/127.0.0.1/tcp/0'],
  bootstrap,
  apiPort: 0,
  rpc: [rpc],
  colocationWeight: 0,
  privateAddresses: true,
  log: silent,
})
const { node, api } = daemon
node.ingest.onArrival(({ type, message, source }) => {
  if (source === 'disk') return
  print({ id: hex(message.id), type, epoch: message.value.epoch, source })
})
print({
  api: api.url,
  tokenPath: api.tokenPath,
  mutedUntil: node.mutedUntil,
})
process.once('SIGTERM', () => void daemon.stop())
await daemon.stopped

/** Writing to a pipe is synchronous: what was printed is with the reader when the process dies. */
function print(line: Started | Acknowledged): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
