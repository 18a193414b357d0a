/** Sends one transaction, and kills itself at the step that it is told. */
import { unhex } from '@cairn/protocol'
// One by one: the whole package is a second's worth of modules, for each victim.
import { Rpc } from '../../src/chain/rpc.ts'
import { type Call, Transactions } from '../../src/chain/transactions.ts'
import { systemClock } from '../../src/clock.ts'
import type { Log } from '../../src/ports.ts'
import { openLevelStore } from '../../src/store/level.ts'
import { killable } from './killable.ts'

export interface Order {
  directory: string
  url: string
  chainId: number
  /** Hexadecimal. */
  secret: string
  call: Call
  key: string
  /** Step at which it dies, from 0. */
  at: number
}

const quiet: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => quiet }

async function act({ directory, url, chainId, secret, call, key, at }: Order): Promise<void> {
  let steps = 0
  const step = () => {
    if (steps++ === at) process.kill(process.pid, 'SIGKILL')
  }
  const clock = systemClock()
  const rpc = new Rpc({ clock, log: quiet }, { urls: [url], chainId })
  const store = await openLevelStore(directory)
  const transactions = new Transactions(
    { rpc: killable(rpc, step), clock, log: quiet, store: killable(store, step) },
    unhex(secret),
  )
  await transactions.send(call, { signal: new AbortController().signal, key })
  await store.close()
  rpc.stop()
}

const [order] = process.argv.slice(2)
if (order !== undefined) await act(JSON.parse(order) as Order)
