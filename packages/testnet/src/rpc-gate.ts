/**
 * Stands between one node and the chain's RPC, so that a testnet can take the chain away from that
 * node alone. Open, it forwards every request as it is; closed, it drops connections.
 */
import { createServer, request, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { CairnError } from '@cairn/protocol'

export class RpcGate {
  readonly #target: string
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #open = true

  /** `target` is the chain's HTTP RPC. */
  constructor(target: string) {
    this.#target = target
  }

  get open(): boolean {
    return this.#open
  }

  /** Listens on a free loopback port; resolves with the URL the node uses. */
  async listen(): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      if (!this.#open) {
        incoming.socket.destroy()
        return
      }
      const { method, headers } = incoming
      const forwarded = request(this.#target, { method, headers }, answer => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      forwarded.on('error', () => outgoing.destroy())
      outgoing.on('close', () => forwarded.destroy())
      incoming.pipe(forwarded)
    })
    server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: '127.0.0.1', port: 0 }, resolve)
    })
    const address = server.address()
    if (address === null || typeof address === 'string') {
      throw new CairnError('noPort', 'the RPC gate has no port')
    }
    return `http://127.0.0.1:${address.port}`
  }

  setOpen(open: boolean): void {
    this.#open = open
    if (!open) this.#dropAll()
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    this.#dropAll()
    await new Promise<void>(resolve => server.close(() => resolve()))
  }

  #dropAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
