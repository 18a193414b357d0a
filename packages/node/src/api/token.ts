/** The API's bearer token: a file that only the owner may read, made once. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { CairnError } from '@cairn/protocol'

const TOKEN_BYTES = 32
const TOKEN = /^[0-9a-f]{64}$/

/** Reads the token at `path`, or makes one with mode 0600. Throws `badToken` for other content. */
export async function apiToken(path: string): Promise<string> {
  const made = randomBytes(TOKEN_BYTES).toString('hex')
  try {
    await writeFile(path, `${made}\n`, { mode: 0o600, flag: 'wx' })
    return made
  } catch (error) {
    if (!isExisting(error)) throw error
  }
  const token = (await readFile(path, 'utf8')).trim()
  if (!TOKEN.test(token)) {
    throw new CairnError('badToken', `expected 64 hexadecimal digits in ${path}`, {
      facts: { path },
      next: 'delete the file; the node makes a new one when it starts',
    })
  }
  return token
}

/** Whether an Authorization header carries the token; takes the same time whatever differs. */
export function carriesToken(header: string | undefined, token: string): boolean {
  const given = header?.match(/^Bearer (\S+)$/i)?.[1]
  return given !== undefined && timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}
