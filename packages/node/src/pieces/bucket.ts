/**
 * A volume that is a bucket of an S3-compatible service, for providers who outgrow one machine. Who
 * runs the cluster sees to it that what was accepted is durable.
 *
 * Bytes are uploaded in parts, and appear under their name when the last call completes them: an
 * upload that is given up, or that a crash cuts off, leaves nothing that has a name.
 */
import { randomUUID } from 'node:crypto'
import { CairnError, concatBytes } from '@cairn/protocol'
import { S3mini, S3ServiceError, type UploadPart } from 's3mini'
import type { Clock } from '../ports.ts'
import {
  type ByteSource,
  decodeLabel,
  encodeLabel,
  LABEL_NAME,
  type Staged,
  type StageOptions,
  type Volume,
  type VolumeLabel,
  volumeExists,
  volumeUnreachable,
} from './volume.ts'

/** Of an upload; at least 5 MiB by the protocol, and what one that comes in holds in memory. */
const PART_BYTES = 8 * 1024 * 1024
/** Names listed by one request, as many as services give. */
const PAGE_NAMES = 1_000
/** A request that fails for the service's sake is made so often, ms apart. */
const ATTEMPTS = 4
const WAIT_MS = 200
const REQUEST_TIMEOUT_MS = 60_000
const INCOMING = 'incoming/'

/** HTTP statuses. */
const NOT_FOUND = 404
const BEYOND_THE_END = 416
const TOO_MANY = 429
const NOT_IMPLEMENTED = 501
/** Also 405, which some services answer to calls that they do not know. */
const UPLOAD_GONE: ReadonlySet<number> = new Set([NOT_FOUND, 405, NOT_IMPLEMENTED])

export interface BucketKeys {
  accessKeyId: string
  secretAccessKey: string
  region?: string
}

export interface BucketInit extends BucketKeys {
  /** `https://host/bucket`, or `https://host/bucket/some/prefix`. */
  url: string
}

/** A place is an address or a path. */
export function isBucket(location: string): boolean {
  return /^https?:\/\//.test(location)
}

export class BucketVolume implements Volume {
  readonly location: string
  readonly #clock: Clock
  readonly #client: S3mini
  readonly #prefix: string

  constructor({ clock }: { clock: Clock }, { url, region, ...keys }: BucketInit) {
    const { origin, pathname } = new URL(url)
    const [bucket = '', ...rest] = pathname.split('/').filter(part => part !== '')
    this.location = url
    this.#clock = clock
    this.#prefix = rest.map(part => `${part}/`).join('')
    this.#client = new S3mini({
      ...keys,
      ...(region === undefined ? {} : { region }),
      endpoint: `${origin}/${bucket}`,
      requestAbortTimeout: REQUEST_TIMEOUT_MS,
      minPartSize: PART_BYTES,
    })
  }

  async label(): Promise<VolumeLabel | undefined> {
    const bytes = await this.#get(LABEL_NAME)
    return bytes && decodeLabel(bytes, this.location)
  }

  async create(label: VolumeLabel): Promise<void> {
    if ((await this.size(LABEL_NAME)) !== undefined) throw volumeExists(this.location)
    await this.#put(LABEL_NAME, encodeLabel(label))
  }

  async sweep(): Promise<void> {
    for await (const { name } of this.list(INCOMING)) await this.remove([name])
  }

  async stage(source: ByteSource, { name }: StageOptions = {}): Promise<Staged> {
    const key = name ?? INCOMING + randomUUID()
    const upload = new Upload({
      client: this.#client,
      key: this.#prefix + key,
      ask: request => this.#ask(request),
    })
    try {
      for await (const bytes of source) await upload.add(bytes)
      await upload.end()
    } catch (error) {
      // What the source threw says more than that the service could not be told.
      await Promise.allSettled([upload.abort()])
      throw error
    }
    return {
      place: async wanted => {
        if (upload.small !== undefined) return await this.#put(wanted, upload.small)
        await upload.complete()
        if (wanted !== key) await this.move(key, wanted)
      },
      discard: () => upload.abort(),
    }
  }

  /** The service keeps what it accepted. */
  async settle(): Promise<void> {}

  async read(name: string, offset: number, length: number): Promise<Uint8Array | undefined> {
    if (length === 0) return (await this.size(name)) === undefined ? undefined : new Uint8Array(0)
    return await this.#found(async () => {
      try {
        const end = offset + length
        const response = await this.#client.getObjectRaw(this.#prefix + name, false, offset, end)
        return new Uint8Array(await response.arrayBuffer())
      } catch (error) {
        // Beyond the end there is nothing.
        if (statusOf(error) === BEYOND_THE_END) return new Uint8Array(0)
        throw error
      }
    })
  }

  async size(name: string): Promise<number | undefined> {
    return await this.#found(() => this.#client.getContentLength(this.#prefix + name))
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.#found(() => this.#client.deleteObject(this.#prefix + name))
    }
  }

  async move(from: string, to: string): Promise<boolean> {
    const source = this.#prefix + from
    // Slashes as they are: not every service reads them escaped.
    const additionalHeaders = { 'x-amz-copy-source': `/${this.#client.bucketName}/${source}` }
    const copied = await this.#found(() =>
      this.#client.copyObject(source, this.#prefix + to, { additionalHeaders }),
    )
    if (copied === undefined) return false
    await this.remove([from])
    return true
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; bytes: number }> {
    for (let token: string | undefined, more = true; more; more = token !== undefined) {
      const page = await this.#ask(() =>
        this.#client.listObjectsPaged('/', this.#prefix + prefix, PAGE_NAMES, token),
      )
      for (const { Key, Size } of page?.objects ?? []) {
        yield { name: Key.slice(this.#prefix.length), bytes: Number(Size) }
      }
      token = page?.nextContinuationToken
    }
  }

  /** A bucket has no end that could be asked for. */
  async free(): Promise<undefined> {
    return undefined
  }

  async #get(name: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#found(() =>
      this.#client.getObjectArrayBuffer(this.#prefix + name).then(found => found ?? undefined),
    )
    return bytes && new Uint8Array(bytes)
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#ask(() => this.#client.putObject(this.#prefix + name, bytes))
  }

  /** Undefined where the service says that there is no such name. */
  async #found<T>(request: () => Promise<T>): Promise<T | undefined> {
    return await this.#ask(async () => {
      try {
        return await request()
      } catch (error) {
        if (statusOf(error) === NOT_FOUND) return undefined
        throw error
      }
    })
  }

  /** Again when the service is away or busy; throws `volumeUnreachable`. */
  async #ask<T>(request: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await request()
      } catch (error) {
        if (error instanceof CairnError) throw error
        const status = statusOf(error)
        const passing =
          status === undefined ||
          status === TOO_MANY ||
          (status >= 500 && status !== NOT_IMPLEMENTED)
        if (!passing || attempt === ATTEMPTS) throw volumeUnreachable(this.location, error)
        await this.#clock.until(this.#clock.now() + WAIT_MS * 2 ** attempt)
      }
    }
  }
}

