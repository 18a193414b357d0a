import { createInterface } from 'node:readline'
import type { Json, PurchaseView } from '@cairn/node'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import type { World } from '../world.ts'
import { whole } from './numbers.ts'

interface BuyOptions {
  gateway: string[]
  devAddr?: string[]
  joins?: true
  perSecond?: number
}

export function packetsCommand({ program, action }: Commands): void {
  const packets = program.command('packets').description('LoRaWAN packets of other gateways')
  packets
    .command('buy')
    .description('buy packets with this node\u2019s deposit, one JSON line each, until Ctrl-C')
    .requiredOption('--gateway <index...>', 'node indices of the gateways')
    .option('--dev-addr <prefix...>', 'only data of these addresses, as 26000000/7')
    .option('--joins', 'join and rejoin requests too')
    .option('--per-second <n>', 'packets taken of each gateway in a second; 20 unless given', whole)
    .action(action(buy))
}

async function buy(session: Session, { gateway, devAddr, joins, perSecond }: BuyOptions) {
  const tell = packetTeller(session.world)
  const api = await session.api()
  const query = {
    gateways: gateway.join(','),
    addresses: devAddr?.join(','),
    joins: String(joins ?? false),
    perSecond,
  }
  const stream = await api.stream('/v1/packets', { query })
  for await (const line of createInterface({ input: stream })) {
    tell(JSON.parse(line) as Json<PurchaseView>)
  }
  return undefined
}

/** Prints packets, and of each gateway a failure once: again when it changes, or sold in between. */
export function packetTeller({ stdout, stderr }: Pick<World, 'stdout' | 'stderr'>) {
  const failing = new Map<number, string>()
  return ({ packet, failure }: Json<PurchaseView>): void => {
    if (packet !== undefined) {
      failing.delete(packet.gateway)
      stdout.write(`${JSON.stringify(packet)}\n`)
    }
    if (failure === undefined) return
    const { gateway, code, message } = failure
    const line = `gateway ${gateway}: ${code}: ${message}`
    if (failing.get(gateway) === line) return
    failing.set(gateway, line)
    stderr.write(`${line}; asks again until it sells\n`)
  }
}
