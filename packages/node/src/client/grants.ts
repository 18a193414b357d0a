/** Files shared with single peers: who they are sealed for, and what is remembered of it. */
import { type FileLink, parseLink, pieceCid } from '@cairn/protocol'
import type { GrantedView, GrantView } from '../api/node-view.ts'
import { peerIdOf, publicKeyOf } from '../network/identity.ts'
import type { Clock, Store } from '../ports.ts'
import { GrantLog, type LoggedGrant, subjectOf } from './grant-log.ts'
import { sealGrant } from './grant-seal.ts'

export interface GrantsComponents {
  clock: Clock
  store: Store
  /** What a link is called in this node's own list. */
  nameOf(link: FileLink): Promise<string | undefined>
}

export class Grants {
  readonly #components: GrantsComponents
  readonly #log: GrantLog

  constructor(components: GrantsComponents) {
    this.#components = components
    this.#log = new GrantLog(components)
  }

  /** Throws as `parseLink`, `badPeerId`, `badKey`, `grantRevoked` and `tooManyGrants`. */
  async grant(text: string, peer: string, { again }: { again: boolean }): Promise<GrantedView> {
    const { clock, nameOf } = this.#components
    const link = parseLink(text)
    const recipient = publicKeyOf(peer)
    const grant = await sealGrant(link, recipient)
    const name = (await nameOf(link)) ?? ''
    const logged = { ...subjectOf(link, recipient), name, grantedAt: clock.now() }
    await this.#log.add(logged, { again })
    return { grant, ...viewOf(logged) }
  }

  /** Throws as `parseLink`, `badPeerId` and `notGranted`. */
  async revoke(text: string, peer: string): Promise<GrantView> {
    const subject = subjectOf(parseLink(text), publicKeyOf(peer))
    return viewOf(await this.#log.revoke(subject, this.#components.clock.now()))
  }

  async list(): Promise<GrantView[]> {
    return (await this.#log.list()).map(viewOf)
  }
}

function viewOf({ manifest, entry, recipient, ...rest }: LoggedGrant): GrantView {
  return { manifest: pieceCid(manifest), entry, peerId: peerIdOf(recipient), ...rest }
}
