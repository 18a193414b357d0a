/** A thread of `HashPool`: hashes rows of subtrees that it is handed, or reads itself. */
import { closeSync, openSync, readSync } from 'node:fs'
import { type MessagePort, parentPort } from 'node:worker_threads'
import {
  BATCH_PAYLOAD,
  invariant,
  NODE_BYTES,
  SUBTREE_PAYLOAD,
  subtreeRoots,
} from '@cairn/protocol'

/** Part of a file, of whole subtrees unless it is the last one. */
export interface FileRow {
  path: string
  offset: number
  length: number
  height: number
}

/** Bytes of one batch at most; the buffer comes back with the answer. */
export interface BufferRow {
  buffer: ArrayBuffer
  length: number
  height: number
}

export type HashRequest = { id: number } & (FileRow | BufferRow)

export interface HashAnswer {
  id: number
  /** `code` is that of a system error. */
  outcome: { roots: Uint8Array } | { message: string; code?: string }
  /** That of the request. */
  buffer?: ArrayBuffer
}

const staging = new Uint8Array(BATCH_PAYLOAD)
const port = parentPort as MessagePort

port.on('message', (request: HashRequest) => {
  const { id } = request
  const buffer = 'buffer' in request ? { buffer: request.buffer } : {}
  try {
    const roots = 'path' in request ? hashFile(request) : hashBuffer(request)
    answer({ id, outcome: { roots }, ...buffer })
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    answer({ id, outcome: { message, ...(code === undefined ? {} : { code }) }, ...buffer })
  }
})

function answer(message: HashAnswer): void {
  port.postMessage(message, message.buffer === undefined ? [] : [message.buffer])
}

function hashBuffer({ buffer, length, height }: BufferRow): Uint8Array {
  return subtreeRoots(new Uint8Array(buffer, 0, length), height)
}

function hashFile({ path, offset, length, height }: FileRow): Uint8Array {
  const subtrees = Math.max(1, Math.ceil(length / SUBTREE_PAYLOAD))
  const roots = new Uint8Array(NODE_BYTES * subtrees)
  const file = openSync(path, 'r')
  try {
    for (let at = 0, root = 0; root < roots.length; at += BATCH_PAYLOAD) {
      const part = Math.min(BATCH_PAYLOAD, length - at)
      readFully(file, part, offset + at)
      const row = subtreeRoots(staging.subarray(0, part), height)
      roots.set(row, root)
      root += row.length
    }
    return roots
  } finally {
    closeSync(file)
  }
}

function readFully(file: number, length: number, position: number): void {
  for (let at = 0; at < length; ) {
    const read = readSync(file, staging, at, length - at, position + at)
    invariant(read > 0, 'the file is as long as it was')
    at += read
  }
}