interface UploadInit {
  client: S3mini
  key: string
  ask<T>(request: () => Promise<T>): Promise<T>
}

/** Bytes on their way: of one part at most here, the others with the service under no name. */
class Upload {
  readonly #init: UploadInit
  /** What the next part consists of. */
  #part: Uint8Array[] = []
  #filled = 0
  readonly #sent: UploadPart[] = []
  #id: string | undefined
  #small: Uint8Array | undefined

  constructor(init: UploadInit) {
    this.#init = init
  }

  /** All bytes, where they are fewer than a part: nothing was sent yet. */
  get small(): Uint8Array | undefined {
    return this.#small
  }

  async add(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const more = bytes.subarray(at, at + PART_BYTES - this.#filled)
      this.#part.push(more.slice())
      this.#filled += more.length
      at += more.length
      if (this.#filled === PART_BYTES) await this.#send()
    }
  }

  async end(): Promise<void> {
    if (this.#id === undefined) this.#small = concatBytes(this.#part)
    else if (this.#filled > 0) await this.#send()
  }

  async complete(): Promise<void> {
    const { client, key, ask } = this.#init
    const id = this.#id
    if (id === undefined) return
    await ask(() => client.completeMultipartUpload(key, id, this.#sent))
    this.#id = undefined
  }

  async abort(): Promise<void> {
    const { client, key, ask } = this.#init
    const id = this.#id
    if (id === undefined) return
    this.#id = undefined
    await ask(async () => {
      try {
        await client.abortMultipartUpload(key, id)
      } catch (error) {
        // A service that does not know the call, or dropped the upload itself.
        if (!UPLOAD_GONE.has(statusOf(error) ?? 0)) throw error
      }
    })
  }

  async #send(): Promise<void> {
    const { client, key, ask } = this.#init
    this.#id ??= await ask(() => client.getMultipartUploadId(key))
    const id = this.#id
    const bytes = concatBytes(this.#part)
    const number = this.#sent.length + 1
    this.#sent.push(await ask(() => client.uploadPart(key, id, bytes, number)))
    this.#part = []
    this.#filled = 0
  }
}

/** The status of the service's answer; undefined: there was none. */
function statusOf(error: unknown): number | undefined {
  if (error instanceof S3ServiceError) return error.status
  return error instanceof Error && error.cause !== undefined ? statusOf(error.cause) : undefined
}
