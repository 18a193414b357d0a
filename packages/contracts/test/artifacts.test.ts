import { strict as assert } from 'node:assert'
import { artifactsInputHash as committed } from '@cairn/contracts'
import { compilerInput, inputHash } from '@cairn/contracts/compile'

describe('artefacts', () => {
  it('were made from the sources, settings and compiler that are here', () => {
    assert.equal(
      committed,
      inputHash(compilerInput()),
      'stale: run `npm run -w packages/contracts build:contracts`',
    )
  })

  it('notice a change of any source', () => {
    const input = compilerInput()
    const name = '@openzeppelin/contracts/token/ERC20/ERC20.sol'
    const source = input.sources[name]
    assert.ok(source !== undefined)
    source.content += ' '
    assert.notEqual(inputHash(input), committed)
  })
})
