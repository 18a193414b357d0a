/** Reads the configuration: flags before CAIRN_* variables before the YAML file before defaults. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { parseDocument } from 'yaml'
import type { World } from '../world.ts'
import { environmentName, KEY_NAMES, KEYS, type Key, type KeyName, type Values } from './keys.ts'
import { nearest } from './nearest.ts'

/** A configuration is a page of text. */
const FILE_MAX_BYTES = 256 * 1024

export interface Config {
  readonly values: Values
  /** Where each value comes from: a flag, a variable, `file:line`, or `default`. */
  readonly origin: Readonly<Record<KeyName, string>>
  /** The file that was read, or would be. */
  readonly file: string
  /** CAIRN_* variables that name no setting. */
  readonly strayVariables: readonly string[]
}

export interface ConfigInit {
  world: Pick<World, 'env' | 'home' | 'cwd'>
  /** Texts of flags by key, and what each was called. */
  flags: ReadonlyMap<KeyName, { text: string; flag: string }>
  /** The file instead of `<dataDir>/config.yaml`; must exist. */
  file?: string | undefined
}

interface Given {
  value: unknown
  origin: string
}

/** Throws `badConfig`, naming key, origin and what was expected, or `unknownConfigKey`. */
export async function loadConfig({ world, flags, file: wanted }: ConfigInit): Promise<Config> {
  const given = new Map<KeyName, Given>()
  for (const name of KEY_NAMES) {
    const flag = flags.get(name)
    const variable = environmentName(name)
    const found = world.env[variable]
    if (flag !== undefined) given.set(name, { value: flag.text, origin: flag.flag })
    else if (found !== undefined && found !== '')
      given.set(name, { value: found, origin: variable })
  }
  const from = { home: world.home, dataDir: '' }
  const dataDir = resolve(world.cwd, valueFor('dataDir', given.get('dataDir'), from) as string)
  from.dataDir = dataDir
  const file = wanted === undefined ? join(dataDir, 'config.yaml') : resolve(world.cwd, wanted)
  for (const [name, value] of await readConfigFile(file, wanted !== undefined)) {
    if (!given.has(name)) given.set(name, value)
  }
  const values = Object.fromEntries(
    KEY_NAMES.map(name => [name, valueFor(name, given.get(name), from)]),
  ) as Values
  const origin = Object.fromEntries(
    KEY_NAMES.map(name => [name, given.get(name)?.origin ?? 'default']),
  ) as Record<KeyName, string>
  return {
    values: { ...values, dataDir, network: resolve(world.cwd, values.network) },
    origin,
    file,
    strayVariables: strayVariables(world.env),
  }
}

function valueFor(
  name: KeyName,
  given: Given | undefined,
  from: { home: string; dataDir: string },
) {
  const key: Key = KEYS[name]
  if (given === undefined) return key.default(from)
  const result = key.schema.safeParse(given.value)
  if (result.success) return result.data
  const expected = result.error.issues[0]?.message ?? 'another value'
  throw new CairnError('badConfig', `${name} from ${given.origin}: ${expected}`, {
    facts: {
      key: name,
      origin: given.origin,
      ...(key.secret ? {} : { found: String(given.value).slice(0, 100) }),
    },
    next: 'see `cairn config sample` for every setting',
  })
}

async function readConfigFile(file: string, mustExist: boolean): Promise<Map<KeyName, Given>> {
  let source: string
  try {
    source = await readFile(file, 'utf8')
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    if (missing && !mustExist) return new Map()
    throw new CairnError('badConfig', `cannot read ${file}`, { facts: { file }, cause })
  }
  if (source.length > FILE_MAX_BYTES) {
    throw new CairnError('badConfig', `${file} is longer than ${FILE_MAX_BYTES} characters`)
  }
  const document = parseDocument(source, { uniqueKeys: true })
  const [problem] = document.errors
  if (problem !== undefined) {
    const [message] = problem.message.split('\n')
    throw new CairnError('badConfig', `${file}: ${message}`, { facts: { file } })
  }
  // No aliases: a few lines of them expand to gigabytes.
  return flatten(document.toJS({ maxAliasCount: 0 }), file)
}

/** Nested maps as dotted keys. */
function flatten(value: unknown, file: string, prefix = ''): Map<KeyName, Given> {
  const found = new Map<KeyName, Given>()
  if (value === null || value === undefined) return found
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new CairnError('badConfig', `${file}: expected settings, as \`key: value\``, {
      facts: { file },
    })
  }
  for (const [part, inner] of Object.entries(value)) {
    const name = prefix + part
    if (isKey(name) && !('notInFile' in KEYS[name])) {
      if (inner !== null) found.set(name, { value: inner, origin: file })
    } else if (KEY_NAMES.some(key => key.startsWith(`${name}.`))) {
      for (const [key, given] of flatten(inner, file, `${name}.`)) found.set(key, given)
    } else {
      throw unknownKey(name, file)
    }
  }
  return found
}

export function isKey(name: string): name is KeyName {
  return Object.hasOwn(KEYS, name)
}

/** Names the nearest known setting. */
export function unknownKey(name: string, where: string): CairnError {
  const known = nearest(name, KEY_NAMES)
  const text = isKey(name) ? `${name} cannot be set in a file` : `unknown setting '${name}'`
  const hint = isKey(name)
    ? `set ${environmentName(name)} or use a flag`
    : known === undefined
      ? 'see `cairn config sample` for every setting'
      : `did you mean '${known}'?`
  return new CairnError('unknownConfigKey', `${text} in ${where}; ${hint}`, {
    facts: { key: name, where, nearest: known },
    next: hint,
  })
}

function strayVariables(env: World['env']): string[] {
  const known = new Set<string>(KEY_NAMES.map(environmentName))
  return Object.keys(env).filter(name => name.startsWith('CAIRN_') && !known.has(name))
}
