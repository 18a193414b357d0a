import { strict as assert } from 'node:assert'
import { CairnError, type Profile, PUBLIC_PROFILE, TESTNET_PROFILE } from '@cairn/protocol'
import fc from 'fast-check'
import {
  encodeManifest,
  MANIFEST_MAX_CHARS,
  type Manifest,
  networkIdOf,
  parseManifest,
} from '../src/manifest.ts'

const ADDRESS = `0x${'ab'.repeat(20)}` as const

function manifest(profile: Partial<Profile> = {}): Manifest {
  return {
    name: 'demo',
    chain: {
      chainId: 31337,
      rpc: ['http://127.0.0.1:8545'],
      contracts: {
        checkpoints: ADDRESS,
        registry: ADDRESS,
        token: ADDRESS,
        deposits: ADDRESS,
        parameters: ADDRESS,
      },
      finality: 0,
    },
    genesis: 1_700_000_000,
    drand: { publicKey: new Uint8Array(96).fill(7), genesis: 1_600_000_000, period: 3 },
    bootstrap: ['/ip4/127.0.0.1/tcp/4131'],
    profileName: 'testnet',
    profile: { ...TESTNET_PROFILE, ...profile },
    genesisState: 'genesis.ssz',
  }
}

function codeOf(text: string): { code: string; path: unknown; message: string } {
  try {
    parseManifest(text)
  } catch (error) {
    assert(error instanceof CairnError)
    return { code: error.code, path: error.facts.path, message: error.message }
  }
  throw new assert.AssertionError({ message: 'the manifest was accepted' })
}

/** The manifest's file with one value set, by its dotted path. */
function changed(keys: string, value: unknown): string {
  const file = JSON.parse(encodeManifest(manifest()))
  const names = keys.split('.')
  const last = names.pop()
  assert(last !== undefined)
  const holder = names.reduce((part, name) => part[name], file)
  holder[last] = value
  return JSON.stringify(file)
}

describe('network manifest', () => {
  it('reads back what it wrote, with the overrides and their amounts', () => {
    const written = manifest({ slotMs: 500, emission: 7n ** 30n, weights: { 1: 3 } })
    assert.deepEqual(parseManifest(encodeManifest(written)), written)
  })

  it('names only the fields that differ from the named profile', () => {
    const { profile } = JSON.parse(encodeManifest(manifest({ baseShare: 5n })))
    assert.deepEqual(profile, { name: 'testnet', overrides: { baseShare: '5' } })
    const plain = encodeManifest({
      ...manifest(),
      profileName: 'public',
      profile: PUBLIC_PROFILE,
    })
    assert.deepEqual(JSON.parse(plain).profile, { name: 'public' })
  })

  it('has an id that follows from chain, contract and genesis alone', () => {
    const id = networkIdOf(manifest())
    assert.equal(id.length, 32)
    const other: Manifest = { ...manifest({ slotMs: 500 }), name: 'other' }
    assert.deepEqual(networkIdOf(other), id)
    assert.notDeepEqual(networkIdOf({ ...manifest(), genesis: 1_700_000_001 }), id)
  })

  it('names the path and what was expected there', () => {
    const cases: [keys: string, value: unknown, path?: string][] = [
      ['extra', 1, ''],
      ['schema', 2],
      ['chain.rpc', []],
      ['chain.rpc', ['file:///etc'], 'chain.rpc.0'],
      ['chain.contracts.token', '0x12'],
      ['genesisState', '../../etc/passwd'],
      ['genesisState', '..'],
      ['bootstrap', ['host:1'], 'bootstrap.0'],
      ['profile', { name: 'mine' }, 'profile.name'],
      ['profile.overrides', { emission: 5 }, 'profile.overrides.emission'],
      ['profile.overrides', { slotMs: -1 }, 'profile.overrides.slotMs'],
      ['drand.publicKey', 'ab'],
    ]
    for (const [keys, value, path] of cases) {
      const found = codeOf(changed(keys, value))
      assert.equal(found.code, 'badManifest', keys)
      assert.equal(found.path, path ?? keys)
      assert.match(found.message, /xpected|nrecognized|nvalid|Too/, keys)
    }
  })

  it('refuses a profile whose numbers do not fit together', () => {
    const { code } = codeOf(encodeManifest(manifest({ sealSlot: 12 })))
    assert.equal(code, 'badProfile')
  })

  it('refuses what is not JSON, and text without end', () => {
    assert.equal(codeOf('{').code, 'badManifest')
    assert.equal(codeOf(' '.repeat(MANIFEST_MAX_CHARS + 1)).code, 'badManifest')
  })

  it('answers any JSON with a coded error', () => {
    fc.assert(
      fc.property(fc.json(), text => {
        assert.equal(codeOf(text).code, 'badManifest')
      }),
      { numRuns: 300 },
    )
  })
})
