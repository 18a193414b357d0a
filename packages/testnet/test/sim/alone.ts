/**
 * A simulation in a process of its own, where whatever would make two runs differ throws: the
 * machine's time, its timers and its entropy. Prints the hash of the run, and by what else than
 * promises and the virtual clock's own immediates anything in it waited.
 */
import { createHook } from 'node:async_hooks'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { type SimulateOptions, simulate } from '@cairn/testnet'

const OWN = new Set(['PROMISE', 'Immediate', 'TickObject'])

const options: SimulateOptions = JSON.parse(process.argv[2] ?? '{}')
// What is loaded late is loaded by a first run.
await simulate({ nodes: 8, epochs: 1, seed: 1 })

// Synchronous jobs of the crypto module are announced too; what never comes back waited for nothing.
const announced = new Map<number, string>()
const waited = new Set<string>()
const hook = createHook({
  init(id, type) {
    if (!OWN.has(type)) announced.set(id, type)
  },
  before(id) {
    const type = announced.get(id)
    if (type !== undefined) waited.add(type)
  },
}).enable()
forbid()
const { finalHash, violations } = await simulate(options)
hook.disable()
process.stdout.write(JSON.stringify({ finalHash, violations, waited: [...waited] }))

function forbid(): void {
  const refuse = (name: string) => () => {
    throw new Error(`a simulation uses ${name}`)
  }
  Date.now = refuse('Date.now')
  Math.random = refuse('Math.random')
  performance.now = refuse('performance.now')
  process.hrtime.bigint = refuse('process.hrtime')
  globalThis.Date = new Proxy(Date, { construct: refuse('new Date'), apply: refuse('Date') })
  for (const name of ['setTimeout', 'setInterval', 'queueMicrotask', 'fetch'] as const) {
    Object.assign(globalThis, { [name]: refuse(name) })
  }
  // Not getRandomValues: multiplication by a secret is blinded by it, and has the same result.
  for (const name of ['randomBytes', 'randomFillSync', 'randomInt', 'randomUUID'] as const) {
    Object.assign(crypto, { [name]: refuse(name) })
  }
  syncBuiltinESMExports()
}
