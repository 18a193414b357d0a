/** A thread that does the pair hashes of so many MiB and nothing else. */
import { type MessagePort, parentPort } from 'node:worker_threads'
import { barePairs } from './pairs.ts'

const port = parentPort as MessagePort
const mebibyte = new Uint8Array(2 ** 20).map((_, i) => i)

port.on('message', (mebibytes: number) => {
  for (let i = 0; i < mebibytes; i++) barePairs(mebibyte)
  port.postMessage('done')
})
