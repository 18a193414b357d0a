import { strict as assert } from 'node:assert'
import { type GatewayFacts, lacksOf } from '@cairn/node'
import { EU868, type RegistryEntry, regionalPlan } from '@cairn/protocol'

const NONCE_END = new Uint8Array(32).fill(9)
const ENTRY: RegistryEntry = {
  index: 3,
  operator: new Uint8Array(20),
  payout: new Uint8Array(20),
  identity: new Uint8Array(32),
  voting: new Uint8Array(48),
  cell: 1n,
  region: EU868.code,
  subBand: 0,
  gain: 20,
  kinds: 4,
  nonceEnd: NONCE_END,
  bond: 1n,
  registeredAt: 1,
  exitAt: 0,
}
const WELL: GatewayFacts = {
  online: true,
  status: { inFlight: 0, heardAt: 5 },
  plan: EU868.name,
  entry: ENTRY,
  nonceEnd: NONCE_END,
  door: { host: '0.0.0.0', port: 1700 },
}

const lacks = (change: Partial<GatewayFacts>, entry: Partial<RegistryEntry> = {}) => {
  const found = lacksOf({ ...WELL, entry: { ...ENTRY, ...entry }, ...change })
  for (const { text, next } of found) assert.ok(text !== '' && next !== '')
  return found.map(({ code }) => code)
}

describe('what a gateway lacks', () => {
  it('is nothing while it is heard and registered as it is set up', () => {
    assert.deepEqual(lacks({}), [])
  })

  it('is its forwarder, never heard or silent', () => {
    assert.deepEqual(lacks({ online: false, status: { inFlight: 0 } }), ['noForwarder'])
    assert.deepEqual(lacks({ online: false }), ['silentForwarder'])
  })

  it('is told with where the forwarder is to send, and what keeps it out', () => {
    const next = (door: GatewayFacts['door']) => lacksOf({ ...WELL, online: false, door })[0]?.next
    const open = next({ host: '0.0.0.0', port: 1700 })
    assert.match(open ?? '', /at 0\.0\.0\.0, UDP port 1700/)
    assert.doesNotMatch(open ?? '', /another machine|refused/)
    assert.match(
      next({ host: '127.0.0.1', port: 1680 }) ?? '',
      /another machine .* set radio\.host/,
    )
    const foreignEui = '0016c001f00d0009'
    const refused = next({ host: '0.0.0.0', port: 1700, foreignEui })
    assert.match(refused ?? '', /EUI 0016c001f00d0009 was refused.*radio\.eui/)
  })

  it('is its registration, of which nothing else is said then', () => {
    assert.deepEqual(
      lacksOf({ ...WELL, entry: undefined }).map(({ code }) => code),
      ['unregistered'],
    )
  })

  it('is a bond, or that it leaves', () => {
    assert.deepEqual(lacks({}, { bond: 0n }), ['unbonded'])
    assert.deepEqual(lacks({}, { exitAt: 7 }), ['leaving'])
  })

  it('is a cell, or a plan or nonce chain other than this daemon has', () => {
    assert.deepEqual(lacks({}, { cell: 0n }), ['noCell'])
    assert.deepEqual(lacks({ plan: regionalPlan('US915').name }), ['otherPlan'])
    assert.deepEqual(lacks({}, { region: 99 }), ['otherPlan'])
    assert.deepEqual(lacks({ nonceEnd: new Uint8Array(32) }), ['otherNonces'])
  })
})
