import { strict as assert } from 'node:assert'
import { accessSync, constants } from 'node:fs'
import { allTools, needTool } from './tools.ts'

describe('the programs that system tests need', () => {
  for (const command of allTools()) {
    it(`include ${command}`, () => accessSync(needTool(command), constants.X_OK))
  }

  it('are asked for by what nobody has installed', () => {
    assert.throws(() => needTool('gnuradio'), /gnuradio is not in .ci\/system-tools.json/)
  })
})
