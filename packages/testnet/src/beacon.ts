/**
 * A local randomness beacon in drand's format, over drand's HTTP interface. One process signs with
 * a key of its own, so a testnet verifies with the same code as a public network.
 */
import { createServer, type Server } from 'node:http'
import type { Clock } from '@cairn/node'
import { beaconKey, CairnError, hex, randomnessOf, signRound } from '@cairn/protocol'

export interface BeaconInit {
  /** 32-byte scalar. */
  secret: Uint8Array
  /** When round 1 is due, seconds since 1970. */
  genesis: number
  /** Seconds between rounds. */
  period: number
}

/** Signatures kept; a round asked again is signed once. */
const ROUNDS_MAX = 1_024

export class LocalBeacon {
  readonly publicKey: Uint8Array
  readonly #clock: Clock
  readonly #init: BeaconInit
  readonly #rounds = new Map<number, Uint8Array>()
  #server: Server | undefined

  constructor({ clock }: { clock: Clock }, init: BeaconInit) {
    this.#clock = clock
    this.#init = init
    this.publicKey = beaconKey(init.secret)
  }

  /** The signature of a round; undefined before it is due. */
  round(round: number): Uint8Array | undefined {
    const { genesis, period, secret } = this.#init
    const due = (genesis + (round - 1) * period) * 1_000
    if (round < 1 || this.#clock.now() < due) return undefined
    let signature = this.#rounds.get(round)
    if (signature === undefined) {
      signature = signRound(secret, round)
      this.#rounds.set(round, signature)
      for (const oldest of this.#rounds.keys()) {
        if (this.#rounds.size <= ROUNDS_MAX) break
        this.#rounds.delete(oldest)
      }
    }
    return signature
  }

  /** Serves on a free loopback port; resolves with the base URL. */
  async listen(): Promise<string> {
    const server = createServer((request, response) => {
      const round = Number(/^\/public\/(\d{1,12})$/.exec(request.url ?? '')?.[1] ?? 0)
      const signature = this.round(round)
      if (signature === undefined) {
        response.writeHead(404).end()
        return
      }
      const body = { round, randomness: hex(randomnessOf(signature)), signature: hex(signature) }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: '127.0.0.1', port: 0 }, resolve)
    })
    const address = server.address()
    if (address === null || typeof address === 'string') {
      throw new CairnError('noPort', 'the randomness beacon has no port')
    }
    return `http://127.0.0.1:${address.port}`
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => resolve()))
  }
}
