/**
 * The state that a testnet's chain begins with: contracts deployed, operators funded, no nodes, no
 * blocks. Made by real transactions on a chain whose clock stands at `STATE_TIME`, then cut down to
 * its accounts, so that a chain that loads it begins at block 0 and at its own time.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import { check } from '@cairn/protocol'
import { createTestClient, type Hex, hexToBytes, parseEther, publicActions } from 'viem'
import { FUNDED_OPERATORS, testAccounts, testDeployer, testGuardian } from '../accounts.ts'
import { startAnvil } from '../anvil.ts'
import { deployFunded, testnetContracts } from '../testnet.ts'
import { anvilTransport } from '../transport.ts'

/** 14 November 2023: before the start of any chain that loads the state. */
const STATE_TIME = 1_700_000_000

const ETHER = parseEther('10000')

interface AnvilState {
  accounts: Record<Hex, { nonce: number; balance: Hex; code: Hex; storage: Record<Hex, Hex> }>
}

/** The state as gzip in base64. */
export async function testnetState(): Promise<string> {
  const anvil = await startAnvil({ genesis: 'empty', blockTime: 0, timestamp: STATE_TIME })
  try {
    const accounts = await populate(anvil.rpcUrl)
    // What anvil itself expects of a state, with a chain that has not begun.
    const state = { block: null, accounts, best_block_number: null, blocks: [], transactions: [] }
    return gzipSync(JSON.stringify(state), { level: 9 }).toString('base64')
  } finally {
    await anvil.stop()
  }
}

async function populate(rpcUrl: string): Promise<AnvilState['accounts']> {
  const transport = anvilTransport(rpcUrl)
  const test = createTestClient({ mode: 'anvil', transport, pollingInterval: 10 }).extend(
    publicActions,
  )
  const deployer = testDeployer()
  const operators = testAccounts(FUNDED_OPERATORS)
  const everyone = [deployer, ...operators, testGuardian()]
  const setEther = () =>
    Promise.all(everyone.map(({ address }) => test.setBalance({ address, value: ETHER })))

  await setEther()
  await test.setBlockTimestampInterval({ interval: 1 })
  const contracts = await deployFunded({ rpcUrl })
  check(
    contracts.governor === testnetContracts().governor,
    'wrongAddress',
    'the contracts do not stand where they are expected',
  )
  await setEther()
  // Fees collected, and system contracts that every chain has anyway.
  await test.setBalance({ address: '0x0000000000000000000000000000000000000000', value: 0n })
  const dump = gunzipSync(hexToBytes(await test.dumpState())).toString()
  const { accounts } = JSON.parse(dump) as AnvilState
  const ours = new Set([...Object.values(contracts), ...everyone.map(({ address }) => address)])
  const wanted = new Set([...ours].map(address => address.toLowerCase()))
  return Object.fromEntries(
    Object.entries(accounts)
      .filter(([address]) => wanted.has(address))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
