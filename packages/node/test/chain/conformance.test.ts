import { chainCases } from '@cairn/node'
import { openChainWorld } from './world.ts'

describe('EVM chain', () => {
  for (const { title, run } of chainCases(openChainWorld)) it(title, run)
})
