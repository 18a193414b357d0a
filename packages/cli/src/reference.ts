/** The reference page of the command, generated from the commands themselves. */
import { PassThrough } from 'node:stream'
import type { Command } from 'commander'
import { Output } from './output.ts'
import { programOf } from './run.ts'
import type { World } from './world.ts'

const WIDTH = 96

/** `docs/reference/cli.md`. */
export function cliReference(): string {
  const stdout = new PassThrough()
  const world: World = {
    args: [],
    env: {},
    home: '/',
    cwd: '/',
    pid: 1,
    stdin: stdout,
    stdout,
    stderr: stdout,
    now: () => 0,
    onStop: () => () => undefined,
    exit: code => {
      throw new Error(`a reference does not exit: ${code}`)
    },
  }
  const output = new Output(world, { json: true, debug: false })
  const { signal } = new AbortController()
  const program = programOf({ world, output, signal, ended: () => undefined })
  const sections = [program, ...descendants(program)].map(
    command => `## ${nameOf(command)}\n\n\`\`\`\n${helpOf(command)}\n\`\`\``,
  )
  return `# The cairn command

Generated from \`packages/cli/src/commands\` by \`docs/generate.ts\`. Exit codes, JSON shapes and error
codes stand in [interfaces](../interfaces.md).

${sections.join('\n\n')}
`
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap(child => [child, ...descendants(child)])
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

function helpOf(command: Command): string {
  command.configureHelp({ helpWidth: WIDTH })
  return command.helpInformation().trimEnd()
}
