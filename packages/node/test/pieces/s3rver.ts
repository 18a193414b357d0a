/** An S3-compatible service on loopback. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import S3rver from 's3rver'

export interface Bucket {
  /** `http://127.0.0.1:port/bucket` */
  url: string
  accessKeyId: string
  secretAccessKey: string
  stop(): Promise<void>
}

/** Keeps a bucket called `cairn` in a directory; port 0: a free one. */
export async function startBucket(directory: string, wanted = 0): Promise<Bucket> {
  const app = new S3rver({
    address: '127.0.0.1',
    port: wanted,
    silent: true,
    directory,
    configureBuckets: [{ name: 'cairn' }],
  })
  await app.configureBuckets()
  const server = await app.listen(wanted, '127.0.0.1')
  if (!server.listening) await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/cairn`,
    accessKeyId: 'S3RVER',
    secretAccessKey: 'S3RVER',
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/**
 * The same in a process of its own: the service encrypts where a list goes on by DES, which OpenSSL
 * gives only to a process that asks for what is out of use.
 */
export async function spawnBucket(directory: string): Promise<Bucket> {
  const self = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, ['--openssl-legacy-provider', self, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface(child.stdout), 'line')
  return {
    ...(JSON.parse(line) as Omit<Bucket, 'stop'>),
    stop: async () => {
      child.kill()
      await once(child, 'close')
    },
  }
}

if (import.meta.main) {
  const { stop: _, ...bucket } = await startBucket(process.argv[2] as string)
  process.stdout.write(`${JSON.stringify(bucket)}\n`)
}
