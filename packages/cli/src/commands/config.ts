import { KEY_NAMES, type KeyName, type OfferedPlace, type SetGateway } from '../config/keys.ts'
import { isSecret, sampleConfig } from '../config/reference.ts'
import type { Commands } from '../run.ts'

export function configCommand({ program, action }: Commands): void {
  const config = program.command('config').description('show and check the configuration')
  config
    .command('show')
    .description('print every setting')
    .option('--origin', 'say where each value comes from')
    .action(
      action(async (session, { origin: withOrigin }: { origin?: boolean }) => {
        const { values, origin } = await session.config()
        const settings = Object.fromEntries(
          KEY_NAMES.map(name => {
            const value = shown(name, values[name])
            return [name, withOrigin ? { value, origin: origin[name] } : value]
          }),
        )
        const width = Math.max(...KEY_NAMES.map(name => name.length))
        const lines = KEY_NAMES.map(name => {
          const line = `${name.padEnd(width)}  ${textOf(shown(name, values[name]))}`
          return withOrigin ? `${line}  (${origin[name]})` : line
        })
        session.output.result(settings, lines.join('\n'))
        return undefined
      }),
    )
  config
    .command('check')
    .description('read the configuration and the network manifest, and say what is wrong')
    .action(
      action(async session => {
        const { file, strayVariables, values } = await session.config()
        const warnings = strayVariables.map(name => `${name} names no setting`)
        session.output.result(
          { ok: true, file, network: values.network, warnings },
          [...warnings.map(text => `warning: ${text}`), `${file}: no error`].join('\n'),
        )
        return undefined
      }),
    )
  config
    .command('sample')
    .description('print a file with every setting, commented out')
    .action(
      action(async ({ output }) => {
        output.result({ sample: sampleConfig() }, sampleConfig().trimEnd())
        return undefined
      }),
    )
}

function shown(name: KeyName, value: unknown): unknown {
  if (isSecret(name)) {
    return Array.isArray(value) ? value.map(() => '[secret]') : value && '[secret]'
  }
  if (name === 'storage.volumes') {
    return (value as OfferedPlace[]).map(({ location, quotaBytes }) => `${location}=${quotaBytes}`)
  }
  if (name === 'radio.gateways') {
    return (value as SetGateway[]).map(({ key, eui, region, gain }) =>
      [`${key}=${eui}`, region, gain].filter(part => part !== undefined).join('/'),
    )
  }
  return typeof value === 'bigint' ? String(value) : value
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : String(value)
}
