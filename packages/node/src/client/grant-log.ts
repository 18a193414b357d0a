/**
 * To whom this node granted which file, and what of that it revoked. A key that was given cannot be
 * taken back: what is revoked is not granted again by mistake, and the log says who can read what.
 */
import {
  ByteListType,
  Bytes32,
  CairnError,
  ContainerType,
  check,
  decode,
  type FileLink,
  hex,
  NAME_MAX_BYTES,
  Piece,
  pieceCid,
  Uint8,
  Uint32,
  Uint64,
} from '@cairn/protocol'
import type { Store } from '../ports.ts'

const VERSION = 1
/** Grants remembered: a table that a person can still read, and 2 MB. */
export const GRANTS_MAX = 4_096

/** Keys have 68 bytes. */
const ALL = { gte: new Uint8Array(0), lt: new Uint8Array(69).fill(0xff) }

const GrantRecord = new ContainerType({
  version: Uint8,
  manifest: Piece,
  entry: Uint32,
  /** Ed25519. */
  recipient: Bytes32,
  name: new ByteListType(NAME_MAX_BYTES),
  /** Ms since 1970, of the last time. */
  grantedAt: Uint64,
  /** 0: it was not. */
  revokedAt: Uint64,
})

export interface LoggedGrant {
  manifest: Piece
  entry: number
  /** Ed25519 identity. */
  recipient: Uint8Array
  /** Empty where the file is not one of this node's. */
  name: string
  /** Ms since 1970, of the last time. */
  grantedAt: number
  /** Undefined: it was not. */
  revokedAt?: number
}

type Subject = Pick<LoggedGrant, 'manifest' | 'entry' | 'recipient'>

export interface GrantLogInit {
  /** Other than `GRANTS_MAX` in tests. */
  max?: number
}

export class GrantLog {
  readonly #store: Store
  readonly #max: number

  constructor({ store }: { store: Store }, { max = GRANTS_MAX }: GrantLogInit = {}) {
    this.#store = store
    this.#max = max
  }

  /**
   * Written before the grant is given out; durable when it resolves. Throws `grantRevoked` for what was
   * revoked, unless `again`, and `tooManyGrants`.
   */
  async add(grant: Omit<LoggedGrant, 'revokedAt'>, { again }: { again: boolean }): Promise<void> {
    const known = await this.#find(grant)
    if (known?.revokedAt !== undefined && !again) {
      throw new CairnError('grantRevoked', 'what was granted to this peer was revoked', {
        facts: { revokedAt: known.revokedAt },
        next: 'grant it with --again if it is meant to read the file',
      })
    }
    if (known === undefined) {
      const count = (await this.list()).length
      check(count < this.#max, 'tooManyGrants', `at most ${this.#max} grants are remembered`, {
        facts: { max: this.#max },
        next: 'put the file anew and give its link to a group by other means',
      })
    }
    await this.#write(grant)
  }

  /** Resolves with the grant as it is then; revoking twice changes nothing. Throws `notGranted`. */
  async revoke(subject: Subject, now: number): Promise<LoggedGrant> {
    const known = await this.#find(subject)
    if (known === undefined) {
      throw new CairnError('notGranted', 'this node did not grant that file to that peer', {
        facts: { manifest: pieceCid(subject.manifest), recipient: hex(subject.recipient) },
        next: 'see `cairn grants`',
      })
    }
    if (known.revokedAt !== undefined) return known
    const revoked = { ...known, revokedAt: now }
    await this.#write(revoked)
    return revoked
  }

  /** The last first. */
  async list(): Promise<LoggedGrant[]> {
    const found: LoggedGrant[] = []
    for await (const [, value] of this.#store.range(ALL)) found.push(grantOf(value))
    return found.sort((a, b) => b.grantedAt - a.grantedAt)
  }

  async #find(subject: Subject): Promise<LoggedGrant | undefined> {
    const value = await this.#store.get(keyOf(subject))
    return value && grantOf(value)
  }

  async #write(grant: LoggedGrant): Promise<void> {
    const { manifest, entry, recipient, name, grantedAt, revokedAt = 0 } = grant
    const value = GrantRecord.serialize({
      version: VERSION,
      manifest,
      entry,
      recipient,
      name: new TextEncoder().encode(name),
      grantedAt: BigInt(grantedAt),
      revokedAt: BigInt(revokedAt),
    })
    await this.#store.batch([{ key: keyOf(grant), value }], { sync: true })
  }
}

/** What a link and a recipient are in the log. */
export function subjectOf({ manifest, entry }: FileLink, recipient: Uint8Array): Subject {
  return { manifest, entry, recipient }
}

function grantOf(value: Uint8Array): LoggedGrant {
  const { manifest, entry, recipient, name, grantedAt, revokedAt } = decode(GrantRecord, value)
  return {
    manifest,
    entry,
    recipient,
    name: new TextDecoder().decode(name),
    grantedAt: Number(grantedAt),
    ...(revokedAt === 0n ? {} : { revokedAt: Number(revokedAt) }),
  }
}

function keyOf({ manifest, entry, recipient }: Subject): Uint8Array {
  return Buffer.concat([manifest.root, Uint32.serialize(entry), recipient])
}
