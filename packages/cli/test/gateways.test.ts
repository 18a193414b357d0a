import { strict as assert } from 'node:assert'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { networkIdOf, parseManifest } from '@cairn/node'
import { deriveKeys, hex, mnemonicOf, NonceChain, nodeName } from '@cairn/protocol'
import { EXIT_CODES } from '../src/exit-codes.ts'
import { manifestOf } from './manifest.ts'
import { cairn, jsonOf, temporaryDirectory } from './process.ts'

const WORDS = mnemonicOf(new Uint8Array(32).fill(7))
const OPERATOR = `0x${'cd'.repeat(20)}`

describe('gateways of a configuration', () => {
  const directory = temporaryDirectory()

  async function init(settings: string[]): Promise<string[]> {
    const words = join(directory(), 'words')
    const manifest = join(directory(), 'manifest.json')
    await writeFile(words, WORDS)
    await writeFile(manifest, manifestOf())
    const dataDir = join(directory(), 'node')
    const { code } = await cairn(['init', '--mnemonic-file', words, '--data-dir', dataDir])
    assert.equal(code, 0)
    const set = settings.flatMap(setting => ['--set', setting])
    return ['--data-dir', dataDir, '--network', manifest, ...set]
  }

  it('print what the registry wants of each', async () => {
    const options = await init(['radio.gateways=0=0016c001f00d0001,2=0016c001f00d0002/US915/31'])
    const done = await cairn(['gateways', ...options, '--json'])
    const { gateways } = jsonOf<{ gateways: Record<string, unknown>[] }>(done)
    assert.deepEqual(
      gateways.map(({ key, eui, plan, region, gain }) => [key, eui, plan, region, gain]),
      [
        [0, '0016c001f00d0001', 'EU868', 1, 0],
        [2, '0016c001f00d0002', 'US915', 2, 31],
      ],
    )
    const { identity, voting } = deriveKeys(WORDS, 2)
    const second = gateways[1] as Record<string, unknown>
    assert.equal(second.name, nodeName(identity.publicKey))
    assert.equal(second.identity, hex(identity.publicKey))
    assert.equal(second.voting, hex(voting.publicKey))
    assert.equal(second.kinds, 4)
    assert.equal('possession' in second, false)
  })

  it('print the end of a nonce chain that belongs to the network', async () => {
    const options = await init(['radio.gateways=1=0016c001f00d0001'])
    const { gateways } = jsonOf<{ gateways: { nonceEnd: string }[] }>(
      await cairn(['gateways', ...options, '--json']),
    )
    const text = await readFile(join(directory(), 'manifest.json'), 'utf8')
    const { secret, publicKey } = deriveKeys(WORDS, 1).identity
    const network = networkIdOf(parseManifest(text))
    const chain = new NonceChain({ secret, network, identity: publicKey })
    assert.equal(gateways[0]?.nonceEnd, hex(chain.end))
  })

  it('print the proofs for the operator that registers them', async () => {
    const options = await init(['radio.gateways=1=0016c001f00d0001'])
    const proven = await cairn(['gateways', ...options, '--json', '--operator', OPERATOR])
    const { gateways } = jsonOf<{ gateways: { possession: string; identitySignature: string }[] }>(
      proven,
    )
    assert.match(gateways[0]?.possession ?? '', /^[0-9a-f]{192}$/)
    assert.match(gateways[0]?.identitySignature ?? '', /^[0-9a-f]{128}$/)
    const refused = await cairn(['gateways', ...options, '--operator', '0x12'])
    assert.equal(refused.code, EXIT_CODES.usage.code)
  })

  it('are for people a block each', async () => {
    const options = await init(['radio.eui=0016c001f00d0001'])
    const { stdout } = await cairn(['gateways', ...options])
    const { identity } = deriveKeys(WORDS)
    const name = nodeName(identity.publicKey)
    assert.ok(stdout.startsWith(`${name} (key 0), 0016c001f00d0001, EU868\n  identity`), stdout)
  })
})
