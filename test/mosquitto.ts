/** A real MQTT broker on loopback, as the machine has it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needTool } from './tools.ts'

export class Mosquitto {
  readonly port: number
  readonly #directory: string
  #child: ChildProcess | undefined

  private constructor(port: number, directory: string) {
    this.port = port
    this.#directory = directory
  }

  static async start(): Promise<Mosquitto> {
    const directory = await mkdtemp(join(tmpdir(), 'cairn-mosquitto-'))
    const broker = new Mosquitto(await freePort(), directory)
    const settings = [
      `listener ${broker.port} 127.0.0.1`,
      'allow_anonymous true',
      'log_dest stderr',
    ]
    await writeFile(broker.#config, `${settings.join('\n')}\n`)
    await broker.resume()
    return broker
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`
  }

  /** Starts it again on its port. */
  async resume(): Promise<void> {
    const child = spawn(needTool('mosquitto'), ['-c', this.#config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('running')) resolve()
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`mosquitto ended before it ran:\n${said}`)))
    await promise
  }

  async pause(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }

  async stop(): Promise<void> {
    await this.pause()
    await rm(this.#directory, { recursive: true, force: true })
  }

  get #config(): string {
    return join(this.#directory, 'mosquitto.conf')
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP port has a number')
  return address.port
}
