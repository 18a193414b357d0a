import { readFile } from 'node:fs/promises'
import { hasCode } from '@cairn/node/lock'
import { CairnError } from '@cairn/protocol'

/** The text of the network manifest. Throws `badManifest` where there is none. */
export async function readManifest(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause
    throw new CairnError('badManifest', `there is no network manifest at ${path}`, {
      facts: { path },
      next: 'copy the manifest of the network there, or pass --network FILE',
    })
  }
}
