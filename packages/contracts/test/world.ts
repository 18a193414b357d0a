/** A real chain with the contracts, keys whose secrets are known, and checkpoints signed by them. */
import { strict as assert } from 'node:assert'
import { setTimeout } from 'node:timers/promises'
import {
  type Anvil,
  anvilTransport,
  type ContractAddresses,
  checkpointsAbi,
  FUNDED_OPERATORS,
  nodeRegistryAbi,
  possessionRoot,
  type RegistrationInit,
  registerArguments,
  registrationRoot,
  startAnvil,
  submitArguments,
  type TestAccount,
  testAccounts,
  testDeployer,
  testnetContracts,
} from '@cairn/contracts'
import {
  bls,
  Checkpoint,
  COUNTED_KINDS,
  COUNTED_TYPES,
  type CommitteeTree,
  checkpointRoot,
  committeeTree,
  ed25519,
  GENESIS_EPOCH,
  networkId,
  sha256,
  voteSigningRoot,
} from '@cairn/protocol'
import {
  BaseError,
  bytesToHex,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  type Hex,
  type HttpTransport,
  hexToBytes,
  type LocalAccount,
  type PublicClient,
  type TestActions,
  type TransactionReceipt,
  TransactionReceiptNotFoundError,
  testActions,
  type WalletClient,
} from 'viem'
import { foundry } from 'viem/chains'

export interface NodeSecrets {
  identity: Uint8Array
  voting: Uint8Array
}

/** Secrets of the node with this number, always the same. */
export function nodeSecrets(number: number): NodeSecrets {
  const voting = sha256(Uint8Array.of(1, number >> 8, number))
  // Below the group's order, whose first byte is 0x73.
  voting[0] = (voting[0] as number) & 0x3f
  return { identity: sha256(Uint8Array.of(0, number >> 8, number)), voting }
}

/** A committee of `n` with one secret each; weights are 1000, 1001, ... */
export function committeeOf(n: number): { tree: CommitteeTree; secrets: Uint8Array[] } {
  const secrets = Array.from({ length: n }, (_, i) => nodeSecrets(i).voting)
  const members = secrets.map((secret, i) => ({ key: bls.publicKey(secret), weight: 1000 + i }))
  return { tree: committeeTree(members), secrets }
}

export function emptyCheckpoint(change: Partial<Checkpoint> = {}): Checkpoint {
  const zero = new Uint8Array(32)
  return {
    epoch: 0n,
    base: { number: 0n, hash: zero },
    parent: zero,
    messages: zero,
    state: zero,
    payouts: zero,
    penalties: zero,
    deals: zero,
    counts: {
      messages: new Array<number>(COUNTED_TYPES).fill(0),
      verdicts: new Array<number>(3 * COUNTED_KINDS).fill(0),
    },
    earnedTotal: 0n,
    spentTotal: 0n,
    nextCommittee: zero,
    rulesVersion: 1,
    ...change,
  }
}

/** A checkpoint with no zero root in it, as a busy network's. */
export function fullCheckpoint(change: Partial<Checkpoint> = {}): Checkpoint {
  const root = (label: number) => sha256(Uint8Array.of(label, Number(change.epoch ?? 0n) & 255))
  return emptyCheckpoint({
    base: { number: 21_000_000n, hash: root(0) },
    messages: root(1),
    state: root(2),
    payouts: root(3),
    penalties: root(4),
    deals: root(5),
    counts: {
      messages: Array.from({ length: COUNTED_TYPES }, (_, i) => (i < 11 ? 1000 + i : 0)),
      verdicts: Array.from({ length: 3 * COUNTED_KINDS }, (_, i) => (i > 2 && i < 9 ? 500 + i : 0)),
    },
    earnedTotal: 10n ** 23n + 12345n,
    spentTotal: 10n ** 21n + 6789n,
    ...change,
  })
}

/** The sum of all signatures but the absent members'. */
export function signVote(
  init: { checkpoint: Checkpoint; round: number; network: Uint8Array },
  secrets: readonly Uint8Array[],
  absent: readonly number[] = [],
): Uint8Array {
  const { checkpoint, round, network } = init
  const vote = {
    epoch: checkpoint.epoch,
    round: BigInt(round),
    checkpoint: checkpointRoot(checkpoint),
  }
  const message = voteSigningRoot(vote, network)
  const signers = secrets.filter((_, i) => !absent.includes(i))
  return bls.aggregateSignatures(signers.map(secret => bls.sign(message, secret)))
}

const RECEIPT_POLL_MS = 10

type TestWallet = WalletClient<HttpTransport, typeof foundry, LocalAccount>

export interface World {
  anvil: Anvil
  client: PublicClient<HttpTransport, typeof foundry> & TestActions
  contracts: ContractAddresses
  checkpoints: { address: Hex; abi: typeof checkpointsAbi }
  deployer: TestWallet
  operators: TestWallet[]
  operator(i: number): TestWallet
  /** Waits for what was sent; throws unless it succeeded. */
  mined(hash: Hex): Promise<TransactionReceipt>
}

