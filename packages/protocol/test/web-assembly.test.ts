import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { sourcePath, WASM, wasmModule } from '../build/wasm.ts'

describe('the compiled WebAssembly', () => {
  for (const wasm of WASM) {
    it(`is that of ${wasm.source} and this compiler`, async () => {
      assert.equal(
        readFileSync(sourcePath(wasm.generated), 'utf8'),
        await wasmModule(wasm),
        'stale: run `npm run -w packages/protocol build:wasm`',
      )
    })
  }

  it('is used here, and not on a platform without WebAssembly', () => {
    const script = `import { fastestKernel } from '${sourcePath('erasure/kernel.ts')}'
      import { fastestFr32 } from '${sourcePath('piece/fr32.ts')}'
      import { hex } from '${sourcePath('ssz.ts')}'
      const print = () => console.log(fastestKernel().name, hex(fastestFr32()(new Uint8Array(1).fill(255))))
      print()
      delete globalThis.WebAssembly
      print()`
    const options = ['--conditions=cairn-source', '--input-type=module', '--eval', script]
    const padded = `ff${'00'.repeat(127)}`
    assert.equal(
      execFileSync(process.execPath, options, { encoding: 'utf8' }),
      `relaxedSimd ${padded}\nscalar ${padded}\n`,
    )
  })
})
