/** The commented sample file and the reference page, both generated from the table of settings. */
import { environmentName, KEY_NAMES, KEYS, type Key, type KeyName } from './keys.ts'

/** YAML in which every setting stands with its default, commented out. */
export function sampleConfig(): string {
  const lines = [
    '# Settings of cairn. Flags and CAIRN_* variables go before what is set here.',
    '# `cairn config show --origin` says where each value comes from.',
  ]
  let group = ''
  for (const name of KEY_NAMES) {
    const key: Key = KEYS[name]
    if (key.notInFile) continue
    const [first = name] = name.split('.')
    const second = name.slice(first.length + 1)
    const nested = second !== ''
    if (nested && first !== group) lines.push('', `#${first}:`)
    else if (!nested) lines.push('')
    group = nested ? first : ''
    const indent = nested ? '  ' : ''
    lines.push(
      nested ? `#  # ${key.help}` : `# ${key.help}`,
      `#${indent}${nested ? second : name}: ${sampleValue(key)}`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** `docs/reference/config.md`. */
export function configReference(): string {
  const rows = KEY_NAMES.map(name => {
    const { shown, help, secret, notInFile }: Key = KEYS[name]
    const notes = [
      ...(secret ? ['no flag: may hold a credential'] : []),
      ...(notInFile ? ['not in the file'] : []),
    ]
    const about = notes.length === 0 ? help : `${help} (${notes.join('; ')})`
    const initial = shown === '' ? '' : `\`${shown}\``
    return `| \`${name}\` | \`${environmentName(name)}\` | ${initial} | ${about} |`
  })
  return `# Configuration

Generated from \`packages/cli/src/config/keys.ts\` by \`docs/generate.ts\`.

A value is taken from the first of these that has it: a flag (\`--data-dir\`, \`--network\`,
\`--log-level\`, and \`--set KEY=VALUE\` for every other setting), the environment variable, the YAML
file \`<dataDir>/config.yaml\` (or \`--config FILE\`), the default. Lists are written with commas in
flags and variables. \`cairn config show --origin\` prints every value and where it comes from.

| setting | variable | default | what it does |
|---|---|---|---|
${rows.join('\n')}

The sample file, as \`cairn init\` writes it:

\`\`\`yaml
${sampleConfig()}\`\`\`
`
}

export function isSecret(name: KeyName): boolean {
  const key: Key = KEYS[name]
  return key.secret === true
}

function sampleValue({ shown, schema }: Key): string {
  const isList = Array.isArray(schema.safeParse([]).data)
  if (isList) return shown === '' ? '[]' : `[${shown}]`
  return shown === '' ? "''" : shown
}
