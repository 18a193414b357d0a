/**
 * Through whom a registered node is reached. One daemon may speak for several nodes under the peer id
 * of one, so while a node's own peer is not connected, connected peers of its operator are asked in its
 * place. What is asked this way carries its proof, a root or a signature, or is the time, which is
 * asked once of each operator whoever answers.
 */
import { type EpochBase, equalBytes, type RegistryEntry } from '@cairn/protocol'

/** Peers asked in the place of one node. */
export const CONTACTS_MAX = 4

export interface ContactsInit {
  peerOf(entry: RegistryEntry): string
  /** Ids of the connected peers. */
  connected: ReadonlySet<string>
}

/** Best first; the last may be not connected. Never empty. */
export function contactsOf(
  entry: RegistryEntry,
  base: Pick<EpochBase, 'nodes'>,
  { peerOf, connected }: ContactsInit,
): string[] {
  const own = peerOf(entry)
  if (connected.has(own)) return [own]
  const others = base.nodes
    .filter(node => equalBytes(node.operator, entry.operator))
    .map(peerOf)
    .filter(peer => connected.has(peer))
  return [...others.slice(0, CONTACTS_MAX - 1), own]
}
