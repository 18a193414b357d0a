import manifest from '../../package.json' with { type: 'json' }
import type { Commands } from '../run.ts'

const VERSION: string = manifest.version

export function versionCommand({ program, action }: Commands): void {
  program
    .command('version')
    .description('print the version')
    .action(
      action(async ({ output }) => {
        const { version: node, platform, arch } = process
        output.result(
          { version: VERSION, node, platform, arch },
          `cairn ${VERSION} (Node ${node}, ${platform} ${arch})`,
        )
        return undefined
      }),
    )
}
