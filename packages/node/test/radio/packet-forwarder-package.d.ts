/** As much of the package as tests use: it has no types of its own. */
declare module 'packet-forwarder' {
  import type { Socket } from 'node:dgram'
  import type { EventEmitter } from 'node:events'

  export default class PacketForwarder extends EventEmitter<{ message: [Buffer]; error: [Error] }> {
    constructor(options: { gateway: string; target: string; port: number; clientUdpPort?: number })
    readonly socket: Socket
    /** Resolves once the datagram is acknowledged. */
    sendUplink(message: object): Promise<void>
    close(): Promise<void>
  }
}
