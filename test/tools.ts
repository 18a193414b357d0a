/** Programs of the machine that `*.system.test.ts` need beside what npm installs. */
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian package by command: what `.ci/install-tools.js` installs, too. */
const PACKAGES: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../.ci/system-tools.json'), 'utf8'),
)

/** Debian puts daemons where only root looks. */
const BESIDE_PATH = ['/usr/sbin', '/sbin']

/** Path of a command. Throws what to install where it is missing: no test passes by itself. */
export function needTool(command: string, path = process.env.PATH ?? ''): string {
  const debian = PACKAGES[command]
  if (debian === undefined) throw new Error(`${command} is not in .ci/system-tools.json: add it`)
  const places = [...path.split(delimiter), ...BESIDE_PATH]
  const found = places.map(place => join(place, command)).find(file => existsSync(file))
  if (found === undefined) {
    throw new Error(
      `${command} is missing: apt-get install ${debian} (or node .ci/install-tools.js)`,
    )
  }
  return found
}

/** Every command that a system test may need. */
export function allTools(): string[] {
  return Object.keys(PACKAGES)
}
