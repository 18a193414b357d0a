import { networkCases } from '@cairn/node'
import { network } from './world.ts'

describe('libp2p network', () => {
  for (const { title, run } of networkCases(network)) it(title, run)
})
