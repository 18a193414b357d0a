/** An S3-compatible service on loopback. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
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
