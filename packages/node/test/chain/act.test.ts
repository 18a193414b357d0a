import { strict as assert } from 'node:assert'
import {
  accessAbi,
  cairnGovernorAbi,
  cairnTokenAbi,
  checkpointsAbi,
  depositsAbi,
  nodeRegistryAbi,
  rewardDistributorAbi,
  slasherAbi,
  timelockAbi,
} from '@cairn/contracts'
import { Checkpoint, emptyState, genesisCheckpoint, TOKEN } from '@cairn/protocol'
import { type Abi, bytesToHex, encodeFunctionData, type Hex } from 'viem'
import { actOf } from '../../src/chain/act.ts'

const SOMEBODY = '0x00000000000000000000000000000000000000aa'
const WORD: Hex = `0x${'11'.repeat(32)}`
const POINT = [WORD, WORD, WORD, WORD]
const SIGNATURE = [...POINT, ...POINT]
const container = bytesToHex(
  Checkpoint.serialize({
    ...genesisCheckpoint({
      state: emptyState([]),
      kinds: [],
      committee: new Uint8Array(32),
      rulesVersion: 1,
    }),
    epoch: 7n,
  }),
)
const committee = { count: 1n, weight: 1n, key: POINT, members: WORD }
const payout = { index: 0n, account: SOMEBODY, earned: 5n, spent: 0n }
const penalty = { node: 3, amount: 5n, evidence: WORD }
const proposal = [[SOMEBODY], [0n], ['0x1234'], `More${'\n'}#proposer=${SOMEBODY}`]
const described = [[SOMEBODY], [0n], ['0x1234'], WORD]

const call = (abi: Abi, functionName: string, args: readonly unknown[]) =>
  encodeFunctionData({ abi, functionName, args })
const bond = call(nodeRegistryAbi, 'addBond', [3, (25n * TOKEN) / 2n])
const permit = call(nodeRegistryAbi, 'permit', [1n, 1n, 27, WORD, WORD])

const said: [string, Hex][] = [
  ['add 12.5 tokens to the bond of node 3', bond],
  ['add 12.5 tokens to the bond of node 3', call(nodeRegistryAbi, 'multicall', [[permit, bond]])],
  ['move node 3', call(nodeRegistryAbi, 'changePlace', [3, 0n, 1, 0, 0])],
  [
    `have node 3 paid to ${SOMEBODY}, change what node 3 offers`,
    call(nodeRegistryAbi, 'multicall', [
      [
        call(nodeRegistryAbi, 'changePayout', [3, SOMEBODY]),
        call(nodeRegistryAbi, 'changeKinds', [3, 2]),
      ],
    ]),
  ],
  ['ask to leave with node 3', call(nodeRegistryAbi, 'requestExit', [3])],
  ['take back the bond of node 3', call(nodeRegistryAbi, 'withdraw', [3])],
  [
    'land the checkpoint of epoch 7',
    call(checkpointsAbi, 'submit', [
      container,
      0n,
      committee,
      { members: [], proof: [] },
      SIGNATURE,
    ]),
  ],
  ['check in with node 3 for a committee', call(checkpointsAbi, 'checkIn', [3, POINT, SIGNATURE])],
  ['form a committee of the nodes that checked in', call(checkpointsAbi, 'formCommittee', [])],
  ['cancel the checkpoint of epoch 7', call(checkpointsAbi, 'cancel', [7n, container])],
  ['open epoch 7 for claims', call(rewardDistributorAbi, 'fund', [container, WORD, 1])],
  [
    `claim up to epoch 7 for ${SOMEBODY}`,
    call(rewardDistributorAbi, 'claim', [7n, payout, [WORD]]),
  ],
  [
    'claim up to epoch 7 for 2 accounts',
    call(rewardDistributorAbi, 'claimMany', [7n, [payout, payout], [[WORD], [WORD]]]),
  ],
  [
    'claim up to epoch 7 into the bond of node 3',
    call(rewardDistributorAbi, 'claimAndBond', [7n, payout, [WORD], 3]),
  ],
  [
    'report node 3: two votes for epoch 7',
    call(slasherAbi, 'doubleVote', [
      3,
      POINT,
      7n,
      0n,
      [
        { checkpoint: WORD, signature: SIGNATURE },
        { checkpoint: WORD, signature: SIGNATURE },
      ],
    ]),
  ],
  [
    'have the penalty of node 3 in epoch 7 taken',
    call(slasherAbi, 'penalise', [7n, penalty, 0n, [WORD]]),
  ],
  ['deposit 1 tokens', call(depositsAbi, 'deposit', [SOMEBODY, TOKEN])],
  [
    'name the key whose deals the deposit pays for',
    call(depositsAbi, 'nameKey', [WORD, [WORD, WORD]]),
  ],
  ['ask 1 tokens of the deposit back', call(depositsAbi, 'requestWithdrawal', [TOKEN])],
  ['leave the deposit as it is', call(depositsAbi, 'requestWithdrawal', [0n])],
  [`let ${SOMEBODY} take 1 tokens`, call(cairnTokenAbi, 'approve', [SOMEBODY, TOKEN])],
  [`have tokens vote for ${SOMEBODY}`, call(cairnTokenAbi, 'delegate', [SOMEBODY])],
  ["propose 'More'", call(cairnGovernorAbi, 'propose', proposal)],
  ['vote for on 000000000000', call(cairnGovernorAbi, 'castVote', [5n, 1])],
  [`send 1 tokens to ${SOMEBODY}`, call(cairnTokenAbi, 'transfer', [SOMEBODY, TOKEN])],
  ['hand on a role', call(timelockAbi, 'grantRole', [WORD, SOMEBODY])],
  ['hand on a role', call(accessAbi, 'grantRole', [1n, SOMEBODY, 0])],
  ['call labelRole', call(accessAbi, 'labelRole', [1n, 'guardian'])],
  ['call 0x12345678', '0x12345678'],
]

describe('what a transaction is for', () => {
  for (const [about, data] of said) {
    it(`is told as: ${about}`, () => {
      assert.equal(actOf({ to: SOMEBODY, data }).about, about)
    })
  }

  it('is to deploy a contract where it goes to none', () => {
    assert.deepEqual(actOf({ data: '0x6080' }), { name: 'create', about: 'deploy a contract' })
  })

  it('names the function, of several those that do something', () => {
    assert.equal(
      actOf({ to: SOMEBODY, data: call(nodeRegistryAbi, 'multicall', [[permit, bond]]) }).name,
      'addBond',
    )
  })

  it('names a proposal alike where it is queued, carried out and cancelled', () => {
    const ids = ['queue', 'execute', 'cancel'].map(name =>
      actOf({ to: SOMEBODY, data: call(cairnGovernorAbi, name, described) }).about.split(' '),
    )
    assert.deepEqual(
      ids.map(([act]) => act),
      ['queue', 'execute', 'cancel'],
    )
    assert.equal(new Set(ids.map(([, id]) => id)).size, 1)
  })
})
