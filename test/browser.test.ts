/** The protocol package as a bundler makes it for a page, run where a page's globals are and no others. */
import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { bundled } from './browser/bundle.ts'
import { describePage } from './browser/suite.ts'

const CRYPTO = join(import.meta.dirname, '../packages/protocol/src/crypto')
/** As docs/chain.md says, and a tenth more. */
const LIGHT_CLIENT_MAX_BYTES = 110_000

describe('the protocol package in a bundle for browsers', function () {
  this.timeout(30_000)

  describePage(inContext)

  it('runs on portable code alone', async () => {
    const found = await inContext<boolean[]>(
      `import * as protocol from '@cairn/protocol'
       import * as portable from '${CRYPTO}/portable.ts'
       export const result = ['bls', 'ed25519', 'sha256', 'sha256Pairs', 'keccak256']
         .map(name => protocol[name] === portable[name])`,
      null,
    )
    assert.deepEqual(found, [true, true, true, true, true])
  })

  it('cannot reach a module of Node there', async () => {
    await assert.rejects(
      inContext(`export * as result from '${CRYPTO}/native.ts'`, null),
      /Could not resolve "(node:)?fs"/,
    )
  })

  it('holds of the light client what that needs', async () => {
    const code = await bundled(
      "export { jsonRpc, parseProofFile, verdictSentences, verifyOnChain } from '@cairn/protocol'",
      null,
    )
    const size = gzipSync(code, { level: 9 }).length
    assert.ok(size < LIGHT_CLIENT_MAX_BYTES, `${code.length} bytes, ${size} compressed`)
  })
})

/** What of a page's globals is no part of the language. */
const GLOBALS = { TextEncoder, TextDecoder, fetch, crypto }

async function inContext<T>(script: string, input: unknown): Promise<T> {
  const context = createContext({ ...GLOBALS })
  runInContext(await bundled(script, input), context)
  // Its objects are of other classes than ours.
  return JSON.parse(JSON.stringify(await context.page.result))
}
