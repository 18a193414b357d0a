import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  KINDS,
  type Kind,
  MessageType,
  messageId,
  rulebook,
  settle,
  sha256,
  TOKEN,
  Verdict,
} from '@cairn/protocol'
import { depositOf, KernelWorld } from '../kernel-world.ts'
import { ECHO, echo } from './trivial.ts'

const KERNEL = fileURLToPath(new URL('../../src/', import.meta.url))

describe('a proof kind from outside', () => {
  it('is a file of fewer than a hundred lines', () => {
    const source = readFileSync(new URL('./trivial.ts', import.meta.url), 'utf8')
    assert.ok(source.trimEnd().split('\n').length < 100)
  })

  it('gets rules for challenges, attestations, seals and its own messages', () => {
    const book = rulebook([...KINDS, echo as Kind<unknown>])
    const { challenge, attestation, seal, report, commit } = MessageType
    for (const type of [challenge, attestation, seal, report]) {
      assert.equal(book.rule(type, ECHO)?.type, type)
    }
    assert.equal(book.rule(commit, ECHO), undefined)
  })

  it('is asked, judged, settled, paid and carried like any other', () => {
    const world = new KernelWorld({ deposits: [depositOf(0, 1_000n * TOKEN)] })
    const tip = world.tip(2, 0, 500n * TOKEN)
    const { kinds, state, sums, checkpoint } = settle(world.settlement([...world.honest(), tip]))
    const [result] = kinds
    assert.equal(result?.name, 'echo')
    assert.deepEqual(new Set(result?.verdicts.map(({ reason }) => reason)), new Set(['echoed']))
    const asked = result?.verdicts.length as number
    assert.equal(asked, 12)
    assert.equal(state.of(echo).passes, asked)
    assert.equal(checkpoint.counts.verdicts[3 * ECHO + Verdict.pass - 1], asked)
    assert.equal(sums.fees, 500n * TOKEN)
    const earned = (node: number) => result?.earnings.get(node) ?? 0n
    assert.ok(earned(2) > earned(1) && earned(1) > 0n)
  })

  it('passes nobody whose seal is wrong or missing, whatever verifiers say', () => {
    const world = new KernelWorld()
    const wrong = world.challenge(0)
    const silent = world.challenge(1)
    const { verifiers } = world.base.duty(ECHO, 0)
    const settled = settle(
      world.settlement([
        wrong,
        silent,
        world.seal(wrong, { proofRoot: sha256(new Uint8Array()) }),
        ...verifiers.map(author => world.attestation(wrong, author)),
        ...world.base.duty(ECHO, 1).verifiers.map(author => world.attestation(silent, author)),
      ]),
    )
    const [result] = settled.kinds
    assert.deepEqual(
      result?.verdicts.map(({ challenge, reason, agreeing }) => ({ challenge, reason, agreeing })),
      [
        { challenge: messageId(wrong), reason: 'sealedWrong', agreeing: [] },
        { challenge: messageId(silent), reason: 'noSeal', agreeing: [] },
      ],
    )
    assert.equal(settled.state.of(echo).passes, 0)
  })

  it('is no less known to the kernel than the shipped ones: it names none', () => {
    const files = [
      ...readdirSync(KERNEL),
      ...readdirSync(`${KERNEL}settle`).map(f => `settle/${f}`),
    ]
    const imports = files
      .filter(file => file.endsWith('.ts') && file !== 'index.ts')
      .filter(file => /from '[^']*\/kinds\//.test(readFileSync(`${KERNEL}${file}`, 'utf8')))
    assert.deepEqual(imports, [])
  })
})
