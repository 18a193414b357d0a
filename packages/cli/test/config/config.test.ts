import { strict as assert } from 'node:assert'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOKEN } from '@cairn/protocol'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/config.ts'
import { gatewaysOf } from '../../src/config/gateways.ts'
import { environmentName, KEY_NAMES, type KeyName } from '../../src/config/keys.ts'
import { sampleConfig } from '../../src/config/reference.ts'
import { type CairnFailure, cairn, jsonOf, temporaryDirectory } from '../process.ts'

describe('configuration', () => {
  const directory = temporaryDirectory()

  async function load(init: {
    yaml?: string
    env?: Record<string, string>
    flags?: [KeyName, string][]
  }) {
    const dataDir = join(directory(), '.cairn')
    await mkdir(dataDir, { recursive: true })
    if (init.yaml !== undefined) await writeFile(join(dataDir, 'config.yaml'), init.yaml)
    return await loadConfig({
      world: { env: init.env ?? {}, home: directory(), cwd: directory() },
      flags: new Map((init.flags ?? []).map(([name, text]) => [name, { text, flag: `--${name}` }])),
    })
  }

  it('takes a flag before a variable before the file before the default, and says which', async () => {
    const yaml = 'api: { port: 1 }\nlogLevel: warn\nradio:\n  port: 1700\n'
    const env = { CAIRN_API_PORT: '2', CAIRN_LOG_LEVEL: 'error' }
    const { values, origin, file } = await load({ yaml, env, flags: [['api.port', '3']] })
    assert.deepEqual([values['api.port'], origin['api.port']], [3, '--api.port'])
    assert.deepEqual([values.logLevel, origin.logLevel], ['error', 'CAIRN_LOG_LEVEL'])
    assert.deepEqual([values['radio.port'], origin['radio.port']], [1700, file])
    assert.deepEqual([values['storage.quota'], origin['storage.quota']], [0, 'default'])
    assert.equal(values.network, join(directory(), '.cairn', 'network.json'))
  })

  it('reads lists, sizes, amounts and truth as people write them', async () => {
    const yaml = `
p2p:
  listen: [/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2]
  privateAddresses: true
storage: { quota: 1.5 TiB, price: 0.25 }
`
    const { values } = await load({
      yaml,
      env: { CAIRN_P2P_BOOTSTRAP: '/dns4/a/tcp/1, /dns4/b/tcp/2' },
    })
    assert.deepEqual(values['p2p.listen'], ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'])
    assert.deepEqual(values['p2p.bootstrap'], ['/dns4/a/tcp/1', '/dns4/b/tcp/2'])
    assert.equal(values['p2p.privateAddresses'], true)
    assert.equal(values['storage.quota'], 1.5 * 1024 ** 4)
    assert.equal(values['storage.price'], TOKEN / 4n)
  })

  it('reads volumes with their quotas, in a file and in a variable', async () => {
    const volumes = [
      { location: '/mnt/disk 2', quotaBytes: 4e12 },
      { location: 'https://s3.example.org/b?x=1', quotaBytes: 1024 ** 3 },
    ]
    const yaml = 'storage: { volumes: [/mnt/disk 2=4 TB, https://s3.example.org/b?x=1=1GiB] }'
    assert.deepEqual((await load({ yaml })).values['storage.volumes'], volumes)
    const env = { CAIRN_STORAGE_VOLUMES: '/mnt/disk 2=4TB, https://s3.example.org/b?x=1 = 1 GiB' }
    assert.deepEqual((await load({ env })).values['storage.volumes'], volumes)
  })

  it('reads gateways as text and as maps, with what they do not say from the one setting', async () => {
    const yaml = `
radio:
  region: US915
  gain: 30
  gateways:
    - { key: 0, eui: 0016C001F00D0001 }
    - { key: 7, eui: '0016000100000002', region: EU868, gain: -5 }
`
    const expected = [
      { key: 0, eui: '0016c001f00d0001', region: 'US915', gain: 30 },
      { key: 7, eui: '0016000100000002', region: 'EU868', gain: -5 },
    ]
    assert.deepEqual(gatewaysOf((await load({ yaml })).values), expected)
    const env = {
      CAIRN_RADIO_REGION: 'US915',
      CAIRN_RADIO_GAIN: '30',
      CAIRN_RADIO_GATEWAYS: '0=0016C001F00D0001, 7=0016000100000002/EU868/-5',
    }
    assert.deepEqual(gatewaysOf((await load({ env })).values), expected)
    const short = { CAIRN_RADIO_GATEWAYS: '3=0016c001f00d0003/12' }
    assert.deepEqual(gatewaysOf((await load({ env: short })).values), [
      { key: 3, eui: '0016c001f00d0003', region: 'US915', gain: 12 },
    ])
  })

  it('takes the one gateway of the short settings for the node itself', async () => {
    assert.deepEqual(gatewaysOf((await load({})).values), [{ key: 0, region: 'EU868', gain: 0 }])
    const env = { CAIRN_RADIO_EUI: '0016c001f00d0001', CAIRN_RADIO_GAIN: '15' }
    assert.deepEqual(gatewaysOf((await load({ env })).values), [
      { key: 0, eui: '0016c001f00d0001', region: 'EU868', gain: 15 },
    ])
  })

  it('refuses gateways that contradict each other', async () => {
    for (const env of [
      { CAIRN_RADIO_GATEWAYS: '0=0016c001f00d0001, 0=0016c001f00d0002' },
      { CAIRN_RADIO_GATEWAYS: '0=0016c001f00d0001, 1=0016C001F00D0001' },
      { CAIRN_RADIO_GATEWAYS: '1=0016c001f00d0001', CAIRN_RADIO_EUI: '0016c001f00d0002' },
    ]) {
      const { values } = await load({ env: env as Record<string, string> })
      assert.throws(() => gatewaysOf(values), { code: 'badConfig' })
    }
  })

  it('names the nearest known setting for one that it does not know', async () => {
    const cases: [string, string | undefined][] = [
      ['api: { prot: 1 }', 'api.port'],
      ['loglevel: info', 'logLevel'],
      ['storage: { quota: 1, pric: 2 }', 'storage.price'],
      ['entirely: different', undefined],
    ]
    for (const [yaml, nearest] of cases) {
      await assert.rejects(load({ yaml }), error => {
        const { code, facts } = error as { code: string; facts: { nearest?: string } }
        assert.deepEqual([code, facts.nearest], ['unknownConfigKey', nearest], yaml)
        return true
      })
    }
  })

  it('names key and origin of a value that does not fit', async () => {
    const cases: [yaml: string, env: Record<string, string>, key: string][] = [
      ['api: { port: high }', {}, 'api.port'],
      ['', { CAIRN_API_PORT: '70000' }, 'api.port'],
      ['p2p: { listen: [host] }', {}, 'p2p.listen'],
      ['storage: { quota: much }', {}, 'storage.quota'],
      ['storage: { quota: -1 }', {}, 'storage.quota'],
      ['storage: { volumes: [/mnt/a] }', {}, 'storage.volumes'],
      ['radio: { gateways: [{ key: 1 }] }', {}, 'radio.gateways'],
      ['radio: { gateways: [{ key: 1, eui: 0016000100000002 }] }', {}, 'radio.gateways'],
      ['radio: { gateways: [{ key: 1, eui: 0016c001f00d0001, hue: 3 }] }', {}, 'radio.gateways'],
      ['', { CAIRN_RADIO_GATEWAYS: '0016c001f00d0001' }, 'radio.gateways'],
      ['', { CAIRN_RADIO_GATEWAYS: '1=0016c001f00d0001/EU999' }, 'radio.gateways'],
      ['', { CAIRN_RADIO_GATEWAYS: '1=0016c001f00d0001/EU868/US915' }, 'radio.gateways'],
      ['storage: { volumes: [/mnt/a=0] }', {}, 'storage.volumes'],
      ['', { CAIRN_STORAGE_VOLUMES: '/mnt/a=much' }, 'storage.volumes'],
      ['storage: { price: cheap }', {}, 'storage.price'],
      ['logLevel: loud', {}, 'logLevel'],
      ['', { CAIRN_P2P_PRIVATE_ADDRESSES: 'maybe' }, 'p2p.privateAddresses'],
    ]
    for (const [yaml, env, key] of cases) {
      await assert.rejects(load({ yaml, env }), error => {
        const { code, facts } = error as { code: string; facts: { key: string; origin: string } }
        assert.deepEqual([code, facts.key], ['badConfig', key])
        assert.ok(facts.origin.endsWith('config.yaml') || facts.origin.startsWith('CAIRN_'))
        return true
      })
    }
  })

  it('refuses a file that is no map of settings, and YAML that expands without end', async () => {
    const aliases = 'a: &a [x,x]\nb: &b [*a,*a]\nlogLevel: *b\n'
    for (const yaml of [
      '- 1',
      'text',
      'api: 4140',
      'logLevel: info\nlogLevel: warn',
      '{',
      aliases,
    ]) {
      await assert.rejects(load({ yaml }), yaml)
    }
  })

  it('never shows a value that may hold a credential', async () => {
    const env = {
      CAIRN_CHAIN_RPC: 'https://node.example/key-1234',
      CAIRN_STORAGE_S3_SECRET_ACCESS_KEY: 'key-1234',
    }
    const shown = await cairn(['config', 'show', '--origin', '--json'], { env })
    assert.equal(shown.stdout.includes('key-1234'), false)
    assert.deepEqual(jsonOf(shown)['chain.rpc'], { value: ['[secret]'], origin: 'CAIRN_CHAIN_RPC' })
    const wrong = await cairn(['config', 'check', '--json'], {
      env: { CAIRN_CHAIN_RPC: 'key-1234' },
    })
    assert.equal(jsonOf<CairnFailure>(wrong).error.code, 'badConfig')
    assert.equal(wrong.stdout.includes('key-1234'), false)
    const flag = await cairn(['config', 'show', '--set', 'chain.rpc=https://a', '--json'])
    assert.equal(jsonOf<CairnFailure>(flag).error.code, 'usage')
  })

  it('checks: warns of variables that name nothing', async () => {
    const ended = await cairn(['config', 'check', '--json'], { env: { CAIRN_API_PROT: '1' } })
    assert.deepEqual(jsonOf(ended).warnings, ['CAIRN_API_PROT names no setting'])
  })

  it('samples every setting, and the sample uncommented is the default', async () => {
    const uncommented = sampleConfig().replace(/^#(?! [A-Z`])/gm, '')
    const settings = parse(uncommented) as Record<string, unknown>
    assert.deepEqual(Object.keys(settings).length > 5, true)
    const { values: sampled } = await load({
      yaml: uncommented.replaceAll('<dataDir>', join(directory(), '.cairn')),
    })
    const { values } = await load({ yaml: sampleConfig() })
    assert.deepEqual(sampled, values)
    for (const name of KEY_NAMES) {
      const [first = '', second] = name.split('.')
      const shown = second === undefined ? settings[first] : Object(settings[first])[second]
      assert.equal(Array.isArray(shown), Array.isArray(values[name]), name)
    }
  })

  it('gives every setting one variable', () => {
    const names = KEY_NAMES.map(environmentName)
    assert.equal(new Set(names).size, KEY_NAMES.length)
    assert.equal(environmentName('p2p.privateAddresses'), 'CAIRN_P2P_PRIVATE_ADDRESSES')
    for (const name of names) assert.match(name, /^CAIRN_[A-Z0-9_]+$/)
  })
})
