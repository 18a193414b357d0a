/**
 * Accounts whose keys everybody knows: of the development mnemonic that anvil and hardhat use too.
 * For test networks only; whatever they hold on a public chain is stolen within seconds.
 */
import { pbkdf2Sync } from 'node:crypto'
import { invariant } from '@cairn/protocol'
import { bytesToHex, type Hex } from 'viem'
import { HDKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'

export const TEST_MNEMONIC = 'test test test test test test test test test test test junk'

/** Operators whom the testnet's state gives ether, tokens and an allowance. */
export const FUNDED_OPERATORS = 64

export interface TestAccount {
  address: Hex
  privateKey: Hex
  account: PrivateKeyAccount
}

let accounts: HDKey | undefined

/** `n` operators' accounts, always the same. The first `FUNDED_OPERATORS` hold funds. */
export function testAccounts(n: number): TestAccount[] {
  return Array.from({ length: n }, (_, i) => accountAt(i + 1))
}

/** The account that deployed the testnet's contracts, and holds what the operators do not. */
export function testDeployer(): TestAccount {
  return accountAt(0)
}

/** The testnet's guardian: it cancels checkpoints and proposals, and can do nothing else. */
export function testGuardian(): TestAccount {
  return accountAt(FUNDED_OPERATORS + 1)
}

function accountAt(index: number): TestAccount {
  accounts ??= HDKey.fromMasterSeed(
    pbkdf2Sync(TEST_MNEMONIC, 'mnemonic', 2048, 64, 'sha512'),
  ).derive("m/44'/60'/0'/0")
  const secret = accounts.deriveChild(index).privateKey
  invariant(secret !== null, 'a key derived from a seed has its secret')
  const privateKey = bytesToHex(secret)
  const account = privateKeyToAccount(privateKey)
  return { address: account.address, privateKey, account }
}
