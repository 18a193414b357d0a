import { isPrivate } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'

/**
 * True of a network inside one site or machine: the addresses of all peers to meet first are private
 * or loopback ones. Nobody else's peers could be reached by them.
 */
export function isWithinSite(bootstrap: readonly string[]): boolean {
  return bootstrap.length > 0 && bootstrap.every(address => isPrivate(multiaddr(address)))
}
