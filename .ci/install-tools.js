/**
 * Installs what the system tests need and the machine lacks: the Debian packages of
 * `.ci/system-tools.json`, by apt-get, where this process may. Elsewhere it says what to install.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const tools = JSON.parse(readFileSync(join(import.meta.dirname, 'system-tools.json'), 'utf8'))
/** Debian puts daemons where only root looks. */
const places = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
const has = command => places.some(place => existsSync(join(place, command)))

const missing = Object.keys(tools).filter(command => !has(command))
const packages = [...new Set(missing.map(command => tools[command]))]

if (packages.length > 0 && process.getuid() === 0 && has('apt-get')) {
  const options = {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }
  execFileSync('apt-get', ['update'], options)
  execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', ...packages], options)
} else if (packages.length > 0) {
  process.stdout.write(
    `missing: ${missing.join(', ')}; run apt-get install ${packages.join(' ')}\n`,
  )
  process.exitCode = 1
}
