import type { Commands } from '../run.ts'
import { fraction, positive, whole } from './numbers.ts'

interface SimulateOptions {
  nodes: number
  epochs: number
  seed: number
  loss?: number
  crashed?: number
  gateways?: number
  cheats?: string
}

export function simulateCommand({ program, action }: Commands): void {
  program
    .command('simulate')
    .description('run a network in memory on virtual time; the same seed gives the same run')
    .option('--nodes <n>', 'how many nodes', positive, 8)
    .option('--epochs <n>', 'how many epochs', positive, 4)
    .option('--seed <n>', 'what everything random follows from', whole, 1)
    .option('--loss <share>', 'part of messages that are lost, 0 to below 1', fraction)
    .option('--crashed <n>', 'nodes that stop midway', whole)
    .option('--gateways <n>', 'nodes with a radio; a quarter of them unless given', whole)
    .option('--cheats <kind=n,...>', 'how many gateways cheat, the last ones, and how')
    .action(
      action(async ({ output }, options: SimulateOptions) => {
        const { gatewayText, parseCheats, simulate } = await import('@cairn/testnet')
        const { nodes, epochs, seed, loss, crashed, gateways, cheats } = options
        const summary = await simulate(
          {
            nodes,
            epochs,
            seed,
            ...(loss === undefined ? {} : { loss }),
            ...(crashed === undefined ? {} : { crashed }),
            ...(gateways === undefined ? {} : { gateways }),
            ...(cheats === undefined ? {} : { cheats: parseCheats(cheats) }),
          },
          epoch => output.result(epoch, line(epoch)),
        )
        const { gateways: found = [], ...sums } = summary
        const lines = found.map(gateway => `node ${gateway.node}: ${gatewayText(gateway)}`)
        output.result({ summary }, [line(sums), ...lines].join('\n'))
        return undefined
      }),
    )
}

function line(value: object): string {
  return Object.entries(value)
    .map(([name, field]) => `${name} ${typeof field === 'object' ? JSON.stringify(field) : field}`)
    .join('  ')
}
