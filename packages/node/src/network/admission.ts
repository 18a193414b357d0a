import type { ConnectionGater, PeerId } from '@libp2p/interface'
import type { Conduct } from './conduct.ts'

/** Decides which peers this node has connections with: libp2p asks it before and after each dial. */
export class Admission {
  readonly #conduct: Conduct
  #isolated: ReadonlySet<string> | 'all' | undefined

  constructor({ conduct }: { conduct: Conduct }) {
    this.#conduct = conduct
  }

  /** Cuts this node off from these peers, in both directions; a fault that a testnet asks for. */
  isolate(peers: readonly string[] | 'all' | undefined): void {
    this.#isolated = peers === undefined || peers === 'all' ? peers : new Set(peers)
  }

  isolates(peer: string): boolean {
    return this.#isolated === 'all' || this.#isolated?.has(peer) === true
  }

  denies(peer: string): boolean {
    return this.isolates(peer) || this.#conduct.banned(peer)
  }

  gater(): ConnectionGater {
    const denies = (peer: PeerId) => this.denies(peer.toString())
    return {
      denyDialPeer: denies,
      denyInboundEncryptedConnection: denies,
      denyOutboundEncryptedConnection: denies,
    }
  }
}
