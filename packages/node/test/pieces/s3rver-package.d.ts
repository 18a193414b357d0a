/** As much of the package as tests use: it has no types of its own. */
declare module 's3rver' {
  import type { Server } from 'node:http'

  export default class S3rver {
    constructor(options: {
      address: string
      port: number
      silent: boolean
      directory: string
      configureBuckets: { name: string }[]
    })
    configureBuckets(): Promise<unknown>
    listen(port: number, host: string): Promise<Server>
  }
}
