import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Gateway,
  GwmpServer,
  type Log,
  type Radio,
  type RadioWorld,
  systemClock,
} from '@cairn/node'
import type { RegionalPlan } from '@cairn/protocol'
import { MemoryStore, RadioField, SimRadio, VirtualClock, VirtualForwarder } from '@cairn/testnet'

const SEED = new Uint8Array(32).fill(3)
/** Whom a seed puts into a shadow must not matter here. */
const FIELD = { seed: SEED, model: { name: 'freeSpace' } } as const
const NEAR = { lat: 650_100_000, lng: 254_700_000 }
const FAR = { lat: 650_190_000, lng: 254_700_000 }
const GATEWAYS = [
  { name: 'radio', at: NEAR },
  { name: 'neighbour', at: FAR },
]

const silent: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silent,
}

/** The field, forwarders that speak UDP, and the daemon's server. */
export async function udpWorld({ plan }: { plan: RegionalPlan }): Promise<RadioWorld> {
  const clock = systemClock()
  const field = new RadioField({ clock }, { ...FIELD, gateways: GATEWAYS })
  const stores = new Map<string, MemoryStore>()
  const servers: GwmpServer[] = []
  const forwarders: VirtualForwarder[] = []
  const serve = async (name: string) => {
    const store = stores.get(name) ?? new MemoryStore()
    stores.set(name, store)
    const components = { clock, log: silent, count: () => {} }
    const gateways = [{ store, plan, gain: 20 }]
    const server = new GwmpServer(components, { gateways, transmitTimeoutMs: 1_000, port: 0 })
    await server.start()
    servers.push(server)
    const [radio] = server.gateways as [Gateway]
    return { radio, server }
  }
  const attach = async (gateway: string, { radio, server }: Served) => {
    const init = { gateway, eui: gateway === 'radio' ? EUIS[0] : EUIS[1] }
    const forwarder = new VirtualForwarder(
      { clock, field },
      { ...init, server: { port: server.port } },
    )
    await forwarder.start()
    forwarders.push(forwarder)
    while (!radio.online()) await sleep(5)
  }
  const radio = await serve('radio')
  const neighbour = await serve('neighbour')
  const deaf = await serve('deaf')
  await attach('radio', radio)
  await attach('neighbour', neighbour)
  return {
    radio: radio.radio,
    neighbour: neighbour.radio,
    deaf: deaf.radio,
    during: work => work,
    pass: sleep,
    async restart() {
      await radio.server.stop()
      await forwarders[0]?.stop()
      const again = await serve('radio')
      await attach('radio', again)
      return again.radio
    },
    async close() {
      await Promise.all(forwarders.map(f => f.stop()))
      await Promise.all(servers.map(s => s.stop()))
    },
  }
}

interface Served {
  radio: Gateway
  server: GwmpServer
}

const EUIS = ['0016c001f00d0001', '0016c001f00d0002'] as const

/** The field behind the port itself, on virtual time. */
export async function simWorld({ plan }: { plan: RegionalPlan }): Promise<RadioWorld> {
  const clock = new VirtualClock({ start: 1_700_000_000_000 })
  const field = new RadioField({ clock }, { ...FIELD, gateways: GATEWAYS })
  const store = new MemoryStore()
  const open = async (gateway: string | undefined, over = new MemoryStore()) => {
    const init = gateway === undefined ? { plan } : { plan, gateway }
    const radio = new SimRadio({ clock, field, store: over }, init)
    await radio.start()
    return radio
  }
  const radio = await open('radio', store)
  return {
    radio,
    neighbour: await open('neighbour'),
    deaf: await open(undefined),
    async during<T>(work: Promise<T>): Promise<T> {
      let settled = false
      const note = () => {
        settled = true
      }
      work.then(note, note)
      while (!settled) await clock.run({ until: clock.now() + 10 })
      return await work
    },
    async pass(ms) {
      await clock.run({ until: clock.now() + ms })
    },
    async restart(): Promise<Radio> {
      await radio.stop()
      return await open('radio', store)
    },
    async close() {},
  }
}
