import { radioCases } from '@cairn/node'
import { simWorld } from '../field/world.ts'

describe('simulated radio', () => {
  for (const { title, run } of radioCases(simWorld)) it(title, run)
})
