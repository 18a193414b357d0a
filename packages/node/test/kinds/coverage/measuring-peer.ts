/**
 * One node in a process of its own, so that it can be in a network namespace: says `ready` when it is
 * connected to all others, begins the epoch that it is told of, and prints what it says.
 */
import { createInterface } from 'node:readline'
import { Envelope } from '@cairn/protocol'
import { until } from '../../network/world.ts'
import { measuringBase, measuringNode } from './measuring.ts'

export interface PeerInit {
  index: number
  listen: string
  bootstrap: string[]
  /** How many others there are. */
  others: number
  slotMs: number
  /** Hexadecimal, of every node. */
  cells: string[]
}

if (process.argv[1] === import.meta.filename) {
  const init: PeerInit = JSON.parse(process.argv[2] as string)
  const { index, listen, bootstrap, others, slotMs } = init
  const say = (envelope: Envelope) => {
    process.stdout.write(`said ${Buffer.from(Envelope.serialize(envelope)).toString('hex')}\n`)
  }
  const node = await measuringNode(index, { listen, bootstrap, say })
  await until(() => node.network.peers().length === others, 'everybody is connected')
  process.stdout.write('ready\n')
  for await (const line of createInterface({ input: process.stdin })) {
    const cells = init.cells.map(cell => BigInt(`0x${cell}`))
    node.begin(measuringBase(cells, { startsAt: Number(line), slotMs }))
  }
  await node.stop()
}
