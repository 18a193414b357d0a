/**
 * The way between machines that cannot reach each other: whoever connects to a port is connected to the
 * machine behind it, and every byte takes as long as the two are apart. Run in a process of its own.
 */
import { connect, createServer, type Socket } from 'node:net'

export interface RelayWay {
  /** Where to listen. */
  host: string
  port: number
  /** The machine behind. */
  target: string
  targetPort: number
  /** One way, ms. */
  delayMs: number
}

if (process.argv[1] === import.meta.filename) {
  const ways: RelayWay[] = JSON.parse(process.argv[2] as string)
  await Promise.all(ways.map(open))
  process.stdout.write('ready\n')
}

function open({ host, port, target, targetPort, delayMs }: RelayWay): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, near => {
    const far = connect({ host: target, port: targetPort, allowHalfOpen: true })
    carry(near, far, delayMs)
    carry(far, near, delayMs)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}

function carry(from: Socket, to: Socket, delayMs: number): void {
  const later = (task: () => void) => (delayMs === 0 ? task() : setTimeout(task, delayMs))
  from.setNoDelay()
  from.on('data', data => later(() => to.write(data)))
  from.on('end', () => later(() => to.end()))
  from.on('error', () => to.destroy())
  from.on('close', () => later(() => to.destroy()))
}