export async function openWorld(): Promise<World> {
  const anvil = await startAnvil({ blockTime: 0 })
  const transport = anvilTransport(anvil.rpcUrl)
  const client = createPublicClient({ chain: foundry, transport, pollingInterval: 5 }).extend(
    testActions({ mode: 'anvil' }),
  )
  const wallet = ({ account }: TestAccount): TestWallet =>
    createWalletClient({ account, chain: foundry, transport })
  const operators = testAccounts(FUNDED_OPERATORS).map(wallet)
  const contracts = testnetContracts()
  return {
    anvil,
    client,
    contracts,
    checkpoints: { address: contracts.checkpoints, abi: checkpointsAbi },
    deployer: wallet(testDeployer()),
    operators,
    operator(i) {
      const found = operators[i]
      assert.ok(found !== undefined)
      return found
    },
    async mined(hash) {
      const receipt = await receiptOf(client, hash)
      assert.equal(receipt.status, 'success')
      return receipt
    },
  }
}

/**
 * For the tests of the suite that calls it: one chain, put back after each as it was before, which
 * is there from the first hook on.
 */
export function worldForEach(): World {
  const world = {} as World
  let id: Hex
  before(async () => {
    Object.assign(world, await openWorld())
  })
  beforeEach(async () => {
    id = await world.client.snapshot()
  })
  afterEach(() => world.client.revert({ id }))
  after(() => world.anvil?.stop())
  return world
}

/** viem's own wait looks again with the next block only, which here comes with the next transaction. */
async function receiptOf(
  client: PublicClient<HttpTransport, typeof foundry>,
  hash: Hex,
): Promise<TransactionReceipt> {
  for (;;) {
    try {
      return await client.getTransactionReceipt({ hash })
    } catch (error) {
      if (!(error instanceof TransactionReceiptNotFoundError)) throw error
      await setTimeout(RECEIPT_POLL_MS)
    }
  }
}

/** A started network: `submit` and `refusal` send the checkpoint after the last accepted one. */
export async function startNetwork(world: World, n: number) {
  const { client, checkpoints } = world
  const { tree, secrets } = committeeOf(n)
  const { timestamp } = await client.getBlock()
  const genesis = timestamp + 1000n
  const network = networkId({
    chainId: BigInt(world.anvil.chainId),
    checkpoints: hexToBytes(world.contracts.checkpoints),
    genesis,
  })
  const first = emptyCheckpoint({ epoch: GENESIS_EPOCH, nextCommittee: tree.word })
  await world.mined(
    await world.deployer.writeContract({
      ...checkpoints,
      functionName: 'start',
      args: [genesis, bytesToHex(tree.word), bytesToHex(Checkpoint.serialize(first))],
    }),
  )
  const argumentsOf = (checkpoint: Checkpoint, round = 0, absent: number[] = []) =>
    submitArguments({
      checkpoint: Checkpoint.serialize(checkpoint),
      round,
      committee: tree,
      absent,
      signature: signVote({ checkpoint, round, network }, secrets, absent),
    })
  return {
    tree,
    secrets,
    network,
    genesis,
    first,
    argumentsOf,
    next: (parent: Checkpoint, change: Partial<Checkpoint> = {}) =>
      fullCheckpoint({
        epoch: BigInt.asUintN(64, parent.epoch + 1n),
        parent: checkpointRoot(parent),
        nextCommittee: tree.word,
        ...change,
      }),
    async submit(args: ReturnType<typeof submitArguments>) {
      const hash = await world.operator(7).writeContract({
        ...checkpoints,
        functionName: 'submit',
        args,
      })
      return world.mined(hash)
    },
    refusal: (args: ReturnType<typeof submitArguments>) =>
      refusalOf(
        client.simulateContract({
          ...checkpoints,
          functionName: 'submit',
          args,
          account: world.operator(7).account,
        }),
      ),
  }
}

/** What a node with known secrets would register. */
export function registrationOf(
  world: World,
  number: number,
  change: { operator?: Hex; chainId?: bigint } & Partial<RegistrationInit> = {},
): RegistrationInit {
  const secrets = nodeSecrets(number)
  const identity = ed25519.publicKey(secrets.identity)
  const voting = bls.publicKey(secrets.voting)
  const operator = hexToBytes(change.operator ?? world.operator(0).account.address)
  const statement = {
    chainId: change.chainId ?? BigInt(world.anvil.chainId),
    registry: hexToBytes(world.contracts.registry),
    identity,
    voting,
    operator,
  }
  return {
    payout: operator,
    identity,
    voting,
    cell: 0x8c2a100d2c8a1ffn,
    region: 3,
    subBand: 1,
    gain: -12,
    kinds: 0b110,
    nonceEnd: sha256(identity),
    bond: 10n ** 21n,
    possession: bls.sign(possessionRoot(statement), secrets.voting),
    identitySignature: ed25519.sign(registrationRoot(statement), secrets.identity),
    ...change,
  }
}

/** Registers such a node, from the account of an operator. */
export async function register(
  world: World,
  number: number,
  { by = 0, ...change }: { by?: number } & Partial<RegistrationInit> = {},
): Promise<TransactionReceipt> {
  const wallet = world.operator(by)
  const init = registrationOf(world, number, { operator: wallet.account.address, ...change })
  return world.mined(
    await wallet.writeContract({
      address: world.contracts.registry,
      abi: nodeRegistryAbi,
      functionName: 'register',
      args: registerArguments(init),
    }),
  )
}

/** Name of the contract's error that a call ends with. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    assert.ok(error instanceof BaseError, String(error))
    const reverted = error.walk(cause => cause instanceof ContractFunctionRevertedError)
    assert.ok(reverted instanceof ContractFunctionRevertedError, error.message)
    return reverted.data?.errorName ?? reverted.reason ?? error.message
  }
  return assert.fail('expected the contract to refuse')
}
